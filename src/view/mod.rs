//! Drawing meshes with the machine's graphics adapter.
//!
//! It knows meshes and wgpu. It never knows of windows, jobs or CUDA, never reads a clock and never waits
//! for the graphics card, except in [`offscreen`].
//!
//! ```text
//! Mesh ──► Prepared ──► Upload ──► GpuMesh ─┐
//!          other thread  in slices          ├─► Frame ──► Renderer::draw ──► Target ──► Renderer::composite
//!                         CameraRig ────────┘              own pass                     someone else's pass
//! ```
//!
//! Colours are encoded (sRGB) in the shaders: every target is `Rgba8Unorm`, and so is what a window that
//! works in gamma space expects.

mod adapter;
mod camera;
mod frame;
mod gizmo;
mod gpu_mesh;
mod lines;
mod motion;
pub mod offscreen;
mod picking;
mod pipelines;
mod prepared;
mod renderer;
mod surroundings;
mod target;
mod texture;
mod uniforms;
mod watch;

pub use adapter::{Adapter, adapters};
pub use camera::{Bounds, Camera, Preset, Projection, Ray};
pub use frame::{Frame, Meshes, Overlays, Shading, Theme};
pub use gizmo::{Axis, GIZMO_MARGIN, GIZMO_SIZE, gizmo_hit, gizmo_middle};
pub use gpu_mesh::{GpuMesh, Upload};
pub use lines::GpuLines;
pub use motion::{CameraRig, MOVE, ease};
pub use picking::{Hit, Picking};
pub use pipelines::SHADERS;
pub use prepared::{CHUNK_VERTICES, Chunk, Prepared, Undrawable};
pub use renderer::{DrawError, Renderer, RendererOptions, required_limits};
pub use target::Target;
pub use watch::DeviceWatch;
