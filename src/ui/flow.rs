//! What a source that refines a shape from noise is asked for, as settings and preferences hold it.

use serde_json::Value;

use crate::engine::{Flow, Settings};

/// Seeds that "New seed" chooses from: all short enough to be noted down.
const NEW_SEEDS: u128 = 1_000_000;

/// A flow whose every number is one that there can be; one that is out of its range is as at first.
pub(super) fn within_bounds(flow: Flow) -> Flow {
    let first = Flow::default();
    Flow {
        steps: Some(flow.steps)
            .filter(|steps| Settings::STEPS.contains(steps))
            .unwrap_or(first.steps),
        guidance: Some(flow.guidance)
            .filter(|guidance| Settings::GUIDANCES.contains(guidance))
            .unwrap_or(first.guidance),
        seed: Some(flow.seed)
            .filter(|seed| Settings::SEEDS.contains(seed))
            .unwrap_or(first.seed),
        shapes: Some(flow.shapes)
            .filter(|shapes| Settings::SHAPES.contains(shapes))
            .unwrap_or(first.shapes),
        threshold: Some(flow.threshold)
            .filter(|threshold| Settings::THRESHOLDS.contains(threshold))
            .unwrap_or(first.threshold),
        preview_share: Some(flow.preview_share)
            .filter(|share| Settings::PREVIEW_SHARES.contains(share))
            .unwrap_or(first.preview_share),
    }
}

/// How a shape was refined from noise, as far as settings tell it within its bounds.
pub(super) fn from_json(settings: &Value) -> Flow {
    let first = Flow::default();
    let steps = settings["steps"].as_u64().map(u32::try_from);
    let guidance = settings["guidance"].as_f64();
    let threshold = settings["threshold"].as_f64();
    within_bounds(Flow {
        steps: steps.and_then(Result::ok).unwrap_or(first.steps),
        guidance: guidance.map_or(first.guidance, |guidance| guidance as f32),
        seed: settings["seed"].as_u64().unwrap_or(first.seed),
        // A file holds one of them.
        shapes: 1,
        threshold: threshold.map_or(first.threshold, |threshold| threshold as f32),
        preview_share: settings["preview_share"]
            .as_f64()
            .unwrap_or(first.preview_share),
    })
}

/// Whether both lead to the same shape: looks on the way change nothing of what is at its end.
pub(super) fn same_shape(one: Flow, other: Flow) -> bool {
    Flow {
        preview_share: other.preview_share,
        ..one
    } == other
}

/// A seed by chance, other than this one.
pub(super) fn new_seed(other_than: u64) -> u64 {
    // Random but for its version and variant, which are no low bits.
    let chance = (uuid::Uuid::new_v4().as_u128() % NEW_SEEDS) as u64;
    if chance == other_than {
        chance + 1
    } else {
        chance
    }
}
