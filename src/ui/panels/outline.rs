//! The outline's editor over the middle of the window: the image large, what was drawn, and the few tools.

use eframe::egui::{
    self, Align, Align2, Color32, CursorIcon, Event, EventFilter, Layout, PointerButton, Pos2,
    Rect, Role, Sense, Stroke, Ui, WidgetInfo, pos2, vec2,
};

use super::super::app::App;
use super::super::editor::{Editor, Tool, colour};
use super::super::outline::Outline;
use super::super::{fonts, theme, widgets};

/// The height of the tools above the image.
const TOOLS_HEIGHT: f32 = 76.0;
/// Strokes that are shown as thin lines once the outline has followed: the latest.
const STROKES_SHOWN: usize = 100;

const TOOLS: [(Tool, &str, &str); 2] = [
    (Tool::Brush, "Brush", "Draw over what is wrong (B)"),
    (
        Tool::Box,
        "Box",
        "Drag a box over what is wrong (X); arrow keys move it, Shift+arrows size it, Space sets it",
    ),
];

const SIDES: [(bool, &str, &str); 2] = [
    (
        true,
        "+ Keep",
        "What is drawn over belongs to the subject (K); Alt or the right button removes",
    ),
    (
        false,
        "− Remove",
        "What is drawn over is background (R); Alt or the right button keeps",
    ),
];

/// Shows the editor in a rectangle, where it is open; whether it is.
pub(super) fn show(app: &mut App, ui: &mut Ui, rect: Rect) -> bool {
    if app.editor().is_none() {
        return false;
    }
    let palette = theme::palette(ui);
    let (tools, canvas) = rect.split_top_bottom_at_y(rect.top() + TOOLS_HEIGHT);
    ui.painter().rect_filled(rect, 0.0, palette.well);
    ui.painter().rect_filled(tools, 0.0, palette.panel);
    let line = Stroke::new(1.0, palette.line);
    ui.painter().hline(rect.x_range(), tools.bottom(), line);
    image(app, ui, canvas);
    widgets::inside(ui, tools.shrink2(vec2(theme::PADDING, 8.0)), |ui| {
        toolbar(app, ui);
    });
    true
}

fn toolbar(app: &mut App, ui: &mut Ui) {
    let mut done = false;
    ui.spacing_mut().item_spacing = vec2(8.0, 4.0);
    let state = state(app);
    ui.horizontal(|ui| {
        widgets::heading(ui, "Correct outline");
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.scope(|ui| {
                ui.set_max_width(72.0);
                done = widgets::secondary(ui, "Done", theme::CONTROL_HEIGHT, true)
                    .on_hover_text("Back to the object (Enter or Esc)")
                    .clicked();
            });
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                widgets::short_note(ui, &state).on_hover_text(&state);
            });
        });
    });
    let has_strokes = app
        .active_project()
        .is_some_and(|project| !project.wishes.outline.strokes.is_empty());
    let mut clear = false;
    ui.horizontal(|ui| {
        if let Some(editor) = app.editor() {
            fixed(ui, 112.0, |ui| {
                widgets::segments(ui, "Tool", &TOOLS, &mut editor.tool);
            });
            fixed(ui, 136.0, |ui| {
                widgets::segments(ui, "Strokes", &SIDES, &mut editor.keep);
            });
            fixed(ui, 112.0, |ui| size(editor, ui));
            if widgets::quiet(
                ui,
                "Fit",
                "Show the whole image (0); the wheel or + and − zoom",
            )
            .clicked()
            {
                editor.fit();
            }
        }
        ui.add_enabled_ui(has_strokes, |ui| {
            clear = widgets::quiet(ui, "Clear", "Take every stroke off").clicked();
        });
        super::edits::buttons(app, ui);
    });
    if clear {
        app.clear_strokes();
    }
    if done {
        app.editor = None;
    }
}

/// A part of the row with a width of its own.
fn fixed(ui: &mut Ui, width: f32, add: impl FnOnce(&mut Ui)) {
    let size = vec2(width, theme::CONTROL_HEIGHT);
    let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
    widgets::inside(ui, rect, add);
}

/// What happens with the outline, in one line.
fn state(app: &App) -> String {
    let Some(project) = app.active_project() else {
        return String::new();
    };
    if let Some(problem) = &project.problem {
        return format!("{}: {}", problem.headline, problem.details);
    }
    let follows = project
        .matte
        .as_ref()
        .is_some_and(|matte| matte.made_for.as_ref() != Some(&project.wishes.outline));
    let strokes = match project.wishes.outline.strokes.len() {
        0 => "Draw over what is missing or too much; a mask that is dropped here is used instead"
            .to_owned(),
        1 => "1 stroke".to_owned(),
        many => format!("{many} strokes"),
    };
    if follows && project.is_working() {
        format!("{strokes} · the outline follows…")
    } else {
        strokes
    }
}

/// The brush's size, by equal factors.
fn size(editor: &mut Editor, ui: &mut Ui) {
    let radii = editor.radii();
    let (least, most) = (radii.start().ln(), radii.end().ln());
    let mut place = editor.radius_px.max(*radii.start()).ln();
    let pixels = 2.0 * editor.radius_px;
    ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
        let response = widgets::rail(
            ui,
            "Brush size",
            &format!("Brush size: {pixels:.0} pixels of the image ([ and ])"),
            &mut place,
            least..=most,
        );
        if response.changed() {
            editor.radius_px = place.exp();
        }
    });
}

/// The image, the outline and the strokes; what the pointer does to them.
fn image(app: &mut App, ui: &mut Ui, canvas: Rect) {
    let id = ui.scope_id().with("outline");
    let response = ui.interact(canvas, id, Sense::click_and_drag());
    let Some(project) = app.active_project() else {
        return;
    };
    let label = format!("Outline of {}", project.name);
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &label));
    let outline = project.wishes.outline.clone();
    let fallback = [
        project.picture.as_ref().map(egui::TextureHandle::id),
        project
            .matte
            .as_ref()
            .and_then(|matte| matte.overlay.as_ref())
            .map(egui::TextureHandle::id),
    ];
    let mut stroke = None;
    let mut held = false;
    if let Some(editor) = app.editor() {
        if editor.canvas.is_none() {
            // Its keys work at once, and Tab leads on from here.
            response.request_focus();
        }
        editor.canvas = Some(id);
        ui.memory_mut(|memory| {
            let arrows = EventFilter {
                horizontal_arrows: true,
                vertical_arrows: true,
                ..EventFilter::default()
            };
            memory.set_focus_lock_filter(id, arrows);
        });
        if editor.size_px.is_none() {
            say(ui, canvas, "Reading…");
        } else {
            look(editor, ui, &response, canvas);
            stroke = draw(editor, ui, &response, canvas);
            held = editor.drawing.is_some();
            paint(editor, ui, canvas, &outline, fallback);
            pointer(editor, ui, &response, canvas);
        }
    }
    app.control_is_held |= held;
    if let Some(stroke) = stroke {
        app.add_stroke(stroke);
    }
}

fn say(ui: &Ui, canvas: Rect, words: &str) {
    ui.painter().text(
        canvas.center(),
        Align2::CENTER_CENTER,
        words,
        fonts::regular(fonts::BODY),
        theme::palette(ui).secondary,
    );
}

/// Zooms by the wheel, and pans by the middle button.
fn look(editor: &mut Editor, ui: &Ui, response: &egui::Response, canvas: Rect) {
    if response.dragged_by(PointerButton::Middle) {
        editor.pan(canvas, response.drag_delta());
    }
    let Some(at) = response.hover_pos() else {
        return;
    };
    let (scroll, pinch) = ui.input(|input| (input.smooth_scroll_delta.y, input.zoom_delta()));
    let factor = (scroll * 0.0025).exp() * pinch;
    if (factor - 1.0).abs() > 1e-4 {
        editor.zoom_about(canvas, at, factor);
    }
}

/// Follows the pointer, event by event, so that a fast hand draws a smooth line. Gives a stroke that ended.
fn draw(
    editor: &mut Editor,
    ui: &Ui,
    response: &egui::Response,
    canvas: Rect,
) -> Option<crate::photo::Stroke> {
    let over = response.contains_pointer();
    let (events, any_down) = ui.input(|input| (input.events.clone(), input.pointer.any_down()));
    let mut ended = None;
    for event in events {
        match event {
            Event::PointerMoved(at) => editor.go_on(editor.to_image(canvas, at)),
            Event::PointerButton {
                pos,
                button: button @ (PointerButton::Primary | PointerButton::Secondary),
                pressed: true,
                modifiers,
            } if editor.drawing.is_none() && over && canvas.contains(pos) => {
                let turned = modifiers.alt || button == PointerButton::Secondary;
                let at = editor.to_image(canvas, pos);
                editor.begin(button, editor.keep != turned, at);
            }
            Event::PointerButton {
                pos,
                button,
                pressed: false,
                ..
            } if editor
                .drawing
                .as_ref()
                .is_some_and(|drawing| drawing.button == button) =>
            {
                editor.go_on(editor.to_image(canvas, pos));
                ended = editor.end().or(ended);
            }
            _ => {}
        }
    }
    // The button may have been let go where nobody told.
    if editor.drawing.is_some() && !any_down {
        ended = editor.end().or(ended);
    }
    ended
}

fn paint(
    editor: &Editor,
    ui: &Ui,
    canvas: Rect,
    outline: &Outline,
    [picture, overlay]: [Option<egui::TextureId>; 2],
) {
    let Some(size) = editor.size_px else {
        return;
    };
    let painter = ui.painter_at(canvas);
    let place = Rect::from_two_pos(
        editor.to_window(canvas, Pos2::ZERO),
        editor.to_window(canvas, size.to_pos2()),
    );
    widgets::chequer(&painter, place.intersect(canvas), ui.visuals().dark_mode);
    let uv = Rect::from_min_max(Pos2::ZERO, pos2(1.0, 1.0));
    let large =
        |texture: &Option<egui::TextureHandle>| texture.as_ref().map(|texture| texture.id());
    let veil = editor.veil.as_ref().and_then(|veil| veil.texture());
    let layers = [
        large(&editor.picture).or(picture),
        large(&editor.overlay).or(overlay),
        veil.map(|texture| texture.id()),
    ];
    for texture in layers.into_iter().flatten() {
        painter.image(texture, place, uv, Color32::WHITE);
    }
    let skipped = outline.strokes.len().saturating_sub(STROKES_SHOWN);
    for stroke in &outline.strokes[skipped..] {
        let line = Stroke::new(1.5, colour(stroke.keep));
        let points: Vec<Pos2> = stroke
            .points
            .iter()
            .map(|point| editor.to_window(canvas, (*point).into()))
            .collect();
        match (&points[..], stroke.filled) {
            ([dot], _) => {
                painter.circle_filled(*dot, 2.5, line.color);
            }
            (_, true) => {
                painter.add(egui::Shape::closed_line(points, line));
            }
            (_, false) => {
                painter.line(points, line);
            }
        }
    }
    boxes(
        editor,
        &painter,
        canvas,
        ui.memory(|memory| memory.focused()) == editor.canvas,
    );
}

/// The box that is being dragged, or the one that the keyboard moves.
fn boxes(editor: &Editor, painter: &egui::Painter, canvas: Rect, has_focus: bool) {
    if editor.tool != Tool::Box {
        return;
    }
    let (from, to, keep) = match &editor.drawing {
        Some(drawing) => match (drawing.points.first(), drawing.points.last()) {
            (Some(from), Some(to)) => ((*from).into(), (*to).into(), drawing.keep),
            _ => return,
        },
        None if has_focus => (editor.aim.min, editor.aim.max, editor.keep),
        None => return,
    };
    let region = Rect::from_two_pos(editor.to_window(canvas, from), editor.to_window(canvas, to));
    let colour = colour(keep);
    if editor.drawing.is_some() {
        painter.rect_filled(region, 0.0, colour.gamma_multiply(0.35));
        painter.rect_stroke(
            region,
            0.0,
            Stroke::new(1.5, colour),
            egui::StrokeKind::Middle,
        );
    } else {
        let corners = [
            region.left_top(),
            region.right_top(),
            region.right_bottom(),
            region.left_bottom(),
            region.left_top(),
        ];
        painter.extend(egui::Shape::dashed_line(
            &corners,
            Stroke::new(1.5, colour),
            6.0,
            4.0,
        ));
    }
}

/// The brush under the pointer, with the sign of what it does.
fn pointer(editor: &Editor, ui: &Ui, response: &egui::Response, canvas: Rect) {
    let Some(at) = response.hover_pos() else {
        return;
    };
    let alt = ui.input(|input| input.modifiers.alt);
    let keep = match &editor.drawing {
        Some(drawing) => drawing.keep,
        None => editor.keep != alt,
    };
    if editor.tool == Tool::Box {
        ui.ctx().set_cursor_icon(CursorIcon::Crosshair);
        return;
    }
    ui.ctx().set_cursor_icon(CursorIcon::None);
    let painter = ui.painter_at(canvas);
    let radius = (editor.radius_px * editor.scale(canvas)).max(2.0);
    let colour = colour(keep);
    painter.circle_stroke(
        at,
        radius + 1.0,
        Stroke::new(1.0, Color32::from_black_alpha(160)),
    );
    painter.circle_stroke(at, radius, Stroke::new(1.5, colour));
    let sign = Stroke::new(1.5, colour);
    painter.hline(at.x - 4.0..=at.x + 4.0, at.y, sign);
    if keep {
        painter.vline(at.x, at.y - 4.0..=at.y + 4.0, sign);
    }
}
