//! What the viewport offers: comparing, the turntable, open edges, pictures for the strip, and drawing only
//! what changed. Everything here is drawn, and skipped where there is nothing to draw with.

use std::time::{Duration, Instant};

use eframe::egui::{self, Key, Modifiers};
use egui_kittest::kittest::{NodeT, Queryable};
use orfeas::formats::{self, Format, WriteOptions};
use orfeas::mesh::Mesh;

use crate::pictures;
use crate::window::{PATIENCE, Place, Window};

impl Window {
    /// A frame as it gets to the screen.
    fn draw(&mut self) -> image::RgbaImage {
        self.harness.step();
        self.harness.render().unwrap()
    }

    /// Draws until no frame needs the object drawn anew.
    fn settle(&mut self) -> u64 {
        let deadline = Instant::now() + PATIENCE;
        let (mut count, mut since) = (0, Instant::now());
        loop {
            assert!(Instant::now() < deadline, "it is drawn again and again");
            self.draw();
            let now = self.harness.state().pictures_drawn();
            if now != count {
                (count, since) = (now, Instant::now());
            } else if now > 0 && since.elapsed() > Duration::from_millis(500) {
                return count;
            }
        }
    }
}

/// Settings without the panel that is drawn anew every second.
fn quiet(place: &Place) {
    let settings = serde_json::json!({ "resolution": 64, "memory_open": false });
    place.write("config/window.json", settings.to_string().as_bytes());
}

#[test]
fn the_object_is_drawn_again_only_when_something_on_it_changed() {
    let place = Place::new();
    quiet(&place);
    let image = place.write("disc.png", &pictures::disc_png(96));
    let Some(mut window) = place.drawn_window(vec![image], [900.0, 640.0]) else {
        return;
    };
    window.wait_for("Finished");
    let count = window.settle();
    // Frames without a change, and with changes elsewhere.
    for step in 0..10 {
        window
            .harness
            .hover_at(egui::pos2(40.0, 60.0 + step as f32));
        window.draw();
    }
    assert_eq!(window.harness.state().pictures_drawn(), count);
    window.press(Modifiers::NONE, Key::G);
    window.draw();
    assert_eq!(window.harness.state().pictures_drawn(), count + 1);
}

#[test]
fn the_turntable_turns_until_anything_is_pressed() {
    let place = Place::new();
    quiet(&place);
    let image = place.write("disc.png", &pictures::disc_png(96));
    let Some(mut window) = place.drawn_window(vec![image], [900.0, 640.0]) else {
        return;
    };
    window.wait_for("Finished");
    let mut count = window.settle();
    window.click("Turntable");
    for _ in 0..3 {
        window.draw();
        let now = window.harness.state().pictures_drawn();
        assert!(now > count, "it stands still");
        count = now;
    }
    // The click that stops it does not start it again.
    window.click("Turntable");
    window.draw();
    let count = window.harness.state().pictures_drawn();
    window.draw();
    assert_eq!(window.harness.state().pictures_drawn(), count);
    window.press(Modifiers::NONE, Key::T);
    window.draw();
    assert!(window.harness.state().pictures_drawn() > count);
    window.press(Modifiers::NONE, Key::F9);
    window.draw();
    let count = window.harness.state().pictures_drawn();
    window.draw();
    assert_eq!(window.harness.state().pictures_drawn(), count);
}

#[test]
fn two_results_are_compared_and_both_are_named() {
    let place = Place::new();
    quiet(&place);
    let images = ["one.png", "two.png"]
        .map(|name| place.write(name, &pictures::disc_png(96 + name.len() as u32)));
    let Some(mut window) = place.drawn_window(images.to_vec(), [900.0, 640.0]) else {
        return;
    };
    window.wait_for("one.png, finished");
    window.wait_for("two.png, finished");
    window.settle();
    window.click("Compare with…");
    window.wait_for("two.png  ·  64³");
    window.click("two.png  ·  64³");
    let line = "Line between one.png  ·  64³ at the left and two.png  ·  64³ at the right";
    window.wait_for(line);
    window.settle();
    let position = |window: &Window| {
        let node = window.harness.get_by_label(line);
        NodeT::accesskit_node(&node).numeric_value().unwrap()
    };
    let before = position(&window);
    // The line has the keyboard from the beginning.
    window.press(Modifiers::NONE, Key::ArrowRight);
    assert!((position(&window) - before - 2.0).abs() < 0.6);
    window.press(Modifiers::SHIFT, Key::ArrowLeft);
    assert!(position(&window) < before - 7.0);
    window.press(Modifiers::NONE, Key::Escape);
    assert!(!window.sees("Line between"));
    assert!(window.sees("one.png, finished"), "Escape stopped more");
}

#[test]
fn a_comparison_ends_with_what_it_compares_with() {
    let place = Place::new();
    quiet(&place);
    let images = ["one.png", "two.png"]
        .map(|name| place.write(name, &pictures::disc_png(96 + name.len() as u32)));
    let Some(mut window) = place.drawn_window(images.to_vec(), [900.0, 640.0]) else {
        return;
    };
    window.wait_for("one.png, finished");
    window.wait_for("two.png, finished");
    window.press(Modifiers::NONE, Key::C);
    window.wait_for("Line between");
    window.click("Remove two.png");
    assert!(!window.sees("Line between"));
}

fn save_open_cube(file: &std::path::Path) {
    formats::save(&open_cube(), file, Format::Ply, &WriteOptions::default()).unwrap();
}

/// A cube less one of its triangles.
fn open_cube() -> Mesh {
    let corner = |bits: u32| [0, 1, 2].map(|axis| (bits >> axis & 1) as f32 - 0.5);
    Mesh {
        positions: (0..8).map(corner).collect(),
        triangles: vec![
            [0, 2, 1],
            [1, 2, 3],
            [4, 5, 6],
            [5, 7, 6],
            [0, 1, 4],
            [1, 5, 4],
            [2, 6, 3],
            [3, 6, 7],
            [0, 4, 2],
            [2, 4, 6],
            [1, 3, 5],
        ],
        ..Mesh::default()
    }
}

#[test]
fn open_edges_are_counted_marked_and_shown_at_a_click() {
    let place = Place::new();
    quiet(&place);
    let file = place.path("open.ply");
    save_open_cube(&file);
    let Some(mut window) = place.drawn_window(vec![file], [900.0, 640.0]) else {
        return;
    };
    window.wait_for("3 open edges");
    window.settle();
    let red = |picture: &image::RgbaImage| {
        let is_red = |pixel: &&image::Rgba<u8>| {
            let [red, green, blue, _] = pixel.0;
            red > 200 && green < 120 && blue < 120
        };
        picture.pixels().filter(is_red).count()
    };
    let before = red(&window.draw());
    window.click("3 open edges");
    window.settle();
    let after = red(&window.draw());
    assert!(after > 200, "{before} red pixels before, {after} after");
}

#[test]
fn finished_meshes_get_pictures_that_are_kept() {
    let place = Place::new();
    quiet(&place);
    let image = place.write("disc.png", &pictures::disc_png(96));
    let Some(mut window) = place.drawn_window(vec![image], [900.0, 640.0]) else {
        return;
    };
    window.wait_for("Finished");
    let folder = place.path("cache/thumbnails-1");
    let picture = || {
        std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.extension().is_some_and(|kind| kind == "png"))
    };
    // The file has its name before it has all of its content: the entry that points to it comes last.
    let whole = || image::open(picture()?).ok();
    window.wait_until("a picture", || whole().is_some());
    let kept = whole().unwrap().into_rgba8();
    assert_eq!(kept.dimensions(), (128, 128));
    let orange = kept.get_pixel(64, 64).0;
    assert!(orange[0] > orange[2] && orange[3] == 255, "{orange:?}");
    assert_eq!(kept.get_pixel(1, 1)[3], 0);
    // It goes with its record.
    drop(window);
    let mut window = place.window();
    window.wait_for("Remove disc.png");
    window.click("Remove disc.png");
    window.wait_until("the end of the picture", || picture().is_none());
}

/// Pictures of what the viewport offers, to look at: see [`crate::window_states`].
#[test]
fn every_look_of_the_viewport_as_a_picture() {
    let Some(folder) = crate::pictures_folder() else {
        return;
    };
    for (theme, size) in [
        ("dark", [1280.0, 800.0]),
        ("light", [1280.0, 800.0]),
        ("dark", [2560.0, 1440.0]),
        ("light", [1024.0, 700.0]),
    ] {
        let place = Place::new();
        let settings =
            serde_json::json!({ "resolution": 128, "theme": theme, "memory_open": true });
        place.write("config/window.json", settings.to_string().as_bytes());
        let open = place.path("open.ply");
        save_open_cube(&open);
        let Some(mut window) = place.drawn_window(vec![open], size) else {
            return;
        };
        window.harness.ctx.set_theme(match theme {
            "dark" => egui::Theme::Dark,
            _ => egui::Theme::Light,
        });
        let name = |what: &str| {
            let [width, height] = size;
            folder.join(format!("view-{what}-{width}x{height}-{theme}.png"))
        };
        let take = |window: &mut Window, what: &str| {
            let deadline = Instant::now() + Duration::from_secs(2);
            while Instant::now() < deadline {
                window.draw();
            }
            window.draw().save(name(what)).unwrap();
        };
        window.wait_for("3 open edges");
        window.press(Modifiers::NONE, Key::G);
        take(&mut window, "open");
        window.click("Remove open.ply");
        window.click("Sample: Lyre");
        window.wait_for("Finished");
        let disc = place.write("disc.png", &pictures::disc_png(256));
        window.drop_file(&disc);
        window.wait_for("disc.png, finished");
        take(&mut window, "textured");
        for look in ["clay", "matcap", "normals"] {
            window.press(Modifiers::NONE, Key::V);
            take(&mut window, look);
        }
        window.press(Modifiers::NONE, Key::V);
        window.press(Modifiers::NONE, Key::E);
        take(&mut window, "edges");
        window.press(Modifiers::NONE, Key::E);
        window.press(Modifiers::NONE, Key::G);
        window.press(Modifiers::NONE, Key::C);
        take(&mut window, "compare");
    }
}
