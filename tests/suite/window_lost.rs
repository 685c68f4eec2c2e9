//! A lost graphics device: the window goes on with another one, and what it held is still there.

use std::cell::{Cell, RefCell};
use std::io::{BufRead, BufReader, Read, Seek};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use eframe::{egui, egui_wgpu};
use egui_kittest::wgpu::{WgpuTestRenderer, create_render_state, default_wgpu_setup};
use egui_kittest::{Harness, TestRenderer};
use orfeas::ui::{self, App};

use crate::pictures;
use crate::window::{PATIENCE, Place, Window};

/// A renderer whose device can be exchanged, as a window's is.
#[derive(Clone)]
struct Exchangeable {
    state: Rc<RefCell<egui_wgpu::RenderState>>,
    renderer: Rc<RefCell<WgpuTestRenderer>>,
}

fn device() -> egui_wgpu::RenderState {
    create_render_state(
        default_wgpu_setup(),
        egui_wgpu::RendererOptions::PREDICTABLE,
    )
}

impl Exchangeable {
    fn new() -> Self {
        let state = device();
        Self {
            renderer: Rc::new(RefCell::new(WgpuTestRenderer::from_render_state(
                state.clone(),
            ))),
            state: Rc::new(RefCell::new(state)),
        }
    }

    fn lose(&self) {
        let state = self.state.borrow();
        state.device.destroy();
        // The loss is told when the device is next asked for what has become of its work.
        state.device.poll(wgpu::PollType::Poll).ok();
    }

    fn exchange(&self) -> egui_wgpu::RenderState {
        let state = device();
        *self.renderer.borrow_mut() = WgpuTestRenderer::from_render_state(state.clone());
        *self.state.borrow_mut() = state.clone();
        state
    }
}

impl TestRenderer for Exchangeable {
    fn setup_eframe(&self, cc: &mut eframe::CreationContext<'_>, frame: &mut eframe::Frame) {
        self.renderer.borrow().setup_eframe(cc, frame);
    }

    fn handle_delta(&mut self, delta: &mut egui::TexturesDelta) {
        self.renderer.borrow_mut().handle_delta(delta);
    }

    fn render(
        &mut self,
        ctx: &egui::Context,
        output: &egui::FullOutput,
    ) -> Result<image::RgbaImage, String> {
        self.renderer.borrow_mut().render(ctx, output)
    }
}

#[test]
fn a_lost_device_costs_neither_mesh_nor_camera_nor_letters() {
    if !crate::can_draw() {
        return;
    }
    let place = Place::new();
    place.settings(64);
    let image = place.write("disc.png", &pictures::disc_png(96));
    let setup = place.setup(vec![image]);
    let graphics = Exchangeable::new();
    let harness = Harness::builder()
        .with_size(egui::vec2(900.0, 640.0))
        .renderer(graphics.clone())
        .build_eframe(|cc| App::new(cc, setup).unwrap());
    let mut window = Window { harness };
    window.wait_for("Finished");
    // Another view than the one that a new object is shown in, and nothing that moves.
    window.press(egui::Modifiers::NONE, egui::Key::Num3);
    window.press(egui::Modifiers::NONE, egui::Key::M);
    let before = settled(&mut window);

    graphics.lose();
    window.wait_for_state("the loss", |app| app.lost_device().is_some());
    // A frame without a device asks for nothing that would end the process.
    assert!(window.harness.output().shapes.is_empty());
    let device = graphics.exchange();
    window.harness.state_mut().draw_with(Some(&device));
    let after = settled(&mut window);
    let different = before
        .pixels()
        .zip(after.pixels())
        .filter(|(one, other)| {
            let apart = |at: usize| one.0[at].abs_diff(other.0[at]);
            (0..3).any(|at| apart(at) > 8)
        })
        .count();
    assert!(different < 200, "{different} pixels are not what they were");
}

/// The picture of the window once frames no longer change it and the object is on it.
fn settled(window: &mut Window) -> image::RgbaImage {
    let deadline = Instant::now() + PATIENCE;
    let mut last = window.harness.render().unwrap();
    loop {
        assert!(Instant::now() < deadline, "the picture never came to rest");
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(400) {
            window.harness.step();
            std::thread::yield_now();
        }
        let now = window.harness.render().unwrap();
        if now == last && window.harness.state().pictures_drawn() > 0 {
            return now;
        }
        last = now;
    }
}

/// Set for the process that opens a real window, on a display of its own.
const REAL_WINDOW: &str = "ORFEAS_TEST_REAL_WINDOW";
const THIS_TEST: &str = "window_lost::a_real_window_is_opened_again_as_often_as_its_device_is_lost";

/// Ends with the test, however that ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn a_real_window_is_opened_again_as_often_as_its_device_is_lost() {
    if std::env::var_os(REAL_WINDOW).is_some() {
        open_and_lose_twice();
        return;
    }
    let display = Command::new("Xvfb")
        .args(["-displayfd", "1", "-screen", "0", "1400x900x24"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(display) = display else {
        crate::skip("there is no Xvfb to open a window on");
        return;
    };
    let mut display = Running(display);
    let mut number = String::new();
    let said = display.0.stdout.take().unwrap();
    BufReader::new(said).read_line(&mut number).unwrap();
    // A driver may have much to say: a pipe that nobody reads would hold the window up.
    let mut complaints = tempfile::tempfile().unwrap();
    let window = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", THIS_TEST, "--nocapture"])
        .env(REAL_WINDOW, "1")
        .env("DISPLAY", format!(":{}", number.trim()))
        .env_remove("WAYLAND_DISPLAY")
        .stdout(Stdio::piped())
        .stderr(complaints.try_clone().unwrap())
        .spawn()
        .unwrap();
    let mut window = Running(window);
    let said = BufReader::new(window.0.stdout.take().unwrap());
    let (sender, told) = std::sync::mpsc::sync_channel(64);
    std::thread::Builder::new()
        .spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                // The test has ended where nobody listens.
                if sender.send(line).is_err() {
                    return;
                }
            }
        })
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    let mut lines = Vec::new();
    while let Ok(line) = told.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        lines.push(line);
        if lines.last().is_some_and(|line| line.ends_with("device 3")) {
            return;
        }
    }
    let mut errors = String::new();
    complaints.rewind().unwrap();
    complaints.read_to_string(&mut errors).unwrap();
    panic!("the window did not live on:\n{lines:#?}\n{errors}");
}

/// Opens the window with a job in it. Its first two devices are destroyed; each that follows is told.
fn open_and_lose_twice() {
    let place = Place::new();
    // Without the panel that is drawn anew every second, the window rests once the job is done.
    let settings = serde_json::json!({ "resolution": 64, "memory_open": false });
    place.write("config/window.json", settings.to_string().as_bytes());
    let image = place.write("disc.png", &pictures::disc_png(96));
    let setup = place.setup(vec![image]);
    let devices = Cell::new(0);
    let result = ui::open_watched(setup, &|device| {
        devices.set(devices.get() + 1);
        println!("device {}", devices.get());
        let device = device.clone();
        std::thread::Builder::new()
            .spawn(move || {
                // A device is lost between frames, as on waking from sleep: no system takes it away in the
                // middle of one, as another thread may here.
                std::thread::sleep(Duration::from_secs(4));
                device.destroy();
                device.poll(wgpu::PollType::Poll).ok();
            })
            .unwrap();
    });
    println!("closed: {result:?}");
}
