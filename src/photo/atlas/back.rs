//! The back: the front smoothed until its features are gone.

use super::depth::depth;
use super::fill::{Pyramid, Weighted};
use super::median::masked_median;
use super::reduced::{Between, Reduced, WORK_SIDE};
use super::to_byte;

/// Radius of the median at the work size: a window of 0.16 of the side.
const MEDIAN_RADIUS: usize = 10;
/// Medians one after the other.
const MEDIANS: usize = 2;
/// Over this depth the front's colours give way to the back's, in pixels at the work size.
const SEAM_BLEND_PX: usize = 5;

/// The smoothed back at the work size.
pub(super) struct Back {
    side: usize,
    /// The back's colours.
    colours: Vec<[f32; 3]>,
    /// 0 outside the subject, 1 where the back has its own colours.
    share: Vec<f32>,
}

impl Back {
    pub(super) fn new(front: &[[u8; 3]], small: &Reduced) -> Self {
        let side = small.cells.to;
        let averages = small.cells.averages(|place| front[place].map(f32::from));
        let mut colours: Vec<[u8; 3]> = averages.into_iter().map(|c| c.map(to_byte)).collect();
        let scale = side as f32 / WORK_SIDE as f32;
        let radius = (MEDIAN_RADIUS as f32 * scale).round() as usize;
        for _ in 0..MEDIANS {
            colours = masked_median(side, &colours, &small.mask, radius);
        }
        let reach = ((SEAM_BLEND_PX as f32 * scale).round() as usize).max(1);
        let share = depth(side, reach, |place| small.mask[place])
            .into_iter()
            .map(|depth| smooth_step((depth - 0.5).max(0.0) / (reach as f32 - 0.5)))
            .collect();
        let source = |column: usize, row: usize| -> Weighted {
            let place = row * side + column;
            let weight = if small.mask[place] { 1.0 } else { 0.0 };
            let [red, green, blue] = colours[place].map(|value| weight * f32::from(value));
            [red, green, blue, weight]
        };
        Self {
            side,
            colours: Pyramid::new(side, source).filled(source),
            share,
        }
    }

    /// The back's colour behind a pixel of the front.
    pub(super) fn blended(
        &self,
        column: usize,
        row: usize,
        side: usize,
        front: [u8; 3],
    ) -> [u8; 3] {
        let between = Between::new(column, row, side, self.side);
        let share = between.of_numbers(&self.share);
        if share <= 0.0 {
            return front;
        }
        let own = between.of(&self.colours);
        [0, 1, 2].map(|channel| {
            let front = f32::from(front[channel]);
            to_byte(front + share * (own[channel] - front))
        })
    }
}

fn smooth_step(x: f32) -> f32 {
    let x = x.clamp(0.0, 1.0);
    x * x * (3.0 - 2.0 * x)
}
