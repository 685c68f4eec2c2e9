//! How far an estimated matte can be trusted.

use super::clean::{grow, neighbours};
use super::colour::gradient;
use super::gaussian::Moments;
use super::saliency::{Saliency, quantile};
use super::working_image::WorkingImage;

/// What an estimate was made from, to be judged.
pub(super) struct Trail<'a> {
    pub(super) image: &'a WorkingImage,
    /// The smoothed colours that the estimate saw.
    pub(super) lab: &'a [[f32; 3]],
    /// Which pixels were taken for the frame.
    pub(super) frame: &'a [bool],
    pub(super) guess: &'a Saliency,
    /// The probabilities of the first walk, before colours were learnt.
    pub(super) first: &'a [f32],
    /// The probabilities of the last walk.
    pub(super) probability: &'a [f32],
    /// How much likelier each colour is the subject's, as a logarithm; empty while a side had no pixels.
    pub(super) ratio: &'a [f32],
    /// The result.
    pub(super) mask: &'a [bool],
}

/// What speaks for and against an estimate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Evidence {
    /// How well the first guess and the first walk overlap with the result, `0.0..=1.0`.
    pub(super) agreement: f32,
    /// The share of the contour that is sharper than nine tenths of the background's edges.
    pub(super) distinctness: f32,
    /// The share of pixels whose colour alone says what the result says, each side counted as a half.
    pub(super) separation: f32,
    /// How far the last walk's probabilities are from undecided, `0.0..=1.0`.
    pub(super) decision: f32,
    /// The share of the frame that the first guess takes for the subject.
    pub(super) frame_doubt: f32,
    /// The standard deviation of the frame's colours, in units of Lab.
    pub(super) frame_spread: f32,
    /// The share of the outermost pixels that belong to the subject.
    pub(super) border: f32,
    /// The share of all pixels that belong to the subject.
    pub(super) area: f32,
}

impl Evidence {
    /// `None` where the result is empty or everything.
    pub(super) fn gather(trail: &Trail) -> Option<Self> {
        let Trail {
            image,
            lab,
            frame,
            guess,
            first,
            probability,
            ratio,
            mask,
        } = *trail;
        let everywhere = || 0..mask.len();
        let inside = share(everywhere(), |i| mask[i]);
        if inside <= 0.0 || inside >= 1.0 || ratio.len() != mask.len() {
            return None;
        }
        let guessed = |i: usize| guess.value[i] > guess.threshold;
        let subject = || everywhere().filter(|&i| mask[i]);
        let background = || everywhere().filter(|&i| !mask[i]);
        let outermost = image.frame(1);
        Some(Self {
            agreement: 0.5 * (overlap(mask, |i| first[i] > 0.5) + overlap(mask, guessed)),
            distinctness: distinctness(image, lab, mask),
            separation: 0.5
                * (share(subject(), |i| ratio[i] > 0.0) + share(background(), |i| ratio[i] <= 0.0)),
            decision: probability
                .iter()
                .map(|p| (2.0 * p - 1.0).abs())
                .sum::<f32>()
                / mask.len() as f32,
            frame_doubt: share(everywhere().filter(|&i| frame[i]), guessed),
            frame_spread: spread(everywhere().filter(|&i| frame[i]).map(|i| lab[i])),
            border: share(everywhere().filter(|&i| outermost[i]), |i| mask[i]),
            area: inside,
        })
    }

    /// How probably the result covers the subject with an intersection over union of at least 0.7.
    ///
    /// A logistic regression over composites of several hundred subjects on sixteen kinds of backgrounds, real
    /// photos, and pictures without a subject, times gates for what those do not cover: subjects that
    /// the frame cuts, and those too small or too large to be told from their surroundings.
    pub(super) fn confidence(&self) -> f32 {
        let ramp = |value: f32, from: f32, to: f32| ((value - from) / (to - from)).clamp(0.0, 1.0);
        let support = 2.41 * self.agreement
            + 1.59 * self.distinctness
            + 1.46 * ramp(self.separation, 0.9, 1.0)
            + 1.37 * ramp(self.decision, 0.7, 1.0)
            - 2.13 * ramp(self.frame_doubt, 0.0, 0.1)
            - 2.30 * ramp(self.frame_spread, 0.0, 40.0)
            - 3.82;
        let gates = ramp(self.area, 0.0, 0.02) * (1.0 - ramp(self.area, 0.85, 0.95));
        (1.0 - self.border) * gates / (1.0 + (-support).exp())
    }
}

/// The share of `pixels` for which `holds` is true; 0 if there are none.
fn share(pixels: impl Iterator<Item = usize>, holds: impl Fn(usize) -> bool) -> f32 {
    let (mut count, mut total) = (0_usize, 0_usize);
    for i in pixels {
        count += usize::from(holds(i));
        total += 1;
    }
    count as f32 / total.max(1) as f32
}

/// Intersection over union of two masks; 0 if both are empty.
fn overlap(mask: &[bool], other: impl Fn(usize) -> bool) -> f32 {
    let either = (0..mask.len()).filter(|&i| mask[i] || other(i));
    share(either, |i| mask[i] && other(i))
}

fn distinctness(image: &WorkingImage, lab: &[[f32; 3]], mask: &[bool]) -> f32 {
    /// The contour's own slope reaches this far, in pixels.
    const NEAR: usize = 4;
    let (width, height) = (image.width, image.height);
    let slope = gradient(lab, width, height);
    let near = grow(mask, width, height, NEAR);
    let background: Vec<f32> = (0..mask.len())
        .filter(|&i| !near[i])
        .map(|i| slope[i])
        .collect();
    let clutter = quantile(&background, 0.9) + 1.0;
    let contour =
        (0..mask.len()).filter(|&i| mask[i] && neighbours(i, width, height).any(|j| !mask[j]));
    share(contour, |i| {
        slope[i] > clutter || neighbours(i, width, height).any(|j| slope[j] > clutter)
    })
}

fn spread(colours: impl Iterator<Item = [f32; 3]>) -> f32 {
    let mut moments = Moments::default();
    colours.for_each(|colour| moments.add(colour, 1.0));
    let [l, _, _, a, _, b] = moments.covariance();
    (l + a + b).sqrt() as f32
}
