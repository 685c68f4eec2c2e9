//! Why a model makes no shape.

use super::weights::WeightsError;
use crate::compute::ops::OpError;
use crate::compute::{Cancelled, GpuError, OutOfMemory};

/// Why there is no shape.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// The memory budget does not suffice.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    /// The weights cannot be read.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Nothing of the cut-out is covered.
    #[error("there is nothing to shape: the subject covers no pixel; choose another matte")]
    NothingInside,
    /// The device failed.
    #[error(transparent)]
    Gpu(GpuError),
}

impl From<Cancelled> for ModelError {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

impl From<OpError> for ModelError {
    fn from(error: OpError) -> Self {
        match error {
            OpError::Cancelled => Self::Cancelled,
            OpError::OutOfMemory(error) => Self::OutOfMemory(error),
            OpError::Gpu(error) => Self::Gpu(error),
        }
    }
}

impl From<GpuError> for ModelError {
    fn from(error: GpuError) -> Self {
        OpError::from(error).into()
    }
}
