//! Normal noise on a CUDA device: the processor's bits, then rounded to the format.

use std::sync::Arc;

use super::super::{Matrix, OpError, Ops};
use super::Seed;
use crate::compute::cuda::{Buffer, size_in_ledger};
use crate::compute::kernels::{CastParams, NoiseParams};
use crate::compute::{Activations, Gpu, Ledger, Number, OutOfMemory, Reservation};

/// Operations that a number takes, about.
const OPERATIONS: f64 = 100.0;

fn unrounded_bytes(matrix: &Matrix) -> u64 {
    4 * (matrix.rows() * matrix.columns()) as u64
}

/// Reserves what [`fill`] takes beside the matrix.
pub(super) fn reserve_unrounded(
    ledger: &Ledger,
    matrix: &Matrix,
    activations: Activations,
) -> Result<Option<Reservation>, OutOfMemory> {
    let size_bytes = size_in_ledger(unrounded_bytes(matrix));
    (activations != Number::F32)
        .then(|| ledger.reserve(size_bytes, "noise before it is rounded"))
        .transpose()
}

pub(super) fn fill(
    ops: &Ops<'_>,
    gpu: &Arc<Gpu>,
    seed: Seed,
    matrix: &Matrix,
) -> Result<(), OpError> {
    let count = (matrix.rows() * matrix.columns()) as i64;
    let (to, number) = matrix.buffer();
    let unrounded = match number {
        Number::F32 => None,
        _ => {
            let size_bytes = unrounded_bytes(matrix);
            Some(Buffer::new(gpu, size_bytes, "noise before it is rounded")?)
        }
    };
    let noise = NoiseParams {
        y: unrounded.as_ref().unwrap_or(to).at(0),
        count,
        first: 0,
        seed: seed.seed,
        stream: seed.stream,
    };
    let operations = OPERATIONS * count as f64;
    ops.launch(gpu, noise.launch(), operations)?;
    if let Some(unrounded) = &unrounded {
        let cast = CastParams {
            x: unrounded.at(0),
            y: to.at(0),
            count,
        };
        ops.launch(gpu, cast.launch(Number::F32, number), operations)?;
    }
    Ok(())
}
