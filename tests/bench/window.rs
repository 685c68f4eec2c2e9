//! What the window costs: processor time of the thread that draws, from drop to first mesh, and packing a
//! mesh for the graphics card. Printed as a table; never a gate.
//!
//! The window is the real one, without a display. Time is what the drawing thread itself spent on the
//! processor, as the system counts it for a thread; handing work to the graphics driver (`submit`, which
//! with a software driver may draw on the spot) and waiting for it is measured apart.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use eframe::egui;
use eframe::egui_wgpu::{self, ScreenDescriptor};
use egui_kittest::kittest::Queryable;
use egui_kittest::wgpu::{create_render_state, default_wgpu_setup};
use egui_kittest::{Harness, TestRenderer};
use orfeas::engine::{Config, Engine};
use orfeas::formats::{self, Format, WriteOptions};
use orfeas::mesh::Mesh;
use orfeas::ui::{App, Backend, Setup};
use orfeas::view::{Picking, Prepared};

use crate::pictures;

const SIZE: egui::Vec2 = egui::vec2(1280.0, 800.0);

/// Everything, one line a figure.
pub(crate) fn print_figures() {
    if orfeas::view::adapters().is_empty() {
        println!("window: no graphics adapter to draw with");
        return;
    }
    println!("window, 1280 × 800, milliseconds of the drawing thread's processor time in a frame");
    packing();
    first_mesh();
    during_a_job(512);
    arriving_mesh();
    idle();
}

/// A sphere-like mesh of about `triangles` triangles, its vertices in rows.
fn bumpy(triangles: usize) -> Mesh {
    let rows = ((triangles / 4) as f64).sqrt() as u32;
    let columns = rows * 2;
    let mut mesh = Mesh::default();
    for row in 0..=rows {
        let polar = std::f32::consts::PI * row as f32 / rows as f32;
        for column in 0..columns {
            let turn = std::f32::consts::TAU * column as f32 / columns as f32;
            let radius = 0.45 + 0.03 * (turn * 9.0).sin() * (polar * 11.0).sin();
            mesh.positions.push([
                radius * polar.sin() * turn.cos(),
                radius * polar.cos(),
                radius * polar.sin() * turn.sin(),
            ]);
        }
    }
    for row in 0..rows {
        for column in 0..columns {
            let next = (column + 1) % columns;
            let at = |row: u32, column: u32| row * columns + column;
            let corners = [
                at(row, column),
                at(row, next),
                at(row + 1, column),
                at(row + 1, next),
            ];
            mesh.triangles.push([corners[0], corners[1], corners[2]]);
            mesh.triangles.push([corners[1], corners[3], corners[2]]);
        }
    }
    mesh
}

fn packing() {
    for millions in [0.2, 1.0, 5.0] {
        let mesh = bumpy((millions * 1e6) as usize);
        let start = Instant::now();
        let prepared = Prepared::new(&mesh);
        let packed = start.elapsed();
        let bytes = prepared.map(|prepared| prepared.size_bytes()).unwrap_or(0);
        let start = Instant::now();
        let triangles = mesh.triangles.len();
        let picking = Picking::new(Arc::new(mesh));
        let touchable = start.elapsed();
        drop(picking);
        println!(
            "  {triangles} triangles: packed in {:.2} s ({:.0} MB), touchable in {:.2} s",
            packed.as_secs_f64(),
            bytes as f64 / 1e6,
            touchable.as_secs_f64()
        );
    }
}

/// The time that this thread spent on a processor; 0 where the system does not tell.
fn thread_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|part| part.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

/// What a window's painter does, with the driver's part measured apart.
#[derive(Clone)]
struct Painter {
    state: egui_wgpu::RenderState,
    target: wgpu::TextureView,
    driver: Rc<RefCell<Duration>>,
}

impl Painter {
    fn new() -> Self {
        let state = create_render_state(
            default_wgpu_setup(),
            egui_wgpu::RendererOptions::PREDICTABLE,
        );
        let texture = state.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("window"),
            size: wgpu::Extent3d {
                width: SIZE.x as u32,
                height: SIZE.y as u32,
                depth_or_array_layers: 1,
            },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: state.target_format,
            usage: wgpu::TextureUsages::RENDER_ATTACHMENT,
            view_formats: &[],
        });
        Self {
            target: texture.create_view(&wgpu::TextureViewDescriptor::default()),
            state,
            driver: Rc::default(),
        }
    }

    /// Paints what the last frame left behind.
    fn paint(&self, harness: &Harness<'_, App>) {
        let output = harness.output();
        let pixels_per_point = output.pixels_per_point;
        let primitives = harness
            .ctx
            .tessellate(output.shapes.clone(), pixels_per_point);
        let (device, queue) = (&self.state.device, &self.state.queue);
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let screen = ScreenDescriptor {
            size_in_pixels: [SIZE.x as u32, SIZE.y as u32],
            pixels_per_point,
        };
        let mut renderer = self.state.renderer.write();
        let mut commands =
            renderer.update_buffers(device, queue, &mut encoder, &primitives, &screen);
        let pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view: &self.target,
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations::default(),
            })],
            ..wgpu::RenderPassDescriptor::default()
        });
        renderer.render(&mut pass.forget_lifetime(), &primitives, &screen);
        commands.push(encoder.finish());
        let before = thread_time();
        queue.submit(commands);
        device.poll(wgpu::PollType::wait_indefinitely()).ok();
        *self.driver.borrow_mut() += thread_time() - before;
    }
}

impl TestRenderer for Painter {
    fn setup_eframe(&self, cc: &mut eframe::CreationContext<'_>, frame: &mut eframe::Frame) {
        cc.wgpu_render_state = Some(self.state.clone());
        frame.wgpu_render_state = Some(self.state.clone());
    }

    fn handle_delta(&mut self, delta: &mut egui::TexturesDelta) {
        let (device, queue) = (&self.state.device, &self.state.queue);
        let mut renderer = self.state.renderer.write();
        for (id, images) in delta.set.drain() {
            for image in images {
                renderer.update_texture(device, queue, id, &image);
            }
        }
        for id in delta.free.drain() {
            renderer.free_texture(&id);
        }
    }

    fn render(
        &mut self,
        _ctx: &egui::Context,
        _output: &egui::FullOutput,
    ) -> Result<image::RgbaImage, String> {
        Err("it paints without being asked for a picture".to_owned())
    }
}

/// The window with what each of its frames cost.
struct Watched {
    harness: Harness<'static, App>,
    painter: Painter,
    own: Vec<Duration>,
    driver: Vec<Duration>,
    _folder: tempfile::TempDir,
}

impl Watched {
    fn open(resolution: u32) -> Option<Self> {
        let folder = tempfile::tempdir().ok()?;
        let settings = serde_json::json!({ "resolution": resolution, "memory_open": false });
        std::fs::write(folder.path().join("window.json"), settings.to_string()).ok()?;
        let setup = Setup {
            images: Vec::new(),
            backend: Backend::Running(Arc::new(Engine::start(Config::default()).ok()?)),
            config_folder: Some(folder.path().to_owned()),
            start_server: None,
            log: None,
            process_start: Instant::now(),
        };
        let painter = Painter::new();
        let harness = Harness::builder()
            .with_size(SIZE)
            .renderer(painter.clone())
            .build_eframe(|cc| App::new(cc, setup).expect("the window's threads"));
        let mut watched = Self {
            harness,
            painter,
            own: Vec::new(),
            driver: Vec::new(),
            _folder: folder,
        };
        // Shaders are compiled, and pictures of the samples handed over.
        watched.run(Duration::from_secs(10), |app| app.pictures_drawn() > 0);
        watched.own.clear();
        watched.driver.clear();
        Some(watched)
    }

    fn frame(&mut self) {
        let start = thread_time();
        let driver = *self.painter.driver.borrow();
        self.harness.step();
        self.painter.paint(&self.harness);
        let driver = *self.painter.driver.borrow() - driver;
        self.own
            .push((thread_time() - start).saturating_sub(driver));
        self.driver.push(driver);
    }

    /// Draws as often as a screen asks for, until something holds or time is up.
    fn run(&mut self, limit: Duration, holds: impl Fn(&App) -> bool) -> Duration {
        let start = Instant::now();
        while start.elapsed() < limit && !holds(self.harness.state()) {
            let frame = Instant::now();
            self.frame();
            let rest = Duration::from_micros(16_667).saturating_sub(frame.elapsed());
            std::thread::sleep(rest);
        }
        start.elapsed()
    }

    fn open_file(&mut self, name: &str, bytes: &[u8]) {
        let path = self._folder.path().join(name);
        if std::fs::write(&path, bytes).is_ok() {
            let file = Arc::new(Dropped(path));
            self.harness.input_mut().dropped_files.push(file);
        }
    }

    fn print(&self, what: &str) {
        let share = |times: &[Duration], part: f64| {
            let mut times = times.to_vec();
            times.sort_unstable();
            let at = ((times.len() as f64 * part).ceil() as usize).saturating_sub(1);
            times.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e3)
        };
        println!(
            "  {what}: {} frames, median {:.2}, p99 {:.2}, worst {:.2} (the driver's part: median {:.2}, worst {:.2})",
            self.own.len(),
            share(&self.own, 0.5),
            share(&self.own, 0.99),
            share(&self.own, 1.0),
            share(&self.driver, 0.5),
            share(&self.driver, 1.0),
        );
    }

    fn sees(&self, label: &str) -> bool {
        let mut found = self.harness.query_all_by_label_contains(label);
        found.next().is_some()
    }
}

#[derive(Debug)]
struct Dropped(std::path::PathBuf);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &std::path::Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        std::fs::read(&self.0).map_err(|error| error.to_string())
    }
}

fn first_mesh() {
    for attempt in 0..3 {
        let Some(mut window) = Watched::open(256) else {
            return;
        };
        let empty = window.harness.state().pictures_drawn();
        let image = pictures::disc_png(1024);
        window.open_file(&format!("disc {attempt}.png"), &image);
        let took = window.run(Duration::from_secs(20), |app| {
            app.shows_an_object() && app.pictures_drawn() > empty
        });
        println!(
            "  drop to first mesh on screen, 1024² cut-out: {:.0} ms",
            took.as_secs_f64() * 1e3
        );
    }
}

fn during_a_job(resolution: u32) {
    let Some(mut window) = Watched::open(resolution) else {
        return;
    };
    window.open_file("disc.png", &pictures::disc_png(1024));
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(240) && !window.sees("Finished") {
        window.run(Duration::from_millis(200), |_| false);
    }
    // The finished mesh arrives too.
    window.run(Duration::from_secs(3), |_| false);
    window.print(&format!("during a {resolution}³ job"));
}

fn arriving_mesh() {
    let Some(mut window) = Watched::open(64) else {
        return;
    };
    let mesh = bumpy(5_000_000);
    let path = window._folder.path().join("large.ply");
    if formats::save(&mesh, &path, Format::Ply, &WriteOptions::default()).is_err() {
        return;
    }
    drop(mesh);
    window
        .harness
        .input_mut()
        .dropped_files
        .push(Arc::new(Dropped(path)));
    let took = window.run(Duration::from_secs(120), App::shows_an_object);
    println!(
        "  drop to 5 million triangles on screen: {:.1} s",
        took.as_secs_f64()
    );
    window.run(Duration::from_secs(2), |_| false);
    window.print("while 5 million triangles arrive");
}

/// The share of a processor that the whole process takes while nothing happens.
fn idle() {
    let Some(mut window) = Watched::open(64) else {
        return;
    };
    window.run(Duration::from_secs(2), |_| false);
    let process_time = || {
        let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let after = text.rsplit(')').next().unwrap_or_default().to_owned();
        let ticks: u64 = after
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|part| part.parse::<u64>().ok())
            .sum();
        ticks as f64 / 100.0
    };
    let (start, spent) = (Instant::now(), process_time());
    let mut frames = 0;
    // As a window: a frame when one was asked for, and none otherwise.
    while start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(10));
        if window.harness.ctx.has_requested_repaint() {
            window.frame();
            frames += 1;
        }
    }
    println!(
        "  idle for 20 s: {frames} frames, {:.2} % of a processor",
        (process_time() - spent) / start.elapsed().as_secs_f64() * 100.0
    );
}
