//! Single edges to point out, such as those where a mesh is open.

use super::Renderer;
use super::renderer::buffer_with;

/// Line segments on the graphics card, in the frame of the mesh.
pub struct GpuLines {
    pub(super) segments: wgpu::Buffer,
    pub(super) count: u32,
}

impl GpuLines {
    /// The most segments that are kept; more of them than pixels point nothing out.
    pub const MOST: usize = 1 << 18;

    /// Uploads the segments; `None` without any. Those beyond [`Self::MOST`] are left out.
    pub fn new(renderer: &Renderer, segments: &[[[f32; 3]; 2]]) -> Option<Self> {
        let segments = &segments[..segments.len().min(Self::MOST)];
        if segments.is_empty() {
            return None;
        }
        Some(Self {
            segments: buffer_with(
                renderer,
                "highlighted edges",
                bytemuck::cast_slice(segments),
                wgpu::BufferUsages::VERTEX,
            ),
            count: segments.len() as u32,
        })
    }
}
