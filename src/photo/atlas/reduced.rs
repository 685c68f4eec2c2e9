//! Coarser views of a cut-out, and the way back up.

use rayon::prelude::*;

use super::fill::Pyramid;
use super::to_byte;
use crate::photo::Cutout;

/// The size at which the back is smoothed; nothing finer is left of it.
pub(super) const WORK_SIDE: usize = 128;

/// A cut-out at most `side` pixels wide, colours averaged by coverage.
pub(super) fn shrink(cutout: &Cutout, side: usize) -> Cutout {
    let side = side.min(cutout.side);
    let cells = Cells {
        from: cutout.side,
        to: side,
    };
    let averaged: Vec<([u8; 3], f32)> = cells.map(|places| {
        let (mut colour, mut plain, mut alpha, mut count) = ([0.0; 3], [0.0; 3], 0.0, 0.0);
        for place in places {
            let coverage = cutout.alpha[place];
            for channel in 0..3 {
                let value = f32::from(cutout.pixels[place][channel]);
                colour[channel] += coverage * value;
                plain[channel] += value;
            }
            alpha += coverage;
            count += 1.0;
        }
        let colour = if alpha > 0.0 {
            colour.map(|sum| to_byte(sum / alpha))
        } else {
            plain.map(|sum| to_byte(sum / count))
        };
        (colour, alpha / count)
    });
    let (pixels, alpha) = averaged.into_iter().unzip();
    Cutout {
        side,
        pixels,
        alpha,
        full_frame: cutout.full_frame,
    }
}

/// A square grid seen as a coarser one, each cell a block of whole pixels.
#[derive(Clone, Copy)]
pub(super) struct Cells {
    from: usize,
    pub(super) to: usize,
}

impl Cells {
    /// One value for each coarse cell, made from the places of its pixels.
    pub(super) fn map<T: Send>(
        self,
        value: impl Fn(&mut dyn Iterator<Item = usize>) -> T + Sync,
    ) -> Vec<T> {
        let span = |cell: usize| cell * self.from / self.to..(cell + 1) * self.from / self.to;
        (0..self.to * self.to)
            .into_par_iter()
            .with_min_len(self.to.max(1))
            .map(|cell| {
                let columns = span(cell % self.to);
                let mut places = span(cell / self.to)
                    .flat_map(|row| columns.clone().map(move |column| row * self.from + column));
                value(&mut places)
            })
            .collect()
    }
}

/// What is known of the cut-out at the work size.
pub(super) struct Reduced {
    pub(super) cells: Cells,
    /// Whether at least half of each cell is subject.
    pub(super) mask: Vec<bool>,
}

impl Reduced {
    pub(super) fn new(cutout: &Cutout) -> Self {
        let cells = Cells {
            from: cutout.side,
            to: WORK_SIDE.min(cutout.side),
        };
        let mask = cells.map(|places| {
            let (mut alpha, mut count) = (0.0, 0.0);
            for place in places {
                alpha += cutout.alpha[place];
                count += 1.0;
            }
            alpha >= 0.5 * count
        });
        Self { cells, mask }
    }

    /// Average colours of the pixels that `weight` holds for, filled where there are none.
    pub(super) fn colours(
        &self,
        pixels: &[[u8; 3]],
        counts: impl Fn(usize) -> bool + Sync,
    ) -> Vec<[f32; 3]> {
        let averages = self.cells.map(|places| {
            let (mut sum, mut weight, mut count) = ([0.0; 3], 0.0, 0.0);
            for place in places {
                count += 1.0;
                if counts(place) {
                    weight += 1.0;
                    for (sum, &value) in sum.iter_mut().zip(&pixels[place]) {
                        *sum += f32::from(value);
                    }
                }
            }
            [
                sum[0] / count,
                sum[1] / count,
                sum[2] / count,
                weight / count,
            ]
        });
        let side = self.cells.to;
        let source = |column: usize, row: usize| averages[row * side + column];
        Pyramid::new(side, source).filled(source)
    }
}

/// Where a pixel of a fine grid lies between four of a coarser one.
pub(super) struct Between {
    places: [usize; 4],
    weights: [f32; 4],
}

impl Between {
    pub(super) fn new(column: usize, row: usize, fine: usize, coarse: usize) -> Self {
        let scale = coarse as f32 / fine as f32;
        let axis = |place: usize| {
            let at = ((place as f32 + 0.5) * scale - 0.5).clamp(0.0, (coarse - 1) as f32);
            let first = at as usize;
            (first, (first + 1).min(coarse - 1), at - first as f32)
        };
        let ((x0, x1, x), (y0, y1, y)) = (axis(column), axis(row));
        Self {
            places: [
                y0 * coarse + x0,
                y0 * coarse + x1,
                y1 * coarse + x0,
                y1 * coarse + x1,
            ],
            weights: [(1.0 - x) * (1.0 - y), x * (1.0 - y), (1.0 - x) * y, x * y],
        }
    }

    pub(super) fn of_numbers(&self, values: &[f32]) -> f32 {
        let parts = self.places.iter().zip(self.weights);
        parts.map(|(&place, weight)| weight * values[place]).sum()
    }

    pub(super) fn of(&self, values: &[[f32; 3]]) -> [f32; 3] {
        let mut sum = [0.0; 3];
        for (&place, weight) in self.places.iter().zip(self.weights) {
            for (sum, value) in sum.iter_mut().zip(values[place]) {
                *sum += weight * value;
            }
        }
        sum
    }
}
