//! Every state of the window as pictures, for a person to look at, where a folder for them is named:
//! `ORFEAS_WINDOW_STATES=<folder> cargo test --test suite -- window_states as_a_picture`. The last word is for
//! the outline's editor and the looks of the viewport, which are drawn where they are tested.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use eframe::egui::{self, Key, Modifiers};
use orfeas::engine::Engine;
use orfeas::ui::{Backend, Setup};

use crate::pictures;
use crate::window::{Place, Window};
use crate::window_sizes::SIZES;

/// The folder for the pictures.
pub(crate) const FOLDER: &str = "ORFEAS_WINDOW_STATES";

/// Enough of a name that no panel is wide enough for it.
const LONG: &str =
    "a very long file name that somebody gave to a photograph of a disc in the garden.png";

struct Gallery {
    folder: PathBuf,
    size: [f32; 2],
    theme: &'static str,
}

impl Gallery {
    fn window(&self, place: &Place, images: Vec<PathBuf>, settings: serde_json::Value) -> Window {
        self.window_over(place, place.engine(), images, settings)
    }

    fn window_over(
        &self,
        place: &Place,
        engine: Arc<Engine>,
        images: Vec<PathBuf>,
        settings: serde_json::Value,
    ) -> Window {
        let mut all = serde_json::json!({
            "theme": self.theme,
            "resolution": 64,
            "export_folder": place.path(""),
        });
        let more = settings.as_object().unwrap().clone();
        all.as_object_mut().unwrap().extend(more);
        place.write("config/window.json", all.to_string().as_bytes());
        let mut window = Place::open_drawn(
            Setup {
                backend: Backend::Running(engine),
                ..place.setup(images)
            },
            self.size.into(),
        );
        // A harness sets a theme of its own, after the window's.
        window.harness.ctx.set_theme(match self.theme {
            "light" => egui::Theme::Light,
            _ => egui::Theme::Dark,
        });
        window.harness.step();
        window
    }

    fn keep(&self, window: &mut Window, state: &str) {
        // Fades are over after some frames, and the strip has its pictures.
        for _ in 0..50 {
            window.harness.step();
            std::thread::sleep(Duration::from_millis(20));
        }
        // Meshes reach the graphics card a part a picture, and ask for another until they are there; what asks for
        // a picture now and then, as the memory's history does, is not waited for.
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            window.harness.render().unwrap();
            let rests = !window.harness.ctx.has_requested_repaint();
            let app = window.harness.state();
            let is_drawn = app.pictures_drawn() > 0 || !app.shows_an_object();
            if rests && is_drawn || Instant::now() > deadline {
                break;
            }
            window.harness.step();
        }
        let [width, height] = self.size;
        let name = format!("{state}-{width}x{height}-{}.png", self.theme);
        window
            .harness
            .render()
            .unwrap()
            .save(self.folder.join(name))
            .unwrap();
    }

    fn all(&self) {
        let place = Place::new();
        let sample = |name: &str| {
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("assets/samples")
                .join(name)
        };
        let no_more = serde_json::json!({});
        let mut window = self.window(&place, Vec::new(), no_more.clone());
        self.keep(&mut window, "empty");
        window.press(Modifiers::NONE, Key::H);
        self.keep(&mut window, "help");
        window.press(Modifiers::NONE, Key::Escape);
        window.click("Settings");
        self.keep(&mut window, "settings");
        drop(window);

        let image = sample("vase.png");
        let mut window = self.window(&place, vec![image], no_more.clone());
        window.wait_for("Finished");
        self.keep(&mut window, "done");
        window.press(Modifiers::COMMAND, Key::S);
        window.wait_for("File to write");
        self.keep(&mut window, "export-stl");
        window.click("Format: OBJ");
        self.keep(&mut window, "export-obj");
        window.click("Export");
        window.wait_for("Saved vase.obj");
        self.keep(&mut window, "exported");
        drop(window);

        let file = place.path("vase.obj");
        let mut window = self.window(&place, vec![file], no_more.clone());
        window.wait_for("Opened for viewing");
        self.keep(&mut window, "mesh-file");
        drop(window);

        let image = sample("vase.png");
        let fine = serde_json::json!({ "resolution": 512 });
        let engine = place.engine_within(40_000_000);
        let mut window = self.window_over(&place, engine, vec![image], fine.clone());
        window.wait_for("Finished");
        window.wait_for("fits into the memory");
        self.keep(&mut window, "little-memory");
        drop(window);

        let disc = pictures::disc_png(96);
        let names = [
            LONG.to_owned(),
            "猫 と 花.png".to_owned(),
            "bad.png".to_owned(),
        ];
        let many = names
            .into_iter()
            .chain((0..17).map(|n| format!("disc {n}.png")));
        let images = many.map(|name| match name.as_str() {
            "bad.png" => place.write(&name, b"this is not a picture"),
            _ => place.write(&name, &disc),
        });
        let images: Vec<_> = images.collect();
        let last = images[19].clone();
        let mut window = self.window(&place, images, no_more.clone());
        window.wait_for("disc 16.png, finished");
        self.keep(&mut window, "long-name-twenty");
        window.click("猫 と 花.png, finished");
        self.keep(&mut window, "japanese");
        window.click("bad.png, failed");
        self.keep(&mut window, "failed");
        drop(window);

        let mut window = self.window(&place, vec![last], fine);
        window.wait_for("faces");
        self.keep(&mut window, "working");
        window.press(Modifiers::NONE, Key::Escape);
        self.keep(&mut window, "stopped");
    }
}

#[test]
fn every_state_is_drawn_at_every_size_in_both_themes() {
    let Some(folder) = crate::pictures_folder() else {
        return;
    };
    // One size after the other takes long: `ORFEAS_WINDOW_STATES_SIZE=1024` draws the windows of a width alone.
    let width = std::env::var("ORFEAS_WINDOW_STATES_SIZE").ok();
    let is_wanted = |size: &[f32; 2]| {
        width
            .as_ref()
            .is_none_or(|width| *width == size[0].to_string())
    };
    for size in SIZES.into_iter().filter(is_wanted) {
        for theme in ["dark", "light"] {
            let gallery = Gallery {
                folder: folder.clone(),
                size,
                theme,
            };
            gallery.all();
        }
    }
}
