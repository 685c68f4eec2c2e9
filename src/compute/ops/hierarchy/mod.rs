//! A field sampled from coarse to fine on a CUDA device, in sparse blocks of 8³ samples: which samples are wanted,
//! the points to ask for and the values are there, and only counts come to the host.
//!
//! Its CUDA form alone is here, one lattice at a time. The processor's form is `field::Hierarchy`, of which this
//! module knows nothing: who calls it brings the lattices one after another and answers for the points. Both have
//! the same samples, and of the same answers the same values.
//!
//! [`extract_blocks`](super::isosurface::extract_blocks) makes the surface of what is sampled.

mod cuda;
mod numbering;

pub use cuda::sample;
pub(super) use numbering::Numbering;

use std::sync::Arc;

use bytemuck::Zeroable;

use super::fourier::PointsOnDevice;
use crate::compute::cuda::Buffer;
use crate::compute::kernels::{BLOCK_SAMPLES, SamplesParams};
use crate::compute::{Cancel, Gpu, GpuError, Matrix};

/// Regular sample points, x fastest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleLattice {
    /// The position of the first sample: a whole number of steps along each axis.
    pub origin: [f32; 3],
    /// The distance of samples.
    pub step: f32,
    /// Samples along each axis.
    pub samples: [usize; 3],
}

/// Which samples of a lattice are evaluated, beside those that the surface leads to.
#[derive(Debug, Clone, Copy)]
pub enum Wanted<'a> {
    /// All of them; what a lattice of twice the step knows is taken from it.
    Everywhere(Option<&'a SparseSamples>),
    /// Those of the cells of a lattice of twice the step that the surface passes, or that have a value so near
    /// to 0.
    Near(&'a SparseSamples, f32),
}

impl<'a> Wanted<'a> {
    fn coarser(self) -> Option<&'a SparseSamples> {
        match self {
            Self::Everywhere(coarser) => coarser,
            Self::Near(coarser, _) => Some(coarser),
        }
    }
}

/// A lattice to sample.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The device.
    pub gpu: &'a Arc<Gpu>,
    /// Asked between the steps and between chunks of points.
    pub cancel: &'a Cancel,
    /// The samples there are.
    pub lattice: SampleLattice,
    /// The least and the greatest corner of the box that the field is evaluated in: a sample outside of it has
    /// the value of the nearest point in it.
    pub extent: [[f32; 3]; 2],
    /// Which of them are evaluated.
    pub wanted: Wanted<'a>,
    /// An answer's value is `sign · answer - threshold`: positive inside.
    pub sign: f32,
    /// See `sign`.
    pub threshold: f32,
    /// Points that are asked for together, at least 1.
    pub points_at_once: usize,
}

/// Answers for points that are on the device: a number each, on the device too.
pub type Decode<'a, E> = &'a mut dyn FnMut(&PointsOnDevice) -> Result<Matrix, E>;

/// The samples of a block, x fastest.
pub type BlockValues = [f32; BLOCK_SAMPLES as usize];

/// The samples of a lattice on a device, in blocks of 8³ that are held where any of theirs was wanted; NaN where
/// it was not evaluated.
#[derive(Debug)]
pub struct SparseSamples {
    lattice: SampleLattice,
    blocks: [i32; 3],
    samples: [i32; 3],
    /// The number of the block at each place, x fastest.
    directory: Buffer,
    /// Four 16-bit words a block.
    places: Buffer,
    /// 512 numbers a block.
    values: Buffer,
    held: u64,
    asked: u64,
    followed: u32,
}

impl SparseSamples {
    /// The device that they are on.
    pub fn gpu(&self) -> &Arc<Gpu> {
        self.values.gpu()
    }

    /// The sample points.
    pub fn lattice(&self) -> &SampleLattice {
        &self.lattice
    }

    /// How many blocks are held.
    pub fn held(&self) -> u64 {
        self.held
    }

    /// At how many points the field was asked for them and for the coarser lattices that they were made from.
    pub fn asked(&self) -> u64 {
        self.asked
    }

    /// How often the surface led from the samples that were known to others.
    pub fn followed(&self) -> u32 {
        self.followed
    }

    /// Brings everything to the host, for comparisons: the coordinates of each block in blocks and a 0, and its
    /// samples, x fastest.
    ///
    /// # Errors
    ///
    /// Whatever happened to the device.
    pub fn to_host(&self) -> Result<(Vec<[u16; 4]>, Vec<BlockValues>), GpuError> {
        let mut places = vec![[0; 4]; self.held as usize];
        let mut values = vec![[0.0; BLOCK_SAMPLES as usize]; self.held as usize];
        self.places.read(0, bytemuck::cast_slice_mut(&mut places))?;
        let numbers = values.as_flattened_mut();
        self.values.read(0, bytemuck::cast_slice_mut(numbers))?;
        Ok((places, values))
    }

    /// What the surface's kernels read of it.
    pub(super) fn params(&self) -> SamplesParams {
        SamplesParams {
            values: self.values.at(0),
            directory: self.directory.at(0),
            blocks: self.blocks,
            samples: self.samples,
            ..SamplesParams::zeroed()
        }
    }
}

/// The memory that the samples of a solid of an ordinary shape take of a device at a level, those of the coarser
/// level that they are made from included, before they are evaluated. `points_at_once` as in [`Request`].
pub fn typical_bytes(level: u32, points_at_once: usize) -> u64 {
    let of = |level: u32| {
        let side = u64::from(level).div_ceil(8) + 1;
        // As `field::SparseGrid::typical_bytes` has it.
        let near = (12 * side.pow(2)).min(side.pow(3));
        cuda::held_bytes(side.pow(3), near)
    };
    of(level) + of(level / 2) + cuda::passing_bytes(points_at_once)
}

/// Checks that a field's answers are as many as the points.
fn checked(answers: &Matrix, points: &PointsOnDevice) {
    let numbers = answers.rows() * answers.columns();
    assert_eq!(numbers, points.count(), "an answer for each point");
}
