//! The source and what can be turned: only what applies.

use eframe::egui::{self, Ui};

use super::super::app::App;
use super::super::project::Wishes;
use super::super::widgets;
use super::input::change;
use super::{flow, sources};
use crate::engine::{Back, Settings, Source};

/// Presets by cells along the longest side.
const QUALITIES: [(u32, &str, &str); 4] = [
    (64, "Draft", "64 cells along the longest side: at once"),
    (128, "Fair", "128 cells along the longest side"),
    (
        256,
        "Fine",
        "256 cells along the longest side: for most prints",
    ),
    (
        512,
        "Finest",
        "512 cells along the longest side: minutes and gigabytes on a small machine",
    ),
];

const BACKS: [(Back, &str, &str); 4] = [
    (Back::Auto, "Auto", "Mirrored for flat art, plain otherwise"),
    (Back::Plain, "Plain", "A smooth back in smoothed colours"),
    (Back::Mirror, "Mirror", "The front again"),
    (Back::Flat, "Flat", "Cut flat, to lie on a table or a wall"),
];

pub(in super::super) fn show(app: &mut App, ui: &mut Ui) {
    let project = app.active_project();
    let is_mesh_file = project.is_some_and(|project| project.is_mesh_file);
    if let Some(missing) = project.and_then(|project| project.missing.as_ref()) {
        widgets::note(
            ui,
            format!(
                "Made from {}, which is not here. Drop it on the window to make it again with these settings.",
                missing.name()
            ),
        );
        ui.add_space(4.0);
    } else if is_mesh_file {
        widgets::note(
            ui,
            "Opened for viewing. It can be exported in another format and size.",
        );
        return;
    }
    let has_project = project.is_some();
    let full_frame = project
        .and_then(|project| project.matte.as_ref())
        .is_some_and(|matte| matte.summary.kind == "full");
    let before = project.map_or_else(|| app.first_wishes(), |project| project.wishes.clone());
    let mut wishes = before.clone();
    sources::show(app, ui, &mut wishes.source);
    quality(ui, &mut wishes.resolution);
    let held = match wishes.source {
        Source::Inflate => shape(ui, &mut wishes, full_frame),
        Source::Auto | Source::TripoSr => begins_by_hand(ui),
        Source::TripoSg => begins_by_hand(ui) | flow::show(ui, &mut wishes.flow),
    };
    app.control_is_held |= held;
    if wishes.flow != before.flow {
        app.preferences.flow = wishes.flow;
    }
    // Once for a hand that drags, not once for every place it comes by.
    if wishes.source == Source::TripoSg && !held {
        app.save_preferences();
    }
    if wishes.resolution != before.resolution
        && QUALITIES
            .iter()
            .any(|(cells, ..)| *cells == wishes.resolution)
    {
        app.preferences.resolution = wishes.resolution;
        app.save_preferences();
    }
    if has_project {
        change(app, wishes);
    }
}

/// For sources that take too long to follow a hand.
fn begins_by_hand(ui: &mut Ui) -> bool {
    widgets::note(ui, "Begins when you press Generate.");
    false
}

fn quality(ui: &mut Ui, resolution: &mut u32) {
    ui.label("Quality");
    widgets::segments(ui, "Quality", &QUALITIES, resolution);
    let cells = *resolution;
    let words = format!("{cells}³ cells");
    widgets::note(ui, words).on_hover_text(format!(
        "Cells along the longest side, from {} to {}",
        Settings::MIN_RESOLUTION,
        Settings::MAX_RESOLUTION
    ));
}

/// The shape's controls; tells whether one of them is held.
fn shape(ui: &mut Ui, wishes: &mut Wishes, full_frame: bool) -> bool {
    let controls = &mut wishes.controls;
    let detail = widgets::slider(
        ui,
        "Detail",
        "How much of the shading becomes relief",
        &mut controls.detail,
        0.0..=1.0,
        |value| format!("{:.0} %", value * 100.0),
    );
    let depth = if full_frame {
        widgets::slider(
            ui,
            "Relief",
            "The depth of a picture without a subject, as a share of its longest side",
            &mut controls.relief,
            Settings::RELIEFS,
            |value| format!("{:.0} %", value * 100.0),
        )
    } else {
        widgets::slider(
            ui,
            "Thickness",
            "How deep the solid is; 100 % is what the source proposes",
            &mut controls.thickness,
            Settings::THICKNESSES,
            |value| format!("{:.0} %", value * 100.0),
        )
    };
    ui.add_space(4.0);
    ui.label("Back");
    widgets::segments(ui, "Back", &BACKS, &mut controls.back);
    let held =
        |response: &egui::Response| response.dragged() || response.is_pointer_button_down_on();
    held(&detail) || held(&depth)
}
