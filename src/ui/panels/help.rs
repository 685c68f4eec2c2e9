//! The sheet with all keys.

use eframe::egui::{self, Align2, RichText, vec2};

use super::super::app::App;
use super::super::shortcuts::{SHEET, on_this_system};
use super::super::{fonts, theme, widgets};

pub(super) fn show(app: &mut App, ctx: &egui::Context) {
    if !app.help_open {
        return;
    }
    let mut open = true;
    egui::Window::new("All keys")
        .anchor(Align2::CENTER_CENTER, vec2(0.0, -24.0))
        .title_bar(false)
        .resizable(false)
        .show(ctx, |ui| {
            let palette = theme::palette(ui);
            ui.set_width(336.0);
            open = !widgets::window_header(ui, "Keys");
            ui.spacing_mut().interact_size.y = 20.0;
            egui::Grid::new("keys")
                .num_columns(2)
                .spacing(vec2(24.0, 4.0))
                .show(ui, |ui| {
                    for (keys, meaning) in SHEET {
                        ui.label(
                            RichText::new(on_this_system(keys)).font(fonts::strong(fonts::BODY)),
                        );
                        ui.label(RichText::new(meaning).color(palette.secondary));
                        ui.end_row();
                    }
                });
        });
    app.help_open &= open;
}
