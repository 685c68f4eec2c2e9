//! The window without an image: where to drop one, and samples that work at one click.

use eframe::egui::{
    self, Align2, Color32, CornerRadius, Id, LayerId, Order, Rect, RichText, Role, Sense, Stroke,
    StrokeKind, Ui, Vec2, WidgetInfo, vec2,
};

use super::super::app::App;
use super::super::samples::{SAMPLES, Sample};
use super::super::{fonts, theme, widgets};

const TILE: f32 = 96.0;

/// What fills the viewport while nothing is open.
pub(super) fn show(app: &mut App, ui: &mut Ui, rect: Rect) {
    let palette = theme::palette(ui);
    let height = 296.0;
    let width = rect.width().min(480.0);
    let middle = Rect::from_center_size(rect.center(), vec2(width, height));
    let mut chosen: Option<&'static Sample> = None;
    widgets::inside(ui, middle, |ui| {
        ui.vertical_centered(|ui| {
            let (sign, _) = ui.allocate_exact_size(Vec2::splat(44.0), Sense::hover());
            arrow_into_tray(ui.painter(), sign, palette.secondary);
            ui.add_space(8.0);
            ui.label(RichText::new("Drop an image here").font(fonts::strong(fonts::HEADLINE)));
            ui.add_space(2.0);
            widgets::note(ui, "A closed, coloured 3D mesh comes out, ready to print.");
            ui.add_space(28.0);
            widgets::note(ui, "Or begin with one of these:");
            ui.add_space(4.0);
            let row = TILE * 4.0 + 12.0 * 3.0;
            ui.allocate_ui(vec2(row, TILE + 24.0), |ui| {
                ui.horizontal(|ui| {
                    ui.spacing_mut().item_spacing.x = 12.0;
                    for (sample, texture) in SAMPLES.iter().zip(&app.samples) {
                        if tile(ui, sample, texture) {
                            chosen = Some(sample);
                        }
                    }
                });
            });
        });
    });
    if let Some(sample) = chosen {
        app.open_sample(sample);
    }
}

fn tile(ui: &mut Ui, sample: &Sample, texture: &egui::TextureHandle) -> bool {
    let palette = theme::palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(TILE, TILE + 22.0), Sense::click());
    let said = format!("Sample: {}", sample.label);
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, said.clone()));
    let square = Rect::from_min_size(rect.min, Vec2::splat(TILE));
    let rounding = CornerRadius::same(theme::RADIUS + 2);
    let active = response.hovered() || response.has_focus();
    ui.painter().rect_filled(
        square,
        rounding,
        if active { palette.hover } else { palette.panel },
    );
    let inner = widgets::contain(texture.size_vec2(), square.shrink(10.0));
    let uv = Rect::from_min_max(egui::Pos2::ZERO, egui::pos2(1.0, 1.0));
    ui.painter().image(texture.id(), inner, uv, Color32::WHITE);
    let edge = if active { palette.accent } else { palette.line };
    ui.painter()
        .rect_stroke(square, rounding, Stroke::new(1.0, edge), StrokeKind::Inside);
    ui.painter().text(
        rect.center_bottom() - vec2(0.0, 2.0),
        Align2::CENTER_BOTTOM,
        sample.label,
        fonts::regular(fonts::SMALL),
        if active {
            palette.text
        } else {
            palette.secondary
        },
    );
    response
        .on_hover_text(format!("Begin with the sample {}", sample.file_name))
        .clicked()
}

/// What lies over everything while files are dragged over the window.
pub(super) fn drop_overlay(app: &mut App, ctx: &egui::Context) {
    let files = ctx.input(|input| input.raw.hovered_files.len());
    if files == 0 {
        return;
    }
    let palette = theme::palette_of(ctx);
    let painter = ctx.layer_painter(LayerId::new(Order::Foreground, Id::unique("drop overlay")));
    let rect = ctx.content_rect();
    painter.rect_filled(
        rect,
        CornerRadius::ZERO,
        palette.window.gamma_multiply(0.86),
    );
    painter.rect_stroke(
        rect.shrink(16.0),
        CornerRadius::same(12),
        Stroke::new(2.0, palette.accent),
        StrokeKind::Inside,
    );
    let corrects = app.editor().is_some();
    let missing = app.active_project().and_then(|open| open.missing.as_ref());
    let text = match (files, missing) {
        (1, Some(missing)) => format!("Drop {} to go on", missing.name()),
        (1, None) if corrects => "Drop a mask to use it as the outline".to_owned(),
        (1, None) => "Drop to begin".to_owned(),
        (files, _) => format!("Drop to begin with {files} files"),
    };
    painter.text(
        rect.center(),
        Align2::CENTER_CENTER,
        text,
        fonts::strong(fonts::HEADLINE),
        palette.text,
    );
}

fn arrow_into_tray(painter: &egui::Painter, rect: Rect, colour: Color32) {
    let stroke = Stroke::new(1.6, colour);
    let at = |x: f32, y: f32| rect.min + vec2(x * rect.width(), y * rect.height());
    painter.line_segment([at(0.5, 0.08), at(0.5, 0.62)], stroke);
    painter.line_segment([at(0.5, 0.62), at(0.32, 0.44)], stroke);
    painter.line_segment([at(0.5, 0.62), at(0.68, 0.44)], stroke);
    let tray = [at(0.14, 0.6), at(0.14, 0.88), at(0.86, 0.88), at(0.86, 0.6)];
    painter.line(tray.to_vec(), stroke);
}
