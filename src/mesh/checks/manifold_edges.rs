//! Rule: no edge has more than two faces.

use super::edges::Edges;

/// An edge where more than two faces meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("edge {edge:?} has {faces} faces; a manifold mesh has at most 2")]
pub struct NonManifoldEdge {
    /// Its welded vertices, the lower first.
    pub edge: [u32; 2],
    /// How many faces meet there.
    pub faces: usize,
}

/// The non-manifold edges of a mesh, in the order of their vertices.
pub fn non_manifold_edges(edges: &Edges) -> Vec<NonManifoldEdge> {
    edges
        .iter()
        .filter(|edge| edge.faces() > 2)
        .map(|edge| NonManifoldEdge {
            edge: edge.vertices,
            faces: edge.faces(),
        })
        .collect()
}
