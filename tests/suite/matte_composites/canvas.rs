//! Drawing in code: random numbers from a seed, noise, anti-aliased pictures.

use crate::random::Random;

/// Colours in `0.0..=255.0`.
pub(super) type Colour = [f32; 3];

/// A generator of its own for each seed, seeds next to one another included.
pub(super) fn seeded(seed: u64) -> Random {
    Random(seed.wrapping_mul(0x2545_F491_4F6C_DD1D) ^ 0x5851_F42D_4C95_7F2D)
}

/// A picture with colours beyond 8 bits.
#[derive(Clone)]
pub(super) struct Picture {
    pub(super) side: usize,
    pub(super) pixels: Vec<Colour>,
}

impl Picture {
    /// `colour(x, y)` with both in `0.0..1.0`, y down.
    pub(super) fn paint(side: usize, mut colour: impl FnMut(f32, f32) -> Colour) -> Self {
        let at = |i: usize| (i as f32 + 0.5) / side as f32;
        let pixels = (0..side * side)
            .map(|i| colour(at(i % side), at(i / side)))
            .collect();
        Self { side, pixels }
    }
}

pub(super) fn mix(a: Colour, b: Colour, t: f32) -> Colour {
    [0, 1, 2].map(|c| a[c] + t.clamp(0.0, 1.0) * (b[c] - a[c]))
}

pub(super) fn scaled(colour: Colour, factor: f32) -> Colour {
    colour.map(|value| value * factor)
}

/// Smoothly varying values of about standard deviation 1, over `x` and `y` at one cell a unit.
pub(super) fn value_noise(seed: u64, x: f32, y: f32) -> f32 {
    let corner = |i: f32, j: f32| {
        let key = (i as i64).wrapping_mul(0x1F1F_1F1F) ^ (j as i64).wrapping_mul(0x0123_4567_89AB);
        seeded(seed ^ key as u64).uniform(-2.2, 2.2)
    };
    let (i, j) = (x.floor(), y.floor());
    let smooth = |t: f32| t * t * (3.0 - 2.0 * t);
    let (u, v) = (smooth(x - i), smooth(y - j));
    let top = corner(i, j) + u * (corner(i + 1.0, j) - corner(i, j));
    let bottom = corner(i, j + 1.0) + u * (corner(i + 1.0, j + 1.0) - corner(i, j + 1.0));
    top + v * (bottom - top)
}

/// Gaussian smoothing of a single channel, the border continued.
pub(super) fn blurred(values: &[f32], side: usize, sigma: f32) -> Vec<f32> {
    let reach = (3.0 * sigma).ceil() as isize;
    let weights: Vec<f32> = (-reach..=reach)
        .map(|i| (-0.5 * (i as f32 / sigma).powi(2)).exp())
        .collect();
    let sum: f32 = weights.iter().sum();
    let pass = |values: &[f32], along_x: bool| -> Vec<f32> {
        (0..values.len())
            .map(|i| {
                let (x, y) = ((i % side) as isize, (i / side) as isize);
                (-reach..=reach)
                    .zip(&weights)
                    .map(|(offset, weight)| {
                        let limit = side as isize - 1;
                        let (x, y) = if along_x {
                            ((x + offset).clamp(0, limit), y)
                        } else {
                            (x, (y + offset).clamp(0, limit))
                        };
                        weight * values[y as usize * side + x as usize]
                    })
                    .sum::<f32>()
                    / sum
            })
            .collect()
    };
    pass(&pass(values, true), false)
}
