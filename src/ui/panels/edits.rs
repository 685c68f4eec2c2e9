//! Undo and redo as two buttons that say what they would do.

use eframe::egui::{Color32, Painter, Rect, Stroke, Ui, vec2};

use super::super::app::App;
use super::super::{shortcuts, widgets};

/// Both buttons, after one another in the direction of the layout.
pub(super) fn buttons(app: &mut App, ui: &mut Ui) {
    let (undo, redo) = (app.undo.next_undo(), app.undo.next_redo());
    if button(ui, "Undo", undo.as_deref(), "Ctrl+Z", false) {
        app.undo();
    }
    if button(ui, "Redo", redo.as_deref(), "Ctrl+Shift+Z", true) {
        app.redo();
    }
}

fn button(ui: &mut Ui, name: &str, what: Option<&str>, keys: &str, turned: bool) -> bool {
    let keys = shortcuts::on_this_system(keys);
    let tooltip = match what {
        Some(what) => format!("{name} {what} ({keys})"),
        None => format!("Nothing to {} ({keys})", name.to_lowercase()),
    };
    // The label says it, too: a tooltip is not read aloud by all that reads labels.
    let label = what.map_or_else(|| name.to_owned(), |what| format!("{name} {what}"));
    ui.add_enabled_ui(what.is_some(), |ui| {
        widgets::sign(ui, &label, &tooltip, false, |painter, rect, colour| {
            arrow(painter, rect, colour, turned);
        })
        .on_disabled_hover_text(&tooltip)
        .clicked()
    })
    .inner
}

/// An arrow that bends back, to the left, or turned, to the right.
fn arrow(painter: &Painter, rect: Rect, colour: Color32, turned: bool) {
    let stroke = Stroke::new(1.6, colour);
    let at = |x: f32, y: f32| {
        let x = if turned { 1.0 - x } else { x };
        rect.min + vec2(x * rect.width(), y * rect.height())
    };
    let bend: Vec<_> = (0..=12)
        .map(|step| {
            let angle = std::f32::consts::PI * (step as f32 / 12.0 - 0.5);
            at(0.62 + 0.32 * angle.cos(), 0.62 + 0.32 * angle.sin())
        })
        .collect();
    let mut line = vec![at(0.06, 0.3)];
    line.extend(bend);
    line.push(at(0.35, 0.94));
    painter.line(line, stroke);
    painter.line(vec![at(0.32, 0.04), at(0.06, 0.3), at(0.32, 0.56)], stroke);
}
