//! What a picture shows: the scene as plain values, made anew for every picture.

use super::{Camera, GpuLines, GpuMesh};

/// How a surface looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shading {
    /// Its own texture or vertex colours under soft light; clay where it has none.
    #[default]
    Textured,
    /// Warm, slightly rough clay.
    Clay,
    /// The direction of the surface as a colour: +X red, +Y green, +Z blue.
    Normals,
    /// A dark, glossy material that shows every dent.
    Matcap,
}

/// The colours around the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Theme {
    /// A dark studio.
    #[default]
    Dark,
    /// A light one.
    Light,
}

/// What is drawn besides the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlays {
    /// The edges of the triangles.
    pub wireframe: bool,
    /// A grid on the ground, in millimetres.
    pub grid: bool,
    /// The cross of axes in the top right corner.
    pub axes: bool,
    /// The soft shadow on the ground.
    pub shadow: bool,
}

impl Default for Overlays {
    fn default() -> Self {
        Self {
            wireframe: false,
            grid: false,
            axes: true,
            shadow: true,
        }
    }
}

/// Which meshes are shown.
#[derive(Clone, Copy, Default)]
pub enum Meshes<'a> {
    /// An empty studio.
    #[default]
    None,
    /// One mesh.
    One(&'a GpuMesh),
    /// One turning into another, as when a refinement arrives.
    Fade {
        /// The mesh that was.
        from: &'a GpuMesh,
        /// The mesh that will be.
        to: &'a GpuMesh,
        /// How much of `to` is seen, 0 … 1.
        weight: f32,
    },
    /// Two side by side in one picture, for comparison.
    Wipe {
        /// Shown left of the line.
        left: &'a GpuMesh,
        /// Shown right of it.
        right: &'a GpuMesh,
        /// Where the line is: 0 is the left edge of the picture, 1 the right.
        position: f32,
    },
}

/// Everything that a picture is made of.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    /// Width and height in pixels.
    pub size_px: [u32; 2],
    /// Pixels in a point: how thick lines are and how large the axes.
    pub pixels_per_point: f32,
    /// Where the viewer stands.
    pub camera: Camera,
    /// What is shown.
    pub meshes: Meshes<'a>,
    /// How surfaces look.
    pub shading: Shading,
    /// What is drawn besides.
    pub overlays: Overlays,
    /// Edges to point out, such as the open ones.
    pub highlight: Option<&'a GpuLines>,
    /// The colours around the object.
    pub theme: Theme,
    /// Millimetres in the mesh's unit: 100 where the longest side 1 becomes 100 mm.
    pub mm_per_unit: f32,
    /// Leave the background out; the shadow stays.
    pub transparent: bool,
}

impl Frame<'_> {
    /// An empty dark studio.
    pub fn new(size_px: [u32; 2], camera: Camera) -> Self {
        Self {
            size_px,
            pixels_per_point: 1.0,
            camera,
            meshes: Meshes::None,
            shading: Shading::default(),
            overlays: Overlays::default(),
            highlight: None,
            theme: Theme::default(),
            mm_per_unit: 100.0,
            transparent: false,
        }
    }

    /// Width over height.
    pub fn aspect(&self) -> f32 {
        self.size_px[0].max(1) as f32 / self.size_px[1].max(1) as f32
    }

    /// The spacing of the grid's fine lines in millimetres: the power of ten that leaves them some ten
    /// points apart at the least.
    pub fn grid_step_mm(&self) -> f32 {
        let height_points = self.size_px[1].max(1) as f32 / self.pixels_per_point.max(0.1);
        let mm_per_point = 2.0 * self.camera.half_height() * self.mm_per_unit / height_points;
        let step = 10_f32.powf((mm_per_point * 8.0).log10().ceil());
        if step.is_finite() && step > 0.0 {
            step
        } else {
            10.0
        }
    }
}
