//! The embedded shape source: from a silhouette and its shading to a closed solid, without weights.
//!
//! ```text
//! cut-out ─► coverage, colour ─► distance ─► balls ─► creases smoothed ─► rim ─► lathe ─► profile
//!              (resample)                    or a slab's bevel, or a plate                  │
//!                  └─► flat? slab? grooves; shading detail, thickness; relief ─► raised ────┴─► solid
//! ```
//!
//! Everything is a map over the cut-out; the solid is a formula over a few maps ([`Solid`]), so that
//! every level of the mesh sees the same shape. What decides on a shape (flat or shaded, turned or not,
//! where the light is) is always read at [`REFERENCE_SIDE`]: a finer level refines, it never changes its
//! mind. Lengths inside the module are in pixels of the map at hand.
//!
//! Architecture invariant: this module never opens files, never asks the clock, and gives the same maps
//! whatever the number of threads.

mod balls;
mod cuboid;
mod decrease;
pub mod detail;
mod distance;
mod filter;
mod flat;
mod jitter;
mod lathe;
pub mod map;
mod relief;
mod resample;
mod rim;
mod solid;
mod spline;
mod studio;

pub use detail::{ShadingDetail, shading_detail};
pub use map::Map;
use resample::WorkMaps;
pub use solid::{Mode, Solid, SolidDescription};
pub use studio::{Inflate, cost_bytes, device_bytes};

use crate::compute::{Cancelled, OutOfMemory};

/// The side of the maps on which the shape is decided; other maps are as fine as their level.
const REFERENCE_SIDE: usize = 256;

/// Why there is no solid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InflateError {
    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// The memory budget does not suffice.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    /// The subject covers nothing.
    #[error(
        "there is nothing to shape: nowhere does the subject cover more than half a pixel; choose another matte, or shape the full frame"
    )]
    NothingInside,
    /// The cut-out's buffers do not match its side.
    #[error(
        "the cut-out is malformed: {colours} colours and {coverages} coverages for a side of {side} pixels, which needs {side}² of each and at least 1"
    )]
    BadCutout {
        /// The side in pixels.
        side: usize,
        /// The colours it has.
        colours: usize,
        /// The coverages it has.
        coverages: usize,
    },
    /// A control is out of its range.
    #[error("{control} is {value}; choose a number from {least} to {greatest}")]
    ControlOutOfRange {
        /// Which control.
        control: &'static str,
        /// What it was set to.
        value: f32,
        /// The least it may be.
        least: f32,
        /// The greatest it may be.
        greatest: f32,
    },
}

impl From<Cancelled> for InflateError {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

/// What the user may turn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Controls {
    /// Scales the depth of the solid; 1 is what the source proposes.
    pub thickness: f32,
    /// How much of the shading becomes relief, `0..=1`.
    pub detail: f32,
    /// What the side away from the viewer looks like.
    pub back: Back,
    /// The depth of a full-frame relief, as a share of its longest side.
    pub relief: f32,
}

impl Controls {
    fn check(&self) -> Result<(), InflateError> {
        let ranges = [
            ("thickness", self.thickness, 0.05, 10.0),
            ("detail", self.detail, 0.0, 1.0),
            ("relief", self.relief, 0.001, 2.0),
        ];
        for (control, value, least, greatest) in ranges {
            if !(least..=greatest).contains(&value) {
                return Err(InflateError::ControlOutOfRange {
                    control,
                    value,
                    least,
                    greatest,
                });
            }
        }
        Ok(())
    }
}

impl Default for Controls {
    fn default() -> Self {
        Self {
            thickness: 1.0,
            detail: 0.6,
            back: Back::Auto,
            relief: 0.12,
        }
    }
}

/// What the side away from the viewer looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Back {
    /// Mirrored colours for flat art, smoothed colours otherwise; without the front's detail.
    #[default]
    Auto,
    /// A smooth back in smoothed colours.
    Plain,
    /// The front mirrored, detail and colours.
    Mirror,
    /// Cut flat, to lie on a table or a wall.
    Flat,
}
