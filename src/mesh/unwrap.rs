//! Texture coordinates for a mesh of any shape: cut into charts, each seen along one of the six directions of
//! the axes, side by side in a square.
//!
//! Within a chart no two faces lie over one another, and between charts there is room for a filter to reach
//! out. Never moves a vertex: a vertex on a seam occurs once a chart, with bit-identical position and
//! normal.

mod charts;
mod pack;

use super::Mesh;
use charts::Charts;
use pack::Packed;

/// Texels between a chart and the border of its place; a filter may reach so far out.
pub const GUTTER: usize = 3;
/// Parts of a texel that texture coordinates are rounded to, so that what covers which texel is exact.
pub(super) const PARTS: f64 = 256.0;
/// Overlaps are never looked for more finely than with this many texels along the longest side: the largest
/// texture has no more.
const MOST_TEXELS: f64 = 2048.0;
/// The sides a texture may have, smallest first.
const SIDES: [usize; 4] = [256, 512, 1024, 2048];

/// A mesh with texture coordinates, and the side of the square texture that they were made for.
#[derive(Debug, Clone, PartialEq)]
pub struct Unwrapped {
    /// Triangles in their number and order; vertices on seams several times. It has no texture yet.
    pub mesh: Mesh,
    /// In texels.
    pub side: usize,
}

/// The bytes that [`unwrap`] takes besides the mesh it makes, where the longest side of that is 1.
pub fn bytes(mesh: &Mesh, texels: f64) -> u64 {
    let (faces, vertices) = (mesh.triangles.len() as u64, mesh.positions.len() as u64);
    // `as` saturates.
    let covered = (texels.min(MOST_TEXELS).ceil() as u64 + 2).pow(2);
    // Edges while they are paired, neighbours, labels, charts and queue; the copies of vertices; what is
    // covered.
    faces * (3 * 16 + 12 + 12 + 16) + vertices * 8 + covered * 4
}

/// Cuts a mesh into charts and lays them out, with `texels` along a length of 1 where there is room, and as
/// many as fit otherwise; `None` once cancelled. The vertices are welded.
///
/// # Panics
///
/// Where a triangle refers to a vertex that does not exist.
pub fn unwrap(
    mesh: &Mesh,
    texels: f64,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Option<Unwrapped> {
    let charts = Charts::of(mesh, texels, cancelled)?;
    let packed = Packed::new(&charts, texels, &SIDES);
    let mut unwrapped = Mesh::default();
    unwrapped.triangles.resize(mesh.triangles.len(), [0; 3]);
    // The chart that a vertex was last copied for, and where that copy is.
    let mut copies = vec![(u32::MAX, 0); mesh.positions.len()];
    for (number, chart) in charts.all.iter().enumerate() {
        if cancelled() {
            return None;
        }
        for &face in &chart.faces {
            let triangle = mesh.triangles[face as usize].map(|vertex| {
                let vertex = vertex as usize;
                if copies[vertex].0 != number as u32 {
                    copies[vertex] = (number as u32, unwrapped.positions.len() as u32);
                    unwrapped.positions.push(mesh.positions[vertex]);
                    unwrapped.normals.extend(mesh.normals.get(vertex));
                    unwrapped.colours.extend(mesh.colours.get(vertex));
                    let uv = packed.coordinates(number, chart.seen(mesh.positions[vertex]));
                    unwrapped.uvs.push(uv);
                }
                copies[vertex].1
            });
            unwrapped.triangles[face as usize] = triangle;
        }
    }
    Some(Unwrapped {
        mesh: unwrapped,
        side: packed.side,
    })
}

/// A triangle in parts of a texel, columns to the right and rows down.
pub(super) type Placed = [[i64; 2]; 3];

/// Calls `each` with the texels whose centres a triangle covers, and with their barycentric weights.
/// Triangles that share an edge share no texel, and leave none between them. Only a triangle that faces the
/// viewer covers any.
pub(super) fn cover(triangle: Placed, mut each: impl FnMut(usize, usize, [f64; 3])) {
    let parts = PARTS as i64;
    let cross = |a: [i64; 2], b: [i64; 2], p: [i64; 2]| {
        (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])
    };
    // Counter-clockwise from outside is negative where rows run down.
    let [c, b, a] = triangle;
    let area = cross(a, b, c);
    if area <= 0 {
        return;
    }
    let range = |axis: usize| {
        let at = [a[axis], b[axis], c[axis]];
        let (least, most) = (at.iter().min(), at.iter().max());
        let first = least.map_or(0, |least| least.div_euclid(parts)).max(0);
        let last = most.map_or(-1, |most| most.div_euclid(parts));
        first..=last
    };
    // A centre on an edge belongs to the triangle that the edge is the top or left of.
    let owns = |from: [i64; 2], to: [i64; 2]| {
        let (across, down) = (to[0] - from[0], to[1] - from[1]);
        i64::from(!(down < 0 || (down == 0 && across > 0)))
    };
    let edges = [(b, c), (c, a), (a, b)];
    for row in range(1) {
        for column in range(0) {
            let centre = [column, row].map(|at| at * parts + parts / 2);
            let weights = edges.map(|(from, to)| cross(from, to, centre));
            let covered = edges
                .iter()
                .zip(weights)
                .all(|(&(from, to), weight)| weight >= owns(from, to));
            if covered {
                let [wa, wb, wc] = weights.map(|weight| weight as f64 / area as f64);
                each(column as usize, row as usize, [wc, wb, wa]);
            }
        }
    }
}
