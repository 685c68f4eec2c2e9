//! The memory manager: what the devices and the host have, what of it is ours, and what fits.
//!
//! ```text
//! driver ──► sensor ──► monitor ──► history ──► statistics
//!                          │
//!              memory ◄────┘
//!                │
//!   cost ──► plan ──► step down ──► …
//! ```
//!
//! [`Manager`] watches: two threads sample the GPU and the host and keep a bounded history. [`plan()`]
//! decides, and is pure: it takes a [`Cost`], a [`Memory`] and [`Wishes`], and explains itself in words.
//! A GB is 10⁹ bytes throughout.
//!
//! It reads drivers and the operating system, decides, and explains itself. It never allocates, never
//! runs a job and never touches an image or a mesh. No driver, no device, several, a divided one, and one
//! that tells nothing are states like any other.

mod cost;
mod explain;
mod generation;
mod history;
mod manager;
mod memory;
mod monitor;
mod nvml;
mod plan;
mod recommend;
mod select;
mod sensor;
mod shared;
mod statistics;
mod words;

pub use cost::{Choice, Cost, DeviceKind, Need, Residency};
pub use generation::{Generation, Usage};
pub use history::{DeviceSample, Mark, Sample, Summary, Watched};
pub use manager::{Config, Manager};
pub use memory::{Account, DeviceShare, HostShare, Memory, Pool};
pub use nvml::NvmlSensor;
pub use plan::{DeviceWish, NoPlan, Plan, Shortage, Suggestion, Wishes, plan};
pub use recommend::{BatchRequest, optimal_batch_size, recommended_precision};
pub use select::{DeviceChoice, GpuState};
pub use sensor::{DeviceReading, Partition, ProcessReading, Sensor, SensorError};
pub use statistics::{HostStatistics, Statistics};

// The vocabulary of `compute` that the manager's callers need, for those that may not import it.
pub use crate::compute::cuda::{LibrarySearch, find_library};
pub use crate::compute::device::UnknownDevice;
pub use crate::compute::precision::UnknownPrecision;
pub use crate::compute::{CudaDevice, CudaProbe, Device, Ledger, OutOfMemory, Precision, probe};
