//! From the working size back to the photo's: a crisp, anti-aliased outline.
//!
//! Near the contour each pixel is taken for a mixture of the mean subject colour and the mean background
//! colour around it. Where those two are too alike, or too varied, to tell, the smoothed contour decides.

use rayon::prelude::*;

use super::super::Photo;
use super::MatteError;
use super::blur::gaussian_blur;
use super::working_image::{WorkingImage, fit_within, reduce};

/// The longest side of an estimated matte, in pixels.
const MAX_SIDE_PX: usize = 1024;
/// How far the contour is smoothed where colours cannot tell, in pixels at the working size.
const CONTOUR_SIGMA: f32 = 1.2;
/// How far around a pixel its mean colours are taken, in pixels at the working size.
const COLOUR_SIGMA: f32 = 3.0;
/// What the variance of colours costs, against the squared distance of the two means.
const VARIANCE_COST: f32 = 3.0;

/// A matte at the size it is handed out.
pub(super) struct Outline {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) alpha: Vec<f32>,
}

/// Carries `mask`, at the size of `image`, to the photo's size or [`MAX_SIDE_PX`].
pub(super) fn outline(
    photo: &Photo,
    image: &WorkingImage,
    mask: &[bool],
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Outline, MatteError> {
    let (width, height) = fit_within(photo.width, photo.height, MAX_SIDE_PX);
    let guide = reduce(photo, width, height, cancelled)?;
    let coverage: Vec<[f32; 1]> = mask
        .iter()
        .map(|&inside| [f32::from(u8::from(inside))])
        .collect();
    let sigma = CONTOUR_SIGMA * image.scale().max(0.5);
    let soft = gaussian_blur(&coverage, image.width, image.height, sigma);
    let subject = local_colours(image, mask, true);
    let background = local_colours(image, mask, false);
    if cancelled() {
        return Err(MatteError::Cancelled);
    }
    // The steepest slope of the smoothed step, made one pixel wide at the target size.
    let sharpen = sigma * (2.0 * std::f32::consts::PI).sqrt() * width.max(height) as f32
        / image.width.max(image.height) as f32;
    let mut alpha = vec![0.0; width * height];
    alpha
        .par_chunks_mut(width)
        .enumerate()
        .try_for_each(|(y, line)| {
            if cancelled() {
                return Err(MatteError::Cancelled);
            }
            for (x, alpha) in line.iter_mut().enumerate() {
                let pixel = guide[y * width + x];
                let at = Sampler::new(image, [x, y], [width, height]);
                let [level] = at.sample(&soft);
                let contour = ((level - 0.5) * sharpen + 0.5).clamp(0.0, 1.0);
                // Far from the contour there is nothing to decide.
                let closeness = 1.0 - ((level - 0.5).abs() - 0.3) / 0.15;
                *alpha = if closeness > 0.0 {
                    let mix = mixture(pixel, at.sample(&subject), at.sample(&background));
                    let trust = mix.trust * closeness.min(1.0);
                    contour + trust * (mix.share - contour)
                } else {
                    contour
                };
                *alpha = (*alpha * pixel[3]).clamp(0.0, 1.0);
            }
            Ok(())
        })?;
    Ok(Outline {
        width,
        height,
        alpha,
    })
}

/// Red, green, blue, the sum of their squares and the weight, smoothed over one side of the mask.
type ColourSums = [f32; 5];

fn local_colours(image: &WorkingImage, mask: &[bool], side: bool) -> Vec<ColourSums> {
    let (width, height) = (image.width, image.height);
    let deep = gaussian_blur(
        &mask
            .iter()
            .map(|&inside| [f32::from(u8::from(inside == side))])
            .collect::<Vec<_>>(),
        width,
        height,
        1.0,
    );
    let sums: Vec<ColourSums> = (0..mask.len())
        .map(|i| {
            if mask[i] != side || image.alpha[i] < 0.5 {
                return [0.0; 5];
            }
            // Pixels at the rim are mixed already, but thin parts have no others.
            let weight = ((deep[i][0] - 0.75) / 0.25).clamp(0.02, 1.0);
            let [r, g, b] = image.rgb[i];
            [r, g, b, r * r + g * g + b * b, 1.0].map(|value| weight * value)
        })
        .collect();
    gaussian_blur(&sums, width, height, COLOUR_SIGMA * image.scale().max(0.5))
}

struct Mixing {
    /// How much of the pixel is the subject's.
    share: f32,
    /// How far that can be trusted, `0.0..=1.0`.
    trust: f32,
}

fn mixture(pixel: [f32; 4], subject: ColourSums, background: ColourSums) -> Mixing {
    const NOTHING: Mixing = Mixing {
        share: 0.0,
        trust: 0.0,
    };
    let (Some((front, front_variance)), Some((back, back_variance))) =
        (mean_and_variance(subject), mean_and_variance(background))
    else {
        return NOTHING;
    };
    let mut along = 0.0;
    let mut apart = 0.0;
    for c in 0..3 {
        along += (pixel[c] - back[c]) * (front[c] - back[c]);
        apart += (front[c] - back[c]) * (front[c] - back[c]);
    }
    if apart < 1.0 {
        return NOTHING;
    }
    let certain = apart / (apart + VARIANCE_COST * (front_variance + back_variance) + 100.0);
    Mixing {
        share: (along / apart).clamp(0.0, 1.0),
        trust: certain * certain,
    }
}

fn mean_and_variance([r, g, b, squares, weight]: ColourSums) -> Option<([f32; 3], f32)> {
    if weight < 1e-5 {
        return None;
    }
    let mean = [r, g, b].map(|sum| sum / weight);
    let variance = squares / weight - mean.iter().map(|value| value * value).sum::<f32>();
    Some((mean, variance.max(0.0)))
}

/// Bilinear interpolation at one target pixel.
struct Sampler {
    corners: [usize; 4],
    weights: [f32; 4],
}

impl Sampler {
    fn new(image: &WorkingImage, target: [usize; 2], size: [usize; 2]) -> Self {
        let axis = |target: usize, size: usize, length: usize| {
            let position = (target as f32 + 0.5) * length as f32 / size as f32 - 0.5;
            let position = position.clamp(0.0, (length - 1) as f32);
            let first = (position as usize).min(length - 1);
            (first, (first + 1).min(length - 1), position - first as f32)
        };
        let (x0, x1, u) = axis(target[0], size[0], image.width);
        let (y0, y1, v) = axis(target[1], size[1], image.height);
        let width = image.width;
        Self {
            corners: [
                y0 * width + x0,
                y0 * width + x1,
                y1 * width + x0,
                y1 * width + x1,
            ],
            weights: [(1.0 - u) * (1.0 - v), u * (1.0 - v), (1.0 - u) * v, u * v],
        }
    }

    fn sample<const N: usize>(&self, values: &[[f32; N]]) -> [f32; N] {
        let mut sum = [0.0; N];
        for (corner, weight) in self.corners.iter().zip(self.weights) {
            for c in 0..N {
                sum[c] += weight * values[*corner][c];
            }
        }
        sum
    }
}
