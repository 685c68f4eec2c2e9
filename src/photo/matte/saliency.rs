//! The first guess of the subject: what differs from the frame and cannot be reached from it.

use super::barrier::minimum_barrier;
use super::border_model::distance_from_border;
use super::shadow::lit_background;
use super::working_image::WorkingImage;

/// The first guess and what it was made from.
pub(super) struct Saliency {
    /// How much each pixel looks like a subject, `0.0..=1.0`.
    pub(super) value: Vec<f32>,
    /// The value above which a pixel is the subject's (Otsu 1979).
    pub(super) threshold: f32,
}

/// What remains of the guess where only the light changes.
const LIT: f32 = 0.2;

/// Half the distance from the colours of the `frame`, half the barrier from its outermost pixels.
pub(super) fn saliency(image: &WorkingImage, lab: &[[f32; 3]], frame: &[bool]) -> Saliency {
    let (width, height) = (image.width, image.height);
    let distance = distance_from_border(image, lab, frame);
    let outermost = image.frame(1);
    let barrier = minimum_barrier(lab, width, height, |i| outermost[i] || image.alpha[i] < 0.5);
    // A picture that hardly varies must not have its noise stretched to a subject.
    let full_barrier = quantile(&barrier, 0.99).max(8.0);
    let lit = lit_background(image, lab, frame);
    let value: Vec<f32> = distance
        .iter()
        .zip(&barrier)
        .zip(&lit)
        .map(|((distance, barrier), lit)| {
            let differs = 1.0 - (-distance * distance / 32.0).exp();
            let value = 0.5 * differs + 0.5 * (barrier / full_barrier).clamp(0.0, 1.0);
            if *lit { value * LIT } else { value }
        })
        .collect();
    let threshold = otsu(&value);
    Saliency { value, threshold }
}

/// The smallest value that `share` of the values do not exceed.
pub(super) fn quantile(values: &[f32], share: f64) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let mut sorted = values.to_vec();
    let index = ((sorted.len() - 1) as f64 * share) as usize;
    let (_, value, _) = sorted.select_nth_unstable_by(index, f32::total_cmp);
    *value
}

/// The threshold that parts values in `0.0..=1.0` into the two classes of the least variance.
fn otsu(values: &[f32]) -> f32 {
    const BINS: usize = 256;
    let mut histogram = [0.0_f64; BINS];
    for value in values {
        histogram[((value * BINS as f32) as usize).min(BINS - 1)] += 1.0;
    }
    let total: f64 = histogram.iter().sum();
    let all: f64 = histogram
        .iter()
        .enumerate()
        .map(|(i, n)| i as f64 * n)
        .sum();
    let (mut below, mut below_sum) = (0.0, 0.0);
    let mut best = (0.0, 0);
    for (i, count) in histogram.iter().enumerate() {
        below += count;
        below_sum += i as f64 * count;
        let above = total - below;
        if below > 0.0 && above > 0.0 {
            let gap = below_sum / below - (all - below_sum) / above;
            let between = below * above * gap * gap;
            if between > best.0 {
                best = (between, i);
            }
        }
    }
    (best.1 as f32 + 1.0) / BINS as f32
}
