//! The reduced image on which the subject is told from its background.

use rayon::prelude::*;

use super::super::Photo;
use super::MatteError;
use super::colour::lab_from_srgb;

/// The longest side of the image that the estimate works on, in pixels.
///
/// Every length in pixels of the estimate is given at this size and scaled with the actual one.
pub(super) const WORKING_SIDE_PX: usize = 256;

/// A photo reduced to a small size, in the two colour spaces the estimate needs.
pub(super) struct WorkingImage {
    pub(super) width: usize,
    pub(super) height: usize,
    /// sRGB colours, straight, `0.0..=255.0`.
    pub(super) rgb: Vec<[f32; 3]>,
    /// CIE L*a*b* colours; those of invisible pixels are the mean of the visible border.
    pub(super) lab: Vec<[f32; 3]>,
    /// The share of each pixel that the photo's own alpha covers, `0.0..=1.0`.
    pub(super) alpha: Vec<f32>,
}

impl WorkingImage {
    /// Reduces `photo` so that its longest side is at most [`WORKING_SIDE_PX`].
    pub(super) fn new(
        photo: &Photo,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Self, MatteError> {
        let (width, height) = fit_within(photo.width, photo.height, WORKING_SIDE_PX);
        let reduced = reduce(photo, width, height, cancelled)?;
        let mut rgb: Vec<[f32; 3]> = reduced.iter().map(|&[r, g, b, _]| [r, g, b]).collect();
        let alpha: Vec<f32> = reduced.iter().map(|pixel| pixel[3]).collect();
        let filler = mean_visible_border(&rgb, &alpha, width, height);
        for (colour, &alpha) in rgb.iter_mut().zip(&alpha) {
            if alpha < 0.5 {
                *colour = filler;
            }
        }
        let lab = rgb.par_iter().map(|&rgb| lab_from_srgb(rgb)).collect();
        Ok(Self {
            width,
            height,
            rgb,
            lab,
            alpha,
        })
    }

    /// What a length of one pixel at [`WORKING_SIDE_PX`] is here.
    pub(super) fn scale(&self) -> f32 {
        self.width.max(self.height) as f32 / WORKING_SIDE_PX as f32
    }

    /// Which pixels lie within `band` pixels of the frame.
    pub(super) fn frame(&self, band: usize) -> Vec<bool> {
        let (width, height) = (self.width, self.height);
        (0..width * height)
            .map(|i| {
                let (x, y) = (i % width, i / width);
                x.min(y).min(width - 1 - x).min(height - 1 - y) < band
            })
            .collect()
    }
}

/// The largest size of the same proportions whose longest side is at most `side`, never enlarged.
pub(super) fn fit_within(width: usize, height: usize, side: usize) -> (usize, usize) {
    let longest = width.max(height);
    if longest <= side {
        return (width, height);
    }
    let fit = |length: usize| {
        let scaled = (length as u64 * side as u64 + longest as u64 / 2) / longest as u64;
        (scaled as usize).max(1)
    };
    (fit(width), fit(height))
}

/// Averages `photo` over the area of each of `width` × `height` pixels, none larger than the photo's.
///
/// Colours are weighted by alpha, because the colour of a transparent pixel means nothing. The result is
/// straight: red, green and blue in `0.0..=255.0`, alpha in `0.0..=1.0`.
pub(super) fn reduce(
    photo: &Photo,
    width: usize,
    height: usize,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Vec<[f32; 4]>, MatteError> {
    let columns = spans(photo.width, width);
    let rows = spans(photo.height, height);
    let mut reduced = vec![[0.0; 4]; width * height];
    reduced
        .par_chunks_mut(width)
        .zip(&rows)
        .try_for_each(|(line, row)| {
            if cancelled() {
                return Err(MatteError::Cancelled);
            }
            for (source_row, weight) in row.weights() {
                let start = source_row * photo.width;
                let source = &photo.pixels[start..start + photo.width];
                for (sum, column) in line.iter_mut().zip(&columns) {
                    for (x, share) in column.weights() {
                        let [r, g, b, a] = source[x].map(f32::from);
                        let covered = a * weight * share;
                        sum[0] += r * covered;
                        sum[1] += g * covered;
                        sum[2] += b * covered;
                        sum[3] += covered;
                    }
                }
            }
            for (sum, column) in line.iter_mut().zip(&columns) {
                let covered = sum[3];
                if covered > 0.0 {
                    for channel in &mut sum[..3] {
                        *channel /= covered;
                    }
                }
                sum[3] = covered / (255.0 * column.length * row.length);
            }
            Ok(())
        })?;
    Ok(reduced)
}

/// The source pixels that one reduced pixel covers along one axis.
pub(super) struct Span {
    first: usize,
    first_share: f32,
    last: usize,
    last_share: f32,
    length: f32,
}

impl Span {
    /// Each source pixel and the share of it that is covered.
    pub(super) fn weights(&self) -> impl Iterator<Item = (usize, f32)> + '_ {
        (self.first..=self.last).map(|index| {
            let share = if index == self.first {
                self.first_share
            } else if index == self.last {
                self.last_share
            } else {
                1.0
            };
            (index, share)
        })
    }

    /// How many source pixels are covered, counting shares.
    pub(super) fn length(&self) -> f32 {
        self.length
    }
}

/// Cuts `source` pixels into `reduced` spans of equal length.
pub(super) fn spans(source: usize, reduced: usize) -> Vec<Span> {
    let step = source as f64 / reduced as f64;
    (0..reduced)
        .map(|i| {
            let begin = i as f64 * step;
            let end = ((i + 1) as f64 * step).min(source as f64);
            let first = (begin as usize).min(source - 1);
            let last = ((end.ceil() as usize).max(first + 1) - 1).min(source - 1);
            let first_share = (end.min(first as f64 + 1.0) - begin) as f32;
            let last_share = (end - last as f64) as f32;
            let inner = last.saturating_sub(first + 1) as f32;
            let length = if last > first {
                first_share + inner + last_share
            } else {
                first_share
            };
            Span {
                first,
                first_share,
                last,
                last_share,
                length,
            }
        })
        .collect()
}

fn mean_visible_border(rgb: &[[f32; 3]], alpha: &[f32], width: usize, height: usize) -> [f32; 3] {
    let on_frame = |i: usize| {
        let (x, y) = (i % width, i / width);
        x == 0 || y == 0 || x == width - 1 || y == height - 1
    };
    let mean = |chosen: &dyn Fn(usize) -> bool| {
        let mut sum = [0.0_f64; 3];
        let mut count = 0.0;
        for (i, colour) in rgb.iter().enumerate() {
            if alpha[i] >= 0.5 && chosen(i) {
                (0..3).for_each(|c| sum[c] += f64::from(colour[c]));
                count += 1.0;
            }
        }
        (count > 0.0).then(|| sum.map(|sum| (sum / count) as f32))
    };
    mean(&on_frame)
        .or_else(|| mean(&|_| true))
        .unwrap_or([128.0; 3])
}
