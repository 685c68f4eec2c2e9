//! CUDA devices: a context, memory, copies, launches and waiting, in safe Rust over the driver's functions.
//!
//! A device is opened once, as a [`Gpu`], and shared; whoever has a [`Buffer`] on it keeps it alive. Each
//! [`Gpu`] is a queue of the device's work, done in its order; what is freed is freed in that order too, so that
//! nothing is taken from under a kernel. Every byte passes the device's ledger before the driver is asked for it.
//!
//! Matrices may be multiplied by cuBLASLt, where the machine has it; see [`cublaslt`].
//!
//! An error that a device does not recover from marks it lost: every further call is that error, at once.
//! This module knows kernels only as [`Launch`](super::kernels::Launch)es, and nothing of models.

mod buffer;
pub mod cublaslt;
mod driver;
mod error;
mod gpu;
mod memory;
mod opened;
mod pace;

pub use buffer::{Buffer, size_in_ledger};
pub use cublaslt::{FoundLibrary, LibraryProduct, LibrarySearch, find_library};
pub use error::GpuError;
pub use gpu::Gpu;
