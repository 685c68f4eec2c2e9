//! A mesh made ready for the graphics card: checked, cut into chunks and packed. Pure work on the
//! processor, for another thread than the one that draws.

use bytemuck::{Pod, Zeroable};
use glam::{Vec2, Vec3};
use rayon::prelude::*;

use super::Bounds;
use super::surroundings::{GroundShadow, Surroundings};
use super::texture::{self, Level};
use crate::mesh::normals::smooth_normals;
use crate::mesh::{Mesh, weld};

/// The most vertices in a chunk: half of what an index of 16 bits can name, so that handing over a chunk
/// takes no noticeable part of a frame.
pub const CHUNK_VERTICES: usize = 1 << 15;
/// The most triangles in a chunk.
const CHUNK_TRIANGLES: usize = 1 << 17;
/// Marks a vertex that has no place in the current chunk.
const NOWHERE: u32 = u32::MAX;

/// Why a mesh cannot be drawn.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undrawable {
    /// There is nothing to see.
    #[error("the mesh has no triangles")]
    Empty,
    /// An index is out of range.
    #[error("triangle {triangle} names vertex {vertex}, but there are {vertices}")]
    Index {
        /// The triangle.
        triangle: usize,
        /// The vertex it names.
        vertex: u32,
        /// How many there are.
        vertices: usize,
    },
    /// A coordinate is not a number or has no end.
    #[error("vertex {vertex} has a coordinate that is not finite")]
    Coordinate {
        /// The vertex.
        vertex: u32,
    },
    /// An attribute is there for some vertices only.
    #[error("{found} {attribute} for {vertices} vertices; there must be none or one for each")]
    Attribute {
        /// What there are too many or too few of.
        attribute: &'static str,
        /// How many there are.
        found: usize,
        /// How many vertices there are.
        vertices: usize,
    },
    /// The texture's size and its pixels do not agree.
    #[error("the texture of {width} × {height} pixels has {pixels}")]
    Texture {
        /// Its width in pixels.
        width: usize,
        /// Its height in pixels.
        height: usize,
        /// How many pixels there are.
        pixels: usize,
    },
}

/// A vertex as the graphics card gets it: 12 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Vertex {
    /// The position within the mesh's box, and how open the surface is.
    pub(super) place: [u16; 4],
    /// The normal, folded onto an octahedron.
    pub(super) normal: [i16; 2],
}

/// A vertex's own colour: 8 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Paint {
    /// The texture coordinate within the box of all of them.
    pub(super) uv: [u16; 2],
    /// Encoded colour with alpha.
    pub(super) colour: [u8; 4],
}

/// Some of the triangles of a mesh with their vertices.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Chunk {
    pub(super) vertices: Vec<Vertex>,
    /// Empty where the mesh has no colours.
    pub(super) paint: Vec<Paint>,
    pub(super) triangles: Vec<[u16; 3]>,
    /// Each edge once.
    pub(super) edges: Vec<[u16; 2]>,
}

impl Chunk {
    /// Vertex indices of each triangle, within the chunk.
    pub fn triangles(&self) -> &[[u16; 3]] {
        &self.triangles
    }

    /// Vertex indices of each edge, within the chunk.
    pub fn edges(&self) -> &[[u16; 2]] {
        &self.edges
    }

    /// How many vertices it has.
    pub fn vertex_count(&self) -> usize {
        self.vertices.len()
    }

    /// How much of its surroundings a vertex sees, 0 … 1.
    pub fn openness(&self, vertex: usize) -> f32 {
        f32::from(self.vertices[vertex].place[3]) / f32::from(u16::MAX)
    }
}

/// A mesh ready to be uploaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    pub(super) bounds: Bounds,
    pub(super) chunks: Vec<Chunk>,
    pub(super) texture: Vec<Level>,
    pub(super) shadow: GroundShadow,
    pub(super) uv_min: Vec2,
    pub(super) uv_size: Vec2,
    pub(super) mean_edge: f32,
    pub(super) triangle_count: usize,
}

impl Prepared {
    /// Checks, cuts and packs a mesh. A second for some million triangles on two cores.
    ///
    /// # Errors
    ///
    /// [`Undrawable`].
    pub fn new(mesh: &Mesh) -> Result<Self, Undrawable> {
        check(mesh)?;
        let bounds = bounds_of(mesh)?;
        let computed;
        let normals = if mesh.normals.is_empty() {
            computed = normals_across_seams(mesh);
            &computed
        } else {
            &mesh.normals
        };
        let surroundings = Surroundings::of(mesh, &bounds);
        let (uv_min, uv_size) = uv_box(mesh);
        let packer = Packer {
            mesh,
            normals,
            bounds: &bounds,
            surroundings: &surroundings,
            uv_min,
            uv_size,
            painted: !mesh.colours.is_empty() || is_textured(mesh),
        };
        let chunks = cut(mesh)
            .into_par_iter()
            .map(|cut| packer.pack(cut))
            .collect();
        Ok(Self {
            chunks,
            texture: mesh
                .texture
                .as_ref()
                .filter(|_| is_textured(mesh))
                .map(|texture| texture::levels(texture))
                .unwrap_or_default(),
            shadow: surroundings.ground_shadow(),
            uv_min,
            uv_size,
            mean_edge: mean_edge(mesh),
            triangle_count: mesh.triangles.len(),
            bounds,
        })
    }

    /// The box around the triangles.
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// The parts it was cut into, each with at most [`CHUNK_VERTICES`] vertices.
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// Where a vertex of a chunk is after packing.
    pub fn position(&self, chunk: usize, vertex: usize) -> [f32; 3] {
        let [x, y, z, _] = self.chunks[chunk].vertices[vertex].place;
        let part = Vec3::new(f32::from(x), f32::from(y), f32::from(z)) / f32::from(u16::MAX);
        (self.bounds.min + part * (self.bounds.max - self.bounds.min)).to_array()
    }

    /// The normal of a vertex of a chunk after packing.
    pub fn normal(&self, chunk: usize, vertex: usize) -> [f32; 3] {
        from_octahedron(self.chunks[chunk].vertices[vertex].normal).to_array()
    }

    /// What it will take on the graphics card, in bytes.
    pub fn size_bytes(&self) -> usize {
        let chunks: usize = self.chunks.iter().map(Chunk::size_bytes).sum();
        let texture: usize = self
            .texture
            .iter()
            .map(|level| level.pixels.len() * 4)
            .sum();
        chunks + texture + self.shadow.texels.len()
    }

    /// Whether it has colours or a texture of its own.
    pub fn is_painted(&self) -> bool {
        self.chunks.iter().any(|chunk| !chunk.paint.is_empty())
    }
}

impl Chunk {
    pub(super) fn size_bytes(&self) -> usize {
        size_of_val(&self.vertices[..])
            + size_of_val(&self.paint[..])
            + size_of_val(&self.triangles[..])
            + size_of_val(&self.edges[..])
    }
}

fn is_textured(mesh: &Mesh) -> bool {
    mesh.texture.is_some() && !mesh.uvs.is_empty()
}

fn check(mesh: &Mesh) -> Result<(), Undrawable> {
    let vertices = mesh.positions.len();
    if mesh.triangles.is_empty() {
        return Err(Undrawable::Empty);
    }
    for (attribute, found) in [
        ("normals", mesh.normals.len()),
        ("texture coordinates", mesh.uvs.len()),
        ("colours", mesh.colours.len()),
    ] {
        if found != 0 && found != vertices {
            return Err(Undrawable::Attribute {
                attribute,
                found,
                vertices,
            });
        }
    }
    for (triangle, corners) in mesh.triangles.iter().enumerate() {
        if let Some(&vertex) = corners.iter().find(|index| **index as usize >= vertices) {
            return Err(Undrawable::Index {
                triangle,
                vertex,
                vertices,
            });
        }
    }
    if let Some(texture) = &mesh.texture
        && (texture.pixels.is_empty()
            || texture.width.checked_mul(texture.height) != Some(texture.pixels.len()))
    {
        return Err(Undrawable::Texture {
            width: texture.width,
            height: texture.height,
            pixels: texture.pixels.len(),
        });
    }
    Ok(())
}

/// The box around the vertices that triangles use.
fn bounds_of(mesh: &Mesh) -> Result<Bounds, Undrawable> {
    let mut bounds = Bounds {
        min: Vec3::INFINITY,
        max: Vec3::NEG_INFINITY,
    };
    for &vertex in mesh.triangles.as_flattened() {
        let position = Vec3::from(mesh.positions[vertex as usize]);
        if !position.is_finite() {
            return Err(Undrawable::Coordinate { vertex });
        }
        bounds.min = bounds.min.min(position);
        bounds.max = bounds.max.max(position);
    }
    if (bounds.max - bounds.min).is_finite() {
        Ok(bounds)
    } else {
        Err(Undrawable::Coordinate {
            vertex: mesh.triangles[0][0],
        })
    }
}

/// Smooth normals that do not break where a texture has a seam.
fn normals_across_seams(mesh: &Mesh) -> Vec<[f32; 3]> {
    let welded = weld(mesh);
    let normals = smooth_normals(&welded.positions, &welded.triangles);
    welded
        .vertex_of
        .iter()
        .map(|vertex| normals[*vertex as usize])
        .collect()
}

fn uv_box(mesh: &Mesh) -> (Vec2, Vec2) {
    let finite = mesh
        .uvs
        .iter()
        .copied()
        .map(Vec2::from)
        .filter(|uv| uv.is_finite());
    let (min, max) = finite.fold((Vec2::INFINITY, Vec2::NEG_INFINITY), |(min, max), uv| {
        (min.min(uv), max.max(uv))
    });
    if min.is_finite() && (max - min).is_finite() {
        (min, max - min)
    } else {
        (Vec2::ZERO, Vec2::ONE)
    }
}

fn mean_edge(mesh: &Mesh) -> f32 {
    let sample = mesh.triangles.len().div_ceil(4096).max(1);
    let (mut sum, mut count) = (0.0, 0);
    for triangle in mesh.triangles.iter().step_by(sample) {
        let [a, b, c] = triangle.map(|index| Vec3::from(mesh.positions[index as usize]));
        sum += f64::from(a.distance(b) + b.distance(c) + c.distance(a));
        count += 3;
    }
    (sum / f64::from(count)) as f32
}

/// A chunk before it is packed: the vertices of the mesh it uses, and its triangles.
#[derive(Default)]
struct Cut {
    vertices: Vec<u32>,
    triangles: Vec<[u16; 3]>,
}

/// Takes the triangles in their order, a new chunk whenever one is full.
fn cut(mesh: &Mesh) -> Vec<Cut> {
    let mut place = vec![NOWHERE; mesh.positions.len()];
    let mut cuts = Vec::new();
    let mut current = Cut::default();
    for triangle in &mesh.triangles {
        if current.vertices.len() + 3 > CHUNK_VERTICES || current.triangles.len() >= CHUNK_TRIANGLES
        {
            for &vertex in &current.vertices {
                place[vertex as usize] = NOWHERE;
            }
            cuts.push(std::mem::take(&mut current));
        }
        let corners = triangle.map(|vertex| {
            let place = &mut place[vertex as usize];
            if *place == NOWHERE {
                *place = current.vertices.len() as u32;
                current.vertices.push(vertex);
            }
            *place as u16
        });
        current.triangles.push(corners);
    }
    cuts.push(current);
    cuts
}

/// What packing a chunk needs to know of the whole mesh.
struct Packer<'a> {
    mesh: &'a Mesh,
    normals: &'a [[f32; 3]],
    bounds: &'a Bounds,
    surroundings: &'a Surroundings,
    uv_min: Vec2,
    uv_size: Vec2,
    painted: bool,
}

impl Packer<'_> {
    fn pack(&self, cut: Cut) -> Chunk {
        let vertices = cut
            .vertices
            .par_iter()
            .with_min_len(1024)
            .map(|vertex| self.vertex(*vertex as usize))
            .collect();
        let paint = if self.painted {
            cut.vertices
                .iter()
                .map(|vertex| self.paint(*vertex as usize))
                .collect()
        } else {
            Vec::new()
        };
        Chunk {
            vertices,
            paint,
            edges: edges(&cut.triangles),
            triangles: cut.triangles,
        }
    }

    fn vertex(&self, vertex: usize) -> Vertex {
        let position = Vec3::from(self.mesh.positions[vertex]);
        let normal = Vec3::from(self.normals[vertex]).normalize_or(Vec3::Z);
        let extent = (self.bounds.max - self.bounds.min).max(Vec3::splat(f32::MIN_POSITIVE));
        let [x, y, z] = ((position - self.bounds.min) / extent)
            .to_array()
            .map(unorm);
        Vertex {
            place: [x, y, z, unorm(self.surroundings.openness(position, normal))],
            normal: to_octahedron(normal),
        }
    }

    fn paint(&self, vertex: usize) -> Paint {
        let uv = self.mesh.uvs.get(vertex).map_or(Vec2::ZERO, |uv| {
            (Vec2::from(*uv) - self.uv_min) / self.uv_size.max(Vec2::splat(f32::MIN_POSITIVE))
        });
        Paint {
            uv: uv.to_array().map(unorm),
            colour: self.mesh.colours.get(vertex).copied().unwrap_or([255; 4]),
        }
    }
}

/// Each edge once, however many triangles have it.
fn edges(triangles: &[[u16; 3]]) -> Vec<[u16; 2]> {
    // Both ends in one number: sorting them takes half the time.
    let mut edges: Vec<u32> = triangles
        .iter()
        .flat_map(|[a, b, c]| [[*a, *b], [*b, *c], [*c, *a]])
        .map(|[from, to]| u32::from(from.min(to)) << 16 | u32::from(from.max(to)))
        .collect();
    edges.sort_unstable();
    edges.dedup();
    edges
        .into_iter()
        .map(|edge| [(edge >> 16) as u16, edge as u16])
        .collect()
}

fn unorm(part: f32) -> u16 {
    (part.clamp(0.0, 1.0) * f32::from(u16::MAX) + 0.5) as u16
}

/// Folds a direction onto an octahedron (Cigolle et al. 2014).
fn to_octahedron(normal: Vec3) -> [i16; 2] {
    let flat = normal / normal.abs().element_sum();
    let signs = Vec2::new(1.0_f32.copysign(flat.x), 1.0_f32.copysign(flat.y));
    let folded = if flat.z < 0.0 {
        (1.0 - Vec2::new(flat.y, flat.x).abs()) * signs
    } else {
        flat.truncate()
    };
    (folded * f32::from(i16::MAX))
        .to_array()
        .map(|part| part.round() as i16)
}

fn from_octahedron(packed: [i16; 2]) -> Vec3 {
    let [x, y] = packed.map(|part| (f32::from(part) / f32::from(i16::MAX)).max(-1.0));
    let z = 1.0 - x.abs() - y.abs();
    let fold = (-z).max(0.0);
    let x = if x >= 0.0 { x - fold } else { x + fold };
    let y = if y >= 0.0 { y - fold } else { y + fold };
    Vec3::new(x, y, z).normalize_or(Vec3::Z)
}
