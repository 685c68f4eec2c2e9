//! The colours of a solid made from a cut-out: its front and its back, side by side in one image.
//!
//! Pixels on the outline mix the subject with what was behind it, and pixels outside do not show the subject
//! at all; both take their colour from trusted pixels inside, so that no background shows at the rim of
//! the solid, however coarse its mesh. What the back looks like nobody knows: it is the front smoothed until
//! no face and no letter is left, or the front mirrored for flat art.

mod back;
mod depth;
mod fill;
mod front;
mod median;
mod reduced;

use rayon::prelude::*;

use super::Cutout;
use back::Back;
use front::{front_colours, trust};
use reduced::{Reduced, shrink};

/// The size of the atlas for a first preview.
const QUICK_SIDE: usize = 256;

/// How the colours of the back are made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackColours {
    /// The front's colours without its features: for photos and drawings of solid things.
    Smoothed,
    /// The front's colours as they are: for flat art.
    Mirrored,
}

/// The front and the back of the subject, side by side.
///
/// The left half shows the front, the right half the back as one sees it from behind. The point of the
/// cut-out at column `c` of `S` is at column `c` of the front and at column `2 S − 1 − c` of the back: the
/// halves meet at the cut-out's right border and, going round, at its left, with the same colours on
/// both sides, so that filters may reach across. Every pixel has a colour; outside the subject those of its
/// rim go on.
#[derive(Debug, Clone, PartialEq)]
pub struct Atlas {
    /// Width in pixels, twice the height.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// sRGB colours, rows from the top.
    pub pixels: Vec<[u8; 3]>,
}

/// The atlas of a cut-out at its full size; `None` once cancelled.
pub fn atlas(
    cutout: &Cutout,
    back: BackColours,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Option<Atlas> {
    let go_on = || (!cancelled()).then_some(());
    let small = Reduced::new(cutout);
    go_on()?;
    let trust = trust(cutout, &small);
    go_on()?;
    let front = front_colours(cutout, &trust);
    go_on()?;
    let back = match back {
        BackColours::Mirrored => None,
        BackColours::Smoothed => Some(Back::new(&front, &small)),
    };
    go_on()?;
    Some(side_by_side(cutout.side, &front, back.as_ref()))
}

/// A small atlas with a smoothed back for a first preview: 256 pixels high at most.
pub fn quick_atlas(cutout: &Cutout) -> Atlas {
    let cutout = shrink(cutout, QUICK_SIDE);
    let small = Reduced::new(&cutout);
    let front = front_colours(&cutout, &trust(&cutout, &small));
    let back = Back::new(&front, &small);
    side_by_side(cutout.side, &front, Some(&back))
}

/// Lays out the two halves; without a back of its own, the back has the front's colours.
fn side_by_side(side: usize, front: &[[u8; 3]], back: Option<&Back>) -> Atlas {
    let mut pixels = vec![[0; 3]; 2 * side * side];
    pixels
        .par_chunks_mut(2 * side.max(1))
        .zip(front.par_chunks(side.max(1)))
        .enumerate()
        .for_each(|(row, (line, front))| {
            let (left, right) = line.split_at_mut(side);
            left.copy_from_slice(front);
            for (column, colour) in right.iter_mut().rev().enumerate() {
                *colour = match back {
                    None => front[column],
                    Some(back) => back.blended(column, row, side, front[column]),
                };
            }
        });
    Atlas {
        width: 2 * side,
        height: side,
        pixels,
    }
}

fn to_byte(value: f32) -> u8 {
    // `as` saturates, and turns NaN into 0.
    (value + 0.5) as u8
}
