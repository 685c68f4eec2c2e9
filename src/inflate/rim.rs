//! Step 3, last part: near and outside the outline the squared height is slope × distance.
//!
//! The squared height of a closed solid falls to 0 in a straight line across its outline, so that the
//! surface meets it upright. Sampled heights do not know where between two pixels that happens; the
//! distance map does. Without this step the silhouette of the mesh loses a third of a pixel.

use super::filter::spread;
use super::{Map, REFERENCE_SIDE};

/// The bytes that [`fix_rim`] takes while it works, beyond its result.
pub(super) fn bytes(side: usize) -> u64 {
    (side as u64).pow(2) * 4 * 6
}

/// Makes the outline the zero set of `squared_height` (px²), and continues it outside, negative.
pub(super) fn fix_rim(squared_height: &Map, distance: &Map) -> Map {
    let scale = squared_height.side as f32 / REFERENCE_SIDE as f32;
    let (inner, outer) = (0.5 * scale, 1.5 * scale);
    let slope = slope(squared_height, distance, scale);
    let mut out = squared_height.clone();
    for ((value, slope), distance) in out
        .values
        .iter_mut()
        .zip(&slope.values)
        .zip(&distance.values)
    {
        if *distance < outer {
            let straight = slope * distance;
            let t = ((distance - inner) / (outer - inner)).clamp(0.0, 1.0);
            *value = straight + t * (*value - straight);
        }
    }
    out
}

/// The slope of the squared height just inside the outline, carried everywhere.
fn slope(squared_height: &Map, distance: &Map, scale: f32) -> Map {
    let mut slope = Map::filled(distance.side, 0.0);
    let mut weights = slope.clone();
    let mut greatest = 0.0f32;
    for (pixel, &distance) in distance.values.iter().enumerate() {
        greatest = greatest.max(distance);
        if distance > 0.8 * scale && distance < 3.0 * scale {
            slope.values[pixel] = squared_height.values[pixel] / distance;
            weights.values[pixel] = 1.0;
        }
    }
    // A stroke thinner than the ring is a tube of the greatest radius seen.
    let mut slope = spread(&slope, &weights, 1.5 * scale, 2.0 * greatest);
    slope
        .values
        .iter_mut()
        .for_each(|slope| *slope = slope.max(0.5 * scale));
    slope
}
