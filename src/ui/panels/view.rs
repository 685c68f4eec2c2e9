//! The middle: the viewport with its few buttons, and one line of measures under the object.

use eframe::egui::text::LayoutJob;
use eframe::egui::{self, Align, Color32, Layout, Rect, RichText, Stroke, Ui, pos2, vec2};

use super::super::app::App;
use super::super::project::{Phase, Project, Result3d};
use super::super::{fonts, theme, widgets};
use super::empty;
use crate::view::Shading;

pub(super) fn show(app: &mut App, ui: &mut Ui) {
    let rect = ui.available_rect_before_wrap();
    if super::outline::show(app, ui, rect) {
        return;
    }
    let mesh = app
        .active_project()
        .and_then(|project| project.result.as_ref());
    let mesh = mesh.map(|result| (result.revision, result.shown.clone()));
    let object = app.active.map(|id| id.0);
    let mm = size_mm(app) as f32;
    app.viewport.show(ui, rect, object, mesh, mm, &app.desk);
    if app.projects.is_empty() {
        empty::show(app, ui, rect);
        return;
    }
    if let Some(project) = app.active_project() {
        instead(project, ui, rect);
        if let Some(result) = &project.result {
            measures(ui, rect, result, size_mm(app));
        }
        if project.result.is_some() {
            tools(app, ui, rect);
            let ctx = ui.ctx().clone();
            super::refine::show(app, &ctx, super::refine::corner(rect));
        }
    }
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

fn measures(ui: &mut Ui, rect: Rect, result: &Result3d, mm: f64) {
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
        pos2(rect.left() + 16.0, rect.bottom() - 32.0),
        pos2(rect.right() - 16.0, rect.bottom() - 8.0),
    );
    let tooltip = tooltip(result, mm);
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
            let (word, colour) = if shape.closed {
                ("closed", palette.closed)
            } else {
                ("open", palette.error)
            };
            ui.add(text(word.into(), colour))
                .on_hover_text(if shape.closed {
                    "The surface ends nowhere: slicers can print it (watertight)"
                } else {
                    "The surface has open edges: slicers may refuse it"
                });
        });
    });
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

/// The buttons in the corner of the viewport.
fn tools(app: &mut App, ui: &mut Ui, rect: Rect) {
    let corner = Rect::from_min_size(
        pos2(rect.left() + 12.0, rect.top() + 12.0),
        vec2(rect.width() - 120.0, theme::CONTROL_HEIGHT),
    );
    let look = &mut app.viewport.look;
    let refine = &mut app.refine;
    let mut frame = false;
    widgets::inside(ui, corner, |ui| {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 4.0;
            frame = widgets::sign(
                ui,
                "Frame the object",
                "Frame the object (Home)",
                false,
                house,
            )
            .clicked();
            if widgets::sign(ui, "Grid", "A grid in millimetres (G)", look.grid, grid).clicked() {
                look.grid = !look.grid;
            }
            if widgets::sign(
                ui,
                "Edges",
                "The edges of the triangles (E)",
                look.edges,
                triangle,
            )
            .clicked()
            {
                look.edges = !look.edges;
            }
            for (shading, name, tooltip) in SHADINGS {
                let on = look.shading == shading;
                if widgets::sign(ui, name, tooltip, on, |painter, rect, colour| {
                    ball(painter, rect, colour, shading);
                })
                .clicked()
                {
                    look.shading = shading;
                }
            }
            let tooltip = "Simplify or smooth the finished mesh (R)";
            if widgets::quiet(ui, "Edit mesh…", tooltip).clicked() {
                refine.open = !refine.open;
            }
        });
    });
    if frame {
        app.viewport.frame();
    }
}

const SHADINGS: [(Shading, &str, &str); 4] = [
    (Shading::Textured, "In colour", "The object's own colours"),
    (
        Shading::Clay,
        "In clay",
        "Plain clay, which shows the shape",
    ),
    (
        Shading::Matcap,
        "Glossy",
        "A dark glossy surface, which shows every dent (matcap)",
    ),
    (
        Shading::Normals,
        "By direction",
        "The direction of the surface as a colour (normals)",
    ),
];

fn house(painter: &egui::Painter, rect: Rect, colour: Color32) {
    let stroke = Stroke::new(1.4, colour);
    let at = |x: f32, y: f32| rect.min + vec2(x * rect.width(), y * rect.height());
    painter.line(vec![at(0.0, 0.5), at(0.5, 0.05), at(1.0, 0.5)], stroke);
    let walls = vec![at(0.16, 0.4), at(0.16, 0.95), at(0.84, 0.95), at(0.84, 0.4)];
    painter.line(walls, stroke);
}

fn grid(painter: &egui::Painter, rect: Rect, colour: Color32) {
    let stroke = Stroke::new(1.2, colour);
    for part in [0.08, 0.5, 0.92] {
        let x = rect.left() + rect.width() * part;
        let y = rect.top() + rect.height() * part;
        painter.vline(x, rect.y_range(), stroke);
        painter.hline(rect.x_range(), y, stroke);
    }
}

fn triangle(painter: &egui::Painter, rect: Rect, colour: Color32) {
    let stroke = Stroke::new(1.3, colour);
    let at = |x: f32, y: f32| rect.min + vec2(x * rect.width(), y * rect.height());
    let corners = [at(0.5, 0.05), at(0.98, 0.92), at(0.02, 0.92)];
    painter.line(vec![corners[0], corners[1], corners[2], corners[0]], stroke);
    let inner = [at(0.26, 0.49), at(0.74, 0.49), at(0.5, 0.92)];
    painter.line(vec![inner[0], inner[1], inner[2], inner[0]], stroke);
}

fn ball(painter: &egui::Painter, rect: Rect, colour: Color32, shading: Shading) {
    let (centre, radius) = (rect.center(), rect.width() / 2.0);
    match shading {
        Shading::Textured => {
            painter.circle_stroke(centre, radius, Stroke::new(1.3, colour));
            painter.circle_filled(centre - vec2(2.0, 1.5), 1.6, colour);
            painter.circle_filled(centre + vec2(2.4, -0.5), 1.6, colour);
            painter.circle_filled(centre + vec2(-0.4, 3.0), 1.6, colour);
        }
        Shading::Clay => {
            painter.circle_filled(centre, radius, colour.gamma_multiply(0.7));
        }
        Shading::Matcap => {
            painter.circle_stroke(centre, radius, Stroke::new(1.3, colour));
            painter.circle_filled(centre - vec2(2.0, 2.0), 2.2, colour);
        }
        Shading::Normals => {
            painter.circle_stroke(centre, radius, Stroke::new(1.3, colour));
            painter.line_segment(
                [centre, centre + vec2(0.0, -radius)],
                Stroke::new(1.3, colour),
            );
            painter.line_segment(
                [centre, centre + vec2(radius, 0.0)],
                Stroke::new(1.3, colour),
            );
        }
    }
}
