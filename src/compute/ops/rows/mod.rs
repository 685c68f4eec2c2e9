//! Whole rows: taken out, added to, and multiplied. On the processor only.

mod cpu;

use super::{Matrix, OpError, Ops};

impl Ops<'_> {
    /// Copies rows from row `first` on, as many as `out` has.
    ///
    /// # Errors
    ///
    /// [`OpError::Cancelled`].
    ///
    /// # Panics
    ///
    /// When the rows are not there, or of another length.
    pub fn take_rows(&self, from: &Matrix, first: usize, out: &mut Matrix) -> Result<(), OpError> {
        assert_eq!(from.columns(), out.columns(), "columns");
        assert!(first + out.rows() <= from.rows(), "rows to copy");
        self.context.cancel.checkpoint()?;
        if self.computes_on_processor() {
            cpu::take(from, first, out);
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
        if !self.computes_on_processor() {
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
        if !self.computes_on_processor() {
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
