//! The embedded shape source: from a silhouette and its shading to a closed solid, without weights.

pub mod detail;
pub mod map;

pub use detail::{ShadingDetail, shading_detail};
pub use map::Map;

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
