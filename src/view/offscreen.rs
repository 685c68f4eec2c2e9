//! Pictures without a window: thumbnails, screenshots and tests. The only part of `view` that waits for
//! the graphics card.

use std::sync::{Arc, mpsc};

use glam::Vec2;

use super::{
    Bounds, Camera, DeviceWatch, DrawError, Frame, GpuMesh, Meshes, Overlays, Prepared, Preset,
    Renderer, RendererOptions, Shading, Target, Theme, Undrawable, required_limits,
};
use crate::mesh::Mesh;

/// Why no picture can be drawn on this machine.
#[derive(Debug, thiserror::Error)]
pub enum NoAdapter {
    /// There is nothing to draw with.
    #[error("no graphics adapter was found: {advice}")]
    Missing {
        /// What to install.
        advice: &'static str,
        /// What the graphics library says.
        #[source]
        source: wgpu::RequestAdapterError,
    },
    /// The adapter is there but cannot be used.
    #[error("the graphics adapter {name} cannot be used; its driver may need an update")]
    Unusable {
        /// The adapter's name.
        name: String,
        /// What the graphics library says.
        #[source]
        source: wgpu::RequestDeviceError,
    },
}

impl NoAdapter {
    /// What to install where there is no graphics adapter.
    pub const ADVICE: &'static str = if cfg!(target_os = "linux") {
        "install the driver of the graphics card, or for software rendering the packages libvulkan1 and mesa-vulkan-drivers (Debian, Ubuntu)"
    } else {
        "install the driver of the graphics card"
    };
}

/// Why a picture was not made.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The mesh cannot be drawn.
    #[error(transparent)]
    Mesh(#[from] Undrawable),
    /// The picture cannot be drawn.
    #[error(transparent)]
    Draw(#[from] DrawError),
    /// The graphics device was lost, or ran out of memory.
    #[error("the graphics device failed while it drew a picture: {0}; try again, or restart")]
    Device(String),
}

/// What a picture of a mesh shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PictureOptions {
    /// Width and height in pixels.
    pub size_px: [u32; 2],
    /// How the surface looks.
    pub shading: Shading,
    /// Leave the background out; the shadow stays.
    pub transparent: bool,
    /// Where the viewer stands; `None` shows the whole mesh at a three-quarter angle.
    pub camera: Option<Camera>,
    /// What is drawn besides.
    pub overlays: Overlays,
    /// The colours around the object.
    pub theme: Theme,
}

impl Default for PictureOptions {
    fn default() -> Self {
        Self {
            size_px: [256, 256],
            shading: Shading::Textured,
            transparent: false,
            camera: None,
            overlays: Overlays {
                axes: false,
                ..Overlays::default()
            },
            theme: Theme::Dark,
        }
    }
}

/// A picture in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RgbaPicture {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Encoded red, green, blue, and alpha that they are not multiplied by; rows from the top.
    pub pixels: Vec<[u8; 4]>,
}

/// A renderer with what it takes to read pictures back.
pub struct Studio {
    renderer: Arc<Renderer>,
    watch: DeviceWatch,
}

impl Studio {
    /// Opens the graphics adapter that the system prefers, a graphics card before software.
    ///
    /// # Errors
    ///
    /// [`NoAdapter`], with the packages to install.
    pub fn new() -> Result<Self, NoAdapter> {
        Self::with_options(&RendererOptions::default())
    }

    /// As [`Self::new`], with another number of samples.
    ///
    /// # Errors
    ///
    /// [`NoAdapter`].
    pub fn with_options(options: &RendererOptions) -> Result<Self, NoAdapter> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let adapter = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..wgpu::RequestAdapterOptions::default()
        }))
        .map_err(|source| NoAdapter::Missing {
            advice: NoAdapter::ADVICE,
            source,
        })?;
        Self::on_adapter(&adapter, options)
    }

    /// As [`Self::with_options`], with a chosen adapter.
    ///
    /// # Errors
    ///
    /// [`NoAdapter::Unusable`].
    pub fn on_adapter(
        adapter: &wgpu::Adapter,
        options: &RendererOptions,
    ) -> Result<Self, NoAdapter> {
        let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
            label: Some("offscreen pictures"),
            required_limits: required_limits(adapter),
            ..wgpu::DeviceDescriptor::default()
        }))
        .map_err(|source| NoAdapter::Unusable {
            name: adapter.get_info().name,
            source,
        })?;
        let watch = DeviceWatch::on(&device);
        let options = RendererOptions {
            output: wgpu::TextureFormat::Rgba8Unorm,
            ..*options
        };
        Ok(Self {
            renderer: Arc::new(Renderer::new(&device, &queue, &options)),
            watch,
        })
    }

    /// Draws with a renderer that is there already, such as the window's. Its output has to be
    /// `Rgba8Unorm` for pictures of two meshes; others work with any.
    pub fn sharing(renderer: Arc<Renderer>, watch: DeviceWatch) -> Self {
        Self { renderer, watch }
    }

    /// The renderer.
    pub fn renderer(&self) -> &Renderer {
        &self.renderer
    }

    /// Draws a mesh by itself.
    ///
    /// # Errors
    ///
    /// [`PictureError`].
    pub fn picture(
        &self,
        mesh: &Mesh,
        options: &PictureOptions,
    ) -> Result<RgbaPicture, PictureError> {
        let prepared = Prepared::new(mesh)?;
        let mesh = GpuMesh::new(&self.renderer, Arc::new(prepared));
        self.picture_of(&mesh, options)
    }

    /// Draws a mesh that is on the graphics card already.
    ///
    /// # Errors
    ///
    /// [`PictureError`].
    pub fn picture_of(
        &self,
        mesh: &GpuMesh,
        options: &PictureOptions,
    ) -> Result<RgbaPicture, PictureError> {
        let size = Vec2::from(options.size_px.map(|side| side.max(1) as f32));
        let camera = options.camera.unwrap_or_else(|| {
            let bounds: Bounds = mesh.bounds();
            Camera::framing(&bounds, Preset::ThreeQuarter, size.x / size.y)
        });
        self.frame(&Frame {
            meshes: Meshes::One(mesh),
            shading: options.shading,
            overlays: options.overlays,
            theme: options.theme,
            transparent: options.transparent,
            ..Frame::new(options.size_px, camera)
        })
    }

    /// Draws any frame.
    ///
    /// # Errors
    ///
    /// [`PictureError`].
    pub fn frame(&self, frame: &Frame<'_>) -> Result<RgbaPicture, PictureError> {
        let device = self.renderer.device();
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor {
            label: Some("offscreen picture"),
        });
        let mut target = Target::new(&self.renderer);
        self.renderer.draw(&mut encoder, &mut target, frame)?;
        let [width, height] = frame.size_px;
        let output = match &target.textures {
            Some(textures) if textures.second.is_none() => textures.first.texture.clone(),
            _ => self.composed(&mut encoder, &target, frame.size_px),
        };
        // Rows have to begin at multiples of 256 bytes.
        let row_bytes = (width * 4).next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT);
        let buffer = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("offscreen picture"),
            size: u64::from(row_bytes) * u64::from(height),
            usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
            mapped_at_creation: false,
        });
        encoder.copy_texture_to_buffer(
            output.as_image_copy(),
            wgpu::TexelCopyBufferInfo {
                buffer: &buffer,
                layout: wgpu::TexelCopyBufferLayout {
                    offset: 0,
                    bytes_per_row: Some(row_bytes),
                    rows_per_image: None,
                },
            },
            output.size(),
        );
        self.renderer.queue().submit([encoder.finish()]);
        let pixels = self.read(&buffer, width, row_bytes)?;
        Ok(RgbaPicture {
            width,
            height,
            pixels,
        })
    }

    /// The picture as a window would get it.
    fn composed(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        target: &Target,
        [width, height]: [u32; 2],
    ) -> wgpu::Texture {
        let output = self
            .renderer
            .device()
            .create_texture(&wgpu::TextureDescriptor {
                label: Some("composed picture"),
                size: wgpu::Extent3d {
                    width,
                    height,
                    depth_or_array_layers: 1,
                },
                mip_level_count: 1,
                sample_count: 1,
                dimension: wgpu::TextureDimension::D2,
                format: wgpu::TextureFormat::Rgba8Unorm,
                usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
                view_formats: &[],
            });
        let view = output.create_view(&wgpu::TextureViewDescriptor::default());
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            label: Some("composed picture"),
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view: &view,
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations {
                    load: wgpu::LoadOp::Clear(wgpu::Color::TRANSPARENT),
                    store: wgpu::StoreOp::Store,
                },
            })],
            ..wgpu::RenderPassDescriptor::default()
        });
        self.renderer.composite(&mut pass, target);
        drop(pass);
        output
    }

    /// Waits for the picture and unpacks it.
    fn read(
        &self,
        buffer: &wgpu::Buffer,
        width: u32,
        row_bytes: u32,
    ) -> Result<Vec<[u8; 4]>, PictureError> {
        let failed = |what: &dyn std::fmt::Display| {
            let reason = self.watch.lost().unwrap_or_else(|| what.to_string());
            PictureError::Device(reason)
        };
        let (sender, receiver) = mpsc::sync_channel(1);
        buffer
            .slice(..)
            .map_async(wgpu::MapMode::Read, move |result| {
                // Nobody waits any more where the studio gave up before.
                drop(sender.try_send(result));
            });
        self.renderer
            .device()
            .poll(wgpu::PollType::wait_indefinitely())
            .map_err(|error| failed(&error))?;
        receiver
            .try_recv()
            .map_err(|error| failed(&error))?
            .map_err(|error| failed(&error))?;
        if let Some(error) = self.watch.take_errors().into_iter().next() {
            return Err(PictureError::Device(error));
        }
        let mapped = buffer
            .slice(..)
            .get_mapped_range()
            .map_err(|error| failed(&error))?;
        let mut pixels = Vec::with_capacity(mapped.len() / 4);
        for row in mapped.chunks_exact(row_bytes as usize) {
            let row = row[..width as usize * 4].as_chunks::<4>().0;
            pixels.extend(row.iter().map(|pixel| unmultiplied(*pixel)));
        }
        Ok(pixels)
    }
}

/// The colour without its alpha multiplied into it, as PNG wants it.
fn unmultiplied([red, green, blue, alpha]: [u8; 4]) -> [u8; 4] {
    if alpha == 0 || alpha == 255 {
        return [red, green, blue, alpha];
    }
    let part = |value: u8| {
        let whole = (u32::from(value) * 255 + u32::from(alpha) / 2) / u32::from(alpha);
        whole.min(255) as u8
    };
    [part(red), part(green), part(blue), alpha]
}
