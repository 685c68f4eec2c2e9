//! The bridge between the window and [`crate::view`]: pointer and keys become a camera, meshes become
//! pictures, and a picture is drawn only when something on it changed.
//!
//! Meshes are prepared on a lane and handed to the graphics card in slices between frames. A refinement
//! fades in where the last one stood, and never moves the camera.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use eframe::egui::{self, Rect, Sense, Ui, WidgetInfo};
use eframe::egui_wgpu;
use glam::Vec3;

use super::compare::Comparison;
use super::desk::{Desk, LaneOf, Message, Problem};
use super::details::{self, Details, Ready};
use super::orbit::Turntable;
use super::project::Shown;
use super::stage::{Draw, Picture, Stage};
use super::{ruler, theme};
use crate::mesh::Mesh;
use crate::store::RecordId;
use crate::view::{
    Bounds, Camera, CameraRig, DeviceWatch, Preset, Ray, Renderer, RendererOptions, Shading, Theme,
    Upload,
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

/// A mesh that is to be seen.
#[derive(Clone)]
pub(super) struct ToShow {
    pub(super) key: MeshKey,
    pub(super) shown: Shown,
    /// Whether the surface ends nowhere, where that is known.
    pub(super) closed: Option<bool>,
}

/// What a lane brings.
pub(super) enum ViewMessage {
    /// Shaders are compiled, for a device.
    Renderer(Renderer),
    Mesh(Ready),
    Details(Details),
    /// The mesh of a record that is compared with.
    Other(RecordId, Result<Arc<Mesh>, Problem>),
}

/// The viewport.
pub(super) struct Viewport {
    pub(super) look: Look,
    pub(super) turntable: Turntable,
    pub(super) comparison: Option<Comparison>,
    state: State,
    pub(super) rig: CameraRig,
    cameras: BTreeMap<u64, Camera>,
    /// The object that the camera was framed for.
    framed: Option<u64>,
    wanted: Option<MeshKey>,
    newest: Arc<AtomicU64>,
    pub(super) bounds: Bounds,
    details: Option<Details>,
    /// The mesh whose details were asked for.
    explored: Option<MeshKey>,
    /// What the pointer took hold of.
    pub(super) held: Option<Vec3>,
    pub(super) aspect: f32,
    theme: Theme,
    start: Instant,
    watch: Option<DeviceWatch>,
    device: Option<wgpu::Device>,
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
        let mut viewport = Self {
            look: Look::default(),
            turntable: Turntable::default(),
            comparison: None,
            state: State::Without,
            rig: CameraRig::new(Camera::default(), false),
            cameras: BTreeMap::new(),
            framed: None,
            wanted: None,
            newest: Arc::default(),
            bounds: Bounds::UNIT,
            details: None,
            explored: None,
            held: None,
            aspect: 1.0,
            theme: Theme::Dark,
            start: Instant::now(),
            watch: None,
            device: None,
        };
        viewport.draw_with(cc.wgpu_render_state.as_ref(), desk);
        viewport
    }

    /// Goes over to a graphics device, the first one or one in the place of a lost one. What was on the
    /// graphics card is handed over anew; camera, look and comparison stay as they are.
    pub(super) fn draw_with(&mut self, render: Option<&egui_wgpu::RenderState>, desk: &Desk) {
        self.watch = render.map(|render| {
            let watch = DeviceWatch::on(&render.device);
            watch.ask_through(&render.device, &render.queue);
            let inbox = desk.inbox.clone();
            // A window that rests would not notice.
            watch.when_lost(move || inbox.wake());
            watch
        });
        self.device = render.map(|render| render.device.clone());
        let Some(render) = render else {
            self.state = State::Without;
            return;
        };
        self.state = State::Preparing;
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
    }

    pub(super) fn clock(&self) -> Duration {
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
                self.explored = None;
                if let Some(comparison) = &mut self.comparison {
                    comparison.wanted = None;
                }
            }
            ViewMessage::Mesh(ready) => self.take_mesh(ready),
            ViewMessage::Details(details) => {
                if self.explored == Some(details.key) {
                    self.take_details(details);
                }
            }
            ViewMessage::Other(record, mesh) => {
                if let Some(comparison) = &mut self.comparison {
                    comparison.loaded(record, mesh);
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

    fn take_mesh(&mut self, ready: Ready) {
        if let Some(comparison) = &mut self.comparison
            && comparison.wanted == Some(ready.key)
        {
            comparison.bounds = Some(ready.prepared.bounds());
            if let Some(mut stage) = self.stage() {
                stage.other_upload = Some((ready.key, Upload::new(ready.prepared)));
            }
            return;
        }
        let object = ready.key.object;
        if self.wanted.is_none_or(|wanted| wanted.object != object) {
            return;
        }
        let bounds = ready.prepared.bounds();
        if let Some(mut stage) = self.stage() {
            let shown = stage.now.as_ref().map(|(key, _)| *key);
            if shown
                .is_some_and(|shown| shown.object == object && shown.revision >= ready.key.revision)
            {
                return;
            }
            stage.upload = Some((ready.key, Upload::new(ready.prepared)));
        }
        self.bounds = bounds;
        if self.framed != Some(object) {
            self.framed = Some(object);
            let camera = self.cameras.get(&object).copied();
            let camera = camera
                .unwrap_or_else(|| Camera::framing(&bounds, Preset::ThreeQuarter, self.aspect));
            *self.rig.grab(self.start.elapsed()) = camera;
        }
    }

    fn take_details(&mut self, mut details: Details) {
        let lines = details
            .open_edges
            .as_mut()
            .and_then(|edges| edges.lines.take());
        let key = details.key;
        self.details = Some(details);
        if let Some(mut stage) = self.stage() {
            stage.highlight = lines.map(|lines| (key, lines));
        }
    }

    /// Frames the object, or both that are compared.
    pub(super) fn frame(&mut self) {
        let other = self
            .comparison
            .as_ref()
            .and_then(|comparison| comparison.bounds);
        let bounds = other.map_or(self.bounds, |other| self.bounds.union(&other));
        let camera = self.rig.destination().framed(&bounds, self.aspect);
        self.rig.go_to(camera, self.clock());
    }

    /// How many edges the surface on screen ends at, once they were looked for.
    pub(super) fn open_edges(&self) -> Option<usize> {
        let details = self.details_on_screen()?;
        details.open_edges.as_ref().map(|edges| edges.count)
    }

    /// Frames the open edges, from the side that they are on.
    pub(super) fn frame_open_edges(&mut self) {
        let Some(edges) = self
            .details_on_screen()
            .and_then(|details| details.open_edges.as_ref())
        else {
            return;
        };
        let (bounds, middle) = (edges.bounds, edges.middle);
        let mut camera = self.rig.destination();
        let outwards = middle - self.bounds.centre();
        if outwards.length() > self.bounds.radius() * 0.1 {
            camera.yaw = outwards.x.atan2(outwards.z);
            // Straight up or down an edge around a hole looks like a line as often as not.
            camera.pitch = (outwards.y / outwards.length()).asin().clamp(-1.1, 1.1);
        }
        let margin = Vec3::splat(self.bounds.radius() * 0.08);
        let around = Bounds {
            min: bounds.min - margin,
            max: bounds.max + margin,
        };
        self.rig
            .go_to(camera.framed(&around, self.aspect), self.clock());
    }

    fn details_on_screen(&self) -> Option<&Details> {
        let details = self.details.as_ref()?;
        (Some(details.key) == self.wanted).then_some(details)
    }

    /// Where a ray meets the object, once that can be told.
    pub(super) fn hit(&self, ray: &Ray) -> Option<Vec3> {
        let details = self.details.as_ref()?;
        details.picking.hit(ray).map(|hit| hit.point)
    }

    /// What draws, and how the object is seen; `None` where nothing can be drawn.
    pub(super) fn as_seen(&self) -> Option<(Arc<Renderer>, DeviceWatch, View)> {
        let (renderer, watch) = self.studio()?;
        let view = View {
            camera: self.rig.at(self.clock()),
            look: self.look,
            theme: self.theme,
            aspect: self.aspect,
        };
        Some((renderer, watch, view))
    }

    /// What draws; `None` where nothing can be drawn.
    pub(super) fn studio(&self) -> Option<(Arc<Renderer>, DeviceWatch)> {
        let renderer = Arc::clone(&self.stage()?.renderer);
        Some((renderer, self.watch.clone()?))
    }

    /// What the graphics driver complained about since the last call.
    pub(super) fn complaints(&self) -> Vec<Problem> {
        let errors = self.watch.as_ref().map(DeviceWatch::take_errors);
        let problem = |error| Problem::new("The graphics driver reported an error", error);
        errors.into_iter().flatten().map(problem).collect()
    }

    /// What watches the device in use.
    pub(super) fn watch(&self) -> Option<DeviceWatch> {
        self.watch.clone()
    }

    /// Why nothing can be drawn any more, once the graphics device is gone.
    pub(super) fn lost(&self) -> Option<String> {
        self.watch.as_ref()?.lost()
    }

    pub(super) fn ask_device(&self) -> Option<String> {
        self.watch.as_ref()?.ask()
    }

    /// Whether what is compared with is not on the graphics card yet.
    pub(super) fn shows_no_other(&self) -> bool {
        self.stage().is_none_or(|stage| stage.other.is_none())
    }

    pub(super) fn shows_an_object(&self) -> bool {
        self.stage().is_some_and(|stage| stage.now.is_some())
    }

    /// How many pictures were drawn since the graphics device is in use.
    pub(super) fn pictures(&self) -> u64 {
        self.stage().map_or(0, |stage| stage.pictures)
    }

    /// Shows an object in a rectangle.
    pub(super) fn show(
        &mut self,
        ui: &mut Ui,
        rect: Rect,
        object: Option<u64>,
        mesh: Option<ToShow>,
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
        self.want_other(desk);
        let visible = self.wanted.is_some();
        if visible {
            self.turn(ui);
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
                if visible && self.look.grid && self.framed == object {
                    ruler::show(self, ui, rect, mm_per_unit);
                }
                if visible {
                    self.wipe(ui, rect);
                }
            }
        }
    }

    /// Asks for a mesh to be prepared, where it is not the one that was asked for last, and for its
    /// details once it is finished.
    fn want(&mut self, object: Option<u64>, mesh: Option<ToShow>, desk: &Desk) {
        let key = mesh.as_ref().map(|mesh| mesh.key);
        if self.framed.is_some_and(|framed| Some(framed) != object) {
            self.framed = None;
            self.details = None;
            self.explored = None;
            self.turntable = Turntable::default();
            if let Some(mut stage) = self.stage() {
                stage.clear();
            }
        }
        let changed = key != self.wanted;
        self.wanted = key;
        let (Some(mesh), Some(renderer)) = (mesh, self.renderer()) else {
            return;
        };
        let key = mesh.key;
        if changed {
            self.newest.store(key.revision, Ordering::Relaxed);
            let newest = Arc::clone(&self.newest);
            // The first one is shown however soon the next one follows.
            let is_first = self.framed != Some(key.object);
            let shown = mesh.shown.clone();
            desk.run(LaneOf::Views, move |inbox| {
                if is_first || newest.load(Ordering::Relaxed) == key.revision {
                    details::prepare(inbox, key, &shown);
                }
            });
        }
        if let Shown::Mesh(finished) = mesh.shown
            && self.explored != Some(key)
        {
            self.explored = Some(key);
            let open = mesh.closed == Some(false);
            desk.run(LaneOf::Views, move |inbox| {
                details::explore(inbox, key, finished, open, &renderer);
            });
        }
    }

    /// Asks for the mesh that is compared with to be prepared, where that was not done.
    fn want_other(&mut self, desk: &Desk) {
        if self.renderer().is_none() {
            return;
        }
        let other = self.comparison.as_mut();
        if let Some((key, shown)) = other.and_then(Comparison::newly_wanted) {
            desk.run(LaneOf::Views, move |inbox| {
                details::prepare(inbox, key, &shown);
            });
        }
    }

    fn renderer(&self) -> Option<Arc<Renderer>> {
        self.stage().map(|stage| Arc::clone(&stage.renderer))
    }

    /// Shows one object alone again.
    pub(super) fn stop_comparing(&mut self) {
        self.comparison = None;
        if let Some(mut stage) = self.stage() {
            stage.other = None;
            stage.other_upload = None;
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
            wipe: self.comparison.as_ref().map(|compared| compared.position),
            other: None,
            highlight: false,
        };
        let busy = stage
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_busy();
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
