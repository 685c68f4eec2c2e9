//! The window, driven as a person with a screen reader would: by role and label, without a display.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use eframe::egui::{self, Key, Modifiers};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use orfeas::engine::{Config, Engine, Ledger, Library};
use orfeas::formats;
use orfeas::mesh::checks;
use orfeas::server;
use orfeas::store::{Folders, Limits, Store};
use orfeas::ui::{App, Backend, Served, Setup};
use orfeas::vram::{self, CudaProbe, DeviceChoice, Manager};

use crate::pictures;

/// How long anything may take; far longer than it does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A folder with everything that a window keeps, and images to drop.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Settings as a user would have left them.
    pub(crate) fn settings(&self, resolution: u32) {
        let settings = serde_json::json!({
            "resolution": resolution,
            "export_folder": self.0.path(),
            "export_format": "stl",
        });
        self.write("config/window.json", settings.to_string().as_bytes());
    }

    /// An engine without a GPU, whatever this machine has, that keeps results here.
    pub(crate) fn engine(&self) -> Arc<Engine> {
        self.engine_within(u64::MAX)
    }

    /// As [`Self::engine`], with as much main memory for jobs.
    pub(crate) fn engine_within(&self, memory_bytes: u64) -> Arc<Engine> {
        self.engine_of(memory_bytes, Library::default())
    }

    /// As [`Self::engine_within`], with these models on the machine.
    pub(crate) fn engine_of(&self, memory_bytes: u64, library: Library) -> Arc<Engine> {
        self.engine_with(memory_bytes, library, None)
    }

    /// An engine that computes with one thread, so that a long job stays long and leaves the window its processor.
    pub(crate) fn slow_engine(&self) -> Arc<Engine> {
        self.engine_with(u64::MAX, Library::default(), Some(1))
    }

    fn engine_with(
        &self,
        memory_bytes: u64,
        library: Library,
        threads: Option<usize>,
    ) -> Arc<Engine> {
        let ledger = Ledger::with_budget(memory_bytes);
        let folders = Folders {
            cache: self.path("cache"),
            data: self.path("data"),
        };
        let vram = Manager::start(vram::Config {
            device: DeviceChoice::Cpu,
            cuda: Some(CudaProbe::NoLibrary),
            host_ledger: ledger.clone(),
            ..vram::Config::default()
        });
        let config = Config {
            ledger,
            vram: Some(vram),
            store: Some(Store::open(&folders, Limits::default()).unwrap()),
            library,
            threads,
            ..Config::default()
        };
        Arc::new(Engine::start(config).unwrap())
    }

    pub(crate) fn window(&self) -> Window {
        self.window_on(Vec::new())
    }

    pub(crate) fn window_on(&self, images: Vec<PathBuf>) -> Window {
        Self::open(self.setup(images))
    }

    /// A window over an engine of its own, with everything but a log.
    pub(crate) fn setup(&self, images: Vec<PathBuf>) -> Setup {
        Setup {
            images,
            backend: Backend::Running(self.engine()),
            config_folder: Some(self.path("config")),
            start_server: Some(Arc::new(|engine| {
                let server = server::start(
                    engine,
                    server::Config {
                        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                        ..server::Config::default()
                    },
                )?;
                Ok(Served {
                    address: server.address(),
                    stop: Box::new(move || server.stop(Duration::ZERO)),
                })
            })),
            log: None,
            process_start: Instant::now(),
        }
    }

    /// A window whose pictures can be taken.
    pub(crate) fn open_drawn(setup: Setup, size: egui::Vec2) -> Window {
        let harness = Harness::builder()
            .with_size(size)
            .allow_missing_glyphs()
            .wgpu()
            .build_eframe(|cc| App::new(cc, setup).unwrap());
        Window { harness }
    }

    /// A window of a size in points, which is not drawn.
    pub(crate) fn window_of(&self, size: [f32; 2], images: Vec<PathBuf>) -> Window {
        Self::open_of(self.setup(images), size)
    }

    pub(crate) fn open(setup: Setup) -> Window {
        Self::open_of(setup, [1280.0, 800.0])
    }

    fn open_of(setup: Setup, size: [f32; 2]) -> Window {
        let harness = Harness::builder()
            .with_size(egui::Vec2::from(size))
            // Japanese comes from the system's fonts, which a harness has none of.
            .allow_missing_glyphs()
            .build_eframe(|cc| App::new(cc, setup).unwrap());
        Window { harness }
    }

    /// A window that can be looked at; `None` where there is nothing to draw with.
    pub(crate) fn drawn_window(&self, images: Vec<PathBuf>, size: [f32; 2]) -> Option<Window> {
        crate::can_draw().then(|| Self::open_drawn(self.setup(images), size.into()))
    }
}

pub(crate) struct Window {
    pub(crate) harness: Harness<'static, App>,
}

/// A file as the windowing system hands it over.
#[derive(Debug)]
struct Dropped(PathBuf);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        std::fs::read(&self.0).map_err(|error| error.to_string())
    }
}

impl Window {
    pub(crate) fn drop_file(&mut self, path: &Path) {
        let file = Arc::new(Dropped(path.to_owned()));
        self.harness.input_mut().dropped_files.push(file);
        self.harness.step();
    }

    pub(crate) fn sees(&self, label: &str) -> bool {
        self.harness
            .query_all_by_label_contains(label)
            .next()
            .is_some()
    }

    /// Draws frames until a text is there.
    pub(crate) fn wait_for(&mut self, label: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.sees(label) {
            assert!(
                Instant::now() < deadline,
                "{label:?} never came:\n{:#?}",
                self.everything_told()
            );
            self.harness.step();
            std::thread::yield_now();
        }
    }

    pub(crate) fn wait_until(&mut self, what: &str, holds: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            assert!(Instant::now() < deadline, "{what} never came");
            self.harness.step();
            std::thread::yield_now();
        }
    }

    /// As [`Self::wait_until`], of what the window knows.
    pub(crate) fn wait_for_state(&mut self, what: &str, holds: impl Fn(&App) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self.harness.state()) {
            assert!(Instant::now() < deadline, "{what} never came");
            self.harness.step();
            std::thread::yield_now();
        }
        self.harness.step();
    }

    pub(crate) fn click(&mut self, label: &str) {
        // Where it is below the fold, and where what it is in has just opened.
        self.scroll_to(label);
        self.harness.get_by_label(label).click();
        self.harness.run_steps(3);
    }

    /// Brings a control into sight, and waits until it rests: scrolling glides.
    pub(crate) fn scroll_to(&mut self, label: &str) {
        self.harness.get_by_label(label).scroll_to_me();
        self.harness.run_steps(3);
        for _ in 0..60 {
            let before = self.harness.get_by_label(label).rect();
            self.harness.step();
            if self.harness.get_by_label(label).rect() == before {
                return;
            }
        }
    }

    pub(crate) fn press(&mut self, modifiers: Modifiers, key: Key) {
        self.harness.key_press_modifiers(modifiers, key);
        self.harness.step();
        self.harness.step();
    }

    /// Everything that can be read, labels and values.
    pub(crate) fn everything_told(&self) -> Vec<String> {
        self.harness
            .root()
            .children_recursive()
            .flat_map(|node| {
                let node = node.accesskit_node();
                [node.label(), node.value()]
            })
            .flatten()
            .collect()
    }

    /// Whether one of several choices is the one that is taken.
    pub(crate) fn is_chosen(&self, label: &str) -> bool {
        let node = self.harness.get_by_label(label);
        NodeT::accesskit_node(&node).toggled() == Some(egui::accesskit::Toggled::True)
    }

    /// Everything that can be read, for messages of failed tests.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.harness
            .root()
            .children_recursive()
            .filter_map(|node| node.accesskit_node().label())
            .collect()
    }
}

#[test]
fn a_dropped_image_becomes_a_finished_closed_mesh() {
    let place = Place::new();
    place.settings(64);
    let image = place.write("猫 と 花.png", &pictures::disc_png(96));
    let mut window = place.window();
    assert!(window.sees("Drop an image here"));
    window.drop_file(&image);
    window.wait_for("Finished");
    assert!(window.sees("closed"), "{:#?}", window.texts());
    assert!(window.sees("Input image: 猫 と 花.png"));
    assert!(!window.sees("Drop an image here"));
    window.harness.check_accessibility();
}

#[test]
fn a_sample_works_at_one_click() {
    let place = Place::new();
    place.settings(64);
    let mut window = place.window();
    window.click("Sample: Lyre");
    window.wait_for("Finished");
}

#[test]
fn images_on_the_command_line_queue_up_and_all_are_finished() {
    let place = Place::new();
    place.settings(64);
    let images = (0..3)
        .map(|number| place.write(&format!("{number}.png"), &pictures::disc_png(64 + number)))
        .collect();
    let mut window = place.window_on(images);
    for number in 0..3 {
        window.wait_for(&format!("{number}.png, finished"));
    }
}

#[test]
fn cancelling_stops_the_job_and_offers_to_generate_again() {
    let place = Place::new();
    place.settings(512);
    let image = place.write("disc.png", &pictures::disc_png(256));
    let mut window = place.window();
    window.drop_file(&image);
    window.wait_for("disc.png, working");
    window.press(Modifiers::NONE, Key::Escape);
    window.wait_for("disc.png, stopped");
    assert!(window.sees("Generate"));
    // What was stopped can be begun again, smaller.
    window.click("Quality: Draft");
    window.wait_for("disc.png, finished");
}

#[test]
fn keep_stops_early_and_makes_what_is_on_screen_the_result() {
    let place = Place::new();
    place.settings(512);
    let image = place.write("disc.png", &pictures::disc_png(256));
    let mut window = place.window();
    window.drop_file(&image);
    window.wait_for("faces");
    window.click("Keep");
    window.wait_for("Finished");
    assert!(window.sees("closed"));
    assert!(!window.sees("512³  ·"), "{:#?}", window.texts());
}

#[test]
fn an_export_writes_a_file_of_the_size_that_was_asked_for() {
    let place = Place::new();
    place.settings(64);
    let image = place.write("disc.png", &pictures::disc_png(96));
    let mut window = place.window_on(vec![image]);
    window.wait_for("Finished");
    window.press(Modifiers::COMMAND, Key::S);
    window.wait_for("File to write");
    window.click("Export");
    window.wait_for("Saved disc.stl");
    let loaded = formats::load(&place.path("disc.stl")).unwrap();
    let report = checks::quick(&loaded.mesh).unwrap();
    assert!(report.closed && report.manifold);
    let longest = (0..3)
        .map(|axis| report.bounds.max[axis] - report.bounds.min[axis])
        .fold(0.0, f32::max);
    assert!((longest - 100.0).abs() < 0.01, "{longest} mm");
}

#[test]
fn what_is_not_an_image_is_told_and_the_window_lives() {
    let place = Place::new();
    place.settings(64);
    let text = place.write("notes.png", b"this is not a picture");
    let mut window = place.window();
    window.drop_file(&text);
    window.wait_for("notes.png, failed");
    let image = place.write("disc.png", &pictures::disc_png(96));
    window.drop_file(&image);
    window.wait_for("disc.png, finished");
}

#[test]
fn a_dropped_mesh_opens_for_viewing() {
    let place = Place::new();
    place.settings(64);
    let image = place.write("disc.png", &pictures::disc_png(96));
    let mut window = place.window_on(vec![image]);
    window.wait_for("Finished");
    window.press(Modifiers::COMMAND, Key::S);
    window.wait_for("File to write");
    window.click("Export");
    window.wait_for("Saved disc.stl");
    let mesh = place.path("disc.stl");
    window.drop_file(&mesh);
    window.wait_for("Opened for viewing");
    window.wait_for("closed");
}

#[test]
fn damaged_settings_are_kept_aside_and_told() {
    let place = Place::new();
    place.write("config/window.json", b"{ \"theme\": 12");
    let mut window = place.window();
    window.wait_for("Settings were damaged");
    let kept = std::fs::read(place.path("config/window.damaged-1.json")).unwrap();
    assert_eq!(kept, b"{ \"theme\": 12");
}

#[test]
fn a_theme_that_was_chosen_is_there_after_a_restart() {
    let place = Place::new();
    let mut window = place.window();
    window.click("Settings");
    window.click("Theme: Light");
    let file = place.path("config/window.json");
    window.wait_until("the settings", || {
        std::fs::read_to_string(&file).is_ok_and(|text| text.contains("\"light\""))
    });
    drop(window);
    let mut window = place.window();
    window.click("Settings");
    assert!(window.is_chosen("Theme: Light"));
}

#[test]
fn the_switch_serves_other_programs_until_it_is_switched_back() {
    const SWITCH: &str = "Serve other programs on this machine";
    let place = Place::new();
    let mut window = place.window();
    window.click("Settings");
    window.click(SWITCH);
    window.wait_for("for this machine alone");
    let told = window.harness.get_by_label_contains("At http://");
    let told = NodeT::accesskit_node(&told);
    let told = told.value().or_else(|| told.label()).unwrap();
    let address = told["At ".len()..].split(',').next().unwrap().to_owned();
    let health = || ureq::get(format!("{address}/health")).call();
    assert_eq!(health().unwrap().status(), 200);
    window.click(SWITCH);
    window.wait_for("No other program can reach Orfeas");
    assert!(health().is_err());
}

#[test]
fn the_settings_tell_what_the_cache_holds_and_clear_it() {
    let place = Place::new();
    place.settings(64);
    let image = place.write("disc.png", &pictures::disc_png(64));
    let mut window = place.window();
    window.drop_file(&image);
    window.wait_for("closed");
    window.click("Settings");
    window.wait_for("1 results kept");
    window.click("Clear the cache");
    window.wait_for("0 results kept");
}

#[test]
fn without_a_gpu_the_panel_says_that_the_processor_is_in_use() {
    let place = Place::new();
    let mut window = place.window();
    window.wait_for("CPU in use");
    window.wait_for("This source computes in FP32 only");
    let disabled = window
        .harness
        .get_all_by_label("FP16")
        .all(|node| NodeT::accesskit_node(&node).is_disabled());
    assert!(disabled);
    window.press(Modifiers::NONE, Key::M);
    assert!(!window.sees("CPU in use"));
}

#[test]
fn what_was_made_is_in_the_history_after_a_restart() {
    let place = Place::new();
    place.settings(64);
    let image = place.write("disc.png", &pictures::disc_png(96));
    let mut window = place.window_on(vec![image]);
    window.wait_for("Finished");
    drop(window);
    let mut window = place.window();
    window.wait_for("disc.png, 2");
    let label = window
        .texts()
        .into_iter()
        .find(|text| text.starts_with("disc.png, 2"))
        .unwrap();
    window.click(&label);
    window.wait_for("Finished");
    assert!(window.sees("closed"));
}

#[test]
fn the_window_rests_when_nothing_happens() {
    let place = Place::new();
    let mut window = place.window();
    window.wait_for("Ready");
    window.press(Modifiers::NONE, Key::M);
    // Settles, or panics where it asks for ever more frames.
    window.harness.run();
}

#[test]
fn the_finished_object_is_drawn_in_the_middle_of_the_viewport() {
    let place = Place::new();
    place.settings(64);
    let image = place.write("disc.png", &pictures::disc_png(96));
    let Some(mut window) = place.drawn_window(vec![image], [900.0, 640.0]) else {
        return;
    };
    window.wait_for("Finished");
    let middle = window.harness.get_by_label("Viewport").rect().center();
    let deadline = Instant::now() + PATIENCE;
    // The disc is orange; the studio behind it is nearly black.
    loop {
        window.harness.step();
        let picture = window.harness.render().unwrap();
        let pixel = picture.get_pixel(middle.x as u32, middle.y as u32).0;
        if pixel[0] > 90 {
            break;
        }
        assert!(Instant::now() < deadline, "still {pixel:?}");
    }
    window.press(Modifiers::NONE, Key::F12);
    window.wait_for("Saved disc view 1.png");
    let picture = image::open(place.path("disc view 1.png"))
        .unwrap()
        .into_rgba8();
    assert_eq!(
        picture.get_pixel(0, 0)[3],
        0,
        "the background is transparent"
    );
}
