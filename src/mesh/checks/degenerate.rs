//! Rule: every face has an area.

use crate::mesh::weld::Welded;
use glam::DVec3;

/// A face without area.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("face {face} has no area: its corners {corners:?} lie on a line")]
pub struct DegenerateFace {
    /// The face.
    pub face: u32,
    /// Its welded vertices; two are equal where corners coincide.
    pub corners: [u32; 3],
}

/// The faces without area, in order: two corners coincide, or all three lie on a line.
pub fn degenerate_faces(welded: &Welded) -> Vec<DegenerateFace> {
    (0..)
        .zip(&welded.triangles)
        .filter(|(_, triangle)| is_collapsed(triangle) || is_flat(welded, triangle))
        .map(|(face, triangle)| DegenerateFace {
            face,
            corners: *triangle,
        })
        .collect()
}

/// Whether a face uses a vertex twice.
pub(in crate::mesh) fn is_collapsed(triangle: &[u32; 3]) -> bool {
    let [a, b, c] = triangle;
    a == b || b == c || c == a
}

/// Whether the corners lie on a line: differences of 32-bit coordinates and their products are exact in
/// 64 bits unless magnitudes differ widely.
fn is_flat(welded: &Welded, triangle: &[u32; 3]) -> bool {
    let [a, b, c] = triangle.map(|v| DVec3::from(welded.positions[v as usize].map(f64::from)));
    (b - a).cross(c - a) == DVec3::ZERO
}
