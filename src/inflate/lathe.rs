//! Step 4: solids of revolution.
//!
//! A silhouette that mirrors itself about an upright axis, with one span in nearly every row, is taken
//! for a turned object: bottle, vase, pawn. Each row becomes a disc, which the union of balls alone
//! cannot give where the profile turns sharply.

use super::{Map, REFERENCE_SIDE};

/// The least mirror overlap of a turned object.
const LEAST_OVERLAP: f32 = 0.97;
/// The least share of rows with a single span.
const LEAST_SINGLE_ROWS: f32 = 0.97;
/// How far from the centroid the axis may lie, as a share of the frame.
const AXIS_REACH: f32 = 0.06;
/// By what share smoothing may raise the squared height of balls over that of a disc (it does by less than a
/// tenth, on the steepest cones), and what is more than that.
const SMOOTHING: [f32; 2] = [0.2, 0.5];

/// The axis of a turned object and the reach of its discs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Turned {
    /// The column of the axis, in pixels.
    axis: f32,
    /// The radius of each row's disc, in pixels; 0 in rows without one.
    radii: Vec<f32>,
}

/// The span of a row inside the outline, in sub-pixel columns.
#[derive(Debug, Clone, Copy)]
struct Span {
    left: f32,
    right: f32,
}

/// Tells whether the outline is that of a turned object, and if so, of which.
pub(super) fn turned(distance: &Map) -> Option<Turned> {
    let rows: Vec<Vec<Span>> = distance
        .values
        .chunks_exact(distance.side)
        .map(spans)
        .collect();
    let filled = rows.iter().filter(|row| !row.is_empty()).count();
    let single = rows.iter().filter(|row| row.len() == 1).count();
    if filled == 0 || (single as f32) < LEAST_SINGLE_ROWS * filled as f32 {
        return None;
    }
    let (axis, overlap) = best_axis(&rows, distance.side);
    if overlap < LEAST_OVERLAP {
        return None;
    }
    let radii = rows
        .iter()
        .map(|spans| {
            spans
                .iter()
                .find(|span| span.left < axis && axis < span.right)
                .map_or(0.0, |span| (axis - span.left).min(span.right - axis))
        })
        .collect::<Vec<_>>();
    let reach = 4 * distance.side / REFERENCE_SIDE;
    Some(Turned {
        axis,
        radii: without_jitter(&radii, reach),
    })
}

/// The radii without the few hundredths of a pixel by which outlines jitter from row to row, which would
/// show as rings: a parabola through the squared radii nearby (Savitzky & Golay 1964), wherever it meets
/// them, so that spheres, cones and cylinders stay what they are, and edges stay sharp.
fn without_jitter(radii: &[f32], reach: usize) -> Vec<f32> {
    /// How far the parabola may pass from any radius it is made from, in pixels.
    const JITTER_PX: f32 = 0.12;
    let offsets = || -(reach as isize)..=reach as isize;
    let squares = |power: i32| {
        offsets()
            .map(|offset| (offset as f32).powi(power))
            .sum::<f32>()
    };
    let (s0, s2, s4) = (squares(0), squares(2), squares(4));
    let determinant = s0 * s4 - s2 * s2;
    let smoothed = |row: usize| {
        let window = radii.get(row.checked_sub(reach)?..=row + reach)?;
        let (mut t0, mut t1, mut t2) = (0.0, 0.0, 0.0);
        for (offset, radius) in offsets().zip(window) {
            let (offset, squared) = (offset as f32, radius * radius);
            t0 += squared;
            t1 += offset * squared;
            t2 += offset * offset * squared;
        }
        let constant = (s4 * t0 - s2 * t2) / determinant;
        let linear = t1 / s2;
        let quadratic = (s0 * t2 - s2 * t0) / determinant;
        let meets = offsets().zip(window).all(|(offset, radius)| {
            let offset = offset as f32;
            let fitted = constant + offset * (linear + offset * quadratic);
            *radius > 0.0 && (fitted.max(0.0).sqrt() - radius).abs() < JITTER_PX
        });
        meets.then(|| constant.max(0.0).sqrt())
    };
    (0..radii.len())
        .map(|row| smoothed(row).unwrap_or(radii[row]))
        .collect()
}

/// Raises the squared height to that of the discs.
///
/// Balls inscribed in a turned object lie within its discs. Where they are higher by no more than their
/// smoothing made them, the disc is right: the greater of two nearly equal heights would leave a crease
/// wherever they cross.
pub(super) fn raise(squared_height: &mut Map, turned: &Turned) {
    let side = squared_height.side;
    for (row, radius) in squared_height
        .values
        .chunks_exact_mut(side)
        .zip(&turned.radii)
    {
        if *radius > 0.0 {
            for (column, value) in row.iter_mut().enumerate() {
                let across = column as f32 - turned.axis;
                let disc = radius * radius - across * across;
                let higher = (*value - disc).max(0.0);
                if disc > 0.0 {
                    let [from, to] = SMOOTHING.map(|share| share * disc);
                    let t = ((higher - from) / (to - from)).clamp(0.0, 1.0);
                    *value = disc + t * t * (3.0 - 2.0 * t) * higher;
                } else {
                    // Beyond the disc, where the outline is wider on one side.
                    *value = disc + higher;
                }
            }
        }
    }
}

fn spans(row: &[f32]) -> Vec<Span> {
    let crossing = |outside: usize, inside: usize| {
        let t = row[inside] / (row[inside] - row[outside]);
        inside as f32 + t * (outside as f32 - inside as f32)
    };
    let mut spans = Vec::new();
    let mut start = None;
    for column in 0..=row.len() {
        let inside = column < row.len() && row[column] > 0.0;
        match (start, inside) {
            (None, true) => start = Some(column),
            (Some(first), false) => {
                let left = if first > 0 {
                    crossing(first - 1, first)
                } else {
                    -0.5
                };
                let right = if column < row.len() {
                    crossing(column, column - 1)
                } else {
                    column as f32 - 0.5
                };
                spans.push(Span { left, right });
                start = None;
            }
            _ => {}
        }
    }
    spans
}

/// The upright axis about which the rows mirror best, and their overlap with their mirror image.
fn best_axis(rows: &[Vec<Span>], side: usize) -> (f32, f32) {
    let (mut area, mut moment) = (0.0, 0.0);
    for span in rows.iter().flatten() {
        let width = span.right - span.left;
        area += width;
        moment += 0.5 * (span.left + span.right) * width;
    }
    let centroid = moment / area.max(f32::MIN_POSITIVE);
    let steps = (AXIS_REACH * side as f32 * 4.0) as i32;
    (-steps..=steps)
        .map(|step| centroid + 0.25 * step as f32)
        .map(|axis| (axis, overlap(rows, axis)))
        .fold(
            (centroid, 0.0),
            |best, next| if next.1 > best.1 { next } else { best },
        )
}

/// Intersection over union of the rows and their mirror image. Rows of several spans never overlap.
fn overlap(rows: &[Vec<Span>], axis: f32) -> f32 {
    let (mut shared, mut united) = (0.0, 0.0);
    for row in rows {
        if let [span] = row.as_slice() {
            let (left, right) = (2.0 * axis - span.right, 2.0 * axis - span.left);
            let width = span.right - span.left;
            let common = (right.min(span.right) - left.max(span.left)).max(0.0);
            shared += common;
            united += 2.0 * width - common;
        } else {
            united += 2.0 * row.iter().map(|span| span.right - span.left).sum::<f32>();
        }
    }
    shared / united.max(f32::MIN_POSITIVE)
}
