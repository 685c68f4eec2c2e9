//! The textures that a picture is drawn into.

use super::Renderer;
use super::pipelines::{COLOUR, DEPTH};
use super::uniforms::FrameUniform;

/// A picture on the graphics card: multisampled colour and depth, and what they resolve to. Its textures
/// are made anew when the size of the picture changes.
pub struct Target {
    pub(super) textures: Option<Textures>,
    pub(super) frame_uniform: wgpu::Buffer,
    pub(super) frame_group: wgpu::BindGroup,
    pub(super) mixing: wgpu::Buffer,
}

pub(super) struct Textures {
    pub(super) size_px: [u32; 2],
    /// `None` with a single sample: then the layers are drawn into directly.
    pub(super) multisampled: Option<wgpu::TextureView>,
    pub(super) depth: wgpu::TextureView,
    pub(super) first: Layer,
    /// Made when two meshes are cross-faded for the first time.
    pub(super) second: Option<Layer>,
    pub(super) composite_group: wgpu::BindGroup,
}

/// A finished picture.
pub(super) struct Layer {
    pub(super) texture: wgpu::Texture,
    pub(super) view: wgpu::TextureView,
}

impl Target {
    /// A target without textures; drawing makes them.
    pub fn new(renderer: &Renderer) -> Self {
        let device = &renderer.device;
        let uniform = |label, size| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size,
                usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        };
        let frame_uniform = uniform("frame", size_of::<FrameUniform>() as u64);
        Self {
            textures: None,
            frame_group: device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some("frame"),
                layout: &renderer.layouts.frame,
                entries: &[wgpu::BindGroupEntry {
                    binding: 0,
                    resource: frame_uniform.as_entire_binding(),
                }],
            }),
            frame_uniform,
            mixing: uniform("mixing", 16),
        }
    }

    /// The size of the last picture, once there is one.
    pub fn size_px(&self) -> Option<[u32; 2]> {
        self.textures.as_ref().map(|textures| textures.size_px)
    }

    /// What the textures take on the graphics card, in bytes.
    pub fn size_bytes(&self, renderer: &Renderer) -> u64 {
        self.textures.as_ref().map_or(0, |textures| {
            let [width, height] = textures.size_px.map(u64::from);
            let layers = 1 + u64::from(textures.second.is_some());
            let samples = u64::from(renderer.samples);
            let multisampled = if samples > 1 { samples } else { 0 };
            width * height * 4 * (layers + multisampled + samples)
        })
    }

    /// Textures of the wanted size, with a second layer where two meshes are faded.
    pub(super) fn textures(
        &mut self,
        renderer: &Renderer,
        size_px: [u32; 2],
        two_layers: bool,
    ) -> &Textures {
        let keep = self.textures.take().filter(|textures| {
            textures.size_px == size_px && (textures.second.is_some() || !two_layers)
        });
        let textures =
            keep.unwrap_or_else(|| Textures::new(renderer, &self.mixing, size_px, two_layers));
        self.textures.insert(textures)
    }
}

impl Textures {
    fn new(
        renderer: &Renderer,
        mixing: &wgpu::Buffer,
        size_px: [u32; 2],
        two_layers: bool,
    ) -> Self {
        let device = &renderer.device;
        let texture = |label, format, samples, usage| {
            device.create_texture(&wgpu::TextureDescriptor {
                label: Some(label),
                size: wgpu::Extent3d {
                    width: size_px[0],
                    height: size_px[1],
                    depth_or_array_layers: 1,
                },
                mip_level_count: 1,
                sample_count: samples,
                dimension: wgpu::TextureDimension::D2,
                format,
                usage: wgpu::TextureUsages::RENDER_ATTACHMENT | usage,
                view_formats: &[],
            })
        };
        let view =
            |texture: &wgpu::Texture| texture.create_view(&wgpu::TextureViewDescriptor::default());
        let layer = |label| {
            let usage = wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_SRC;
            let texture = texture(label, COLOUR, 1, usage);
            Layer {
                view: view(&texture),
                texture,
            }
        };
        let samples = renderer.samples;
        let none = wgpu::TextureUsages::empty();
        let first = layer("picture");
        let second = two_layers.then(|| layer("second picture"));
        let composite_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("composite"),
            layout: &renderer.layouts.composite,
            entries: &[
                wgpu::BindGroupEntry {
                    binding: 0,
                    resource: wgpu::BindingResource::TextureView(&first.view),
                },
                wgpu::BindGroupEntry {
                    binding: 1,
                    resource: wgpu::BindingResource::TextureView(
                        &second.as_ref().unwrap_or(&first).view,
                    ),
                },
                wgpu::BindGroupEntry {
                    binding: 2,
                    resource: mixing.as_entire_binding(),
                },
            ],
        });
        Self {
            size_px,
            multisampled: (samples > 1)
                .then(|| view(&texture("multisampled colour", COLOUR, samples, none))),
            depth: view(&texture("depth", DEPTH, samples, none)),
            first,
            second,
            composite_group,
        }
    }
}
