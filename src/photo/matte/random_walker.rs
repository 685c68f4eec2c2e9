//! Random walks with priors (Grady 2005, "Multilabel random walker image segmentation using prior
//! models").
//!
//! A walker starts at a pixel and prefers steps between alike colours; the result is the probability
//! that it is absorbed by the subject. That is the solution of `(L + Γ) p = Γ q`, with `L` the graph
//! Laplacian, `q` the prior and `Γ` how strongly each pixel's prior holds it.

use rayon::prelude::*;

use super::MatteError;
use super::colour::squared_distance;

/// Rows in a block of work: fixed, so that sums are the same whatever the number of threads.
const BLOCK_ROWS: usize = 32;
const MAX_ITERATIONS: usize = 300;
/// The solution's relative residual at which the iteration ends.
const TOLERANCE: f64 = 2e-3;

/// The image as a graph: 4-connected pixels, weights by likeness of colour.
pub(super) struct Graph {
    width: usize,
    height: usize,
    /// The weight of the edge to the right neighbour; 0 in the last column.
    right: Vec<f32>,
    /// The weight of the edge to the neighbour below; 0 in the last row.
    down: Vec<f32>,
}

impl Graph {
    /// Weights `exp(-β |ΔLab|²) + 1e-4` with `β` from the mean squared difference of neighbours.
    pub(super) fn new(lab: &[[f32; 3]], width: usize, height: usize) -> Self {
        let mut right = vec![0.0; lab.len()];
        let mut down = vec![0.0; lab.len()];
        let (mut sum, mut count) = (0.0_f64, 0_usize);
        for i in 0..lab.len() {
            if i % width + 1 < width {
                right[i] = squared_distance(lab[i], lab[i + 1]);
                sum += f64::from(right[i]);
                count += 1;
            }
            if i / width + 1 < height {
                down[i] = squared_distance(lab[i], lab[i + width]);
                sum += f64::from(down[i]);
                count += 1;
            }
        }
        let beta = (1.0 / (2.0 * sum / count.max(1) as f64 + 1e-6)) as f32;
        let weight = |difference: f32| (-beta * difference).exp() + 1e-4;
        for i in 0..lab.len() {
            right[i] = if i % width + 1 < width {
                weight(right[i])
            } else {
                0.0
            };
            down[i] = if i / width + 1 < height {
                weight(down[i])
            } else {
                0.0
            };
        }
        Self {
            width,
            height,
            right,
            down,
        }
    }

    /// Solves for the probabilities, starting from `start`; `hold` is the diagonal of `Γ`.
    ///
    /// Conjugate gradients with a diagonal preconditioner.
    pub(super) fn solve(
        &self,
        prior: &[f32],
        hold: &[f32],
        start: &[f32],
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<f32>, MatteError> {
        let diagonal = self.diagonal(hold);
        let mut solution = start.to_vec();
        let mut residual = vec![0.0; prior.len()];
        self.multiply(&diagonal, &solution, &mut residual);
        for i in 0..prior.len() {
            residual[i] = hold[i] * prior[i] - residual[i];
        }
        let mut direction: Vec<f32> = residual.iter().zip(&diagonal).map(|(r, d)| r / d).collect();
        let mut image = vec![0.0; prior.len()];
        let mut norm: f64 = dot(&residual, &direction);
        let scale: f64 = (0..prior.len())
            .map(|i| f64::from(hold[i] * prior[i]) * f64::from(hold[i] * prior[i] / diagonal[i]))
            .sum();
        let target = (scale.max(1e-9)) * TOLERANCE * TOLERANCE;
        for _ in 0..MAX_ITERATIONS {
            if norm <= target {
                break;
            }
            if cancelled() {
                return Err(MatteError::Cancelled);
            }
            let curvature = self.multiply(&diagonal, &direction, &mut image);
            if curvature <= 0.0 {
                break;
            }
            let step = (norm / curvature) as f32;
            let next = self.advance(
                step,
                &direction,
                &image,
                &diagonal,
                &mut solution,
                &mut residual,
            );
            let keep = (next / norm) as f32;
            norm = next;
            direction
                .par_chunks_mut(self.block())
                .zip(residual.par_chunks(self.block()))
                .zip(diagonal.par_chunks(self.block()))
                .for_each(|((direction, residual), diagonal)| {
                    for i in 0..direction.len() {
                        direction[i] = residual[i] / diagonal[i] + keep * direction[i];
                    }
                });
        }
        Ok(solution
            .into_iter()
            .map(|p| {
                if p.is_finite() {
                    p.clamp(0.0, 1.0)
                } else {
                    0.0
                }
            })
            .collect())
    }

    fn block(&self) -> usize {
        BLOCK_ROWS * self.width
    }

    fn diagonal(&self, hold: &[f32]) -> Vec<f32> {
        (0..hold.len())
            .map(|i| {
                let left = if i % self.width > 0 {
                    self.right[i - 1]
                } else {
                    0.0
                };
                let up = if i >= self.width {
                    self.down[i - self.width]
                } else {
                    0.0
                };
                hold[i] + self.right[i] + self.down[i] + left + up
            })
            .collect()
    }

    /// `image = (L + Γ) vector`; returns `vector · image`.
    fn multiply(&self, diagonal: &[f32], vector: &[f32], image: &mut [f32]) -> f64 {
        let width = self.width;
        let partial: Vec<f64> = image
            .par_chunks_mut(self.block())
            .enumerate()
            .map(|(block, lines)| {
                let mut sum = 0.0_f64;
                for (line, out) in lines.chunks_mut(width).enumerate() {
                    let y = block * BLOCK_ROWS + line;
                    let here = y * width;
                    let row = &vector[here..here + width];
                    let right = &self.right[here..here + width];
                    for x in 0..width {
                        out[x] = diagonal[here + x] * row[x];
                    }
                    for x in 1..width {
                        out[x] -= right[x - 1] * row[x - 1];
                        out[x - 1] -= right[x - 1] * row[x];
                    }
                    if y > 0 {
                        let up = here - width;
                        for x in 0..width {
                            out[x] -= self.down[up + x] * vector[up + x];
                        }
                    }
                    if y + 1 < self.height {
                        for x in 0..width {
                            out[x] -= self.down[here + x] * vector[here + width + x];
                        }
                    }
                    sum += row
                        .iter()
                        .zip(&*out)
                        .map(|(a, b)| f64::from(a * b))
                        .sum::<f64>();
                }
                sum
            })
            .collect();
        partial.iter().sum()
    }

    /// One step along `direction`; returns the new preconditioned norm of the residual.
    fn advance(
        &self,
        step: f32,
        direction: &[f32],
        image: &[f32],
        diagonal: &[f32],
        solution: &mut [f32],
        residual: &mut [f32],
    ) -> f64 {
        let block = self.block();
        let partial: Vec<f64> = solution
            .par_chunks_mut(block)
            .zip(residual.par_chunks_mut(block))
            .enumerate()
            .map(|(index, (solution, residual))| {
                let start = index * block;
                let mut sum = 0.0_f64;
                for i in 0..solution.len() {
                    solution[i] += step * direction[start + i];
                    residual[i] -= step * image[start + i];
                    sum += f64::from(residual[i] * residual[i] / diagonal[start + i]);
                }
                sum
            })
            .collect();
        partial.iter().sum()
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| f64::from(*a) * f64::from(*b))
        .sum()
}
