//! How large things are: millimetres along the lines of the grid, and a bar of a known length.

use eframe::egui::{Align2, Pos2, Rect, Stroke, Ui, pos2, vec2};
use glam::{Vec2, Vec3};

use super::viewport::Viewport;
use super::{fonts, theme};
use crate::view::{Camera, Frame};

/// Numbers along a line of the grid are at least this far apart, in points.
const APART: f32 = 64.0;
/// How many numbers there is room for across the shorter side of the viewport, at most: the ground is to be
/// seen, not the numbers.
const MOST_ACROSS: f32 = 8.0;
/// Lines on each side of the middle that may get a number.
const LINES: i32 = 24;

/// Writes the numbers and the bar over the picture.
pub(super) fn show(viewport: &Viewport, ui: &Ui, rect: Rect, mm_per_unit: f32) {
    if !(mm_per_unit.is_finite() && mm_per_unit > 0.0) {
        return;
    }
    let camera = viewport.rig.at(viewport.clock());
    let frame = Frame {
        mm_per_unit,
        ..Frame::new(
            [rect.width(), rect.height()].map(|side| side.max(1.0) as u32),
            camera,
        )
    };
    // The bold lines of the grid.
    let step_mm = frame.grid_step_mm() * 10.0;
    // From below, the grid is not drawn.
    if camera.pitch > 0.06 {
        numbers(viewport, ui, rect, &camera, step_mm, mm_per_unit);
    }
    bar(ui, rect, &camera, mm_per_unit);
}

/// Numbers at the bold lines, along the two that go through the middle of the ground.
fn numbers(
    viewport: &Viewport,
    ui: &Ui,
    rect: Rect,
    camera: &Camera,
    step_mm: f32,
    mm_per_unit: f32,
) {
    let palette = theme::palette(ui);
    let aspect = rect.width() / rect.height().max(1.0);
    let on_screen = |place: Vec3| {
        camera.project(place, aspect).map(|ndc| {
            pos2(
                rect.left() + (ndc.x * 0.5 + 0.5) * rect.width(),
                rect.top() + (0.5 - ndc.y * 0.5) * rect.height(),
            )
        })
    };
    let bounds = viewport.bounds;
    // The measures are below.
    let inner = Rect::from_min_max(rect.min + vec2(12.0, 44.0), rect.max - vec2(12.0, 40.0));
    let apart = APART.max(rect.size().min_elem() / MOST_ACROSS);
    let step = step_mm / mm_per_unit;
    for along in [Vec3::X, Vec3::Z] {
        let mut last: Option<Pos2> = None;
        for line in -LINES..=LINES {
            let from_middle = line as f32 * step;
            if line == 0 || from_middle.abs() > bounds.radius() * 6.0 {
                continue;
            }
            let place = along * from_middle + Vec3::Y * bounds.min.y;
            let Some(at) = on_screen(place) else {
                continue;
            };
            // Lines that run together towards the horizon keep their numbers to themselves.
            let next = on_screen(place + along * step);
            let crowded = next.is_none_or(|next| next.distance(at) < APART * 0.5)
                || last.is_some_and(|last| last.distance(at) < apart);
            if crowded || !inner.contains(at) {
                continue;
            }
            let millimetres = from_middle * mm_per_unit;
            let near = (1.0 - millimetres.abs() / (mm_per_unit * bounds.radius() * 6.0)).sqrt();
            let colour = palette.secondary.gamma_multiply(near.clamp(0.3, 1.0));
            let text = format!("{} mm", number(millimetres.abs()));
            let text = ui
                .painter()
                .layout_no_wrap(text, fonts::regular(11.0), colour);
            let corner = at + vec2(4.0, 2.0);
            // Whole or not at all.
            if !inner.contains(corner + text.size()) || is_hidden(viewport, camera, place, aspect) {
                continue;
            }
            last = Some(at);
            ui.painter().galley(corner, text, colour);
        }
    }
}

/// Whether the object is in front of a place on the ground.
fn is_hidden(viewport: &Viewport, camera: &Camera, place: Vec3, aspect: f32) -> bool {
    let Some(ndc) = camera.project(place, aspect) else {
        return true;
    };
    let ray = camera.ray(Vec2::new(ndc.x, ndc.y), aspect);
    viewport
        .hit(&ray)
        .is_some_and(|hit| hit.distance(ray.origin) < place.distance(ray.origin) - 1e-3)
}

/// A bar of a round length as it appears at the depth of the object's middle.
fn bar(ui: &Ui, rect: Rect, camera: &Camera, mm_per_unit: f32) {
    let palette = theme::palette(ui);
    let mm_per_point = 2.0 * camera.half_height() * mm_per_unit / rect.height().max(1.0);
    let longest_mm = mm_per_point * 120.0;
    let power = 10_f32.powf(longest_mm.log10().floor());
    let round = [5.0, 2.0, 1.0]
        .into_iter()
        .map(|digit| digit * power)
        .find(|length| *length <= longest_mm)
        .unwrap_or(power);
    let length = round / mm_per_point;
    if !length.is_finite() {
        return;
    }
    let y = rect.bottom() - 14.0;
    let right = rect.right() - 16.0;
    let stroke = Stroke::new(1.0, palette.secondary);
    let painter = ui.painter();
    painter.hline(right - length..=right, y, stroke);
    for end in [right - length, right] {
        painter.vline(end, y - 4.0..=y, stroke);
    }
    painter.text(
        pos2(right - length / 2.0, y - 4.0),
        Align2::CENTER_BOTTOM,
        format!("{} mm", number(round)),
        fonts::regular(fonts::SMALL),
        palette.secondary,
    );
}

/// As many digits as a round number needs.
fn number(millimetres: f32) -> String {
    let places = (-millimetres.log10().floor()).clamp(0.0, 4.0) as usize;
    format!("{millimetres:.places$}")
}
