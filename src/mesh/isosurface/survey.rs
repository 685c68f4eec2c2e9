//! The first pass: which bricks may hold surface, by the field's bounds alone.

use rayon::prelude::*;

use super::lattice::{BRICK_SAMPLES, CELLS, Lattice, SAMPLES, SIDE};
use super::{IsosurfaceError, LEVELS};
use crate::field::{Brick, Field, Region};

/// Where the surface of a field may be.
#[derive(Debug, Clone)]
pub struct Survey {
    pub(super) lattice: Lattice,
    /// Bricks in Morton order.
    pub(super) bricks: Vec<[u16; 3]>,
}

/// What a brick's samples and cells take.
const BRICK_BYTES: u64 = (BRICK_SAMPLES * 4 + size_of::<super::cells::BrickCells>() + 64) as u64;
/// A plane crosses no more than 3 · 8² of a brick's cells.
const BRICK_VERTICES: u64 = 3 * (SIDE * SIDE) as u64;
/// A surface has two triangles a vertex.
const BRICK_MESH_BYTES: u64 = BRICK_VERTICES * (2 * 12 + 2 * 12 + 1);
/// Where a device asks a field at points: for each vertex a point, and a value and a gradient twice.
const ASKED_BYTES: u64 = BRICK_VERTICES * (12 + 2 * 16);

/// What a brick's samples and cells take on a device.
const DEVICE_BRICK_BYTES: u64 = (BRICK_SAMPLES * 4 + CELLS * 2 * 2 + 128) as u64;

/// The memory that meshing a solid of an ordinary shape takes at a level, mesh included, before its
/// survey tells it better.
pub fn typical_bytes(level: u32) -> u64 {
    typical(level, BRICK_BYTES)
}

/// The same of a device that extracts the surface.
pub fn typical_device_bytes(level: u32) -> u64 {
    typical(level, DEVICE_BRICK_BYTES)
}

/// The same of a device that asks the field at the vertices, all of them together.
pub fn typical_device_bytes_of_points(level: u32) -> u64 {
    typical(level, DEVICE_BRICK_BYTES + ASKED_BYTES)
}

/// A sphere that fills the lattice passes π bricks for each of a side's square; few solids do more.
fn typical(level: u32, brick_bytes: u64) -> u64 {
    let side = u64::from(level).div_ceil(SIDE as u64);
    side.pow(3) * 4 + 4 * side.pow(2) * (brick_bytes + BRICK_MESH_BYTES)
}

impl Survey {
    /// The memory that [`extract`](super::extract) takes at most, mesh included, for a surface that
    /// passes each brick as a sheet or two. A rough one, such as noise, may take up to three times as
    /// much; a smooth one takes half.
    pub fn bytes(&self) -> u64 {
        let directory = self.lattice.bricks().iter().product::<usize>() * 4;
        directory as u64 + self.bricks.len() as u64 * (BRICK_BYTES + BRICK_MESH_BYTES)
    }

    /// The samples that the surface is extracted from.
    pub fn lattice(&self) -> &Lattice {
        &self.lattice
    }

    /// The coordinates of the bricks of 8³ cells that may hold surface, in the order in which the mesh has
    /// their vertices and faces.
    pub fn places(&self) -> &[[u16; 3]] {
        &self.bricks
    }

    /// The number of bricks of 8³ cells that may hold surface.
    pub fn bricks(&self) -> usize {
        self.bricks.len()
    }

    /// The share of all bricks that may hold surface.
    pub fn share(&self) -> f32 {
        self.bricks.len() as f32 / self.lattice.bricks().iter().product::<usize>() as f32
    }
}

/// The samples that a field within `extent` is meshed from at a level, for a source that evaluates them
/// beforehand. The origin is a whole number of steps.
///
/// # Errors
///
/// As [`survey`], but for cancelling.
pub fn samples(extent: &Region, level: u32) -> Result<Brick, IsosurfaceError> {
    if !LEVELS.contains(&level) {
        return Err(IsosurfaceError::LevelOutOfRange { level });
    }
    let lattice = Lattice::over(extent, level)?;
    Ok(Brick {
        origin: lattice.origin,
        step: lattice.step,
        samples: lattice.cells.map(|cells| cells + 1),
    })
}

/// Bricks along the side of a block that is surveyed by one task.
const BLOCK: usize = 8;

/// Finds the bricks of 8³ cells that may hold surface, with `level` cells along the longest side of the
/// field's extent.
///
/// # Errors
///
/// [`IsosurfaceError::LevelOutOfRange`] outside [`LEVELS`]; [`IsosurfaceError::BadExtent`] and
/// [`IsosurfaceError::TooFarOut`] when no lattice can be laid over the field;
/// [`IsosurfaceError::Cancelled`].
pub fn survey(
    field: &dyn Field,
    level: u32,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Survey, IsosurfaceError> {
    if !LEVELS.contains(&level) {
        return Err(IsosurfaceError::LevelOutOfRange { level });
    }
    let lattice = Lattice::over(&field.extent(), level)?;
    let count = lattice.bricks();
    let mut blocks = Vec::new();
    let size = count
        .iter()
        .max()
        .map_or(1, |side| side.next_power_of_two());
    let descent = Descent {
        field,
        lattice,
        count,
    };
    descent.visit([0; 3], size, size.min(BLOCK), &mut blocks);
    let found: Vec<Vec<[u16; 3]>> = blocks
        .par_iter()
        .map(|&first| {
            let mut bricks = Vec::new();
            if cancelled() {
                return Err(IsosurfaceError::Cancelled);
            }
            descent.visit(first.map(usize::from), size.min(BLOCK), 1, &mut bricks);
            Ok(bricks)
        })
        .collect::<Result<_, _>>()?;
    Ok(Survey {
        lattice,
        bricks: found.concat(),
    })
}

struct Descent<'a> {
    field: &'a dyn Field,
    lattice: Lattice,
    /// Bricks along each axis.
    count: [usize; 3],
}

impl Descent<'_> {
    /// Lists the cubes of `finest` bricks that may hold surface within the cube of `size` bricks.
    fn visit(&self, first: [usize; 3], size: usize, finest: usize, found: &mut Vec<[u16; 3]>) {
        if (0..3).any(|axis| first[axis] >= self.count[axis]) || !self.may_hold_surface(first, size)
        {
            return;
        }
        if size <= finest {
            found.push(first.map(|coordinate| coordinate as u16));
            return;
        }
        let half = size / 2;
        for child in 0..8 {
            let corner = std::array::from_fn(|axis| first[axis] + half * ((child >> axis) & 1));
            self.visit(corner, half, finest, found);
        }
    }

    fn may_hold_surface(&self, first: [usize; 3], size: usize) -> bool {
        let samples = (size - 1) * SIDE + SAMPLES - 1;
        let start = first.map(|coordinate| coordinate * SIDE);
        let end = std::array::from_fn(|axis| (start[axis] + samples).min(self.lattice.cells[axis]));
        // A hair wider than the samples: bounds are made of rounded numbers too.
        let hair = 1.0e-3 * self.lattice.step;
        let bounds = self.field.bounds(&Region {
            min: self.lattice.position(start).map(|x| x - hair),
            max: self.lattice.position(end).map(|x| x + hair),
        });
        // Where the lattice ends, its border closes whatever is inside.
        bounds.straddles_surface() || (self.lattice.ends_within(first, size) && bounds.min > 0.0)
    }
}
