//! Measure: the connected parts of a mesh.

use super::degenerate::is_collapsed;
use super::edges::Edges;
use crate::mesh::weld::{NONE, Welded};

/// The parts of a mesh that hang together by edges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Components {
    /// How many there are.
    pub count: usize,
    /// For each face, its component, numbered by their first faces; `u32::MAX` for faces that use a vertex
    /// twice, which belong to none.
    pub of_face: Vec<u32>,
}

/// Finds the connected components: faces that share an edge belong together, faces that touch in a point
/// do not.
pub fn components(welded: &Welded, edges: &Edges) -> Components {
    let mut parents: Vec<u32> = (0..welded.triangles.len() as u32).collect();
    for edge in edges.iter() {
        let mut sides = edge.sides();
        if let Some(first) = sides.next() {
            for other in sides {
                join(&mut parents, (first / 3) as u32, (other / 3) as u32);
            }
        }
    }
    let mut count = 0;
    let mut of_face = vec![NONE; parents.len()];
    for face in 0..parents.len() {
        if is_collapsed(&welded.triangles[face]) {
            continue;
        }
        let root = find(&mut parents, face as u32) as usize;
        if root == face {
            of_face[face] = count;
            count += 1;
        } else {
            // The least face of a component is its root, so it was numbered before.
            of_face[face] = of_face[root];
        }
    }
    Components {
        count: count as usize,
        of_face,
    }
}

fn find(parents: &mut [u32], mut face: u32) -> u32 {
    while parents[face as usize] != face {
        let grandparent = parents[parents[face as usize] as usize];
        parents[face as usize] = grandparent;
        face = grandparent;
    }
    face
}

/// The lesser root wins, so that the result does not depend on the order of edges.
fn join(parents: &mut [u32], one: u32, other: u32) {
    let (one, other) = (find(parents, one), find(parents, other));
    if one < other {
        parents[other as usize] = one;
    } else {
        parents[one as usize] = other;
    }
}
