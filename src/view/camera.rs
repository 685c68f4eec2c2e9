//! The camera: where the viewer stands, and how it moves around an object.
//!
//! Pure arithmetic, without a clock or a device. World space is that of a finished mesh: right-handed, +Y
//! up, +Z to the front. Positions on the screen are in normalised device coordinates: −1 … 1, +X right,
//! +Y up.

use std::f32::consts::{FRAC_PI_2, PI, TAU};

use glam::camera::rh::proj::directx;
use glam::{Mat3, Mat4, Vec2, Vec3};

/// How far up or down a camera looks at most, in radians: straight down would lose its direction.
const MAX_PITCH: f32 = FRAC_PI_2 - 1e-3;

/// The vertical angle of view of a perspective camera, in radians: about that of a 50 mm lens.
const FIELD_OF_VIEW: f32 = 0.49;

/// How flat a perspective picture gets before it becomes a parallel one: the step that is left is about
/// a pixel, and depth keeps its precision.
const MAX_FLATNESS: f32 = 0.985;

/// How much of the picture a framed object fills at most.
const FILLED: f32 = 0.98;

/// A box along the axes, in the unit of the mesh.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// The least corner.
    pub min: Vec3,
    /// The greatest corner.
    pub max: Vec3,
}

impl Bounds {
    /// The box of a finished mesh that nothing is known of yet.
    pub const UNIT: Self = Self {
        min: Vec3::splat(-0.5),
        max: Vec3::splat(0.5),
    };

    /// The middle of the box.
    pub fn centre(&self) -> Vec3 {
        (self.min + self.max) * 0.5
    }

    /// The radius of the sphere through the corners; never zero.
    pub fn radius(&self) -> f32 {
        ((self.max - self.min).length() * 0.5).max(f32::MIN_POSITIVE.sqrt())
    }

    /// The smallest box around both.
    pub fn union(&self, other: &Self) -> Self {
        Self {
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }
}

/// How space becomes a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Projection {
    /// Near things are larger.
    #[default]
    Perspective,
    /// Parallel lines stay parallel.
    Orthographic,
}

/// A direction to look from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// From +Z.
    Front,
    /// From −Z.
    Back,
    /// From +X.
    Right,
    /// From −X.
    Left,
    /// From +Y.
    Top,
    /// From −Y.
    Bottom,
    /// From the front, a little from the right and above: how an object is first shown.
    ThreeQuarter,
}

impl Preset {
    /// Yaw and pitch in radians.
    fn angles(self) -> (f32, f32) {
        match self {
            Self::Front => (0.0, 0.0),
            Self::Back => (PI, 0.0),
            Self::Right => (FRAC_PI_2, 0.0),
            Self::Left => (-FRAC_PI_2, 0.0),
            Self::Top => (0.0, MAX_PITCH),
            Self::Bottom => (0.0, -MAX_PITCH),
            Self::ThreeQuarter => (0.56, 0.3),
        }
    }
}

/// A half line from the viewer into the scene.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ray {
    /// Where it begins.
    pub origin: Vec3,
    /// Its direction, of length 1.
    pub direction: Vec3,
}

/// Where the viewer stands and how the scene is projected.
///
/// Architecture invariant: the horizon stays level; a camera has a yaw and a pitch but never rolls.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Camera {
    /// What the middle of the picture looks at.
    pub focus: Vec3,
    /// The turn about +Y, in radians: 0 looks from +Z, a quarter turn from +X.
    pub yaw: f32,
    /// The height of the viewpoint as an angle, in radians: positive looks from above.
    pub pitch: f32,
    /// From the viewpoint to the focus, in the unit of the mesh. It also sets the scale of an
    /// orthographic picture, so that changing the projection keeps the size of what is in focus.
    pub distance: f32,
    /// How space becomes a picture.
    pub projection: Projection,
    /// How far a perspective picture is on its way to a parallel one: 0 is the common lens, towards 1 the
    /// viewpoint goes away as the angle of view narrows, so that what is in focus keeps its size.
    pub flatness: f32,
}

impl Default for Camera {
    fn default() -> Self {
        Self::framing(&Bounds::UNIT, Preset::ThreeQuarter, 1.0)
    }
}

impl Camera {
    /// A perspective camera that shows the whole of `bounds`; `aspect` is width over height.
    pub fn framing(bounds: &Bounds, preset: Preset, aspect: f32) -> Self {
        let (yaw, pitch) = preset.angles();
        Self {
            focus: bounds.centre(),
            yaw,
            pitch,
            distance: 1.0,
            projection: Projection::Perspective,
            flatness: 0.0,
        }
        .framed(bounds, aspect)
    }

    /// The same direction and projection, with the whole of `bounds` in the picture, whichever way the
    /// object is turned about +Y.
    #[must_use]
    pub fn framed(&self, bounds: &Bounds, aspect: f32) -> Self {
        let half = (bounds.max - bounds.min) * 0.5;
        // The upright cylinder around the box looks the same from all sides. Its rims are taken as polygons
        // with this many corners.
        const CORNERS: usize = 24;
        let radius = half.x.hypot(half.z) / (PI / CORNERS as f32).cos();
        let (sin_pitch, cos_pitch) = self.pitch.sin_cos();
        let slope = (FIELD_OF_VIEW / 2.0).tan() * FILLED;
        let aside_slope = slope * aspect.max(1e-3);
        let mut distance = bounds.radius() * 1e-2;
        for corner in 0..CORNERS {
            let (front, right) = (TAU * corner as f32 / CORNERS as f32).sin_cos();
            let front = front * radius;
            for up in [-half.y, half.y] {
                let seen_up = up * cos_pitch - front * sin_pitch;
                let nearer = match self.projection {
                    Projection::Perspective => up * sin_pitch + front * cos_pitch,
                    Projection::Orthographic => 0.0,
                };
                let wanted = (right * radius / aside_slope)
                    .abs()
                    .max((seen_up / slope).abs());
                distance = distance.max(wanted + nearer);
            }
        }
        Self {
            focus: bounds.centre(),
            distance,
            ..*self
        }
    }

    /// The same focus, distance and projection, seen from another side.
    #[must_use]
    pub fn looking_from(&self, preset: Preset) -> Self {
        let (yaw, pitch) = preset.angles();
        Self {
            yaw,
            pitch,
            ..*self
        }
    }

    /// The same view in the other projection.
    #[must_use]
    pub fn other_projection(&self) -> Self {
        Self {
            projection: match self.projection {
                Projection::Perspective => Projection::Orthographic,
                Projection::Orthographic => Projection::Perspective,
            },
            ..*self
        }
    }

    /// The camera's axes in the world: right, up and towards the viewer.
    pub fn world_from_view_axes(&self) -> Mat3 {
        let (sin_yaw, cos_yaw) = self.yaw.sin_cos();
        let (sin_pitch, cos_pitch) = self.pitch.sin_cos();
        let back = Vec3::new(sin_yaw * cos_pitch, sin_pitch, cos_yaw * cos_pitch);
        let right = Vec3::new(cos_yaw, 0.0, -sin_yaw);
        Mat3::from_cols(right, back.cross(right), back)
    }

    /// The viewpoint.
    pub fn eye(&self) -> Vec3 {
        self.focus + self.world_from_view_axes().z_axis * self.eye_distance()
    }

    /// From the viewpoint to the focus as it is drawn from: further than [`Self::distance`] on the way to
    /// a parallel picture.
    fn eye_distance(&self) -> f32 {
        self.distance / (1.0 - self.flatness.clamp(0.0, MAX_FLATNESS))
    }

    /// Half the height of what is seen at the distance of the focus.
    pub fn half_height(&self) -> f32 {
        self.distance * (FIELD_OF_VIEW / 2.0).tan()
    }

    /// From world to view space: +X right, +Y up, the scene along −Z.
    pub fn view_from_world(&self) -> Mat4 {
        let view_from_world = self.world_from_view_axes().transpose();
        Mat4::from_mat3(view_from_world) * Mat4::from_translation(-self.eye())
    }

    /// From view to clip space with reversed depth: 1 near, 0 far. `reach` is the radius around the
    /// focus that must not be cut off, in the unit of the mesh.
    pub fn clip_from_view(&self, aspect: f32, reach: f32) -> Mat4 {
        match self.projection {
            Projection::Perspective => {
                let eye_distance = self.eye_distance();
                let near = (eye_distance * 1e-3).max(f32::MIN_POSITIVE.sqrt());
                let angle = 2.0 * (self.half_height() / eye_distance).atan();
                // Reversed depth without a far plane loses no precision and cuts nothing off.
                directx::perspective_infinite_reverse(angle, aspect, near)
            }
            Projection::Orthographic => {
                let (half_height, depth) = (self.half_height(), self.distance + reach);
                let half_width = half_height * aspect;
                directx::orthographic(
                    -half_width,
                    half_width,
                    -half_height,
                    half_height,
                    // Near and far exchanged is what reverses the depth.
                    self.distance + depth,
                    self.distance - depth,
                )
            }
        }
    }

    /// The ray through a point of the screen.
    pub fn ray(&self, ndc: Vec2, aspect: f32) -> Ray {
        let axes = self.world_from_view_axes();
        let half_height = self.half_height();
        let aside =
            axes.x_axis * (ndc.x * half_height * aspect) + axes.y_axis * (ndc.y * half_height);
        match self.projection {
            Projection::Perspective => Ray {
                origin: self.eye(),
                direction: (aside - axes.z_axis * self.eye_distance()).normalize_or(-axes.z_axis),
            },
            Projection::Orthographic => Ray {
                // From far behind the viewpoint: without perspective there is no "behind the viewer".
                origin: self.focus + aside + axes.z_axis * (self.distance * 16.0),
                direction: -axes.z_axis,
            },
        }
    }

    /// Where a point of the world is on the screen; `None` behind the viewer.
    pub fn project(&self, point: Vec3, aspect: f32) -> Option<Vec2> {
        let clip =
            self.clip_from_view(aspect, self.distance) * self.view_from_world() * point.extend(1.0);
        (clip.w > 0.0).then(|| clip.truncate().truncate() / clip.w)
    }

    /// The point under `ndc` on the plane through the focus that faces the viewer: what to zoom and orbit
    /// about where the cursor is over nothing.
    pub fn point_on_focal_plane(&self, ndc: Vec2, aspect: f32) -> Vec3 {
        let axes = self.world_from_view_axes();
        let half_height = self.half_height();
        self.focus
            + axes.x_axis * (ndc.x * half_height * aspect)
            + axes.y_axis * (ndc.y * half_height)
    }

    /// Turns about `pivot`, which keeps its distance and its place on the screen. `turn` is in radians:
    /// +X moves the viewpoint to the left, as if the object were pushed to the right, +Y upwards, as if
    /// its front were pushed down.
    pub fn orbit_about(&mut self, pivot: Vec3, turn: Vec2) {
        let before = self.world_from_view_axes();
        let yaw = wrapped(self.yaw - turn.x);
        let pitch = (self.pitch + turn.y).clamp(-MAX_PITCH, MAX_PITCH);
        let turned = Self {
            yaw,
            pitch,
            ..*self
        };
        let after = turned.world_from_view_axes();
        let from_pivot = after * (before.transpose() * (self.focus - pivot));
        *self = Self {
            focus: pivot + from_pivot,
            ..turned
        };
    }

    /// Moves sideways so that what is at the depth of `anchor` follows a cursor that moved by `moved`,
    /// in normalised device coordinates.
    pub fn pan(&mut self, anchor: Vec3, moved: Vec2, aspect: f32) {
        let axes = self.world_from_view_axes();
        let depth = (self.eye() - anchor).dot(axes.z_axis);
        let scale = match self.projection {
            Projection::Perspective if depth > 0.0 => depth / self.eye_distance(),
            _ => 1.0,
        };
        let half_height = self.half_height() * scale;
        self.focus -=
            axes.x_axis * (moved.x * half_height * aspect) + axes.y_axis * (moved.y * half_height);
    }

    /// Comes closer (`factor` below 1) or goes away, keeping `anchor` where it is on the screen. The
    /// distance stays between a thousandth and a thousand times `scene_radius`.
    pub fn zoom_to(&mut self, anchor: Vec3, factor: f32, scene_radius: f32) {
        if !(factor.is_finite() && factor > 0.0) {
            return;
        }
        let distance = (self.distance * factor).clamp(scene_radius * 1e-3, scene_radius * 1e3);
        let factor = distance / self.distance;
        self.focus = anchor + (self.focus - anchor) * factor;
        self.distance = distance;
    }

    /// On the way from this camera to another: 0 here, 1 there, by the shorter turn.
    #[must_use]
    pub fn between(&self, other: &Self, part: f32) -> Self {
        let part = part.clamp(0.0, 1.0);
        if part >= 1.0 {
            return *other;
        }
        let flatness = self.drawn_flatness() * (1.0 - part) + other.drawn_flatness() * part;
        let stays_parallel =
            [self, other].map(|camera| camera.projection) == [Projection::Orthographic; 2];
        Self {
            focus: self.focus.lerp(other.focus, part),
            yaw: wrapped(self.yaw + wrapped(other.yaw - self.yaw) * part),
            pitch: self.pitch + (other.pitch - self.pitch) * part,
            distance: self.distance * (other.distance / self.distance).powf(part),
            projection: if stays_parallel {
                Projection::Orthographic
            } else {
                Projection::Perspective
            },
            flatness: if stays_parallel { 0.0 } else { flatness },
        }
    }

    /// The flatness of the picture, that of parallel ones included.
    fn drawn_flatness(&self) -> f32 {
        match self.projection {
            Projection::Perspective => self.flatness,
            Projection::Orthographic => MAX_FLATNESS,
        }
    }
}

/// An angle within half a turn of 0.
fn wrapped(angle: f32) -> f32 {
    if angle.abs() <= PI {
        return angle;
    }
    (angle + PI).rem_euclid(TAU) - PI
}
