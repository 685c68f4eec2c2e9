//! Evaluation from coarse to fine: everywhere on a coarse lattice, then only near the surface.
//!
//! For fields whose every value is dear. A lattice of half the step has the samples of the coarser one among
//! its own, so no point is evaluated twice.

use rayon::prelude::*;

use super::sparse::{BLOCK, BLOCK_BYTES, SIDE, SparseGrid, within};
use super::{Brick, Region};

/// Points that are evaluated together.
const BATCH: usize = 1 << 14;
/// Samples along the side of a block with one more on either side.
const PADDED: usize = SIDE + 2;

/// A field that is evaluated at many points together, and that may fail.
pub trait Evaluate {
    /// Why there is no value.
    type Error;

    /// Writes the values at points, positive inside.
    ///
    /// # Errors
    ///
    /// Whatever the field's evaluation can end in.
    fn values(&mut self, points: &[[f32; 3]], values: &mut [f32]) -> Result<(), Self::Error>;

    /// Is told that the samples are about to take so many bytes more.
    ///
    /// # Errors
    ///
    /// What refuses them.
    fn hold(&mut self, size_bytes: u64) -> Result<(), Self::Error>;
}

/// How a lattice is evaluated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hierarchy {
    /// Everywhere on a lattice of at most so many cells along its longest side.
    pub dense_cells: usize,
    /// A value so near to 0 has its surroundings evaluated on the next finer lattice, like a change of sign.
    pub near: f32,
}

impl Hierarchy {
    /// Evaluates a field within `extent` on a lattice whose origin is a whole number of its steps.
    ///
    /// Samples outside of the extent have the value of the nearest point in it, and the outermost samples
    /// of the lattice are outside whatever the field says, as the isosurface sees them. Where two
    /// neighbours lie on either side of the surface, all samples of the cells around them are evaluated: a
    /// surface that any lattice sees is followed wherever it goes.
    ///
    /// `from` saves the coarser lattices where it is one of them, evaluated before with the same hierarchy.
    ///
    /// # Errors
    ///
    /// Those of `field`.
    pub fn evaluate<E: Evaluate>(
        &self,
        extent: Region,
        lattice: Brick,
        from: Option<&SparseGrid>,
        field: &mut E,
    ) -> Result<SparseGrid, E::Error> {
        let mut here = OnProcessor { extent, field };
        let mut grid = self.refine(lattice, from, &mut here)?;
        grid.find_bounds();
        Ok(grid)
    }

    /// Whether what was evaluated on one lattice saves anything on the way to another.
    pub fn leads(&self, from: &Brick, lattice: &Brick) -> bool {
        let mut next = *lattice;
        while from.step != next.step && cells(&next) > self.dense_cells {
            next = coarser(&next);
        }
        from.step == next.step || from.step == 2.0 * next.step
    }

    /// The lattices that lead to `lattice`, evaluated one after another, wherever that is done; see
    /// [`Hierarchy::evaluate`].
    ///
    /// # Errors
    ///
    /// Those of `lattices`.
    pub fn refine<L: Lattices>(
        &self,
        lattice: Brick,
        from: Option<&L::Samples>,
        lattices: &mut L,
    ) -> Result<L::Samples, L::Error> {
        let with_step = |step: f32| from.filter(|from| L::lattice(from).step == step);
        if let Some(known) = with_step(lattice.step) {
            return lattices.again(known);
        }
        let mut finer = Vec::new();
        let mut next = lattice;
        while with_step(next.step).is_none() && cells(&next) > self.dense_cells {
            finer.push(next);
            next = coarser(&next);
        }
        let mut made = None;
        if with_step(next.step).is_none() {
            made = Some(lattices.everywhere(&next, with_step(2.0 * next.step))?);
        }
        while let Some(next) = finer.pop() {
            let Some(before) = made.as_ref().or(from) else {
                unreachable!("the coarsest lattice was evaluated or is known");
            };
            made = Some(lattices.near_surface(&next, before, self.near)?);
        }
        let Some(made) = made else {
            unreachable!("a lattice that is not known is evaluated");
        };
        Ok(made)
    }
}

/// What evaluates a lattice at a time, and the surface wherever it leads.
pub trait Lattices {
    /// A lattice with the values that it was evaluated to.
    type Samples;
    /// Why there are none.
    type Error;

    /// The sample points of what was evaluated.
    fn lattice(samples: &Self::Samples) -> Brick;

    /// The same samples once more.
    ///
    /// # Errors
    ///
    /// [`Lattices::Error`].
    fn again(&mut self, samples: &Self::Samples) -> Result<Self::Samples, Self::Error>;

    /// Evaluates all samples of a lattice, but for those that one of twice the step has.
    ///
    /// # Errors
    ///
    /// [`Lattices::Error`].
    fn everywhere(
        &mut self,
        lattice: &Brick,
        coarser: Option<&Self::Samples>,
    ) -> Result<Self::Samples, Self::Error>;

    /// Evaluates the samples of the cells of a lattice of twice the step that the surface passes, or that have a
    /// value nearer to 0 than `near`, but for those that it has.
    ///
    /// # Errors
    ///
    /// [`Lattices::Error`].
    fn near_surface(
        &mut self,
        lattice: &Brick,
        coarser: &Self::Samples,
        near: f32,
    ) -> Result<Self::Samples, Self::Error>;
}

/// Evaluates on this machine's processor.
struct OnProcessor<'a, E> {
    extent: Region,
    field: &'a mut E,
}

impl<E: Evaluate> OnProcessor<'_, E> {
    fn evaluate(
        &mut self,
        lattice: &Brick,
        coarser: Option<&SparseGrid>,
        want: impl FnOnce(&mut Growing<'_, E>),
    ) -> Result<SparseGrid, E::Error> {
        let mut growing = Growing::new(self.extent, *lattice, self.field)?;
        want(&mut growing);
        growing.evaluate(coarser)?;
        growing.follow(coarser)?;
        Ok(growing.grid)
    }
}

impl<E: Evaluate> Lattices for OnProcessor<'_, E> {
    type Samples = SparseGrid;
    type Error = E::Error;

    fn lattice(samples: &SparseGrid) -> Brick {
        *samples.lattice()
    }

    fn again(&mut self, samples: &SparseGrid) -> Result<SparseGrid, E::Error> {
        self.field.hold(samples.size_bytes())?;
        Ok(samples.clone())
    }

    fn everywhere(
        &mut self,
        lattice: &Brick,
        coarser: Option<&SparseGrid>,
    ) -> Result<SparseGrid, E::Error> {
        self.evaluate(lattice, coarser, |growing| growing.want_all())
    }

    fn near_surface(
        &mut self,
        lattice: &Brick,
        coarser: &SparseGrid,
        near: f32,
    ) -> Result<SparseGrid, E::Error> {
        self.evaluate(lattice, Some(coarser), |growing| {
            growing.want_near(coarser, near);
        })
    }
}

/// The cells of a lattice along its longest side.
fn cells(lattice: &Brick) -> usize {
    lattice
        .samples
        .iter()
        .fold(0, |most, samples| most.max(samples - 1))
}

/// The index of a lattice's first sample, counted from the origin of space.
fn first_index(lattice: &Brick) -> [i64; 3] {
    lattice.origin.map(|x| (x / lattice.step).round() as i64)
}

/// The lattice of twice the step that covers another.
fn coarser(lattice: &Brick) -> Brick {
    let step = 2.0 * lattice.step;
    let first = first_index(lattice);
    let begin = first.map(|first| first.div_euclid(2));
    Brick {
        origin: begin.map(|begin| begin as f32 * step),
        step,
        samples: std::array::from_fn(|axis| {
            let last = first[axis] + lattice.samples[axis] as i64 - 1;
            ((last + 1).div_euclid(2) - begin[axis] + 1) as usize
        }),
    }
}

/// A grid being evaluated.
struct Growing<'a, E> {
    grid: SparseGrid,
    field: &'a mut E,
    /// For each block, the samples that are to be evaluated, a bit each.
    wanted: Vec<[u64; BLOCK / 64]>,
    held_blocks: usize,
}

impl<'a, E: Evaluate> Growing<'a, E> {
    fn new(extent: Region, lattice: Brick, field: &'a mut E) -> Result<Self, E::Error> {
        let grid = SparseGrid::new(extent, lattice);
        field.hold(grid.size_bytes())?;
        Ok(Self {
            grid,
            field,
            wanted: Vec::new(),
            held_blocks: 0,
        })
    }

    fn want(&mut self, index: [usize; 3]) {
        let block = self.grid.hold(index);
        if block == self.wanted.len() {
            self.wanted.push([0; BLOCK / 64]);
        }
        let place = within(index);
        self.wanted[block][place / 64] |= 1 << (place % 64);
    }

    fn want_all(&mut self) {
        let [columns, rows, planes] = self.grid.lattice().samples;
        for z in 0..planes {
            for y in 0..rows {
                for x in 0..columns {
                    self.want([x, y, z]);
                }
            }
        }
    }

    /// Wants the samples of every cell of the coarser lattice that the surface passes, or comes near to.
    fn want_near(&mut self, coarse: &SparseGrid, near: f32) {
        let samples = self.grid.lattice().samples;
        let (first, coarse_first) = (
            first_index(self.grid.lattice()),
            first_index(coarse.lattice()),
        );
        let cells: Vec<Vec<[i64; 3]>> = (0..coarse.block_count())
            .into_par_iter()
            .map(|block| {
                let around = Around::of(coarse, block);
                let chosen = around.cells().filter(|(_, corners)| {
                    is_mixed(corners) || corners.iter().any(|value| value.abs() < near)
                });
                chosen.map(|(cell, _)| cell).collect()
            })
            .collect();
        for cell in cells.concat() {
            let corner: [i64; 3] =
                std::array::from_fn(|axis| 2 * (cell[axis] + coarse_first[axis]) - first[axis]);
            for sample in 0..27 {
                let offset = [sample % 3, sample / 3 % 3, sample / 9];
                let index: [i64; 3] = std::array::from_fn(|axis| corner[axis] + offset[axis]);
                let inside = (0..3).all(|axis| (0..samples[axis] as i64).contains(&index[axis]));
                if inside {
                    self.want(index.map(|at| at as usize));
                }
            }
        }
    }

    /// Evaluates what is wanted and has no value, or takes it from the coarser lattice.
    fn evaluate(&mut self, coarse: Option<&SparseGrid>) -> Result<(), E::Error> {
        let more = self.grid.block_count() - self.held_blocks;
        self.held_blocks = self.grid.block_count();
        self.field.hold(more as u64 * BLOCK_BYTES)?;
        let mut places = Vec::with_capacity(BATCH);
        let mut points = Vec::with_capacity(BATCH);
        for block in 0..self.grid.block_count() {
            let first = self.grid.place(block).map(|at| at * SIDE);
            for place in 0..BLOCK {
                let wanted = self.wanted[block][place / 64] >> (place % 64) & 1 == 1;
                if !wanted || !self.grid.samples_mut(block)[place].is_nan() {
                    continue;
                }
                let index = [
                    first[0] + place % SIDE,
                    first[1] + place / SIDE % SIDE,
                    first[2] + place / (SIDE * SIDE),
                ];
                let known = coarse.map_or(f32::NAN, |coarse| self.known(coarse, index));
                if known.is_nan() {
                    places.push((block, place, index));
                    points.push(self.point(index));
                } else {
                    let value = self.closed(index, known);
                    self.grid.samples_mut(block)[place] = value;
                }
                if points.len() == BATCH {
                    self.fetch(&mut places, &mut points)?;
                }
            }
        }
        self.fetch(&mut places, &mut points)
    }

    fn fetch(
        &mut self,
        places: &mut Vec<(usize, usize, [usize; 3])>,
        points: &mut Vec<[f32; 3]>,
    ) -> Result<(), E::Error> {
        let mut values = vec![0.0; points.len()];
        self.field.values(points, &mut values)?;
        for ((block, place, index), value) in places.drain(..).zip(values) {
            let value = self.closed(index, value);
            self.grid.samples_mut(block)[place] = value;
        }
        points.clear();
        Ok(())
    }

    /// The value that a coarser lattice has at a sample; NaN where it has none.
    fn known(&self, coarse: &SparseGrid, index: [usize; 3]) -> f32 {
        let first = first_index(self.grid.lattice());
        let coarse_first = first_index(coarse.lattice());
        let mut at = [0; 3];
        for axis in 0..3 {
            let from_origin = first[axis] + index[axis] as i64;
            if from_origin % 2 != 0 {
                return f32::NAN;
            }
            at[axis] = from_origin / 2 - coarse_first[axis];
            // The coarser lattice turned the signs of its outermost samples.
            let last = coarse.lattice().samples[axis] as i64 - 1;
            if at[axis] <= 0 || at[axis] >= last {
                return f32::NAN;
            }
        }
        coarse.value_at(at)
    }

    /// Where a sample is evaluated: at its own place, or at the nearest in the extent.
    fn point(&self, index: [usize; 3]) -> [f32; 3] {
        let (lattice, extent) = (self.grid.lattice(), super::Field::extent(&self.grid));
        std::array::from_fn(|axis| {
            let position = lattice.origin[axis] + lattice.step * index[axis] as f32;
            position.clamp(extent.min[axis], extent.max[axis])
        })
    }

    /// A sample's value, on the outside where the lattice ends.
    fn closed(&self, index: [usize; 3], value: f32) -> f32 {
        let samples = self.grid.lattice().samples;
        let ends = (0..3).any(|axis| index[axis] == 0 || index[axis] + 1 >= samples[axis]);
        if ends { -value.abs() } else { value }
    }

    /// Evaluates what is missing of cells that the surface passes, until none is.
    fn follow(&mut self, coarse: Option<&SparseGrid>) -> Result<(), E::Error> {
        let samples = self.grid.lattice().samples;
        loop {
            // Cells that reach into a block are seen from it, so new samples are seen from their own.
            let grid = &self.grid;
            let missing: Vec<Vec<[i64; 3]>> = (0..grid.block_count())
                .into_par_iter()
                .map(|block| {
                    let around = Around::of(grid, block);
                    if !is_mixed(&around.values) {
                        return Vec::new();
                    }
                    let cells = around.cells().filter(|(_, corners)| {
                        is_mixed(corners) && corners.iter().any(|value| value.is_nan())
                    });
                    cells.map(|(cell, _)| cell).collect()
                })
                .collect();
            let before = self.wanted_count();
            for cell in missing.concat() {
                for corner in 0..8 {
                    let index: [i64; 3] =
                        std::array::from_fn(|axis| cell[axis] + (corner >> axis & 1));
                    let inside =
                        (0..3).all(|axis| (0..samples[axis] as i64).contains(&index[axis]));
                    if inside {
                        self.want(index.map(|at| at as usize));
                    }
                }
            }
            if self.wanted_count() == before {
                return Ok(());
            }
            self.evaluate(coarse)?;
        }
    }

    fn wanted_count(&self) -> usize {
        let words = self.wanted.iter().flatten();
        words.map(|word| word.count_ones() as usize).sum()
    }
}

/// Whether there are samples on either side of the surface; NaN is on neither.
fn is_mixed(values: &[f32]) -> bool {
    let (mut inside, mut outside) = (false, false);
    for value in values {
        inside |= *value > 0.0;
        outside |= *value <= 0.0;
    }
    inside && outside
}

/// A block's samples and one more on either side.
struct Around {
    /// The index of the first.
    first: [i64; 3],
    values: [f32; PADDED * PADDED * PADDED],
}

impl Around {
    fn of(grid: &SparseGrid, block: usize) -> Self {
        let first = grid.place(block).map(|at| (at * SIDE) as i64 - 1);
        let mut values = [f32::NAN; PADDED * PADDED * PADDED];
        for (place, value) in values.iter_mut().enumerate() {
            let at = [
                place % PADDED,
                place / PADDED % PADDED,
                place / (PADDED * PADDED),
            ];
            *value = grid.value_at(std::array::from_fn(|axis| first[axis] + at[axis] as i64));
        }
        Self { first, values }
    }

    /// The cells that reach into the block: the index of the least corner, and the values at the corners.
    fn cells(&self) -> impl Iterator<Item = ([i64; 3], [f32; 8])> {
        const CELLS: usize = PADDED - 1;
        (0..CELLS * CELLS * CELLS).map(|cell| {
            let at = [cell % CELLS, cell / CELLS % CELLS, cell / (CELLS * CELLS)];
            let corners = std::array::from_fn(|corner| {
                let [x, y, z]: [usize; 3] =
                    std::array::from_fn(|axis| at[axis] + (corner >> axis & 1));
                self.values[(z * PADDED + y) * PADDED + x]
            });
            let index = std::array::from_fn(|axis| self.first[axis] + at[axis] as i64);
            (index, corners)
        })
    }
}
