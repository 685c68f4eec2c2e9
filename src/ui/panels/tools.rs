//! The buttons in the corner of the viewport: how the object is seen, and what it is compared with.

use eframe::egui::{
    self, Color32, Popup, Rect, Response, RichText, ScrollArea, Stroke, Ui, pos2, vec2,
};

use super::super::app::App;
use super::super::compare::Other;
use super::super::{fonts, theme, widgets};
use crate::view::{Preset, Shading};

/// What was asked for by a button that needs the whole window.
enum Wish {
    Picture,
    Compare(Other, String),
}

pub(super) fn show(app: &mut App, ui: &mut Ui, rect: Rect) {
    let corner = Rect::from_min_size(
        pos2(rect.left() + 12.0, rect.top() + 12.0),
        vec2(rect.width() - 120.0, theme::CONTROL_HEIGHT),
    );
    let mut wish = None;
    widgets::inside(ui, corner, |ui| {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 4.0;
            views(app, ui);
            gap(ui);
            looks(app, ui);
            gap(ui);
            let turning = app.viewport.turntable.is_turning();
            let tooltip = "Turn the object by itself, until anything is pressed (T)";
            if widgets::sign(ui, "Turntable", tooltip, turning, turntable).clicked() {
                app.viewport.turntable.toggle();
            }
            comparison(app, ui, &mut wish);
            let tooltip = "Save a picture without a background (F12)";
            if widgets::sign(ui, "Save a picture", tooltip, false, aperture).clicked() {
                wish = Some(Wish::Picture);
            }
            gap(ui);
            let tooltip = "Simplify or smooth the finished mesh (R)";
            if widgets::quiet(ui, "Edit mesh…", tooltip).clicked() {
                app.refine.open = !app.refine.open;
            }
        });
    });
    match wish {
        Some(Wish::Picture) => app.screenshot(),
        Some(Wish::Compare(other, name)) => app.compare_with(other, name),
        None => {}
    }
}

/// Room between two groups of buttons.
fn gap(ui: &mut Ui) {
    ui.add_space(8.0);
}

/// Where the viewer stands.
fn views(app: &mut App, ui: &mut Ui) {
    let viewport = &mut app.viewport;
    let framing = widgets::sign(
        ui,
        "Frame the object",
        "Frame the object (Home)",
        false,
        house,
    );
    if framing.clicked() {
        viewport.frame();
    }
    let menu = widgets::sign(ui, "Look from", "Look from a side", false, cube);
    Popup::menu(&menu).show(|ui| {
        ui.set_min_width(168.0);
        for (preset, name, keys) in PRESETS {
            if entry(ui, name, &super::super::shortcuts::on_this_system(keys)).clicked() {
                viewport.look_from(preset);
            }
        }
        ui.separator();
        if entry(ui, "Perspective or parallel", "5").clicked() {
            viewport.change_projection();
        }
    });
}

const PRESETS: [(Preset, &str, &str); 7] = [
    (Preset::ThreeQuarter, "Three quarters", ""),
    (Preset::Front, "Front", "1"),
    (Preset::Right, "Right", "3"),
    (Preset::Top, "Top", "7"),
    (Preset::Back, "Back", "Ctrl+1"),
    (Preset::Left, "Left", "Ctrl+3"),
    (Preset::Bottom, "Bottom", "Ctrl+7"),
];

/// A line of a menu, with its key at the right.
fn entry(ui: &mut Ui, name: &str, keys: &str) -> Response {
    let weak = RichText::new(keys)
        .size(fonts::SMALL)
        .color(theme::palette(ui).secondary);
    ui.add(egui::Button::new(name).right_text(weak))
}

/// What the object looks like.
fn looks(app: &mut App, ui: &mut Ui) {
    let look = &mut app.viewport.look;
    if widgets::sign(ui, "Grid", "A grid in millimetres (G)", look.grid, grid).clicked() {
        look.grid = !look.grid;
    }
    let tooltip = "The edges of the triangles (E)";
    if widgets::sign(ui, "Edges", tooltip, look.edges, triangle).clicked() {
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
}

/// What the object is compared with.
fn comparison(app: &mut App, ui: &mut Ui, wish: &mut Option<Wish>) {
    let comparing = app.viewport.comparison.is_some();
    if comparing {
        let tooltip = "Show the object alone again (C)";
        if widgets::sign(ui, "Stop comparing", tooltip, true, halves).clicked() {
            app.viewport.stop_comparing();
        }
        return;
    }
    let tooltip = "Compare with another result (C: with the latest)";
    let menu = widgets::sign(ui, "Compare with…", tooltip, false, halves);
    // The list is made when it is looked at, not in every frame.
    if !Popup::is_id_open(ui.ctx(), Popup::default_response_id(&menu)) && !menu.clicked() {
        return;
    }
    let others = app.others();
    Popup::menu(&menu).show(|ui| {
        ui.set_width(280.0);
        if others.is_empty() {
            widgets::note(
                ui,
                "There is no other result yet. Make one, or open one from below.",
            );
        }
        ScrollArea::vertical().max_height(320.0).show(ui, |ui| {
            for (other, name) in others {
                let line = egui::Button::new(&name)
                    .truncate()
                    .min_size(vec2(272.0, 0.0));
                if ui.add(line).clicked() {
                    *wish = Some(Wish::Compare(other, name));
                }
            }
        });
    });
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

fn cube(painter: &egui::Painter, rect: Rect, colour: Color32) {
    let stroke = Stroke::new(1.3, colour);
    let at = |x: f32, y: f32| rect.min + vec2(x * rect.width(), y * rect.height());
    let around = [
        (0.5, 0.0),
        (0.95, 0.25),
        (0.95, 0.75),
        (0.5, 1.0),
        (0.05, 0.75),
        (0.05, 0.25),
    ];
    let corners = around.map(|(x, y)| at(x, y));
    painter.line(corners.into_iter().chain([corners[0]]).collect(), stroke);
    for corner in [corners[1], corners[3], corners[5]] {
        painter.line_segment([at(0.5, 0.5), corner], stroke);
    }
}

fn turntable(painter: &egui::Painter, rect: Rect, colour: Color32) {
    let stroke = Stroke::new(1.3, colour);
    let centre = rect.center();
    let at = |turn: f32| {
        let (sin, cos) = (turn * std::f32::consts::TAU).sin_cos();
        centre + vec2(cos * rect.width() * 0.5, sin * rect.height() * 0.5)
    };
    let ring: Vec<_> = (4..=32).map(|part| at(part as f32 / 36.0 - 0.15)).collect();
    let (before, tip) = (ring[ring.len() - 2], ring[ring.len() - 1]);
    painter.line(ring, stroke);
    let along = (tip - before).normalized() * 4.0;
    for side in [along.rot90(), -along.rot90()] {
        painter.line_segment([tip, tip - along + side * 0.9], stroke);
    }
    painter.circle_filled(centre, 1.8, colour);
}

fn halves(painter: &egui::Painter, rect: Rect, colour: Color32) {
    let stroke = Stroke::new(1.3, colour);
    let frame = rect.shrink2(vec2(0.0, 1.5));
    painter.rect_stroke(frame, 2.0, stroke, egui::StrokeKind::Inside);
    let right = Rect::from_min_max(frame.center_top(), frame.max);
    painter.rect_filled(right, 2.0, colour.gamma_multiply(0.55));
    painter.vline(rect.center().x, rect.y_range(), stroke);
}

fn aperture(painter: &egui::Painter, rect: Rect, colour: Color32) {
    let stroke = Stroke::new(1.3, colour);
    let body = Rect::from_min_max(rect.min + vec2(0.0, 3.0), rect.max - vec2(0.0, 1.0));
    painter.rect_stroke(body, 2.5, stroke, egui::StrokeKind::Inside);
    painter.circle_stroke(body.center(), 2.8, stroke);
    let top = [
        vec2(4.0, 3.0),
        vec2(5.0, 0.8),
        vec2(9.0, 0.8),
        vec2(10.0, 3.0),
    ];
    painter.line(top.map(|step| rect.min + step).to_vec(), stroke);
}
