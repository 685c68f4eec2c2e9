//! From a cut-out to the image that the encoder sees, step by step as the model was published.

use super::super::dinov2::pixels::{Rgb, prepared};
use super::super::error::ModelError;
use super::config::ImageConfig;
use crate::compute::ops::resize::Raster;
use crate::photo::Cutout;

/// The margin on each side, as a share of the subject's longer side.
const MARGIN: f64 = 0.1;

/// Pixels with straight alpha, rows from the top.
#[derive(Debug, Clone, PartialEq)]
pub struct Rgba {
    /// Width in pixels.
    pub width: usize,
    /// Red, green, blue, alpha.
    pub pixels: Vec<[u8; 4]>,
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

/// Lays an image on white, crops it to what is not transparent, and adds a margin that makes it square, but
/// for a pixel where the difference of its sides is odd.
///
/// # Errors
///
/// [`ModelError::NothingInside`] when all of it is transparent.
pub fn on_white(image: &Rgba) -> Result<Rgb, ModelError> {
    let width = image.width.max(1);
    let (mut left, mut top, mut right, mut bottom) = (usize::MAX, usize::MAX, 0, 0);
    for (place, _) in (image.pixels.iter().enumerate()).filter(|(_, pixel)| pixel[3] > 0) {
        let (row, column) = (place / width, place % width);
        (left, right) = (left.min(column), right.max(column + 1));
        (top, bottom) = (top.min(row), bottom.max(row + 1));
    }
    if right <= left || bottom <= top {
        return Err(ModelError::NothingInside);
    }
    let (columns, rows) = (right - left, bottom - top);
    let margin = (columns.max(rows) as f64 * MARGIN) as usize;
    // The published code adds the two before it rounds; a half is all that is ever rounded off.
    let (across, down) = if columns > rows {
        (margin, margin + (columns - rows) / 2)
    } else {
        (margin + (rows - columns) / 2, margin)
    };
    let new_width = columns + 2 * across;
    let mut pixels = vec![[u8::MAX; 3]; new_width * (rows + 2 * down)];
    for row in 0..rows {
        let from = &image.pixels[(top + row) * width + left..][..columns];
        let to = &mut pixels[(down + row) * new_width + across..][..columns];
        for (to, from) in to.iter_mut().zip(from) {
            *to = laid_on_white(*from);
        }
    }
    Ok(Rgb {
        width: new_width,
        pixels,
    })
}

fn laid_on_white([red, green, blue, alpha]: [u8; 4]) -> [u8; 3] {
    let alpha = f32::from(alpha) / 255.0;
    [red, green, blue].map(|channel| {
        let value = f32::from(channel) / 255.0 * alpha + (1.0 - alpha);
        (value * 255.0) as u8
    })
}

/// The image at the size that the encoder sees, scaled to mean and deviation.
pub fn conditioned(image: &Rgb, config: ImageConfig) -> Raster {
    prepared(image, config.shortest, config.side)
}
