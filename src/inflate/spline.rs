//! Maps as smooth functions: cubic B-splines through the pixels, with bounds over rectangles.
//!
//! A surface read bilinearly from a map shows the map's pixels as facets once its mesh is as fine. A
//! cubic spline has continuous curvature, and passes through every pixel when its coefficients are made
//! for that (Unser et al. 1993, "B-spline signal processing"). Each value is a mean of sixteen
//! coefficients, so that their least and greatest bound it.

use rayon::prelude::*;

use super::Map;

/// The coefficients kept before the first pixel, and one more than that after the last.
const PADDING: usize = 1;

/// A map read as a cubic spline. Coordinates are in pixels, whole at pixel centres, and clamped to the
/// map.
#[derive(Debug)]
pub(super) struct Spline {
    side: usize,
    /// Coefficients a row, with padding.
    stride: usize,
    coefficients: Vec<f32>,
    /// From blocks of 2 × 2 coefficients up to one block.
    pyramid: Vec<Blocks>,
}

/// The least and the greatest coefficient of square blocks.
#[derive(Debug)]
struct Blocks {
    stride: usize,
    ranges: Vec<[f32; 2]>,
}

/// Where along one axis a spline is read: the first of four coefficients, their weights, and the
/// weights of its slope.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tap {
    first: usize,
    weights: [f32; 4],
    slopes: [f32; 4],
}

impl Tap {
    /// Reads at `position`, clamped to a map of `side` pixels. NaN reads at 0.
    pub(super) fn new(position: f32, side: usize) -> Self {
        let clamped = position.max(0.0).min((side - 1) as f32);
        let first = clamped as usize;
        let t = clamped - first as f32;
        let s = 1.0 - t;
        Self {
            first,
            weights: [
                s * s * s / 6.0,
                (t * t * (3.0 * t - 6.0) + 4.0) / 6.0,
                (s * s * (3.0 * s - 6.0) + 4.0) / 6.0,
                t * t * t / 6.0,
            ],
            slopes: [
                -0.5 * s * s,
                0.5 * t * (3.0 * t - 4.0),
                -0.5 * s * (3.0 * s - 4.0),
                0.5 * t * t,
            ],
        }
    }
}

fn dot(a: &[f32; 4], b: &[f32]) -> f32 {
    (a[0] * b[0] + a[1] * b[1]) + (a[2] * b[2] + a[3] * b[3])
}

impl Spline {
    /// The bytes that a spline of this side takes.
    pub(super) fn bytes(side: usize) -> u64 {
        // The coefficients, and a pyramid of pairs a third as large in count.
        ((side + 2 * PADDING + 1) as u64).pow(2) * (4 + 3)
    }

    /// The bytes that the coefficients alone take, which is what a device is given.
    pub(super) fn device_bytes(side: usize) -> u64 {
        ((side + 2 * PADDING + 1) as u64).pow(2) * 4
    }

    /// The spline that passes through every pixel of `map`.
    pub(super) fn through(mut map: Map) -> Self {
        let side = map.side;
        if side > 1 {
            map.values.par_chunks_mut(side).for_each(filter_row);
            filter_columns(&mut map);
        }
        Self::from_coefficients(&map)
    }

    /// The spline that takes the pixels of `map` as coefficients, smoothing a little.
    pub(super) fn near(map: &Map) -> Self {
        Self::from_coefficients(map)
    }

    fn from_coefficients(map: &Map) -> Self {
        let side = map.side;
        let stride = side + 2 * PADDING + 1;
        let mut coefficients = vec![0.0; stride * stride];
        coefficients
            .par_chunks_mut(stride)
            .enumerate()
            .for_each(|(row, out)| {
                let row = row.saturating_sub(PADDING).min(side - 1);
                let values = &map.values[row * side..(row + 1) * side];
                out[..PADDING].fill(values[0]);
                out[PADDING..PADDING + side].copy_from_slice(values);
                out[PADDING + side..].fill(values[side - 1]);
            });
        let pyramid = pyramid(&coefficients, stride);
        Self {
            side,
            stride,
            coefficients,
            pyramid,
        }
    }

    /// The side of the map in pixels.
    pub(super) fn side(&self) -> usize {
        self.side
    }

    /// The coefficients, as many rows as numbers a row: the first belongs to the pixel before the map's first.
    pub(super) fn coefficients(&self) -> &[f32] {
        &self.coefficients
    }

    /// Coefficients of a row.
    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    /// Where to read along an axis.
    pub(super) fn tap(&self, position: f32) -> Tap {
        Tap::new(position, self.side)
    }

    /// The value.
    pub(super) fn value(&self, across: &Tap, down: &Tap) -> f32 {
        let rows: [f32; 4] = std::array::from_fn(|row| {
            dot(&across.weights, self.four(down.first + row, across.first))
        });
        dot(&down.weights, &rows)
    }

    /// The value, and its change a pixel to the right and downwards.
    pub(super) fn value_and_slope(&self, across: &Tap, down: &Tap) -> (f32, [f32; 2]) {
        let mut values = [0.0; 4];
        let mut slopes = [0.0; 4];
        for row in 0..4 {
            let four = self.four(down.first + row, across.first);
            values[row] = dot(&across.weights, four);
            slopes[row] = dot(&across.slopes, four);
        }
        (
            dot(&down.weights, &values),
            [dot(&down.weights, &slopes), dot(&down.slopes, &values)],
        )
    }

    fn four(&self, row: usize, column: usize) -> &[f32] {
        let start = row * self.stride + column;
        &self.coefficients[start..start + 4]
    }

    /// Reads a grid of points, row after row into `out`.
    pub(super) fn read_grid(&self, across: &[Tap], down: &[Tap], out: &mut [f32]) {
        for (down, out) in down.iter().zip(out.chunks_exact_mut(across.len())) {
            for (across, out) in across.iter().zip(out) {
                *out = self.value(across, down);
            }
        }
    }

    /// An interval that holds every value over the rectangle from `(low[0], low[1])` to `high`.
    pub(super) fn range(&self, low: [f32; 2], high: [f32; 2]) -> [f32; 2] {
        let first = low.map(|position| self.tap(position).first);
        let last = high.map(|position| self.tap(position).first + 3);
        let longest = (last[0] - first[0]).max(last[1] - first[1]) + 1;
        // Blocks of at most a quarter of the rectangle keep the answer tight and the reading short.
        let level = ((longest / 4).max(2).ilog2() as usize - 1).min(self.pyramid.len() - 1);
        let blocks = &self.pyramid[level];
        let shift = level + 1;
        let mut range = [f32::INFINITY, f32::NEG_INFINITY];
        for row in first[1] >> shift..=last[1] >> shift {
            let ranges = &blocks.ranges[row * blocks.stride..(row + 1) * blocks.stride];
            for block in &ranges[first[0] >> shift..=last[0] >> shift] {
                range = [range[0].min(block[0]), range[1].max(block[1])];
            }
        }
        range
    }
}

fn pyramid(coefficients: &[f32], stride: usize) -> Vec<Blocks> {
    let pairs: Vec<[f32; 2]> = coefficients.iter().map(|value| [*value; 2]).collect();
    let mut pyramid = Vec::new();
    let mut finest = Blocks {
        stride,
        ranges: pairs,
    };
    while finest.stride > 1 || pyramid.is_empty() {
        let coarser = finest.coarser();
        pyramid.push(std::mem::replace(&mut finest, coarser));
    }
    pyramid.push(finest);
    // The first level holds the coefficients themselves, which nobody asks for.
    pyramid.remove(0);
    pyramid
}

impl Blocks {
    fn coarser(&self) -> Self {
        let stride = self.stride.div_ceil(2);
        let last = self.stride - 1;
        let mut ranges = vec![[0.0; 2]; stride * stride];
        ranges
            .par_chunks_mut(stride)
            .enumerate()
            .for_each(|(row, out)| {
                let upper = &self.ranges[2 * row * self.stride..][..self.stride];
                let lower = &self.ranges[(2 * row + 1).min(last) * self.stride..][..self.stride];
                for (column, range) in out.iter_mut().enumerate() {
                    let (left, right) = (2 * column, (2 * column + 1).min(last));
                    let four = [upper[left], upper[right], lower[left], lower[right]];
                    *range = four
                        .iter()
                        .fold(four[0], |a, b| [a[0].min(b[0]), a[1].max(b[1])]);
                }
            });
        Self { stride, ranges }
    }
}

/// The pole of the filter that makes cubic coefficients from values.
const POLE: f32 = -0.267_949_2;
/// The filter's gain.
const GAIN: f32 = 6.0;
/// Terms of its impulse response that matter in f32.
const HORIZON: usize = 14;

/// Turns values into coefficients along a row whose ends are mirrored.
fn filter_row(row: &mut [f32]) {
    let count = row.len();
    let mut start = 0.0;
    let mut power = 1.0;
    for value in row.iter().take(HORIZON) {
        start += power * value;
        power *= POLE;
    }
    row[0] = start * GAIN;
    for index in 1..count {
        row[index] = GAIN * row[index] + POLE * row[index - 1];
    }
    row[count - 1] = POLE / (POLE * POLE - 1.0) * (row[count - 1] + POLE * row[count - 2]);
    for index in (0..count - 1).rev() {
        row[index] = POLE * (row[index + 1] - row[index]);
    }
}

/// The same along every column, a row at a time.
fn filter_columns(map: &mut Map) {
    let side = map.side;
    let mut first = vec![0.0; side];
    let mut power = 1.0;
    for row in map.values.chunks_exact(side).take(HORIZON) {
        for (first, value) in first.iter_mut().zip(row) {
            *first += power * value;
        }
        power *= POLE;
    }
    for (value, first) in map.values.iter_mut().zip(&first) {
        *value = GAIN * first;
    }
    for row in 1..side {
        let (before, here) = map.values[(row - 1) * side..(row + 1) * side].split_at_mut(side);
        for (here, before) in here.iter_mut().zip(before) {
            *here = GAIN * *here + POLE * *before;
        }
    }
    let (before, last) = map.values[(side - 2) * side..].split_at_mut(side);
    for (last, before) in last.iter_mut().zip(before) {
        *last = POLE / (POLE * POLE - 1.0) * (*last + POLE * *before);
    }
    for row in (0..side - 1).rev() {
        let (here, after) = map.values[row * side..(row + 2) * side].split_at_mut(side);
        for (here, after) in here.iter_mut().zip(after) {
            *here = POLE * (*after - *here);
        }
    }
}
