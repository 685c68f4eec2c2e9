//! The subject of an opaque photo, told from its background by colour and place alone.

use super::MatteError;
use super::blur::gaussian_blur;
use super::clean::clean;
use super::confidence::{Evidence, Trail};
use super::mixtures::Mixtures;
use super::random_walker::Graph;
use super::saliency::saliency;
use super::working_image::WorkingImage;

/// The subject at the working size.
pub(super) struct Estimate {
    /// Which pixels are the subject's, crumbs and small holes cleaned away.
    pub(super) mask: Vec<bool>,
    /// How far the mask can be trusted, `0.0..=1.0`.
    pub(super) confidence: f32,
    pub(super) evidence: Option<Evidence>,
}

/// How strongly the first guess holds a walker, against edge weights of at most 1.
const GUESS_HOLD: f32 = 0.02;
/// How strongly the likelihood under the mixtures holds a walker.
const MIXTURE_HOLD: f32 = 0.04;
/// How strongly a seed holds: far above every edge weight.
const SEED_HOLD: f32 = 1e3;
/// Times that the mixtures are fitted and the walk is solved again.
const ROUNDS: usize = 4;

/// Tells the subject from the background; `seeds` are pixels that the user decided.
pub(super) fn estimate(
    image: &WorkingImage,
    seeds: &[Option<bool>],
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Estimate, MatteError> {
    let (width, height) = (image.width, image.height);
    let lab = gaussian_blur(&image.lab, width, height, 0.7 * image.scale().max(0.5));
    let longest = width.max(height);
    let frame = image.frame(((0.03 * longest as f32) as usize).max(2));
    let guess = saliency(image, &lab, &frame);
    if cancelled() {
        return Err(MatteError::Cancelled);
    }
    let decided: Vec<Option<bool>> = (0..lab.len())
        .map(|i| match seeds[i] {
            Some(keep) => Some(keep),
            None if image.alpha[i] < 0.5 => Some(false),
            None if frame[i] && guess.value[i] < guess.threshold => Some(false),
            None => None,
        })
        .collect();
    let graph = Graph::new(&lab, width, height);
    let prior: Vec<f32> = guess
        .value
        .iter()
        .map(|value| ((value - guess.threshold) / 0.35 + 0.5).clamp(0.0, 1.0))
        .collect();
    let first = walk(&graph, &prior, GUESS_HOLD, &decided, &prior, cancelled)?;
    let mut probability = first.clone();
    let mut ratio = Vec::new();
    let mut mixtures: Option<Mixtures> = None;
    for _ in 0..ROUNDS {
        let sides = |i: usize| decided[i].unwrap_or(probability[i] > 0.5);
        mixtures = Mixtures::fit(image, &lab, sides, mixtures);
        let Some(mixtures) = &mixtures else {
            break;
        };
        let next = mixtures.log_ratio(&lab);
        let prior: Vec<f32> = next.iter().map(|log| 1.0 / (1.0 + (-log).exp())).collect();
        probability = walk(
            &graph,
            &prior,
            MIXTURE_HOLD,
            &decided,
            &probability,
            cancelled,
        )?;
        ratio = next;
    }
    let mut mask: Vec<bool> = probability.iter().map(|p| *p > 0.5).collect();
    clean(
        &mut mask,
        width,
        |i| seeds[i] == Some(true),
        |i| decided[i] == Some(false),
    );
    let evidence = Evidence::gather(&Trail {
        image,
        lab: &lab,
        frame: &frame,
        guess: &guess,
        first: &first,
        probability: &probability,
        ratio: &ratio,
        mask: &mask,
    });
    Ok(Estimate {
        confidence: evidence.map_or(0.0, |evidence| evidence.confidence()),
        mask,
        evidence,
    })
}

fn walk(
    graph: &Graph,
    prior: &[f32],
    hold: f32,
    decided: &[Option<bool>],
    start: &[f32],
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Vec<f32>, MatteError> {
    let holds: Vec<f32> = decided
        .iter()
        .map(|decided| if decided.is_some() { SEED_HOLD } else { hold })
        .collect();
    let target: Vec<f32> = decided
        .iter()
        .zip(prior)
        .map(|(decided, prior)| decided.map_or(*prior, |keep| if keep { 1.0 } else { 0.0 }))
        .collect();
    graph.solve(&target, &holds, start, cancelled)
}
