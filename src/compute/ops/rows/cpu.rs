//! Whole rows on the processor.

use rayon::prelude::*;

use super::super::{BLOCK_ROWS, Matrix};
use crate::compute::{Activations, Cancel, Cancelled};

pub(super) fn take(from: &Matrix, first: usize, out: &mut Matrix) {
    let columns = from.columns();
    let rows = out.rows();
    out.values_mut()
        .copy_from_slice(&from.values()[first * columns..][..rows * columns]);
}

pub(super) fn multiply_by(
    factors: &Matrix,
    out: &mut Matrix,
    activations: Activations,
    cancel: &Cancel,
) -> Result<(), Cancelled> {
    let block = (BLOCK_ROWS * out.columns()).max(1);
    out.values_mut()
        .par_chunks_mut(block)
        .zip(factors.values().par_chunks(block))
        .try_for_each(|(out, factors)| {
            cancel.checkpoint()?;
            for (out, factor) in out.iter_mut().zip(factors) {
                *out *= factor;
            }
            activations.round(out);
            Ok(())
        })
}
