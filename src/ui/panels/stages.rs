//! The stages of the shown image's job, over the strip that tells what happens now: which are done, which
//! one runs, which are to come, and each one's time.

use std::time::Instant;

use eframe::egui::{
    self, Align, Align2, Frame, Layout, Margin, Rect, RichText, Role, Sense, Stroke, Ui,
    WidgetInfo, vec2,
};

use super::super::app::App;
use super::super::progress::{self, Progress, Standing, Step};
use super::super::project::Project;
use super::super::{fonts, theme, widgets};

const WIDTH: f32 = 300.0;
const ROW: f32 = 22.0;

/// Shows the list in the lower left corner of the viewport, above the strips.
pub(super) fn show(app: &mut App, ctx: &egui::Context, viewport: Rect) {
    if !app.stages_open {
        return;
    }
    let palette = theme::palette_of(ctx);
    let mut closed = false;
    egui::Area::new(egui::Id::unique("stages"))
        .fixed_pos(viewport.left_bottom() + vec2(theme::PADDING, -8.0))
        .pivot(Align2::LEFT_BOTTOM)
        .order(egui::Order::Middle)
        .show(ctx, |ui| {
            Frame::new()
                .fill(palette.panel)
                .stroke(Stroke::new(1.0, palette.line))
                .corner_radius(8)
                .shadow(ui.visuals().popup_shadow)
                .inner_margin(Margin::same(12))
                .show(ui, |ui| {
                    ui.set_width(WIDTH);
                    closed = widgets::window_header(ui, "Stages");
                    match app.active_project() {
                        Some(project) => of_project(app, project, ui, viewport.bottom()),
                        None => {
                            widgets::note(ui, "The stages of a job are listed here.");
                        }
                    }
                });
        });
    app.stages_open &= !closed;
}

fn of_project(app: &App, project: &Project, ui: &mut Ui, room: f32) {
    let progress = project.progress();
    let Some(progress) = progress.filter(|progress| progress.started.is_some()) else {
        let text = match project.run.as_ref().map(|run| run.progress.words()) {
            Some(words) => format!("{words}; nothing has begun yet."),
            None if project.was_cached => {
                "This result was made before and came from the cache: no stage ran.".to_owned()
            }
            None => "No stage ran for what is shown.".to_owned(),
        };
        widgets::note(ui, text);
        return;
    };
    let now = Instant::now();
    let listed = progress.steps.iter().filter(|step| {
        !(step.standing == Standing::Spared
            || progress.ended.is_some() && step.standing == Standing::ToCome)
    });
    ui.spacing_mut().item_spacing.y = 0.0;
    egui::ScrollArea::vertical()
        .max_height((room - 160.0).clamp(120.0, 440.0))
        .auto_shrink([false, true])
        .show(ui, |ui| {
            for step in listed {
                row(app, project, (progress, step), now, ui);
            }
        });
    ui.add_space(8.0);
    widgets::note(ui, in_all(progress, now));
}

/// One line on the whole.
fn in_all(progress: &Progress, now: Instant) -> String {
    let elapsed = progress::seconds(progress.elapsed(now).unwrap_or_default());
    match (progress.ended, progress.left) {
        (Some(_), _) => format!("{elapsed} in all"),
        (None, Some(left)) => format!("{elapsed} so far, {} left", progress::seconds(left)),
        (None, None) => {
            format!("{elapsed} so far; how long it takes is known after the first job of its kind")
        }
    }
}

fn row(
    app: &App,
    project: &Project,
    (progress, step): (&Progress, &Step),
    now: Instant,
    ui: &mut Ui,
) {
    let palette = theme::palette(ui);
    let usual = Progress::usual(step, project.pixels, &app.preferences.stage_seconds);
    let (standing, time, colour) = match step.standing {
        Standing::Done(seconds) => ("done", progress::seconds(seconds), palette.text),
        Standing::Runs(since) => {
            let runs = progress::seconds(now.saturating_duration_since(since).as_secs_f64());
            let time = match progress.steps_taken() {
                Some(taken) => format!("step {} of {}, {runs}", taken.step, taken.steps),
                None => runs,
            };
            ("runs now", time, palette.accent_text)
        }
        Standing::ToCome | Standing::Spared => {
            let time = usual.map(|usual| format!("≈ {}", progress::seconds(usual)));
            ("to come", time.unwrap_or_default(), palette.secondary)
        }
    };
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    let said = format!("{}, {standing}, {time}", step.stage);
    response.widget_info(|| WidgetInfo::labeled(Role::ListItem, true, said.clone()));
    sign(
        ui,
        Rect::from_min_size(rect.min, vec2(16.0, ROW)),
        step.standing,
    );
    let text = Rect::from_min_max(rect.min + vec2(24.0, 0.0), rect.max);
    widgets::inside(ui, text, |ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let small = |text: String, colour| {
                egui::Label::new(RichText::new(text).size(fonts::SMALL).color(colour))
                    .selectable(false)
            };
            ui.add(small(time.clone(), palette.secondary));
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                ui.add(small(step.stage.to_string(), colour).truncate());
            });
        });
    });
    let usually = usual.map_or_else(
        || "Not measured on this machine yet".to_owned(),
        |usual| format!("Usually {} on this machine", progress::seconds(usual)),
    );
    response.on_hover_text(format!("{} ({standing})\n{usually}", step.stage.name()));
}

/// A tick for what is done, a dot for what runs, a ring for what is to come.
fn sign(ui: &Ui, rect: Rect, standing: Standing) {
    let palette = theme::palette(ui);
    let middle = rect.center();
    match standing {
        Standing::Done(_) => {
            let stroke = Stroke::new(1.5, palette.secondary);
            let points = [vec2(-4.0, 0.0), vec2(-1.0, 3.0), vec2(4.5, -3.5)];
            let points = points.map(|point| middle + point).to_vec();
            ui.painter().line(points, stroke);
        }
        Standing::Runs(_) => {
            ui.painter().circle_filled(middle, 4.0, palette.accent);
        }
        Standing::ToCome | Standing::Spared => {
            ui.painter()
                .circle_stroke(middle, 3.5, Stroke::new(1.2, palette.line));
        }
    }
}
