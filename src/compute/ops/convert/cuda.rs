//! Another format on a device.

use std::sync::Arc;

use super::super::device::elementwise_operations;
use super::super::{Matrix, OpError, Ops};
use crate::compute::Gpu;
use crate::compute::kernels::CastParams;

pub(super) fn convert(
    ops: &Ops<'_>,
    gpu: &Arc<Gpu>,
    from: &Matrix,
    to: &Matrix,
) -> Result<(), OpError> {
    let ((source, old), (target, new)) = (from.buffer(), to.buffer());
    if old == new {
        return Ok(target.copy_from(0, source, 0, source.size_bytes())?);
    }
    let params = CastParams {
        x: source.at(0),
        y: target.at(0),
        count: (from.rows() * from.columns()) as i64,
    };
    ops.launch(gpu, params.launch(old, new), elementwise_operations(from))
}
