//! The bridge between the window and [`crate::view`]: pointer and keys become a camera, meshes become
//! pictures, and a picture is drawn only when something on it changed.
//!
//! Meshes are prepared on a lane and handed to the graphics card in slices between frames. A refinement
//! fades in where the last one stood, and never moves the camera.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use eframe::egui::{self, Key, Modifiers, PointerButton, Rect, Response, Sense, Ui, WidgetInfo};
use eframe::egui_wgpu;
use glam::{Vec2, Vec3};

use super::desk::{Desk, Inbox, LaneOf, Message, Problem};
use super::project::Shown;
use super::stage::{Draw, Picture, Stage};
use super::theme;
use crate::view::{
    Bounds, Camera, CameraRig, DeviceWatch, Picking, Prepared, Preset, Ray, Renderer,
    RendererOptions, Shading, Theme, Upload, gizmo_hit,
};

/// How the object looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) shading: Shading,
    pub(super) grid: bool,
    pub(super) edges: bool,
    pub(super) axes: bool,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            shading: Shading::Textured,
            grid: true,
            edges: false,
            axes: true,
        }
    }
}

/// Which mesh of which object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MeshKey {
    pub(super) object: u64,
    pub(super) revision: u64,
}

/// How the object is seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    pub(super) camera: Camera,
    pub(super) look: Look,
    pub(super) theme: Theme,
    /// Width over height.
    pub(super) aspect: f32,
}

/// A mesh that can be handed to the graphics card.
pub(super) struct Ready {
    key: MeshKey,
    prepared: Arc<Prepared>,
    picking: Option<Arc<Picking>>,
}

/// What a view lane brings.
pub(super) enum ViewMessage {
    /// Shaders are compiled.
    Renderer(Renderer),
    Mesh(Ready),
}

/// The viewport.
pub(super) struct Viewport {
    pub(super) look: Look,
    state: State,
    rig: CameraRig,
    cameras: BTreeMap<u64, Camera>,
    /// The object that the camera was framed for.
    framed: Option<u64>,
    wanted: Option<MeshKey>,
    newest: Arc<AtomicU64>,
    bounds: Bounds,
    picking: Option<Arc<Picking>>,
    /// What the pointer took hold of.
    held: Option<Vec3>,
    aspect: f32,
    theme: Theme,
    start: Instant,
    watch: Option<DeviceWatch>,
}

/// Whether anything can be drawn.
enum State {
    /// The window has no graphics device, as in some tests.
    Without,
    /// Shaders are being compiled.
    Preparing,
    /// Ready to draw.
    Ready(Arc<Mutex<Stage>>),
}

impl Viewport {
    pub(super) fn new(cc: &eframe::CreationContext<'_>, desk: &Desk) -> Self {
        let state = match &cc.wgpu_render_state {
            None => State::Without,
            Some(render) => {
                let (device, queue) = (render.device.clone(), render.queue.clone());
                let options = RendererOptions {
                    // Without a graphics card every sample costs.
                    samples: match render.adapter.get_info().device_type {
                        wgpu::DeviceType::Cpu => 1,
                        _ => 4,
                    },
                    output: render.target_format,
                };
                desk.run(LaneOf::Views, move |inbox| {
                    let renderer = Renderer::new(&device, &queue, &options);
                    inbox.send(Message::View(ViewMessage::Renderer(renderer)));
                });
                State::Preparing
            }
        };
        Self {
            look: Look::default(),
            state,
            rig: CameraRig::new(Camera::default(), false),
            cameras: BTreeMap::new(),
            framed: None,
            wanted: None,
            newest: Arc::default(),
            bounds: Bounds::UNIT,
            picking: None,
            held: None,
            aspect: 1.0,
            theme: Theme::Dark,
            start: Instant::now(),
            watch: cc
                .wgpu_render_state
                .as_ref()
                .map(|render| DeviceWatch::on(&render.device)),
        }
    }

    fn clock(&self) -> Duration {
        self.start.elapsed()
    }

    fn stage(&self) -> Option<MutexGuard<'_, Stage>> {
        match &self.state {
            State::Ready(stage) => Some(stage.lock().unwrap_or_else(PoisonError::into_inner)),
            State::Without | State::Preparing => None,
        }
    }

    /// What a lane brought.
    pub(super) fn receive(&mut self, message: ViewMessage) {
        match message {
            ViewMessage::Renderer(renderer) => {
                let mut stage = Stage::new(renderer);
                stage.reduced_motion = self.rig.reduced_motion;
                self.state = State::Ready(Arc::new(Mutex::new(stage)));
                // Whatever was asked for before is asked for again.
                self.wanted = None;
            }
            ViewMessage::Mesh(ready) => {
                if self
                    .wanted
                    .is_none_or(|wanted| wanted.object != ready.key.object)
                {
                    return;
                }
                let bounds = ready.prepared.bounds();
                if let Some(mut stage) = self.stage() {
                    let shown = stage.now.as_ref().map(|(key, _)| *key);
                    if shown.is_some_and(|shown| {
                        shown.object == ready.key.object && shown.revision >= ready.key.revision
                    }) {
                        return;
                    }
                    stage.upload = Some((ready.key, Upload::new(ready.prepared)));
                }
                self.bounds = bounds;
                self.picking = ready.picking;
                if self.framed != Some(ready.key.object) {
                    self.framed = Some(ready.key.object);
                    let camera = self.cameras.get(&ready.key.object).copied();
                    let camera = camera.unwrap_or_else(|| {
                        Camera::framing(&bounds, Preset::ThreeQuarter, self.aspect)
                    });
                    *self.rig.grab(self.start.elapsed()) = camera;
                }
            }
        }
    }

    /// Whether the camera jumps and meshes replace each other at once.
    pub(super) fn set_reduced_motion(&mut self, reduced: bool) {
        self.rig.reduced_motion = reduced;
        if let Some(mut stage) = self.stage() {
            stage.reduced_motion = reduced;
        }
    }

    /// Frames the object.
    pub(super) fn frame(&mut self) {
        let camera = self.rig.destination().framed(&self.bounds, self.aspect);
        self.rig.go_to(camera, self.clock());
    }

    /// What draws, and how the object is seen; `None` where nothing can be drawn.
    pub(super) fn as_seen(&self) -> Option<(Arc<Renderer>, DeviceWatch, View)> {
        let renderer = Arc::clone(&self.stage()?.renderer);
        let view = View {
            camera: self.rig.at(self.clock()),
            look: self.look,
            theme: self.theme,
            aspect: self.aspect,
        };
        Some((renderer, self.watch.clone()?, view))
    }

    /// What the graphics driver complained about since the last call.
    pub(super) fn complaints(&self) -> Vec<Problem> {
        let Some(watch) = &self.watch else {
            return Vec::new();
        };
        let mut problems: Vec<_> = watch
            .take_errors()
            .into_iter()
            .map(|error| Problem::new("The graphics driver reported an error", error))
            .collect();
        if let Some(reason) = watch.lost() {
            problems.push(Problem::new(
                "The graphics device was lost; restart Orfeas to see the object again",
                format!("{reason}; what was finished is kept in the history"),
            ));
        }
        problems
    }

    /// Shows an object in a rectangle. `mesh` is the revision of what is shown, and the mesh.
    pub(super) fn show(
        &mut self,
        ui: &mut Ui,
        rect: Rect,
        object: Option<u64>,
        mesh: Option<(u64, Shown)>,
        mm_per_unit: f32,
        desk: &Desk,
    ) {
        let response = ui.interact(
            rect,
            ui.scope_id().with("viewport"),
            Sense::click_and_drag(),
        );
        response.widget_info(|| WidgetInfo::labeled(egui::Role::Image, true, "Viewport"));
        ground(ui, rect);
        self.aspect = rect.width() / rect.height().max(1.0);
        self.theme = match ui.visuals().dark_mode {
            true => Theme::Dark,
            false => Theme::Light,
        };
        self.want(object, mesh, desk);
        let visible = self.wanted.is_some();
        if visible {
            self.point(ui, &response, rect);
            self.keys(ui);
            if let Some(object) = object
                && self.framed == Some(object)
            {
                self.cameras.insert(object, self.rig.destination());
            }
        }
        match &self.state {
            State::Without if visible => say(
                ui,
                rect,
                "No graphics adapter: the object cannot be shown, but it can be exported",
            ),
            State::Without | State::Preparing => {}
            State::Ready(stage) => {
                let stage = Arc::clone(stage);
                self.paint(ui, rect, &stage, mm_per_unit);
            }
        }
    }

    /// Asks for a mesh to be prepared, where it is not the one that was asked for last.
    fn want(&mut self, object: Option<u64>, mesh: Option<(u64, Shown)>, desk: &Desk) {
        let key = object
            .zip(mesh.as_ref())
            .map(|(object, (revision, _))| MeshKey {
                object,
                revision: *revision,
            });
        if key == self.wanted {
            return;
        }
        let switched = key.map(|key| key.object) != self.wanted.map(|key| key.object);
        self.wanted = key;
        if switched && let Some(mut stage) = self.stage() {
            stage.clear();
        }
        if switched {
            self.framed = None;
            self.picking = None;
        }
        let (Some(key), Some((_, shown)), State::Ready(_)) = (key, mesh, &self.state) else {
            return;
        };
        self.newest.store(key.revision, Ordering::Relaxed);
        let newest = Arc::clone(&self.newest);
        // The first one is shown however soon the next one follows.
        let is_first = self.framed != Some(key.object);
        desk.run(LaneOf::Views, move |inbox| {
            if is_first || newest.load(Ordering::Relaxed) == key.revision {
                prepare(inbox, key, &shown);
            }
        });
    }

    /// The pointer becomes a camera.
    fn point(&mut self, ui: &Ui, response: &Response, rect: Rect) {
        let size = Vec2::new(rect.width(), rect.height());
        let now = self.clock();
        let camera = self.rig.at(now);
        let local = |at: egui::Pos2| Vec2::new(at.x - rect.left(), at.y - rect.top());
        let ndc = |at: egui::Pos2| {
            let at = local(at) / size;
            Vec2::new(at.x * 2.0 - 1.0, 1.0 - at.y * 2.0)
        };
        if response.clicked()
            && let Some(at) = response.interact_pointer_pos()
            && let Some(axis) = gizmo_hit(&camera, size, local(at))
        {
            self.rig.go_to(camera.looking_from(axis.preset()), now);
            return;
        }
        if response.double_clicked() {
            self.frame();
            return;
        }
        if response.drag_started() || response.is_pointer_button_down_on() && self.held.is_none() {
            let at = ui.input(|input| input.pointer.press_origin());
            self.held = at.map(|at| self.grip(&camera.ray(ndc(at), self.aspect), ndc(at)));
        }
        let moved = response.drag_delta();
        if moved != egui::Vec2::ZERO
            && let Some(held) = self.held
        {
            let shift = ui.input(|input| input.modifiers.shift);
            let pan = shift || response.dragged_by(PointerButton::Middle);
            let camera = self.rig.grab(now);
            if pan {
                let moved = Vec2::new(moved.x, -moved.y) / size * 2.0;
                camera.pan(held, moved, rect.width() / rect.height());
            } else {
                // A drag across the height of the viewport is half a turn.
                let turn = Vec2::new(moved.x, moved.y) * (std::f32::consts::PI / size.y);
                camera.orbit_about(held, turn);
            }
        }
        if !response.is_pointer_button_down_on() && !response.dragged() {
            self.held = None;
        }
        if response.hovered() {
            let (scroll, pinch) =
                ui.input(|input| (input.smooth_scroll_delta.y, input.zoom_delta()));
            let factor = (-scroll * 0.0025).exp() / pinch;
            if (factor - 1.0).abs() > 1e-4
                && let Some(at) = response.hover_pos()
            {
                let anchor = self.grip(&self.rig.at(now).ray(ndc(at), self.aspect), ndc(at));
                let radius = self.bounds.radius();
                self.rig.grab(now).zoom_to(anchor, factor, radius);
            }
        }
    }

    /// The point of the object under the pointer, or else the one at the depth of the focus.
    fn grip(&self, ray: &Ray, ndc: Vec2) -> Vec3 {
        let hit = self.picking.as_ref().and_then(|picking| picking.hit(ray));
        hit.map_or_else(
            || {
                self.rig
                    .at(self.clock())
                    .point_on_focal_plane(ndc, self.aspect)
            },
            |hit| hit.point,
        )
    }

    fn keys(&mut self, ui: &Ui) {
        let ctx = ui.ctx();
        if ctx.text_edit_focused() {
            return;
        }
        let pressed = |key| ctx.input_mut(|input| input.consume_key(Modifiers::NONE, key));
        let now = self.clock();
        let at = self.rig.destination();
        for (key, preset) in [
            (Key::Num1, Preset::Front),
            (Key::Num3, Preset::Right),
            (Key::Num7, Preset::Top),
        ] {
            if pressed(key) {
                self.rig.go_to(at.looking_from(preset), now);
            }
        }
        if pressed(Key::Num5) {
            self.rig.go_to(at.other_projection(), now);
        }
        let nothing_focused = ctx.memory(|memory| memory.focused().is_none());
        if pressed(Key::Home) || nothing_focused && pressed(Key::Enter) {
            self.frame();
        }
        if pressed(Key::E) {
            self.look.edges = !self.look.edges;
        }
        if pressed(Key::G) {
            self.look.grid = !self.look.grid;
        }
        if pressed(Key::X) {
            self.look.axes = !self.look.axes;
        }
    }

    fn paint(&mut self, ui: &Ui, rect: Rect, stage: &Arc<Mutex<Stage>>, mm_per_unit: f32) {
        let now = self.clock();
        let pixels_per_point = ui.ctx().pixels_per_point();
        let size_px = [rect.width(), rect.height()]
            .map(|side| (side * pixels_per_point).round().max(1.0) as u32);
        let picture = Picture {
            size_px,
            pixels_per_point,
            camera: self.rig.at(now),
            look: self.look,
            theme: self.theme,
            mm_per_unit,
            mesh: None,
            weight: 1.0,
        };
        let busy = {
            let stage = stage.lock().unwrap_or_else(PoisonError::into_inner);
            stage.upload.is_some() || stage.fading_since.is_some()
        };
        if busy || self.rig.moving(now) {
            ui.ctx().request_repaint();
        }
        ui.painter().add(egui_wgpu::Callback::new_paint_callback(
            rect,
            Draw {
                stage: Arc::clone(stage),
                picture,
                ctx: ui.ctx().clone(),
            },
        ));
    }
}

/// Packs a mesh for the graphics card, and makes the finished ones touchable.
fn prepare(inbox: &Inbox, key: MeshKey, shown: &Shown) {
    let prepared = match Prepared::new(shown.mesh()) {
        Ok(prepared) => Arc::new(prepared),
        Err(error) => {
            inbox.send(Message::Notice(Problem::new(
                "The mesh cannot be shown",
                error,
            )));
            return;
        }
    };
    let send = |picking| {
        inbox.send(Message::View(ViewMessage::Mesh(Ready {
            key,
            prepared: Arc::clone(&prepared),
            picking,
        })));
    };
    match shown {
        Shown::Level(_) => send(None),
        Shown::Mesh(mesh) => send(Some(Arc::new(Picking::new(Arc::clone(mesh))))),
    }
}

/// The studio's ground, for as long as the renderer has drawn nothing.
fn ground(ui: &Ui, rect: Rect) {
    let [top, bottom] = theme::palette(ui).viewport;
    let mut mesh = egui::Mesh::default();
    for (at, colour) in [
        (rect.left_top(), top),
        (rect.right_top(), top),
        (rect.left_bottom(), bottom),
        (rect.right_bottom(), bottom),
    ] {
        mesh.colored_vertex(at, colour);
    }
    mesh.add_triangle(0, 1, 2);
    mesh.add_triangle(2, 1, 3);
    ui.painter().add(mesh);
}

fn say(ui: &Ui, rect: Rect, text: &str) {
    let palette = theme::palette(ui);
    ui.painter().text(
        rect.center(),
        egui::Align2::CENTER_CENTER,
        text,
        super::fonts::regular(super::fonts::BODY),
        palette.secondary,
    );
}
