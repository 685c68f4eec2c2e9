//! Laying charts out in a square, in rows of falling height.

use super::charts::{Chart, Charts};
use super::{GUTTER, PARTS};

/// How much coarser each try is that does not fit.
const COARSER: f64 = 0.97;
/// The least of the wished texels that a small square may cost before a larger one is taken.
const ENOUGH: f64 = 0.95;

/// Where each chart is.
pub(super) struct Packed {
    /// Of the square, in texels.
    pub(super) side: usize,
    /// Along a length of 1.
    texels: f64,
    /// The corner of each chart, in texels and its own lengths.
    places: Vec<([usize; 2], [f64; 2])>,
}

impl Packed {
    /// Takes the smallest side that has room for the texels wished, or else the largest, and as many as
    /// fit there.
    pub(super) fn new(charts: &Charts, texels: f64, sides: &[usize]) -> Self {
        let mut order: Vec<usize> = (0..charts.all.len()).collect();
        let size = |chart: &Chart| [0, 1].map(|axis| chart.max[axis] - chart.min[axis]);
        order.sort_by(|&a, &b| {
            let [[wide_a, high_a], [wide_b, high_b]] =
                [a, b].map(|number| size(&charts.all[number]));
            high_b
                .total_cmp(&high_a)
                .then(wide_b.total_cmp(&wide_a))
                .then(a.cmp(&b))
        });
        let largest = sides.last().copied().unwrap_or(1);
        let enough = |side: &&usize| laid_out(charts, &order, texels * ENOUGH, **side).is_some();
        let side = sides.iter().find(enough).copied().unwrap_or(largest);
        let mut fitting = texels;
        // A texel a chart fits at last, unless there are more charts than texels.
        let places = loop {
            if let Some(places) = laid_out(charts, &order, fitting, side) {
                break places;
            }
            fitting *= COARSER;
            if fitting < 1e-3 * texels {
                break vec![[GUTTER; 2]; charts.all.len()];
            }
        };
        let corners = charts.all.iter().map(|chart| chart.min);
        Self {
            side,
            texels: fitting,
            places: places.into_iter().zip(corners).collect(),
        }
    }

    /// The texture coordinates of a point of a chart, given as it is seen.
    pub(super) fn coordinates(&self, chart: usize, seen: [f64; 2]) -> [f32; 2] {
        let (place, corner) = self.places[chart];
        [0, 1].map(|axis| {
            let texel = (seen[axis] - corner[axis]) * self.texels + place[axis] as f64;
            let rounded = (texel * PARTS).round() / PARTS;
            (rounded / self.side as f64).clamp(0.0, 1.0) as f32
        })
    }
}

/// The corners of all charts without their gutters; `None` where they do not fit.
fn laid_out(charts: &Charts, order: &[usize], texels: f64, side: usize) -> Option<Vec<[usize; 2]>> {
    let mut places = vec![[0; 2]; order.len()];
    let [mut left, mut top, mut row_height] = [0_usize; 3];
    for &number in order {
        let chart = &charts.all[number];
        let [width, height] = [0, 1].map(|axis| {
            let length = (chart.max[axis] - chart.min[axis]) * texels;
            // `as` saturates.
            length.ceil() as usize + 1 + 2 * GUTTER
        });
        if left + width > side {
            (left, top) = (0, top + row_height);
            row_height = 0;
        }
        if width > side || top + height > side {
            return None;
        }
        row_height = row_height.max(height);
        places[number] = [left + GUTTER, top + GUTTER];
        left += width;
    }
    Some(places)
}
