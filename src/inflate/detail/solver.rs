//! Preconditioned conjugate gradients, without matrices.
//!
//! Single-threaded and in a fixed order, so that results do not depend on the machine's threads.

/// A symmetric positive definite linear system and an approximate inverse of it.
pub(super) trait System {
    /// Writes the matrix times `vector` into `product`.
    fn apply(&mut self, vector: &[f32], product: &mut [f32]);

    /// Writes an approximate, symmetric and positive inverse times `residual` into `correction`.
    fn precondition(&mut self, residual: &[f32], correction: &mut [f32]);
}

/// When the iteration ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Accuracy {
    /// The residual in the preconditioner's norm, as a share of the right side's.
    pub(super) residual: f32,
    /// The greatest number of iterations.
    pub(super) iterations: usize,
}

/// Solves `system * x = right_side` from `x = 0`.
///
/// Returns the best `x` within the accuracy, or `None` once cancelled.
pub(super) fn conjugate_gradients(
    system: &mut impl System,
    right_side: &[f32],
    accuracy: Accuracy,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Option<Vec<f32>> {
    let count = right_side.len();
    let mut solution = vec![0.0; count];
    let mut residual = right_side.to_vec();
    let mut correction = vec![0.0; count];
    let mut product = vec![0.0; count];
    system.precondition(&residual, &mut correction);
    let mut direction = correction.clone();
    let mut energy = dot(&residual, &correction);
    let goal = energy * f64::from(accuracy.residual).powi(2);
    for _ in 0..accuracy.iterations {
        if cancelled() {
            return None;
        }
        system.apply(&direction, &mut product);
        let curvature = dot(&direction, &product);
        // Also ends on a zero right side and on NaN.
        if !(curvature > 0.0 && energy > goal) {
            break;
        }
        let step = (energy / curvature) as f32;
        for ((x, d), (r, p)) in
            (solution.iter_mut().zip(&direction)).zip(residual.iter_mut().zip(&product))
        {
            *x += step * d;
            *r -= step * p;
        }
        system.precondition(&residual, &mut correction);
        let next = dot(&residual, &correction);
        let keep = (next / energy) as f32;
        energy = next;
        for (d, c) in direction.iter_mut().zip(&correction) {
            *d = c + keep * *d;
        }
    }
    Some(solution)
}

/// The inner product: short blocks in eight lanes of `f32`, their sums in `f64`.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    const LANES: usize = 8;
    const BLOCK: usize = 512;
    let mut total = 0.0;
    for (a, b) in a.chunks(BLOCK).zip(b.chunks(BLOCK)) {
        let mut lanes = [0.0f32; LANES];
        let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
        for (x, y) in a.remainder().iter().zip(b.remainder()) {
            total += f64::from(x * y);
        }
        for (a, b) in a.zip(b) {
            for (lane, (x, y)) in lanes.iter_mut().zip(a.iter().zip(b)) {
                *lane += x * y;
            }
        }
        total += lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>();
    }
    total
}
