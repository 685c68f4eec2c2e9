//! The window's outline editor, its tools for finished meshes, what can be undone, and what comes back.

use std::path::{Path, PathBuf};
use std::time::Instant;

use eframe::egui::{Event, Key, Modifiers, PointerButton, Pos2, Rect, vec2};
use egui_kittest::kittest::{NodeT, Queryable};
use orfeas::formats::{self, Format, WriteOptions};
use orfeas::mesh::checks;
use serde_json::Value;

use crate::pictures;
use crate::window::{PATIENCE, Place, Window};

/// A place with the settings of a small mesh, and an image of a disc in the middle of an opaque frame.
fn place_with_disc() -> (Place, PathBuf) {
    let place = Place::new();
    place.settings(64);
    let image = place.write("disc.png", &pictures::disc_png(96));
    (place, image)
}

/// What the history keeps, newest first.
fn records(place: &Place) -> Vec<(Value, Value)> {
    let mut found: Vec<_> = std::fs::read_dir(place.path("data/history-1"))
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?.to_owned();
            let text = (path.extension()? == "json").then(|| std::fs::read_to_string(&path))?;
            let content: Value = serde_json::from_str(text.ok()?.lines().nth(1)?).ok()?;
            let content = &content["content"];
            Some((
                name,
                content["settings"].clone(),
                content["summary"].clone(),
            ))
        })
        .collect();
    found.sort_by(|a, b| b.0.cmp(&a.0));
    found
        .into_iter()
        .map(|(_, settings, summary)| (settings, summary))
        .collect()
}

/// Draws frames until the newest record of the history is as it should be.
fn wait_for_record(
    window: &mut Window,
    place: &Place,
    what: &str,
    holds: impl Fn(&Value, &Value) -> bool,
) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let kept = records(place);
        if kept
            .first()
            .is_some_and(|(settings, summary)| holds(settings, summary))
        {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{what} never came: {kept:#?}\n{:#?}",
            window.texts()
        );
        window.harness.step();
        std::thread::yield_now();
    }
}

fn strokes(settings: &Value) -> usize {
    settings["strokes"].as_array().map_or(0, Vec::len)
}

/// Opens the editor and waits for its image.
fn open_editor(window: &mut Window, name: &str) -> Rect {
    window.click("Correct outline");
    let label = format!("Outline of {name}");
    window.wait_for(&label);
    let deadline = Instant::now() + PATIENCE;
    // The image was read once the brush has a size.
    while window
        .harness
        .query_by_label("Brush size")
        .is_none_or(|slider| NodeT::accesskit_node(&slider).numeric_value() < Some(0.01))
    {
        assert!(Instant::now() < deadline, "the image never came");
        window.harness.step();
    }
    window.harness.get_by_label(&label).rect()
}

fn drag(window: &mut Window, button: PointerButton, modifiers: Modifiers, way: &[Pos2]) {
    let press = |pressed, pos| Event::PointerButton {
        pos,
        button,
        pressed,
        modifiers,
    };
    window.harness.event(Event::PointerMoved(way[0]));
    window.harness.step();
    window.harness.event(press(true, way[0]));
    window.harness.step();
    for at in &way[1..] {
        window.harness.event(Event::PointerMoved(*at));
        window.harness.step();
    }
    window.harness.event(press(false, way[way.len() - 1]));
    window.harness.step();
}

fn width_mm(summary: &Value) -> f64 {
    let side = |corner: &str, axis: usize| summary[corner][axis].as_f64().unwrap();
    let sides: Vec<f64> = (0..2)
        .map(|axis| side("max", axis) - side("min", axis))
        .collect();
    sides[0] / sides[1]
}

#[test]
fn a_stroke_changes_the_outline_and_undo_takes_it_back() {
    let (place, image) = place_with_disc();
    let mut window = place.window_on(vec![image]);
    window.wait_for("disc.png, finished");
    wait_for_record(&mut window, &place, "the first result", |settings, _| {
        strokes(settings) == 0
    });
    let round = width_mm(&records(&place)[0].1);
    let canvas = open_editor(&mut window, "disc.png");
    // The right button removes while the tool keeps: a broad stripe off the disc's right rim.
    let right = canvas.center() + vec2(canvas.height() * 0.33, 0.0);
    for _ in 0..6 {
        window.press(Modifiers::NONE, Key::CloseBracket);
    }
    drag(
        &mut window,
        PointerButton::Secondary,
        Modifiers::NONE,
        &[
            right - vec2(0.0, canvas.height() * 0.4),
            right,
            right + vec2(0.0, canvas.height() * 0.4),
        ],
    );
    window.wait_for("1 stroke");
    wait_for_record(&mut window, &place, "the corrected one", |settings, _| {
        strokes(settings) == 1
    });
    let (settings, summary) = records(&place).remove(0);
    assert_eq!(settings["strokes"][0]["keep"], false);
    let narrow = width_mm(&summary);
    assert!(narrow < 0.9 * round, "{narrow} {round}");
    window.harness.check_accessibility();

    window.press(Modifiers::COMMAND, Key::Z);
    wait_for_record(&mut window, &place, "the first one", |settings, _| {
        strokes(settings) == 0
    });
    assert!((width_mm(&records(&place)[0].1) - round).abs() < 1e-3);
    window.press(Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::Z);
    wait_for_record(&mut window, &place, "the stroke again", |settings, _| {
        strokes(settings) == 1
    });
    // Each takes the place of the one before it.
    window.wait_until("one record a project", || records(&place).len() == 1);

    window.press(Modifiers::NONE, Key::Escape);
    assert!(!window.sees("Outline of disc.png"));
    drop(window);
    // Reopened, the stroke is there and can be cleared.
    let mut window = place.window();
    window.wait_for("disc.png, 2");
    let label = window
        .texts()
        .into_iter()
        .find(|text| text.starts_with("disc.png, 2"))
        .unwrap();
    window.click(&label);
    window.wait_for("Finished");
    open_editor(&mut window, "disc.png");
    window.wait_for("1 stroke");
    window.click("Clear");
    wait_for_record(&mut window, &place, "no strokes", |settings, _| {
        strokes(settings) == 0
    });
}

#[test]
fn the_editor_follows_an_outline_whose_mesh_comes_from_the_cache() {
    if orfeas::view::adapters().is_empty() {
        eprintln!("skipped: there is no graphics adapter to draw with");
        return;
    }
    let (place, image) = place_with_disc();
    let mut window = place.drawn_window(vec![image], [1280.0, 800.0]);
    window.wait_for("disc.png, finished");
    wait_for_record(&mut window, &place, "the first result", |settings, _| {
        strokes(settings) == 0
    });
    let canvas = open_editor(&mut window, "disc.png");
    // On the lit side of the disc, and off the brush once the pointer has left.
    let left = canvas.center() - vec2(canvas.height() * 0.33, 0.0);
    let aside = canvas.left_top() + vec2(4.0, 4.0);
    let wait_for_ground = |window: &mut Window, is_ground: bool| {
        window.harness.event(Event::PointerMoved(aside));
        let deadline = Instant::now() + PATIENCE;
        loop {
            window.harness.step();
            let picture = window.harness.render().unwrap();
            let pixel = picture.get_pixel(left.x as u32, left.y as u32).0;
            // The disc is bright orange there, and dimmed where it is taken for the ground; what was
            // scribbled lies over neither any more.
            let orange = i32::from(pixel[0]) - i32::from(pixel[2]);
            if pixel[3] == 255 && (orange < 90) == is_ground && (orange > 120) != is_ground {
                return;
            }
            assert!(Instant::now() < deadline, "ground: {is_ground}, {pixel:?}");
        }
    };
    wait_for_ground(&mut window, false);
    for _ in 0..6 {
        window.press(Modifiers::NONE, Key::CloseBracket);
    }
    drag(
        &mut window,
        PointerButton::Secondary,
        Modifiers::NONE,
        &[
            left - vec2(0.0, canvas.height() * 0.4),
            left,
            left + vec2(0.0, canvas.height() * 0.4),
        ],
    );
    wait_for_record(&mut window, &place, "the corrected one", |settings, _| {
        strokes(settings) == 1
    });
    wait_for_ground(&mut window, true);
    window.press(Modifiers::COMMAND, Key::Z);
    wait_for_record(&mut window, &place, "the first one", |settings, _| {
        strokes(settings) == 0
    });
    wait_for_ground(&mut window, false);
}

#[test]
fn a_box_is_set_by_the_pointer_and_by_keys_alone() {
    let (place, image) = place_with_disc();
    let mut window = place.window_on(vec![image]);
    window.wait_for("disc.png, finished");
    window.press(Modifiers::NONE, Key::O);
    window.wait_for("Outline of disc.png");
    let deadline = Instant::now() + PATIENCE;
    window.press(Modifiers::NONE, Key::X);
    window.press(Modifiers::NONE, Key::R);
    // Until the image was read there is nothing to set a box on.
    while !window.sees("1 stroke") {
        assert!(Instant::now() < deadline, "{:#?}", window.texts());
        window.press(Modifiers::NONE, Key::ArrowLeft);
        window.press(Modifiers::SHIFT, Key::ArrowDown);
        window.press(Modifiers::NONE, Key::Space);
    }
    wait_for_record(&mut window, &place, "the keyboard's box", |settings, _| {
        strokes(settings) == 1
    });
    let (settings, _) = records(&place).remove(0);
    assert_eq!(settings["strokes"][0]["filled"], true);
    assert_eq!(settings["strokes"][0]["keep"], false);
    let canvas = window.harness.get_by_label("Outline of disc.png").rect();
    let middle = canvas.center();
    // Alt turns what the tool does around.
    drag(
        &mut window,
        PointerButton::Primary,
        Modifiers::ALT,
        &[middle - vec2(40.0, 40.0), middle, middle + vec2(40.0, 40.0)],
    );
    window.wait_for("2 strokes");
    wait_for_record(&mut window, &place, "the pointer's box", |settings, _| {
        strokes(settings) == 2 && settings["strokes"][1]["keep"] == true
    });
    window.press(Modifiers::NONE, Key::Enter);
    assert!(!window.sees("Outline of disc.png"));
}

#[test]
fn a_mask_that_is_dropped_on_the_editor_is_the_outline_and_is_kept() {
    let (place, image) = place_with_disc();
    let mask = pictures::rgba_png(48, 48, |x, _| {
        let grey = if x < 20 { 255 } else { 0 };
        [grey, grey, grey, 255]
    });
    let mask = place.write("mask.png", &mask);
    let mut window = place.window_on(vec![image]);
    window.wait_for("disc.png, finished");
    open_editor(&mut window, "disc.png");
    window.drop_file(&mask);
    window.wait_for("Your own matte");
    wait_for_record(&mut window, &place, "the own matte", |settings, summary| {
        settings["matte"] == "user" && summary["matte"]["kind"] == "user"
    });
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
    window.press(Modifiers::COMMAND, Key::G);
    window.wait_for("disc.png, finished");
    window.wait_for("Your own matte");
}

#[test]
fn simplify_and_smooth_are_undone_and_done_again() {
    let (place, image) = place_with_disc();
    let mut window = place.window_on(vec![image]);
    window.wait_for("disc.png, finished");
    wait_for_record(&mut window, &place, "the result", |_, summary| {
        summary["faces"].is_u64()
    });
    let faces = records(&place)[0].1["faces"].as_u64().unwrap();
    window.press(Modifiers::NONE, Key::R);
    window.click("Simplify");
    wait_for_record(&mut window, &place, "fewer faces", |settings, summary| {
        settings["edits"][0]["simplify"].is_u64()
            && summary["faces"].as_u64().unwrap() <= faces / 2
            && summary["closed"] == true
            && summary["matte"]["kind"] == "alpha"
    });
    window.click("Smooth");
    wait_for_record(&mut window, &place, "a smooth one", |settings, summary| {
        settings["edits"][1]["smooth"].is_f64() && summary["closed"] == true
    });
    window.wait_for("Undo smoothing");
    window.press(Modifiers::COMMAND, Key::Z);
    window.press(Modifiers::COMMAND, Key::Z);
    wait_for_record(&mut window, &place, "all faces", |settings, summary| {
        settings["edits"].is_null() && summary["faces"].as_u64() == Some(faces)
    });
    window.press(Modifiers::COMMAND, Key::Y);
    wait_for_record(&mut window, &place, "fewer again", |settings, _| {
        settings["edits"].as_array().map(Vec::len) == Some(1)
    });
    window.wait_until("one record a project", || records(&place).len() == 1);
    assert!(window.sees("closed"));
    window.harness.check_accessibility();
}

#[test]
fn what_was_deleted_or_closed_comes_back() {
    let (place, image) = place_with_disc();
    let mut window = place.window_on(vec![image]);
    window.wait_for("disc.png, finished");
    wait_for_record(&mut window, &place, "the result", |_, _| true);
    let before = records(&place);
    window.click("Remove disc.png");
    window.wait_for("Undo closing disc.png");
    assert!(!window.sees("disc.png, finished"));
    window.press(Modifiers::COMMAND, Key::Z);
    assert!(window.sees("disc.png, finished"));
    window.press(Modifiers::COMMAND, Key::Y);
    window.wait_for("disc.png, 2");

    window.click("Remove disc.png");
    window.wait_for("Undo deleting disc.png");
    let data = place.path("data/history-1");
    let has_records = |data: &Path| {
        std::fs::read_dir(data).unwrap().any(|entry| {
            entry
                .unwrap()
                .path()
                .extension()
                .is_some_and(|extension| extension == "json")
        })
    };
    window.wait_until("deletion on disk", || !has_records(&data));
    window.press(Modifiers::COMMAND, Key::Z);
    window.wait_until("the record on disk", || has_records(&data));
    assert_eq!(records(&place), before);
    window.wait_for("disc.png, 2");
}

/// Exports the finished mesh of an image as GLB, settings and all.
fn exported(place: &Place, image: PathBuf) -> PathBuf {
    let settings = std::fs::read_to_string(place.path("config/window.json")).unwrap();
    place.write(
        "config/window.json",
        settings.replace("\"stl\"", "\"glb\"").as_bytes(),
    );
    let mut window = place.window_on(vec![image]);
    window.wait_for("disc.png, finished");
    window.click("Back: Flat");
    wait_for_record(&mut window, place, "a flat back", |settings, _| {
        settings["back"] == "flat"
    });
    window.wait_for("disc.png, finished");
    window.press(Modifiers::COMMAND, Key::S);
    window.wait_for("File to write");
    window.click("Export");
    window.wait_for("Saved disc.glb");
    place.path("disc.glb")
}

#[test]
fn an_exported_glb_finds_its_image_and_its_settings_again() {
    let (place, image) = place_with_disc();
    let glb = exported(&place, image);
    let mut window = place.window();
    window.drop_file(&glb);
    window.wait_for("Input image: disc.png");
    window.wait_for("disc.png, finished");
    let flat = window.harness.get_by_label("Back: Flat");
    assert_eq!(
        NodeT::accesskit_node(&flat).toggled(),
        Some(eframe::egui::accesskit::Toggled::True)
    );
    // It is in the history already, once from before it was exported.
    window.press(Modifiers::COMMAND, Key::G);
    window.wait_until("the mesh made again", || records(&place).len() == 2);
    assert_eq!(records(&place)[0].0, records(&place)[1].0);
}

#[test]
fn a_glb_without_its_image_names_it_and_goes_on_when_it_is_dropped() {
    let (place, image) = place_with_disc();
    let glb = exported(&place, image.clone());
    // Another machine, where nothing was made yet.
    let elsewhere = Place::new();
    elsewhere.settings(128);
    let mut window = elsewhere.window();
    window.drop_file(&glb);
    window.wait_for("Made from disc.png, which is not here");
    window.press(Modifiers::COMMAND, Key::G);
    window.wait_for("The image is needed to make this again");
    window.drop_file(&image);
    window.wait_for("disc.png, finished");
    wait_for_record(&mut window, &elsewhere, "the same again", |settings, _| {
        settings["back"] == "flat" && settings["resolution"] == 64
    });
    assert!(!window.sees("which is not here"));
}

#[test]
fn a_mesh_with_settings_of_other_programs_opens_for_viewing() {
    let (place, _) = place_with_disc();
    let mesh = crate::shapes::cube();
    let options = WriteOptions {
        settings: serde_json::json!({ "strokes": "none", "image": 7 }),
        ..WriteOptions::default()
    };
    let path = place.path("cube.glb");
    formats::save(&mesh, &path, Format::Glb, &options).unwrap();
    assert!(checks::quick(&mesh).unwrap().closed);
    let mut window = place.window();
    window.drop_file(&path);
    window.wait_for("Opened for viewing. It can");
}

/// Pictures to look at, on request: `ORFEAS_WINDOW_LOOK=<folder>` says where they go.
#[test]
fn every_state_of_the_editor_as_a_picture() {
    let Some(folder) = std::env::var_os("ORFEAS_WINDOW_LOOK").map(PathBuf::from) else {
        println!("skipped: ORFEAS_WINDOW_LOOK names no folder for the pictures");
        return;
    };
    std::fs::create_dir_all(&folder).unwrap();
    for (theme, size) in [
        ("Dark", [1280.0, 800.0]),
        ("Light", [1024.0, 700.0]),
        ("Dark", [2560.0, 1440.0]),
    ] {
        let place = Place::new();
        place.settings(128);
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let image = root.join("assets/samples/teapot.jpg");
        let mut window = place.drawn_window(vec![image], size);
        let save = |window: &mut Window, name: &str| {
            for _ in 0..8 {
                window.harness.step();
            }
            let picture = window.harness.render().unwrap();
            let file = format!("{theme}-{}-{name}.png", size[0]);
            picture.save(folder.join(file)).unwrap();
        };
        window.wait_for("teapot.jpg, finished");
        window.click("Settings");
        window.click(&format!("Theme: {theme}"));
        window.press(Modifiers::NONE, Key::Escape);
        let canvas = open_editor(&mut window, "teapot.jpg");
        save(&mut window, "1-open");
        let middle = canvas.center();
        let press = |pressed, pos| Event::PointerButton {
            pos,
            button: PointerButton::Secondary,
            pressed,
            modifiers: Modifiers::NONE,
        };
        window.harness.event(Event::PointerMoved(middle));
        window.harness.step();
        window.harness.event(press(true, middle));
        for step in 0..40 {
            let angle = step as f32 * 0.2;
            let at = middle + vec2(angle.cos() - 1.0, angle.sin()) * canvas.height() * 0.2;
            window.harness.event(Event::PointerMoved(at));
            window.harness.step();
        }
        save(&mut window, "2-drawing");
        window.harness.event(press(false, middle));
        window.wait_for("1 stroke ·");
        let deadline = Instant::now() + PATIENCE;
        while window.sees("1 stroke ·") || !window.sees("teapot.jpg, finished") {
            assert!(Instant::now() < deadline, "no end");
            window.harness.step();
        }
        save(&mut window, "3-followed");
        window.press(Modifiers::NONE, Key::X);
        save(&mut window, "4-box");
        window.press(Modifiers::NONE, Key::Enter);
        window.press(Modifiers::NONE, Key::R);
        for _ in 0..20 {
            // The viewport takes a mesh in slices, one for each picture.
            window.harness.step();
            window.harness.render().unwrap();
        }
        save(&mut window, "5-tools");
        window.press(Modifiers::NONE, Key::R);
        window.press(Modifiers::NONE, Key::H);
        save(&mut window, "6-keys");
    }
}
