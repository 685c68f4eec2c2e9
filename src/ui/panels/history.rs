//! The strip at the bottom: what is open, with its state, then what was made before.

use eframe::egui::{
    self, Align, CornerRadius, Layout, Rect, RichText, Role, Sense, Stroke, StrokeKind, Ui,
    WidgetInfo, vec2,
};

use super::super::app::App;
use super::super::project::{Phase, ProjectId};
use super::super::{theme, widgets};
use crate::store::{HistoryRecord, RecordId};

const SIDE: f32 = 56.0;

/// What was asked for in the strip.
enum Wish {
    Show(ProjectId),
    Close(ProjectId),
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
        Some(Wish::Reopen(record, name)) => app.open_record(record, name),
        Some(Wish::Delete(record)) => app.delete_record(record),
        None => {}
    }
}

fn tiles(app: &mut App, ui: &mut Ui, wish: &mut Option<Wish>) {
    ui.add_space(8.0);
    egui::ScrollArea::horizontal()
        .auto_shrink(false)
        .show(ui, |ui| {
            ui.with_layout(Layout::left_to_right(Align::TOP), |ui| {
                ui.spacing_mut().item_spacing.x = 8.0;
                open(app, ui, wish);
                kept(app, ui, wish);
            });
        });
}

fn open(app: &mut App, ui: &mut Ui, wish: &mut Option<Wish>) {
    for place in 0..app.projects.len() {
        let picture = app.tile_picture(place);
        let project = &app.projects[place];
        let state = match project.phase() {
            Phase::Opening => "reading",
            Phase::Waiting => "waiting",
            Phase::Working => "working",
            Phase::Done => "finished",
            Phase::Stopped => "stopped",
            Phase::Failed => "failed",
        };
        let tile = Tile {
            name: &project.name,
            state,
            texture: picture.as_ref(),
            taken: app.active == Some(project.id),
            live: matches!(project.phase(), Phase::Working | Phase::Waiting),
            failed: project.phase() == Phase::Failed,
            removal: "Close; what is in the history stays there, and this can be undone",
        };
        match tile.show(ui) {
            Touched::Body => *wish = Some(Wish::Show(project.id)),
            Touched::Cross => *wish = Some(Wish::Close(project.id)),
            Touched::Nothing => {}
        }
    }
}

/// What was made before and is not open.
fn kept(app: &mut App, ui: &mut Ui, wish: &mut Option<Wish>) {
    let is_open = |record: &&HistoryRecord| {
        app.projects
            .iter()
            .any(|open| open.record == Some(record.id))
    };
    let records: Vec<HistoryRecord> = app
        .history
        .iter()
        .filter(|record| !is_open(record))
        .cloned()
        .collect();
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
    for record in &records {
        let seen = ui.is_rect_visible(Rect::from_min_size(ui.cursor().min, vec2(SIDE, SIDE)));
        let picture = seen.then(|| app.thumbnail(record.id).cloned()).flatten();
        let tile = Tile {
            name: &record.image_name,
            state: &record.created.strftime("%Y-%m-%d %H:%M").to_string(),
            texture: picture.as_ref(),
            taken: false,
            live: false,
            failed: false,
            removal: "Delete from the history; this can be undone until the window is closed",
        };
        match tile.show(ui) {
            Touched::Body => *wish = Some(Wish::Reopen(record.id, record.image_name.clone())),
            Touched::Cross => *wish = Some(Wish::Delete(record.id)),
            Touched::Nothing => {}
        }
    }
}

enum Touched {
    Nothing,
    Body,
    Cross,
}

/// A small picture with a name and a state.
struct Tile<'a> {
    name: &'a str,
    state: &'a str,
    texture: Option<&'a egui::TextureHandle>,
    taken: bool,
    live: bool,
    failed: bool,
    removal: &'a str,
}

impl Tile<'_> {
    fn show(&self, ui: &mut Ui) -> Touched {
        let palette = theme::palette(ui);
        let (rect, response) = ui.allocate_exact_size(vec2(SIDE, SIDE + 18.0), Sense::click());
        let square = Rect::from_min_size(rect.min, vec2(SIDE, SIDE));
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
        if self.live || self.failed {
            let colour = if self.failed {
                palette.error
            } else {
                palette.accent
            };
            // A dot for what is under way, a cross for what failed: never told by colour alone.
            let dot = square.left_bottom() + vec2(10.0, -10.0);
            ui.painter().circle_filled(dot, 6.0, palette.panel);
            if self.failed {
                let cross = Rect::from_center_size(dot, vec2(6.0, 6.0));
                widgets::cross(ui.painter(), cross, colour);
            } else {
                ui.painter().circle_filled(dot, 3.0, colour);
            }
        }
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
        response.on_hover_text(format!("{}\n{}", self.name, self.state));
        if self.cross(ui, square, over) {
            touched = Touched::Cross;
        }
        touched
    }

    /// The cross in the corner; seen under the pointer, there for the keyboard always.
    fn cross(&self, ui: &mut Ui, square: Rect, over: bool) -> bool {
        let palette = theme::palette(ui);
        let rect = Rect::from_min_size(square.right_top() + vec2(-19.0, 3.0), vec2(16.0, 16.0));
        let id = ui.scope_id().with((self.name, self.state, "remove"));
        let response = ui.interact(rect, ui.auto_id_with(id), Sense::click());
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
        response.on_hover_text(self.removal).clicked()
    }
}

fn stem(name: &str) -> &str {
    std::path::Path::new(name)
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or(name)
}
