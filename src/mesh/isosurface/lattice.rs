//! The regular lattice of samples that a surface is extracted from, cut into bricks of 8³ cells.

use super::IsosurfaceError;
use crate::field::Region;

/// Cells along the side of a brick.
pub(super) const SIDE: usize = 8;
/// Samples along the side of a brick: the last ones are the first ones of the next brick.
pub(super) const SAMPLES: usize = SIDE + 1;
/// Cells in a brick.
pub(super) const CELLS: usize = SIDE * SIDE * SIDE;
/// Samples in a brick.
pub(super) const BRICK_SAMPLES: usize = SAMPLES * SAMPLES * SAMPLES;

/// Significant bits of the step of a lattice laid over a field.
const STEP_BITS: u32 = 11;
/// With indices below this, `step × index` has at most the 24 bits of an f32, so it is exact.
const MAX_INDEX: f64 = 8192.0;

/// Sample points `origin + step * (i, j, k)`.
///
/// The outermost samples count as outside whatever the field says there, so that a surface that leaves
/// the lattice is closed at its border.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lattice {
    /// The position of the first sample.
    pub origin: [f32; 3],
    /// The distance of samples along each axis.
    pub step: f32,
    /// Cells along each axis; one sample more.
    pub cells: [usize; 3],
}

impl Lattice {
    /// Lays `level` cells along the longest side of `extent`, and a margin around it.
    ///
    /// Step and origin are rounded so that every sample's position is exact in f32: it is the same
    /// number through whichever brick it is computed.
    pub(super) fn over(extent: &Region, level: u32) -> Result<Self, IsosurfaceError> {
        let side = (0..3).fold(0.0_f64, |side, axis| {
            side.max(f64::from(extent.max[axis]) - f64::from(extent.min[axis]))
        });
        let proper = (0..3).all(|axis| {
            extent.min[axis].is_finite()
                && extent.max[axis].is_finite()
                && extent.min[axis] <= extent.max[axis]
        });
        if !proper || side <= 0.0 {
            return Err(IsosurfaceError::BadExtent(*extent));
        }
        let raw = side / f64::from(level);
        let unit = 2.0_f64.powi(raw.log2().floor() as i32 + 1 - STEP_BITS as i32);
        let step = (raw / unit).ceil() * unit;
        if !(step >= f64::from(f32::MIN_POSITIVE) && step <= f64::from(f32::MAX) / MAX_INDEX) {
            return Err(IsosurfaceError::BadExtent(*extent));
        }
        let mut origin = [0.0; 3];
        let mut cells = [0; 3];
        for axis in 0..3 {
            let first = (f64::from(extent.min[axis]) / step).floor() - 1.0;
            let last = (f64::from(extent.max[axis]) / step).ceil() + 1.0;
            if first <= -MAX_INDEX || last >= MAX_INDEX {
                return Err(IsosurfaceError::TooFarOut(*extent));
            }
            origin[axis] = (first * step) as f32;
            cells[axis] = (last - first) as usize;
        }
        Ok(Self {
            origin,
            step: step as f32,
            cells,
        })
    }

    /// The number of bricks of 8³ cells along each axis.
    pub fn bricks(&self) -> [usize; 3] {
        self.cells.map(|cells| cells.div_ceil(SIDE))
    }

    /// The position of a sample.
    pub(super) fn position(&self, index: [usize; 3]) -> [f32; 3] {
        std::array::from_fn(|axis| self.origin[axis] + self.step * index[axis] as f32)
    }

    /// Whether the cell has a sample that counts as outside because the lattice ends there.
    pub(super) fn is_border_cell(&self, cell: [usize; 3]) -> bool {
        (0..3).any(|axis| cell[axis] == 0 || cell[axis] + 1 >= self.cells[axis])
    }

    /// Whether the lattice ends within the samples of a range of bricks (`size` along each axis).
    pub(super) fn ends_within(&self, first: [usize; 3], size: usize) -> bool {
        (0..3).any(|axis| first[axis] == 0 || (first[axis] + size) * SIDE >= self.cells[axis])
    }

    /// Whether a sample counts as outside because the lattice ends there.
    pub(super) fn is_border_sample(&self, index: [usize; 3]) -> bool {
        (0..3).any(|axis| index[axis] == 0 || index[axis] >= self.cells[axis])
    }
}

/// Brick numbers by brick coordinates.
#[derive(Debug)]
pub(super) struct Directory {
    bricks: [usize; 3],
    numbers: Vec<u32>,
}

/// No brick is stored at these coordinates.
pub(super) const MISSING: u32 = u32::MAX;

impl Directory {
    /// A directory of the bricks at `coordinates`, numbered in their order.
    pub(super) fn new(lattice: &Lattice, coordinates: impl Iterator<Item = [u16; 3]>) -> Self {
        let bricks = lattice.bricks();
        let mut directory = Self {
            bricks,
            numbers: vec![MISSING; bricks.iter().product()],
        };
        for (number, coordinates) in coordinates.enumerate() {
            directory.insert(coordinates, number as u32);
        }
        directory
    }

    fn index(&self, [x, y, z]: [usize; 3]) -> usize {
        (z * self.bricks[1] + y) * self.bricks[0] + x
    }

    pub(super) fn insert(&mut self, coordinates: [u16; 3], number: u32) {
        let index = self.index(coordinates.map(usize::from));
        self.numbers[index] = number;
    }

    /// The brick's coordinates moved by `offset`, if the lattice reaches there.
    pub(super) fn neighbour(&self, coordinates: [u16; 3], offset: [i32; 3]) -> Option<[u16; 3]> {
        let mut moved = [0; 3];
        for axis in 0..3 {
            let coordinate = i32::from(coordinates[axis]) + offset[axis];
            if coordinate < 0 || coordinate >= self.bricks[axis] as i32 {
                return None;
            }
            moved[axis] = coordinate as u16;
        }
        Some(moved)
    }

    /// The number of the brick at `offset` from `coordinates`, or [`MISSING`].
    pub(super) fn number(&self, coordinates: [u16; 3], offset: [i32; 3]) -> u32 {
        self.neighbour(coordinates, offset)
            .map_or(MISSING, |at| self.numbers[self.index(at.map(usize::from))])
    }
}
