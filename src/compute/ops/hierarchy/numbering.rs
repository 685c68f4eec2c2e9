//! The numbering of what is marked in a lattice of blocks, in Morton order.

use std::sync::Arc;

use super::super::OpError;
use crate::compute::cuda::Buffer;
use crate::compute::kernels::{
    FillParams, Launch, LaunchError, MISSING_BRICK, SamplesParams, SamplesStep as Step, ScanParams,
};
use crate::compute::{Cancel, Gpu, GpuError};

/// Operations that a block of threads of these kernels takes, about.
const OPERATIONS: f64 = 1e5;

/// Marks of the blocks of a lattice, and their sums; `params` has their addresses.
#[derive(Debug)]
pub(in super::super) struct Numbering {
    gpu: Arc<Gpu>,
    cancel: Cancel,
    cubes: u64,
    marks: Buffer,
    counts: Buffer,
    offsets: Buffer,
}

/// How many blocks were marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Marked {
    /// To be held.
    pub(in super::super) new: u64,
    /// Held, with more that is wanted.
    pub(in super::super) changed: u64,
}

impl Numbering {
    /// Room for the marks of the blocks that `params` has, and their addresses there.
    pub(in super::super) fn new(
        gpu: &Arc<Gpu>,
        cancel: &Cancel,
        params: &mut SamplesParams,
        what: &'static str,
    ) -> Result<Self, GpuError> {
        let cubes = params.cubes()?;
        let blocks = all_blocks(params);
        let numbering = Self {
            gpu: Arc::clone(gpu),
            cancel: cancel.clone(),
            cubes,
            marks: Buffer::new(gpu, blocks, what)?,
            counts: Buffer::new(gpu, 8 * cubes, what)?,
            offsets: Buffer::new(gpu, 8 * (cubes + 1), what)?,
        };
        params.marks = numbering.marks.at(0);
        Ok(numbering)
    }

    /// A directory without any block.
    pub(in super::super) fn empty_directory(
        &self,
        params: &SamplesParams,
        what: &'static str,
    ) -> Result<Buffer, OpError> {
        let count = all_blocks(params);
        let directory = Buffer::new(&self.gpu, 4 * count, what)?;
        self.fill(directory.at(0), count, MISSING_BRICK)?;
        Ok(directory)
    }

    /// Writes the same word so many times.
    pub(in super::super) fn fill(&self, y: u64, count: u64, value: u32) -> Result<(), OpError> {
        let words = FillParams {
            y,
            count: count.cast_signed(),
            value,
            padding: 0,
        };
        self.run(words.launch())
    }

    /// Takes all marks away.
    pub(in super::super) fn clear(&self) -> Result<(), GpuError> {
        self.marks.clear()
    }

    /// Counts the marks.
    pub(in super::super) fn count(&self, params: &SamplesParams) -> Result<Marked, OpError> {
        self.run(self.with_sums(params).launch(Step::CountMarks))?;
        let sums = ScanParams {
            x: self.counts.at(0),
            y: self.offsets.at(0),
            count: self.cubes.cast_signed(),
        };
        self.run(sums.launch(2))?;
        // From the sum of the first row, which is its last word, to that of the second: the device is waited for
        // once.
        let mut sums = vec![0_u32; self.cubes as usize + 2];
        let bytes = bytemuck::cast_slice_mut(&mut sums);
        self.offsets.read(4 * self.cubes, bytes)?;
        let sum = |at: usize| u64::from(sums[at]);
        Ok(Marked {
            new: sum(0),
            changed: sum(sums.len() - 1),
        })
    }

    /// Numbers the blocks that were counted as new from `params.first` on, in its directory and places.
    pub(in super::super) fn number(&self, params: &SamplesParams) -> Result<(), OpError> {
        self.run(self.with_sums(params).launch(Step::Number))
    }

    fn with_sums(&self, params: &SamplesParams) -> SamplesParams {
        SamplesParams {
            counts: self.counts.at(0),
            offsets: self.offsets.at(0),
            ..*params
        }
    }

    /// Queues a kernel, unless the work was cancelled.
    pub(in super::super) fn run(&self, launch: Result<Launch, LaunchError>) -> Result<(), OpError> {
        self.cancel.checkpoint()?;
        let launch = launch.map_err(GpuError::from)?;
        self.gpu.launch(&launch)?;
        self.gpu.pace(OPERATIONS * f64::from(launch.grid[0]))?;
        Ok(self.cancel.checkpoint()?)
    }
}

/// The blocks of a lattice, which are at most 2³⁰.
pub(super) fn all_blocks(params: &SamplesParams) -> u64 {
    let along = params.blocks.iter();
    along.map(|along| u64::from(along.unsigned_abs())).product()
}
