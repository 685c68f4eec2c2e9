//! Step 2, second part: the outline without the few hundredths of a pixel by which coverage misplaces it.
//!
//! Coverage of a slanted edge errs to and fro every few pixels (Gustavson & Strand 2011). Nobody sees that
//! in a picture, but a wall shows it as grooves along its whole height. The distance near the outline is
//! therefore smoothed by a kernel that leaves every quadratic function as it is, so that straight lines
//! and circles stay what they are, and only where that changes less than such an error does: corners and
//! thin strokes stay sharp.

use super::Map;
use super::filter::gaussian_blur;

/// The standard deviation of the blur, in pixels of the map: the errors repeat within fewer than ten.
const SIGMA_PX: f32 = 2.0;
/// A change up to the first is taken for such an error, one beyond the second for a feature.
const JITTER_PX: [f32; 2] = [0.1, 0.2];
/// Up to the first distance from the outline all is smoothed, beyond the second nothing.
const REACH_PX: [f32; 2] = [4.0, 8.0];

/// The bytes that [`without_jitter`] takes while it works, beyond its result.
pub(super) fn bytes(side: usize) -> u64 {
    (side as u64).pow(2) * 4 * 3
}

/// The signed distance to the outline, smoothed near it.
pub(super) fn without_jitter(distance: &Map) -> Map {
    // Twice the blurred map less the blurred blurred one: what the blur takes from a quadratic is given
    // back.
    let once = gaussian_blur(distance, SIGMA_PX);
    let mut out = gaussian_blur(&once, SIGMA_PX);
    for ((out, once), distance) in out
        .values
        .iter_mut()
        .zip(&once.values)
        .zip(&distance.values)
    {
        let change = 2.0 * once - *out - distance;
        let share = falling(change.abs(), JITTER_PX) * falling(distance.abs(), REACH_PX);
        *out = distance + share * change;
    }
    out
}

/// 1 up to the first bound, 0 from the second, smooth between.
fn falling(value: f32, [full, none]: [f32; 2]) -> f32 {
    let t = ((value - full) / (none - full)).clamp(0.0, 1.0);
    1.0 - t * t * (3.0 - 2.0 * t)
}
