//! Sines and cosines of points on a device.

use std::sync::Arc;

use super::super::device::{count, elementwise_operations};
use super::super::{Matrix, OpError, Ops};
use crate::compute::cuda::{Buffer, size_in_ledger};
use crate::compute::kernels::FourierParams;
use crate::compute::{Gpu, Ledger, OutOfMemory, Reservation};

/// What points on their way to sines and cosines are.
const WHAT: &str = "the points";

fn points_bytes(count: usize) -> u64 {
    (count * size_of::<[f32; 3]>()) as u64
}

/// Reserves what [`fourier`] takes beside the rows.
pub(super) fn reserve_points(ledger: &Ledger, count: usize) -> Result<Reservation, OutOfMemory> {
    ledger.reserve(size_in_ledger(points_bytes(count)), WHAT)
}

pub(super) fn fourier(
    ops: &Ops<'_>,
    gpu: &Arc<Gpu>,
    points: &[[f32; 3]],
    frequencies: usize,
    rows: &Matrix,
) -> Result<(), OpError> {
    let on_device = Buffer::of_bytes(gpu, bytemuck::cast_slice(points), WHAT)?;
    let params = FourierParams {
        points: on_device.at(0),
        y: rows.address(),
        count: points.len() as i64,
        frequencies: count("fourier", "frequencies", frequencies)?,
        padding: 0,
    };
    let operations = elementwise_operations(rows);
    ops.launch(gpu, params.launch(ops.activations), operations)
}
