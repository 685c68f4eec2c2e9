//! Attention on a device.

use std::sync::Arc;

use super::super::device::count;
use super::super::{Matrix, OpError, Ops};
use super::{Heads, View};
use crate::compute::Gpu;
use crate::compute::kernels::AttentionParams;

pub(super) fn attention(
    ops: &Ops<'_>,
    gpu: &Arc<Gpu>,
    [queries, keys, values]: [View<'_>; 3],
    heads: Heads,
    out: &Matrix,
) -> Result<(), OpError> {
    let number_bytes = ops.activations.size_bytes();
    let address = |view: View<'_>| {
        view.matrix
            .buffer()
            .0
            .at((view.first * number_bytes) as u64)
    };
    let strides = |matrix: &Matrix| [0, matrix.columns() as i64, heads.width as i64];
    let size = |what, size| count("attention", what, size);
    let (query_count, key_count) = (queries.matrix.rows(), keys.matrix.rows());
    let params = AttentionParams {
        q: address(queries),
        k: address(keys),
        v: address(values),
        o: out.address(),
        q_strides: strides(queries.matrix),
        k_strides: strides(keys.matrix),
        v_strides: strides(values.matrix),
        o_strides: strides(out),
        heads: size("the number of heads", heads.count)?,
        queries: size("the number of queries", query_count)?,
        keys: size("the number of keys", key_count)?,
        head_size: size("the head size", heads.width)?,
        scale: 1.0 / (heads.width as f32).sqrt(),
        padding: 0,
    };
    let operations = 4.0 * query_count as f64 * key_count as f64 * heads.columns() as f64;
    ops.launch(gpu, params.launch(ops.activations, 1), operations)
}
