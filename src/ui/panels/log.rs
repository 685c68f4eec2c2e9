//! The latest records of the log: what is shown of them, and a way to copy them.

use std::time::Duration;

use eframe::egui::{
    self, Color32, EventFilter, Id, Key, Modifiers, Response, RichText, Role, Sense, Stroke, Ui,
    WidgetInfo, pos2, vec2,
};

use super::super::app::App;
use super::super::log::{LogRecord, LogView};
use super::super::preferences::LogLevel;
use super::super::{fonts, theme, widgets};

/// How often new records are looked for while the log is open.
const REFRESH: Duration = Duration::from_millis(500);
const ROW: f32 = 20.0;

const LEVELS: [(LogLevel, &str, &str); 4] = [
    (LogLevel::Error, "Errors", "What went wrong"),
    (LogLevel::Warn, "Warnings", "And what may go wrong"),
    (LogLevel::Info, "Events", "And what happened"),
    (
        LogLevel::Debug,
        "All",
        "And how it happened, where the settings have it logged",
    ),
];

pub(super) fn show(app: &mut App, ctx: &egui::Context) {
    if !app.log.open {
        return;
    }
    let Some(source) = app.log_source.clone() else {
        app.log.close();
        return;
    };
    app.log.update(&source);
    if ctx.input(|input| input.viewport().focused.unwrap_or(true)) {
        ctx.request_repaint_after(REFRESH);
    }
    let screen = ctx.content_rect().size();
    let mut closed = false;
    let mut show_folder = false;
    egui::Window::new("The log")
        .title_bar(false)
        .default_size(vec2(760.0, 400.0).min(screen - vec2(64.0, 160.0)))
        .default_pos(pos2(32.0, 48.0))
        .min_size(vec2(420.0, 220.0))
        .resizable(true)
        .show(ctx, |ui| {
            closed = widgets::window_header(ui, "Log");
            ui.horizontal(|ui| {
                let chosen = app.log.chosen.len();
                ui.scope(|ui| {
                    ui.set_max_width((ui.available_width() - 300.0).clamp(160.0, 320.0));
                    widgets::segments(ui, "Shown", &LEVELS, &mut app.log.shown);
                });
                if widgets::small(ui, "Copy all", "Copy every record that is shown").clicked() {
                    ui.ctx().copy_text(app.log.text(false));
                }
                let copy = ui.add_enabled_ui(chosen > 0, |ui| {
                    widgets::small(ui, "Copy chosen", "Copy the chosen records (Ctrl+C)")
                });
                if copy.inner.clicked() {
                    ui.ctx().copy_text(app.log.text(true));
                }
                show_folder = source.folder.is_some()
                    && widgets::small(ui, "Files", "Open the folder with the log of the last days")
                        .clicked();
            });
            list(&mut app.log, ui);
        });
    if closed {
        app.log.close();
    }
    if show_folder && let Some(folder) = source.folder {
        app.show_folder(folder);
    }
}

fn list(log: &mut LogView, ui: &mut Ui) {
    let palette = theme::palette(ui);
    let room = ui.available_rect_before_wrap();
    let id = Id::unique("log records");
    let focus = ui.interact(room, id, Sense::focusable_noninteractive());
    let moved = focus.has_focus() && keys(log, ui, id);
    let records = log.visible();
    let said = format!("Log, {} records", records.len());
    focus.widget_info(|| WidgetInfo::labeled(Role::ListBox, true, said.clone()));
    ui.painter().rect_filled(room, theme::RADIUS, palette.well);
    if focus.has_focus() {
        let edge = Stroke::new(1.0, palette.accent);
        ui.painter()
            .rect_stroke(room, theme::RADIUS, edge, egui::StrokeKind::Inside);
    }
    focus.on_hover_text("Click to choose, Shift for a range, Ctrl for more; arrow keys work too");
    if records.is_empty() {
        ui.painter().text(
            room.center(),
            egui::Align2::CENTER_CENTER,
            "Nothing of this kind was logged",
            fonts::regular(fonts::SMALL),
            palette.secondary,
        );
        ui.allocate_rect(room, Sense::hover());
        return;
    }
    let mut clicked = None;
    widgets::inside(ui, room.shrink(4.0), |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        egui::ScrollArea::vertical()
            .auto_shrink(false)
            .stick_to_bottom(true)
            .show_rows(ui, ROW, records.len(), |ui, rows| {
                for place in rows {
                    let record = records[place];
                    let response = row(ui, record, log.chosen.contains(&record.number));
                    if moved && log.caret == Some(record.number) {
                        response.scroll_to_me(None);
                    }
                    if response.clicked() {
                        ui.memory_mut(|memory| memory.request_focus(id));
                        clicked = Some((record.number, ui.input(|input| input.modifiers)));
                    }
                }
            });
    });
    if let Some((number, held)) = clicked {
        log.choose(number, held.command, held.shift);
    }
    ui.allocate_rect(room, Sense::hover());
}

/// Does what keys ask for; tells whether the caret moved.
fn keys(log: &mut LogView, ui: &Ui, id: Id) -> bool {
    ui.memory_mut(|memory| {
        let filter = EventFilter {
            vertical_arrows: true,
            ..EventFilter::default()
        };
        memory.set_focus_lock_filter(id, filter);
    });
    let copies = ui.input_mut(|input| {
        let before = input.events.len();
        input
            .events
            .retain(|event| !matches!(event, egui::Event::Copy));
        input.events.len() < before
    });
    if copies && !log.chosen.is_empty() {
        ui.ctx().copy_text(log.text(true));
    }
    if ui.input_mut(|input| input.consume_key(Modifiers::COMMAND, Key::A)) {
        log.choose_all();
    }
    let by = |modifiers, key, step: isize| {
        ui.input_mut(|input| input.count_and_consume_key(modifiers, key)) as isize * step
    };
    // First those with Shift: without it they would be taken as plain ones.
    let range = by(Modifiers::SHIFT, Key::ArrowDown, 1) + by(Modifiers::SHIFT, Key::ArrowUp, -1);
    let plain = by(Modifiers::NONE, Key::ArrowDown, 1) + by(Modifiers::NONE, Key::ArrowUp, -1);
    let step = plain + range;
    if step == 0 {
        return false;
    }
    let records = log.visible();
    let last = records.len() as isize - 1;
    let caret = log
        .caret
        .and_then(|caret| records.iter().position(|record| record.number == caret));
    let place = caret.map_or(last, |place| (place as isize + step).clamp(0, last));
    let number = records.get(place as usize).map(|record| record.number);
    if let Some(number) = number {
        log.choose(number, false, range != 0);
    }
    true
}

fn row(ui: &mut Ui, record: &LogRecord, chosen: bool) -> Response {
    let palette = theme::palette(ui);
    let (_, rect) = ui.allocate_space(vec2(ui.available_width(), ROW));
    // Reached by the list's arrow keys, not by Tab: there may be thousands.
    let id = Id::unique(("log record", record.number));
    let response = ui.interact(rect, id, Sense::CLICK);
    let said = format!("{} {} {}", record.time(), record.level, record.text);
    response.widget_info(|| WidgetInfo::selected(Role::ListBoxOption, true, chosen, said.clone()));
    let fill = match (chosen, response.hovered()) {
        (true, _) => palette.hover,
        (false, true) => palette.control,
        (false, false) => Color32::TRANSPARENT,
    };
    ui.painter().rect_filled(rect, 3, fill);
    let (word, colour) = match record.level {
        tracing::Level::ERROR => ("error", palette.error),
        tracing::Level::WARN => ("warning", palette.accent_text),
        tracing::Level::INFO => ("", palette.text),
        _ => ("", palette.secondary),
    };
    let painter = ui.painter().with_clip_rect(rect.intersect(ui.clip_rect()));
    let text = |x: f32, text: &str, colour| {
        let at = pos2(rect.left() + x, rect.center().y);
        let font = fonts::regular(fonts::SMALL);
        painter.text(at, egui::Align2::LEFT_CENTER, text, font, colour);
    };
    text(6.0, &record.time(), palette.secondary);
    text(92.0, word, colour);
    text(148.0, &record.text, colour);
    response.on_hover_ui(|ui| {
        ui.set_max_width(520.0);
        ui.label(&record.text);
        let from = format!("{} · {} UTC", record.origin, record.at);
        ui.label(
            RichText::new(from)
                .size(fonts::SMALL)
                .color(palette.secondary),
        );
    })
}
