//! A texture and its smaller copies, made on the processor.
//!
//! Averages are taken of light, not of encoded values, so that fine patterns keep their brightness from
//! afar.

use std::array;

use rayon::prelude::*;

use crate::mesh::Texture;

/// One level of a texture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Encoded red, green, blue and full alpha, rows from the top.
    pub(super) pixels: Vec<[u8; 4]>,
}

/// The levels from the texture itself down to a single pixel.
pub(super) fn levels(texture: &Texture) -> Vec<Level> {
    let mut levels = vec![Level {
        width: texture.width as u32,
        height: texture.height as u32,
        pixels: texture
            .pixels
            .par_iter()
            .map(|[red, green, blue]| [*red, *green, *blue, 255])
            .collect(),
    }];
    let decode: [f32; 256] = array::from_fn(|value| decode_srgb(value as f32 / 255.0));
    while let Some(next) = levels.last().and_then(|level| halved(level, &decode)) {
        levels.push(next);
    }
    levels
}

/// Half as wide and high; `None` for a single pixel.
fn halved(level: &Level, decode: &[f32; 256]) -> Option<Level> {
    let (width, height) = (level.width as usize, level.height as usize);
    if width <= 1 && height <= 1 {
        return None;
    }
    let (half_width, half_height) = ((width / 2).max(1), (height / 2).max(1));
    let mut pixels = vec![[255; 4]; half_width * half_height];
    pixels
        .par_chunks_mut(half_width)
        .enumerate()
        .for_each(|(row, pixels)| {
            for (column, pixel) in pixels.iter_mut().enumerate() {
                // The last of an odd number of rows or columns counts for the pixel before it too.
                let rows = span(row, half_height, height);
                let columns = span(column, half_width, width);
                let count = (rows.len() * columns.len()) as f32;
                let mut sum = [0.0; 3];
                for y in rows {
                    for x in columns.clone() {
                        let value = level.pixels[y * width + x];
                        for (sum, value) in sum.iter_mut().zip(value) {
                            *sum += decode[usize::from(value)];
                        }
                    }
                }
                for (pixel, sum) in pixel.iter_mut().zip(sum) {
                    *pixel = (encode_srgb(sum / count) * 255.0 + 0.5) as u8;
                }
            }
        });
    Some(Level {
        width: half_width as u32,
        height: half_height as u32,
        pixels,
    })
}

/// The rows or columns that make up one of `halves`.
fn span(index: usize, halves: usize, whole: usize) -> std::ops::Range<usize> {
    let end = if index + 1 == halves {
        whole
    } else {
        index * 2 + 2
    };
    index * 2..end
}

fn decode_srgb(value: f32) -> f32 {
    if value <= 0.04045 {
        value / 12.92
    } else {
        ((value + 0.055) / 1.055).powf(2.4)
    }
}

fn encode_srgb(value: f32) -> f32 {
    if value <= 0.003_130_8 {
        value * 12.92
    } else {
        1.055 * value.powf(1.0 / 2.4) - 0.055
    }
}
