//! Step 3, second half: smoothing the creases where inscribed balls meet, and nothing else.
//!
//! Solves the screened Poisson equation `(1 − ℓ²Δ) u = b + ℓ² c` inside the outline with `u = 0` on it:
//! `b` is the union of balls, `ℓ` the length below which creases vanish, and `c = clip(−Δb, 2, 4)` the
//! curvature that a tube (2) and a sphere (4) have, so that both solve it as they are. The outline lies
//! between pixels; its distance enters the stencil (Gibou et al. 2002, "A second-order-accurate
//! symmetric discretization of the Poisson equation on irregular domains").
//!
//! Solved by conjugate gradients, coarse to fine: coarse grids settle what is smooth, a few steps on the
//! finest settle the rest (Bornemann & Deuflhard 1996, "The cascadic multigrid method").

use rayon::prelude::*;

use super::filter::{double, gaussian_blur, halve, spread};
use super::{InflateError, Map, REFERENCE_SIDE};
use crate::compute::Cancel;

/// The grid on which the equation is solved first has at most this side.
const COARSEST_SIDE: usize = 64;
/// The residual's norm at which a grid is done, relative to the right-hand side's.
const TOLERANCE: f64 = 2e-4;
/// The share of the half thickness over which creases are smoothed.
const SMOOTHING_SHARE: f32 = 0.2;

/// The bytes that [`smooth_creases`] takes while it works, beyond its result.
pub(super) fn bytes(side: usize) -> u64 {
    (side as u64).pow(2) * 4 * 12
}

/// The union of balls with its creases smoothed: `balls` in px², `distance` in px.
pub(super) fn smooth_creases(
    balls: &Map,
    distance: &Map,
    cancel: &Cancel,
) -> Result<Map, InflateError> {
    let equation = Equation::new(balls, distance);
    let mut smooth = equation.solve(cancel)?;
    for ((smooth, balls), distance) in smooth
        .values
        .iter_mut()
        .zip(&balls.values)
        .zip(&distance.values)
    {
        if *distance <= 0.0 {
            *smooth = *balls;
        }
    }
    Ok(smooth)
}

/// The screened Poisson equation on one grid, lengths in its pixels.
struct Equation {
    distance: Map,
    balls: Map,
    curvature: Map,
    /// `1 / ℓ²`.
    screening: Map,
}

impl Equation {
    fn new(balls: &Map, distance: &Map) -> Self {
        let scale = balls.side as f32 / REFERENCE_SIDE as f32;
        Self {
            distance: distance.clone(),
            balls: balls.clone(),
            curvature: curvature(balls, distance, scale),
            screening: screening(balls, distance, scale),
        }
    }

    /// The same equation on a grid of half the side.
    fn halved(&self) -> Self {
        let scaled = |map: &Map, factor: f32| {
            let mut half = halve(map);
            half.values.iter_mut().for_each(|value| *value *= factor);
            half
        };
        Self {
            distance: scaled(&self.distance, 0.5),
            balls: scaled(&self.balls, 0.25),
            curvature: halve(&self.curvature),
            screening: scaled(&self.screening, 4.0),
        }
    }

    fn solve(&self, cancel: &Cancel) -> Result<Map, InflateError> {
        let mut guess = self.balls.clone();
        if self.balls.side > COARSEST_SIDE {
            // What smoothing changed on the coarser grid, in this grid's px².
            let coarse = self.halved();
            let mut change = coarse.solve(cancel)?;
            for ((change, balls), distance) in change
                .values
                .iter_mut()
                .zip(&coarse.balls.values)
                .zip(&coarse.distance.values)
            {
                *change = if *distance > 0.0 {
                    4.0 * (*change - balls)
                } else {
                    0.0
                };
            }
            let change = double(&change, guess.side);
            for (guess, change) in guess.values.iter_mut().zip(&change.values) {
                *guess += change;
            }
        }
        self.conjugate_gradients(guess, cancel)
    }

    /// The pixels of each row that may lie inside.
    fn spans(&self) -> Vec<(usize, usize)> {
        let inside = |distance: &f32| *distance > 0.0;
        self.distance
            .values
            .chunks_exact(self.distance.side)
            .map(|row| {
                let first = row.iter().position(inside).unwrap_or(0);
                let last = row.iter().rposition(inside).map_or(0, |last| last + 1);
                (first, last)
            })
            .collect()
    }

    /// The diagonal of the operator; 0 outside.
    fn diagonal(&self) -> Map {
        let side = self.distance.side;
        let mut diagonal = Map::filled(side, 0.0);
        diagonal
            .values
            .par_chunks_mut(side)
            .enumerate()
            .for_each(|(row, diagonal)| {
                for (column, value) in diagonal.iter_mut().enumerate() {
                    let here = self.distance.at(column, row);
                    if here <= 0.0 {
                        continue;
                    }
                    let coupling = |column: usize, row: usize| {
                        // Beyond the frame lies outside, half a pixel away at most.
                        let there = if column < side && row < side {
                            self.distance.at(column, row)
                        } else {
                            -here
                        };
                        if there > 0.0 {
                            1.0
                        } else {
                            (here / (here - there + 1e-12)).clamp(0.1, 1.0).recip()
                        }
                    };
                    *value = self.screening.at(column, row)
                        + coupling(column + 1, row)
                        + coupling(column.wrapping_sub(1), row)
                        + coupling(column, row + 1)
                        + coupling(column, row.wrapping_sub(1));
                }
            });
        diagonal
    }

    fn conjugate_gradients(&self, guess: Map, cancel: &Cancel) -> Result<Map, InflateError> {
        let side = guess.side;
        let operator = Operator {
            side,
            spans: self.spans(),
            diagonal: self.diagonal(),
        };
        let mut solution = guess;
        let mut right = Map::filled(side, 0.0);
        for (pixel, value) in right.values.iter_mut().enumerate() {
            if self.distance.values[pixel] > 0.0 {
                *value = self.balls.values[pixel] * self.screening.values[pixel]
                    + self.curvature.values[pixel];
            } else {
                solution.values[pixel] = 0.0;
            }
        }
        let mut scratch = Map::filled(side, 0.0);
        let enough = TOLERANCE * TOLERANCE * operator.dot_preconditioned(&right);
        operator.apply(&solution, &mut scratch);
        let mut residual = right;
        for (residual, applied) in residual.values.iter_mut().zip(&scratch.values) {
            *residual -= applied;
        }
        let mut direction = Map::filled(side, 0.0);
        let mut energy = operator.dot_preconditioned(&residual);
        let mut share = 0.0;
        for _ in 0..4 * side {
            if energy <= enough {
                break;
            }
            cancel.checkpoint()?;
            operator.turn(&residual, share, &mut direction);
            let curvature = operator.apply(&direction, &mut scratch);
            let step = (energy / curvature.max(f64::MIN_POSITIVE)) as f32;
            let next = operator.advance(step, &direction, &scratch, &mut solution, &mut residual);
            share = (next / energy) as f32;
            energy = next;
        }
        Ok(solution)
    }
}

/// `−Δ + 1/ℓ²` on the pixels inside, everything else being 0.
struct Operator {
    side: usize,
    spans: Vec<(usize, usize)>,
    diagonal: Map,
}

impl Operator {
    /// Sums over rows in a fixed order, so that the result does not depend on the number of threads.
    fn sum(partial: &[f64]) -> f64 {
        partial.iter().sum()
    }

    /// `out = A x`; returns `x · A x`.
    fn apply(&self, x: &Map, out: &mut Map) -> f64 {
        let side = self.side;
        let empty = vec![0.0; side];
        let row_of = |row: Option<usize>| {
            row.and_then(|row| x.values.get(row * side..(row + 1) * side))
                .unwrap_or(&empty)
        };
        let rows = out.values.par_chunks_mut(side).enumerate();
        let partial: Vec<f64> = rows
            .with_min_len(16)
            .map(|(row, out)| {
                let (first, last) = self.spans[row];
                let (above, here, below) = (
                    row_of(row.checked_sub(1)),
                    row_of(Some(row)),
                    row_of(Some(row + 1)),
                );
                let diagonal = &self.diagonal.values[row * side..(row + 1) * side];
                let mut dot = 0.0;
                for column in first..last {
                    let left = if column > 0 { here[column - 1] } else { 0.0 };
                    let right = if column + 1 < side {
                        here[column + 1]
                    } else {
                        0.0
                    };
                    let neighbours = (left + right) + (above[column] + below[column]);
                    let value = if diagonal[column] > 0.0 {
                        diagonal[column] * here[column] - neighbours
                    } else {
                        0.0
                    };
                    out[column] = value;
                    dot += value * here[column];
                }
                f64::from(dot)
            })
            .collect();
        Self::sum(&partial)
    }

    /// `r · r / diagonal`.
    fn dot_preconditioned(&self, residual: &Map) -> f64 {
        let pairs = residual
            .values
            .par_chunks(self.side)
            .zip(self.diagonal.values.par_chunks(self.side));
        let partial: Vec<f64> = pairs
            .map(|(residual, diagonal)| {
                let terms = residual.iter().zip(diagonal);
                f64::from(
                    terms
                        .map(|(r, d)| if *d > 0.0 { r * r / d } else { 0.0 })
                        .sum::<f32>(),
                )
            })
            .collect();
        Self::sum(&partial)
    }

    /// `direction = residual / diagonal + share · direction`.
    fn turn(&self, residual: &Map, share: f32, direction: &mut Map) {
        let rows = direction.values.par_chunks_mut(self.side).enumerate();
        rows.with_min_len(16).for_each(|(row, direction)| {
            let (first, last) = self.spans[row];
            let start = row * self.side;
            let residual = &residual.values[start..start + self.side];
            let diagonal = &self.diagonal.values[start..start + self.side];
            for column in first..last {
                // Outside, both residual and direction are 0.
                let scaled = residual[column] / diagonal[column].max(f32::MIN_POSITIVE);
                direction[column] = scaled + share * direction[column];
            }
        });
    }

    /// Moves the solution along the direction and returns the new `r · r / diagonal`.
    fn advance(
        &self,
        step: f32,
        direction: &Map,
        applied: &Map,
        solution: &mut Map,
        residual: &mut Map,
    ) -> f64 {
        let side = self.side;
        let rows = solution
            .values
            .par_chunks_mut(side)
            .zip(residual.values.par_chunks_mut(side));
        let partial: Vec<f64> = rows
            .enumerate()
            .with_min_len(16)
            .map(|(row, (solution, residual))| {
                let (first, last) = self.spans[row];
                let start = row * side;
                let direction = &direction.values[start..start + side];
                let applied = &applied.values[start..start + side];
                let diagonal = &self.diagonal.values[start..start + side];
                let mut dot = 0.0;
                for column in first..last {
                    solution[column] += step * direction[column];
                    residual[column] -= step * applied[column];
                    dot += residual[column] * residual[column]
                        / diagonal[column].max(f32::MIN_POSITIVE);
                }
                f64::from(dot)
            })
            .collect();
        Self::sum(&partial)
    }
}

/// The curvature `clip(−Δb, 2, 4)` read away from the rim, carried up to it and smoothed.
fn curvature(balls: &Map, distance: &Map, scale: f32) -> Map {
    let side = balls.side;
    let mut curvature = Map::filled(side, 0.0);
    let mut weights = Map::filled(side, 0.0);
    for row in 1..side - 1 {
        for column in 1..side - 1 {
            if distance.at(column, row) > 1.5 * scale {
                let neighbours = (balls.at(column - 1, row) + balls.at(column + 1, row))
                    + (balls.at(column, row - 1) + balls.at(column, row + 1));
                let pixel = row * side + column;
                curvature.values[pixel] = (4.0 * balls.values[pixel] - neighbours).clamp(2.0, 4.0);
                weights.values[pixel] = 1.0;
            }
        }
    }
    // A stroke too thin to read from is a tube.
    spread(&curvature, &weights, scale, 2.0)
}

/// `1 / ℓ²` from the local and the greatest half thickness.
fn screening(balls: &Map, distance: &Map, scale: f32) -> Map {
    let greatest = distance.values.iter().copied().fold(0.0, f32::max);
    let mut height = balls.clone();
    height
        .values
        .iter_mut()
        .for_each(|value| *value = value.max(0.0).sqrt());
    let mut screening = gaussian_blur(&height, 2.0 * scale);
    for value in &mut screening.values {
        let length = SMOOTHING_SHARE * (0.5 * (*value + greatest)).max(2.0 * scale);
        *value = (length * length).recip();
    }
    screening
}
