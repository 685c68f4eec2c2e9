//! The viewport's part that belongs to the graphics card: the mesh on it, the one on its way, and the last
//! picture, which is drawn anew only when something on it changed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use eframe::egui;
use eframe::egui_wgpu::{self, CallbackResources, ScreenDescriptor};

use super::viewport::{Look, MeshKey};
use crate::view::{
    Camera, Frame, GpuLines, GpuMesh, Meshes, Overlays, Renderer, Target, Theme, Upload, ease,
};

/// How long a refinement takes to fade in.
const FADE: Duration = Duration::from_millis(110);
/// What is handed to the graphics card between two frames, in bytes.
const UPLOAD_BYTES: usize = 2 << 20;

/// What belongs to the graphics card; shared with the callback that draws.
pub(super) struct Stage {
    pub(super) renderer: Arc<Renderer>,
    target: Target,
    pub(super) now: Option<(MeshKey, GpuMesh)>,
    before: Option<GpuMesh>,
    pub(super) fading_since: Option<Instant>,
    pub(super) upload: Option<(MeshKey, Upload)>,
    /// Nothing fades.
    pub(super) reduced_motion: bool,
    /// What is compared with, on screen and on its way.
    pub(super) other: Option<(MeshKey, GpuMesh)>,
    pub(super) other_upload: Option<(MeshKey, Upload)>,
    /// The open edges of a mesh.
    pub(super) highlight: Option<(MeshKey, GpuLines)>,
    drawn: Option<Picture>,
    /// How many pictures were drawn.
    pub(super) pictures: u64,
}

/// Everything that a picture depends on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Picture {
    pub(super) size_px: [u32; 2],
    pub(super) pixels_per_point: f32,
    pub(super) camera: Camera,
    pub(super) look: Look,
    pub(super) theme: Theme,
    pub(super) mm_per_unit: f32,
    pub(super) mesh: Option<MeshKey>,
    /// How much of the newer mesh is seen.
    pub(super) weight: f32,
    /// Where the line between two compared meshes is, 0 … 1 across.
    pub(super) wipe: Option<f32>,
    pub(super) other: Option<MeshKey>,
    pub(super) highlight: bool,
}

/// Draws the stage, where its picture changed, and copies it into the window.
pub(super) struct Draw {
    pub(super) stage: Arc<Mutex<Stage>>,
    pub(super) picture: Picture,
    pub(super) ctx: egui::Context,
}

impl egui_wgpu::CallbackTrait for Draw {
    fn prepare(
        &self,
        device: &wgpu::Device,
        _queue: &wgpu::Queue,
        _screen: &ScreenDescriptor,
        _encoder: &mut wgpu::CommandEncoder,
        _resources: &mut CallbackResources,
    ) -> Vec<wgpu::CommandBuffer> {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        stage.upload_some();
        let mut picture = self.picture;
        picture.mesh = stage.now.as_ref().map(|(key, _)| *key);
        picture.weight = stage.weight();
        picture.other = stage.other.as_ref().map(|(key, _)| *key);
        picture.highlight = stage
            .highlight
            .as_ref()
            .is_some_and(|(key, _)| Some(*key) == picture.mesh);
        if stage.is_busy() {
            self.ctx.request_repaint();
        }
        if stage.drawn == Some(picture) {
            return Vec::new();
        }
        stage.draw(device, picture).into_iter().collect()
    }

    fn paint(
        &self,
        _info: egui::PaintCallbackInfo,
        pass: &mut wgpu::RenderPass<'static>,
        _resources: &CallbackResources,
    ) {
        let stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        stage.renderer.composite(pass, &stage.target);
    }
}

impl Stage {
    /// A stage with nothing on it.
    pub(super) fn new(renderer: Renderer) -> Self {
        Self {
            target: Target::new(&renderer),
            renderer: Arc::new(renderer),
            now: None,
            before: None,
            fading_since: None,
            upload: None,
            reduced_motion: false,
            other: None,
            other_upload: None,
            highlight: None,
            drawn: None,
            pictures: 0,
        }
    }

    /// Whether the next frame has more to do.
    pub(super) fn is_busy(&self) -> bool {
        self.upload.is_some() || self.other_upload.is_some() || self.fading_since.is_some()
    }

    /// Takes everything off it.
    pub(super) fn clear(&mut self) {
        self.now = None;
        self.before = None;
        self.fading_since = None;
        self.upload = None;
        self.highlight = None;
        self.drawn = None;
    }

    /// Hands some more of a mesh to the graphics card; one that is complete begins to fade in.
    fn upload_some(&mut self) {
        let Some((key, upload)) = &mut self.upload else {
            self.upload_some_of_other();
            return;
        };
        let key = *key;
        let Some(mesh) = upload.step(&self.renderer, UPLOAD_BYTES) else {
            return;
        };
        self.upload = None;
        self.before = self
            .now
            .take()
            .filter(|(old, _)| old.object == key.object && !self.reduced_motion)
            .map(|(_, mesh)| mesh);
        self.fading_since = self.before.as_ref().map(|_| Instant::now());
        self.now = Some((key, mesh));
    }

    fn upload_some_of_other(&mut self) {
        if let Some((key, upload)) = &mut self.other_upload
            && let Some(mesh) = upload.step(&self.renderer, UPLOAD_BYTES)
        {
            self.other = Some((*key, mesh));
            self.other_upload = None;
        }
    }

    /// How much of the newer mesh is seen now.
    fn weight(&mut self) -> f32 {
        let Some(since) = self.fading_since else {
            return 1.0;
        };
        let part = since.elapsed().as_secs_f32() / FADE.as_secs_f32();
        if part >= 1.0 {
            self.fading_since = None;
            self.before = None;
            return 1.0;
        }
        ease(part)
    }

    fn draw(&mut self, device: &wgpu::Device, picture: Picture) -> Option<wgpu::CommandBuffer> {
        let compared = self.other.as_ref().zip(picture.wipe);
        let meshes = match (&self.now, compared, &self.before) {
            (None, ..) => Meshes::None,
            (Some((_, left)), Some(((_, right), position)), _) => Meshes::Wipe {
                left,
                right,
                position,
            },
            (Some((_, to)), None, Some(from)) => Meshes::Fade {
                from,
                to,
                weight: picture.weight,
            },
            (Some((_, mesh)), None, None) => Meshes::One(mesh),
        };
        let highlight = self.highlight.as_ref();
        let highlight = highlight.filter(|_| picture.highlight);
        let there = self.now.is_some();
        let frame = Frame {
            pixels_per_point: picture.pixels_per_point,
            meshes,
            shading: picture.look.shading,
            overlays: Overlays {
                wireframe: picture.look.edges,
                grid: there && picture.look.grid,
                axes: there && picture.look.axes,
                shadow: there,
            },
            highlight: highlight.map(|(_, lines)| lines),
            theme: picture.theme,
            mm_per_unit: picture.mm_per_unit,
            ..Frame::new(picture.size_px, picture.camera)
        };
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor {
            label: Some("viewport"),
        });
        match self.renderer.draw(&mut encoder, &mut self.target, &frame) {
            Ok(()) => {
                self.drawn = Some(picture);
                self.pictures += 1;
                Some(encoder.finish())
            }
            Err(error) => {
                tracing::warn!(%error, "the viewport was not drawn");
                None
            }
        }
    }
}
