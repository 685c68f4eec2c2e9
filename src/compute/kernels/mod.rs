//! What is asked of the CUDA kernels in `shaders/cuda`: their parameters, and how many blocks a call takes.
//!
//! Pure: it makes [`Launch`]es and never runs one. Each parameter struct is the one of the same name in the
//! `.cu` file, pointers first; a pointer is a device address, 0 for null. Strides and counts are in numbers,
//! not bytes.

mod binaries;
mod isosurface;
mod latents;
mod matrix;
mod noise;
mod rows;
mod samples;
mod simple;

pub use binaries::{BINARIES, Binary, Target};
pub use isosurface::{
    BRICK_CELLS, BRICK_SAMPLES, FillParams, IsosurfaceParams, IsosurfaceStep, MISSING_BRICK,
    PointwiseParams, ScanParams, SolidFillParams, SolidMaps, SolidShape, SolidVerticesParams,
};
pub use latents::{FlowStepParams, FourierParams};
pub use matrix::{AttentionParams, GemmFormat, GemmParams, Tile};
pub use noise::NoiseParams;
pub use rows::{ResizeParams, SoftmaxParams, TopKParams};
pub use samples::{
    BLOCK_SAMPLES, BLOCK_WANTED_BYTES, MOST_BLOCKS_ALONG, SamplesParams, SamplesStep,
};
pub use simple::{
    BinaryParams, CastParams, GatedParams, GatherParams, GroupNormParams, PlanesParams,
    RowNormParams, SlopedParams, StridedParams, TransposeParams, UnaryParams, WordSize,
};

pub use super::precision::Number;

/// A file of kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum File {
    /// Matrix products.
    Gemm,
    /// Attention.
    Attention,
    /// Normalisation.
    Norm,
    /// Numbers one by one.
    Elementwise,
    /// Sampling of planes.
    Resample,
    /// Moving without change.
    Reorder,
    /// From samples to vertices and faces.
    Isosurface,
    /// The solid of `inflate`.
    Inflate,
    /// Normal noise.
    Noise,
    /// Resizing of images and tables.
    Resize,
    /// Softmax, and the greatest of a row.
    Select,
    /// Points as sines and cosines, and a step of a flow.
    Latents,
    /// A field from coarse to fine, in sparse blocks.
    Samples,
}

impl File {
    /// Every file.
    pub const ALL: [Self; 13] = [
        Self::Gemm,
        Self::Attention,
        Self::Norm,
        Self::Elementwise,
        Self::Resample,
        Self::Reorder,
        Self::Isosurface,
        Self::Inflate,
        Self::Noise,
        Self::Resize,
        Self::Select,
        Self::Latents,
        Self::Samples,
    ];

    /// Its name in `shaders/cuda`, without extension.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gemm => "gemm",
            Self::Attention => "attention",
            Self::Norm => "norm",
            Self::Elementwise => "elementwise",
            Self::Resample => "resample",
            Self::Reorder => "reorder",
            Self::Isosurface => "isosurface",
            Self::Inflate => "inflate",
            Self::Noise => "noise",
            Self::Resize => "resize",
            Self::Select => "select",
            Self::Latents => "latents",
            Self::Samples => "samples",
        }
    }
}

/// What cannot be asked of a kernel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LaunchError {
    /// A size that the kernel does not compute.
    #[error("{kernel}: {what} is {value}; it takes {takes}")]
    Size {
        /// The kernel.
        kernel: &'static str,
        /// Which size.
        what: &'static str,
        /// Its value.
        value: i64,
        /// What it takes.
        takes: &'static str,
    },
    /// More blocks than a launch may have.
    #[error(
        "{kernel}: {blocks} blocks are needed and {most} are possible; cut the work into parts"
    )]
    TooManyBlocks {
        /// The kernel.
        kernel: &'static str,
        /// The blocks.
        blocks: u64,
        /// The most possible.
        most: u64,
    },
}

/// One call of a kernel, ready to be made on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The file of the kernel.
    pub file: File,
    /// Its name.
    pub kernel: String,
    /// Blocks in x and y.
    pub grid: [u32; 2],
    /// Threads of a block.
    pub threads: u32,
    /// The bytes of its one parameter.
    pub params: Vec<u8>,
    /// How many of the first 8-byte words of `params` are pointers.
    pub pointers: u32,
}

/// The most blocks in x and in y.
const MOST_BLOCKS: [u64; 2] = [i32::MAX as u64, 65_535];
/// Beyond it the threads of an elementwise kernel take several numbers each.
const MOST_ELEMENTWISE_BLOCKS: u64 = 1 << 16;

impl Launch {
    fn new(
        (file, what): (File, &'static str),
        kernel: String,
        blocks: [u64; 2],
        threads: u32,
        params: &impl bytemuck::NoUninit,
        pointers: u32,
    ) -> Result<Self, LaunchError> {
        let mut grid = [1; 2];
        for axis in 0..2 {
            let too_many = LaunchError::TooManyBlocks {
                kernel: what,
                blocks: blocks[axis],
                most: MOST_BLOCKS[axis],
            };
            if blocks[axis] > MOST_BLOCKS[axis] {
                return Err(too_many);
            }
            grid[axis] = u32::try_from(blocks[axis]).map_err(|_too_large| too_many)?;
        }
        Ok(Self {
            file,
            kernel,
            grid,
            threads,
            params: bytemuck::bytes_of(params).to_vec(),
            pointers,
        })
    }

    /// Whether there is nothing to do; a device refuses a launch without blocks.
    pub fn is_empty(&self) -> bool {
        self.grid.contains(&0)
    }
}

/// Refuses a size outside of `range`.
fn check(
    kernel: &'static str,
    what: &'static str,
    value: i64,
    range: std::ops::RangeInclusive<i64>,
    takes: &'static str,
) -> Result<(), LaunchError> {
    if range.contains(&value) {
        Ok(())
    } else {
        Err(LaunchError::Size {
            kernel,
            what,
            value,
            takes,
        })
    }
}

fn blocks(count: i64, each: i64) -> u64 {
    count.max(0).unsigned_abs().div_ceil(each.unsigned_abs())
}
