//! Devices, number formats, memory and cancellation: what every computation needs and nothing about
//! what is computed.
//!
//! The one module that may use `unsafe`. It never knows of photos, meshes or jobs.

use std::sync::Arc;

pub mod cancel;
pub mod console;
pub mod cuda;
pub mod device;
pub mod host;
pub mod kernels;
pub mod ledger;
pub mod matrix;
pub mod ops;
pub mod precision;
pub mod probe;

pub use cancel::{Cancel, Cancelled};
pub use cuda::{Gpu, GpuError};
pub use device::Device;
pub use host::HostMemory;
pub use ledger::{Ledger, OutOfMemory, Reservation};
pub use matrix::Matrix;
pub use ops::{OpError, Ops};
pub use precision::{Activations, Number, Precision};
pub use probe::{CudaDevice, CudaProbe, probe};

/// What a shape source is given to work with.
#[derive(Debug, Clone)]
pub struct Context {
    /// The CUDA device to compute on; `None` for the processor.
    pub gpu: Option<Arc<Gpu>>,
    /// Every large buffer of the host is reserved here before it is allocated; those of a device are in
    /// [`Gpu::ledger`].
    pub ledger: Ledger,
    /// Looked at between chunks of work of at most 50 ms.
    pub cancel: Cancel,
}

impl Context {
    /// Where it computes.
    pub fn device(&self) -> Device {
        self.gpu.as_ref().map_or(Device::Cpu, |gpu| gpu.device())
    }
}
