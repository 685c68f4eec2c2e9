//! Rule: every edge has two faces.

use super::edges::Edges;

/// An edge where the surface ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("edge {edge:?} has {faces} faces; a closed mesh has 2")]
pub struct OpenEdge {
    /// Its welded vertices, the lower first.
    pub edge: [u32; 2],
    /// How many faces meet there: an odd number.
    pub faces: usize,
}

/// The open edges of a mesh, in the order of their vertices.
///
/// An odd number of faces leaves one of them without a partner, so the faces bound no solid there. An
/// even number above two closes the surface; that such an edge is not manifold is another rule's finding.
pub fn open_edges(edges: &Edges) -> Vec<OpenEdge> {
    edges
        .iter()
        .filter(|edge| edge.faces() % 2 == 1)
        .map(|edge| OpenEdge {
            edge: edge.vertices,
            faces: edge.faces(),
        })
        .collect()
}
