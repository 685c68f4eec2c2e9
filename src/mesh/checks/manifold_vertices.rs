//! Rule: the faces at a vertex form one fan.

use rayon::prelude::*;

use super::degenerate::is_collapsed;
use super::edges::{Edges, ends};
use crate::mesh::weld::Welded;

/// Vertices that one thread walks around at a time.
const CHUNK: usize = 8192;

/// A vertex where parts of the surface touch in a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the faces at vertex {vertex} form {fans} fans; a manifold mesh has 1")]
pub struct NonManifoldVertex {
    /// The welded vertex.
    pub vertex: u32,
    /// How many fans of faces, not joined by an edge, meet there.
    pub fans: usize,
}

/// The non-manifold vertices of a mesh, in order.
///
/// Fans are joined across edges with two faces. The ends of an edge with more are found by the rule on
/// edges, and again here where that edge parts the fans.
pub fn non_manifold_vertices(welded: &Welded, edges: &Edges) -> Vec<NonManifoldVertex> {
    let corners = Corners::of(welded);
    let vertices = welded.positions.len();
    (0..vertices.div_ceil(CHUNK))
        .into_par_iter()
        .map(|chunk| {
            let range = chunk * CHUNK..vertices.min((chunk + 1) * CHUNK);
            range
                .filter_map(|vertex| {
                    let at = corners.at(vertex);
                    let whole = at.first().is_none_or(|first| {
                        walk_fan(welded, edges, *first as usize, |_| ()) == at.len()
                    });
                    (!whole).then(|| NonManifoldVertex {
                        vertex: vertex as u32,
                        fans: count_fans(welded, edges, at),
                    })
                })
                .collect::<Vec<_>>()
        })
        .flatten_iter()
        .collect()
}

/// The corners of faces at each vertex: corner `3 f + k` is corner `k` of face `f`.
struct Corners {
    starts: Vec<u32>,
    corners: Vec<u32>,
}

impl Corners {
    fn of(welded: &Welded) -> Self {
        let faces = || {
            (0u32..)
                .zip(&welded.triangles)
                .filter(|(_, triangle)| !is_collapsed(triangle))
        };
        let mut starts = vec![0u32; welded.positions.len() + 1];
        for vertex in faces().flat_map(|(_, triangle)| triangle) {
            starts[*vertex as usize] += 1;
        }
        let mut total = 0;
        for start in &mut starts {
            let count = *start;
            *start = total;
            total += count;
        }
        let mut next = starts.clone();
        let mut corners = vec![0; total as usize];
        for (face, triangle) in faces() {
            for (corner, vertex) in (0..).zip(triangle) {
                let slot = &mut next[*vertex as usize];
                corners[*slot as usize] = 3 * face + corner;
                *slot += 1;
            }
        }
        Self { starts, corners }
    }

    fn at(&self, vertex: usize) -> &[u32] {
        &self.corners[self.starts[vertex] as usize..self.starts[vertex + 1] as usize]
    }
}

/// Calls `visit` with every face of the fan that `corner` belongs to, and returns how many there are.
fn walk_fan(welded: &Welded, edges: &Edges, corner: usize, mut visit: impl FnMut(usize)) -> usize {
    let vertex = welded.triangles[corner / 3][corner % 3];
    // The side that leaves a corner has the corner's number; the side that arrives, the one before.
    let before = |corner: usize| corner / 3 * 3 + (corner + 2) % 3;
    let after = |corner: usize| corner / 3 * 3 + (corner + 1) % 3;
    let start = corner / 3;
    visit(start);
    let mut faces = 1;
    // One way around until the fan closes or ends, and where it ends, the other way.
    for first in [corner, before(corner)] {
        let mut leaving = first;
        while let Some(entering) = edges.opposite(leaving) {
            if entering / 3 == start {
                return faces;
            }
            visit(entering / 3);
            faces += 1;
            leaving = if ends(&welded.triangles, entering)[0] == vertex {
                before(entering)
            } else {
                after(entering)
            };
        }
    }
    faces
}

/// How many fans the corners at one vertex form.
fn count_fans(welded: &Welded, edges: &Edges, corners: &[u32]) -> usize {
    let mut in_a_fan = Vec::with_capacity(corners.len());
    let mut fans = 0;
    for corner in corners {
        let face = *corner as usize / 3;
        if in_a_fan.binary_search(&face).is_err() {
            fans += 1;
            walk_fan(welded, edges, *corner as usize, |face| in_a_fan.push(face));
            in_a_fan.sort_unstable();
        }
    }
    fans
}
