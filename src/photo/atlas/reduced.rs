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
    let averages = cells.averages(|place| {
        let alpha = cutout.alpha[place];
        let [red, green, blue] = cutout.pixels[place].map(f32::from);
        [
            alpha * red,
            alpha * green,
            alpha * blue,
            red,
            green,
            blue,
            alpha,
        ]
    });
    let (pixels, alpha) = averages
        .into_iter()
        .map(|[r, g, b, plain_r, plain_g, plain_b, alpha]| {
            let colour = if alpha > 0.0 {
                [r / alpha, g / alpha, b / alpha]
            } else {
                [plain_r, plain_g, plain_b]
            };
            (colour.map(to_byte), alpha)
        })
        .unzip();
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
    /// The average over each coarse cell of numbers given by pixel.
    pub(super) fn averages<const N: usize>(
        self,
        numbers: impl Fn(usize) -> [f32; N] + Sync,
    ) -> Vec<[f32; N]> {
        let span = |cell: usize| cell * self.from / self.to..(cell + 1) * self.from / self.to;
        let mut averages = vec![[0.0; N]; self.to * self.to];
        averages
            .par_chunks_mut(self.to.max(1))
            .enumerate()
            .for_each(|(row, line)| {
                for (column, sums) in line.iter_mut().enumerate() {
                    let (rows, columns) = (span(row), span(column));
                    for y in rows.clone() {
                        for x in columns.clone() {
                            let part = numbers(y * self.from + x);
                            for (sum, part) in sums.iter_mut().zip(part) {
                                *sum += part;
                            }
                        }
                    }
                    let count = (rows.len() * columns.len()) as f32;
                    *sums = sums.map(|sum| sum / count);
                }
            });
        averages
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
        let mask = cells
            .averages(|place| [cutout.alpha[place]])
            .into_iter()
            .map(|[alpha]| alpha >= 0.5)
            .collect();
        Self { cells, mask }
    }

    /// Average colours of the pixels that count, spread to where none do; `None` where none do at all.
    pub(super) fn colours(
        &self,
        pixels: &[[u8; 3]],
        counts: impl Fn(usize) -> bool + Sync,
    ) -> Option<Vec<[f32; 3]>> {
        let averages = self.cells.averages(|place| {
            let weight = if counts(place) { 1.0 } else { 0.0 };
            let [red, green, blue] = pixels[place].map(|value| weight * f32::from(value));
            [red, green, blue, weight]
        });
        if averages.iter().all(|average| average[3] == 0.0) {
            return None;
        }
        let side = self.cells.to;
        let source = |column: usize, row: usize| averages[row * side + column];
        Some(Pyramid::new(side, source).filled(source))
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
