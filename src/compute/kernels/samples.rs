//! Sampling a field from coarse to fine in sparse blocks of 8³ samples: parameters and launches. It never computes.

use bytemuck::{Pod, Zeroable};

use super::{
    File, IsosurfaceParams, Launch, LaunchError, MOST_ELEMENTWISE_BLOCKS, Number, blocks, check,
};

/// Samples of a block: 8³.
pub const BLOCK_SAMPLES: u64 = 512;
/// Bytes of a bit for each sample of a block.
pub const BLOCK_WANTED_BYTES: u64 = BLOCK_SAMPLES / 8;
/// The most blocks along an axis, as they are numbered in Morton order.
pub const MOST_BLOCKS_ALONG: u64 = 1 << 10;

/// The workspace of a lattice being sampled; every kernel reads of it what it needs, and the other pointers may
/// be null.
///
/// A block is *held* where any of its samples is wanted, and has a number then.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct SamplesParams {
    /// `held × 512` numbers, x fastest; NaN where not evaluated.
    pub values: u64,
    /// `held × 16` words: a bit for each sample that is wanted.
    pub wanted: u64,
    /// A word for each block of the lattice, x fastest: a number, or
    /// [`MISSING_BRICK`](super::MISSING_BRICK).
    pub directory: u64,
    /// `held × 4` 16-bit words: the coordinates of a block and 0.
    pub places: u64,
    /// A byte for each block of the lattice, or for each brick: 1 where it is to be held, 2 where it is and
    /// something more of it is wanted.
    pub marks: u64,
    /// `2 × cubes` words: the marks of either kind in each cube of 8³ blocks; or `held` words: the samples of
    /// each block that have no value yet.
    pub counts: u64,
    /// The sums of the counts before each, a row one word longer.
    pub offsets: u64,
    /// Samples that are to be evaluated, a word each: 512 times the block and the sample in it.
    pub list: u64,
    /// `count × 3` numbers.
    pub points: u64,
    /// `count` numbers: what the field answered at the points.
    pub answers: u64,
    /// The values of the lattice of twice the step.
    pub coarse_values: u64,
    /// The directory of the lattice of twice the step, or null where there is none.
    pub coarse_directory: u64,
    /// `kept × 729` numbers, x fastest.
    pub bricks: u64,
    /// `kept` words: which of the bricks each is, its own number.
    pub slots: u64,
    /// The first block, or entry of the list, that a launch looks at.
    pub first: i64,
    /// How many blocks, bricks or entries a launch looks at.
    pub count: i64,
    /// Blocks of the lattice.
    pub blocks: [i32; 3],
    /// Samples of the lattice.
    pub samples: [i32; 3],
    /// Blocks of the lattice of twice the step.
    pub coarse_blocks: [i32; 3],
    /// Samples of the lattice of twice the step.
    pub coarse_samples: [i32; 3],
    /// Where the first sample of the lattice of twice the step is, in steps of this one from its first.
    pub shift: [i32; 3],
    /// The position of the lattice's first sample.
    pub origin: [f32; 3],
    /// The distance of its samples.
    pub step: f32,
    /// The least corner of the box that points are brought into.
    pub least: [f32; 3],
    /// Its greatest corner.
    pub most: [f32; 3],
    /// A value of the coarser lattice so near to 0 has its surroundings wanted.
    pub near: f32,
    /// An answer's value is `sign · answer - threshold`.
    pub sign: f32,
    /// See `sign`.
    pub threshold: f32,
    /// Which samples are wanted: [`EVERYWHERE`](Self::EVERYWHERE), [`NEAR_SURFACE`](Self::NEAR_SURFACE) or
    /// [`FOLLOWING`](Self::FOLLOWING).
    pub which: i32,
    /// Not read.
    pub padding: i32,
}

const POINTERS: u32 = 14;

/// A step of the sampling, in the order in which they are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SamplesStep {
    /// Marks the blocks that are to be held, and adds to what is wanted of those that are.
    Mark,
    /// Counts the marks of each cube of blocks, in Morton order.
    CountMarks,
    /// Numbers the blocks that are to be held from `first` on, once the counts are summed.
    Number,
    /// Notes what is wanted of `count` blocks that were just numbered, from `first` on.
    Want,
    /// Takes what the coarser lattice knows, of `count` blocks, and counts what has no value yet.
    TakeKnown,
    /// Lists the samples of `count` blocks from `first` on that have no value yet, once the counts are summed.
    List,
    /// The points of `count` entries of the list from `first` on.
    Points,
    /// Marks the bricks, of which there are `count`, that hold surface.
    MarkMixed,
    /// Copies `count` bricks at `places`.
    CopyToBricks,
}

impl SamplesParams {
    /// All samples of the lattice.
    pub const EVERYWHERE: i32 = 0;
    /// Those of the coarser lattice's cells that the surface passes or comes near to.
    pub const NEAR_SURFACE: i32 = 1;
    /// Those without a value in cells that the surface passes.
    pub const FOLLOWING: i32 = 2;

    /// The launch of a step.
    ///
    /// # Errors
    ///
    /// [`LaunchError`] for a negative size, or more blocks than a launch may have or can be numbered.
    pub fn launch(&self, step: SamplesStep) -> Result<Launch, LaunchError> {
        use SamplesStep as Step;
        let (name, each, threads) = match step {
            Step::Mark => {
                return self.launch_on("mark_blocks", self.all_blocks("mark_blocks")?, 256);
            }
            Step::CountMarks => return self.launch_on("count_marks", self.cubes()?, 512),
            Step::Number => return self.launch_on("number_blocks", self.cubes()?, 512),
            Step::Want => ("want_samples", 1, 256),
            Step::TakeKnown => ("take_known", 1, 512),
            Step::List => ("list_missing", 1, 512),
            Step::Points => {
                let most = MOST_ELEMENTWISE_BLOCKS;
                let grid = self.counted("sample_points", 256)?.min(most);
                return self.launch_on("sample_points", grid, 256);
            }
            Step::MarkMixed => ("mark_mixed", 8, 256),
            Step::CopyToBricks => ("copy_from_blocks", 1, 256),
        };
        self.launch_on(name, self.counted(name, each)?, threads)
    }

    /// The launch that puts `count` answers of this format where the entries of the list from `first` on belong.
    ///
    /// # Errors
    ///
    /// As [`SamplesParams::launch`].
    pub fn launch_putting(&self, number: Number) -> Result<Launch, LaunchError> {
        let name = "put_answers";
        let grid = self.counted(name, 256)?.min(MOST_ELEMENTWISE_BLOCKS);
        let kernel = format!("{name}_{}", number.suffix());
        let what = (File::Samples, name);
        Launch::new(what, kernel, [grid, 1], 256, self, POINTERS)
    }

    /// The cubes of 8³ blocks that the blocks of the lattice are counted and numbered in.
    ///
    /// # Errors
    ///
    /// [`LaunchError`] for a size below 1, or too many blocks along an axis.
    pub fn cubes(&self) -> Result<u64, LaunchError> {
        self.all_blocks("number_blocks")?;
        let longest = self.blocks.into_iter().fold(1, i32::max);
        let side = blocks(longest.into(), 8).next_power_of_two();
        Ok(side.pow(3))
    }

    fn all_blocks(&self, name: &'static str) -> Result<u64, LaunchError> {
        let most = MOST_BLOCKS_ALONG.cast_signed();
        for along in self.blocks {
            check(
                name,
                "blocks along an axis",
                along.into(),
                1..=most,
                "1 to 1024",
            )?;
        }
        Ok((self.blocks.iter())
            .map(|along| u64::from(along.unsigned_abs()))
            .product())
    }

    fn counted(&self, name: &'static str, each: i64) -> Result<u64, LaunchError> {
        check(name, "the count", self.count, 0..=i64::MAX, "0 and more")?;
        check(name, "the first", self.first, 0..=i64::MAX, "0 and more")?;
        Ok(blocks(self.count, each))
    }

    fn launch_on(
        &self,
        name: &'static str,
        grid: u64,
        threads: u32,
    ) -> Result<Launch, LaunchError> {
        let what = (File::Samples, name);
        Launch::new(what, name.into(), [grid, 1], threads, self, POINTERS)
    }
}

impl IsosurfaceParams {
    /// The launch over `count` bricks that places vertices by up to two steps on the trilinear interpolation of
    /// the samples, once the counts are summed.
    ///
    /// # Errors
    ///
    /// As [`IsosurfaceParams::launch`].
    pub fn launch_placing_on_interpolation(&self) -> Result<Launch, LaunchError> {
        self.launch_placing(File::Samples, "place_vertices_on_interpolation")
    }
}
