//! Rule: neighbouring faces run along their common edge in opposite directions.

use super::edges::Edges;
use crate::mesh::weld::Welded;

/// An edge whose faces do not face the same side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{forward} of the {faces} faces at edge {edge:?} run forward along it; it should be half of them"
)]
pub struct MisorientedEdge {
    /// Its welded vertices, the lower first.
    pub edge: [u32; 2],
    /// How many faces meet there.
    pub faces: usize,
    /// How many of them run from the lower vertex to the higher.
    pub forward: usize,
}

/// The edges with inconsistent orientation, in the order of their vertices.
///
/// Edges with an odd number of faces are left to the rule on closedness.
pub fn misoriented_edges(welded: &Welded, edges: &Edges) -> Vec<MisorientedEdge> {
    edges
        .iter()
        .filter(|edge| edge.faces() % 2 == 0)
        .map(|edge| MisorientedEdge {
            edge: edge.vertices,
            faces: edge.faces(),
            forward: edge.forward(&welded.triangles),
        })
        .filter(|edge| 2 * edge.forward != edge.faces)
        .collect()
}
