//! The surface of a field on a CUDA device: the same vertices and faces in the same order as the processor's
//! isosurface, of samples that never leave the device.
//!
//! Its CUDA form alone is here. The processor's form works on fields, of which this module knows nothing: who
//! calls it brings the lattice, the bricks that may hold surface and the table of a cell's configurations,
//! and makes a mesh of the parts that it gets.
//!
//! Vertices are moved onto the surface on the device where the field is there ([`SolidField`] and
//! [`extract_planes`]: two Newton steps on the field itself) or where there is nothing but samples
//! ([`extract_blocks`]: two steps on their interpolation; [`extract_grid`]: one). A field that only the processor
//! evaluates at points is meshed there.

mod blocks;
mod cuda;
mod planes;
mod solid;

pub use blocks::extract_blocks;
pub use cuda::extract_grid;
pub use planes::extract_planes;
pub use solid::{SolidField, extract_solid};

use std::sync::Arc;

use crate::compute::{Cancel, Gpu};

/// The samples that a surface is extracted from, cut into bricks of 8³ cells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lattice {
    /// The position of the first sample.
    pub origin: [f32; 3],
    /// The distance of samples.
    pub step: f32,
    /// Cells along each axis.
    pub cells: [usize; 3],
    /// Bricks along each axis.
    pub bricks: [usize; 3],
}

/// The coordinates of a brick and a word: whether it is kept in any case.
pub type BrickPlace = [u16; 4];

/// What the processor's isosurface knows and a device is told.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// The configurations of a cell, as [`IsosurfaceParams::cases`](crate::compute::kernels::IsosurfaceParams)
    /// has them.
    pub cases: &'a [u16],
    /// The bricks to add, of the kept ones and 32 flags for each that tell into which neighbours the surface
    /// runs.
    pub missed: fn(&[BrickPlace], &[u8]) -> Vec<BrickPlace>,
}

/// What a surface is extracted with, and on which lattice.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The device.
    pub gpu: &'a Arc<Gpu>,
    /// Asked between the steps.
    pub cancel: &'a Cancel,
    /// What the processor knows.
    pub rules: Rules<'a>,
    /// The samples.
    pub lattice: Lattice,
}

/// The parts of a mesh; none where there is no surface.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Surface {
    /// Vertices.
    pub positions: Vec<[f32; 3]>,
    /// Outward unit normals, 0 where unknown.
    pub normals: Vec<[f32; 3]>,
    /// Counter-clockwise triangles.
    pub triangles: Vec<[u32; 3]>,
    /// For each vertex, 1 where its normal does not agree with one of its faces.
    pub disagreeing: Vec<u8>,
    /// Whether faces were left open, where samples are NaN.
    pub is_open: bool,
}
