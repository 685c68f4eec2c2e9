//! Triangle meshes and everything done to them between the field and the file.
//!
//! Pure functions over slices. This module never touches files, devices, randomness or the clock.

pub mod bake;
pub mod checks;
pub mod floaters;
pub mod isosurface;
pub mod measure;
pub mod normals;
pub mod optimise;
pub mod placement;
pub mod project;
pub mod simplify;
pub mod smooth;
pub mod unwrap;
pub mod weld;

pub use checks::Report;
pub use floaters::remove_floaters;
pub use optimise::optimise;
pub use placement::{Placement, normalise};
pub use project::{Frame, project_front_back, project_within, vertex_colours};
pub use simplify::simplify;
pub use smooth::smooth;
pub use weld::{Welded, weld, weld_positions};

use std::sync::Arc;

/// A triangle mesh with optional attributes.
///
/// Right-handed, +Y up, +Z to the front; counter-clockwise triangles seen from outside. A finished mesh
/// is centred with its longest side 1. A vertex may occur several times with bit-identical position
/// where texture coordinates have a seam; "closed" always means: after welding such vertices.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mesh {
    /// Vertex positions.
    pub positions: Vec<[f32; 3]>,
    /// Unit vertex normals; empty, or one for each vertex.
    pub normals: Vec<[f32; 3]>,
    /// Texture coordinates with the origin at the top left of the texture (as in glTF); empty, or one
    /// for each vertex.
    pub uvs: Vec<[f32; 2]>,
    /// sRGB vertex colours with alpha; empty, or one for each vertex.
    pub colours: Vec<[u8; 4]>,
    /// Vertex indices of each triangle.
    pub triangles: Vec<[u32; 3]>,
    /// The texture that `uvs` refer to.
    pub texture: Option<Arc<Texture>>,
}

/// An sRGB image wrapped around a mesh.
#[derive(Debug, Clone, PartialEq)]
pub struct Texture {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Pixels, rows from the top.
    pub pixels: Vec<[u8; 3]>,
}
