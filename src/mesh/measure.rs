//! Volume, area and bounds of a mesh.
//!
//! Sums are of 64-bit terms over chunks of fixed size, added in order, so that they do not depend on the
//! number of threads. Triangles with an index out of range count for nothing.

use glam::DVec3;
use rayon::prelude::*;

use super::Mesh;
use crate::field::Region;

/// Triangles summed by one thread at a time.
const CHUNK: usize = 8192;

/// The signed volume, in cubic units of the positions: positive where triangles are counter-clockwise
/// seen from outside.
///
/// By the divergence theorem a sum of signed tetrahedra over the triangles. It means something for closed
/// meshes only.
pub fn volume(mesh: &Mesh) -> f64 {
    // Tetrahedra from a point of the mesh instead of the origin, so that a mesh far away loses nothing.
    let apex = mesh.positions.first().map_or(DVec3::ZERO, |p| to_f64(*p));
    sum(mesh, |[a, b, c]| {
        (a - apex).dot((b - apex).cross(c - apex)) / 6.0
    })
}

/// The area of all triangles, in square units of the positions.
pub fn area(mesh: &Mesh) -> f64 {
    sum(mesh, |[a, b, c]| (b - a).cross(c - a).length() / 2.0)
}

/// The smallest box that contains every triangle; `None` without triangles.
///
/// Vertices that no triangle uses are not part of the surface.
pub fn bounds(mesh: &Mesh) -> Option<Region> {
    // The order of minima and maxima does not matter once −0.0 is gone, so threads may take what they like.
    mesh.triangles
        .par_iter()
        .with_min_len(CHUNK)
        .filter_map(|triangle| corners(mesh, triangle))
        .map(|corners| corners.map(|corner| corner.map(|coordinate| coordinate + 0.0)))
        .map(|[a, b, c]| Region {
            min: [0, 1, 2].map(|axis| a[axis].min(b[axis]).min(c[axis])),
            max: [0, 1, 2].map(|axis| a[axis].max(b[axis]).max(c[axis])),
        })
        .reduce_with(|one, other| Region {
            min: [0, 1, 2].map(|axis| one.min[axis].min(other.min[axis])),
            max: [0, 1, 2].map(|axis| one.max[axis].max(other.max[axis])),
        })
}

/// The positions of a triangle's corners; `None` where an index is out of range.
fn corners(mesh: &Mesh, triangle: &[u32; 3]) -> Option<[[f32; 3]; 3]> {
    let corner = |index: u32| mesh.positions.get(index as usize).copied();
    Some([
        corner(triangle[0])?,
        corner(triangle[1])?,
        corner(triangle[2])?,
    ])
}

fn sum(mesh: &Mesh, term: impl Fn([DVec3; 3]) -> f64 + Sync) -> f64 {
    let partial_sums: Vec<f64> = mesh
        .triangles
        .par_chunks(CHUNK)
        .map(|chunk| {
            chunk
                .iter()
                .filter_map(|triangle| corners(mesh, triangle))
                .map(|corners| term(corners.map(to_f64)))
                .sum()
        })
        .collect();
    partial_sums.iter().sum()
}

/// A position in 64 bits.
pub(super) fn to_f64(position: [f32; 3]) -> DVec3 {
    DVec3::from(position.map(f64::from))
}
