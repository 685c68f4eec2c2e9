//! The sheet with all keys.

use eframe::egui::{self, Grid, RichText, Ui, vec2};

use super::super::app::App;
use super::super::shortcuts::{Keys, SHEET, on_this_system};
use super::super::{fonts, theme, widgets};

/// The width of a column of the sheet.
const COLUMN: f32 = 392.0;
/// Between two columns.
const GAP: f32 = 32.0;
/// The keys' part of a column.
const KEYS: f32 = 144.0;

pub(super) fn show(app: &mut App, ctx: &egui::Context) {
    if !app.help_open {
        return;
    }
    let two = ctx.content_rect().width() >= 2.0 * COLUMN + GAP + 64.0;
    let width = if two { 2.0 * COLUMN + GAP } else { COLUMN };
    app.help_open &= widgets::dialog(ctx, "All keys", "Keys", width, |ui| {
        if !two {
            column(ui, &SHEET);
            return;
        }
        let (left, right) = SHEET.split_at(SHEET.len() / 2);
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = GAP;
            for part in [left, right] {
                ui.vertical(|ui| column(ui, part));
            }
        });
    });
}

fn column(ui: &mut Ui, groups: &[Keys]) {
    let palette = theme::palette(ui);
    ui.set_width(COLUMN);
    ui.spacing_mut().interact_size.y = 20.0;
    for (place, (title, keys)) in groups.iter().enumerate() {
        if place > 0 {
            ui.add_space(8.0);
        }
        let heading = RichText::new(*title).size(fonts::SMALL);
        ui.label(heading.color(palette.accent_text));
        Grid::new(("keys", *title))
            .num_columns(2)
            .min_col_width(KEYS)
            .spacing(vec2(16.0, 2.0))
            .show(ui, |ui| {
                for (keys, meaning) in *keys {
                    let keys = RichText::new(on_this_system(keys));
                    ui.label(keys.font(fonts::strong(fonts::BODY)));
                    ui.label(RichText::new(*meaning).color(palette.secondary));
                    ui.end_row();
                }
            });
    }
}
