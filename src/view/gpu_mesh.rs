//! A mesh on the graphics card, and bringing it there in slices.

use std::sync::Arc;

use super::prepared::Chunk;
use super::renderer::{MeshTextures, buffer_with};
use super::surroundings::SHADOW_SIZE;
use super::uniforms::MeshUniform;
use super::{Bounds, Prepared, Renderer};

/// The most bytes of a texture that are handed over in one go.
const BAND_BYTES: usize = 1 << 20;

/// A mesh on the graphics card.
pub struct GpuMesh {
    pub(super) bounds: Bounds,
    pub(super) chunks: Vec<GpuChunk>,
    pub(super) group: wgpu::BindGroup,
    triangle_count: usize,
    size_bytes: usize,
}

pub(super) struct GpuChunk {
    pub(super) vertices: wgpu::Buffer,
    pub(super) paint: Option<wgpu::Buffer>,
    pub(super) triangles: wgpu::Buffer,
    pub(super) edges: wgpu::Buffer,
    pub(super) triangle_indices: u32,
    pub(super) edge_indices: u32,
}

impl GpuMesh {
    /// Uploads a mesh at once: for a thread that may wait, or a small mesh.
    pub fn new(renderer: &Renderer, mesh: Arc<Prepared>) -> Self {
        let mut upload = Upload::new(mesh);
        loop {
            if let Some(mesh) = upload.step(renderer, usize::MAX) {
                return mesh;
            }
        }
    }

    /// The box around it.
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// How many triangles it has.
    pub fn triangle_count(&self) -> usize {
        self.triangle_count
    }

    /// What it takes on the graphics card, in bytes.
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }
}

/// A mesh on its way to the graphics card.
pub struct Upload {
    mesh: Arc<Prepared>,
    chunks: Vec<GpuChunk>,
    textures: Option<MeshTextures>,
    /// The next row of a texture's level that has not been handed over.
    next_row: (usize, u32),
}

impl Upload {
    /// Begins with nothing handed over.
    pub fn new(mesh: Arc<Prepared>) -> Self {
        Self {
            chunks: Vec::with_capacity(mesh.chunks.len()),
            mesh,
            textures: None,
            next_row: (0, 0),
        }
    }

    /// Hands over some more, at least one piece (seldom more than 1.5 MB) and not much more than
    /// `budget_bytes`; the mesh, once all of it is there. To be called again while it gives `None`, and not
    /// after.
    pub fn step(&mut self, renderer: &Renderer, budget_bytes: usize) -> Option<GpuMesh> {
        let mut handed_bytes = 0;
        while let Some(chunk) = self.mesh.chunks.get(self.chunks.len()) {
            handed_bytes += chunk.size_bytes();
            self.chunks.push(GpuChunk::new(renderer, chunk));
            if handed_bytes >= budget_bytes {
                return None;
            }
        }
        let textures = self
            .textures
            .get_or_insert_with(|| MeshTextures::new(renderer, &self.mesh));
        let first = textures.first_level;
        while let Some(level) = self.mesh.texture.get(first + self.next_row.0) {
            let (index, row) = self.next_row;
            let row_bytes = level.width as usize * 4;
            let rows = ((BAND_BYTES / row_bytes).max(1) as u32).min(level.height - row);
            textures.write_rows(renderer, index as u32, level, row..row + rows);
            self.next_row = if row + rows < level.height {
                (index, row + rows)
            } else {
                (index + 1, 0)
            };
            handed_bytes += row_bytes * rows as usize;
            if handed_bytes >= budget_bytes {
                return None;
            }
        }
        let textures = self.textures.take()?;
        Some(GpuMesh {
            bounds: self.mesh.bounds,
            group: renderer.mesh_group(&MeshUniform::new(&self.mesh), &textures),
            chunks: std::mem::take(&mut self.chunks),
            triangle_count: self.mesh.triangle_count,
            size_bytes: self.mesh.size_bytes(),
        })
    }

    /// How much has been handed over, 0 … 1.
    pub fn progress(&self) -> f32 {
        let levels = self.mesh.texture.len();
        let done = self.chunks.len() + self.next_row.0.min(levels);
        done as f32 / (self.mesh.chunks.len() + levels).max(1) as f32
    }
}

impl GpuChunk {
    fn new(renderer: &Renderer, chunk: &Chunk) -> Self {
        use wgpu::BufferUsages as Usages;
        let buffer = |label, bytes: &[u8], usage| buffer_with(renderer, label, bytes, usage);
        Self {
            vertices: buffer(
                "vertices",
                bytemuck::cast_slice(&chunk.vertices),
                Usages::VERTEX,
            ),
            paint: (!chunk.paint.is_empty()).then(|| {
                buffer(
                    "vertex colours",
                    bytemuck::cast_slice(&chunk.paint),
                    Usages::VERTEX,
                )
            }),
            triangles: buffer(
                "triangles",
                bytemuck::cast_slice(&chunk.triangles),
                Usages::INDEX,
            ),
            edges: buffer("edges", bytemuck::cast_slice(&chunk.edges), Usages::INDEX),
            triangle_indices: chunk.triangles.len() as u32 * 3,
            edge_indices: chunk.edges.len() as u32 * 2,
        }
    }
}

impl MeshTextures {
    /// Textures of the right size, the shadow filled, the colours still empty. Levels larger than the
    /// graphics card allows are left out.
    fn new(renderer: &Renderer, mesh: &Prepared) -> Self {
        let limit = renderer.device.limits().max_texture_dimension_2d;
        let first_level = mesh
            .texture
            .iter()
            .position(|level| level.width.max(level.height) <= limit)
            .unwrap_or(mesh.texture.len());
        let levels = &mesh.texture[first_level..];
        let colours = levels.first().map_or_else(
            || renderer.white.clone(),
            |largest| {
                renderer.texture(
                    "mesh colours",
                    wgpu::TextureFormat::Rgba8UnormSrgb,
                    [largest.width, largest.height],
                    levels.len() as u32,
                )
            },
        );
        let shadow = renderer.texture(
            "ground shadow",
            wgpu::TextureFormat::R8Unorm,
            [SHADOW_SIZE; 2],
            1,
        );
        renderer.write_texture(&shadow, 0, 0, [SHADOW_SIZE; 2], &mesh.shadow.texels);
        let inside =
            mesh.uv_min.min_element() >= 0.0 && (mesh.uv_min + mesh.uv_size).max_element() <= 1.0;
        Self {
            colours,
            shadow,
            first_level,
            repeat: !inside,
        }
    }

    fn write_rows(
        &self,
        renderer: &Renderer,
        level: u32,
        pixels: &super::texture::Level,
        rows: std::ops::Range<u32>,
    ) {
        let width = pixels.width as usize;
        let bytes = bytemuck::cast_slice(
            &pixels.pixels[rows.start as usize * width..rows.end as usize * width],
        );
        let size = [pixels.width, rows.end - rows.start];
        renderer.write_texture(&self.colours, level, rows.start, size, bytes);
    }
}
