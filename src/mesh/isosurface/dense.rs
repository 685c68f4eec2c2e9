//! Finding the bricks that hold surface in a dense grid of samples, by signs packed into words.

use rayon::prelude::*;

use super::IsosurfaceError;
use super::bricks::{Sampled, sample_at};
use super::cells::pack_bits;
use super::lattice::{BRICK_SAMPLES, Directory, Lattice, SAMPLES, SIDE};
use crate::field::DenseGrid;

/// The lattice of a grid with a layer of outside samples around it.
///
/// # Errors
///
/// [`IsosurfaceError::TooManySamples`] when brick coordinates or positions would not fit;
/// [`IsosurfaceError::NotResolved`] when neighbouring positions are too close for f32.
pub(super) fn padded_lattice(grid: &DenseGrid) -> Result<Lattice, IsosurfaceError> {
    let brick = grid.brick();
    let lattice = Lattice {
        origin: brick.origin.map(|x| x - brick.step),
        step: brick.step,
        cells: brick.samples.map(|samples| samples.saturating_add(1)),
    };
    if brick.samples.iter().any(|&samples| samples > 1 << 14) {
        return Err(IsosurfaceError::TooManySamples {
            samples: brick.samples,
        });
    }
    let farthest = (0..3).fold(0.0_f32, |farthest, axis| {
        let last = lattice.origin[axis] + lattice.step * lattice.cells[axis] as f32;
        farthest.max(lattice.origin[axis].abs()).max(last.abs())
    });
    // Vertices are a twenty-fifth of a cell apart: a few units in the last place at the farthest point.
    if lattice.step.is_normal()
        && farthest.is_finite()
        && farthest * 2.0_f32.powi(-15) <= lattice.step
    {
        Ok(lattice)
    } else {
        Err(IsosurfaceError::NotResolved)
    }
}

/// Words of signs: bit `1 + x` of a row is set where sample `x` of the grid is inside.
struct SignRows {
    words: usize,
    rows: Vec<u64>,
}

/// Packs the signs of a row of samples, moved up by one bit.
fn pack_row(values: &[f32], words: &mut [u64]) {
    let mut carry = 0;
    let chunks = values.chunks_exact(64);
    let rest = chunks.remainder();
    let mut index = 0;
    for chunk in chunks {
        let flags: [u8; 64] = std::array::from_fn(|i| u8::from(chunk[i] > 0.0));
        let mut word = 0;
        for (byte, eight) in flags.as_chunks::<8>().0.iter().enumerate() {
            word |= pack_bits(*eight) << (8 * byte);
        }
        words[index] = word << 1 | carry;
        carry = word >> 63;
        index += 1;
    }
    let mut word = 0;
    for (bit, value) in rest.iter().enumerate() {
        word |= u64::from(*value > 0.0) << bit;
    }
    words[index] = word << 1 | carry;
    if rest.len() == 63 {
        // The last bit moved into a word of its own.
        words[index + 1] = word >> 63;
    }
}

fn pack(
    grid: &DenseGrid,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<SignRows, IsosurfaceError> {
    let [columns, lines, planes] = grid.brick().samples;
    // One bit of padding on either side, and the last brick's overhang.
    let words = (columns + 2 + SIDE).div_ceil(64) + 1;
    let mut rows = vec![0; words * lines * planes];
    rows.par_chunks_mut(words * lines)
        .zip(grid.values().par_chunks(columns * lines))
        .try_for_each(|(rows, values)| {
            if cancelled() {
                return Err(IsosurfaceError::Cancelled);
            }
            for (row, values) in rows
                .chunks_exact_mut(words)
                .zip(values.chunks_exact(columns))
            {
                pack_row(values, row);
            }
            Ok(())
        })?;
    Ok(SignRows { words, rows })
}

/// Bricks of one row along x that have samples of both signs.
fn mixed_in_row(
    grid: &DenseGrid,
    signs: &SignRows,
    bricks: usize,
    y: usize,
    z: usize,
) -> Vec<usize> {
    let [_, lines, planes] = grid.brick().samples;
    let mut any = vec![0; signs.words];
    let mut all = vec![u64::MAX; signs.words];
    for plane in z * SIDE..=z * SIDE + SIDE {
        for line in y * SIDE..=y * SIDE + SIDE {
            if plane == 0 || line == 0 || plane > planes || line > lines {
                all.fill(0);
                continue;
            }
            let row = ((plane - 1) * lines + line - 1) * signs.words;
            let row = &signs.rows[row..row + signs.words];
            for ((any, all), word) in any.iter_mut().zip(&mut all).zip(row) {
                *any |= word;
                *all &= word;
            }
        }
    }
    let nine = |words: &[u64], bit: usize| {
        let (word, shift) = (bit / 64, bit % 64);
        let high = if shift == 0 {
            0
        } else {
            words[word + 1] << (64 - shift)
        };
        (words[word] >> shift | high) & 0x1ff
    };
    (0..bricks)
        .filter(|x| nine(&any, x * SIDE) != 0 && nine(&all, x * SIDE) != 0x1ff)
        .collect()
}

/// Copies a brick's samples out of the grid; what lies beyond the grid is outside.
fn copy(grid: &DenseGrid, coordinates: [u16; 3]) -> Sampled {
    let [columns, lines, planes] = grid.brick().samples;
    let values = grid.values();
    let [x, y, z] = coordinates.map(|c| usize::from(c) * SIDE);
    let mut copied = Box::new([f32::NAN; BRICK_SAMPLES]);
    let within = |first: usize, samples: usize| first > 0 && first + SIDE <= samples;
    if within(x, columns) && within(y, lines) && within(z, planes) {
        for (row, copied) in copied.chunks_exact_mut(SAMPLES).enumerate() {
            let (line, plane) = (y - 1 + row % SAMPLES, z - 1 + row / SAMPLES);
            let start = (plane * lines + line) * columns + x - 1;
            copied.copy_from_slice(&values[start..start + SAMPLES]);
        }
    } else {
        let value_at = |index: usize| {
            let [i, j, k] = sample_at(index);
            let (i, j, k) = (
                (x + i).wrapping_sub(1),
                (y + j).wrapping_sub(1),
                (z + k).wrapping_sub(1),
            );
            (i < columns && j < lines && k < planes).then(|| values[(k * lines + j) * columns + i])
        };
        let within = (0..BRICK_SAMPLES).filter_map(value_at);
        let greatest = within.fold(0.0_f32, |greatest, value| greatest.max(value.abs()));
        for (index, copied) in copied.iter_mut().enumerate() {
            *copied = value_at(index).unwrap_or(-greatest);
        }
    }
    Sampled {
        coordinates,
        values: copied,
    }
}

/// The bricks of the padded grid that hold surface, x fastest.
pub(super) fn bricks_of(
    grid: &DenseGrid,
    lattice: &Lattice,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<(Vec<Sampled>, Directory), IsosurfaceError> {
    let count = lattice.bricks();
    if grid.values().is_empty() {
        return Err(IsosurfaceError::Empty);
    }
    let signs = pack(grid, cancelled)?;
    let bricks: Vec<Sampled> = (0..count[1] * count[2])
        .into_par_iter()
        .flat_map_iter(|row| {
            let (y, z) = (row % count[1], row / count[1]);
            let found = if cancelled() {
                Vec::new()
            } else {
                mixed_in_row(grid, &signs, count[0], y, z)
            };
            found
                .into_iter()
                .map(move |x| copy(grid, [x as u16, y as u16, z as u16]))
        })
        .collect();
    if cancelled() {
        return Err(IsosurfaceError::Cancelled);
    }
    let directory = Directory::new(lattice, bricks.iter().map(|brick| brick.coordinates));
    Ok((bricks, directory))
}
