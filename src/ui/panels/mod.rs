//! What is where: the input at the left, memory at the right, the viewport between them with the stage
//! and the history under it.

pub(super) mod controls;
pub(super) mod download;
pub(super) mod edits;
pub(super) mod empty;
pub(super) mod export;
mod flow;
pub(super) mod help;
pub(super) mod history;
pub(super) mod input;
pub(super) mod log;
pub(super) mod memory;
pub(super) mod notices;
pub(super) mod open;
pub(super) mod outline;
pub(super) mod refine;
pub(super) mod settings;
pub(super) mod sheet;
mod sources;
pub(super) mod stage;
pub(super) mod stages;
pub(super) mod tools;
pub(super) mod view;

use eframe::egui::{self, Frame, Margin, Panel, Stroke, Ui};

use super::app::App;
use super::exporting;
use super::theme::{self, PADDING};

/// The height of the strip that tells what happens.
const STAGE_HEIGHT: f32 = 52.0;
/// The height of the strip with earlier results.
const HISTORY_HEIGHT: f32 = 92.0;

/// Lays one frame out.
pub(super) fn show(app: &mut App, ui: &mut Ui) {
    let palette = theme::palette(ui);
    let width = ui.available_width();
    // The viewport keeps at least 60 % of the width at every size.
    let left = (width * 0.21).clamp(212.0, 288.0);
    let side = Frame::new()
        .fill(palette.panel)
        .inner_margin(Margin::same(PADDING as i8));
    Panel::left("input")
        .exact_size(left)
        .resizable(false)
        .frame(side)
        .show(ui, |ui| input::show(app, ui));
    if app.preferences.memory_open {
        Panel::right("memory")
            .exact_size(memory_width(width))
            .resizable(false)
            .frame(side)
            .show(ui, |ui| memory::show(app, ui));
    }
    let strip = Frame::new()
        .fill(palette.panel)
        .inner_margin(Margin::symmetric(PADDING as i8, 0));
    Panel::bottom("history")
        .exact_size(HISTORY_HEIGHT)
        .resizable(false)
        .frame(strip)
        .show(ui, |ui| history::show(app, ui));
    Panel::bottom("stage")
        .exact_size(STAGE_HEIGHT)
        .resizable(false)
        .frame(strip)
        .show(ui, |ui| stage::show(app, ui));
    if let Some(height) = sheet::picture_height(app, ui.available_size()) {
        Panel::bottom("sheet")
            .exact_size(HISTORY_HEIGHT - history::SIDE + height)
            .resizable(false)
            .frame(strip)
            .show(ui, |ui| sheet::show(app, height, ui));
    }
    let centre = egui::CentralPanel::default()
        .frame(Frame::new().fill(palette.window))
        .show(ui, |ui| view::show(app, ui));
    let ctx = ui.ctx().clone();
    stages::show(app, &ctx, centre.response.rect);
    export::show(app, &ctx);
    exporting::show_closing(app, &ctx);
    settings::show(app, &ctx);
    help::show(app, &ctx);
    log::show(app, &ctx);
    notices::show(app, &ctx, centre.response.rect);
    empty::drop_overlay(app, &ctx);
}

/// How wide the panel at the right is in a window of a width.
fn memory_width(window: f32) -> f32 {
    (window * 0.18).clamp(184.0, 264.0)
}

/// A line between two parts of a panel.
fn rule(ui: &mut Ui) {
    let palette = theme::palette(ui);
    ui.add_space(4.0);
    let y = ui.cursor().top();
    let x = ui.max_rect().x_range();
    ui.painter()
        .hline(x, y.round() + 0.5, Stroke::new(1.0, palette.line));
    ui.add_space(5.0);
}
