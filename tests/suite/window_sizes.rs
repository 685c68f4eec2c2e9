//! At every size of the window: nothing is cut, everything can be reached, and the viewport has its share.

use eframe::egui::{Id, Key, Modifiers, Rect};
use egui_kittest::kittest::{NodeT, Queryable};

use crate::pictures;
use crate::window::{Place, Window};

/// The least that the window may be, a usual one, and a large one, in points.
pub(crate) const SIZES: [[f32; 2]; 3] = [[1024.0, 700.0], [1280.0, 800.0], [2560.0, 1440.0]];

/// The small window with a name, which must be all in sight.
fn dialog(window: &Window, name: &str, size: [f32; 2]) -> Rect {
    let memory = |memory: &eframe::egui::Memory| memory.area_rect(Id::unique(name));
    let rect = window.harness.ctx.memory(memory).unwrap();
    let screen = Rect::from_min_size(Default::default(), size.into());
    assert!(screen.contains_rect(rect), "{name}: {rect:?} at {size:?}");
    rect
}

/// Every text and control in a part of the screen, as far as they go, with what is scrolled away.
fn told_inside(window: &Window, columns: Rect) -> Vec<(String, Rect)> {
    let nodes = window.harness.root().children_recursive();
    nodes
        .filter_map(|node| {
            let told = node.accesskit_node();
            let text = told.label().or_else(|| told.value())?;
            told.raw_bounds()?;
            let is_last = node.children().next().is_none();
            let rect = node.rect();
            (is_last && columns.x_range().contains(rect.center().x)).then_some((text, rect))
        })
        .collect()
}

#[test]
fn the_sheet_of_keys_is_all_in_sight_at_every_size() {
    for size in SIZES {
        let place = Place::new();
        let mut window = place.window_of(size, Vec::new());
        window.press(Modifiers::NONE, Key::H);
        window.harness.run_steps(4);
        let sheet = dialog(&window, "All keys", size);
        for text in [
            "Images and meshes",
            "Open images or a mesh",
            "Ctrl+Q",
            "Quit",
        ]
        .into_iter()
        .chain(["Turn the object", "Compare with", "Arrows", "set it"])
        {
            let rect = window.harness.get_by_label_contains(text).rect();
            assert!(sheet.contains_rect(rect), "{text}: {rect:?} of {sheet:?}");
        }
    }
}

#[test]
fn the_sheet_of_keys_scrolls_where_it_has_no_room() {
    let size = [640.0, 400.0];
    let place = Place::new();
    let mut window = place.window_of(size, Vec::new());
    window.press(Modifiers::NONE, Key::H);
    window.harness.run_steps(4);
    let sheet = dialog(&window, "All keys", size);
    let rect = |window: &Window, text| window.harness.get_by_label(text).rect();
    assert!(sheet.contains_rect(rect(&window, "Open images or a mesh")));
    assert!(!sheet.contains_rect(rect(&window, "Brush size")));
    window.harness.get_by_label("Brush size").scroll_to_me();
    // Scrolling glides.
    window.harness.run_steps(40);
    assert!(sheet.contains_rect(rect(&window, "Brush size")));
    // The cross stays.
    window.click("Close Keys");
    assert!(!window.sees("Brush size"));
}

#[test]
fn the_settings_take_the_room_there_is_and_every_row_is_reached() {
    for size in SIZES {
        let place = Place::new();
        let mut window = place.window_of(size, Vec::new());
        window.click("Settings");
        window.wait_for("Open the folder");
        window.harness.run_steps(40);
        let settings = dialog(&window, "Settings of the window", size);
        let rows: Vec<_> = told_inside(&window, settings)
            .into_iter()
            .skip_while(|(text, _)| text != "Theme")
            .collect();
        assert!(rows.len() > 20, "{rows:?}");
        let bottom = rows.iter().map(|(_, rect)| rect.bottom());
        let cut = bottom.fold(0.0, f32::max) - settings.bottom();
        let unused = size[1] - settings.height();
        assert!(
            cut <= 0.0 || unused < 80.0,
            "{cut} points are cut, {unused} are not used at {size:?}"
        );
        for label in [
            "Theme: Dark",
            "Cache, at most 2.0 GB",
            "Serve other programs on this machine",
            "Open the folder: Cache",
        ] {
            window.harness.get_by_label_contains(label).scroll_to_me();
            window.harness.run_steps(40);
            let rect = window.harness.get_by_label_contains(label).rect();
            assert!(settings.contains_rect(rect), "{label}: {rect:?}");
        }
        let about = window.harness.get_by_label_contains("Typeface: Inter");
        about.scroll_to_me();
        window.harness.run_steps(40);
        let about = window.harness.get_by_label_contains("Typeface: Inter");
        assert!(settings.contains_rect(about.rect()), "{:?}", about.rect());
    }
}

#[test]
fn the_viewport_has_three_fifths_of_the_width_at_every_size() {
    for size in SIZES {
        let place = Place::new();
        place.settings(64);
        let image = place.write("disc.png", &pictures::disc_png(64));
        let mut window = place.window_of(size, vec![image]);
        window.wait_for("Finished");
        window.wait_for("CPU in use");
        let share =
            |window: &Window| window.harness.get_by_label("Viewport").rect().width() / size[0];
        assert!(share(&window) >= 0.6, "{} at {size:?}", share(&window));
        let with_memory = share(&window);
        window.press(Modifiers::NONE, Key::M);
        window.harness.run_steps(2);
        assert!(share(&window) > with_memory);
    }
}
