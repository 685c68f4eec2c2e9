//! The list of shape sources: which there are, which can be chosen, and how the others are come by.

use eframe::egui::{self, RichText, Role, Ui, WidgetInfo};

use super::super::app::App;
use super::super::sources::Folders;
use super::super::{fonts, widgets};
use crate::engine::Source;
use crate::engine::catalogue::Model;

/// The embedded source's name for users.
const QUICK: &str = "Quick shape, no AI";

/// The name of the choice that is left to Orfeas.
const AUTOMATIC: &str = "Automatic";

/// The neural sources, and what each is like.
const NEURAL: [(Source, &str); 2] = [
    (
        Source::TripoSr,
        "A neural model that sees the whole object; on the processor it takes a while",
    ),
    (
        Source::TripoSg,
        "A neural model that refines a shape from noise, step by step; on the processor it takes very long",
    ),
];

/// The tallest that the list becomes before it scrolls.
const HEIGHT: f32 = 440.0;
/// The list is at least so wide, for words on models that are not here.
const WIDTH: f32 = 264.0;

/// What was pressed in the list.
#[derive(Default)]
struct Pressed {
    folder: Option<&'static Model>,
    download: Option<&'static Model>,
}

pub(super) fn show(app: &mut App, ui: &mut Ui, chosen: &mut Source) {
    widgets::heading(ui, "Source");
    let mut pressed = Pressed::default();
    let selected = match (*chosen, chosen.model()) {
        (Source::Auto, _) => AUTOMATIC,
        (_, Some(model)) => model.title,
        (_, None) => QUICK,
    };
    let folders = &app.sources.folders;
    let combo = egui::ComboBox::from_id_salt("source")
        .width(ui.available_width())
        .height(HEIGHT)
        .icon(widgets::chevron)
        .selected_text(selected)
        .show_ui(ui, |ui| {
            ui.set_max_width(ui.available_width().max(WIDTH));
            ui.selectable_value(chosen, Source::Inflate, QUICK)
                .on_hover_text("The embedded source (inflate): outline and shading, no weights");
            ui.selectable_value(chosen, Source::Auto, AUTOMATIC)
                .on_hover_text(
                    "The best source whose weights are here, that fits into memory and is foretold to take less \
                     than two minutes (auto)",
                );
            for (source, tooltip) in NEURAL {
                if let Some(model) = source.model() {
                    entry(ui, (source, model), tooltip, folders, chosen, &mut pressed);
                }
            }
        });
    combo
        .response
        .widget_info(|| WidgetInfo::labeled(Role::ComboBox, true, "Shape source"));
    combo.response.on_hover_text(
        "What makes the solid from the image. The quick shape reads outline and shading; it runs on \
         the processor and needs no download (inflate)",
    );
    if *chosen == Source::Auto
        && let Some(reason) = &app.chosen
    {
        widgets::note(ui, widgets::sentence(reason));
    }
    if let Some(model) = pressed.folder {
        app.ask_for_model_folder(model);
    }
    if let Some(model) = pressed.download {
        app.offer_download(model);
    }
    super::download::show(app, ui);
    ui.add_space(4.0);
}

/// A neural source: its name, what its weights are, and how they are come by where they are not here.
fn entry(
    ui: &mut Ui,
    (source, model): (Source, &'static Model),
    tooltip: &str,
    folders: &Folders,
    chosen: &mut Source,
    pressed: &mut Pressed,
) {
    let folder = folders.get(model.name);
    let (place, remedy) = match (folder.is_some(), model.can_be_downloaded()) {
        (true, _) => ("on this machine", ""),
        (false, true) => (
            "not on this machine",
            "Its weights are not on this machine: download them, or choose a folder that holds them",
        ),
        (false, false) => (
            "not on this machine",
            "Its weights are not on this machine: get them, and choose the folder that holds them",
        ),
    };
    ui.add_enabled_ui(folder.is_some(), |ui| {
        ui.selectable_value(chosen, source, model.title)
            .on_hover_text(tooltip)
            .on_disabled_hover_text(remedy);
    });
    let (size, licence) = (widgets::bytes(model.size_bytes()), model.licence.name);
    let terms = RichText::new(format!("{size}, licence {licence}, {place}"));
    let terms = ui.add(egui::Label::new(terms.size(fonts::SMALL).weak()));
    match folder {
        Some(folder) => {
            terms.on_hover_text(folder.display().to_string());
        }
        None if model.can_be_downloaded() => {
            let tooltip = "Size and licence are shown before anything is downloaded";
            if widgets::quiet(ui, "Download…", tooltip).clicked() {
                pressed.download = Some(model);
            }
        }
        None => by_hand(ui, model),
    }
    let tooltip = "Use a folder that holds the weights in their published layout";
    let button = widgets::quiet(ui, "Choose folder…", tooltip);
    let said = format!("Choose folder with {}…", model.title);
    button.widget_info(|| WidgetInfo::labeled(Role::Button, true, &said));
    if button.clicked() {
        pressed.folder = Some(model);
    }
}

/// How weights are come by that this version cannot check, and so does not download.
fn by_hand(ui: &mut Ui, model: &Model) {
    widgets::note(
        ui,
        "Orfeas does not download it, for this version knows no digests to check its files with. Get them \
         yourself, and choose their folder.",
    );
    let address = format!("https://huggingface.co/{}", model.repository);
    ui.hyperlink_to(RichText::new(model.repository).size(fonts::SMALL), &address)
        .on_hover_text(&address);
}
