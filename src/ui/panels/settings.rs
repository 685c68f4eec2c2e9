//! The few settings of the window.

use eframe::egui::{self, Align2, vec2};

use super::super::app::App;
use super::super::desk::{LaneOf, Message, Problem};
use super::super::preferences::ThemeChoice;
use super::super::serving;
use super::super::widgets;
use crate::store;

const THEMES: [(ThemeChoice, &str, &str); 3] = [
    (ThemeChoice::System, "System", "As the system is set"),
    (ThemeChoice::Dark, "Dark", "Always dark"),
    (ThemeChoice::Light, "Light", "Always light"),
];

pub(super) fn show(app: &mut App, ctx: &egui::Context) {
    if !app.settings_open {
        return;
    }
    let mut open = true;
    egui::Window::new("Settings of the window")
        .anchor(Align2::CENTER_CENTER, vec2(0.0, -24.0))
        .title_bar(false)
        .resizable(false)
        .default_width(360.0)
        .show(ctx, |ui| {
            ui.set_width(336.0);
            open = !widgets::window_header(ui, "Settings");
            ui.label("Theme");
            let mut theme = app.preferences.theme;
            if widgets::segments(ui, "Theme", &THEMES, &mut theme) {
                app.preferences.theme = theme;
                app.apply_theme();
                app.save_preferences();
            }
            ui.add_space(8.0);
            serving::show(app, ui);
            widgets::heading(ui, "Folders");
            let folders = store::Folders::of_platform();
            let lines = [
                ("Settings", super::super::Preferences::folder()),
                ("History", folders.as_ref().map(|folders| folders.data.clone())),
                ("Cache", folders.map(|folders| folders.cache)),
            ];
            for (name, folder) in lines {
                let text = folder.map_or_else(
                    || "none on this system".to_owned(),
                    |folder| folder.display().to_string(),
                );
                widgets::short_note(ui, format!("{name}: {text}")).on_hover_text(text);
            }
            ui.add_space(8.0);
            kept_results(app, ui);
            widgets::heading(ui, "About");
            widgets::note(
                ui,
                format!(
                    "Orfeas {}. Everything stays on this machine. Typeface: Inter, SIL Open Font License.",
                    env!("CARGO_PKG_VERSION")
                ),
            );
        });
    app.settings_open &= open;
}

/// What the cache holds, and a way to give it up.
fn kept_results(app: &App, ui: &mut egui::Ui) {
    let Some(store) = app.store() else {
        return;
    };
    let cache = store.cache().statistics();
    widgets::note(
        ui,
        format!(
            "{} results kept, {:.0} of {:.0} MB; they can be made again.",
            cache.entries,
            cache.bytes as f64 / 1e6,
            cache.limit_bytes as f64 / 1e6
        ),
    );
    let clear = ui
        .add_enabled(cache.entries > 0, egui::Button::new("Clear the cache"))
        .on_hover_text("Deletes kept results from the disk; the history stays");
    if clear.clicked() {
        app.desk.run(LaneOf::Files, move |inbox| {
            if let Err(error) = store.cache().clear() {
                inbox.send(Message::Notice(Problem::new(
                    "The cache could not be cleared",
                    error,
                )));
            }
            inbox.wake();
        });
    }
    ui.add_space(8.0);
}
