//! The middle: the viewport with its few buttons, and one line of measures under the object.

use eframe::egui::text::LayoutJob;
use eframe::egui::{self, Align, Color32, Layout, Rect, RichText, Ui, pos2};

use super::super::app::App;
use super::super::project::{Phase, Project, Result3d};
use super::super::{compare, fonts, theme, widgets};
use super::{empty, tools};

/// What the measures and the ruler take of the viewport, at its lower edge.
pub(super) const FOOT: f32 = 32.0;

pub(super) fn show(app: &mut App, ui: &mut Ui) {
    let rect = ui.available_rect_before_wrap();
    if super::outline::show(app, ui, rect) {
        return;
    }
    app.follow_comparison();
    let mesh = app.active_project().and_then(compare::shown_of);
    let object = app.active.map(|id| id.0);
    let mm = size_mm(app) as f32;
    app.viewport.show(ui, rect, object, mesh, mm, &app.desk);
    if app.projects.is_empty() {
        empty::show(app, ui, rect);
        return;
    }
    let Some(project) = app.active_project() else {
        return;
    };
    instead(project, ui, rect);
    let Some(result) = &project.result else {
        return;
    };
    let open_edges = app.viewport.open_edges();
    if measures(ui, rect, result, size_mm(app), open_edges) {
        app.viewport.frame_open_edges();
    }
    tools::show(app, ui, rect);
    let ctx = ui.ctx().clone();
    super::refine::show(app, &ctx, super::refine::corner(rect));
}

/// The longest side of the object, in millimetres.
pub(super) fn size_mm(app: &App) -> f64 {
    app.active_project()
        .and_then(|project| project.file_size_mm)
        .filter(|size| size.is_finite() && *size > 0.0)
        .unwrap_or(app.preferences.export_size_mm)
}

/// What is said in the middle while there is no mesh.
fn instead(project: &Project, ui: &Ui, rect: Rect) {
    if project.result.is_some() {
        return;
    }
    let palette = theme::palette(ui);
    let (headline, below) = match (project.phase(), &project.problem) {
        (Phase::Failed, Some(problem)) => (problem.headline.clone(), problem.details.clone()),
        (Phase::Stopped, _) => (
            "Stopped before the first mesh".to_owned(),
            "Generate makes it with the settings at the left.".to_owned(),
        ),
        _ => return,
    };
    let painter = ui.painter();
    let width = rect.width().min(480.0) - 48.0;
    let centred = |text: String, font, colour| {
        let mut job = LayoutJob::simple(text, font, colour, width);
        job.halign = Align::Center;
        painter.layout_job(job)
    };
    let headline = centred(headline, fonts::strong(fonts::HEADLINE), palette.text);
    let below = widgets::sentence(&below);
    let below = centred(below, fonts::regular(fonts::BODY), palette.secondary);
    let top = rect.center().y - (headline.size().y + 8.0 + below.size().y) / 2.0;
    let beneath = pos2(rect.center().x, top + headline.size().y + 8.0);
    painter.galley(pos2(rect.center().x, top), headline, palette.text);
    painter.galley(beneath, below, palette.secondary);
}

/// The line of measures; whether the open edges were clicked.
fn measures(
    ui: &mut Ui,
    rect: Rect,
    result: &Result3d,
    mm: f64,
    open_edges: Option<usize>,
) -> bool {
    let palette = theme::palette(ui);
    let mesh = result.shown.mesh();
    let mut parts = Vec::new();
    parts.extend(result.resolution.map(|cells| format!("{cells}³")));
    parts.push(format!("{} faces", widgets::grouped(mesh.triangles.len())));
    if let Some(shape) = &result.shape {
        let [x, y, z] = shape.in_mm(mm).bounds_mm.size;
        parts.push(format!("{x:.0} × {y:.0} × {z:.0} mm"));
    }
    let row = Rect::from_min_max(
        pos2(rect.left() + 16.0, rect.bottom() - FOOT),
        pos2(rect.right() - 16.0, rect.bottom() - 8.0),
    );
    let tooltip = tooltip(result, mm);
    let mut clicked = false;
    widgets::inside(ui, row, |ui| {
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 0.0;
            let text = |text: String, colour: Color32| {
                egui::Label::new(RichText::new(text).size(fonts::SMALL).color(colour))
            };
            ui.add(text(parts.join("  ·  "), palette.secondary))
                .on_hover_text(&tooltip);
            let Some(shape) = &result.shape else {
                return;
            };
            ui.add(text("  ·  ".into(), palette.secondary));
            if shape.closed {
                ui.add(text("closed".into(), palette.closed))
                    .on_hover_text("The surface ends nowhere: slicers can print it (watertight)");
                return;
            }
            let Some(count) = open_edges else {
                ui.add(text("open".into(), palette.error))
                    .on_hover_text("The surface has open edges: slicers may refuse it");
                return;
            };
            let word = if count == 1 { "edge" } else { "edges" };
            let label = format!("{} open {word}", widgets::grouped(count));
            let label = RichText::new(label).size(fonts::SMALL).color(palette.error);
            clicked = ui
                .add(egui::Link::new(label))
                .on_hover_text(
                    "The surface ends at these, marked red on the object: slicers may refuse it. Click to see them",
                )
                .clicked();
        });
    });
    clicked
}

fn tooltip(result: &Result3d, mm: f64) -> String {
    let mesh = result.shown.mesh();
    let vertices = widgets::grouped(mesh.positions.len());
    match &result.shape {
        Some(shape) => {
            let measures = shape.in_mm(mm);
            format!(
                "{vertices} vertices, seams counted as often as they occur\n{} parts\nVolume {:.1} cm³, area {:.1} cm²",
                shape.components,
                measures.volume_mm3 / 1e3,
                measures.area_mm2 / 1e2,
            )
        }
        None => format!("{vertices} vertices; measured when it is finished"),
    }
}
