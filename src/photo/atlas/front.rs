//! The front: the subject's own colours, without what was behind it.

use rayon::prelude::*;

use super::depth::depth;
use super::fill::{Pyramid, Weighted};
use super::reduced::{Between, Reduced};
use super::to_byte;
use crate::photo::Cutout;

/// Erosion of the subject before its colours are trusted, in pixels of the cut-out.
const EROSION_PX: f32 = 1.5;
/// How far inside pixels may still turn out to be mixed with the background, as a share of the side; a
/// matte estimated at a small working size is that much off.
const MIXED_DEPTH: f32 = 1.5 / 256.0;
/// Coverage from which a pixel is taken to be the subject alone.
const OPAQUE: f32 = 0.98;
/// Coverage up to which a pixel is taken to be the background alone.
const CLEAR: f32 = 0.02;
/// The trust in rim pixels, next to 1: only felt where nothing better is near, as in thin strokes.
const RIM_TRUST: f32 = 0.004;
/// The trust in translucent pixels well inside.
const TRANSLUCENT_TRUST: f32 = 0.05;
/// Subject and background must be this far apart for a mixture to be told, in steps of 255.
const LEAST_CONTRAST: f32 = 24.0;
/// A pixel with less of the subject than this is called mixed.
const LEAST_SHARE: f32 = 0.85;
/// A mixture lies on the line from background to subject, up to this share of the line's length.
const OFF_LINE: f32 = 0.2;

/// The front's colours at every pixel, given how far each pixel's own can be trusted.
pub(super) fn front_colours(cutout: &Cutout, trust: &[f32]) -> Vec<[u8; 3]> {
    let side = cutout.side;
    let source = |column: usize, row: usize| -> Weighted {
        let place = row * side + column;
        let weight = trust[place];
        let [red, green, blue] = cutout.pixels[place].map(|value| weight * f32::from(value));
        [red, green, blue, weight]
    };
    let pyramid = Pyramid::new(side, source);
    let mut front = cutout.pixels.clone();
    front
        .par_chunks_mut(side.max(1))
        .enumerate()
        .for_each(|(row, line)| {
            for (column, colour) in line.iter_mut().enumerate() {
                if trust[row * side + column] < 1.0 {
                    *colour = pyramid.fill(column, row, source(column, row)).map(to_byte);
                }
            }
        });
    front
}

/// How far the colour of each pixel is the subject's own, in `0..=1`; fully where the subject is the frame.
pub(super) fn trust(cutout: &Cutout, small: &Reduced) -> Vec<f32> {
    if cutout.full_frame {
        return vec![1.0; cutout.pixels.len()];
    }
    let side = cutout.side;
    let mixed_depth = EROSION_PX + MIXED_DEPTH * side as f32;
    let reach = mixed_depth.ceil() as usize + 1;
    let depth = depth(side, reach, |place| cutout.alpha[place] >= 0.5);
    let subject = small.colours(&cutout.pixels, |place| {
        depth[place] > mixed_depth && cutout.alpha[place] >= OPAQUE
    });
    let background = small.colours(&cutout.pixels, |place| cutout.alpha[place] <= CLEAR);
    let mut trust = vec![0.0; side * side];
    trust
        .par_chunks_mut(side.max(1))
        .enumerate()
        .for_each(|(row, line)| {
            for (column, trust) in line.iter_mut().enumerate() {
                let place = row * side + column;
                let (alpha, depth) = (cutout.alpha[place], depth[place]);
                if depth <= 0.0 {
                    continue;
                }
                let at_rim = RIM_TRUST * alpha.powi(4);
                let eroded = (depth - EROSION_PX).clamp(0.0, 1.0);
                let own = if alpha < OPAQUE {
                    TRANSLUCENT_TRUST * eroded
                } else if eroded > 0.0 && depth <= mixed_depth {
                    let between = Between::new(column, row, side, small.cells.to);
                    let colour = cutout.pixels[place].map(f32::from);
                    eroded * unmixed(colour, between.of(&subject), between.of(&background))
                } else {
                    eroded
                };
                *trust = own.max(at_rim);
            }
        });
    trust
}

/// 0 where a colour is a mixture of subject and background, 1 where it is not.
fn unmixed(colour: [f32; 3], subject: [f32; 3], background: [f32; 3]) -> f32 {
    let [colour, subject, background] = [colour, subject, background].map(glam::Vec3::from);
    let line = subject - background;
    let contrast = line.length();
    if contrast < LEAST_CONTRAST {
        return 1.0;
    }
    let share = (colour - background).dot(line) / (contrast * contrast);
    let off_line = (colour - background - share * line).length();
    let is_mixture = share < LEAST_SHARE && off_line < OFF_LINE * contrast;
    if is_mixture { 0.0 } else { 1.0 }
}
