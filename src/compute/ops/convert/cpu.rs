//! Another format on the processor, which keeps all numbers in 32 bits and rounds them.

use rayon::prelude::*;

use super::super::{BLOCK_ROWS, Matrix};
use crate::compute::{Activations, Cancel, Cancelled};

pub(super) fn convert(
    from: &Matrix,
    to: &mut Matrix,
    activations: Activations,
    cancel: &Cancel,
) -> Result<(), Cancelled> {
    let block = (BLOCK_ROWS * from.columns()).max(1);
    to.values_mut()
        .par_chunks_mut(block)
        .zip(from.values().par_chunks(block))
        .try_for_each(|(to, from)| {
            cancel.checkpoint()?;
            to.copy_from_slice(from);
            activations.round(to);
            Ok(())
        })
}
