//! Numbers moved and not changed.

mod cpu;
mod cuda;

use super::{Matrix, OpError, Ops, Place};

impl Ops<'_> {
    /// A matrix with the numbers of another.
    ///
    /// # Errors
    ///
    /// [`OpError`] when there is no memory for it, or the device failed.
    pub fn copy(&self, matrix: &Matrix, what: &'static str) -> Result<Matrix, OpError> {
        let mut copy = self.undefined(matrix.rows(), matrix.columns(), what)?;
        self.copy_rows(matrix, &mut copy, 0)?;
        Ok(copy)
    }

    /// Copies all rows of `from` into those of `to` from `first_row` on.
    ///
    /// # Errors
    ///
    /// [`OpError::Gpu`] when the device failed.
    ///
    /// # Panics
    ///
    /// When the shapes do not fit.
    pub fn copy_rows(
        &self,
        from: &Matrix,
        to: &mut Matrix,
        first_row: usize,
    ) -> Result<(), OpError> {
        assert_eq!(from.columns(), to.columns(), "numbers of a row");
        assert!(first_row + from.rows() <= to.rows(), "rows that are there");
        match self.place {
            Place::Cpu => cpu::copy_rows(from, to, first_row),
            Place::Gpu(_) => cuda::copy_rows(from, to, first_row)?,
            Place::Shapes(_) => {}
        }
        Ok(())
    }

    /// Lays the four texels of each token out in planes twice as wide. A row of `tokens` holds the texels
    /// (down, across, channel) of a token, the tokens of planes of `side` tokens a row one after another; a
    /// row of `planes` holds one texel, in the order plane, down, across.
    ///
    /// # Errors
    ///
    /// [`OpError`] when cancelled, or the device failed.
    ///
    /// # Panics
    ///
    /// When the shapes do not fit.
    pub fn spread_texels(
        &self,
        tokens: &Matrix,
        side: usize,
        planes: &mut Matrix,
    ) -> Result<(), OpError> {
        assert_eq!(
            tokens.columns(),
            4 * planes.columns(),
            "four texels a token"
        );
        assert_eq!(4 * tokens.rows(), planes.rows(), "a row a texel");
        assert!(tokens.rows().is_multiple_of(side), "whole rows of tokens");
        match self.place {
            Place::Cpu => cpu::spread_texels(tokens, side, planes),
            Place::Gpu(gpu) => cuda::spread_texels(self, gpu, tokens, side, planes)?,
            Place::Shapes(_) => {}
        }
        Ok(())
    }
}
