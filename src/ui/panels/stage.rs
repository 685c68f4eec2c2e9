//! The strip under the viewport: what happens now, how far it is, and how to stop.

use std::time::{Duration, Instant};

use eframe::egui::{
    self, Align, CornerRadius, Layout, Rect, RichText, Role, Sense, Ui, WidgetInfo, vec2,
};

use super::super::app::App;
use super::super::progress;
use super::super::project::{Phase, Project, Purpose, Run};
use super::super::{fonts, theme, widgets};
/// How often the bar moves while nothing happens.
const TICK: Duration = Duration::from_millis(100);

/// What was pressed.
enum Pressed {
    Stages,
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
        Some(Pressed::Stages) => app.stages_open = !app.stages_open,
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
            let pressed = stages_button(app, ui);
            done(app, project, ui);
            pressed
        }
        Phase::Stopped | Phase::Failed => stopped(app, project, ui),
    }
}

/// Opens and closes the list of stages.
fn stages_button(app: &App, ui: &mut Ui) -> Option<Pressed> {
    let open = app.stages_open;
    let tooltip = "Every stage with its time (J)";
    widgets::sign(ui, "Stages", tooltip, open, |painter, rect, colour| {
        let stroke = egui::Stroke::new(1.5, colour);
        let (middle, by) = (rect.center(), if open { 2.5 } else { -2.5 });
        let points = [vec2(-4.0, -by), vec2(0.0, by), vec2(4.0, -by)];
        painter.line(points.map(|point| middle + point).to_vec(), stroke);
    })
    .clicked()
    .then_some(Pressed::Stages)
}

fn working(app: &App, project: &Project, ui: &mut Ui) -> Option<Pressed> {
    let palette = theme::palette(ui);
    let Some(run) = &project.run else {
        widgets::note(
            ui,
            match project.phase() {
                Phase::Waiting => "Waiting for room in the queue",
                _ => "Waiting for the controls to rest",
            },
        );
        return None;
    };
    let now = Instant::now();
    let (share, left) = (run.progress.share, run.progress.left);
    let words = match run.purpose {
        Purpose::Draft => "Following the controls".to_owned(),
        Purpose::Full | Purpose::Sheet if run.keeps_prediction && run.is_refining() => {
            "Keeping this shape".to_owned()
        }
        Purpose::Full | Purpose::Sheet => run.progress.words(),
    };
    let mut pressed = stages_button(app, ui);
    // Every part has a place of its own, so that nothing moves when words change.
    ui.allocate_ui_with_layout(
        vec2(176.0_f32.min(ui.available_width() * 0.35), 24.0),
        Layout::left_to_right(Align::Center),
        |ui| {
            ui.set_min_width(ui.available_width());
            let label = RichText::new(&words).color(palette.accent_text);
            ui.add(egui::Label::new(label).truncate()).on_hover_text(
                run.progress.stage().map_or_else(
                    || words.clone(),
                    |stage| format!("{stage} ({})", stage.name()),
                ),
            );
        },
    );
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        if widgets::small(ui, "Cancel", "Stop; the mesh on screen stays (Esc)").clicked() {
            pressed = Some(Pressed::Cancel);
        }
        let is_refining = run.is_refining();
        let has_mesh = project.result.is_some() && run.purpose == Purpose::Full;
        let may_keep = is_refining && !run.keeps_prediction || !is_refining && has_mesh;
        ui.add_enabled_ui(may_keep, |ui| {
            let tooltip = if is_refining {
                "Take no more steps, and finish the shape as it is predicted by now"
            } else {
                "Stop refining and take the mesh on screen as the result"
            };
            if widgets::small(ui, "Keep", tooltip).clicked() {
                pressed = Some(Pressed::Keep);
            }
        });
        times(run, left, now, ui);
        bar(ui, share, &words);
    });
    ui.ctx().request_repaint_after(TICK);
    pressed
}

/// How long it runs, and how long it still takes where that is known.
fn times(run: &Run, left: Option<f64>, now: Instant, ui: &mut Ui) {
    let elapsed = run.progress.elapsed(now).map(progress::seconds);
    let left = left
        .filter(|_| run.purpose != Purpose::Draft)
        .map(|left| format!("{} left", progress::seconds(left.max(0.1))));
    let tooltip = match (&elapsed, &left) {
        (Some(elapsed), Some(left)) => {
            format!("Running for {elapsed}; about {left}, as such jobs took on this machine before")
        }
        (Some(elapsed), None) => format!(
            "Running for {elapsed}; how long it takes is known after the first job of its kind"
        ),
        (None, _) => "Nothing has begun yet".to_owned(),
    };
    let parts: Vec<String> = [elapsed, left].into_iter().flatten().collect();
    let size = vec2(128.0_f32.min(ui.available_width() * 0.5), 24.0);
    ui.allocate_ui_with_layout(size, Layout::right_to_left(Align::Center), |ui| {
        ui.set_min_width(size.x);
        widgets::short_note(ui, parts.join("  ·  ")).on_hover_text(tooltip);
    });
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
    let took = project
        .last_progress
        .as_ref()
        .and_then(|progress| progress.elapsed(Instant::now()));
    if project.was_cached {
        widgets::short_note(ui, "from the cache")
            .on_hover_text("The same image was made with the same settings before");
    } else if let Some(took) = took {
        widgets::short_note(ui, format!("in {}", progress::seconds(took)))
            .on_hover_text("From the first stage to the last");
    }
    let reason = project.chosen.as_deref().map(widgets::sentence);
    if project.warnings.is_empty()
        && let Some(reason) = &reason
    {
        widgets::short_note(ui, reason.as_str()).on_hover_text(reason);
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
            .on_hover_ui(|ui| {
                for line in reason.iter().chain(&project.warnings) {
                    ui.label(line);
                }
            });
    }
}

fn stopped(app: &App, project: &Project, ui: &mut Ui) -> Option<Pressed> {
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
                None if app.sheet().is_some() => {
                    widgets::note(ui, "Pick one of the shapes to refine it");
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
