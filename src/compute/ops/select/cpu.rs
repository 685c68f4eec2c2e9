//! Softmax and the greatest numbers of rows on the processor.

use rayon::prelude::*;

use super::super::BLOCK_ROWS;
use super::super::math::{exp, greatest, sum, vectorised};
use crate::compute::{Cancel, Cancelled};

/// `exp(scale · x)` over its sum along each row of `width` numbers. A row with a NaN becomes NaN.
///
/// # Errors
///
/// [`Cancelled`].
///
/// # Panics
///
/// When the numbers are no whole rows.
pub fn softmax(
    values: &mut [f32],
    width: usize,
    scale: f32,
    cancel: &Cancel,
) -> Result<(), Cancelled> {
    assert!(values.len().is_multiple_of(width.max(1)), "whole rows");
    values
        .par_chunks_mut(width.max(1) * BLOCK_ROWS)
        .try_for_each(|rows| {
            cancel.checkpoint()?;
            vectorised(
                #[inline(always)]
                || {
                    rows.chunks_exact_mut(width.max(1))
                        .for_each(|row| softmax_row(row, scale))
                },
            );
            Ok(())
        })
}

#[inline(always)]
fn softmax_row(row: &mut [f32], scale: f32) {
    row.iter_mut().for_each(|value| *value *= scale);
    if row.iter().any(|value| value.is_nan()) {
        row.fill(f32::NAN);
        return;
    }
    let most = greatest(row, f32::NEG_INFINITY);
    row.iter_mut().for_each(|value| *value = exp(*value - most));
    let factor = 1.0 / sum(row, |value| value);
    row.iter_mut().for_each(|value| *value *= factor);
}

/// The greatest numbers of rows, the greatest of a row first.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// `k` a row.
    pub values: Vec<f32>,
    /// Where they are in their rows.
    pub places: Vec<u32>,
}

/// The `k` greatest numbers of each row of `width`. Of equal ones the first comes first; a NaN comes after
/// everything.
///
/// # Errors
///
/// [`Cancelled`].
///
/// # Panics
///
/// When the numbers are no whole rows, or `k` is more than a row has.
pub fn top_k(values: &[f32], width: usize, k: usize, cancel: &Cancel) -> Result<Chosen, Cancelled> {
    assert!(values.len().is_multiple_of(width.max(1)), "whole rows");
    assert!(k <= width, "no more than a row has");
    let rows: Vec<Vec<u32>> = values
        .par_chunks_exact(width.max(1))
        .map(|row| {
            cancel.checkpoint()?;
            let mut places: Vec<u32> = (0..row.len() as u32).collect();
            let before = |a: &u32, b: &u32| {
                let (x, y) = (row[*a as usize], row[*b as usize]);
                // Numbers before NaN, greater before lesser, then by place; -0 is 0.
                let by_value = y
                    .partial_cmp(&x)
                    .unwrap_or_else(|| x.is_nan().cmp(&y.is_nan()));
                by_value.then(a.cmp(b))
            };
            if k < places.len() {
                places.select_nth_unstable_by(k, before);
                places.truncate(k);
            }
            places.sort_unstable_by(before);
            Ok(places)
        })
        .collect::<Result<_, Cancelled>>()?;
    let of_row = |(row, places): (&[f32], &Vec<u32>)| -> Vec<f32> {
        places.iter().map(|place| row[*place as usize]).collect()
    };
    Ok(Chosen {
        values: (values.chunks_exact(width.max(1)).zip(&rows))
            .flat_map(of_row)
            .collect(),
        places: rows.concat(),
    })
}
