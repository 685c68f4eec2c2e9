//! Normalisation: a finished mesh is centred and its longest side is 1.
//!
//! Rounding must not weld: vertices at distinct positions are at distinct positions afterwards, and
//! vertices at the same position stay together to the bit.

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::Mesh;
use super::measure;
use super::weld::weld;

/// How a mesh was placed: a point `p` went to `p * scale + offset`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placement {
    /// Lengths were multiplied by this.
    pub scale: f64,
    /// Then this was added.
    pub offset: [f64; 3],
}

impl Placement {
    /// Where a point of the old frame is in the new one.
    pub fn apply(&self, point: [f32; 3]) -> [f32; 3] {
        [0, 1, 2].map(|axis| (f64::from(point[axis]) * self.scale + self.offset[axis]) as f32)
    }

    /// Where a point of the new frame was in the old one.
    pub fn invert(&self, point: [f32; 3]) -> [f32; 3] {
        [0, 1, 2].map(|axis| ((f64::from(point[axis]) - self.offset[axis]) / self.scale) as f32)
    }
}

/// A mesh has no size that could become 1.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum PlacementError {
    /// There is nothing to place.
    #[error("the mesh has no faces, so it has no size; nothing can be placed")]
    NoFaces,
    /// All faces lie in one point, or a coordinate is not finite.
    #[error("the longest side of the mesh is {longest}; it must be positive and finite")]
    NoSize {
        /// The longest side of the bounds.
        longest: f64,
    },
}

/// Centres a mesh and scales its longest side to 1.
///
/// Computed in 64 bits and rounded once. Where rounding would make distinct positions equal, one of them
/// moves to the next free number, some 10⁻⁷ of the longest side away.
///
/// # Errors
///
/// [`PlacementError`] when the bounds are empty, a point, or not finite. The mesh is then as it was.
pub fn normalise(mesh: &mut Mesh) -> Result<Placement, PlacementError> {
    let bounds = measure::bounds(mesh).ok_or(PlacementError::NoFaces)?;
    let [min, max] = [bounds.min, bounds.max].map(|corner| corner.map(f64::from));
    let sides = [0, 1, 2].map(|axis| max[axis] - min[axis]);
    let longest = sides.iter().fold(0.0f64, |longest, side| {
        if side.is_nan() {
            *side
        } else {
            longest.max(*side)
        }
    });
    let finite = mesh.positions.iter().flatten().all(|c| c.is_finite());
    if !(longest > 0.0 && longest.is_finite() && finite) {
        let longest = if finite { longest } else { f64::NAN };
        return Err(PlacementError::NoSize { longest });
    }
    let scale = longest.recip();
    let placement = Placement {
        scale,
        offset: [0, 1, 2].map(|axis| -(min[axis] + max[axis]) / 2.0 * scale),
    };

    let welded = weld(mesh);
    let mut placed: Vec<[f32; 3]> = welded
        .positions
        .par_iter()
        .map(|position| placement.apply(*position).map(|c| c + 0.0))
        .collect();
    separate(&mut placed, &welded.positions);
    for (position, vertex) in mesh.positions.iter_mut().zip(&welded.vertex_of) {
        *position = placed[*vertex as usize];
    }
    Ok(placement)
}

/// Moves positions that became equal apart again, as little as the number format allows.
fn separate(placed: &mut [[f32; 3]], original: &[[f32; 3]]) {
    let mut order: Vec<u32> = (0..placed.len() as u32).collect();
    order.par_sort_unstable_by_key(|vertex| (bits(placed[*vertex as usize]), *vertex));
    let taken: Vec<[u32; 3]> = order.iter().map(|v| bits(placed[*v as usize])).collect();

    let mut moved = BTreeSet::new();
    let mut rest = order.as_slice();
    for run in taken.chunk_by(|a, b| a == b) {
        let (vertices, after) = rest.split_at(run.len());
        rest = after;
        // Where the search along each axis has come to: what it passed is taken.
        let mut reached = [placed[vertices[0] as usize]; 3];
        for vertex in &vertices[1..] {
            let [was, now] = [vertices[0], *vertex].map(|v| original[v as usize]);
            let axis = axis_of_difference(was, now);
            let to = &mut reached[axis];
            loop {
                to[axis] = towards_centre(to[axis]);
                if taken.binary_search(&bits(*to)).is_err() && moved.insert(bits(*to)) {
                    break;
                }
            }
            placed[*vertex as usize] = *to;
        }
    }
}

fn bits(position: [f32; 3]) -> [u32; 3] {
    position.map(f32::to_bits)
}

/// The axis along which two positions differ most.
fn axis_of_difference(one: [f32; 3], other: [f32; 3]) -> usize {
    let along = |axis: usize| (f64::from(one[axis]) - f64::from(other[axis])).abs();
    (1..3).fold(0, |best, axis| {
        if along(axis) > along(best) {
            axis
        } else {
            best
        }
    })
}

/// The next number inwards, so that nothing leaves the bounds.
fn towards_centre(coordinate: f32) -> f32 {
    // From below, the last step is to −0.0, which is the same coordinate as +0.0.
    if coordinate > 0.0 {
        coordinate.next_down()
    } else {
        coordinate.next_up() + 0.0
    }
}
