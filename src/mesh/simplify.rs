//! Fewer faces for the same shape.
//!
//! meshoptimizer's quadric edge collapse (Garland and Heckbert, "Surface Simplification Using Quadric
//! Error Metrics", 1997) chooses the faces; what it does not promise is added here: a closed manifold mesh
//! stays one. A collapse that would pinch the surface is found afterwards, its neighbourhood is locked, and
//! the mesh is simplified again.
//!
//! Vertices are chosen, never moved, so positions, normals and texture coordinates stay as they were, and
//! seams fit to the bit.

use meshopt::{SimplifyOptions, SimplifyVertex, VertexDataAdapter};

use super::Mesh;
use super::checks::{
    Edges, misoriented_edges, non_manifold_edges, non_manifold_vertices, open_edges,
};
use super::weld::{NONE, Welded, weld};

/// How often one step is repeated with more of the mesh locked before it aims lower.
const ATTEMPTS: usize = 12;

/// How much a full change of normal, colour or texture coordinate weighs against a distance of the mesh's
/// longest side.
const NORMAL_WEIGHT: f32 = 0.5;
const UV_WEIGHT: f32 = 0.5;
const COLOUR_WEIGHT: f32 = 0.5;

/// A mesh cannot be simplified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SimplifyError {
    /// No mesh has so few faces.
    #[error("a mesh cannot be simplified to {target} faces; ask for at least 4, a tetrahedron's")]
    TargetTooLow {
        /// The faces asked for.
        target: usize,
    },
    /// A face names a vertex that does not exist, or a coordinate is not finite.
    #[error(
        "the mesh has an index out of range or a coordinate that is not finite; inspect it first"
    )]
    Invalid,
    /// An attribute has neither no values nor one for each vertex.
    #[error(
        "the mesh has {vertices} vertices but {values} {attribute}; there must be as many or none"
    )]
    AttributeLength {
        /// The attribute.
        attribute: &'static str,
        /// Its values.
        values: usize,
        /// The vertices.
        vertices: usize,
    },
    /// Simplifying was asked to stop, and did.
    #[error("cancelled")]
    Cancelled,
}

/// Reduces a mesh to at most `target_faces` faces, or to as few as it can.
///
/// Where the mesh is closed and manifold, so is the result; it may then have more faces than asked for,
/// where fewer would pinch the surface or tear a seam: compare its number of faces with the target. The
/// vertices of the result are vertices of the mesh, with all their attributes. A mesh that has no more
/// faces than asked for is returned as it is. Cancelling is noticed between passes over the mesh.
///
/// # Errors
///
/// [`SimplifyError`] when the target is below 4, the mesh is invalid, or it was cancelled.
pub fn simplify(
    mesh: &Mesh,
    target_faces: usize,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Mesh, SimplifyError> {
    if target_faces < 4 {
        return Err(SimplifyError::TargetTooLow {
            target: target_faces,
        });
    }
    validate(mesh)?;
    if mesh.triangles.len() <= target_faces {
        return Ok(mesh.clone());
    }
    let mut current = Topology::of(without_duplicates(mesh));
    // Sharp normals hold vertices apart as seams do; crossing them is the second choice.
    for options in [SimplifyOptions::None, SimplifyOptions::Permissive] {
        while current.mesh.triangles.len() > target_faces {
            let next = reduce(&current, target_faces, options, cancelled)?;
            if next.len() == current.mesh.triangles.len() {
                break;
            }
            current = Topology::of(gather(&current.mesh, &next));
        }
    }
    Ok(current.mesh)
}

fn validate(mesh: &Mesh) -> Result<(), SimplifyError> {
    let vertices = mesh.positions.len();
    for (attribute, values) in [
        ("normals", mesh.normals.len()),
        ("texture coordinates", mesh.uvs.len()),
        ("colours", mesh.colours.len()),
    ] {
        if values != 0 && values != vertices {
            return Err(SimplifyError::AttributeLength {
                attribute,
                values,
                vertices,
            });
        }
    }
    let in_range = mesh
        .triangles
        .iter()
        .flatten()
        .all(|v| (*v as usize) < vertices);
    let mut coordinates = mesh
        .positions
        .iter()
        .chain(&mesh.normals)
        .flatten()
        .chain(mesh.uvs.iter().flatten());
    if in_range && coordinates.all(|coordinate| coordinate.is_finite()) {
        Ok(())
    } else {
        Err(SimplifyError::Invalid)
    }
}

/// A mesh, what it is after welding, and whether that has to stay.
struct Topology {
    mesh: Mesh,
    welded: Welded,
    sound: bool,
}

impl Topology {
    fn of(mesh: Mesh) -> Self {
        let welded = weld(&mesh);
        let sound = offenders(&welded).is_empty();
        Self {
            mesh,
            welded,
            sound,
        }
    }
}

/// One run towards the target: the faces left, all of them where no valid step was found.
fn reduce(
    current: &Topology,
    target_faces: usize,
    options: SimplifyOptions,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Vec<[u32; 3]>, SimplifyError> {
    let faces = current.mesh.triangles.len();
    let attributes = Attributes::of(&current.mesh);
    let mut target = target_faces;
    while target < faces {
        let mut locks = protected(current, options);
        for _ in 0..ATTEMPTS {
            if cancelled() {
                return Err(SimplifyError::Cancelled);
            }
            let triangles = attributes.collapse(&current.mesh, &locks, target, options);
            let welded = Welded {
                triangles: triangles
                    .iter()
                    .map(|t| t.map(|v| current.welded.vertex_of[v as usize]))
                    .collect(),
                positions: current.welded.positions.clone(),
                ..Welded::default()
            };
            let found = offenders(&welded);
            if !current.sound || found.is_empty() {
                return Ok(triangles);
            }
            lock_stars(&mut locks, current, &found);
        }
        // Less of a step has less to go wrong.
        target += (faces - target).div_ceil(2);
    }
    Ok(current.mesh.triangles.clone())
}

/// The welded vertices at which a mesh is not a closed manifold, sorted.
fn offenders(welded: &Welded) -> Vec<u32> {
    let edges = Edges::of(welded);
    let mut found: Vec<u32> = Vec::new();
    found.extend(open_edges(&edges).iter().flat_map(|open| open.edge));
    found.extend(non_manifold_edges(&edges).iter().flat_map(|edge| edge.edge));
    found.extend(
        misoriented_edges(welded, &edges)
            .iter()
            .flat_map(|edge| edge.edge),
    );
    found.extend(
        non_manifold_vertices(welded, &edges)
            .iter()
            .map(|v| v.vertex),
    );
    // Two faces with the same corners enclose nothing, though every edge has two faces.
    let corner_sum = |face: usize| {
        welded.triangles[face]
            .iter()
            .map(|v| u64::from(*v))
            .sum::<u64>()
    };
    for side in 0..3 * welded.triangles.len() {
        if let Some(opposite) = edges.opposite(side)
            && corner_sum(side / 3) == corner_sum(opposite / 3)
        {
            found.extend(welded.triangles[side / 3]);
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Locks every vertex of the faces around the given welded vertices: what is around them stays as it is
/// in the current mesh, where it is sound.
fn lock_stars(locks: &mut [SimplifyVertex], current: &Topology, centres: &[u32]) {
    let triangles = current.mesh.triangles.iter().zip(&current.welded.triangles);
    let mut locked = vec![false; current.welded.positions.len()];
    for (_, welded) in triangles {
        if welded.iter().any(|v| centres.binary_search(v).is_ok()) {
            for vertex in welded {
                locked[*vertex as usize] = true;
            }
        }
    }
    for (lock, vertex) in locks.iter_mut().zip(&current.welded.vertex_of) {
        if locked[*vertex as usize] {
            *lock |= SimplifyVertex::Lock;
        }
    }
}

/// The seams of the texture, which stay seams even where other attributes may be crossed.
fn protected(current: &Topology, options: SimplifyOptions) -> Vec<SimplifyVertex> {
    let mut locks = vec![SimplifyVertex::None; current.mesh.positions.len()];
    if options.contains(SimplifyOptions::Permissive) && !current.mesh.uvs.is_empty() {
        for (vertex, lock) in locks.iter_mut().enumerate() {
            let welded = current.welded.vertex_of[vertex] as usize;
            let first = current.welded.first_of[welded] as usize;
            if current.mesh.uvs[vertex] != current.mesh.uvs[first] {
                *lock = SimplifyVertex::Protect;
            }
        }
    }
    locks
}

/// The attributes of each vertex side by side, as meshoptimizer reads them.
struct Attributes {
    values: Vec<f32>,
    weights: Vec<f32>,
}

impl Attributes {
    fn of(mesh: &Mesh) -> Self {
        let mut weights = Vec::new();
        if !mesh.normals.is_empty() {
            weights.extend([NORMAL_WEIGHT; 3]);
        }
        if !mesh.uvs.is_empty() {
            weights.extend([UV_WEIGHT; 2]);
        }
        if !mesh.colours.is_empty() {
            weights.extend([COLOUR_WEIGHT; 4]);
        }
        let mut values = Vec::with_capacity(mesh.positions.len() * weights.len());
        for vertex in 0..mesh.positions.len() {
            values.extend(mesh.normals.get(vertex).into_iter().flatten());
            values.extend(mesh.uvs.get(vertex).into_iter().flatten());
            let colour = mesh.colours.get(vertex).into_iter().flatten();
            values.extend(colour.map(|channel| f32::from(*channel) / 255.0));
        }
        Self { values, weights }
    }

    /// Collapses edges until at most `target` faces are left or nothing more can be collapsed. Faces that
    /// use a position twice are left out.
    fn collapse(
        &self,
        mesh: &Mesh,
        locks: &[SimplifyVertex],
        target: usize,
        options: SimplifyOptions,
    ) -> Vec<[u32; 3]> {
        let bytes = bytemuck::cast_slice(&mesh.positions);
        // Its length is a multiple of its stride, which is all that can be wrong.
        let Ok(vertices) = VertexDataAdapter::new(bytes, size_of::<[f32; 3]>(), 0) else {
            return mesh.triangles.clone();
        };
        let indices = meshopt::simplify_with_attributes_and_locks(
            mesh.triangles.as_flattened(),
            &vertices,
            &self.values,
            &self.weights,
            self.weights.len() * size_of::<f32>(),
            locks,
            target * 3,
            f32::MAX,
            options,
            None,
        );
        indices.as_chunks().0.to_vec()
    }
}

/// The mesh with vertices that agree in everything made one: only real seams are left.
fn without_duplicates(mesh: &Mesh) -> Mesh {
    #[repr(C)]
    #[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
    struct Vertex {
        position: [f32; 3],
        normal: [f32; 3],
        uv: [f32; 2],
        colour: [u8; 4],
    }
    let vertices: Vec<Vertex> = (0..mesh.positions.len())
        .map(|v| Vertex {
            // Minus zero is the same place as zero.
            position: mesh.positions[v].map(|coordinate| coordinate + 0.0),
            normal: mesh.normals.get(v).copied().unwrap_or_default(),
            uv: mesh.uvs.get(v).copied().unwrap_or_default(),
            colour: mesh.colours.get(v).copied().unwrap_or_default(),
        })
        .collect();
    let (count, remap) = meshopt::generate_vertex_remap(&vertices, None);
    let mut first = vec![NONE; count];
    for (vertex, to) in (0..).zip(&remap) {
        let first = &mut first[*to as usize];
        *first = (*first).min(vertex);
    }
    let triangles: Vec<[u32; 3]> = mesh
        .triangles
        .iter()
        .map(|triangle| triangle.map(|v| first[remap[v as usize] as usize]))
        .collect();
    gather(mesh, &triangles)
}

/// A mesh of some triangles over a mesh's vertices, with the vertices they use in the order of use.
///
/// The indices must be in range.
pub(super) fn gather(mesh: &Mesh, triangles: &[[u32; 3]]) -> Mesh {
    let mut new_of = vec![NONE; mesh.positions.len()];
    let mut used = Vec::new();
    let triangles = triangles
        .iter()
        .map(|triangle| {
            triangle.map(|old| {
                let new = &mut new_of[old as usize];
                if *new == NONE {
                    *new = used.len() as u32;
                    used.push(old as usize);
                }
                *new
            })
        })
        .collect();
    fn chosen<T: Copy>(values: &[T], used: &[usize]) -> Vec<T> {
        used.iter()
            .filter_map(|old| values.get(*old).copied())
            .collect()
    }
    Mesh {
        positions: chosen(&mesh.positions, &used),
        normals: chosen(&mesh.normals, &used),
        uvs: chosen(&mesh.uvs, &used),
        colours: chosen(&mesh.colours, &used),
        triangles,
        texture: mesh.texture.clone(),
    }
}
