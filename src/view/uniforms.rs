//! The uniform blocks of the shaders, as `shaders/frame.wgsl` and `composite.wgsl` lay them out.

use bytemuck::{Pod, Zeroable};
use glam::{Mat4, Vec3, Vec4};

use super::{Bounds, Frame, Prepared, Projection, Shading, Theme};

/// `Frame` of `shaders/frame.wgsl`.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct FrameUniform {
    clip_from_world: [[f32; 4]; 4],
    view_from_world: [[f32; 4]; 4],
    eye: [f32; 4],
    key: [f32; 4],
    fill: [f32; 4],
    rim: [f32; 4],
    background_top: [f32; 4],
    background_bottom: [f32; 4],
    grid_colour: [f32; 4],
    highlight: [f32; 4],
    viewport: [f32; 4],
    ground: [f32; 4],
    shading: [u32; 4],
}

/// Lights in a frame that turns with the viewer but stays level: the key light comes from the upper left
/// whichever way the object is turned, and never from below.
const KEY: Vec3 = Vec3::new(-0.66, 0.74, 0.54);
const FILL: Vec3 = Vec3::new(0.86, 0.10, 0.40);
const RIM: Vec3 = Vec3::new(0.42, 0.34, -0.80);

impl FrameUniform {
    /// `bounds` are those of everything shown.
    pub(super) fn new(frame: &Frame<'_>, bounds: &Bounds) -> Self {
        let camera = &frame.camera;
        let axes = camera.world_from_view_axes();
        // The ground reaches nine radii; nothing of it may be cut off.
        let reach = bounds.radius() * 10.0 + camera.focus.distance(bounds.centre());
        let clip_from_world =
            camera.clip_from_view(frame.aspect(), reach) * camera.view_from_world();
        let (sin_yaw, cos_yaw) = camera.yaw.sin_cos();
        let level = |light: Vec3| {
            Vec3::new(
                light.x * cos_yaw + light.z * sin_yaw,
                light.y,
                light.z * cos_yaw - light.x * sin_yaw,
            )
            .normalize()
            .extend(0.0)
            .to_array()
        };
        let palette = Palette::of(frame.theme);
        let step_mm = frame.grid_step_mm();
        let height_points = frame.size_px[1].max(1) as f32 / frame.pixels_per_point.max(0.1);
        let step_points =
            step_mm / (2.0 * camera.half_height() * frame.mm_per_unit / height_points).max(1e-12);
        let overlays = frame.overlays;
        Self {
            clip_from_world: clip_from_world.to_cols_array_2d(),
            view_from_world: Mat4::from_mat3(axes.transpose()).to_cols_array_2d(),
            eye: camera
                .eye()
                .extend(f32::from(u8::from(
                    camera.projection == Projection::Perspective,
                )))
                .to_array(),
            key: level(KEY),
            fill: level(FILL),
            rim: level(RIM),
            background_top: palette.top,
            background_bottom: palette.bottom,
            grid_colour: [
                palette.grid[0],
                palette.grid[1],
                palette.grid[2],
                if overlays.grid { palette.grid[3] } else { 0.0 },
            ],
            highlight: palette.highlight,
            viewport: [
                frame.size_px[0] as f32,
                frame.size_px[1] as f32,
                frame.pixels_per_point,
                f32::from(u8::from(frame.transparent)),
            ],
            ground: [
                step_mm / frame.mm_per_unit,
                // Fine lines come in as their spacing grows from 8 to 16 points.
                ((step_points - 8.0) / 8.0).clamp(0.0, 1.0),
                if overlays.shadow { palette.shadow } else { 0.0 },
                2.0 * camera.half_height() / frame.size_px[1].max(1) as f32,
            ],
            shading: [
                match frame.shading {
                    Shading::Textured => 0,
                    Shading::Clay => 1,
                    Shading::Normals => 2,
                    Shading::Matcap => 3,
                },
                0,
                0,
                0,
            ],
        }
    }
}

/// Encoded colours of a theme.
struct Palette {
    top: [f32; 4],
    bottom: [f32; 4],
    /// Red, green, blue, strength.
    grid: [f32; 4],
    highlight: [f32; 4],
    /// How dark the ground shadow is.
    shadow: f32,
}

impl Palette {
    fn of(theme: Theme) -> Self {
        match theme {
            Theme::Dark => Self {
                top: encoded(0x0f_11_14, 0.0),
                bottom: encoded(0x23_27_2e, 0.0),
                grid: encoded(0x6b_74_80, 0.55),
                highlight: encoded(0xff_5a_4f, 1.0),
                shadow: 0.88,
            },
            Theme::Light => Self {
                top: encoded(0xf4_f5_f7, 1.0),
                bottom: encoded(0xd9_dc_e1, 1.0),
                grid: encoded(0x7d_86_92, 0.6),
                highlight: encoded(0xd2_2f_27, 1.0),
                shadow: 0.62,
            },
        }
    }
}

/// A colour as it is written in style sheets, with a fourth number.
fn encoded(rgb: u32, fourth: f32) -> [f32; 4] {
    let part = |shift: u32| (rgb >> shift & 0xff) as f32 / 255.0;
    [part(16), part(8), part(0), fourth]
}

/// `MeshSpace` of `shaders/frame.wgsl`.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct MeshUniform {
    box_min: [f32; 4],
    box_size: [f32; 4],
    uv_box: [f32; 4],
    shadow_box: [f32; 4],
    traits: [f32; 4],
}

impl MeshUniform {
    pub(super) fn new(mesh: &Prepared) -> Self {
        let (min, size) = (mesh.shadow.min, mesh.shadow.size);
        Self {
            uv_box: [mesh.uv_min.x, mesh.uv_min.y, mesh.uv_size.x, mesh.uv_size.y],
            shadow_box: [min.x, min.y, size.x, size.y],
            traits: [
                f32::from(u8::from(mesh.is_painted())),
                mesh.mean_edge,
                0.0,
                0.0,
            ],
            ..Self::empty(&mesh.bounds)
        }
    }

    /// Of no mesh, in the place of one.
    pub(super) fn empty(bounds: &Bounds) -> Self {
        Self {
            box_min: bounds.min.extend(0.0).to_array(),
            box_size: (bounds.max - bounds.min).extend(0.0).to_array(),
            uv_box: Vec4::ZERO.to_array(),
            shadow_box: Vec4::ZERO.to_array(),
            traits: Vec4::ZERO.to_array(),
        }
    }
}
