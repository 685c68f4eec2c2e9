//! Step 1: from the cut-out to the maps that every later step works on.
//!
//! Coverage is averaged over areas when the cut-out is larger than the maps, so that the 0.5 contour
//! stays where it is to a few hundredths of a pixel, and interpolated by smooth cubics when it is
//! smaller. Colours are averaged in linear light, weighted by coverage.

use std::sync::LazyLock;

use rayon::prelude::*;

use super::{InflateError, Map};
use crate::compute::Cancel;
use crate::photo::Cutout;

/// Coverage and colour of the subject at the working size.
#[derive(Debug)]
pub(super) struct WorkMaps {
    /// Coverage in `0..=1`; 0 in the outermost pixels.
    pub(super) alpha: Map,
    /// Linear sRGB, straight; black where nothing is covered.
    pub(super) linear_rgb: Vec<[f32; 3]>,
}

impl WorkMaps {
    /// The colours at half the side, averaged by coverage.
    pub(super) fn halved_colours(&self) -> Vec<[f32; 3]> {
        let side = self.alpha.side;
        let half = side / 2;
        let mut colours = vec![[0.0; 3]; half * half];
        for (pixel, colour) in colours.iter_mut().enumerate() {
            let corner = 2 * (pixel / half) * side + 2 * (pixel % half);
            let mut covered = 1e-6;
            for pixel in [corner, corner + 1, corner + side, corner + side + 1] {
                let alpha = self.alpha.values[pixel];
                covered += alpha;
                for (sum, value) in colour.iter_mut().zip(self.linear_rgb[pixel]) {
                    *sum += alpha * value;
                }
            }
            colour.iter_mut().for_each(|sum| *sum /= covered);
        }
        colours
    }
}

/// The bytes that [`WorkMaps`] of this side take.
pub(super) fn bytes(side: usize) -> u64 {
    (side as u64).pow(2) * 16
}

/// Which inputs make one output, and with which weights.
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

/// Resamples the cut-out to maps of `side` pixels.
pub(super) fn work_maps(
    cutout: &Cutout,
    side: usize,
    cancel: &Cancel,
) -> Result<WorkMaps, InflateError> {
    let taps = taps(cutout.side, side);
    let mut alpha = Map::filled(side, 0.0);
    let mut linear_rgb = vec![[0.0; 3]; side * side];
    let rows = alpha
        .values
        .par_chunks_mut(side)
        .zip(linear_rgb.par_chunks_mut(side));
    rows.enumerate().try_for_each_init(
        || vec![[0.0f32; 4]; cutout.side],
        |sums, (row, (alpha, colours))| {
            cancel.checkpoint()?;
            sum_rows(cutout, &taps[row], sums);
            for ((taps, alpha), colour) in taps.iter().zip(alpha).zip(colours) {
                let mut sum = [0.0f32; 4];
                for (weight, value) in taps.weights.iter().zip(&sums[taps.first..]) {
                    for channel in 0..4 {
                        sum[channel] += weight * value[channel];
                    }
                }
                *alpha = sum[3].clamp(0.0, 1.0);
                if sum[3] > 1e-4 {
                    *colour = [0, 1, 2].map(|channel| (sum[channel] / sum[3]).clamp(0.0, 1.0));
                }
            }
            Ok::<(), InflateError>(())
        },
    )?;
    clear_border(&mut alpha);
    Ok(WorkMaps { alpha, linear_rgb })
}

/// The weighted sum of source rows, premultiplied, in linear light.
fn sum_rows(cutout: &Cutout, taps: &Taps, sums: &mut [[f32; 4]]) {
    let linear = &*LINEAR_OF_SRGB;
    sums.fill([0.0; 4]);
    for (offset, weight) in taps.weights.iter().enumerate() {
        let start = (taps.first + offset) * cutout.side;
        let pixels = &cutout.pixels[start..start + cutout.side];
        let coverage = &cutout.alpha[start..start + cutout.side];
        for ((sum, pixel), alpha) in sums.iter_mut().zip(pixels).zip(coverage) {
            let covered = weight
                * if alpha.is_finite() {
                    alpha.clamp(0.0, 1.0)
                } else {
                    0.0
                };
            for channel in 0..3 {
                sum[channel] += covered * linear[pixel[channel] as usize];
            }
            sum[3] += covered;
        }
    }
}

/// Empties the outermost pixels, so that every outline closes within the map.
fn clear_border(alpha: &mut Map) {
    let side = alpha.side;
    alpha.values[..side].fill(0.0);
    alpha.values[side * (side - 1)..].fill(0.0);
    for row in alpha.values.chunks_exact_mut(side) {
        row[0] = 0.0;
        row[side - 1] = 0.0;
    }
}

fn taps(from: usize, to: usize) -> Vec<Taps> {
    let ratio = from as f64 / to as f64;
    (0..to)
        .map(|index| {
            if ratio >= 1.0 {
                area_taps(index as f64 * ratio, (index + 1) as f64 * ratio, from)
            } else {
                cubic_taps((index as f64 + 0.5) * ratio - 0.5, from)
            }
        })
        .collect()
}

/// The share that each source pixel has of the interval from `low` to `high`.
fn area_taps(low: f64, high: f64, from: usize) -> Taps {
    let first = (low.floor() as usize).min(from - 1);
    let end = (high.ceil() as usize).clamp(first + 1, from);
    let mut weights: Vec<f32> = (first..end)
        .map(|pixel| {
            let share = high.min((pixel + 1) as f64) - low.max(pixel as f64);
            (share / (high - low)).max(0.0) as f32
        })
        .collect();
    let sum: f32 = weights.iter().sum();
    weights.iter_mut().for_each(|weight| *weight /= sum);
    Taps { first, weights }
}

/// The cubic of Mitchell and Netravali (1988) at `position`; the border repeats.
fn cubic_taps(position: f64, from: usize) -> Taps {
    let base = position.floor() as isize - 1;
    let clamped = |index: isize| index.clamp(0, from as isize - 1) as usize;
    let first = clamped(base);
    let mut weights = vec![0.0; clamped(base + 3) - first + 1];
    for index in base..base + 4 {
        weights[clamped(index) - first] += mitchell((position - index as f64).abs()) as f32;
    }
    Taps { first, weights }
}

fn mitchell(x: f64) -> f64 {
    if x < 1.0 {
        (7.0 * x.powi(3) - 12.0 * x.powi(2) + 16.0 / 3.0) / 6.0
    } else if x < 2.0 {
        (-7.0 / 3.0 * x.powi(3) + 12.0 * x.powi(2) - 20.0 * x + 32.0 / 3.0) / 6.0
    } else {
        0.0
    }
}

static LINEAR_OF_SRGB: LazyLock<[f32; 256]> = LazyLock::new(|| {
    std::array::from_fn(|code| {
        let encoded = code as f64 / 255.0;
        let linear = if encoded <= 0.04045 {
            encoded / 12.92
        } else {
            ((encoded + 0.055) / 1.055).powf(2.4)
        };
        linear as f32
    })
});
