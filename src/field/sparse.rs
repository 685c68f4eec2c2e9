//! Samples of a lattice, held only where they were evaluated.

use super::{Bounds, Brick, Field, Region};

/// Samples along the side of a block.
pub(super) const SIDE: usize = 8;
/// Samples in a block.
pub(super) const BLOCK: usize = SIDE * SIDE * SIDE;
/// No block is held at these coordinates.
const MISSING: u32 = u32::MAX;

/// The samples of a lattice, in blocks of 8³ that are held where any of theirs was evaluated.
///
/// As a field it knows the samples of its own lattice and those of no other: it is meshed at the level that
/// the lattice was laid for. Between samples it is trilinear.
#[derive(Debug, Clone)]
pub struct SparseGrid {
    extent: Region,
    lattice: Brick,
    /// Blocks along each axis.
    blocks: [usize; 3],
    /// The number of the block at each place, x fastest, or [`MISSING`].
    directory: Vec<u32>,
    /// Where each block is, in blocks.
    places: Vec<[usize; 3]>,
    /// Each block's samples, x fastest; NaN is not evaluated.
    values: Vec<[f32; BLOCK]>,
    /// Each block's least and greatest value.
    bounds: Vec<Bounds>,
}

/// What a block takes.
pub(super) const BLOCK_BYTES: u64 =
    (BLOCK * size_of::<f32>() + size_of::<[usize; 3]>() + size_of::<Bounds>()) as u64;

impl SparseGrid {
    /// A lattice of a field within `extent`, no sample of it evaluated.
    pub(super) fn new(extent: Region, lattice: Brick) -> Self {
        let blocks = lattice.samples.map(|samples| samples.div_ceil(SIDE));
        Self {
            extent,
            lattice,
            blocks,
            directory: vec![MISSING; blocks.iter().product()],
            places: Vec::new(),
            values: Vec::new(),
            bounds: Vec::new(),
        }
    }

    /// The sample points.
    pub fn lattice(&self) -> &Brick {
        &self.lattice
    }

    /// The number of samples that were evaluated.
    pub fn evaluated(&self) -> usize {
        let values = self.values.iter().flatten();
        values.filter(|value| !value.is_nan()).count()
    }

    /// The memory that the blocks and their directory take.
    pub fn size_bytes(&self) -> u64 {
        4 * self.directory.len() as u64 + BLOCK_BYTES * self.values.len() as u64
    }

    /// The memory that the samples around a solid of an ordinary shape take at a level, those of the coarser
    /// levels included, before they are evaluated.
    pub fn typical_bytes(level: u32) -> u64 {
        let side = u64::from(level).div_ceil(SIDE as u64) + 1;
        // A surface passes four blocks for each of a side's square, and what is near it as many again twice
        // over; each coarser level takes a quarter of that. A dense lattice has no more blocks than a cube.
        let near = (12 * side.pow(2)).min(side.pow(3));
        (4 * side.pow(3) + near * BLOCK_BYTES) * 4 / 3
    }

    /// The value of a sample; NaN where it was not evaluated, or lies outside of the lattice.
    pub fn value(&self, index: [usize; 3]) -> f32 {
        let outside = (0..3).any(|axis| index[axis] >= self.lattice.samples[axis]);
        if outside {
            return f32::NAN;
        }
        match self.number(index.map(|at| at / SIDE)) {
            Some(block) => self.values[block][within(index)],
            None => f32::NAN,
        }
    }

    /// As [`SparseGrid::value`], for indices that may be below 0.
    pub(super) fn value_at(&self, index: [i64; 3]) -> f32 {
        if index.iter().any(|at| *at < 0) {
            return f32::NAN;
        }
        self.value(index.map(|at| at as usize))
    }

    /// The number of blocks that are held.
    pub(super) fn block_count(&self) -> usize {
        self.values.len()
    }

    /// Where a block is, in blocks.
    pub(super) fn place(&self, block: usize) -> [usize; 3] {
        self.places[block]
    }

    /// A block's samples, x fastest.
    pub(super) fn samples_mut(&mut self, block: usize) -> &mut [f32; BLOCK] {
        &mut self.values[block]
    }

    /// The number of the block that holds a sample, which is held from now on.
    pub(super) fn hold(&mut self, index: [usize; 3]) -> usize {
        let place = index.map(|at| at / SIDE);
        let entry = self.entry(place);
        if self.directory[entry] == MISSING {
            self.directory[entry] = self.values.len() as u32;
            self.places.push(place);
            self.values.push([f32::NAN; BLOCK]);
            self.bounds.push(NOTHING);
        }
        self.directory[entry] as usize
    }

    /// Finds the least and the greatest value of each block.
    pub(super) fn find_bounds(&mut self) {
        for (bounds, values) in self.bounds.iter_mut().zip(&self.values) {
            *bounds = values.iter().fold(NOTHING, |bounds, value| Bounds {
                // The comparisons pass NaN over.
                min: bounds.min.min(*value),
                max: bounds.max.max(*value),
            });
        }
    }

    fn entry(&self, [x, y, z]: [usize; 3]) -> usize {
        (z * self.blocks[1] + y) * self.blocks[0] + x
    }

    fn number(&self, place: [usize; 3]) -> Option<usize> {
        let number = self.directory[self.entry(place)];
        (number != MISSING).then_some(number as usize)
    }

    /// The sample that lies at a position, or before it, and how far the position lies from it in steps.
    fn locate(&self, position: [f32; 3]) -> ([i64; 3], [f32; 3]) {
        let steps: [f32; 3] = std::array::from_fn(|axis| {
            (position[axis] - self.lattice.origin[axis]) / self.lattice.step
        });
        let whole = steps.map(f32::floor);
        (
            whole.map(|steps| steps as i64),
            std::array::from_fn(|axis| steps[axis] - whole[axis]),
        )
    }
}

/// The bounds of no values.
const NOTHING: Bounds = Bounds {
    min: f32::INFINITY,
    max: f32::NEG_INFINITY,
};

/// The place of a sample within its block.
pub(super) fn within(index: [usize; 3]) -> usize {
    let [x, y, z] = index.map(|at| at % SIDE);
    (z * SIDE + y) * SIDE + x
}

impl Field for SparseGrid {
    fn extent(&self) -> Region {
        self.extent
    }

    fn fill(&self, brick: &Brick, values: &mut [f32]) {
        let [columns, rows, _] = brick.samples;
        if brick.is_empty() {
            return;
        }
        let half = 0.5 * self.lattice.step;
        let (first, _) = self.locate(brick.origin.map(|x| x + half));
        let same = brick.step == self.lattice.step;
        for (place, value) in values.iter_mut().enumerate() {
            let at = [
                place % columns,
                place / columns % rows,
                place / (columns * rows),
            ];
            *value = if same {
                self.value_at(std::array::from_fn(|axis| first[axis] + at[axis] as i64))
            } else {
                f32::NAN
            };
        }
    }

    fn bounds(&self, region: &Region) -> Bounds {
        let (first, _) = self.locate(region.min);
        let (last, _) = self.locate(region.max);
        let range = |axis: usize| {
            let last_block = self.blocks[axis] - 1;
            let block = |at: i64| (at.max(0) as usize / SIDE).min(last_block);
            block(first[axis])..=block(last[axis].saturating_add(1))
        };
        let mut bounds = NOTHING;
        for z in range(2) {
            for y in range(1) {
                for x in range(0) {
                    if let Some(block) = self.number([x, y, z]) {
                        bounds.min = bounds.min.min(self.bounds[block].min);
                        bounds.max = bounds.max.max(self.bounds[block].max);
                    }
                }
            }
        }
        if bounds.min > bounds.max {
            // Nothing was evaluated there, for no surface was near: neither side, and no border to close.
            return Bounds {
                min: f32::NEG_INFINITY,
                max: f32::NEG_INFINITY,
            };
        }
        bounds
    }

    fn value_and_gradient(&self, point: [f32; 3]) -> Option<(f32, [f32; 3])> {
        let (first, at) = self.locate(point);
        let mut value = 0.0;
        let mut gradient = [0.0; 3];
        for corner in 0..8 {
            let offset: [i64; 3] = std::array::from_fn(|axis| corner >> axis & 1);
            let sample = self.value_at(std::array::from_fn(|axis| first[axis] + offset[axis]));
            let weights: [f32; 3] = std::array::from_fn(|axis| match offset[axis] {
                0 => 1.0 - at[axis],
                _ => at[axis],
            });
            value += sample * weights[0] * weights[1] * weights[2];
            for (axis, slope) in gradient.iter_mut().enumerate() {
                let others = weights[(axis + 1) % 3] * weights[(axis + 2) % 3];
                let sign = if offset[axis] == 0 { -1.0 } else { 1.0 };
                *slope += sign * sample * others / self.lattice.step;
            }
        }
        // One sample that was not evaluated makes all of it NaN.
        (!value.is_nan()).then_some((value, gradient))
    }
}
