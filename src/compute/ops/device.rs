//! What the CUDA forms have in common.

use std::sync::Arc;

use super::{Matrix, OpError, Ops};
use crate::compute::Gpu;
use crate::compute::GpuError;
use crate::compute::kernels::{Launch, LaunchError};

impl Ops<'_> {
    /// Queues a kernel that takes about so many operations, unless the work was cancelled.
    pub(super) fn launch(
        &self,
        gpu: &Arc<Gpu>,
        launch: Result<Launch, LaunchError>,
        operations: f64,
    ) -> Result<(), OpError> {
        self.context.cancel.checkpoint()?;
        gpu.launch(&launch.map_err(GpuError::from)?)?;
        gpu.pace(operations)?;
        Ok(self.context.cancel.checkpoint()?)
    }
}

/// Operations that reading, changing and writing every number of a matrix are worth.
pub(super) fn elementwise_operations(matrix: &Matrix) -> f64 {
    100.0 * matrix.rows() as f64 * matrix.columns() as f64
}

/// A size as kernels count it.
///
/// # Errors
///
/// [`GpuError::Launch`] where they cannot.
pub(super) fn count(
    kernel: &'static str,
    what: &'static str,
    size: usize,
) -> Result<i32, GpuError> {
    i32::try_from(size).map_err(|_too_large| {
        LaunchError::Size {
            kernel,
            what,
            value: i64::try_from(size).unwrap_or(i64::MAX),
            takes: "at most 2147483647",
        }
        .into()
    })
}
