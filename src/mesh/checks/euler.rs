//! Measure: the Euler characteristic.

use super::degenerate::is_collapsed;
use super::edges::Edges;
use crate::mesh::weld::Welded;

/// Vertices less edges plus faces: 2 for each sphere-like component, 2 less for each handle.
///
/// Counts welded vertices that a face uses, and leaves out faces that use a vertex twice.
pub fn euler_characteristic(welded: &Welded, edges: &Edges) -> i64 {
    let mut used = vec![false; welded.positions.len()];
    let mut faces = 0i64;
    for triangle in &welded.triangles {
        if !is_collapsed(triangle) {
            faces += 1;
            for vertex in triangle {
                used[*vertex as usize] = true;
            }
        }
    }
    let vertices = used.iter().filter(|used| **used).count() as i64;
    vertices - edges.iter().count() as i64 + faces
}
