//! Step 4: flat art, drawn in areas of one colour.
//!
//! Nothing in a logo or a letter tells of depth. Few colours in a spread-out outline become a slab with
//! bevelled edges; other flat art swells a little and carries grooves where its colours meet.

use super::balls::distance_to_marked;
use super::filter::{gaussian_blur, gradient, gradient_magnitude};
use super::{InflateError, Map, WorkMaps};
use crate::compute::Cancel;

/// Art is flat when its median relative change of brightness over the frame is below this.
const FLAT_BELOW: f32 = 0.3;
/// The most colours of a slab.
const SLAB_COLOURS: usize = 3;
/// The least area of a slab, in discs of its greatest inscribed radius.
const SLAB_SPREAD: f32 = 1.9;
/// Half the thickness of a slab, as a share of its longest side.
pub(super) const SLAB_HALF_THICKNESS: f32 = 0.08;
/// The bevel of a slab, as a share of its longest side.
pub(super) const SLAB_BEVEL: f32 = 0.03;
/// The depth scale of flat art that swells.
pub(super) const PUFFY_SCALE: f32 = 0.75;

/// Whether the art is flat: no brightness changes slowly over most of it.
pub(super) fn is_flat(work: &WorkMaps, distance: &Map) -> bool {
    let side = distance.side;
    let mut logarithm = Map::filled(side, 0.0);
    for (value, rgb) in logarithm.values.iter_mut().zip(&work.linear_rgb) {
        *value = (rgb.iter().sum::<f32>() / 3.0).max(3e-3).ln();
    }
    let logarithm = gaussian_blur(&logarithm, 1.0);
    let change = gradient_magnitude(&logarithm);
    let mut inside: Vec<f32> = change
        .values
        .iter()
        .zip(&distance.values)
        .filter_map(|(change, distance)| (*distance > 3.0).then_some(*change * side as f32))
        .collect();
    if inside.len() < 30 {
        return false;
    }
    let middle = inside.len() / 2;
    *inside.select_nth_unstable_by(middle, f32::total_cmp).1 < FLAT_BELOW
}

/// Whether flat art is better a slab than a cushion.
pub(super) fn is_slab(work: &WorkMaps, distance: &Map) -> bool {
    let greatest = distance.values.iter().copied().fold(0.0, f32::max);
    let area = distance
        .values
        .iter()
        .filter(|distance| **distance > 0.0)
        .count();
    let spread = area as f32 / (std::f32::consts::PI * greatest * greatest).max(f32::MIN_POSITIVE);
    spread >= SLAB_SPREAD && colours(work, distance).is_some_and(|colours| colours <= SLAB_COLOURS)
}

/// The squared height of a slab's bevel over its flat half, in px²: a quarter circle at the rim.
pub(super) fn bevel(distance: &Map, bevel_px: f32) -> Map {
    let mut squared = distance.clone();
    for value in &mut squared.values {
        *value = if *value > 0.0 {
            let missing = 1.0 - (*value / bevel_px).min(1.0);
            bevel_px * bevel_px * (1.0 - missing * missing)
        } else {
            2.0 * bevel_px * *value
        };
    }
    squared
}

/// How many distinct colours cover a share of the inside worth counting; `None` when too little is
/// inside to tell.
fn colours(work: &WorkMaps, distance: &Map) -> Option<usize> {
    /// The side of a bin in Lab.
    const BIN: f32 = 14.0;
    /// Colours closer than this are one.
    const SAME: f32 = 16.0;
    let inside: Vec<[f32; 3]> = work
        .linear_rgb
        .iter()
        .zip(&distance.values)
        .filter(|(_, distance)| **distance > 2.5)
        .map(|(rgb, _)| lab(*rgb))
        .collect();
    if inside.len() < 50 {
        return None;
    }
    let mut bins = std::collections::BTreeMap::<[i32; 3], (usize, [f64; 3])>::new();
    for lab in &inside {
        let (count, sum) = bins
            .entry(lab.map(|value| (value / BIN).round() as i32))
            .or_default();
        *count += 1;
        for (sum, value) in sum.iter_mut().zip(lab) {
            *sum += f64::from(*value);
        }
    }
    let mut bins: Vec<(usize, [f32; 3])> = bins
        .into_values()
        .filter(|(count, _)| *count * 100 >= inside.len())
        .map(|(count, sum)| (count, sum.map(|sum| (sum / count as f64) as f32)))
        .collect();
    bins.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let mut distinct: Vec<(usize, [f32; 3])> = Vec::new();
    for (count, lab) in bins {
        match distinct
            .iter_mut()
            .find(|(_, other)| lab_distance(lab, *other) < SAME)
        {
            Some((total, _)) => *total += count,
            None => distinct.push((count, lab)),
        }
    }
    Some(
        distinct
            .iter()
            .filter(|(count, _)| *count * 50 >= inside.len())
            .count(),
    )
}

/// Grooves where colours meet: how far the front is raised, in pixels, 0 along the edges and the rim.
pub(super) fn grooves(
    work: &WorkMaps,
    distance: &Map,
    longest_px: f32,
    cancel: &Cancel,
) -> Result<Map, InflateError> {
    /// The depth and the width of a groove, as shares of the longest side.
    const DEPTH: f32 = 0.018;
    const WIDTH: f32 = 0.015;
    /// The change of Lab colour a pixel that makes an edge.
    const EDGE: f32 = 14.0;
    let side = distance.side;
    let mut channels = [
        Map::filled(side, 0.0),
        Map::filled(side, 0.0),
        Map::filled(side, 0.0),
    ];
    for (pixel, rgb) in work.linear_rgb.iter().enumerate() {
        if work.alpha.values[pixel] > 0.3 {
            let lab = lab(*rgb);
            for (channel, value) in channels.iter_mut().zip(lab) {
                channel.values[pixel] = value;
            }
        }
    }
    let channels = channels.map(|channel| gaussian_blur(&channel, 0.8));
    let mut edges = Map::filled(side, 0.0);
    for row in 0..side {
        for column in 0..side {
            if distance.at(column, row) > 2.5 {
                let squared: f32 = channels
                    .iter()
                    .map(|channel| {
                        let [across, down] = gradient(channel, column, row);
                        across * across + down * down
                    })
                    .sum();
                edges.values[row * side + column] = f32::from(u8::from(squared > EDGE * EDGE));
            }
        }
    }
    let mut raised = distance_to_marked(&edges, cancel)?;
    for value in &mut raised.values {
        *value = DEPTH * longest_px * (1.0 - (-*value / (WIDTH * longest_px)).exp());
    }
    let mut raised = gaussian_blur(&raised, 1.0);
    for (value, distance) in raised.values.iter_mut().zip(&distance.values) {
        *value *= ((distance - 1.0) / 4.0).clamp(0.0, 1.0);
    }
    Ok(raised)
}

fn lab_distance(a: [f32; 3], b: [f32; 3]) -> f32 {
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).powi(2))
        .sum::<f32>()
        .sqrt()
}

/// CIE L*a*b* under D65 of a linear sRGB colour.
fn lab([r, g, b]: [f32; 3]) -> [f32; 3] {
    let compress = |t: f32| {
        if t > 0.008_856 {
            t.cbrt()
        } else {
            7.787 * t + 16.0 / 116.0
        }
    };
    let x = compress((0.412_453 * r + 0.357_580 * g + 0.180_423 * b) / 0.950_47);
    let y = compress(0.212_671 * r + 0.715_160 * g + 0.072_169 * b);
    let z = compress((0.019_334 * r + 0.119_193 * g + 0.950_227 * b) / 1.088_83);
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}
