//! Whole rows: taken out, and multiplied.

mod cpu;
mod cuda;

use super::{Matrix, OpError, Ops, Place};

impl Ops<'_> {
    /// Copies rows from row `first` on, as many as `out` has.
    ///
    /// # Errors
    ///
    /// [`OpError`] when cancelled, or the device failed.
    ///
    /// # Panics
    ///
    /// When the rows are not there, of another length, or on a device of another format.
    pub fn take_rows(&self, from: &Matrix, first: usize, out: &mut Matrix) -> Result<(), OpError> {
        assert_eq!(from.columns(), out.columns(), "columns");
        assert!(first + out.rows() <= from.rows(), "rows to copy");
        self.context.cancel.checkpoint()?;
        match self.place {
            Place::Cpu => cpu::take(from, first, out),
            Place::Gpu(_) => cuda::take(from, first, out)?,
            Place::Shapes(_) => {}
        }
        Ok(())
    }

    /// Multiplies number by number: `out = out · factors`.
    ///
    /// # Errors
    ///
    /// [`OpError`] when cancelled, or the device failed.
    ///
    /// # Panics
    ///
    /// When the shapes differ.
    pub fn multiply_by(&self, factors: &Matrix, out: &mut Matrix) -> Result<(), OpError> {
        let shape = |matrix: &Matrix| (matrix.rows(), matrix.columns());
        assert_eq!(shape(factors), shape(out), "factors");
        match self.place {
            Place::Cpu => Ok(cpu::multiply_by(
                factors,
                out,
                self.activations,
                &self.context.cancel,
            )?),
            Place::Gpu(gpu) => cuda::multiply_by(self, gpu, factors, out),
            Place::Shapes(_) => Ok(()),
        }
    }
}
