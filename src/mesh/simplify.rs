//! Fewer faces for the same shape.
//!
//! meshoptimizer's quadric edge collapse (Garland and Heckbert, "Surface Simplification Using Quadric
//! Error Metrics", 1997) chooses the faces; what it does not promise is added here: a closed manifold mesh
//! stays one, with its components and handles. What pinched the surface is found afterwards: the mesh is
//! simplified in smaller steps, with the neighbourhood of what went wrong locked.
//!
//! Vertices are chosen, never moved, so positions, normals and texture coordinates stay as they were, and
//! seams fit to the bit.

use meshopt::{SimplifyOptions, SimplifyVertex, VertexDataAdapter};

use super::Mesh;
use super::checks::{
    Components, Edges, components, degenerate_faces, euler_characteristic, misoriented_edges,
    non_manifold_edges, non_manifold_vertices, open_edges, volumes,
};
use super::weld::{NONE, Welded, weld};

/// How often one step is repeated with more of the mesh locked before it aims lower.
const ATTEMPTS: usize = 12;

/// How much a full change of normal, colour or texture coordinate weighs against a distance of the mesh's
/// longest side.
const NORMAL_WEIGHT: f32 = 0.5;
const UV_WEIGHT: f32 = 0.5;
const COLOUR_WEIGHT: f32 = 0.5;

/// The least share of its volume that a component keeps: with less it is a leaf, not a solid, whatever its
/// edges say.
const LEAST_VOLUME_SHARE: f64 = 0.02;

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
    // Without regular triangles, flat parts become slivers that fold over one another.
    let regular = SimplifyOptions::RegularizeLight;
    // Sharp normals hold vertices apart as seams do; crossing them is the second choice.
    for options in [regular, regular | SimplifyOptions::Permissive] {
        while current.mesh.triangles.len() > target_faces
            && let Some(next) = step(&current, target_faces, options, cancelled)?
        {
            current = next;
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

/// A mesh and what has to stay of it.
struct Topology {
    mesh: Mesh,
    welded: Welded,
    components: Components,
    euler: i64,
    /// Whether it is closed and manifold.
    sound: bool,
    /// Whether it has no faces without area.
    spread: bool,
    /// What volume each component had before it was simplified at all.
    volumes: Vec<f64>,
}

impl Topology {
    fn of(mesh: Mesh) -> Self {
        let welded = weld(&mesh);
        let edges = Edges::of(&welded);
        let components = components(&welded, &edges);
        Self {
            mesh,
            volumes: volumes(&welded, &components),
            components,
            euler: euler_characteristic(&welded, &edges),
            sound: pinched(&welded, &edges).is_empty(),
            spread: degenerate_faces(&welded).is_empty(),
            welded,
        }
    }

    /// What is left of `self` with these of its triangles, which keep every component.
    fn reduced_to(&self, triangles: &[[u32; 3]]) -> Self {
        let mut left = Self::of(gather(&self.mesh, triangles));
        let were = self.components_of(&self.welded_triangles(triangles));
        for (now, was) in left.components.of_face.iter().zip(&were.of_face) {
            if *now != NONE && *was != NONE {
                left.volumes[*now as usize] = self.volumes[*was as usize];
            }
        }
        left
    }

    /// Triangles over the mesh's vertices as triangles over welded ones.
    fn welded_triangles(&self, triangles: &[[u32; 3]]) -> Vec<[u32; 3]> {
        let vertex_of = &self.welded.vertex_of;
        let welded = triangles.iter();
        welded
            .map(|triangle| triangle.map(|v| vertex_of[v as usize]))
            .collect()
    }

    /// The components to which the first vertices of welded triangles belong.
    fn components_of(&self, triangles: &[[u32; 3]]) -> Components {
        let mut of_vertex = vec![NONE; self.welded.positions.len()];
        let faces = self.welded.triangles.iter();
        for (triangle, component) in faces.zip(&self.components.of_face) {
            for vertex in triangle {
                of_vertex[*vertex as usize] = *component;
            }
        }
        let of_face = triangles
            .iter()
            .map(|[first, ..]| of_vertex[*first as usize]);
        Components {
            count: self.components.count,
            of_face: of_face.collect(),
        }
    }

    fn faces(&self) -> usize {
        self.mesh.triangles.len()
    }
}

/// One step towards the target; `None` where none is found that leaves fewer faces and the same topology.
fn step(
    current: &Topology,
    target: usize,
    options: SimplifyOptions,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Option<Topology>, SimplifyError> {
    let collapse = Collapse::of(current, options);
    let attempt = |locks: &[SimplifyVertex], aim| {
        if cancelled() {
            return Err(SimplifyError::Cancelled);
        }
        let triangles = collapse.run(locks, aim);
        let wrong = if current.sound {
            wrongs(current, &triangles)
        } else {
            Wrongs::default()
        };
        Ok((triangles, wrong))
    };
    let result = |triangles: Vec<[u32; 3]>| {
        let fewer = triangles.len() < current.faces();
        Ok(fewer.then(|| current.reduced_to(&triangles)))
    };

    // Straight to the target, or as near to it as goes well: quadrics know more of the original the fewer
    // steps there are.
    let mut aim = target;
    while aim <= current.faces() / 2 || aim == target {
        let (triangles, wrong) = attempt(&collapse.locks, aim)?;
        if wrong.is_none() {
            return result(triangles);
        }
        aim = aim.saturating_mul(2);
    }
    // With few faces to go, around what goes wrong.
    aim = target.max(current.faces() / 2);
    while aim < current.faces() {
        let mut locks = collapse.locks.clone();
        for _ in 0..ATTEMPTS {
            let (triangles, wrong) = attempt(&locks, aim)?;
            if wrong.is_none() {
                return result(triangles);
            }
            if !lock(&mut locks, current, &wrong) {
                break;
            }
        }
        aim += (current.faces() - aim).div_ceil(2);
    }
    Ok(None)
}

/// What is wrong with the faces that a collapse left.
#[derive(Default)]
struct Wrongs {
    /// The welded vertices where it is, sorted.
    vertices: Vec<u32>,
    /// The components of which nothing is left.
    components: Vec<u32>,
    /// Whether handles or components were lost, wherever that was.
    topology: bool,
    /// Whether a component fell flat or turned inside out.
    flattened: bool,
}

impl Wrongs {
    fn is_none(&self) -> bool {
        self.vertices.is_empty() && self.components.is_empty() && !self.topology && !self.flattened
    }
}

fn wrongs(current: &Topology, triangles: &[[u32; 3]]) -> Wrongs {
    let welded = Welded {
        triangles: current.welded_triangles(triangles),
        positions: current.welded.positions.clone(),
        ..Welded::default()
    };
    let edges = Edges::of(&welded);
    let mut vertices = pinched(&welded, &edges);
    if current.spread {
        vertices.extend(
            degenerate_faces(&welded)
                .iter()
                .flat_map(|face| face.corners),
        );
        vertices.sort_unstable();
        vertices.dedup();
    }
    let left = components(&welded, &edges).count;
    let mut lost = Vec::new();
    if left != current.components.count {
        let mut is_left = vec![false; welded.positions.len()];
        for vertex in welded.triangles.as_flattened() {
            is_left[*vertex as usize] = true;
        }
        let mut has_left = vec![false; current.components.count];
        let faces = current.welded.triangles.iter();
        for (triangle, component) in faces.zip(&current.components.of_face) {
            if *component != NONE && triangle.iter().any(|v| is_left[*v as usize]) {
                has_left[*component as usize] = true;
            }
        }
        let numbers = (0..).zip(has_left);
        lost.extend(numbers.filter_map(|(component, left)| (!left).then_some(component)));
    }
    Wrongs {
        vertices,
        components: lost,
        topology: left != current.components.count
            || euler_characteristic(&welded, &edges) != current.euler,
        flattened: flattened(current, &welded),
    }
}

/// Whether a component has lost nearly all of its volume, or its sign.
fn flattened(current: &Topology, welded: &Welded) -> bool {
    let components = current.components_of(&welded.triangles);
    let left = volumes(welded, &components);
    current
        .volumes
        .iter()
        .zip(left)
        .any(|(full, left)| left * full.signum() < LEAST_VOLUME_SHARE * full.abs())
}

/// The welded vertices at which a mesh is not a closed manifold, sorted.
fn pinched(welded: &Welded, edges: &Edges) -> Vec<u32> {
    let mut found: Vec<u32> = Vec::new();
    found.extend(open_edges(edges).iter().flat_map(|open| open.edge));
    found.extend(non_manifold_edges(edges).iter().flat_map(|edge| edge.edge));
    found.extend(
        misoriented_edges(welded, edges)
            .iter()
            .flat_map(|edge| edge.edge),
    );
    found.extend(
        non_manifold_vertices(welded, edges)
            .iter()
            .map(|v| v.vertex),
    );
    // Two faces with the same corners enclose nothing, though every edge has two faces.
    let apex = |side: usize| welded.triangles[side / 3][(side + 2) % 3];
    for side in 0..3 * welded.triangles.len() {
        if let Some(opposite) = edges.opposite(side)
            && apex(side) == apex(opposite)
        {
            found.extend(welded.triangles[side / 3]);
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Locks every vertex of the faces around what is wrong, and of lost components: there the mesh stays as
/// it is now, which is sound. Returns whether that locked anything more.
fn lock(locks: &mut [SimplifyVertex], current: &Topology, wrong: &Wrongs) -> bool {
    let mut locked = vec![false; current.welded.positions.len()];
    let faces = current.welded.triangles.iter();
    for (triangle, component) in faces.zip(&current.components.of_face) {
        if wrong.components.binary_search(component).is_ok()
            || triangle
                .iter()
                .any(|v| wrong.vertices.binary_search(v).is_ok())
        {
            for vertex in triangle {
                locked[*vertex as usize] = true;
            }
        }
    }
    let mut more = false;
    for (lock, vertex) in locks.iter_mut().zip(&current.welded.vertex_of) {
        if locked[*vertex as usize] && !lock.contains(SimplifyVertex::Lock) {
            *lock |= SimplifyVertex::Lock;
            more = true;
        }
    }
    more
}

/// The seams of the texture, which stay seams even where other attributes may be crossed.
fn texture_seams(current: &Topology) -> Vec<SimplifyVertex> {
    let mesh = &current.mesh;
    let mut locks = vec![SimplifyVertex::None; mesh.positions.len()];
    for ((lock, uv), vertex) in locks
        .iter_mut()
        .zip(&mesh.uvs)
        .zip(&current.welded.vertex_of)
    {
        let first = current.welded.first_of[*vertex as usize];
        if *uv != mesh.uvs[first as usize] {
            *lock = SimplifyVertex::Protect;
        }
    }
    locks
}

/// A mesh as meshoptimizer's simplifier reads it.
struct Collapse<'a> {
    mesh: &'a Mesh,
    options: SimplifyOptions,
    /// What holds before anything went wrong.
    locks: Vec<SimplifyVertex>,
    /// The attributes of each vertex side by side.
    attributes: Vec<f32>,
    weights: Vec<f32>,
}

impl<'a> Collapse<'a> {
    fn of(current: &'a Topology, options: SimplifyOptions) -> Self {
        let mesh = &current.mesh;
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
        let mut attributes = Vec::with_capacity(mesh.positions.len() * weights.len());
        for vertex in 0..mesh.positions.len() {
            attributes.extend(mesh.normals.get(vertex).into_iter().flatten());
            attributes.extend(mesh.uvs.get(vertex).into_iter().flatten());
            let colour = mesh.colours.get(vertex).into_iter().flatten();
            attributes.extend(colour.map(|channel| f32::from(*channel) / 255.0));
        }
        Self {
            mesh,
            options,
            locks: texture_seams(current),
            attributes,
            weights,
        }
    }

    /// Collapses edges until at most `target` faces are left or nothing more can be collapsed.
    fn run(&self, locks: &[SimplifyVertex], target: usize) -> Vec<[u32; 3]> {
        let bytes = bytemuck::cast_slice(&self.mesh.positions);
        let Ok(vertices) = VertexDataAdapter::new(bytes, size_of::<[f32; 3]>(), 0) else {
            // Only a length that is no multiple of the stride is refused, and this one is.
            return self.mesh.triangles.clone();
        };
        let indices = meshopt::simplify_with_attributes_and_locks(
            self.mesh.triangles.as_flattened(),
            &vertices,
            &self.attributes,
            &self.weights,
            self.weights.len() * size_of::<f32>(),
            locks,
            target.saturating_mul(3),
            f32::MAX,
            self.options,
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
