//! Sines and cosines of points on a device.

use std::sync::Arc;

use super::super::device::{count, elementwise_operations};
use super::super::{Matrix, OpError, Ops};
use crate::compute::cuda::{Buffer, size_in_ledger};
use crate::compute::kernels::FourierParams;
use crate::compute::{Gpu, GpuError, Ledger, OutOfMemory, Reservation};

/// What points on their way to sines and cosines are.
const WHAT: &str = "the points";

/// Points on a device.
#[derive(Debug)]
pub struct PointsOnDevice {
    buffer: Buffer,
    count: usize,
}

impl PointsOnDevice {
    /// These points, brought to the device.
    ///
    /// # Errors
    ///
    /// [`GpuError::OutOfMemory`]; else whatever happened to the device.
    pub fn new(gpu: &Arc<Gpu>, points: &[[f32; 3]]) -> Result<Self, GpuError> {
        Ok(Self {
            buffer: Buffer::of_bytes(gpu, bytemuck::cast_slice(points), WHAT)?,
            count: points.len(),
        })
    }

    /// Room for so many.
    pub(in super::super) fn with_room(gpu: &Arc<Gpu>, count: usize) -> Result<Self, GpuError> {
        Ok(Self {
            buffer: Buffer::new(gpu, points_bytes(count), WHAT)?,
            count,
        })
    }

    /// Has the first so many of those that there is room for.
    pub(in super::super) fn truncate(&mut self, count: usize) {
        assert!(
            points_bytes(count) <= self.buffer.size_bytes(),
            "there is room"
        );
        self.count = count;
    }

    /// The device's address of the first.
    pub(in super::super) fn address(&self) -> u64 {
        self.buffer.at(0)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Brings them to the host.
    ///
    /// # Errors
    ///
    /// Whatever happened to the device.
    pub fn to_host(&self) -> Result<Vec<[f32; 3]>, GpuError> {
        let mut points = vec![[0.0; 3]; self.count];
        self.buffer.read(0, bytemuck::cast_slice_mut(&mut points))?;
        Ok(points)
    }
}

fn points_bytes(count: usize) -> u64 {
    (count * size_of::<[f32; 3]>()) as u64
}

/// Reserves what [`fourier`] takes beside the rows where points come from the host.
pub(super) fn reserve_points(ledger: &Ledger, count: usize) -> Result<Reservation, OutOfMemory> {
    ledger.reserve(size_in_ledger(points_bytes(count)), WHAT)
}

pub(super) fn fourier(
    ops: &Ops<'_>,
    gpu: &Arc<Gpu>,
    points: &PointsOnDevice,
    frequencies: usize,
    rows: &Matrix,
) -> Result<(), OpError> {
    let params = FourierParams {
        points: points.address(),
        y: rows.address(),
        count: points.count as i64,
        frequencies: count("fourier", "frequencies", frequencies)?,
        padding: 0,
    };
    let operations = elementwise_operations(rows);
    ops.launch(gpu, params.launch(ops.activations), operations)
}
