//! The front: the subject's own colours, without what was behind it.

use glam::{Vec2, Vec3};
use rayon::prelude::*;

use super::depth::depth;
use super::fill::{Pyramid, Weighted};
use super::reduced::{Between, Reduced};
use super::to_byte;
use crate::photo::Cutout;

/// Erosion of the subject before its colours are trusted, in pixels of the cut-out.
const EROSION_PX: f32 = 1.5;
/// How far inside pixels may still turn out to be mixed with the background, as a share of the side: a
/// matte estimated at a small working size is that much off.
const MIXED_DEPTH: f32 = 1.5 / 256.0;
/// A pixel is compared with one this much deeper, as a share of the side …
const DEEPER: f32 = 1.0 / 256.0;
/// … but at least this many pixels.
const LEAST_DEEPER_PX: f32 = 2.0;
/// Coverage from which a pixel is taken to be the subject alone.
const OPAQUE: f32 = 0.98;
/// Coverage up to which a pixel is taken to be the background alone.
const CLEAR: f32 = 0.02;
/// The trust in rim pixels, next to 1: felt only where nothing better is near.
const RIM_TRUST: f32 = 0.004;
/// The trust in translucent pixels, well inside or along the middle of a thin stroke.
const TRANSLUCENT_TRUST: f32 = 0.1;
/// Subject and background must be this far apart for a mixture to be told, in steps of 255.
const LEAST_CONTRAST: f32 = 24.0;
/// A pixel with less of the colour further inside than this is called mixed.
const LEAST_SHARE: f32 = 0.85;
/// A mixture lies on the line from background to subject, up to this share of the line's length.
const OFF_LINE: f32 = 0.15;

/// The front's colours at every pixel, given how far each pixel's own can be trusted.
pub(super) fn front_colours(cutout: &Cutout, trust: &[f32]) -> Vec<[u8; 3]> {
    if cutout.full_frame {
        return cutout.pixels.clone();
    }
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
    let side = cutout.side;
    let mut trust = vec![1.0; side * side];
    if cutout.full_frame {
        return trust;
    }
    let rim = Rim::new(cutout, small);
    trust
        .par_chunks_mut(side.max(1))
        .enumerate()
        .for_each(|(row, line)| {
            for (column, trust) in line.iter_mut().enumerate() {
                *trust = rim.trust(column, row);
            }
        });
    trust
}

/// What it takes to judge the pixels near the outline.
struct Rim<'a> {
    cutout: &'a Cutout,
    /// The distance to the outline, up to a little more than `mixed_depth`.
    depth: Vec<f32>,
    /// To this depth a pixel may be mixed with the background.
    mixed_depth: f32,
    /// The background's colours at the work size, where it has any.
    background: Option<Vec<[f32; 3]>>,
    work_side: usize,
}

impl<'a> Rim<'a> {
    fn new(cutout: &'a Cutout, small: &Reduced) -> Self {
        let mixed_depth = EROSION_PX + MIXED_DEPTH * cutout.side as f32;
        let reach = mixed_depth.ceil() as usize + 1;
        // Editors leave black where nothing is to be seen; that is no background anything was mixed with.
        let shows_background =
            |place: usize| cutout.alpha[place] <= CLEAR && cutout.pixels[place] != [0; 3];
        Self {
            cutout,
            depth: depth(cutout.side, reach, |place| cutout.alpha[place] >= 0.5),
            mixed_depth,
            background: small.colours(&cutout.pixels, shows_background),
            work_side: small.cells.to,
        }
    }

    fn trust(&self, column: usize, row: usize) -> f32 {
        let place = row * self.cutout.side + column;
        let (alpha, depth) = (self.cutout.alpha[place], self.depth[place]);
        if depth <= 0.0 {
            return 0.0;
        }
        let highest = if alpha < OPAQUE {
            TRANSLUCENT_TRUST
        } else {
            1.0
        };
        let own = if depth > self.mixed_depth {
            highest
        } else if depth <= EROSION_PX + 1.0 && self.is_ridge(column, row) {
            highest * alpha
        } else if depth > EROSION_PX && !self.is_mixed(column, row) {
            highest * (depth - EROSION_PX).min(1.0)
        } else {
            0.0
        };
        own.max(RIM_TRUST * alpha.powi(4))
    }

    /// Whether no neighbour is deeper: the middle of a stroke too thin to be eroded.
    fn is_ridge(&self, column: usize, row: usize) -> bool {
        let side = self.cutout.side;
        let depth = self.depth[row * side + column];
        let around = |at: usize| at.saturating_sub(1)..(at + 2).min(side);
        around(row).all(|y| around(column).all(|x| self.depth[y * side + x] <= depth))
    }

    /// Whether a pixel's colour lies between the background's and the one further inside.
    fn is_mixed(&self, column: usize, row: usize) -> bool {
        let Some(background) = &self.background else {
            return false;
        };
        let side = self.cutout.side;
        let colour = |place: usize| Vec3::from(self.cutout.pixels[place].map(f32::from));
        let background = Between::new(column, row, side, self.work_side).of(background);
        let background = Vec3::from(background);
        let line = colour(self.deeper(column, row)) - background;
        let contrast = line.length();
        if contrast < LEAST_CONTRAST {
            return false;
        }
        let own = colour(row * side + column) - background;
        let share = own.dot(line) / (contrast * contrast);
        share < LEAST_SHARE && (own - share * line).length() < OFF_LINE * contrast
    }

    /// The place further inside than a pixel, straight away from the outline.
    fn deeper(&self, column: usize, row: usize) -> usize {
        let side = self.cutout.side;
        let depth = |x: usize, y: usize| self.depth[y * side + x];
        let (before, after) = (
            |at: usize| at.saturating_sub(1),
            |at: usize| (at + 1).min(side - 1),
        );
        let uphill = Vec2::new(
            depth(after(column), row) - depth(before(column), row),
            depth(column, after(row)) - depth(column, before(row)),
        );
        let distance = (DEEPER * side as f32).max(LEAST_DEEPER_PX);
        let step = uphill.normalize_or_zero() * distance;
        let moved =
            |at: usize, by: f32| (at as f32 + by).round().clamp(0.0, (side - 1) as f32) as usize;
        moved(row, step.y) * side + moved(column, step.x)
    }
}
