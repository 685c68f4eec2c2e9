//! From the bytes of an image to what the encoder sees: resized as Pillow does it, cropped, scaled.
//!
//! Pillow resizes bytes in whole numbers: along rows first, rounded to bytes, then down.

use crate::compute::ops::resize::Raster;

/// ImageNet's mean and deviation, which the encoder was trained with.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];

/// What a byte is multiplied with, as the published preprocessing writes it.
const BYTE: f64 = 0.003_921_568_627_450_98;

/// Opaque pixels, rows from the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rgb {
    /// Width in pixels.
    pub width: usize,
    /// Red, green, blue.
    pub pixels: Vec<[u8; 3]>,
}

impl Rgb {
    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.pixels.len() / self.width.max(1)
    }
}

/// The image with its shorter side brought to `shortest` by Pillow's bicubic filter, and the middle
/// `side` × `side` pixels of that scaled to mean and deviation.
///
/// # Panics
///
/// When the image has no pixels, or `side` is greater than `shortest`.
pub fn prepared(image: &Rgb, shortest: usize, side: usize) -> Raster {
    assert!(side <= shortest, "the middle of an image lies within it");
    let (width, height) = (image.width, image.height());
    assert!(width > 0 && height > 0, "an image has pixels");
    let long = |side: usize, other: usize| shortest * side / other;
    let resized = if width <= height {
        bicubic(image, shortest, long(height, width))
    } else {
        bicubic(image, long(width, height), shortest)
    };
    let (left, top) = ((resized.width - side) / 2, (resized.height() - side) / 2);
    let rows = (top..top + side).map(|row| &resized.pixels[row * resized.width + left..][..side]);
    let scaled = |pixel: &[u8; 3]| -> [f32; 3] {
        std::array::from_fn(|channel| {
            let value = (f64::from(pixel[channel]) * BYTE) as f32;
            (value - MEAN[channel]) / DEVIATION[channel]
        })
    };
    Raster {
        width: side,
        height: side,
        channels: 3,
        values: rows.flatten().flat_map(scaled).collect(),
    }
}

/// The bits behind the point of Pillow's weights.
const WEIGHT_BITS: u32 = 22;

/// The neighbours of one place along an axis: the first, and the weights of it and those that follow.
struct Taps {
    first: usize,
    weights: Vec<i64>,
}

/// Pillow's `resize` with `BICUBIC`, `a = -0.5`, widened where the image shrinks.
fn bicubic(image: &Rgb, width: usize, height: usize) -> Rgb {
    let (columns, rows) = (taps(image.width, width), taps(image.height(), height));
    let across: Vec<[u8; 3]> = image
        .pixels
        .chunks_exact(image.width)
        .flat_map(|row| {
            columns
                .iter()
                .map(|taps| weighted(taps, |place| row[place]))
        })
        .collect();
    let pixels = rows.iter().flat_map(|taps| {
        let across = &across;
        (0..width).map(move |column| weighted(taps, |place| across[place * width + column]))
    });
    Rgb {
        width,
        pixels: pixels.collect(),
    }
}

fn weighted(taps: &Taps, pixel: impl Fn(usize) -> [u8; 3]) -> [u8; 3] {
    let mut sums = [1_i64 << (WEIGHT_BITS - 1); 3];
    for (offset, weight) in taps.weights.iter().enumerate() {
        for (sum, channel) in sums.iter_mut().zip(pixel(taps.first + offset)) {
            *sum += weight * i64::from(channel);
        }
    }
    sums.map(|sum| (sum >> WEIGHT_BITS).clamp(0, 255) as u8)
}

fn taps(from: usize, to: usize) -> Vec<Taps> {
    const A: f64 = -0.5;
    let cubic = |x: f64| match x.abs() {
        x if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
        x if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
        _ => 0.0,
    };
    let scale = from as f64 / to as f64;
    let filter_scale = scale.max(1.0);
    let support = 2.0 * filter_scale;
    let inverse = 1.0 / filter_scale;
    let taps = |place: usize| {
        let centre = (place as f64 + 0.5) * scale;
        // `as` truncates, and turns what is below 0 into 0.
        let first = (centre - support + 0.5) as usize;
        let end = ((centre + support + 0.5) as usize).min(from);
        let weight = |place: usize| cubic((place as f64 - centre + 0.5) * inverse);
        let weights: Vec<f64> = (first..end).map(weight).collect();
        let total: f64 = weights.iter().sum();
        let unit = f64::from(1 << WEIGHT_BITS);
        Taps {
            first,
            // `round` rounds halves away from 0, as adding 0.5 and truncating does.
            weights: weights
                .iter()
                .map(|weight| (weight / total * unit).round() as i64)
                .collect(),
        }
    };
    (0..to).map(taps).collect()
}
