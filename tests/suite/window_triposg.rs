//! TripoSG in the window: come by, turned, generated, kept on the way, and found again in files.

use eframe::egui::accesskit::Role;
use eframe::egui::{Key, Modifiers, Order};
use egui_kittest::kittest::{NodeT, Queryable};
use orfeas::engine::Library;
use orfeas::engine::catalogue::TRIPOSG;
use orfeas::formats;
use orfeas::ui::Backend;
use serde_json::{Value, json};

use crate::pictures;
use crate::triposg_folder::folder;
use crate::window::{Place, Window};

/// The library of someone who chose a folder with the reference model.
fn library(place: &Place) -> Library {
    let library = Library {
        list: Some(place.path("data/models.json")),
        ..Library::default()
    };
    let weights = place.path("weights");
    if !weights.exists() {
        library.choose(&TRIPOSG, &folder(&weights)).unwrap();
    }
    library
}

/// A window on a machine that has the weights, with this flow remembered.
fn window(place: &Place, resolution: u32, flow: &Value) -> Window {
    let settings = json!({
        "resolution": resolution,
        "export_folder": place.path(""),
        "export_format": "glb",
        "flow": flow,
    });
    place.write("config/window.json", settings.to_string().as_bytes());
    again(place)
}

fn again(place: &Place) -> Window {
    let mut setup = place.setup(Vec::new());
    setup.backend = Backend::Running(place.engine_of(u64::MAX, library(place)));
    Place::open(setup)
}

/// Shows an image's quick shape, and then chooses TripoSG for it.
fn choose(window: &mut Window, place: &Place) {
    let image = place.write("disc.png", &pictures::disc_png(96));
    window.drop_file(&image);
    window.wait_for("Finished");
    window.click("Shape source");
    window.wait_for("licence MIT, on this machine");
    window.click("TripoSG");
    window.wait_for("Begins when you press Generate");
}

fn number(window: &Window, label: &str) -> f64 {
    let node = window
        .harness
        .get_by_role_and_label(Role::SpinButton, label);
    NodeT::accesskit_node(&node).numeric_value().unwrap()
}

/// Everything that the stages say, where their list is open.
fn tells(window: &Window, words: &str) -> bool {
    window
        .everything_told()
        .iter()
        .any(|text| text.contains(words))
}

#[test]
fn without_its_weights_it_is_told_how_to_come_by_them() {
    let place = Place::new();
    place.settings(64);
    let mut window = place.window();
    window.wait_for("Ready");
    window.click("Shape source");
    window.wait_for("8.0 GB, licence MIT, not on this machine");
    assert!(tells(&window, "knows no digests"), "{:#?}", window.texts());
    window.harness.get_by_label("VAST-AI/TripoSG");
    window.harness.get_by_label("Choose folder with TripoSG…");
    let entry = window.harness.get_by_label("TripoSG");
    assert!(NodeT::accesskit_node(&entry).is_disabled());
    // The one model whose files can be checked is TripoSR: there is one such button, and it is that one's.
    window.click("Download…");
    window.wait_for("Download TripoSR?");
}

#[test]
fn its_controls_are_there_while_it_is_chosen_and_begin_nothing() {
    let place = Place::new();
    let flow = json!({ "steps": 3, "guidance": 2.5, "seed": 4, "preview_share": 0.25 });
    let mut window = window(&place, 64, &flow);
    assert!(window.sees("Detail") && !window.sees("Guidance"));
    choose(&mut window, &place);
    assert!(!window.sees("Detail"));
    let shown = ["Steps", "Guidance", "Seed"].map(|label| number(&window, label));
    assert_eq!(shown, [3.0, 2.5, 4.0]);
    window.wait_for("disc.png, stopped");

    window.click("New seed");
    let seed = number(&window, "Seed");
    assert!(seed != 4.0, "the seed did not change");
    let node = (window.harness).get_by_role_and_label(Role::SpinButton, "Steps");
    node.set_value_accesskit(2.0);
    window.harness.run_steps(3);
    assert_eq!(number(&window, "Steps"), 2.0);
    // As neural sources do, it waits for Generate, whatever is turned.
    assert!(window.sees("disc.png, stopped"));

    // What was set is there for the next image, after a restart.
    drop(window);
    let mut window = again(&place);
    choose(&mut window, &place);
    let shown = ["Steps", "Guidance", "Seed"].map(|label| number(&window, label));
    assert_eq!(shown, [2.0, 2.5, seed]);
    let previews = window
        .harness
        .get_by_role_and_label(Role::Slider, "Looks on the way");
    assert_eq!(NodeT::accesskit_node(&previews).numeric_value(), Some(0.25));
}

#[test]
fn its_controls_tell_what_they_are() {
    let place = Place::new();
    let mut window = window(&place, 64, &json!({ "steps": 3 }));
    choose(&mut window, &place);
    window.harness.check_accessibility();
    let controls = [
        (Role::SpinButton, "Steps"),
        (Role::SpinButton, "Guidance"),
        (Role::SpinButton, "Seed"),
        (Role::Button, "New seed"),
        (Role::Slider, "Looks on the way"),
    ];
    for (role, label) in controls {
        let find = |window: &Window| window.harness.get_by_role_and_label(role, label).rect();
        (window.harness.get_by_role_and_label(role, label)).scroll_to_me();
        window.harness.run_steps(12);
        window.harness.hover_at(find(&window).center());
        window.harness.run_steps(6);
        let has_tooltip = window.harness.ctx.memory(|memory| {
            let mut layers = memory.areas().visible_layer_ids().into_iter();
            layers.any(|layer| layer.order == Order::Tooltip)
        });
        assert!(has_tooltip, "{label} has no tooltip");
        window.harness.remove_cursor();
        window.harness.run_steps(2);
    }
}

#[test]
fn settings_out_of_their_range_are_as_at_first() {
    let place = Place::new();
    let flow = json!({ "steps": 0, "guidance": -1, "seed": 1_u64 << 60, "preview_share": 7 });
    let mut window = window(&place, 64, &flow);
    choose(&mut window, &place);
    let shown = ["Steps", "Guidance", "Seed"].map(|label| number(&window, label));
    assert_eq!(shown, [50.0, 7.0, 0.0]);
    assert!(!window.sees("damaged"));
}

#[test]
fn generate_makes_a_mesh_that_brings_its_settings_back() {
    let place = Place::new();
    let flow = json!({ "steps": 3, "guidance": 2.5, "seed": 7, "preview_share": 0.0 });
    let mut window = window(&place, 32, &flow);
    choose(&mut window, &place);
    window.click("Generate");
    window.wait_for("disc.png, finished");
    window.press(Modifiers::NONE, Key::J);
    for stage in ["Shaping the solid, done", "Refining 32³, done"] {
        assert!(tells(&window, stage), "{:#?}", window.everything_told());
    }
    window.press(Modifiers::COMMAND, Key::S);
    window.wait_for("File to write");
    window.click("Export");
    window.wait_for("Saved disc.glb");
    drop(window);

    let written = formats::load(&place.path("disc.glb")).unwrap();
    let settings = written.settings.unwrap();
    assert_eq!(settings["source"], "triposg");
    assert_eq!(settings["steps"], 3);
    assert_eq!(settings["guidance"], 2.5);
    assert_eq!(settings["seed"], 7);
    assert_eq!(settings["preview_share"], 0.0);

    place.write("config/window.json", b"{}");
    let mut window = again(&place);
    window.drop_file(&place.path("disc.glb"));
    window.wait_for("Input image: disc.png");
    window.wait_for("Guidance");
    let shown = ["Steps", "Guidance", "Seed"].map(|label| number(&window, label));
    assert_eq!(shown, [3.0, 2.5, 7.0]);
}

#[test]
fn keep_finishes_the_shape_as_it_is_predicted() {
    let place = Place::new();
    let flow = json!({ "steps": 1000, "preview_share": 0.5 });
    let mut window = window(&place, 32, &flow);
    choose(&mut window, &place);
    window.press(Modifiers::NONE, Key::J);
    window.click("Generate");
    window.wait_for("Refining, step ");
    assert!(
        tells(&window, "Shaping the solid, runs now, step "),
        "{:#?}",
        window.everything_told()
    );
    window.click("Keep");
    window.wait_for("disc.png, finished");
    window.wait_for("of 1000 steps, as you asked");
    assert!(window.sees("32³  ·"), "{:#?}", window.texts());
    assert!(window.sees("closed"));
}

#[test]
fn several_shapes_are_seen_side_by_side_and_one_is_picked() {
    let place = Place::new();
    let flow = json!({ "steps": 2, "seed": 3, "shapes": 3, "preview_share": 0.0 });
    let mut window = window(&place, 64, &flow);
    choose(&mut window, &place);
    let shapes = window.harness.get_by_role_and_label(Role::Slider, "Shapes");
    assert_eq!(NodeT::accesskit_node(&shapes).numeric_value(), Some(3.0));
    assert!(!window.sees("Pick a shape to refine it"));
    window.click("Generate");
    window.wait_for("Pick a shape to refine it");
    assert!(window.sees("disc.png, pick a shape"));
    // Coarse, whatever was asked for, and the first of them is on screen.
    window.wait_for("32³  ·");
    let tile = |seed: u64| format!("Seed {seed}, a coarse shape; click to refine it");
    for seed in 3..6 {
        assert!(
            tells(&window, &tile(seed)),
            "{:#?}",
            window.everything_told()
        );
    }
    assert!(!tells(&window, "Seed 6"));
    // Large enough to be compared: there is room.
    let shown = window.harness.get_by_label(&tile(4)).rect();
    assert!(shown.width() > 100.0, "{shown:?}");

    window.press(Modifiers::NONE, Key::J);
    window.click(&tile(4));
    window.wait_for("disc.png, finished");
    window.wait_for("64³  ·");
    // What the steps made was kept: the shape was only meshed.
    assert!(
        tells(&window, "Refining 64³, done"),
        "{:#?}",
        window.everything_told()
    );
    assert!(
        !tells(&window, "Shaping the solid"),
        "{:#?}",
        window.everything_told()
    );
    assert_eq!(number(&window, "Seed"), 4.0);
    // The others can still be picked, until other shapes are asked for.
    assert!(window.sees("Pick a shape to refine it"));
    let node = (window.harness).get_by_role_and_label(Role::SpinButton, "Steps");
    node.set_value_accesskit(3.0);
    window.harness.run_steps(3);
    assert!(!window.sees("Pick a shape to refine it"));
}

#[test]
fn what_is_left_open_is_told_before_and_after() {
    let place = Place::new();
    let flow = json!({ "steps": 1, "preview_share": 0.0 });
    let mut window = window(&place, 32, &flow);
    let image = place.write("disc.png", &pictures::disc_png(96));
    window.drop_file(&image);
    window.wait_for("Finished");
    window.click("Shape source");
    window.click("Automatic");
    window.wait_for("Begins when you press Generate");
    window.wait_for("TripoSG was chosen: it takes about");
    window.wait_for("disc.png, stopped");
    window.click("Generate");
    window.wait_for("disc.png, finished");
    assert!(window.sees("TripoSG was chosen"), "{:#?}", window.texts());
    window.press(Modifiers::COMMAND, Key::S);
    window.wait_for("File to write");
    window.click("Export");
    window.wait_for("Saved disc.glb");
    // The file tells what it was made with, so that it can be made so again.
    let settings = formats::load(&place.path("disc.glb")).unwrap().settings;
    assert_eq!(settings.unwrap()["source"], "triposg");
}
