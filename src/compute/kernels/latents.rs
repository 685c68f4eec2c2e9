//! Points as sines and cosines, and a step of a flow: parameters and launches. It never computes.

use bytemuck::{Pod, Zeroable};

use super::{File, Launch, LaunchError, MOST_ELEMENTWISE_BLOCKS, Number, blocks, check};

/// A launch of 256 threads a block over `count` numbers.
fn over(
    name: &'static str,
    number: Number,
    count: i64,
    params: &impl Pod,
    pointers: u32,
) -> Result<Launch, LaunchError> {
    check(name, "the count", count, 0..=i64::MAX, "0 and more")?;
    let kernel = format!("{name}_{}", number.suffix());
    let grid = [blocks(count, 256).min(MOST_ELEMENTWISE_BLOCKS), 1];
    Launch::new((File::Latents, name), kernel, grid, 256, params, pointers)
}

/// Each point as a row: its coordinates, the sines of each times 1, 2, 4 and so on, then the cosines.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct FourierParams {
    /// `count × 3` 32-bit numbers.
    pub points: u64,
    /// `count × 3 · (1 + 2 · frequencies)`.
    pub y: u64,
    /// Points.
    pub count: i64,
    /// Frequencies, at most 16: angles in radians stay below 100 000 where coordinates are below 3.
    pub frequencies: i32,
    /// Not read.
    pub padding: i32,
}

impl FourierParams {
    /// The launch.
    ///
    /// # Errors
    ///
    /// [`LaunchError`] for a negative count, or more frequencies than 16.
    pub fn launch(&self, number: Number) -> Result<Launch, LaunchError> {
        let frequencies = i64::from(self.frequencies);
        check("fourier", "frequencies", frequencies, 0..=16, "0 to 16")?;
        let count = self.count.saturating_mul(3 + 3 * frequencies);
        over("fourier", number, count, self, 2)
    }
}

/// A step along a velocity: `clean = x + noise · v`, `x = x + forward · v`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct FlowStepParams {
    /// `count` 32-bit numbers, read and written.
    pub x: u64,
    /// `count` 32-bit numbers.
    pub clean: u64,
    /// `count` numbers: `c`.
    pub conditional: u64,
    /// `count` numbers `u`, with which `v = u + guidance · (c - u)`; or null, and `v = c`.
    pub unconditional: u64,
    /// Numbers.
    pub count: i64,
    /// From `x` to the prediction.
    pub noise: f32,
    /// From `x` to the next.
    pub forward: f32,
    /// How far the condition is followed.
    pub guidance: f32,
    /// Not read.
    pub padding: i32,
}

impl FlowStepParams {
    /// The launch; `number` is the format of the velocities.
    ///
    /// # Errors
    ///
    /// [`LaunchError`] for a negative count.
    pub fn launch(&self, number: Number) -> Result<Launch, LaunchError> {
        over("flow_step", number, self.count, self, 4)
    }
}
