//! Points as rows of sines and cosines of their coordinates. On the processor only.
//!
//! Tancik et al. 2020, "Fourier Features Let Networks Learn High Frequency Functions".

mod cpu;

use super::{Matrix, OpError, Ops};

/// The columns that points become with this many frequencies.
pub fn fourier_columns(frequencies: usize) -> usize {
    3 * (1 + 2 * frequencies)
}

impl Ops<'_> {
    /// Each point as a row: its coordinates, the sines of each times 1, 2, 4 and so on, then the cosines.
    /// The rows are rounded to the number format of results.
    ///
    /// # Errors
    ///
    /// [`OpError`] when cancelled or out of memory.
    pub fn fourier(&self, points: &[[f32; 3]], frequencies: usize) -> Result<Matrix, OpError> {
        let columns = fourier_columns(frequencies);
        let mut rows = self.matrix(points.len(), columns, "the points")?;
        if self.computes_on_processor() {
            cpu::fourier(
                points,
                frequencies,
                &mut rows,
                self.activations,
                &self.context.cancel,
            )?;
        }
        Ok(rows)
    }
}
