//! A weighted Poisson system over links, with a multigrid cycle as its preconditioner.
//!
//! Coarse pixels are blocks of 2 × 2; a block is one unknown (piecewise constant aggregation), with the
//! links between blocks halved, which makes up for the steps that such blocks put into smooth functions.

use super::domain::Stencil;
use super::solver::System;

/// Pins the constant that a Poisson system leaves open; too small to be felt across a map.
const PIN: f32 = 1e-5;
/// Damping of the Jacobi sweeps.
const DAMPING: f32 = 0.8;
/// Jacobi sweeps before and after the coarse correction.
const SWEEPS: usize = 2;
/// Jacobi sweeps in place of a solution at the coarsest level.
const COARSEST_SWEEPS: usize = 16;

/// One grid of the cycle: `-div(w grad x) + pin x`, with the weights `w` on the links.
struct Level {
    stride: usize,
    rows: usize,
    east: Vec<f32>,
    south: Vec<f32>,
    /// The weight of each unknown in the pin; 0 outside.
    pin: Vec<f32>,
    /// One over the diagonal; 0 outside.
    inverse_diagonal: Vec<f32>,
    solution: Vec<f32>,
    right_side: Vec<f32>,
    residual: Vec<f32>,
}

/// The system and its grids, finest first.
pub(super) struct Poisson {
    levels: Vec<Level>,
}

impl Poisson {
    /// The system over a padded grid with a weight on the link of each pixel to its right neighbour and
    /// to the one below.
    pub(super) fn new(stride: usize, mask: &[f32], east: Vec<f32>, south: Vec<f32>) -> Self {
        let pin = mask.iter().map(|m| PIN * m).collect();
        let mut levels = vec![Level::new(stride, east, south, pin)];
        while let Some(coarser) = levels.last().and_then(Level::coarser) {
            levels.push(coarser);
        }
        Self { levels }
    }
}

impl System for Poisson {
    fn apply(&mut self, vector: &[f32], product: &mut [f32]) {
        self.levels[0].apply(vector, product);
    }

    fn precondition(&mut self, residual: &[f32], correction: &mut [f32]) {
        self.levels[0].right_side.copy_from_slice(residual);
        cycle(&mut self.levels);
        correction.copy_from_slice(&self.levels[0].solution);
    }
}

/// One V-cycle from zero over the levels, finest first.
fn cycle(levels: &mut [Level]) {
    let Some((fine, coarser)) = levels.split_first_mut() else {
        return;
    };
    fine.solution.fill(0.0);
    if coarser.is_empty() {
        fine.relax(COARSEST_SWEEPS);
        return;
    }
    fine.relax(SWEEPS);
    fine.find_residual();
    fine.restrict_into(&mut coarser[0]);
    cycle(coarser);
    fine.correct_from(&coarser[0]);
    fine.relax(SWEEPS);
}

impl Level {
    fn new(stride: usize, east: Vec<f32>, south: Vec<f32>, pin: Vec<f32>) -> Self {
        let count = pin.len();
        let mut inverse_diagonal = vec![0.0; count];
        for place in (stride..count - stride).filter(|&place| pin[place] > 0.0) {
            let links = east[place] + east[place - 1] + south[place] + south[place - stride];
            inverse_diagonal[place] = 1.0 / (links + pin[place]);
        }
        Self {
            stride,
            rows: count / stride,
            east,
            south,
            pin,
            inverse_diagonal,
            solution: vec![0.0; count],
            right_side: vec![0.0; count],
            residual: vec![0.0; count],
        }
    }

    /// The next coarser grid, or `None` where this one is small enough.
    fn coarser(&self) -> Option<Self> {
        if self.stride.max(self.rows) <= 6 {
            return None;
        }
        let (stride, rows) = ((self.stride - 1) / 2 + 2, (self.rows - 1) / 2 + 2);
        let mut east = vec![0.0; stride * rows];
        let mut south = vec![0.0; stride * rows];
        let mut pin = vec![0.0; stride * rows];
        for row in 1..self.rows - 1 {
            for column in 1..self.stride - 1 {
                let place = row * self.stride + column;
                let block = block_row(row) * stride + block_row(column);
                pin[block] += self.pin[place];
                if column % 2 == 0 {
                    east[block] += 0.5 * self.east[place];
                }
                if row % 2 == 0 {
                    south[block] += 0.5 * self.south[place];
                }
            }
        }
        Some(Self::new(stride, east, south, pin))
    }

    fn apply(&self, vector: &[f32], product: &mut [f32]) {
        let (x, east, south) = (
            Stencil::new(vector, self.stride),
            Stencil::new(&self.east, self.stride),
            Stencil::new(&self.south, self.stride),
        );
        let count = x.centre.len();
        let pin = &self.pin[self.stride..][..count];
        for (place, out) in product[self.stride..][..count].iter_mut().enumerate() {
            let centre = x.centre[place];
            *out = pin[place] * centre
                + east.centre[place] * (centre - x.east[place])
                + east.west[place] * (centre - x.west[place])
                + south.centre[place] * (centre - x.south[place])
                + south.north[place] * (centre - x.north[place]);
        }
    }

    /// Right side minus the matrix times the solution.
    fn find_residual(&mut self) {
        let mut product = std::mem::take(&mut self.residual);
        self.apply(&self.solution, &mut product);
        for (out, right) in product.iter_mut().zip(&self.right_side) {
            *out = right - *out;
        }
        self.residual = product;
    }

    fn relax(&mut self, sweeps: usize) {
        for _ in 0..sweeps {
            self.find_residual();
            for ((x, r), inverse) in
                (self.solution.iter_mut().zip(&self.residual)).zip(&self.inverse_diagonal)
            {
                *x += DAMPING * inverse * r;
            }
        }
    }

    /// Sums the residual over each block into the coarser grid's right side.
    fn restrict_into(&self, coarse: &mut Self) {
        coarse.right_side.fill(0.0);
        for row in 1..self.rows - 1 {
            for column in 1..self.stride - 1 {
                let block = block_row(row) * coarse.stride + block_row(column);
                coarse.right_side[block] += self.residual[row * self.stride + column];
            }
        }
    }

    /// Adds each block's correction to its pixels inside.
    fn correct_from(&mut self, coarse: &Self) {
        for row in 1..self.rows - 1 {
            for column in 1..self.stride - 1 {
                let place = row * self.stride + column;
                if self.pin[place] > 0.0 {
                    let block = block_row(row) * coarse.stride + block_row(column);
                    self.solution[place] += coarse.solution[block];
                }
            }
        }
    }
}

/// The padded row (or column) of the block that a padded row belongs to.
fn block_row(row: usize) -> usize {
    row.div_ceil(2)
}
