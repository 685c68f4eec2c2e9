//! Normalisation on a device.

use std::sync::Arc;

use super::super::device::{count, elementwise_operations};
use super::super::{Matrix, OpError, Ops};
use super::Norm;
use crate::compute::Gpu;
use crate::compute::kernels::{GroupNormParams, RowNormParams};

pub(super) fn layer_norm(
    ops: &Ops<'_>,
    gpu: &Arc<Gpu>,
    inputs: &Matrix,
    norm: &Norm,
    out: &Matrix,
) -> Result<(), OpError> {
    let columns = inputs.columns() as i64;
    let params = RowNormParams {
        x: inputs.address(),
        weight: norm.gain.address(),
        bias: norm.bias.address(),
        y: out.address(),
        x_outer: columns,
        x_inner: 0,
        y_outer: columns,
        y_inner: 0,
        rows: inputs.rows() as i64,
        inner: 1,
        width: count("layer_norm", "the width", inputs.columns())?,
        epsilon: norm.epsilon,
        padding: 0,
    };
    ops.launch(
        gpu,
        params.layer_norm(ops.activations),
        elementwise_operations(inputs),
    )
}

pub(super) fn group_norm(
    ops: &Ops<'_>,
    gpu: &Arc<Gpu>,
    inputs: &Matrix,
    groups: usize,
    norm: &Norm,
    out: &Matrix,
) -> Result<(), OpError> {
    let strides = [0, inputs.columns() as i64, 1];
    let size = |what, size| count("group_norm", what, size);
    let params = GroupNormParams {
        x: inputs.address(),
        weight: norm.gain.address(),
        bias: norm.bias.address(),
        y: out.address(),
        x_strides: strides,
        y_strides: strides,
        tokens: size("rows", inputs.rows())?,
        channels: size("columns", inputs.columns())?,
        groups: size("groups", groups)?,
        epsilon: norm.epsilon,
    };
    ops.launch(
        gpu,
        params.launch(ops.activations, 1),
        elementwise_operations(inputs),
    )
}
