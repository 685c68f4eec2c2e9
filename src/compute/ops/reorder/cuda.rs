//! Moving on a device.

use std::sync::Arc;

use super::super::device::count;
use super::super::{Matrix, OpError, Ops};
use crate::compute::kernels::{StridedParams, WordSize};
use crate::compute::{Gpu, GpuError};

pub(super) fn copy_rows(from: &Matrix, to: &Matrix, first_row: usize) -> Result<(), GpuError> {
    let ((source, same), (target, number)) = (from.buffer(), to.buffer());
    assert_eq!(number, same, "the format of rows");
    let offset = first_row * to.columns() * number.size_bytes();
    target.copy_from(offset as u64, source, 0, source.size_bytes())
}

pub(super) fn spread_texels(
    ops: &Ops<'_>,
    gpu: &Arc<Gpu>,
    tokens: &Matrix,
    side: usize,
    planes: &Matrix,
) -> Result<(), OpError> {
    let channels = planes.columns();
    let rows = tokens.rows() / side;
    let size = |size| count("copy_strided", "a size", size);
    let stride = |size: usize| size as i64;
    let word = match ops.activations.size_bytes() {
        2 => WordSize::Two,
        _ => WordSize::Four,
    };
    // The axes: rows of tokens, down, columns of tokens, across, channels.
    let params = StridedParams {
        x: tokens.address(),
        y: planes.address(),
        x_stride: [4 * side * channels, 2 * channels, 4 * channels, channels, 1].map(stride),
        y_stride: [
            4 * side * channels,
            2 * side * channels,
            2 * channels,
            channels,
            1,
        ]
        .map(stride),
        size: [size(rows)?, 2, size(side)?, 2, size(channels)?],
        padding: 0,
    };
    let operations = 100.0 * planes.rows() as f64 * channels as f64;
    ops.launch(gpu, params.launch(word), operations)
}
