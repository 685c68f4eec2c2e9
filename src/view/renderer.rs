//! The renderer: what all pictures on one device share, and drawing one of them.
//!
//! Architecture invariant: a renderer does not change after it was made; what belongs to a picture is in
//! its [`Target`]. It can be shared between threads.

use super::pipelines::{Layouts, Pipelines};
use super::uniforms::{FrameUniform, MeshUniform};
use super::{Bounds, Frame, GpuMesh, Meshes, Target};

/// What a device has to be asked for: no more than every adapter has, OpenGL included, but textures as
/// large as this one takes.
pub fn required_limits(adapter: &wgpu::Adapter) -> wgpu::Limits {
    wgpu::Limits::downlevel_defaults().using_resolution(adapter.limits())
}

/// How pictures are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RendererOptions {
    /// Samples in a pixel: 4, or 1 for speed without a graphics card. Anything else counts as 4.
    pub samples: u32,
    /// The format of what [`Renderer::composite`] draws into.
    pub output: wgpu::TextureFormat,
}

impl Default for RendererOptions {
    fn default() -> Self {
        Self {
            samples: 4,
            output: wgpu::TextureFormat::Rgba8Unorm,
        }
    }
}

/// Why a picture was not drawn.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DrawError {
    /// It has no pixels.
    #[error("a picture of {width} × {height} pixels has nothing to show")]
    Empty {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// It is larger than the graphics card's textures.
    #[error(
        "a picture of {width} × {height} pixels is larger than this graphics adapter can draw ({limit} at most); make it smaller"
    )]
    TooLarge {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The most pixels in a row or column.
        limit: u32,
    },
}

/// Pipelines and shared resources of one graphics device.
pub struct Renderer {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) samples: u32,
    pub(super) layouts: Layouts,
    pub(super) white: wgpu::Texture,
    pipelines: Pipelines,
    clamping: wgpu::Sampler,
    repeating: wgpu::Sampler,
    /// In the place of a mesh where there is none.
    nothing: wgpu::BindGroup,
}

/// The textures that belong to a mesh.
pub(super) struct MeshTextures {
    pub(super) colours: wgpu::Texture,
    pub(super) shadow: wgpu::Texture,
    /// The first of the prepared levels that the graphics card takes.
    pub(super) first_level: usize,
    /// Whether coordinates outside 0 … 1 wrap around.
    pub(super) repeat: bool,
}

impl Renderer {
    /// Compiles the shaders: some tens of milliseconds.
    pub fn new(device: &wgpu::Device, queue: &wgpu::Queue, options: &RendererOptions) -> Self {
        let samples = if options.samples == 1 { 1 } else { 4 };
        let layouts = Layouts::new(device);
        let pipelines = Pipelines::new(device, &layouts, samples, options.output);
        let sampler = |label, address| {
            device.create_sampler(&wgpu::SamplerDescriptor {
                label: Some(label),
                address_mode_u: address,
                address_mode_v: address,
                mag_filter: wgpu::FilterMode::Linear,
                min_filter: wgpu::FilterMode::Linear,
                mipmap_filter: wgpu::MipmapFilterMode::Linear,
                anisotropy_clamp: 8,
                ..wgpu::SamplerDescriptor::default()
            })
        };
        let clamping = sampler("clamping", wgpu::AddressMode::ClampToEdge);
        let repeating = sampler("repeating", wgpu::AddressMode::Repeat);
        let pixel = |label, format| new_texture(device, label, format, [1, 1], 1);
        let white = pixel("white", wgpu::TextureFormat::Rgba8UnormSrgb);
        let no_shadow = pixel("no shadow", wgpu::TextureFormat::R8Unorm);
        write_texture(queue, &white, 0, 0, [1, 1], &[255; 4]);
        write_texture(queue, &no_shadow, 0, 0, [1, 1], &[0]);
        let uniform = buffer_of(
            device,
            queue,
            "no mesh",
            bytemuck::bytes_of(&MeshUniform::empty(&Bounds::UNIT)),
            wgpu::BufferUsages::UNIFORM,
        );
        let nothing = mesh_group(
            device,
            &layouts.mesh,
            &uniform,
            [&white, &no_shadow],
            [&clamping, &clamping],
        );
        Self {
            device: device.clone(),
            queue: queue.clone(),
            samples,
            layouts,
            pipelines,
            white,
            clamping,
            repeating,
            nothing,
        }
    }

    /// The device it draws with.
    pub fn device(&self) -> &wgpu::Device {
        &self.device
    }

    /// The queue it hands work to.
    pub fn queue(&self) -> &wgpu::Queue {
        &self.queue
    }

    /// Records the drawing of a picture into its target. One picture of a target in a submission.
    ///
    /// # Errors
    ///
    /// [`DrawError`]; nothing is recorded, and the target keeps its picture.
    pub fn draw(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        target: &mut Target,
        frame: &Frame<'_>,
    ) -> Result<(), DrawError> {
        let [width, height] = frame.size_px;
        if width == 0 || height == 0 {
            return Err(DrawError::Empty { width, height });
        }
        let limit = self.device.limits().max_texture_dimension_2d;
        if width.max(height) > limit {
            return Err(DrawError::TooLarge {
                width,
                height,
                limit,
            });
        }
        let (layers, weight) = layers_of(frame);
        let bounds = bounds_of(&frame.meshes);
        self.queue.write_buffer(
            &target.frame_uniform,
            0,
            bytemuck::bytes_of(&FrameUniform::new(frame, &bounds)),
        );
        self.queue.write_buffer(
            &target.mixing,
            0,
            bytemuck::cast_slice(&[weight, 0.0, 0.0, 0.0]),
        );
        let two_layers = layers[1].is_some();
        target.textures(self, frame.size_px, two_layers);
        let Some(textures) = &target.textures else {
            return Err(DrawError::Empty { width, height });
        };
        let pictures = [Some(&textures.first), textures.second.as_ref()];
        for (layer, picture) in layers.iter().zip(pictures) {
            let (Some(parts), Some(picture)) = (layer, picture) else {
                continue;
            };
            let (view, resolve_target) = match &textures.multisampled {
                Some(multisampled) => (multisampled, Some(&picture.view)),
                None => (&picture.view, None),
            };
            let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
                label: Some("viewport"),
                color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                    view,
                    depth_slice: None,
                    resolve_target,
                    ops: wgpu::Operations {
                        load: wgpu::LoadOp::Clear(wgpu::Color::TRANSPARENT),
                        store: if resolve_target.is_some() {
                            wgpu::StoreOp::Discard
                        } else {
                            wgpu::StoreOp::Store
                        },
                    },
                })],
                depth_stencil_attachment: Some(wgpu::RenderPassDepthStencilAttachment {
                    view: &textures.depth,
                    depth_ops: Some(wgpu::Operations {
                        load: wgpu::LoadOp::Clear(0.0),
                        store: wgpu::StoreOp::Discard,
                    }),
                    stencil_ops: None,
                }),
                ..wgpu::RenderPassDescriptor::default()
            });
            pass.set_bind_group(0, &target.frame_group, &[]);
            self.record(&mut pass, frame, parts);
        }
        Ok(())
    }

    /// Copies the target's picture into a pass without depth and with one sample, over its whole viewport.
    /// Does nothing before the first picture.
    pub fn composite(&self, pass: &mut wgpu::RenderPass<'_>, target: &Target) {
        if let Some(textures) = &target.textures {
            pass.set_pipeline(&self.pipelines.composite);
            pass.set_bind_group(0, &textures.composite_group, &[]);
            pass.draw(0..3, 0..1);
        }
    }

    fn record(&self, pass: &mut wgpu::RenderPass<'_>, frame: &Frame<'_>, parts: &[Part<'_>]) {
        let [width, height] = frame.size_px;
        if !frame.transparent {
            pass.set_pipeline(&self.pipelines.background);
            pass.draw(0..3, 0..1);
        }
        for part in parts {
            let (left, right) = part.columns;
            if right <= left {
                continue;
            }
            pass.set_scissor_rect(left, 0, right - left, height);
            pass.set_bind_group(1, part.mesh.map_or(&self.nothing, |mesh| &mesh.group), &[]);
            if let Some(mesh) = part.mesh {
                self.record_mesh(pass, frame, mesh);
            }
            if frame.overlays.grid || frame.overlays.shadow {
                pass.set_pipeline(&self.pipelines.ground);
                pass.draw(0..4, 0..1);
            }
        }
        pass.set_scissor_rect(0, 0, width, height);
        if let Some(lines) = frame.highlight {
            pass.set_vertex_buffer(0, lines.segments.slice(..));
            for pipeline in [
                &self.pipelines.highlight_hidden,
                &self.pipelines.highlight_seen,
            ] {
                pass.set_pipeline(pipeline);
                pass.draw(0..4, 0..lines.count);
            }
        }
        if frame.overlays.axes {
            pass.set_pipeline(&self.pipelines.gizmo);
            pass.draw(0..4, 0..1);
        }
    }

    fn record_mesh(&self, pass: &mut wgpu::RenderPass<'_>, frame: &Frame<'_>, mesh: &GpuMesh) {
        for chunk in &mesh.chunks {
            pass.set_vertex_buffer(0, chunk.vertices.slice(..));
            if let Some(paint) = &chunk.paint {
                pass.set_pipeline(&self.pipelines.painted);
                pass.set_vertex_buffer(1, paint.slice(..));
            } else {
                pass.set_pipeline(&self.pipelines.plain);
            }
            pass.set_index_buffer(chunk.triangles.slice(..), wgpu::IndexFormat::Uint16);
            pass.draw_indexed(0..chunk.triangle_indices, 0, 0..1);
        }
        if frame.overlays.wireframe {
            pass.set_pipeline(&self.pipelines.wireframe);
            for chunk in &mesh.chunks {
                pass.set_vertex_buffer(0, chunk.vertices.slice(..));
                pass.set_index_buffer(chunk.edges.slice(..), wgpu::IndexFormat::Uint16);
                pass.draw_indexed(0..chunk.edge_indices, 0, 0..1);
            }
        }
    }

    /// What a mesh is drawn with, besides its buffers.
    pub(super) fn mesh_group(
        &self,
        uniform: &MeshUniform,
        textures: &MeshTextures,
    ) -> wgpu::BindGroup {
        let uniform = buffer_with(
            self,
            "mesh",
            bytemuck::bytes_of(uniform),
            wgpu::BufferUsages::UNIFORM,
        );
        let colour_sampler = if textures.repeat {
            &self.repeating
        } else {
            &self.clamping
        };
        mesh_group(
            &self.device,
            &self.layouts.mesh,
            &uniform,
            [&textures.colours, &textures.shadow],
            [colour_sampler, &self.clamping],
        )
    }

    pub(super) fn texture(
        &self,
        label: &str,
        format: wgpu::TextureFormat,
        size_px: [u32; 2],
        levels: u32,
    ) -> wgpu::Texture {
        new_texture(&self.device, label, format, size_px, levels)
    }

    /// Fills rows of a level from `first_row` on.
    pub(super) fn write_texture(
        &self,
        texture: &wgpu::Texture,
        level: u32,
        first_row: u32,
        size_px: [u32; 2],
        bytes: &[u8],
    ) {
        write_texture(&self.queue, texture, level, first_row, size_px, bytes);
    }
}

/// A mesh, or none, and the columns of the picture it is seen in.
struct Part<'a> {
    mesh: Option<&'a GpuMesh>,
    columns: (u32, u32),
}

/// One picture or two, and how much of the second is seen.
fn layers_of<'a>(frame: &Frame<'a>) -> ([Option<Vec<Part<'a>>>; 2], f32) {
    let width = frame.size_px[0];
    let whole = |mesh| {
        Some(vec![Part {
            mesh,
            columns: (0, width),
        }])
    };
    match frame.meshes {
        Meshes::None => ([whole(None), None], 0.0),
        Meshes::One(mesh) => ([whole(Some(mesh)), None], 0.0),
        // At its ends a fade is one mesh: half the work.
        Meshes::Fade { from, weight, .. } if weight.is_nan() || weight <= 0.0 => {
            ([whole(Some(from)), None], 0.0)
        }
        Meshes::Fade { to, weight, .. } if weight >= 1.0 => ([whole(Some(to)), None], 0.0),
        Meshes::Fade { from, to, weight } => ([whole(Some(from)), whole(Some(to))], weight),
        Meshes::Wipe {
            left,
            right,
            position,
        } => {
            let line = (position.clamp(0.0, 1.0) * width as f32).round() as u32;
            let parts = vec![
                Part {
                    mesh: Some(left),
                    columns: (0, line.min(width)),
                },
                Part {
                    mesh: Some(right),
                    columns: (line.min(width), width),
                },
            ];
            ([Some(parts), None], 0.0)
        }
    }
}

fn bounds_of(meshes: &Meshes<'_>) -> Bounds {
    match meshes {
        Meshes::None => Bounds::UNIT,
        Meshes::One(mesh) => mesh.bounds,
        Meshes::Fade { from, to, .. } => from.bounds.union(&to.bounds),
        Meshes::Wipe { left, right, .. } => left.bounds.union(&right.bounds),
    }
}

/// A buffer with these contents.
pub(super) fn buffer_with(
    renderer: &Renderer,
    label: &str,
    bytes: &[u8],
    usage: wgpu::BufferUsages,
) -> wgpu::Buffer {
    buffer_of(&renderer.device, &renderer.queue, label, bytes, usage)
}

fn buffer_of(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    label: &str,
    bytes: &[u8],
    usage: wgpu::BufferUsages,
) -> wgpu::Buffer {
    // Copies have to be a multiple of four bytes.
    let whole = bytes.len() / 4 * 4;
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size: bytes.len().next_multiple_of(4) as u64,
        usage: usage | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    queue.write_buffer(&buffer, 0, &bytes[..whole]);
    if whole < bytes.len() {
        let mut rest = [0; 4];
        rest[..bytes.len() - whole].copy_from_slice(&bytes[whole..]);
        queue.write_buffer(&buffer, whole as u64, &rest);
    }
    buffer
}

fn new_texture(
    device: &wgpu::Device,
    label: &str,
    format: wgpu::TextureFormat,
    size_px: [u32; 2],
    levels: u32,
) -> wgpu::Texture {
    device.create_texture(&wgpu::TextureDescriptor {
        label: Some(label),
        size: wgpu::Extent3d {
            width: size_px[0],
            height: size_px[1],
            depth_or_array_layers: 1,
        },
        mip_level_count: levels,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format,
        usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
        view_formats: &[],
    })
}

fn write_texture(
    queue: &wgpu::Queue,
    texture: &wgpu::Texture,
    level: u32,
    first_row: u32,
    size_px: [u32; 2],
    bytes: &[u8],
) {
    let [width, height] = size_px;
    queue.write_texture(
        wgpu::TexelCopyTextureInfo {
            texture,
            mip_level: level,
            origin: wgpu::Origin3d {
                x: 0,
                y: first_row,
                z: 0,
            },
            aspect: wgpu::TextureAspect::All,
        },
        bytes,
        wgpu::TexelCopyBufferLayout {
            offset: 0,
            bytes_per_row: Some(bytes.len() as u32 / height.max(1)),
            rows_per_image: None,
        },
        wgpu::Extent3d {
            width,
            height,
            depth_or_array_layers: 1,
        },
    );
}

fn mesh_group(
    device: &wgpu::Device,
    layout: &wgpu::BindGroupLayout,
    uniform: &wgpu::Buffer,
    [colours, shadow]: [&wgpu::Texture; 2],
    [colour_sampler, shadow_sampler]: [&wgpu::Sampler; 2],
) -> wgpu::BindGroup {
    let view =
        |texture: &wgpu::Texture| texture.create_view(&wgpu::TextureViewDescriptor::default());
    let (colours, shadow) = (view(colours), view(shadow));
    let entry = |binding, resource| wgpu::BindGroupEntry { binding, resource };
    device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("mesh"),
        layout,
        entries: &[
            entry(0, uniform.as_entire_binding()),
            entry(1, wgpu::BindingResource::TextureView(&colours)),
            entry(2, wgpu::BindingResource::Sampler(colour_sampler)),
            entry(3, wgpu::BindingResource::TextureView(&shadow)),
            entry(4, wgpu::BindingResource::Sampler(shadow_sampler)),
        ],
    })
}
