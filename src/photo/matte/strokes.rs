//! The user's brush strokes, drawn into a grid of any size.

use super::super::Photo;
use super::MatteError;

/// A brush stroke over a photo that puts pixels on one side for certain.
#[derive(Debug, Clone, PartialEq)]
pub struct Stroke {
    /// Whether the pixels belong to the subject; otherwise to the background.
    pub keep: bool,
    /// The brush's radius in pixels of the photo. A stroke whose radius is not finite or is negative
    /// draws nothing.
    pub radius_px: f32,
    /// The brush's way in pixels of the photo, columns then rows, from the top left corner; one point
    /// makes a dot. Points that are not finite are left out.
    pub points: Vec<[f32; 2]>,
}

/// The part of a grid that one stroke covers.
struct Footprint {
    left: usize,
    top: usize,
    width: usize,
    /// Coverage in `0.0..=1.0`, rows from the top.
    coverage: Vec<f32>,
}

/// Calls `visit(keep, pixel, coverage)` for every pixel of a `width` × `height` grid over `photo` that
/// a stroke covers, stroke after stroke. A brush is at least `least_radius` grid pixels wide.
fn visit_covered(
    strokes: &[Stroke],
    photo: &Photo,
    [width, height]: [usize; 2],
    least_radius: f32,
    cancelled: &(dyn Fn() -> bool + Sync),
    mut visit: impl FnMut(bool, usize, f32),
) -> Result<(), MatteError> {
    let scale = [
        width as f32 / photo.width as f32,
        height as f32 / photo.height as f32,
    ];
    for stroke in strokes {
        let radius = (stroke.radius_px * 0.5 * (scale[0] + scale[1])).max(least_radius);
        if !stroke.radius_px.is_finite() || stroke.radius_px < 0.0 {
            continue;
        }
        let points: Vec<[f32; 2]> = stroke
            .points
            .iter()
            .map(|point| [point[0] * scale[0], point[1] * scale[1]])
            .filter(|point| point.iter().all(|value| value.is_finite()))
            .collect();
        let Some(footprint) = footprint(&points, radius, [width, height], cancelled)? else {
            continue;
        };
        for (i, &coverage) in footprint.coverage.iter().enumerate() {
            if coverage > 0.0 {
                let x = footprint.left + i % footprint.width;
                let y = footprint.top + i / footprint.width;
                visit(stroke.keep, y * width + x, coverage);
            }
        }
    }
    Ok(())
}

/// `None` where the stroke lies outside the grid.
fn footprint(
    points: &[[f32; 2]],
    radius: f32,
    size: [usize; 2],
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Option<Footprint>, MatteError> {
    let Some(bounds) = covered(points, radius, size) else {
        return Ok(None);
    };
    let [left, top, right, bottom] = bounds;
    let width = right - left;
    let mut coverage = vec![0.0_f32; width * (bottom - top)];
    for (i, &start) in points.iter().enumerate() {
        // The last point of several only ends the segment before it.
        let end = match points.get(i + 1) {
            Some(&end) => end,
            None if points.len() > 1 => break,
            None => start,
        };
        if cancelled() {
            return Err(MatteError::Cancelled);
        }
        let Some([x0, y0, x1, y1]) = covered(&[start, end], radius, size) else {
            continue;
        };
        for y in y0..y1 {
            for x in x0..x1 {
                let distance = distance_to_segment([x as f32 + 0.5, y as f32 + 0.5], start, end);
                let here = (radius + 0.5 - distance).clamp(0.0, 1.0);
                let cell = &mut coverage[(y - top) * width + x - left];
                *cell = cell.max(here);
            }
        }
    }
    Ok(Some(Footprint {
        left,
        top,
        width,
        coverage,
    }))
}

/// Left, top, right and bottom (the last two exclusive) of what a brush along `points` may cover.
fn covered(points: &[[f32; 2]], radius: f32, size: [usize; 2]) -> Option<[usize; 4]> {
    let reach = radius + 1.0;
    let mut bounds = [0; 4];
    for axis in 0..2 {
        let least = points.iter().map(|p| p[axis]).fold(f32::INFINITY, f32::min);
        let most = points
            .iter()
            .map(|p| p[axis])
            .fold(f32::NEG_INFINITY, f32::max);
        let limit = size[axis] as f32;
        // Float to integer casts saturate.
        bounds[axis] = (least - reach).floor().clamp(0.0, limit) as usize;
        bounds[axis + 2] = (most + reach).ceil().clamp(0.0, limit) as usize;
    }
    (bounds[0] < bounds[2] && bounds[1] < bounds[3]).then_some(bounds)
}

fn distance_to_segment(point: [f32; 2], start: [f32; 2], end: [f32; 2]) -> f32 {
    let along = [end[0] - start[0], end[1] - start[1]];
    let from = [point[0] - start[0], point[1] - start[1]];
    let length_squared = along[0] * along[0] + along[1] * along[1];
    let t = if length_squared > 0.0 {
        ((from[0] * along[0] + from[1] * along[1]) / length_squared).clamp(0.0, 1.0)
    } else {
        0.0
    };
    let [x, y] = [from[0] - t * along[0], from[1] - t * along[1]];
    x.hypot(y)
}

/// What the strokes decide at each pixel of a `width` × `height` grid; a later stroke overrules.
///
/// However thin a brush is, it decides the pixels that it passes.
pub(super) fn seeds(
    strokes: &[Stroke],
    photo: &Photo,
    size: [usize; 2],
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Vec<Option<bool>>, MatteError> {
    let mut seeds = vec![None; size[0] * size[1]];
    visit_covered(
        strokes,
        photo,
        size,
        0.71,
        cancelled,
        |keep, i, coverage| {
            if coverage >= 0.5 {
                seeds[i] = Some(keep);
            }
        },
    )?;
    Ok(seeds)
}

/// Paints the strokes over a matte: 1 where they keep, 0 where they leave out, with smooth rims.
pub(super) fn paint(
    strokes: &[Stroke],
    photo: &Photo,
    size: [usize; 2],
    alpha: &mut [f32],
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<(), MatteError> {
    visit_covered(strokes, photo, size, 0.0, cancelled, |keep, i, coverage| {
        let target = if keep { 1.0 } else { 0.0 };
        alpha[i] += coverage * (target - alpha[i]);
    })
}
