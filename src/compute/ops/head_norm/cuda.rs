//! Normalisation of heads on a device.

use std::sync::Arc;

use super::super::device::count;
use super::super::{Matrix, OpError, Ops};
use super::{HeadNorm, Heads};
use crate::compute::Gpu;
use crate::compute::kernels::RowNormParams;

pub(super) fn head_norm(
    ops: &Ops<'_>,
    gpu: &Arc<Gpu>,
    matrix: &Matrix,
    first: usize,
    heads: Heads,
    norm: &HeadNorm,
) -> Result<(), OpError> {
    let (buffer, number) = matrix.buffer();
    let address = buffer.at((first * number.size_bytes()) as u64);
    let (outer, inner) = (matrix.columns() as i64, heads.width as i64);
    let size = |what, size| count("rms_norm", what, size);
    let params = RowNormParams {
        x: address,
        weight: norm.gain.address(),
        bias: 0,
        y: address,
        x_outer: outer,
        x_inner: inner,
        y_outer: outer,
        y_inner: inner,
        rows: (matrix.rows() * heads.count) as i64,
        inner: size("the heads", heads.count)?,
        width: size("the width", heads.width)?,
        epsilon: norm.epsilon,
        padding: 0,
    };
    let operations = 100.0 * matrix.rows() as f64 * heads.columns() as f64;
    ops.launch(gpu, params.rms_norm(number), operations)
}
