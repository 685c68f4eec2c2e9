//! Normalisation of each head's queries or keys by their mean square. On the processor only.
//!
//! Zhang and Sennrich 2019, "Root Mean Square Layer Normalization".

mod cpu;

use super::{Heads, Matrix, OpError, Ops};

/// A gain for each number of a head, and what keeps the mean square from 0.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadNorm {
    /// The same for all heads.
    pub gain: Vec<f32>,
    /// Added to the mean square.
    pub epsilon: f32,
}

impl Ops<'_> {
    /// Divides each head of the columns from `first` on by the root of its mean square, then multiplies it
    /// with the gain, in place.
    ///
    /// # Errors
    ///
    /// [`OpError::Cancelled`].
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
        if !self.computes_on_processor() {
            return Ok(());
        }
        assert_eq!(norm.gain.len(), heads.width, "gains of a head");
        Ok(cpu::head_norm(
            matrix,
            first,
            heads,
            norm,
            self.activations,
            &self.context.cancel,
        )?)
    }
}
