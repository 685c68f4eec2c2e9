//! The source and what can be turned: only what applies.

use eframe::egui::{self, RichText, Role, Ui, WidgetInfo};

use super::super::app::App;
use super::super::project::Wishes;
use super::super::{fonts, widgets};
use super::input::change;
use crate::engine::catalogue::TRIPOSR;
use crate::engine::{Back, Settings, Source};

/// The embedded source's name for users.
const QUICK: &str = "Quick shape, no AI";

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
    let before = project.map_or_else(
        || Wishes::new(app.preferences.resolution),
        |project| project.wishes.clone(),
    );
    let mut wishes = before.clone();
    source(app, ui, &mut wishes.source);
    quality(ui, &mut wishes.resolution);
    let held = if wishes.source == Source::TripoSr {
        widgets::note(ui, "Begins when you press Generate.");
        false
    } else {
        shape(ui, &mut wishes, full_frame)
    };
    app.control_is_held |= held;
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

fn source(app: &mut App, ui: &mut Ui, chosen: &mut Source) {
    widgets::heading(ui, "Source");
    let folder = app.sources.triposr.clone();
    let mut asks_for_folder = false;
    let mut asks_for_download = false;
    let selected = match chosen {
        Source::TripoSr => TRIPOSR.title,
        _ => QUICK,
    };
    let combo = egui::ComboBox::from_id_salt("source")
        .width(ui.available_width())
        .icon(widgets::chevron)
        .selected_text(selected)
        .show_ui(ui, |ui| {
            ui.selectable_value(chosen, Source::Auto, QUICK)
                .on_hover_text("The embedded source (inflate): outline and shading, no weights");
            ui.add_enabled_ui(folder.is_some(), |ui| {
                let tooltip = "A neural model that sees the whole object; on the processor it takes a while";
                ui.selectable_value(chosen, Source::TripoSr, TRIPOSR.title)
                    .on_hover_text(tooltip)
                    .on_disabled_hover_text(
                        "Its weights are not on this machine: download them, or choose a folder that holds them",
                    );
            });
            let where_it_is = if folder.is_some() { "on this machine" } else { "not on this machine" };
            let size_gb = TRIPOSR.size_bytes() as f64 / 1e9;
            let terms = format!("{size_gb:.1} GB, licence {}, {where_it_is}", TRIPOSR.licence.name);
            let terms = ui.add(egui::Label::new(RichText::new(terms).size(fonts::SMALL).weak()));
            if let Some(folder) = &folder {
                terms.on_hover_text(folder.display().to_string());
            }
            if folder.is_none() {
                asks_for_download = widgets::quiet(
                    ui,
                    "Download…",
                    "Size and licence are shown before anything is downloaded",
                )
                .clicked();
            }
            asks_for_folder = widgets::quiet(
                ui,
                "Choose folder…",
                "Use a folder that holds the weights in their published layout",
            )
            .clicked();
        });
    combo
        .response
        .widget_info(|| WidgetInfo::labeled(Role::ComboBox, true, "Shape source"));
    combo.response.on_hover_text(
        "What makes the solid from the image. The quick shape reads outline and shading; it runs on \
         the processor and needs no download (inflate)",
    );
    if asks_for_folder {
        app.ask_for_model_folder();
    }
    if asks_for_download {
        app.offer_download(&TRIPOSR);
    }
    super::download::show(app, ui);
    ui.add_space(4.0);
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
