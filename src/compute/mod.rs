//! Devices, number formats, memory and cancellation: what every computation needs and nothing about
//! what is computed.
//!
//! The one module that may use `unsafe`. It never knows of photos, meshes or jobs.

pub mod cancel;
pub mod console;
pub mod device;
pub mod host;
pub mod kernels;
pub mod ledger;
pub mod matrix;
pub mod ops;
pub mod precision;
pub mod probe;

pub use cancel::{Cancel, Cancelled};
pub use device::Device;
pub use host::HostMemory;
pub use ledger::{Ledger, OutOfMemory, Reservation};
pub use matrix::Matrix;
pub use ops::{OpError, Ops};
pub use precision::{Activations, Precision};
pub use probe::{CudaDevice, CudaProbe, probe};

/// What a shape source is given to work with.
#[derive(Debug, Clone)]
pub struct Context {
    /// Where to compute.
    pub device: Device,
    /// Every large buffer is reserved here before it is allocated.
    pub ledger: Ledger,
    /// Looked at between chunks of work of at most 50 ms.
    pub cancel: Cancel,
}
