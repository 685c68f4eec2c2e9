//! Step 2: the sub-pixel signed distance to the outline.
//!
//! The outline is where bilinearly read coverage passes one half, cut into one or two straight segments
//! for each square of four pixels (marching squares). Each pixel learns its nearest segment from its
//! neighbours in two sweeps (Danielsson 1980, "Euclidean distance mapping") and takes the exact distance
//! to it. Anti-aliased coverage puts the outline within some .03 px of the truth (Gustavson & Strand
//! 2011, "Anti-aliased Euclidean distance transform").

use super::{InflateError, Map};
use crate::compute::Cancel;

/// Coverage on the outline.
const HALF: f32 = 0.5;
/// No segment is known yet.
const NONE: u32 = u32::MAX;

/// The bytes that [`signed_distance`] takes while it works, beyond its result.
pub(super) fn bytes(side: usize) -> u64 {
    (side as u64).pow(2) * 8
}

/// A straight piece of the outline, in pixels; pixel centres have whole coordinates.
#[derive(Debug, Clone, Copy)]
struct Segment {
    start: [f32; 2],
    along: [f32; 2],
    /// One over the squared length; 0 for a point.
    inverse_length_squared: f32,
}

impl Segment {
    fn new(start: [f32; 2], end: [f32; 2]) -> Self {
        let along = [end[0] - start[0], end[1] - start[1]];
        let length_squared = along[0] * along[0] + along[1] * along[1];
        Self {
            start,
            along,
            inverse_length_squared: if length_squared > 1e-12 {
                length_squared.recip()
            } else {
                0.0
            },
        }
    }

    fn distance_squared(&self, x: f32, y: f32) -> f32 {
        let (dx, dy) = (x - self.start[0], y - self.start[1]);
        let dot = dx * self.along[0] + dy * self.along[1];
        let t = (dot * self.inverse_length_squared).clamp(0.0, 1.0);
        let (dx, dy) = (dx - t * self.along[0], dy - t * self.along[1]);
        dx * dx + dy * dy
    }
}

/// The distance in pixels to the outline of `alpha`: positive where more than half is covered.
///
/// # Errors
///
/// [`InflateError::NothingInside`] when no pixel is more than half covered.
pub(super) fn signed_distance(alpha: &Map, cancel: &Cancel) -> Result<Map, InflateError> {
    let mut nearest = Nearest::new(alpha.side);
    nearest.find_segments(alpha);
    if nearest.segments.is_empty() {
        return Err(InflateError::NothingInside);
    }
    nearest.sweep(false, cancel)?;
    nearest.sweep(true, cancel)?;
    let mut distance = Map {
        side: alpha.side,
        values: nearest.distance_squared,
    };
    for (distance, alpha) in distance.values.iter_mut().zip(&alpha.values) {
        *distance = distance.sqrt().copysign(alpha - HALF);
    }
    Ok(distance)
}

struct Nearest {
    side: usize,
    segments: Vec<Segment>,
    segment: Vec<u32>,
    distance_squared: Vec<f32>,
}

impl Nearest {
    fn new(side: usize) -> Self {
        Self {
            side,
            segments: Vec::new(),
            segment: vec![NONE; side * side],
            distance_squared: vec![f32::INFINITY; side * side],
        }
    }

    /// Cuts the outline into segments and tells the four pixels around each.
    fn find_segments(&mut self, alpha: &Map) {
        for row in 0..self.side - 1 {
            let upper = &alpha.values[row * self.side..][..self.side];
            let lower = &alpha.values[(row + 1) * self.side..][..self.side];
            for column in 0..self.side - 1 {
                let corners = [
                    upper[column],
                    upper[column + 1],
                    lower[column + 1],
                    lower[column],
                ];
                let inside = corners.map(|corner| corner > HALF);
                if inside.iter().any(|&is| is != inside[0]) {
                    self.add_square(column, row, corners, inside);
                }
            }
        }
    }

    fn add_square(&mut self, column: usize, row: usize, corners: [f32; 4], inside: [bool; 4]) {
        const OFFSETS: [[f32; 2]; 4] = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]];
        // Crossings in the order of the edges around the square.
        let mut crossings = [[0.0f32; 2]; 4];
        let mut count = 0;
        for edge in 0..4 {
            let next = (edge + 1) % 4;
            if inside[edge] == inside[next] {
                continue;
            }
            let t = (HALF - corners[edge]) / (corners[next] - corners[edge]);
            let at = |axis: usize, base: usize| {
                let (from, to) = (OFFSETS[edge][axis], OFFSETS[next][axis]);
                base as f32 + from + t * (to - from)
            };
            crossings[count] = [at(0, column), at(1, row)];
            count += 1;
        }
        let [a, b, c, d] = crossings;
        if count == 2 {
            self.add_segment(column, row, Segment::new(a, b));
            return;
        }
        // Two corners inside, across from each other: they join where the middle is inside.
        let middle_inside = corners.iter().sum::<f32>() > 4.0 * HALF;
        let pairs = if middle_inside == inside[0] {
            [[a, b], [c, d]]
        } else {
            [[d, a], [b, c]]
        };
        for [start, end] in pairs {
            self.add_segment(column, row, Segment::new(start, end));
        }
    }

    fn add_segment(&mut self, column: usize, row: usize, segment: Segment) {
        let name = self.segments.len() as u32;
        self.segments.push(segment);
        for (column, row) in [
            (column, row),
            (column + 1, row),
            (column, row + 1),
            (column + 1, row + 1),
        ] {
            self.offer(name, column, row);
        }
    }

    fn offer(&mut self, name: u32, column: usize, row: usize) {
        let pixel = row * self.side + column;
        if name == NONE || name == self.segment[pixel] {
            return;
        }
        let distance = self.segments[name as usize].distance_squared(column as f32, row as f32);
        if distance < self.distance_squared[pixel] {
            self.distance_squared[pixel] = distance;
            self.segment[pixel] = name;
        }
    }

    /// One sweep over the rows, downwards or upwards, each row from left to right and back.
    fn sweep(&mut self, upwards: bool, cancel: &Cancel) -> Result<(), InflateError> {
        let side = self.side;
        for step in 0..side {
            if step % 64 == 0 {
                cancel.checkpoint()?;
            }
            let row = if upwards { side - 1 - step } else { step };
            let before = if upwards {
                row + 1
            } else {
                row.wrapping_sub(1)
            };
            for column in 0..side {
                if step > 0 {
                    for neighbour in column.saturating_sub(1)..=(column + 1).min(side - 1) {
                        self.offer(self.segment[before * side + neighbour], column, row);
                    }
                }
                if column > 0 {
                    self.offer(self.segment[row * side + column - 1], column, row);
                }
            }
            for column in (0..side - 1).rev() {
                self.offer(self.segment[row * side + column + 1], column, row);
            }
        }
        Ok(())
    }
}
