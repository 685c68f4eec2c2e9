//! The strip at the bottom: what is open, with its state, then what was made before.

use std::sync::Arc;

use eframe::egui::{
    self, Align, CornerRadius, Id, Layout, Rect, Response, RichText, Role, Sense, Stroke,
    StrokeKind, Ui, WidgetInfo, vec2,
};

use super::super::app::App;
use super::super::names::stem;
use super::super::project::ProjectId;
use super::super::queue::MoveTo;
use super::super::{fonts, theme, widgets};
use super::open;
use crate::store::{HistoryRecord, RecordId};

/// The side of the picture of a tile in the strip, in points.
pub(super) const SIDE: f32 = 56.0;

/// Between two tiles, in points.
pub(super) const GAP: f32 = 8.0;

/// What was asked for in the strip.
pub(super) enum Wish {
    Show(ProjectId),
    Close(ProjectId),
    Move(ProjectId, MoveTo),
    Reopen(RecordId, String),
    Delete(RecordId),
}

pub(in super::super) fn show(app: &mut App, ui: &mut Ui) {
    let mut wish = None;
    let strip = ui.available_rect_before_wrap();
    let (edits, strip) = strip.split_left_right_at_x(strip.left() + theme::CONTROL_HEIGHT + 8.0);
    let edits = Rect::from_min_size(
        edits.min + vec2(0.0, 8.0),
        vec2(theme::CONTROL_HEIGHT, SIDE),
    );
    widgets::inside(ui, edits, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        super::edits::buttons(app, ui);
    });
    widgets::inside(ui, strip, |ui| tiles(app, ui, &mut wish));
    match wish {
        Some(Wish::Show(id)) => app.active = Some(id),
        Some(Wish::Close(id)) => app.close_project(id),
        Some(Wish::Move(id, to)) => app.move_in_queue(id, to),
        Some(Wish::Reopen(record, name)) => app.open_record(record, name),
        Some(Wish::Delete(record)) => app.delete_record(record),
        None => {}
    }
}

fn tiles(app: &mut App, ui: &mut Ui, wish: &mut Option<Wish>) {
    in_a_row(ui, |ui| {
        open::show(app, ui, wish);
        kept(app, ui, wish);
    });
}

/// Tiles side by side, which scroll where there is no room for all of them.
pub(super) fn in_a_row(ui: &mut Ui, add: impl FnOnce(&mut Ui)) {
    ui.add_space(8.0);
    egui::ScrollArea::horizontal()
        .auto_shrink(false)
        .show(ui, |ui| {
            ui.with_layout(Layout::left_to_right(Align::TOP), |ui| {
                ui.spacing_mut().item_spacing.x = GAP;
                add(ui);
            });
        });
}

/// What was made before and is not open.
fn kept(app: &mut App, ui: &mut Ui, wish: &mut Option<Wish>) {
    let history = Arc::clone(&app.history);
    let open: Vec<RecordId> = app.projects.iter().filter_map(|open| open.record).collect();
    let is_kept = |record: &&HistoryRecord| !open.contains(&record.id);
    let records: Vec<&HistoryRecord> = history.iter().filter(is_kept).collect();
    if records.is_empty() {
        if app.projects.is_empty() {
            ui.add_space(4.0);
            ui.vertical(|ui| {
                ui.add_space(20.0);
                widgets::note(ui, "What you make is kept here.");
            });
        }
        return;
    }
    if !app.projects.is_empty() {
        let (rect, _) = ui.allocate_exact_size(vec2(1.0, SIDE), Sense::hover());
        let stroke = Stroke::new(1.0, theme::palette(ui).line);
        ui.painter().vline(rect.center().x, rect.y_range(), stroke);
    }
    for record in records {
        let seen = ui.is_rect_visible(Rect::from_min_size(ui.cursor().min, vec2(SIDE, SIDE)));
        let picture = seen.then(|| app.thumbnail(record.id).cloned()).flatten();
        let tile = Tile {
            id: record_tile(record.id),
            name: &record.image_name,
            state: &record.created.strftime("%Y-%m-%d %H:%M").to_string(),
            side: SIDE,
            texture: picture.as_ref(),
            taken: false,
            live: false,
            failed: false,
            number: None,
            removal: Some(
                "Delete from the history (Delete); this can be undone until the window is closed",
            ),
        };
        let (touched, response) = tile.show(ui);
        response.context_menu(|ui| {
            if menu_item(ui, "Open again", "Show it with its image and settings") {
                *wish = Some(Wish::Reopen(record.id, record.image_name.clone()));
            }
            if menu_item(ui, "Delete from the history", "This can be undone (Delete)") {
                *wish = Some(Wish::Delete(record.id));
            }
        });
        match touched {
            Touched::Body => *wish = Some(Wish::Reopen(record.id, record.image_name.clone())),
            Touched::Cross => *wish = Some(Wish::Delete(record.id)),
            Touched::Nothing => {}
        }
    }
}

/// The tile of a record, wherever it is in the strip.
pub(in super::super) fn record_tile(record: RecordId) -> Id {
    Id::unique(("record", record.to_string()))
}

/// A line of a menu; tells whether it was chosen.
pub(super) fn menu_item(ui: &mut Ui, text: &str, tooltip: &str) -> bool {
    ui.button(text).on_hover_text(tooltip).clicked()
}

pub(super) enum Touched {
    Nothing,
    Body,
    Cross,
}

/// A small picture with a name and a state.
pub(super) struct Tile<'a> {
    /// Stays the same wherever the tile is, so that it keeps the focus when it moves.
    pub(super) id: Id,
    pub(super) name: &'a str,
    pub(super) state: &'a str,
    /// The side of its picture, in points.
    pub(super) side: f32,
    pub(super) texture: Option<&'a egui::TextureHandle>,
    pub(super) taken: bool,
    pub(super) live: bool,
    pub(super) failed: bool,
    /// Its place among those that wait; it can be dragged then.
    pub(super) number: Option<usize>,
    /// What its cross does; it has none without.
    pub(super) removal: Option<&'a str>,
}

impl Tile<'_> {
    pub(super) fn show(&self, ui: &mut Ui) -> (Touched, Response) {
        let palette = theme::palette(ui);
        let (_, rect) = ui.allocate_space(vec2(self.side, self.side + 18.0));
        let sense = match self.number {
            Some(_) => Sense::click_and_drag(),
            None => Sense::click(),
        };
        let response = ui.interact(rect, self.id, sense);
        let square = Rect::from_min_size(rect.min, vec2(self.side, self.side));
        let said = format!("{}, {}", self.name, self.state);
        response.widget_info(|| WidgetInfo::selected(Role::Button, true, self.taken, said.clone()));
        let rounding = CornerRadius::same(theme::RADIUS);
        ui.painter().rect_filled(square, rounding, palette.well);
        if let Some(texture) = self.texture {
            let inner = widgets::contain(texture.size_vec2(), square.shrink(4.0));
            let uv = Rect::from_min_max(egui::Pos2::ZERO, egui::pos2(1.0, 1.0));
            ui.painter()
                .image(texture.id(), inner, uv, egui::Color32::WHITE);
        }
        let edge = match (self.taken, response.hovered() || response.has_focus()) {
            (true, _) => Stroke::new(2.0, palette.accent),
            (false, true) => Stroke::new(1.0, palette.secondary),
            (false, false) => Stroke::new(1.0, palette.line),
        };
        ui.painter()
            .rect_stroke(square, rounding, edge, StrokeKind::Inside);
        self.mark(ui, square);
        let below = Rect::from_min_max(square.left_bottom() + vec2(0.0, 2.0), rect.max);
        widgets::inside(ui, below, |ui| {
            let label = RichText::new(stem(self.name))
                .size(11.0)
                .color(palette.secondary);
            ui.add(egui::Label::new(label).truncate().selectable(false));
        });
        let over = response.hovered() || response.contains_pointer();
        let mut touched = if response.clicked() {
            Touched::Body
        } else {
            Touched::Nothing
        };
        let response = response.on_hover_text(format!("{}\n{}", self.name, self.state));
        if self.cross(ui, square, over) {
            touched = Touched::Cross;
        }
        (touched, response)
    }

    /// A number for what waits, a dot for what is under way, a cross for what failed: never told by
    /// colour alone.
    fn mark(&self, ui: &Ui, square: Rect) {
        let palette = theme::palette(ui);
        let middle = square.left_bottom() + vec2(10.0, -10.0);
        if let Some(number) = self.number {
            ui.painter().circle_filled(middle, 8.0, palette.panel);
            ui.painter().text(
                middle,
                egui::Align2::CENTER_CENTER,
                number.to_string(),
                fonts::strong(11.0),
                palette.accent_text,
            );
            return;
        }
        if !self.live && !self.failed {
            return;
        }
        ui.painter().circle_filled(middle, 6.0, palette.panel);
        if self.failed {
            let cross = Rect::from_center_size(middle, vec2(6.0, 6.0));
            widgets::cross(ui.painter(), cross, palette.error);
        } else {
            ui.painter().circle_filled(middle, 3.0, palette.accent);
        }
    }

    /// The cross in the corner; seen under the pointer, there for the keyboard always.
    fn cross(&self, ui: &mut Ui, square: Rect, over: bool) -> bool {
        let Some(removal) = self.removal else {
            return false;
        };
        let palette = theme::palette(ui);
        let rect = Rect::from_min_size(square.right_top() + vec2(-19.0, 3.0), vec2(16.0, 16.0));
        let response = ui.interact(rect, self.id.with("remove"), Sense::click());
        let said = format!("Remove {}", self.name);
        response.widget_info(|| WidgetInfo::labeled(Role::Button, true, said.clone()));
        if over || response.hovered() || response.has_focus() {
            ui.painter()
                .circle_filled(rect.center(), 8.0, palette.panel);
            let colour = if response.hovered() || response.has_focus() {
                palette.text
            } else {
                palette.secondary
            };
            widgets::cross(ui.painter(), rect.shrink(5.0), colour);
        }
        response.on_hover_text(removal).clicked()
    }
}
