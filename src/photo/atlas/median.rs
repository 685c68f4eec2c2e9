//! A wide median over the subject's pixels alone.

use rayon::prelude::*;

/// Counts of byte values, in full and by sixteens, so that the median is found in 32 steps.
struct Histogram {
    fine: [u16; 256],
    coarse: [u16; 16],
}

impl Histogram {
    const EMPTY: Self = Self {
        fine: [0; 256],
        coarse: [0; 16],
    };

    fn add(&mut self, value: u8) {
        self.fine[usize::from(value)] += 1;
        self.coarse[usize::from(value >> 4)] += 1;
    }

    fn remove(&mut self, value: u8) {
        self.fine[usize::from(value)] -= 1;
        self.coarse[usize::from(value >> 4)] -= 1;
    }

    /// The value with `rank` values before it.
    fn value_at(&self, rank: u16) -> u8 {
        let mut before = 0;
        for (sixteen, &count) in self.coarse.iter().enumerate() {
            if before + count > rank {
                for value in 16 * sixteen..16 * sixteen + 16 {
                    before += self.fine[value];
                    if before > rank {
                        return value as u8;
                    }
                }
            }
            before += count;
        }
        u8::MAX
    }
}

/// The median of each channel over the pixels of `mask` within a square of `2 * radius + 1` pixels.
///
/// Pixels outside the mask keep their colour. A histogram slides along each row (Huang et al. 1979, "A fast
/// two-dimensional median filtering algorithm"). `radius` is at most 127, so that a count fits its 16 bits.
pub(super) fn masked_median(
    side: usize,
    pixels: &[[u8; 3]],
    mask: &[bool],
    radius: usize,
) -> Vec<[u8; 3]> {
    let radius = radius.min(127);
    let mut result = pixels.to_vec();
    result
        .par_chunks_mut(side.max(1))
        .enumerate()
        .for_each(|(row, line)| {
            let rows = row.saturating_sub(radius)..(row + radius + 1).min(side);
            let mut counts = [Histogram::EMPTY; 3];
            let mut total = 0u16;
            let mut column_changes = |column: usize, enters: bool, counts: &mut [Histogram; 3]| {
                for place in rows.clone().map(|y| y * side + column) {
                    if mask[place] {
                        for (histogram, &value) in counts.iter_mut().zip(&pixels[place]) {
                            if enters {
                                histogram.add(value);
                            } else {
                                histogram.remove(value);
                            }
                        }
                        total = if enters { total + 1 } else { total - 1 };
                    }
                }
                total
            };
            for column in 0..radius.min(side) {
                column_changes(column, true, &mut counts);
            }
            let mut total = 0;
            for (column, pixel) in line.iter_mut().enumerate() {
                if column + radius < side {
                    total = column_changes(column + radius, true, &mut counts);
                }
                if column > radius {
                    total = column_changes(column - radius - 1, false, &mut counts);
                }
                if mask[row * side + column] {
                    for (value, histogram) in pixel.iter_mut().zip(&counts) {
                        *value = histogram.value_at((total - 1) / 2);
                    }
                }
            }
        });
    result
}
