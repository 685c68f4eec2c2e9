//! Whether a mesh is a sound solid: one file a rule.
//!
//! Each rule is a function from the welded mesh to the offenders it found, and knows nothing of the
//! others. [`inspect`] applies all of them. Checks never change a mesh.

pub mod closed;
pub mod components;
pub mod degenerate;
pub mod edges;
pub mod euler;
pub mod manifold_edges;
pub mod manifold_vertices;
pub mod orientation;
pub mod outward;
pub mod self_intersection;
mod triangle_pair;

pub use closed::{OpenEdge, open_edges};
pub use components::{Components, components};
pub use degenerate::{DegenerateFace, degenerate_faces};
pub use edges::{Edge, Edges};
pub use euler::euler_characteristic;
pub use manifold_edges::{NonManifoldEdge, non_manifold_edges};
pub use manifold_vertices::{NonManifoldVertex, non_manifold_vertices};
pub use orientation::{MisorientedEdge, misoriented_edges};
pub(super) use outward::volumes;
pub use outward::{InsideOut, inside_out};
pub use self_intersection::{IntersectingFaces, SelfIntersections, self_intersections};

use serde::{Serialize, Serializer};

use super::Mesh;
use super::measure;
use super::weld::{Welded, weld};
use crate::field::Region;

/// A mesh cannot be checked.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum CheckError {
    /// There is nothing to check.
    #[error("the mesh has no faces; there is nothing to check")]
    NoFaces,
    /// A face names a vertex that does not exist.
    #[error("face {face} uses vertex {vertex}, but the mesh has {vertices}; the file is damaged")]
    IndexOutOfRange {
        /// The face.
        face: usize,
        /// The vertex it names.
        vertex: u32,
        /// How many there are.
        vertices: usize,
    },
    /// A position is infinite or not a number.
    #[error("vertex {vertex} is at {position:?}; every coordinate must be finite")]
    NotFinite {
        /// The vertex.
        vertex: usize,
        /// Its position.
        position: [f32; 3],
    },
    /// The sides of the faces cannot be numbered in 32 bits.
    #[error("the mesh has {faces} faces; at most {limit} can be checked", limit = MAX_FACES)]
    TooManyFaces {
        /// How many there are.
        faces: usize,
    },
    /// The check was asked to stop, and did.
    #[error("cancelled")]
    Cancelled,
}

/// Each face has 3 sides, numbered below `u32::MAX`.
const MAX_FACES: usize = u32::MAX as usize / 3;

/// What the checks found.
///
/// Edges and vertices of offenders are numbered as in [`Welded`]. Lengths are in the unit of the mesh.
/// Serialised, lists of offenders become their lengths, and volume, area and bounds are left to the caller,
/// who knows the unit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The vertices of the mesh as it is stored, seams counted as often as they occur.
    pub vertices: usize,
    /// The faces of the mesh.
    pub faces: usize,
    /// Whether the surface ends nowhere.
    pub closed: bool,
    /// Whether no edge has more than two faces and the faces at every vertex form one fan.
    pub manifold: bool,
    /// Whether neighbouring faces agree about which side is out.
    pub oriented: bool,
    /// Whether the mesh is closed and oriented, its solids facing out and its cavities in.
    pub outward: bool,
    /// The parts that hang together by edges.
    pub components: usize,
    /// Vertices less edges plus faces, after welding.
    pub euler: i64,
    /// How many pairs of faces intersect; `None` where it was not looked for ([`quick`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_intersections: Option<usize>,
    /// Where the surface ends.
    #[serde(serialize_with = "count")]
    pub open_edges: Vec<OpenEdge>,
    /// Edges with more than two faces.
    #[serde(serialize_with = "count")]
    pub non_manifold_edges: Vec<NonManifoldEdge>,
    /// Vertices where parts of the surface touch in a point.
    #[serde(serialize_with = "count")]
    pub non_manifold_vertices: Vec<NonManifoldVertex>,
    /// Edges whose faces do not face the same side.
    #[serde(serialize_with = "count")]
    pub misoriented_edges: Vec<MisorientedEdge>,
    /// Faces without area.
    #[serde(serialize_with = "count")]
    pub degenerate_faces: Vec<DegenerateFace>,
    /// The signed volume.
    #[serde(skip)]
    pub volume: f64,
    /// The area of all faces.
    #[serde(skip)]
    pub area: f64,
    /// The box around all faces.
    #[serde(skip)]
    pub bounds: Region,
}

fn count<T, S: Serializer>(offenders: &[T], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(offenders.len() as u64)
}

/// Applies every rule to a mesh.
///
/// # Errors
///
/// [`CheckError`] when the mesh has no faces or too many, when an index or a position is invalid, and when
/// it was cancelled.
pub fn inspect(mesh: &Mesh, cancelled: &(dyn Fn() -> bool + Sync)) -> Result<Report, CheckError> {
    let (mut report, welded) = topology(mesh, cancelled)?;
    report.self_intersections = Some(self_intersections(&welded, cancelled)?.count);
    Ok(report)
}

/// Applies every rule but the one on self-intersections, which takes longer than all others together.
///
/// # Errors
///
/// As [`inspect`], but it cannot be cancelled.
pub fn quick(mesh: &Mesh) -> Result<Report, CheckError> {
    topology(mesh, &|| false).map(|(report, _)| report)
}

fn topology(
    mesh: &Mesh,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<(Report, Welded), CheckError> {
    let checkpoint = || {
        if cancelled() {
            Err(CheckError::Cancelled)
        } else {
            Ok(())
        }
    };
    checkpoint()?;
    let bounds = validate(mesh)?;
    let welded = weld(mesh);
    checkpoint()?;
    let edges = Edges::of(&welded);
    checkpoint()?;
    let open_edges = open_edges(&edges);
    let non_manifold_edges = non_manifold_edges(&edges);
    let misoriented_edges = misoriented_edges(&welded, &edges);
    checkpoint()?;
    let non_manifold_vertices = non_manifold_vertices(&welded, &edges);
    checkpoint()?;
    let components = components(&welded, &edges);
    checkpoint()?;

    let closed = open_edges.is_empty();
    let oriented = misoriented_edges.is_empty();
    let report = Report {
        vertices: mesh.positions.len(),
        faces: mesh.triangles.len(),
        closed,
        manifold: non_manifold_edges.is_empty() && non_manifold_vertices.is_empty(),
        oriented,
        outward: closed && oriented && inside_out(&welded, &components).is_empty(),
        components: components.count,
        euler: euler_characteristic(&welded, &edges),
        self_intersections: None,
        open_edges,
        non_manifold_edges,
        non_manifold_vertices,
        misoriented_edges,
        degenerate_faces: degenerate_faces(&welded),
        volume: measure::volume(mesh),
        area: measure::area(mesh),
        bounds,
    };
    Ok((report, welded))
}

/// Refuses what the rules cannot work on, and returns the bounds.
fn validate(mesh: &Mesh) -> Result<Region, CheckError> {
    let vertices = mesh.positions.len();
    if mesh.triangles.len() > MAX_FACES {
        return Err(CheckError::TooManyFaces {
            faces: mesh.triangles.len(),
        });
    }
    for (face, triangle) in mesh.triangles.iter().enumerate() {
        if let Some(vertex) = triangle.iter().find(|v| **v as usize >= vertices) {
            return Err(CheckError::IndexOutOfRange {
                face,
                vertex: *vertex,
                vertices,
            });
        }
    }
    for (vertex, position) in mesh.positions.iter().enumerate() {
        if !position.iter().all(|coordinate| coordinate.is_finite()) {
            return Err(CheckError::NotFinite {
                vertex,
                position: *position,
            });
        }
    }
    measure::bounds(mesh).ok_or(CheckError::NoFaces)
}
