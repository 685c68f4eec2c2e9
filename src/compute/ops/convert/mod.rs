//! Numbers in another format.

mod cpu;
mod cuda;

use super::{Matrix, OpError, Ops, Place};

impl Ops<'_> {
    /// The numbers of a matrix, made in whatever format, in the format of results.
    ///
    /// # Errors
    ///
    /// [`OpError`] when cancelled, when there is no memory for them, or when the device failed.
    pub fn converted(&self, matrix: &Matrix, what: &'static str) -> Result<Matrix, OpError> {
        let mut converted = self.undefined(matrix.rows(), matrix.columns(), what)?;
        match self.place {
            Place::Cpu => {
                let cancel = &self.context.cancel;
                cpu::convert(matrix, &mut converted, self.activations, cancel)?;
            }
            Place::Gpu(gpu) => cuda::convert(self, gpu, matrix, &converted)?,
            Place::Shapes(_) => {}
        }
        Ok(converted)
    }
}
