//! The strip under the viewport: what happens now, how far it is, and how to stop.

use std::time::{Duration, Instant};

use eframe::egui::{
    self, Align, CornerRadius, Layout, Rect, RichText, Role, Sense, Ui, WidgetInfo, vec2,
};

use super::super::app::App;
use super::super::progress;
use super::super::project::{Phase, Project, Purpose};
use super::super::{fonts, theme, widgets};
use crate::engine::Origin;

/// How often the bar moves while nothing happens.
const TICK: Duration = Duration::from_millis(100);

/// What was pressed.
enum Pressed {
    Cancel,
    Keep,
    Details,
}

pub(in super::super) fn show(app: &mut App, ui: &mut Ui) {
    let pressed = ui
        .with_layout(Layout::left_to_right(Align::Center), |ui| {
            match app.active_project() {
                None => {
                    idle(app, ui);
                    None
                }
                Some(project) => strip(app, project, ui),
            }
        })
        .inner;
    let Some(id) = app.active else {
        return;
    };
    match pressed {
        Some(Pressed::Cancel) => app.cancel(id),
        Some(Pressed::Keep) => app.keep(id),
        Some(Pressed::Details) => {
            if let Some(problem) = app.project(id).and_then(|project| project.problem.clone()) {
                app.notices.add(problem);
            }
        }
        None => {}
    }
}

fn idle(app: &App, ui: &mut Ui) {
    let text = match (&app.engine, &app.engine_problem) {
        (_, Some(_)) => "Nothing can be computed; see the message",
        (None, None) => "Getting ready…",
        (Some(_), None) => "Ready",
    };
    widgets::note(ui, text);
}

fn strip(app: &App, project: &Project, ui: &mut Ui) -> Option<Pressed> {
    match project.phase() {
        Phase::Waiting | Phase::Working => working(app, project, ui),
        Phase::Opening => {
            widgets::note(ui, "Reading the file…");
            None
        }
        Phase::Done => {
            done(app, project, ui);
            None
        }
        Phase::Stopped | Phase::Failed => stopped(project, ui),
    }
}

fn working(app: &App, project: &Project, ui: &mut Ui) -> Option<Pressed> {
    let palette = theme::palette(ui);
    let Some(run) = &project.run else {
        widgets::note(ui, "Waiting for the controls to rest");
        return None;
    };
    let now = Instant::now();
    let resolution = match run.purpose {
        Purpose::Draft => super::super::drive::DRAFT_RESOLUTION.min(run.wishes.resolution),
        Purpose::Full => run.wishes.resolution,
    };
    let (share, left) = run
        .progress
        .estimate(resolution, &app.preferences.stage_seconds, now);
    let words = match run.purpose {
        Purpose::Draft => "Following the controls".to_owned(),
        Purpose::Full => run.progress.words(),
    };
    let mut pressed = None;
    // Every part has a place of its own, so that nothing moves when words change.
    ui.allocate_ui_with_layout(
        vec2(176.0_f32.min(ui.available_width() * 0.35), 24.0),
        Layout::left_to_right(Align::Center),
        |ui| {
            ui.set_min_width(ui.available_width());
            let label = RichText::new(&words).color(palette.accent_text);
            ui.add(egui::Label::new(label).truncate()).on_hover_text(
                run.progress.stage.map_or_else(
                    || words.clone(),
                    |(stage, _)| format!("{stage} ({})", stage.name()),
                ),
            );
        },
    );
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        if widgets::small(ui, "Cancel", "Stop; the mesh on screen stays (Esc)").clicked() {
            pressed = Some(Pressed::Cancel);
        }
        let has_mesh = project.result.is_some() && run.purpose == Purpose::Full;
        ui.add_enabled_ui(has_mesh, |ui| {
            let keep = widgets::small(
                ui,
                "Keep",
                "Stop refining and take the mesh on screen as the result",
            );
            if keep.clicked() {
                pressed = Some(Pressed::Keep);
            }
        });
        let elapsed = run
            .progress
            .started
            .map_or(0.0, |since| now.duration_since(since).as_secs_f64());
        let time = match left {
            Some(left) if run.purpose == Purpose::Full => {
                format!("{} left", progress::seconds(left.max(0.1)))
            }
            _ => progress::seconds(elapsed),
        };
        ui.allocate_ui_with_layout(
            vec2(76.0, 24.0),
            Layout::right_to_left(Align::Center),
            |ui| {
                ui.set_min_width(76.0);
                widgets::short_note(ui, time)
                    .on_hover_text(format!("Running for {}", progress::seconds(elapsed)));
            },
        );
        bar(ui, share, &words);
    });
    ui.ctx().request_repaint_after(TICK);
    pressed
}

fn bar(ui: &mut Ui, share: f32, words: &str) {
    let palette = theme::palette(ui);
    let width = ui.available_width();
    let (rect, response) = ui.allocate_exact_size(vec2(width, 6.0), Sense::hover());
    let rounding = CornerRadius::same(3);
    ui.painter().rect_filled(rect, rounding, palette.control);
    let done = Rect::from_min_size(rect.min, vec2(rect.width() * share, rect.height()));
    ui.painter().rect_filled(done, rounding, palette.accent);
    let said = format!("{words}, {:.0} %", share * 100.0);
    response.widget_info(|| WidgetInfo::labeled(Role::ProgressIndicator, true, &said));
}

fn done(app: &App, project: &Project, ui: &mut Ui) {
    let palette = theme::palette(ui);
    if app.finishing.contains_key(&project.id) {
        widgets::note(ui, "Checking the mesh…");
        return;
    }
    let checked = project
        .result
        .as_ref()
        .is_some_and(|result| result.shape.is_some());
    let text = match (checked, project.is_mesh_file) {
        (_, true) => "Opened for viewing",
        (true, false) => "Finished",
        (false, false) => "Ready",
    };
    ui.label(RichText::new(text).font(fonts::strong(fonts::BODY)))
        .on_hover_text(match project.record {
            Some(_) => "Kept in the history",
            None => "On screen",
        });
    let cached = project
        .run
        .as_ref()
        .and_then(|run| run.submission.as_ref())
        .is_some_and(|submission| submission.origin == Origin::Cached);
    if cached {
        widgets::note(ui, "from the cache");
    }
    if let Some(warning) = project.warnings.first() {
        let more = project.warnings.len() - 1;
        let text = match more {
            0 => warning.clone(),
            more => format!("{warning} (and {more} more)"),
        };
        let label = RichText::new(text)
            .size(fonts::SMALL)
            .color(palette.accent_text);
        ui.add(egui::Label::new(label).truncate())
            .on_hover_text(project.warnings.join("\n"));
    }
}

fn stopped(project: &Project, ui: &mut Ui) -> Option<Pressed> {
    let palette = theme::palette(ui);
    let mut pressed = None;
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        if project.problem.is_some()
            && widgets::small(ui, "Details", "What happened, and what can be done").clicked()
        {
            pressed = Some(Pressed::Details);
        }
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
            match &project.problem {
                Some(problem) => {
                    let label = RichText::new(&problem.headline).color(palette.error);
                    ui.add(egui::Label::new(label).truncate())
                        .on_hover_text(&problem.details);
                }
                None if project.result.is_some() => {
                    widgets::note(ui, "Stopped; the mesh on screen is kept");
                }
                None => {
                    widgets::note(ui, "Stopped before the first mesh");
                }
            }
        });
    });
    pressed
}
