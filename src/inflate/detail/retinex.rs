//! Shading apart from paint: colour Retinex.
//!
//! Paint changes colour or jumps; shading does neither. Gradients of log brightness that come with a change
//! of colour, or are steep, are taken for paint and dropped; what is left is integrated again
//! (Land & McCann 1971; Grosse et al. 2009, "Ground truth dataset and baseline evaluations for intrinsic
//! image algorithms"; colour form as in Funt et al. 1992).

use super::domain::Domain;
use super::poisson::Poisson;
use super::solver::{Accuracy, conjugate_gradients};

/// Brightness is clamped here before its logarithm is taken.
const DARKEST: f32 = 3e-3;
/// And here, so that no input makes infinities.
const BRIGHTEST: f32 = 1e3;
/// Smoothing before differences are taken, in pixels.
const SMOOTHING_PX: f32 = 0.7;
/// A step in log chromaticity above this is paint, at 128 px.
const PAINT_CHROMA_STEP: f32 = 0.06;
/// A step in log brightness above this is paint, at 128 px.
const PAINT_BRIGHTNESS_STEP: f32 = 0.25;
/// The side that the steps above are given for.
const REFERENCE_SIDE: f32 = 128.0;
/// How firmly shading is held continuous across paint, against 1 elsewhere.
const PAINT_WEIGHT: f32 = 0.2;
/// The integration's accuracy: far below what the light fit resolves.
const ACCURACY: Accuracy = Accuracy {
    residual: 1e-4,
    iterations: 100,
};

/// The log shading of each pixel of the domain up to a constant; `None` once cancelled.
///
/// `linear_rgb` holds the linear colours by pixel of a map of the given side.
pub(super) fn log_shading(
    domain: &Domain,
    side: usize,
    linear_rgb: &[[f32; 3]],
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Option<Vec<f32>> {
    let log = |value: f32| match value {
        value if value > DARKEST => value.min(BRIGHTEST).ln(),
        // NaN as well.
        _ => DARKEST.ln(),
    };
    let brightness = domain.gather(|pixel| log(linear_rgb[pixel].iter().sum::<f32>() / 3.0));
    let chroma = [0, 1, 2].map(|channel| {
        let mut field = domain.gather(|pixel| log(linear_rgb[pixel][channel]));
        for (value, brightness) in field.iter_mut().zip(&brightness) {
            *value -= brightness;
        }
        domain.smooth(&field, SMOOTHING_PX)
    });
    let brightness = domain.smooth(&brightness, SMOOTHING_PX);
    let steps = REFERENCE_SIDE / side as f32;
    let mut right_side = domain.zeros();
    let mut integrate = |links: &[f32], offset: usize| {
        let mut weights = domain.zeros();
        for place in (0..domain.len()).filter(|&place| links[place] > 0.0) {
            let next = place + offset;
            let step = brightness[next] - brightness[place];
            let colour_step: f32 = chroma.iter().map(|c| (c[next] - c[place]).powi(2)).sum();
            let paint = colour_step.sqrt() > PAINT_CHROMA_STEP * steps
                || step.abs() > PAINT_BRIGHTNESS_STEP * steps;
            weights[place] = if paint { PAINT_WEIGHT } else { 1.0 };
            if !paint {
                right_side[place] -= step;
                right_side[next] += step;
            }
        }
        weights
    };
    let east = integrate(&domain.east, 1);
    let south = integrate(&domain.south, domain.stride);
    let mut poisson = Poisson::new(domain.stride, &domain.mask, east, south);
    conjugate_gradients(&mut poisson, &right_side, ACCURACY, cancelled)
}
