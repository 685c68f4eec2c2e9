//! Drawing in code: random numbers from a seed, noise, anti-aliased pictures.

/// Colours in `0.0..=255.0`.
pub(super) type Colour = [f32; 3];

/// A small deterministic generator (SplitMix64).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_F491_4F6C_DD1D) ^ 0x5851_F42D_4C95_7F2D)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in `from..to`.
    pub(super) fn uniform(&mut self, from: f32, to: f32) -> f32 {
        from + (to - from) * (self.next() >> 40) as f32 / (1 << 24) as f32
    }

    /// About normal, mean 0, standard deviation 1.
    pub(super) fn normal(&mut self) -> f32 {
        (0..4).map(|_| self.uniform(-1.0, 1.0)).sum::<f32>() * 0.866
    }

    pub(super) fn colour(&mut self, from: f32, to: f32) -> Colour {
        [(); 3].map(|()| self.uniform(from, to))
    }

    pub(super) fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }
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
        Random::new(seed ^ key as u64).uniform(-2.2, 2.2)
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
