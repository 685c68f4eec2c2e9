//! From a cut-out to the image that the encoder sees, step by step as the model was published.

use super::TripoSrError;
use crate::compute::ops::resize::{Raster, bilinear_antialiased};
use crate::photo::Cutout;

/// The share of the image that the subject's longest side takes.
const FOREGROUND: f64 = 0.85;
/// The grey that the subject lies on.
const GREY: f32 = 0.5;

/// Pixels with straight alpha, rows from the top.
#[derive(Debug, Clone, PartialEq)]
pub struct Rgba {
    /// Width in pixels.
    pub width: usize,
    /// Red, green, blue, alpha.
    pub pixels: Vec<[u8; 4]>,
}

/// The subject on grey, in the middle of a square.
#[derive(Debug, Clone, PartialEq)]
pub struct OnGrey {
    /// Width and height in pixels.
    pub side: usize,
    /// Red, green, blue; rows from the top.
    pub pixels: Vec<[u8; 3]>,
}

impl From<&Cutout> for Rgba {
    fn from(cutout: &Cutout) -> Self {
        let pixels = cutout.pixels.iter().zip(&cutout.alpha);
        Self {
            width: cutout.side,
            pixels: pixels
                .map(|(&[red, green, blue], alpha)| {
                    [red, green, blue, (alpha * 255.0).round() as u8]
                })
                .collect(),
        }
    }
}

/// Crops an image to what is not transparent, less its last row and column as the published code does,
/// centres that in a square of which it takes 85 %, and lays it on grey.
///
/// # Errors
///
/// [`TripoSrError::NothingInside`] when that leaves nothing.
pub fn on_grey(image: &Rgba) -> Result<OnGrey, TripoSrError> {
    let width = image.width.max(1);
    let (mut left, mut top, mut right, mut bottom) = (usize::MAX, usize::MAX, 0, 0);
    for (place, _) in (image.pixels.iter().enumerate()).filter(|(_, pixel)| pixel[3] > 0) {
        let (row, column) = (place / width, place % width);
        (left, right) = (left.min(column), right.max(column));
        (top, bottom) = (top.min(row), bottom.max(row));
    }
    if right <= left || bottom <= top {
        return Err(TripoSrError::NothingInside);
    }
    let (columns, rows) = (right - left, bottom - top);
    let square = columns.max(rows);
    let side = (square as f64 / FOREGROUND) as usize;
    // Two steps of padding, each of which rounds down.
    let margin = (side - square) / 2;
    let first_column = margin + (square - columns) / 2;
    let first_row = margin + (square - rows) / 2;
    let mut pixels = vec![laid_on_grey([0; 4]); side * side];
    for row in 0..rows {
        let from = &image.pixels[(top + row) * width + left..][..columns];
        let to = &mut pixels[(first_row + row) * side + first_column..][..columns];
        for (to, from) in to.iter_mut().zip(from) {
            *to = laid_on_grey(*from);
        }
    }
    Ok(OnGrey { side, pixels })
}

fn laid_on_grey([red, green, blue, alpha]: [u8; 4]) -> [u8; 3] {
    let alpha = f32::from(alpha) / 255.0;
    [red, green, blue].map(|channel| {
        let value = f32::from(channel) / 255.0 * alpha + (1.0 - alpha) * GREY;
        (value * 255.0) as u8
    })
}

/// The image at the size that the encoder sees, in `0..=1`.
pub fn conditioned(image: &OnGrey, side: usize) -> Raster {
    let values = image.pixels.as_flattened().iter();
    let raster = Raster {
        width: image.side,
        height: image.side,
        channels: 3,
        values: values.map(|value| f32::from(*value) / 255.0).collect(),
    };
    bilinear_antialiased(&raster, side, side)
}
