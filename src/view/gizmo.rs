//! The small cross of axes in the corner: where its arms end, and which of them a click means.
//!
//! The picture of it is `shaders/gizmo.wgsl`.

use glam::{Vec2, Vec3};

use super::{Camera, Preset};

/// The side of the square that the axes take, in points.
pub const GIZMO_SIZE: f32 = 84.0;
/// From the square to the top and right edges of the picture, in points.
pub const GIZMO_MARGIN: f32 = 10.0;
/// From the middle to the middle of a knob, as a part of the square's side.
pub(super) const ARM: f32 = 0.37;
/// The radius of a knob, as a part of the square's side.
pub(super) const KNOB: f32 = 0.105;

/// An end of one of the three axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// To the right.
    PlusX,
    /// To the left.
    MinusX,
    /// Up.
    PlusY,
    /// Down.
    MinusY,
    /// To the front.
    PlusZ,
    /// To the back.
    MinusZ,
}

impl Axis {
    /// All six.
    pub const ALL: [Self; 6] = [
        Self::PlusX,
        Self::MinusX,
        Self::PlusY,
        Self::MinusY,
        Self::PlusZ,
        Self::MinusZ,
    ];

    /// Its direction.
    pub fn direction(self) -> Vec3 {
        match self {
            Self::PlusX => Vec3::X,
            Self::MinusX => Vec3::NEG_X,
            Self::PlusY => Vec3::Y,
            Self::MinusY => Vec3::NEG_Y,
            Self::PlusZ => Vec3::Z,
            Self::MinusZ => Vec3::NEG_Z,
        }
    }

    /// The view from this end.
    pub fn preset(self) -> Preset {
        match self {
            Self::PlusX => Preset::Right,
            Self::MinusX => Preset::Left,
            Self::PlusY => Preset::Top,
            Self::MinusY => Preset::Bottom,
            Self::PlusZ => Preset::Front,
            Self::MinusZ => Preset::Back,
        }
    }
}

/// The end of an axis under a point of the picture, the nearest to the viewer first. `position` and
/// `size` are in points, from the top left.
pub fn gizmo_hit(camera: &Camera, size: Vec2, position: Vec2) -> Option<Axis> {
    let from_middle = (position - gizmo_middle(size)) / GIZMO_SIZE;
    let from_middle = Vec2::new(from_middle.x, -from_middle.y);
    let view_from_world = camera.world_from_view_axes().transpose();
    Axis::ALL
        .into_iter()
        .map(|axis| (axis, view_from_world * axis.direction()))
        .filter(|(_, end)| (from_middle - end.truncate() * ARM).length() <= KNOB)
        .max_by(|(_, one), (_, other)| one.z.total_cmp(&other.z))
        .map(|(axis, _)| axis)
}

/// The middle of the cross in a picture of `size`, in points from the top left.
pub fn gizmo_middle(size: Vec2) -> Vec2 {
    let inset = GIZMO_MARGIN + GIZMO_SIZE / 2.0;
    Vec2::new(size.x - inset, inset)
}
