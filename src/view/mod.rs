//! Drawing meshes with the machine's graphics adapter.
//!
//! It knows meshes and wgpu. It never knows of windows, jobs or CUDA.

mod adapter;

pub use adapter::{Adapter, adapters};
