//! Whole rows: copied from matrix to matrix, added to, and multiplied.

mod cpu;

use super::{Matrix, OpError, Ops};

impl Ops<'_> {
    /// Copies `count` rows from row `first` on to those of `out` from row `at` on.
    ///
    /// # Errors
    ///
    /// [`OpError::Cancelled`].
    ///
    /// # Panics
    ///
    /// When the rows are not there, or of another length.
    pub fn copy_rows(
        &self,
        from: &Matrix,
        first: usize,
        out: &mut Matrix,
        at: usize,
        count: usize,
    ) -> Result<(), OpError> {
        assert_eq!(from.columns(), out.columns(), "columns");
        assert!(first + count <= from.rows(), "rows to copy");
        assert!(at + count <= out.rows(), "rows to copy to");
        self.context.cancel.checkpoint()?;
        if !self.shapes_only {
            cpu::copy(from, first, out, at, count);
        }
        Ok(())
    }

    /// Adds one row to every row.
    ///
    /// # Errors
    ///
    /// [`OpError::Cancelled`].
    ///
    /// # Panics
    ///
    /// When the row has another length.
    pub fn add_to_rows(&self, row: &[f32], out: &mut Matrix) -> Result<(), OpError> {
        if self.shapes_only {
            return Ok(());
        }
        assert_eq!(row.len(), out.columns(), "columns");
        Ok(cpu::add_to_rows(
            row,
            out,
            self.activations,
            &self.context.cancel,
        )?)
    }

    /// Multiplies number by number: `out = out · factors`.
    ///
    /// # Errors
    ///
    /// [`OpError::Cancelled`].
    ///
    /// # Panics
    ///
    /// When the shapes differ.
    pub fn multiply_by(&self, factors: &Matrix, out: &mut Matrix) -> Result<(), OpError> {
        let shape = |matrix: &Matrix| (matrix.rows(), matrix.columns());
        assert_eq!(shape(factors), shape(out), "factors");
        if self.shapes_only {
            return Ok(());
        }
        Ok(cpu::multiply_by(
            factors,
            out,
            self.activations,
            &self.context.cancel,
        )?)
    }
}
