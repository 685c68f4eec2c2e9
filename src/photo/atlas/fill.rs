//! Push-pull: spreads the colours of trusted pixels over all others (Gortler et al. 1996, "The Lumigraph").

use rayon::prelude::*;

/// A weighted colour: red, green and blue times the weight, and the weight in `0..=1`.
pub(super) type Weighted = [f32; 4];

/// One level of the pyramid.
struct Level {
    side: usize,
    values: Vec<Weighted>,
}

/// The pyramid above a square image: every level knows a colour for each of its pixels.
pub(super) struct Pyramid {
    side: usize,
    /// Coarser levels, half the image's side first, filled.
    levels: Vec<Level>,
}

impl Pyramid {
    /// Builds and fills the levels above an image of `side` pixels whose weighted colour by column and
    /// row is `source`.
    pub(super) fn new(side: usize, source: impl Fn(usize, usize) -> Weighted + Sync) -> Self {
        let mut levels: Vec<Level> = Vec::new();
        let mut finer_side = side;
        while finer_side > 1 {
            let level = match levels.last() {
                None => push(finer_side, &source),
                Some(finer) => push(finer.side, |column, row| {
                    finer.values[row * finer.side + column]
                }),
            };
            finer_side = level.side;
            levels.push(level);
        }
        if let Some(coarsest) = levels.last_mut() {
            for value in &mut coarsest.values {
                *value = normalised(*value);
            }
        }
        for finer in (1..levels.len()).rev() {
            let (fine, coarse) = levels.split_at_mut(finer);
            pull(&mut fine[finer - 1], &coarse[0]);
        }
        Self { side, levels }
    }

    /// The filled colour of a pixel of the image, given its own weighted colour.
    pub(super) fn fill(&self, column: usize, row: usize, own: Weighted) -> [f32; 3] {
        let missing = 1.0 - own[3];
        match self.levels.first() {
            Some(level) if missing > 0.0 => {
                let far = level.between(column, row);
                [0, 1, 2].map(|channel| own[channel] + missing * far[channel])
            }
            _ => [own[0], own[1], own[2]],
        }
    }

    /// The whole image filled.
    pub(super) fn filled(&self, source: impl Fn(usize, usize) -> Weighted + Sync) -> Vec<[f32; 3]> {
        let mut image = vec![[0.0; 3]; self.side * self.side];
        image
            .par_chunks_mut(self.side.max(1))
            .enumerate()
            .for_each(|(row, pixels)| {
                for (column, pixel) in pixels.iter_mut().enumerate() {
                    *pixel = self.fill(column, row, source(column, row));
                }
            });
        image
    }
}

/// Sums blocks of 2 × 2 into the next coarser level; the weight saturates at 1.
fn push(side: usize, finer: impl Fn(usize, usize) -> Weighted + Sync) -> Level {
    let coarse = side.div_ceil(2);
    let mut values = vec![[0.0; 4]; coarse * coarse];
    values
        .par_chunks_mut(coarse)
        .enumerate()
        .for_each(|(row, line)| {
            for (column, value) in line.iter_mut().enumerate() {
                let mut sum = [0.0f32; 4];
                for y in 2 * row..(2 * row + 2).min(side) {
                    for x in 2 * column..(2 * column + 2).min(side) {
                        let part = finer(x, y);
                        for (sum, part) in sum.iter_mut().zip(part) {
                            *sum += part;
                        }
                    }
                }
                let weight = sum[3].min(1.0);
                *value = normalised(sum).map(|channel| channel * weight);
            }
        });
    Level {
        side: coarse,
        values,
    }
}

/// Fills what a level lacks from the coarser one.
fn pull(fine: &mut Level, coarse: &Level) {
    let side = fine.side;
    fine.values
        .par_chunks_mut(side)
        .enumerate()
        .for_each(|(row, line)| {
            for (column, value) in line.iter_mut().enumerate() {
                let missing = 1.0 - value[3];
                if missing > 0.0 {
                    let far = coarse.between(column, row);
                    *value = [0, 1, 2, 3].map(|channel| value[channel] + missing * far[channel]);
                }
            }
        });
}

/// The colour itself, with weight 1; black with weight 0 where there is none.
fn normalised(value: Weighted) -> Weighted {
    let scale = if value[3] > 1e-20 {
        1.0 / value[3]
    } else {
        0.0
    };
    value.map(|channel| channel * scale)
}

impl Level {
    /// The bilinear value at the centre of a pixel of the finer level.
    fn between(&self, column: usize, row: usize) -> Weighted {
        // A finer pixel's centre lies a quarter of a pixel beside its block's.
        let neighbours = |fine: usize| {
            let block = fine / 2;
            let other = if fine.is_multiple_of(2) {
                block.saturating_sub(1)
            } else {
                (block + 1).min(self.side - 1)
            };
            (block, other)
        };
        let ((x0, x1), (y0, y1)) = (neighbours(column), neighbours(row));
        let at = |x: usize, y: usize| &self.values[y * self.side + x];
        let (a, b, c, d) = (at(x0, y0), at(x1, y0), at(x0, y1), at(x1, y1));
        [0, 1, 2, 3].map(|k| 0.5625 * a[k] + 0.1875 * (b[k] + c[k]) + 0.0625 * d[k])
    }
}
