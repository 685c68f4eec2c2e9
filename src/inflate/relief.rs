//! Step 4: the relief of a whole frame, where no subject was told from its background.
//!
//! Brightness stands for height, as on a coin or a lithophane: broad forms from the heavily blurred
//! image, finer ones at less strength, pixels not at all. Percentiles set the range, so that a dark
//! photo is as deep as a bright one, and everything sinks towards the frame's edge.

use super::filter::gaussian_blur;
use super::{Map, WorkMaps};

/// Half the thickness of the plate under the relief, as a share of its longest side.
pub(super) const PLATE_HALF_THICKNESS: f32 = 0.03;
/// The bevel of the plate, as a share of its longest side.
pub(super) const PLATE_BEVEL: f32 = 0.015;

/// The height of the relief over its plate, in `0..=1` of its depth.
pub(super) fn heights(work: &WorkMaps, distance: &Map, longest_px: f32) -> Map {
    /// How much each scale counts: the blur as a share of the longest side, and its weight.
    const SCALES: [(f32, f32); 3] = [(0.04, 0.5), (0.012, 0.3), (0.004, 0.2)];
    /// The width of the slope at the edge, as a share of the longest side.
    const EDGE: f32 = 0.04;
    let side = distance.side;
    let mut brightness = Map::filled(side, 0.0);
    let mut covered = brightness.clone();
    for (pixel, rgb) in work.linear_rgb.iter().enumerate() {
        if distance.values[pixel] > 0.0 {
            let luminance = 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2];
            brightness.values[pixel] = luminance.cbrt();
            covered.values[pixel] = 1.0;
        }
    }
    let mut heights = Map::filled(side, 0.0);
    for (blur, share) in SCALES {
        let sums = gaussian_blur(&brightness, blur * longest_px);
        let weights = gaussian_blur(&covered, blur * longest_px);
        for ((height, sum), weight) in heights
            .values
            .iter_mut()
            .zip(&sums.values)
            .zip(&weights.values)
        {
            *height += share * sum / weight.max(1e-3);
        }
    }
    let (low, high) = range(&heights, distance);
    for (height, distance) in heights.values.iter_mut().zip(&distance.values) {
        let edge = smooth_step(*distance / (EDGE * longest_px));
        *height = edge * soft_clamp((*height - low) / (high - low).max(0.05));
    }
    heights
}

/// The second and the ninety-eighth percentile inside.
fn range(map: &Map, distance: &Map) -> (f32, f32) {
    let inside = map.values.iter().zip(&distance.values);
    let mut inside: Vec<f32> = inside
        .filter_map(|(value, distance)| (*distance > 0.0).then_some(*value))
        .collect();
    if inside.is_empty() {
        return (0.0, 1.0);
    }
    let last = inside.len() - 1;
    let mut percentile = |share: f32| {
        let rank = (share * last as f32) as usize;
        *inside.select_nth_unstable_by(rank, f32::total_cmp).1
    };
    (percentile(0.02), percentile(0.98))
}

fn smooth_step(t: f32) -> f32 {
    let t = t.clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Into `0..=1`, without a crease where the ends are reached.
fn soft_clamp(t: f32) -> f32 {
    smooth_step(0.5 + (t - 0.5) * 0.8)
}
