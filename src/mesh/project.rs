//! Texture coordinates by projection from the front and from behind.
//!
//! The texture shows the front in its left half and the back, as seen from behind, in its right half; the
//! seam runs around the solid, half-way down its walls. Never moves a vertex: a vertex on the seam is doubled
//! with bit-identical position and normal.

use std::collections::VecDeque;
use std::sync::Arc;

use glam::Vec3;

use super::{Mesh, Texture};

/// A vertex whose normal leans this far towards or away from the viewer is on the front or the back for
/// sure; the seam lies somewhere between such vertices.
const SURE: f32 = 0.3;
/// A patch with less than one part in this many of the faces of its piece of the mesh is noise.
const LARGEST_SPECK: usize = 20;

/// The side of the solid that a vertex or face belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Front,
    Back,
}

impl Side {
    fn opposite(self) -> Self {
        match self {
            Self::Front => Self::Back,
            Self::Back => Self::Front,
        }
    }
}

/// Splits a mesh between its front and its back and wraps the atlas around it.
///
/// The mesh is in the field frame, with the cut-out spanning `[-0.5, 0.5]²`; its vertices are welded. Triangles
/// keep their number and order, vertices their order, with a doubled vertex's two copies side by side,
/// front first. Texture coordinates keep half a texel from the borders of their half.
///
/// # Panics
///
/// Where a triangle refers to a vertex that does not exist.
pub fn project_front_back(mesh: &Mesh, atlas: Arc<Texture>) -> Mesh {
    project_within(mesh, atlas, Frame::default())
}

/// Where the positions of a mesh are in the frame of the cut-out, as far as the projection goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frame {
    /// Across and up are multiplied by this.
    pub scale: [f32; 2],
    /// Then this is added.
    pub offset: [f32; 2],
}

impl Default for Frame {
    fn default() -> Self {
        Self {
            scale: [1.0; 2],
            offset: [0.0; 2],
        }
    }
}

impl Frame {
    /// The frame in which a mesh, seen from the front, spans the same box as the subject; each box is its
    /// least and its greatest corner.
    pub fn fitted(mesh: [[f32; 2]; 2], subject: [[f32; 2]; 2]) -> Self {
        let mut frame = Self::default();
        for axis in 0..2 {
            let (from, to) = (
                mesh[1][axis] - mesh[0][axis],
                subject[1][axis] - subject[0][axis],
            );
            // A mesh without width has one place only.
            frame.scale[axis] = if from > 0.0 { to / from } else { 1.0 };
            let middle = |corners: [[f32; 2]; 2]| 0.5 * (corners[0][axis] + corners[1][axis]);
            frame.offset[axis] = middle(subject) - frame.scale[axis] * middle(mesh);
        }
        frame
    }
}

/// As [`project_front_back`], for a mesh that is placed otherwise: `frame` tells where the cut-out is.
///
/// # Panics
///
/// Where a triangle refers to a vertex that does not exist.
pub fn project_within(mesh: &Mesh, atlas: Arc<Texture>, frame: Frame) -> Mesh {
    let sides = face_sides(mesh);
    let mut used = vec![[false; 2]; mesh.positions.len()];
    for (triangle, &side) in mesh.triangles.iter().zip(&sides) {
        for &vertex in triangle {
            used[vertex as usize][side as usize] = true;
        }
    }
    let mut projected = Mesh {
        texture: Some(Arc::clone(&atlas)),
        ..Mesh::default()
    };
    let mut copies = Vec::with_capacity(mesh.positions.len());
    for (vertex, &[front, back]) in used.iter().enumerate() {
        let mut indices = [u32::MAX; 2];
        // A vertex without triangles stays, on the front.
        for (side, present) in [(Side::Front, front || !back), (Side::Back, back)] {
            if present {
                indices[side as usize] = projected.positions.len() as u32;
                projected.push_copy(mesh, vertex, side, &atlas, &frame);
            }
        }
        copies.push(indices);
    }
    projected.triangles = (mesh.triangles.iter().zip(&sides))
        .map(|(triangle, &side)| triangle.map(|vertex| copies[vertex as usize][side as usize]))
        .collect();
    projected
}

impl Mesh {
    /// Appends a vertex of another mesh, seen from a side.
    fn push_copy(
        &mut self,
        mesh: &Mesh,
        vertex: usize,
        side: Side,
        atlas: &Texture,
        frame: &Frame,
    ) {
        let position = mesh.positions[vertex];
        self.positions.push(position);
        self.normals.extend(mesh.normals.get(vertex));
        self.colours.extend(mesh.colours.get(vertex));
        let [x, y, _] = position;
        let seen = [
            x * frame.scale[0] + frame.offset[0],
            y * frame.scale[1] + frame.offset[1],
        ];
        self.uvs.push(texture_coordinates(seen, side, atlas));
    }
}

fn texture_coordinates([x, y]: [f32; 2], side: Side, atlas: &Texture) -> [f32; 2] {
    let guard_u = 0.5 / atlas.width.max(2) as f32;
    let guard_v = 0.5 / atlas.height.max(1) as f32;
    // `max` before `min`: NaN ends at the guard.
    let across = (0.5 * x + 0.25).max(guard_u).min(0.5 - guard_u);
    let down = (0.5 - y).max(guard_v).min(1.0 - guard_v);
    match side {
        Side::Front => [across, down],
        Side::Back => [1.0 - across, down],
    }
}

/// The side of each triangle.
fn face_sides(mesh: &Mesh) -> Vec<Side> {
    let vertex_sides = vertex_sides(mesh);
    let mut sides: Vec<Side> = mesh
        .triangles
        .iter()
        .map(|triangle| {
            // Not the majority: that would zigzag along every row of vertices on the seam.
            let behind = triangle
                .iter()
                .all(|&vertex| vertex_sides[vertex as usize] == Side::Back);
            if behind { Side::Back } else { Side::Front }
        })
        .collect();
    remove_specks(mesh, &mut sides);
    sides
}

/// The side of each vertex: where its normal is sure; else that of the nearest sure vertex along the
/// surface, so that the seam runs half-way down a wall whatever noise its normals have.
fn vertex_sides(mesh: &Mesh) -> Vec<Side> {
    let facing = &facing(mesh);
    let incident = Incident::new(mesh);
    let mut sides: Vec<Option<Side>> = facing
        .iter()
        .map(|&z| match z {
            z if z > SURE => Some(Side::Front),
            z if z < -SURE => Some(Side::Back),
            _ => None,
        })
        .collect();
    // The front goes first at every step, so that rows of vertices half-way all fall to one side.
    let sure_of = |side: Side| {
        let vertices = 0..mesh.positions.len() as u32;
        vertices.filter(move |&vertex| match side {
            Side::Front => facing[vertex as usize] > SURE,
            Side::Back => facing[vertex as usize] < -SURE,
        })
    };
    let mut queue: VecDeque<u32> = sure_of(Side::Front).chain(sure_of(Side::Back)).collect();
    while let Some(vertex) = queue.pop_front() {
        let side = sides[vertex as usize];
        for &face in incident.faces(vertex) {
            for &neighbour in &mesh.triangles[face as usize] {
                let slot = &mut sides[neighbour as usize];
                if slot.is_none() {
                    *slot = side;
                    queue.push_back(neighbour);
                }
            }
        }
    }
    (sides.into_iter().zip(facing))
        .map(|(side, &z)| side.unwrap_or(if z < 0.0 { Side::Back } else { Side::Front }))
        .collect()
}

/// The z component of each vertex's area-weighted unit normal.
fn facing(mesh: &Mesh) -> Vec<f32> {
    let mut sums = vec![Vec3::ZERO; mesh.positions.len()];
    for triangle in &mesh.triangles {
        let [a, b, c] = triangle.map(|vertex| Vec3::from(mesh.positions[vertex as usize]));
        let normal = (b - a).cross(c - a);
        for &vertex in triangle {
            sums[vertex as usize] += normal;
        }
    }
    sums.iter().map(|sum| sum.normalize_or_zero().z).collect()
}

/// The triangles at each vertex.
struct Incident {
    /// Where each vertex's triangles begin in `faces`, and the end of the last.
    starts: Vec<u32>,
    faces: Vec<u32>,
}

impl Incident {
    fn new(mesh: &Mesh) -> Self {
        let mut starts = vec![0u32; mesh.positions.len() + 1];
        for &vertex in mesh.triangles.as_flattened() {
            starts[vertex as usize + 1] += 1;
        }
        for vertex in 1..starts.len() {
            starts[vertex] += starts[vertex - 1];
        }
        let mut next = starts.clone();
        let mut faces = vec![0; 3 * mesh.triangles.len()];
        for (face, triangle) in mesh.triangles.iter().enumerate() {
            for &vertex in triangle {
                faces[next[vertex as usize] as usize] = face as u32;
                next[vertex as usize] += 1;
            }
        }
        Self { starts, faces }
    }

    fn faces(&self, vertex: u32) -> &[u32] {
        let (start, end) = (
            self.starts[vertex as usize],
            self.starts[vertex as usize + 1],
        );
        &self.faces[start as usize..end as usize]
    }
}

/// Gives patches of one side that are tiny against their piece of the mesh to the other side.
fn remove_specks(mesh: &Mesh, sides: &mut [Side]) {
    let count = mesh.positions.len();
    let mut pieces = DisjointSets::new(count);
    let mut patches = DisjointSets::new(2 * count);
    let place = |vertex: u32, side: Side| vertex + side as u32 * count as u32;
    for (&[a, b, c], &side) in mesh.triangles.iter().zip(sides.iter()) {
        for vertex in [b, c] {
            pieces.join(a, vertex);
            patches.join(place(a, side), place(vertex, side));
        }
    }
    let mut piece_faces = vec![0usize; count];
    let mut patch_faces = vec![0usize; 2 * count];
    for (&[a, ..], &side) in mesh.triangles.iter().zip(sides.iter()) {
        piece_faces[pieces.root(a) as usize] += 1;
        patch_faces[patches.root(place(a, side)) as usize] += 1;
    }
    for (&[a, ..], side) in mesh.triangles.iter().zip(sides.iter_mut()) {
        let patch = patch_faces[patches.root(place(a, *side)) as usize];
        let piece = piece_faces[pieces.root(a) as usize];
        if patch * LARGEST_SPECK < piece {
            *side = side.opposite();
        }
    }
}

/// Disjoint sets of vertices, each known by its least member.
struct DisjointSets(Vec<u32>);

impl DisjointSets {
    fn new(count: usize) -> Self {
        Self((0..count as u32).collect())
    }

    fn root(&mut self, mut member: u32) -> u32 {
        while self.0[member as usize] != member {
            let above = self.0[self.0[member as usize] as usize];
            self.0[member as usize] = above;
            member = above;
        }
        member
    }

    fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b) as usize] = a.min(b);
    }
}

/// The texture's colour at each vertex, bilinear, opaque; for formats that keep colours by vertex.
///
/// Empty where the mesh has no texture or no texture coordinates.
pub fn vertex_colours(mesh: &Mesh) -> Vec<[u8; 4]> {
    match &mesh.texture {
        Some(texture) if texture.width > 0 && texture.height > 0 => {
            let opaque = |[red, green, blue]: [u8; 3]| [red, green, blue, u8::MAX];
            let uvs = mesh.uvs.iter();
            uvs.map(|&uv| opaque(texture.sample(uv))).collect()
        }
        _ => Vec::new(),
    }
}

impl Texture {
    /// The colour at a texture coordinate: bilinear, clamped at the edges.
    ///
    /// # Panics
    ///
    /// When the texture has no pixels.
    pub fn sample(&self, [u, v]: [f32; 2]) -> [u8; 3] {
        let axis = |coordinate: f32, size: usize| {
            let last = (size - 1) as f32;
            let at = (coordinate * size as f32 - 0.5).max(0.0).min(last);
            let first = at as usize;
            (first, (first + 1).min(size - 1), at - first as f32)
        };
        let (x0, x1, x) = axis(u, self.width);
        let (y0, y1, y) = axis(v, self.height);
        let at = |column: usize, row: usize| self.pixels[row * self.width + column];
        let corners = [at(x0, y0), at(x1, y0), at(x0, y1), at(x1, y1)];
        let weights = [(1.0 - x) * (1.0 - y), x * (1.0 - y), (1.0 - x) * y, x * y];
        [0, 1, 2].map(|channel| {
            let parts = corners.iter().zip(weights);
            let value: f32 = parts.map(|(c, w)| w * f32::from(c[channel])).sum();
            (value + 0.5) as u8
        })
    }
}
