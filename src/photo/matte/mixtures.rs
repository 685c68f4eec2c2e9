//! Mixtures of Gaussians over the colours of the subject and of its background (Rother et al. 2004,
//! "GrabCut").

use rayon::prelude::*;

use super::gaussian::{Gaussian, Moments, clusters};
use super::working_image::WorkingImage;

/// Gaussians on each side.
const COMPONENTS: usize = 5;
/// What widens every Gaussian, so that a plain colour does not become a point.
const FLOOR: [f64; 3] = [4.0, 2.0, 2.0];
/// About how many pixels the mixtures are fitted to; colours repeat, so more would only cost time.
const SAMPLES: usize = 16_384;

/// The colours of both sides.
pub(super) struct Mixtures {
    subject: Mixture,
    background: Mixture,
}

impl Mixtures {
    /// Fits both sides, `side` saying which pixels are the subject's; `None` while a side is empty.
    ///
    /// Begins from `last`, where there is one: its components move on instead of being found anew.
    pub(super) fn fit(
        image: &WorkingImage,
        lab: &[[f32; 3]],
        side: impl Fn(usize) -> bool,
        last: Option<Self>,
    ) -> Option<Self> {
        // Neighbouring rows are sampled at different columns, so that no stripe is passed over.
        let stride = (lab.len() / SAMPLES).max(1);
        let mut samples = [Vec::new(), Vec::new()];
        for i in 0..lab.len() {
            let chosen = (i + 2 * (i / image.width)).is_multiple_of(stride);
            if chosen && image.alpha[i] >= 0.5 {
                samples[usize::from(side(i))].push((lab[i], 1.0));
            }
        }
        let [background, subject] = samples;
        if background.is_empty() || subject.is_empty() {
            return None;
        }
        let (last_subject, last_background) = last.map_or((None, None), |last| {
            (Some(last.subject), Some(last.background))
        });
        let (subject, background) = rayon::join(
            || Mixture::fit(&subject, last_subject),
            || Mixture::fit(&background, last_background),
        );
        Some(Self {
            subject,
            background,
        })
    }

    /// The logarithm of how much likelier each colour is the subject's than the background's.
    pub(super) fn log_ratio(&self, lab: &[[f32; 3]]) -> Vec<f32> {
        lab.par_iter()
            .with_min_len(1024)
            .map(|&colour| self.subject.log_density(colour) - self.background.log_density(colour))
            .collect()
    }
}

/// One side's colours.
struct Mixture {
    /// The logarithm of each component's share, and the component.
    components: Vec<(f32, Gaussian)>,
}

impl Mixture {
    fn fit(samples: &[([f32; 3], f32)], last: Option<Self>) -> Self {
        let mut mixture =
            last.unwrap_or_else(|| Self::from_moments(&clusters(samples, COMPONENTS)));
        for _ in 0..2 {
            mixture = mixture.refit(samples);
        }
        mixture
    }

    /// Each colour goes to the component that explains it best, and the components are measured again.
    fn refit(&self, samples: &[([f32; 3], f32)]) -> Self {
        let mut moments = vec![Moments::default(); self.components.len()];
        for &(colour, weight) in samples {
            moments[self.best(colour)].add(colour, f64::from(weight));
        }
        Self::from_moments(&moments)
    }

    fn from_moments(moments: &[Moments]) -> Self {
        let total: f64 = moments.iter().map(|moments| moments.weight).sum();
        Self {
            components: moments
                .iter()
                .filter(|moments| moments.weight > 0.0)
                .map(|moments| {
                    let share = (moments.weight / total).ln() as f32;
                    (share, Gaussian::new(moments, FLOOR))
                })
                .collect(),
        }
    }

    fn best(&self, colour: [f32; 3]) -> usize {
        let mut best = (0, f32::NEG_INFINITY);
        for (i, (share, gaussian)) in self.components.iter().enumerate() {
            let density = share + gaussian.log_density(colour);
            if density > best.1 {
                best = (i, density);
            }
        }
        best.0
    }

    /// The logarithm of the density at `colour`, up to a constant that all mixtures share.
    fn log_density(&self, colour: [f32; 3]) -> f32 {
        let mut logs = [f32::NEG_INFINITY; COMPONENTS];
        for (log, (share, gaussian)) in logs.iter_mut().zip(&self.components) {
            *log = share + gaussian.log_density(colour);
        }
        let most = logs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        most + logs.iter().map(|log| (log - most).exp()).sum::<f32>().ln()
    }
}
