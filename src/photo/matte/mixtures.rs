//! Mixtures of Gaussians over the colours of the subject and of its background (Rother et al. 2004,
//! "GrabCut").

use rayon::prelude::*;

use super::gaussian::{Gaussian, Moments, clusters};

/// Gaussians on each side.
const COMPONENTS: usize = 5;
/// What widens every Gaussian, so that a plain colour does not become a point.
const FLOOR: [f64; 3] = [4.0, 2.0, 2.0];
/// Pixels in a block of work: fixed, so that sums are the same whatever the number of threads.
const BLOCK: usize = 8192;

/// One side's colours.
pub(super) struct Mixture {
    /// The logarithm of each component's share, and the component.
    components: Vec<(f32, Gaussian)>,
}

impl Mixture {
    /// A mixture of the colours with positive weight; `None` if there are none.
    pub(super) fn new(lab: &[[f32; 3]], weights: &[f32]) -> Option<Self> {
        let samples: Vec<([f32; 3], f32)> = lab
            .iter()
            .zip(weights)
            .filter(|(_, weight)| **weight > 0.0)
            .map(|(&colour, &weight)| (colour, weight))
            .collect();
        if samples.is_empty() {
            return None;
        }
        let mut mixture = Self::from_moments(&clusters(&samples, COMPONENTS));
        for _ in 0..2 {
            mixture = mixture.refit(&samples);
        }
        Some(mixture)
    }

    /// Each colour goes to the component that explains it best, and the components are measured again.
    fn refit(&self, samples: &[([f32; 3], f32)]) -> Self {
        let blocks: Vec<Vec<Moments>> = samples
            .par_chunks(BLOCK)
            .map(|block| {
                let mut moments = vec![Moments::default(); self.components.len()];
                for &(colour, weight) in block {
                    moments[self.best(colour)].add(colour, f64::from(weight));
                }
                moments
            })
            .collect();
        let mut moments = vec![Moments::default(); self.components.len()];
        for block in &blocks {
            for (sum, part) in moments.iter_mut().zip(block) {
                sum.merge(part);
            }
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
    pub(super) fn log_density(&self, colour: [f32; 3]) -> f32 {
        let mut logs = [f32::NEG_INFINITY; COMPONENTS];
        for (log, (share, gaussian)) in logs.iter_mut().zip(&self.components) {
            *log = share + gaussian.log_density(colour);
        }
        let most = logs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        most + logs.iter().map(|log| (log - most).exp()).sum::<f32>().ln()
    }
}

/// The logarithm of how much likelier each colour is the subject's than the background's.
pub(super) fn log_ratio(lab: &[[f32; 3]], subject: &Mixture, background: &Mixture) -> Vec<f32> {
    lab.par_iter()
        .map(|&colour| subject.log_density(colour) - background.log_density(colour))
        .collect()
}
