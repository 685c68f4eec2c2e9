//! Resizing of images and tables exactly as PyTorch does it.
//!
//! Both forms are separable: a few weighted neighbours along each axis. A device takes the same weights.

use rayon::prelude::*;

/// Numbers in rows of pixels of several channels each.
#[derive(Debug, Clone, PartialEq)]
pub struct Raster {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Numbers a pixel.
    pub channels: usize,
    /// The numbers, channels fastest.
    pub values: Vec<f32>,
}

/// The neighbours of one place along an axis, and their weights.
#[derive(Debug, Clone, PartialEq)]
struct Taps {
    /// In order; one may come twice at a border.
    places: Vec<usize>,
    weights: Vec<f32>,
}

/// Resizes with a triangle filter that is widened where the image shrinks: `interpolate(mode="bilinear",
/// antialias=True, align_corners=False)`.
pub fn bilinear_antialiased(image: &Raster, width: usize, height: usize) -> Raster {
    let columns = triangle(image.width, width);
    let rows = triangle(image.height, height);
    resized(image, &columns, &rows)
}

/// Resizes with cubics of `a = -0.75`, clamped at the borders: `interpolate(mode="bicubic",
/// align_corners=False)`. `scales` are the new sizes by the old ones, across and down, where the caller of
/// the original gave scales; `None` where it gave sizes.
pub fn bicubic(image: &Raster, width: usize, height: usize, scales: Option<[f64; 2]>) -> Raster {
    let step = |from: usize, to: usize, axis: usize| match scales {
        Some(scales) => (1.0 / scales[axis]) as f32,
        None => from as f32 / to as f32,
    };
    let columns = cubic(image.width, width, step(image.width, width, 0));
    let rows = cubic(image.height, height, step(image.height, height, 1));
    resized(image, &columns, &rows)
}

fn triangle(from: usize, to: usize) -> Vec<Taps> {
    let scale = from as f32 / to as f32;
    let support = scale.max(1.0);
    let inverse = if scale >= 1.0 { 1.0 / scale } else { 1.0 };
    let taps = |place: usize| {
        let centre = scale * (place as f32 + 0.5);
        // `as` truncates, and turns what is below 0 into 0.
        let first = (centre - support + 0.5) as usize;
        let end = ((centre + support + 0.5) as usize).min(from);
        let weight = |place: usize| {
            let distance = (place as f32 - centre + 0.5) * inverse;
            (1.0 - distance.abs()).max(0.0)
        };
        let mut weights: Vec<f32> = (first..end).map(weight).collect();
        let total: f32 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= total);
        Taps {
            places: (first..end).collect(),
            weights,
        }
    };
    (0..to).map(taps).collect()
}

fn cubic(from: usize, to: usize, step: f32) -> Vec<Taps> {
    const A: f32 = -0.75;
    let near = |x: f32| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f32| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    let taps = |place: usize| {
        let position = step * (place as f32 + 0.5) - 0.5;
        let whole = position.floor();
        let t = position - whole;
        let clamped = |offset: i64| (whole as i64 + offset).clamp(0, from as i64 - 1) as usize;
        Taps {
            places: (-1..=2).map(clamped).collect(),
            weights: vec![far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)],
        }
    };
    (0..to).map(taps).collect()
}

/// Along rows first, then down.
fn resized(image: &Raster, columns: &[Taps], rows: &[Taps]) -> Raster {
    let channels = image.channels;
    let (line, new_line) = (image.width * channels, columns.len() * channels);
    let mut across = vec![0.0; image.height * new_line];
    across
        .par_chunks_mut(new_line.max(1))
        .zip(image.values.par_chunks(line.max(1)))
        .for_each(|(new, old)| {
            for (pixel, taps) in new.chunks_exact_mut(channels).zip(columns) {
                for (place, weight) in taps.places.iter().zip(&taps.weights) {
                    let source = &old[place * channels..][..channels];
                    for (value, source) in pixel.iter_mut().zip(source) {
                        *value += weight * source;
                    }
                }
            }
        });
    let mut values = vec![0.0; rows.len() * new_line];
    values
        .par_chunks_mut(new_line.max(1))
        .zip(rows)
        .for_each(|(new, taps)| {
            for (place, weight) in taps.places.iter().zip(&taps.weights) {
                let source = &across[place * new_line..][..new_line];
                for (value, source) in new.iter_mut().zip(source) {
                    *value += weight * source;
                }
            }
        });
    Raster {
        width: columns.len(),
        height: rows.len(),
        channels,
        values,
    }
}
