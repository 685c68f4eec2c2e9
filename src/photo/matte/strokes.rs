//! The user's brush strokes, drawn into a grid of any size.

use super::super::Photo;
use super::MatteError;

/// A brush stroke over a photo, or a region of it, that puts pixels on one side for certain.
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
    /// Whether the way is closed, from its last point to its first, and what it goes around is covered
    /// too. Where it crosses itself, what it goes around an even number of times is not.
    pub filled: bool,
}

impl Stroke {
    /// The rectangle between two opposite corners, in pixels of the photo.
    pub fn rectangle(keep: bool, from: [f32; 2], to: [f32; 2]) -> Self {
        Self {
            keep,
            radius_px: 0.0,
            points: vec![from, [to[0], from[1]], to, [from[0], to[1]]],
            filled: true,
        }
    }
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
        let way = Way {
            points: &points,
            radius,
            filled: stroke.filled && points.len() > 2,
        };
        let Some(footprint) = footprint(&way, [width, height], cancelled)? else {
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

/// A stroke in pixels of a grid.
struct Way<'a> {
    points: &'a [[f32; 2]],
    radius: f32,
    /// Whether it is closed and what it goes around is covered.
    filled: bool,
}

impl Way<'_> {
    /// Its parts from point to point; a single point is a part without a length.
    fn segments(&self) -> impl Iterator<Item = ([f32; 2], [f32; 2])> {
        let joined = self.points.windows(2).map(|ends| (ends[0], ends[1]));
        let (first, last) = (self.points.first(), self.points.last());
        let closing = first.zip(last).map(|(first, last)| (*last, *first));
        joined.chain(closing.filter(|_| self.filled || self.points.len() == 1))
    }
}

/// `None` where the stroke lies outside the grid.
fn footprint(
    way: &Way<'_>,
    size: [usize; 2],
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Option<Footprint>, MatteError> {
    let Some(bounds) = covered(way.points, way.radius, size) else {
        return Ok(None);
    };
    let [left, top, right, bottom] = bounds;
    let width = right - left;
    let mut distances = vec![f32::INFINITY; width * (bottom - top)];
    for (start, end) in way.segments() {
        if cancelled() {
            return Err(MatteError::Cancelled);
        }
        let Some([x0, y0, x1, y1]) = covered(&[start, end], way.radius, size) else {
            continue;
        };
        for y in y0..y1 {
            for x in x0..x1 {
                let distance = distance_to_segment([x as f32 + 0.5, y as f32 + 0.5], start, end);
                let nearest = &mut distances[(y - top) * width + x - left];
                *nearest = nearest.min(distance);
            }
        }
    }
    if way.filled {
        for (row, distances) in distances.chunks_mut(width).enumerate() {
            if cancelled() {
                return Err(MatteError::Cancelled);
            }
            for columns in inner_columns(way, (top + row) as f32 + 0.5) {
                let place = |x: f32| ((x - left as f32 - 0.5).ceil().max(0.0) as usize).min(width);
                let inside = place(columns[0])..place(columns[1]).max(place(columns[0]));
                for distance in &mut distances[inside] {
                    *distance = -*distance;
                }
            }
        }
    }
    let coverage = distances
        .into_iter()
        .map(|distance| (way.radius + 0.5 - distance).clamp(0.0, 1.0))
        .collect();
    Ok(Some(Footprint {
        left,
        top,
        width,
        coverage,
    }))
}

/// Where a row at height `y` is inside a closed way, from column to column.
fn inner_columns(way: &Way<'_>, y: f32) -> Vec<[f32; 2]> {
    let mut crossings: Vec<f32> = way
        .segments()
        .filter(|(start, end)| (start[1] <= y) != (end[1] <= y))
        .map(|(start, end)| start[0] + (y - start[1]) / (end[1] - start[1]) * (end[0] - start[0]))
        .collect();
    crossings.sort_by(f32::total_cmp);
    let (pairs, _) = crossings.as_chunks::<2>();
    pairs.to_vec()
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
