//! Normal noise from a seed, the same bits on every device.
//!
//! The random words are those of Philox 4×32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as
//! 1, 2, 3"): a function of the seed and a number's place, so that any part can be made anywhere. Box and
//! Müller's transform turns a pair of words into a pair of numbers. A library's logarithm and cosine differ
//! between devices by a bit here and there, so both devices take the same few polynomials instead, made of
//! sums and products that are rounded one by one; conversions and square roots are exact to the last bit
//! by IEEE 754. No number is farther than 6.8 from 0.

mod cpu;
mod cuda;

pub use cpu::{philox, standard_normal};

use super::{Matrix, OpError, Ops, Place};

/// Which numbers: the same seed, stream and place give the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seed {
    /// What the user may choose.
    pub seed: u64,
    /// Tells draws for different purposes apart, such as the steps of one run.
    pub stream: u64,
}

impl Ops<'_> {
    /// A matrix of independent normal numbers, mean 0 and deviation 1: the first numbers of the seed and
    /// stream, one row after another, rounded to the activations' format.
    ///
    /// # Errors
    ///
    /// Every kind of [`OpError`].
    pub fn noise(
        &self,
        rows: usize,
        columns: usize,
        seed: Seed,
        what: &'static str,
    ) -> Result<Matrix, OpError> {
        let mut matrix = self.undefined(rows, columns, what)?;
        match self.place {
            Place::Cpu => {
                let (values, cancel) = (matrix.values_mut(), &self.context.cancel);
                cpu::fill(seed, values, self.activations, cancel)?;
            }
            Place::Gpu(gpu) => cuda::fill(self, gpu, seed, &matrix)?,
            Place::Shapes(device) => {
                let _unrounded = device
                    .map(|device| cuda::reserve_unrounded(device, &matrix, self.activations))
                    .transpose()?;
            }
        }
        Ok(matrix)
    }
}
