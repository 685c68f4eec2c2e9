//! Whole rows on a device.

use std::sync::Arc;

use super::super::device::elementwise_operations;
use super::super::{Matrix, OpError, Ops};
use crate::compute::kernels::BinaryParams;
use crate::compute::{Gpu, GpuError};

pub(super) fn take(from: &Matrix, first: usize, out: &Matrix) -> Result<(), GpuError> {
    let ((source, number), (target, same)) = (from.buffer(), out.buffer());
    assert_eq!(number, same, "the format of rows");
    let offset = first * from.columns() * number.size_bytes();
    target.copy_from(0, source, offset as u64, target.size_bytes())
}

pub(super) fn multiply_by(
    ops: &Ops<'_>,
    gpu: &Arc<Gpu>,
    factors: &Matrix,
    out: &Matrix,
) -> Result<(), OpError> {
    let count = (out.rows() * out.columns()) as i64;
    let params = BinaryParams {
        x: out.address(),
        y: factors.address(),
        z: out.address(),
        count,
        period: count.max(1),
        alpha: 1.0,
        beta: 0.0,
        multiply: 1,
        padding: 0,
    };
    let operations = elementwise_operations(out);
    ops.launch(gpu, params.launch(ops.activations), operations)
}
