//! Resizing of images and tables exactly as PyTorch does it.
//!
//! Both forms are separable: a few weighted neighbours along each axis. A device takes the same weights, listed
//! by [`bilinear_antialiased_axes`] and [`bicubic_axes`], and gives the same numbers to the last bit: first
//! along rows, then down ([`ResizeParams`](crate::compute::kernels::ResizeParams)).

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

/// The neighbours of every place along an axis, as a device takes them.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbours {
    /// The axis's old length.
    pub from: usize,
    /// Where the neighbours of each place begin, and where the last ones end.
    pub starts: Vec<u32>,
    /// The neighbours.
    pub places: Vec<u32>,
    /// Their weights.
    pub weights: Vec<f32>,
}

impl Neighbours {
    fn listed(from: usize, taps: &[Taps]) -> Self {
        let mut listed = Self {
            from,
            starts: vec![0],
            places: Vec::new(),
            weights: Vec::new(),
        };
        for taps in taps {
            listed
                .places
                .extend(taps.places.iter().map(|place| *place as u32));
            listed.weights.extend(&taps.weights);
            listed.starts.push(listed.places.len() as u32);
        }
        listed
    }

    /// The axis's new length.
    pub fn to(&self) -> usize {
        self.starts.len() - 1
    }
}

/// What [`bilinear_antialiased`] takes along rows and down, from sizes (across, down) to sizes.
pub fn bilinear_antialiased_axes(from: [usize; 2], to: [usize; 2]) -> [Neighbours; 2] {
    [0, 1].map(|axis| Neighbours::listed(from[axis], &triangle(from[axis], to[axis])))
}

/// What [`bicubic`] takes along rows and down, from sizes (across, down) to sizes.
pub fn bicubic_axes(from: [usize; 2], to: [usize; 2], scales: Option<[f64; 2]>) -> [Neighbours; 2] {
    [0, 1].map(|axis| {
        let step = cubic_step(from[axis], to[axis], scales.map(|scales| scales[axis]));
        Neighbours::listed(from[axis], &cubic(from[axis], to[axis], step))
    })
}

/// From one new place to the next, in old ones.
fn cubic_step(from: usize, to: usize, scale: Option<f64>) -> f32 {
    match scale {
        Some(scale) => (1.0 / scale) as f32,
        None => from as f32 / to as f32,
    }
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
    let step = |from, to, axis: usize| cubic_step(from, to, scales.map(|scales| scales[axis]));
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
