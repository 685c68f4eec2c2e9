//! Points as rows of sines and cosines of their coordinates.
//!
//! Tancik et al. 2020, "Fourier Features Let Networks Learn High Frequency Functions".

mod cpu;
mod cuda;

pub use cuda::PointsOnDevice;

use super::{Matrix, OpError, Ops, Place};

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
    /// [`OpError`] when cancelled or out of memory, or when the device failed or is asked for more than 16
    /// frequencies.
    pub fn fourier(&self, points: &[[f32; 3]], frequencies: usize) -> Result<Matrix, OpError> {
        let columns = fourier_columns(frequencies);
        let mut rows = self.undefined(points.len(), columns, "the points")?;
        match self.place {
            Place::Cpu => {
                let cancel = &self.context.cancel;
                cpu::fourier(points, frequencies, &mut rows, self.activations, cancel)?;
            }
            Place::Gpu(gpu) => {
                let points = PointsOnDevice::new(gpu, points)?;
                cuda::fourier(self, gpu, &points, frequencies, &rows)?;
            }
            Place::Shapes(device) => {
                let _points = device
                    .map(|device| cuda::reserve_points(device, points.len()))
                    .transpose()?;
            }
        }
        Ok(rows)
    }

    /// The same of points that are on the device already.
    ///
    /// # Errors
    ///
    /// As [`Ops::fourier`].
    ///
    /// # Panics
    ///
    /// Where the operators do not run on a device.
    pub fn fourier_on_device(
        &self,
        points: &PointsOnDevice,
        frequencies: usize,
    ) -> Result<Matrix, OpError> {
        let Place::Gpu(gpu) = self.place else {
            panic!("points on a device for operators elsewhere");
        };
        let columns = fourier_columns(frequencies);
        let rows = self.undefined(points.count(), columns, "the points")?;
        cuda::fourier(self, gpu, points, frequencies, &rows)?;
        Ok(rows)
    }
}
