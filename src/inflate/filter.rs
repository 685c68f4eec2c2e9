//! Filters over [`Map`]s that several steps share: blurring, filling in, halving, enlarging.
//!
//! Every output value is made by one thread from fixed inputs in a fixed order.

use rayon::prelude::*;

use super::Map;

/// Blurs with a Gaussian of standard deviation `sigma_px`; the border repeats.
pub(super) fn gaussian_blur(map: &Map, sigma_px: f32) -> Map {
    let weights = gaussian_weights(sigma_px);
    let rows = convolve_rows(map, &weights);
    convolve_columns(&rows, &weights)
}

/// One half of a normalised Gaussian kernel, its centre first.
fn gaussian_weights(sigma_px: f32) -> Vec<f32> {
    let radius = (3.0 * sigma_px).ceil().max(1.0) as usize;
    let mut weights: Vec<f32> = (0..=radius)
        .map(|offset| (-0.5 * (offset as f32 / sigma_px.max(1e-3)).powi(2)).exp())
        .collect();
    let sum = weights[0] + 2.0 * weights[1..].iter().sum::<f32>();
    weights.iter_mut().for_each(|weight| *weight /= sum);
    weights
}

fn convolve_rows(map: &Map, weights: &[f32]) -> Map {
    let side = map.side;
    let radius = weights.len() - 1;
    let mut out = Map::filled(side, 0.0);
    let rows = out
        .values
        .par_chunks_mut(side)
        .zip(map.values.par_chunks(side));
    rows.for_each_init(
        || vec![0.0; side + 2 * radius],
        |padded, (out, row)| {
            padded[..radius].fill(row[0]);
            padded[radius..radius + side].copy_from_slice(row);
            padded[radius + side..].fill(row[side - 1]);
            for (value, centre) in out.iter_mut().zip(&padded[radius..]) {
                *value = weights[0] * centre;
            }
            for (offset, weight) in weights.iter().enumerate().skip(1) {
                let left = &padded[radius - offset..];
                let right = &padded[radius + offset..];
                for ((value, left), right) in out.iter_mut().zip(left).zip(right) {
                    *value += weight * (left + right);
                }
            }
        },
    );
    out
}

fn convolve_columns(map: &Map, weights: &[f32]) -> Map {
    let side = map.side;
    let mut out = Map::filled(side, 0.0);
    let row_of = |row: usize| &map.values[row * side..(row + 1) * side];
    out.values
        .par_chunks_mut(side)
        .enumerate()
        .for_each(|(row, out)| {
            for (value, centre) in out.iter_mut().zip(row_of(row)) {
                *value = weights[0] * centre;
            }
            for (offset, weight) in weights.iter().enumerate().skip(1) {
                let above = row_of(row.saturating_sub(offset));
                let below = row_of((row + offset).min(side - 1));
                for ((value, above), below) in out.iter_mut().zip(above).zip(below) {
                    *value += weight * (above + below);
                }
            }
        });
    out
}

/// Blurs the values that have weight and carries them over everything else, so that the result is
/// smooth everywhere and close to the weighted values where there are some.
///
/// A normalised convolution near the weighted values, a pyramid of means beyond (Gortler et al. 1996,
/// "The Lumigraph"). `fallback` is the answer where nothing has weight.
pub(super) fn spread(values: &Map, weights: &Map, sigma_px: f32, fallback: f32) -> Map {
    let mut weighted = values.clone();
    for (value, weight) in weighted.values.iter_mut().zip(&weights.values) {
        *value = if *weight > 0.0 { *value * weight } else { 0.0 };
    }
    let mut sums = gaussian_blur(&weighted, sigma_px);
    let mut weights = gaussian_blur(weights, sigma_px);
    // Above this weight a mean stands for itself.
    saturate(&mut sums, &mut weights, 0.02);
    blend_with_coarser(sums, &weights, fallback)
}

/// Scales weighted sums so that `enough` weight, or more, counts as 1.
fn saturate(sums: &mut Map, weights: &mut Map, enough: f32) {
    for (sum, weight) in sums.values.iter_mut().zip(&mut weights.values) {
        let scale = weight.max(enough).recip();
        *sum *= scale;
        *weight *= scale;
    }
}

/// Turns sums with weights up to 1 into means, the missing weight filled from coarser means.
fn blend_with_coarser(mut sums: Map, weights: &Map, fallback: f32) -> Map {
    if sums.side == 1 {
        let weight = weights.values[0];
        let mean = if weight > 1e-6 {
            sums.values[0] / weight
        } else {
            fallback
        };
        return Map::filled(1, mean);
    }
    // Sums, not means, of 2 × 2 pixels, so that a few weighted pixels speak for the whole block.
    let sum_blocks = |map: &Map| {
        let mut half = halve(map);
        half.values.iter_mut().for_each(|value| *value *= 4.0);
        half
    };
    let (mut coarse_sums, mut coarse_weights) = (sum_blocks(&sums), sum_blocks(weights));
    saturate(&mut coarse_sums, &mut coarse_weights, 1.0);
    let coarse = blend_with_coarser(coarse_sums, &coarse_weights, fallback);
    let coarse = double(&coarse, sums.side);
    for ((sum, weight), coarse) in sums
        .values
        .iter_mut()
        .zip(&weights.values)
        .zip(&coarse.values)
    {
        *sum += (1.0 - weight) * coarse;
    }
    sums
}

/// The means of 2 × 2 pixels; an odd last row or column counts twice.
pub(super) fn halve(map: &Map) -> Map {
    let side = map.side.div_ceil(2);
    let mut out = Map::filled(side, 0.0);
    let last = map.side - 1;
    out.values
        .par_chunks_mut(side)
        .enumerate()
        .for_each(|(row, out)| {
            let upper = &map.values[2 * row * map.side..][..map.side];
            let lower = &map.values[(2 * row + 1).min(last) * map.side..][..map.side];
            for (column, value) in out.iter_mut().enumerate() {
                let (left, right) = (2 * column, (2 * column + 1).min(last));
                *value = 0.25 * ((upper[left] + upper[right]) + (lower[left] + lower[right]));
            }
        });
    out
}

/// Bilinear enlargement of a map that [`halve`] made, back to `side`.
pub(super) fn double(map: &Map, side: usize) -> Map {
    let last = map.side - 1;
    let neighbours = |index: usize| {
        let near = index / 2;
        let far = if index.is_multiple_of(2) {
            near.saturating_sub(1)
        } else {
            (near + 1).min(last)
        };
        (near, far)
    };
    let mut out = Map::filled(side, 0.0);
    out.values
        .par_chunks_mut(side)
        .enumerate()
        .for_each(|(row, out)| {
            let (near, far) = neighbours(row);
            let near = &map.values[near * map.side..][..map.side];
            let far = &map.values[far * map.side..][..map.side];
            for (column, value) in out.iter_mut().enumerate() {
                let (here, there) = neighbours(column);
                *value =
                    0.5625 * near[here] + 0.1875 * (near[there] + far[here]) + 0.0625 * far[there];
            }
        });
    out
}

/// The magnitude of the gradient by central differences, per pixel.
pub(super) fn gradient_magnitude(map: &Map) -> Map {
    let side = map.side;
    let mut out = Map::filled(side, 0.0);
    out.values
        .par_chunks_mut(side)
        .enumerate()
        .for_each(|(row, out)| {
            for (column, value) in out.iter_mut().enumerate() {
                let [across, down] = gradient(map, column, row);
                *value = across.hypot(down);
            }
        });
    out
}

/// The change per pixel to the right and downwards: central differences, one-sided at the border.
pub(super) fn gradient(map: &Map, column: usize, row: usize) -> [f32; 2] {
    let last = map.side - 1;
    let (left, right) = (column.saturating_sub(1), (column + 1).min(last));
    let (above, below) = (row.saturating_sub(1), (row + 1).min(last));
    let span = |low: usize, high: usize| (high - low).max(1) as f32;
    [
        (map.at(right, row) - map.at(left, row)) / span(left, right),
        (map.at(column, below) - map.at(column, above)) / span(above, below),
    ]
}
