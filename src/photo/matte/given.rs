//! Mattes that need no estimate: the photo's own alpha channel, or an image of the user's.

use rayon::prelude::*;

use super::super::Photo;
use super::MatteError;
use super::working_image::{fit_within, spans};

/// The longest side of a matte that comes from alpha or from the user, in pixels: enough for a subject
/// that takes a quarter of the photo, without holding a second 100-megapixel image.
const MAX_SIDE_PX: usize = 4096;

/// A single-channel image.
pub(super) struct Coverage {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) alpha: Vec<f32>,
}

/// The alpha channel, at the photo's size or averaged down to [`MAX_SIDE_PX`].
pub(super) fn alpha_channel(
    photo: &Photo,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Coverage, MatteError> {
    let (width, height) = fit_within(photo.width, photo.height, MAX_SIDE_PX);
    resample(photo, width, height, &|pixel| pixel[3], cancelled)
}

/// The user's `image` at the size of `photo`'s matte: its alpha if it has any, else its brightness.
pub(super) fn user_matte(
    photo: &Photo,
    image: &Photo,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Coverage, MatteError> {
    let (width, height) = fit_within(photo.width, photo.height, MAX_SIDE_PX);
    let coverage = if image.pixels.par_iter().any(|pixel| pixel[3] < 255) {
        resample(image, width, height, &|pixel| pixel[3], cancelled)?
    } else {
        resample(image, width, height, &brightness, cancelled)?
    };
    if coverage.alpha.par_iter().all(|alpha| *alpha < 0.5) {
        return Err(MatteError::EmptyUserMatte);
    }
    Ok(coverage)
}

/// Rec. 709 luma.
fn brightness(pixel: [u8; 4]) -> u8 {
    let [r, g, b, _] = pixel.map(u32::from);
    ((2126 * r + 7152 * g + 722 * b + 5000) / 10000) as u8
}

/// One channel at another size: area averages downwards, linear interpolation upwards, axis by axis.
fn resample(
    image: &Photo,
    width: usize,
    height: usize,
    channel: &(dyn Fn([u8; 4]) -> u8 + Sync),
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Coverage, MatteError> {
    let columns = taps(image.width, width);
    let rows = taps(image.height, height);
    let mut alpha = vec![0.0_f32; width * height];
    alpha
        .par_chunks_mut(width)
        .zip(&rows)
        .try_for_each(|(line, row)| {
            if cancelled() {
                return Err(MatteError::Cancelled);
            }
            for &(y, row_share) in row {
                let source = &image.pixels[y * image.width..(y + 1) * image.width];
                for (value, column) in line.iter_mut().zip(&columns) {
                    for &(x, share) in column {
                        *value += row_share * share * f32::from(channel(source[x]));
                    }
                }
            }
            for value in line {
                *value = (*value / 255.0).clamp(0.0, 1.0);
            }
            Ok(())
        })?;
    Ok(Coverage {
        width,
        height,
        alpha,
    })
}

/// For each target pixel along one axis, the source pixels it is made of and their shares.
fn taps(source: usize, target: usize) -> Vec<Vec<(usize, f32)>> {
    if target <= source {
        return spans(source, target)
            .iter()
            .map(|span| {
                span.weights()
                    .map(|(index, share)| (index, share / span.length()))
                    .collect()
            })
            .collect();
    }
    let step = source as f64 / target as f64;
    (0..target)
        .map(|i| {
            let position = ((i as f64 + 0.5) * step - 0.5).clamp(0.0, (source - 1) as f64);
            let first = position as usize;
            let share = (position - first as f64) as f32;
            vec![(first, 1.0 - share), ((first + 1).min(source - 1), share)]
        })
        .collect()
}
