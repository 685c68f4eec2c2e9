//! What can go wrong on a device, in the driver's own words.

use super::super::kernels::LaunchError;
use super::super::{Device, OutOfMemory};

/// A device did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GpuError {
    /// It cannot be used at all.
    #[error("{device} cannot be used: {reason}")]
    Unavailable {
        /// The device.
        device: Device,
        /// Why.
        reason: String,
    },
    /// It stopped working; nothing can be asked of it before the program is started again.
    #[error(
        "{device} stopped working ({doing}: {message}); start the program again to use it, or choose the processor"
    )]
    Lost {
        /// The device.
        device: Device,
        /// What was asked of it when it was noticed.
        doing: &'static str,
        /// What the driver said.
        message: String,
    },
    /// It refused one thing and can be asked for others.
    #[error("{device} refused {doing}: {message}")]
    Refused {
        /// The device.
        device: Device,
        /// What was asked of it.
        doing: &'static str,
        /// What the driver said.
        message: String,
    },
    /// A kernel gave something else than its known answer before its first use.
    #[error(
        "{device} computes {kernel} wrong, so it is not used; update NVIDIA's driver, or choose the processor"
    )]
    WrongAnswer {
        /// The device.
        device: Device,
        /// The kernel, and how far off it was.
        kernel: String,
    },
    /// A kernel does not take what was asked of it.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// Its memory, or what may be taken of it, does not suffice.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

impl GpuError {
    /// Whether the device is of no use any more, so that the work has to be done elsewhere.
    pub fn is_of_device(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. }
                | Self::Lost { .. }
                | Self::Refused { .. }
                | Self::WrongAnswer { .. }
        )
    }
}
