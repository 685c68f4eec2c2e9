//! Normalisation of heads on the processor.

use rayon::prelude::*;

use super::super::math::{self, vectorised};
use super::super::{BLOCK_ROWS, Matrix};
use super::{HeadNorm, Heads};
use crate::compute::{Activations, Cancel, Cancelled};

pub(super) fn head_norm(
    matrix: &mut Matrix,
    first: usize,
    heads: Heads,
    norm: &HeadNorm,
    activations: Activations,
    cancel: &Cancel,
) -> Result<(), Cancelled> {
    let columns = matrix.columns().max(1);
    matrix
        .values_mut()
        .par_chunks_mut(BLOCK_ROWS * columns)
        .try_for_each(|rows| {
            cancel.checkpoint()?;
            for row in rows.chunks_exact_mut(columns) {
                let row = &mut row[first..][..heads.columns()];
                vectorised(
                    #[inline(always)]
                    || {
                        for head in row.chunks_exact_mut(heads.width) {
                            let square = math::sum(head, |x| x * x) / heads.width as f32;
                            let scale = 1.0 / (square + norm.epsilon).sqrt();
                            for (x, gain) in head.iter_mut().zip(norm.gain.values()) {
                                *x = *x * scale * gain;
                            }
                        }
                    },
                );
                activations.round(row);
            }
            Ok(())
        })
}
