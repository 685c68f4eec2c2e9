//! The export dialog, a running export, and the window that waits for it.

use std::time::Instant;

use eframe::egui::{Event, Key, Modifiers, ViewportCommand, ViewportEvent, ViewportId};
use egui_kittest::kittest::{NodeT, Queryable};
use orfeas::formats::{self, Format};

use crate::pictures;
use crate::window::{PATIENCE, Place, Window};

/// A window with a finished mesh of a disc and the dialog open.
fn with_dialog(place: &Place, resolution: u32, settings: serde_json::Value) -> Window {
    let mut all = serde_json::json!({
        "resolution": resolution,
        "export_folder": place.path(""),
        "export_format": "stl",
    });
    let more = settings.as_object().unwrap().clone();
    all.as_object_mut().unwrap().extend(more);
    place.write("config/window.json", all.to_string().as_bytes());
    let image = place.write("disc.png", &pictures::disc_png(400));
    let mut window = place.window_on(vec![image]);
    window.wait_for("Finished");
    window.press(Modifiers::COMMAND, Key::S);
    window.wait_for("File to write");
    window
}

#[test]
fn the_dialog_tells_how_many_faces_there_will_really_be() {
    let place = Place::new();
    let mut window = with_dialog(&place, 64, serde_json::json!({ "export_faces": 1000 }));
    window.wait_for("faces are written");
    let told = window.harness.get_by_label_contains("faces are written");
    let told = NodeT::accesskit_node(&told);
    let told = told.value().or_else(|| told.label()).unwrap();
    window.click("Export");
    window.wait_for("Saved disc.stl");
    let faces = formats::load(&place.path("disc.stl"))
        .unwrap()
        .mesh
        .triangles
        .len();
    assert!(faces <= 1000);
    let written: usize = told
        .split(' ')
        .next()
        .unwrap()
        .replace(',', "")
        .parse()
        .unwrap();
    assert_eq!(faces, written, "{told}");
}

#[test]
fn the_axis_and_the_texture_that_were_chosen_are_written_and_remembered() {
    let place = Place::new();
    let mut window = with_dialog(&place, 64, serde_json::json!({}));
    window.click("Format: OBJ");
    window.click("Up: Z");
    let texture = window
        .texts()
        .into_iter()
        .filter(|text| text.starts_with("Texture: "))
        .nth(1)
        .unwrap();
    window.click(&texture);
    let side: usize = texture["Texture: ".len()..texture.len() - " px".len()]
        .parse()
        .unwrap();
    window.click("Export");
    window.wait_for("Saved disc.obj");
    let text = std::fs::read_to_string(place.path("disc.obj")).unwrap();
    assert!(text.contains("Z up"), "{}", &text[..80]);
    let png = image::open(place.path("disc_texture.png")).unwrap();
    assert_eq!(png.width().max(png.height()) as usize, side);
    // The next export of this format is proposed as this one was, others as they usually are.
    window.press(Modifiers::COMMAND, Key::S);
    window.wait_for("File to write");
    assert!(window.is_chosen("Up: Z"));
    assert!(window.is_chosen(&texture));
    assert!(!window.sees("as OBJ demands"));
    window.click("Format: GLB");
    assert!(window.sees("Y, as GLB demands"));
}

#[test]
fn a_window_that_is_closed_waits_for_the_file_that_is_being_written() {
    let place = Place::new();
    let mut window = with_dialog(&place, 256, serde_json::json!({ "export_faces": 500 }));
    window.click("Export");
    let close = |window: &mut Window| {
        let root = window
            .harness
            .input_mut()
            .viewports
            .get_mut(&ViewportId::ROOT);
        root.unwrap().events.push(ViewportEvent::Close);
        window.harness.step();
    };
    close(&mut window);
    assert!(has_command(&window, &ViewportCommand::CancelClose));
    window.wait_for("disc.stl is still being written");
    let deadline = Instant::now() + PATIENCE;
    while !has_command(&window, &ViewportCommand::Close) {
        assert!(Instant::now() < deadline, "the window never closed");
        window.harness.step();
    }
    let loaded = formats::load(&place.path("disc.stl")).unwrap();
    assert!(loaded.mesh.triangles.len() <= 500);
    // Nothing is written any more, so that nothing holds it back.
    close(&mut window);
    assert!(!has_command(&window, &ViewportCommand::CancelClose));
}

#[test]
fn an_export_that_is_stopped_leaves_nothing_and_closes_the_window_where_that_was_wished() {
    let place = Place::new();
    let mut window = with_dialog(&place, 256, serde_json::json!({ "export_faces": 500 }));
    window.click("Export");
    let root = window
        .harness
        .input_mut()
        .viewports
        .get_mut(&ViewportId::ROOT);
    root.unwrap().events.push(ViewportEvent::Close);
    window.harness.step();
    window.wait_for("disc.stl is still being written");
    window.click("Stop and close");
    let deadline = Instant::now() + PATIENCE;
    while !has_command(&window, &ViewportCommand::Close) {
        assert!(Instant::now() < deadline, "the window never closed");
        window.harness.step();
    }
    window.wait_for("The export was stopped");
    assert!(!place.path("disc.stl").exists());
    let parts = std::fs::read_dir(place.path("")).unwrap().filter(|entry| {
        entry
            .as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .ends_with(".part")
    });
    assert_eq!(parts.count(), 0);
}

#[test]
fn the_title_tells_what_is_open_and_how_it_stands() {
    let place = Place::new();
    place.settings(64);
    let image = place.write("猫.png", &pictures::disc_png(96));
    let mut window = place.window();
    let mut titles = Vec::new();
    window.drop_file(&image);
    let deadline = Instant::now() + PATIENCE;
    while titles.last().map(String::as_str) != Some("猫.png – Orfeas") {
        assert!(Instant::now() < deadline, "{titles:?}");
        titles.extend(
            commands(&window)
                .into_iter()
                .filter_map(|command| match command {
                    ViewportCommand::Title(title) => Some(title),
                    _ => None,
                }),
        );
        window.harness.step();
    }
    assert!(
        titles.iter().any(|title| title.contains("(working)")),
        "{titles:?}"
    );
}

#[test]
fn by_keyboard_alone_an_image_becomes_a_file_and_the_window_closes() {
    let place = Place::new();
    place.settings(64);
    let image = place.write("disc.png", &pictures::disc_png(96));
    let mut window = place.window_on(vec![image]);
    window.wait_for("Finished");
    window.press(Modifiers::COMMAND, Key::S);
    window.wait_for("File to write");
    window.press(Modifiers::NONE, Key::Enter);
    window.wait_for("Saved disc.stl");
    assert!(window.sees("Show in folder") && window.sees("Copy file"));
    assert_eq!(Format::from_path(&place.path("disc.stl")), Ok(Format::Stl));
    window.harness.input_mut().events.push(Event::Key {
        key: Key::Q,
        physical_key: None,
        pressed: true,
        repeat: false,
        modifiers: Modifiers::COMMAND,
    });
    window.harness.step();
    assert!(has_command(&window, &ViewportCommand::Close));
}

fn commands(window: &Window) -> Vec<ViewportCommand> {
    window
        .harness
        .output()
        .viewport_output
        .get(&ViewportId::ROOT)
        .map(|output| output.commands.clone())
        .unwrap_or_default()
}

fn has_command(window: &Window, command: &ViewportCommand) -> bool {
    commands(window).contains(command)
}
