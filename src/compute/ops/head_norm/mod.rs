//! Normalisation of each head's queries or keys by their mean square.
//!
//! Zhang and Sennrich 2019, "Root Mean Square Layer Normalization".

mod cpu;
mod cuda;

use super::{Heads, Matrix, OpError, Ops, Place, Vector};

/// A gain for each number of a head, and what keeps the mean square from 0.
#[derive(Debug)]
pub struct HeadNorm {
    /// Numbers of a head.
    width: usize,
    /// The same for all heads.
    gain: Vector,
    /// Added to the mean square.
    epsilon: f32,
}

impl HeadNorm {
    /// A gain for each of the `width` numbers of a head, and what is added to the mean square. No gains are
    /// given in a run without arithmetic.
    ///
    /// # Errors
    ///
    /// [`OpError`] when there is no memory for them, or the device failed.
    ///
    /// # Panics
    ///
    /// When there are not as many as numbers.
    pub fn new(ops: &Ops<'_>, width: usize, gain: Vec<f32>, epsilon: f32) -> Result<Self, OpError> {
        Ok(Self {
            width,
            gain: ops.vector(width, gain, "weights")?,
            epsilon,
        })
    }
}

impl Ops<'_> {
    /// Divides each head of the columns from `first` on by the root of its mean square, then multiplies it
    /// with the gain, in place.
    ///
    /// # Errors
    ///
    /// [`OpError`] when cancelled, or the device failed.
    ///
    /// # Panics
    ///
    /// When the shapes do not fit.
    pub fn head_norm(
        &self,
        matrix: &mut Matrix,
        first: usize,
        heads: Heads,
        norm: &HeadNorm,
    ) -> Result<(), OpError> {
        assert!(
            first + heads.columns() <= matrix.columns(),
            "columns of heads"
        );
        assert_eq!(norm.width, heads.width, "gains of a head");
        match self.place {
            Place::Cpu => Ok(cpu::head_norm(
                matrix,
                first,
                heads,
                norm,
                self.activations,
                &self.context.cancel,
            )?),
            Place::Gpu(gpu) => cuda::head_norm(self, gpu, matrix, first, heads, norm),
            Place::Shapes(_) => Ok(()),
        }
    }
}
