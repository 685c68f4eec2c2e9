//! The few controls that the panels are made of, so that each looks and reads the same everywhere.
//!
//! Every one takes a label for assistive technology and a tooltip with the technical word.

use eframe::egui::emath::Numeric;
use eframe::egui::{
    self, Align, Align2, Button, Color32, CornerRadius, Layout, Rect, Response, RichText, Role,
    Sense, Slider, Stroke, StrokeKind, Ui, UiBuilder, Vec2, WidgetInfo, pos2, vec2,
};

use super::fonts;
use super::theme::{self, CONTROL_HEIGHT, GRID, RADIUS};

/// How far above the middle small windows are: what is under the eye, not under the ruler.
const DIALOG_RISE: f32 = 24.0;

/// A heading of a part of a panel.
pub(super) fn heading(ui: &mut Ui, text: &str) {
    ui.label(RichText::new(text).font(fonts::strong(fonts::BODY)));
}

/// A line of secondary text.
pub(super) fn note(ui: &mut Ui, text: impl Into<String>) -> Response {
    let colour = theme::palette(ui).secondary;
    ui.add(egui::Label::new(RichText::new(text).size(fonts::SMALL).color(colour)).wrap())
}

/// A line of secondary text that is cut rather than broken; the whole of it is in the tooltip.
pub(super) fn short_note(ui: &mut Ui, text: impl Into<String>) -> Response {
    let colour = theme::palette(ui).secondary;
    ui.add(egui::Label::new(RichText::new(text).size(fonts::SMALL).color(colour)).truncate())
}

/// The one primary action of a state, as wide as there is room.
pub(super) fn primary(ui: &mut Ui, text: &str, enabled: bool) -> Response {
    let palette = theme::palette(ui);
    let (fill, colour) = if enabled {
        (palette.accent, palette.on_accent)
    } else {
        (palette.control, palette.secondary)
    };
    let label = RichText::new(text)
        .font(fonts::strong(fonts::BODY))
        .color(colour);
    let button = Button::new(label).fill(fill).stroke(Stroke::NONE);
    wide(ui, button, CONTROL_HEIGHT + GRID, enabled)
}

/// Any other action, as wide as there is room.
pub(super) fn secondary(ui: &mut Ui, text: &str, height: f32, enabled: bool) -> Response {
    wide(ui, Button::new(text), height, enabled)
}

/// A button across the panel with its text in the middle.
fn wide(ui: &mut Ui, button: Button<'_>, height: f32, enabled: bool) -> Response {
    let size = vec2(ui.available_width(), height);
    ui.add_enabled_ui(enabled, |ui| ui.add_sized(size, button))
        .inner
}

/// An action that is only as wide as its text.
pub(super) fn small(ui: &mut Ui, text: &str, tooltip: &str) -> Response {
    ui.add(Button::new(RichText::new(text).size(fonts::SMALL)).min_size(vec2(0.0, 24.0)))
        .on_hover_text(tooltip)
}

/// An action that looks like text until the pointer is over it.
pub(super) fn quiet(ui: &mut Ui, text: &str, tooltip: &str) -> Response {
    let colour = theme::palette(ui).secondary;
    let label = RichText::new(text).size(fonts::SMALL).color(colour);
    let button = Button::new(label)
        .frame_when_inactive(false)
        .min_size(vec2(0.0, 24.0));
    ui.scope(|ui| {
        ui.spacing_mut().button_padding.x = GRID * 2.0;
        ui.add(button)
    })
    .inner
    .on_hover_text(tooltip)
}

/// A slider under its label, with the value at the right.
pub(super) fn slider<N: Numeric>(
    ui: &mut Ui,
    label: &str,
    tooltip: &str,
    value: &mut N,
    range: std::ops::RangeInclusive<N>,
    text: impl Fn(N) -> String,
) -> Response {
    let palette = theme::palette(ui);
    ui.spacing_mut().item_spacing.y = 0.0;
    let shown = text(*value);
    ui.horizontal(|ui| {
        ui.label(label);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.label(RichText::new(shown).color(palette.secondary));
        });
    });
    let response = rail(ui, label, tooltip, value, range);
    ui.spacing_mut().item_spacing.y = GRID * 2.0;
    response
}

/// A slider alone, as wide as there is room; its label is only for those who cannot see it.
pub(super) fn rail<N: Numeric>(
    ui: &mut Ui,
    label: &str,
    tooltip: &str,
    value: &mut N,
    range: std::ops::RangeInclusive<N>,
) -> Response {
    let palette = theme::palette(ui);
    let (least, most) = (range.start().to_f64(), range.end().to_f64());
    let width = ui.available_width();
    let response = ui
        .scope(|ui| {
            ui.spacing_mut().slider_width = width;
            ui.spacing_mut().interact_size.y = 20.0;
            ui.visuals_mut().widgets.inactive.bg_fill = palette.hover;
            ui.add(Slider::new(&mut *value, range).show_value(false))
        })
        .inner
        .on_hover_text(tooltip);
    let value = value.to_f64();
    handle(ui, &response, ((value - least) / (most - least)) as f32);
    response.widget_info(|| WidgetInfo::slider(true, value, label));
    response
}

/// The slider's handle: light on the dark rail, so that the hand finds it.
fn handle(ui: &Ui, response: &Response, part: f32) {
    let palette = theme::palette(ui);
    let rail = response.rect.x_range().shrink(response.rect.height() / 2.5);
    let middle = pos2(rail.min + rail.span() * part, response.rect.center().y);
    let fill = if response.hovered() || response.dragged() || response.has_focus() {
        palette.accent
    } else {
        palette.handle
    };
    ui.painter()
        .circle(middle, 7.0, fill, Stroke::new(2.0, palette.panel));
}

/// One choice of several, under each other.
pub(super) fn radio(ui: &mut Ui, name: &str, taken: bool, enabled: bool) -> Response {
    let palette = theme::palette(ui);
    let sense = if enabled {
        Sense::click()
    } else {
        Sense::hover()
    };
    let (rect, response) = ui.allocate_exact_size(vec2(64.0, CONTROL_HEIGHT), sense);
    response.widget_info(|| WidgetInfo::selected(Role::RadioButton, enabled, taken, name));
    let middle = pos2(rect.left() + 8.0, rect.center().y);
    let (ring, text) = match (taken, enabled) {
        (true, _) => (palette.accent, palette.text),
        (false, true) => (palette.secondary, palette.text),
        (false, false) => (palette.line, palette.secondary),
    };
    let width = if response.has_focus() { 2.5 } else { 1.5 };
    ui.painter()
        .circle_stroke(middle, 6.5, Stroke::new(width, ring));
    if taken {
        ui.painter().circle_filled(middle, 3.5, palette.accent);
    }
    ui.painter().text(
        pos2(rect.left() + 24.0, rect.center().y),
        Align2::LEFT_CENTER,
        name,
        fonts::regular(fonts::BODY),
        text,
    );
    response
}

/// A row of choices of which one is taken; the tooltip of each tells what it means.
pub(super) fn segments<T: Copy + PartialEq>(
    ui: &mut Ui,
    name: &str,
    choices: &[(T, &str, &str)],
    chosen: &mut T,
) -> bool {
    let palette = theme::palette(ui);
    let before = *chosen;
    let width = ui.available_width();
    let (rect, _) = ui.allocate_exact_size(vec2(width, CONTROL_HEIGHT), Sense::hover());
    ui.painter()
        .rect_filled(rect, CornerRadius::same(RADIUS), palette.well);
    let each = width / choices.len() as f32;
    for (place, (value, label, tooltip)) in choices.iter().enumerate() {
        let cell = Rect::from_min_size(
            rect.min + vec2(each * place as f32, 0.0),
            vec2(each, CONTROL_HEIGHT),
        );
        let id = ui.scope_id().with((name, place));
        let response = ui
            .interact(cell, id, Sense::click())
            .on_hover_text(*tooltip);
        let taken = *chosen == *value;
        if response.clicked() {
            *chosen = *value;
        }
        let said = format!("{name}: {label}");
        response.widget_info(|| WidgetInfo::selected(Role::RadioButton, true, taken, said.clone()));
        let inner = cell.shrink(2.0);
        let rounding = CornerRadius::same(RADIUS - 2);
        if taken {
            ui.painter().rect_filled(inner, rounding, palette.hover);
        }
        if response.has_focus() {
            ui.painter().rect_stroke(
                inner,
                rounding,
                Stroke::new(1.0, palette.accent),
                StrokeKind::Inside,
            );
        }
        let colour = if taken || response.hovered() {
            palette.text
        } else {
            palette.secondary
        };
        ui.painter().text(
            cell.center(),
            Align2::CENTER_CENTER,
            label,
            fonts::regular(fonts::SMALL),
            colour,
        );
    }
    before != *chosen
}

/// A button with a drawn sign on it, for the viewport's corner.
pub(super) fn sign(
    ui: &mut Ui,
    label: &str,
    tooltip: &str,
    on: bool,
    draw: impl Fn(&egui::Painter, Rect, Color32),
) -> Response {
    let palette = theme::palette(ui);
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(CONTROL_HEIGHT), Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, on, label));
    let fill = if response.hovered() {
        palette.hover
    } else if on {
        palette.control
    } else {
        Color32::TRANSPARENT
    };
    ui.painter()
        .rect_filled(rect, CornerRadius::same(RADIUS), fill);
    if response.has_focus() {
        ui.painter().rect_stroke(
            rect,
            CornerRadius::same(RADIUS),
            Stroke::new(1.0, palette.accent),
            StrokeKind::Inside,
        );
    }
    let colour = if on || response.hovered() {
        palette.text
    } else {
        palette.secondary
    };
    draw(ui.painter(), rect.shrink(7.0), colour);
    response.on_hover_text(tooltip)
}

/// A small cross that removes what it is on.
pub(super) fn cross(painter: &egui::Painter, rect: Rect, colour: Color32) {
    let stroke = Stroke::new(1.4, colour);
    painter.line_segment([rect.left_top(), rect.right_bottom()], stroke);
    painter.line_segment([rect.right_top(), rect.left_bottom()], stroke);
}

/// The largest rectangle of given proportions in the middle of another.
pub(super) fn contain(size: Vec2, within: Rect) -> Rect {
    let scale = (within.width() / size.x).min(within.height() / size.y);
    Rect::from_center_size(within.center(), size * scale)
}

/// The title of a small window and the cross that closes it; tells whether it was pressed.
pub(super) fn window_header(ui: &mut Ui, title: &str) -> bool {
    let mut closed = false;
    ui.horizontal(|ui| {
        ui.label(RichText::new(title).font(fonts::strong(fonts::HEADLINE)));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let name = format!("Close {title}");
            closed = sign(ui, &name, "Close (Esc)", false, |painter, rect, colour| {
                cross(painter, rect.shrink(1.0), colour);
            })
            .clicked();
        });
    });
    closed
}

/// A small window over the middle of the rest; tells whether it stays open. It is as tall as what is in it,
/// or as there is room; then what is under its title scrolls.
pub(super) fn dialog(
    ctx: &egui::Context,
    name: &str,
    title: &str,
    width: f32,
    add: impl FnOnce(&mut Ui),
) -> bool {
    let mut open = true;
    egui::Window::new(name)
        .id(egui::Id::unique(name))
        .anchor(Align2::CENTER_CENTER, vec2(0.0, -DIALOG_RISE))
        .title_bar(false)
        .resizable(false)
        .show(ctx, |ui| {
            ui.set_width(width);
            open = !window_header(ui, title);
            let taken = ui.min_rect().height() + ui.spacing().item_spacing.y;
            let room = (dialog_room(ctx) - taken).max(CONTROL_HEIGHT * 2.0);
            // A window that is opened for the first time would offer less than there is.
            egui::ScrollArea::vertical()
                .max_height(room)
                .min_scrolled_height(room)
                .auto_shrink([false, true])
                .show(ui, add);
        });
    open
}

/// How tall the contents of a small window may be, its title among them.
pub(super) fn dialog_room(ctx: &egui::Context) -> f32 {
    let margin = ctx.global_style().spacing.window_margin.sum().y;
    ctx.content_rect().height() - 2.0 * (DIALOG_RISE + GRID * 2.0) - margin
}

/// Squares of two near greys, for what is behind a transparent picture.
pub(super) fn chequer(painter: &egui::Painter, rect: Rect, dark: bool) {
    let (a, b) = if dark {
        (Color32::from_gray(0x2c), Color32::from_gray(0x36))
    } else {
        (Color32::from_gray(0xe6), Color32::from_gray(0xfa))
    };
    const SIDE: f32 = 8.0;
    painter.rect_filled(rect, CornerRadius::ZERO, a);
    let columns = (rect.width() / SIDE).ceil() as usize;
    let rows = (rect.height() / SIDE).ceil() as usize;
    for row in 0..rows {
        for column in (row % 2..columns).step_by(2) {
            let min = rect.min + vec2(column as f32 * SIDE, row as f32 * SIDE);
            let cell = Rect::from_min_max(min, pos2(min.x + SIDE, min.y + SIDE)).intersect(rect);
            painter.rect_filled(cell, CornerRadius::ZERO, b);
        }
    }
}

/// Something laid out in a rectangle of its own, which takes no room from what is around it.
pub(super) fn inside<R>(ui: &mut Ui, rect: Rect, add: impl FnOnce(&mut Ui) -> R) -> R {
    add(&mut ui.new_child(UiBuilder::new().max_rect(rect)))
}

/// A thin arrow down, for lists that open.
pub(super) fn chevron(ui: &Ui, rect: Rect, _: &egui::style::WidgetVisuals, _: bool) {
    let middle = rect.center();
    let stroke = Stroke::new(1.5, theme::palette(ui).secondary);
    let points = [vec2(-4.0, -2.0), vec2(0.0, 2.0), vec2(4.0, -2.0)];
    ui.painter()
        .line(points.map(|point| middle + point).to_vec(), stroke);
}

/// Whole numbers with commas between the thousands.
pub(super) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A message as a sentence of its own: with a capital and a full stop.
pub(super) fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(char::to_uppercase);
    let mut sentence: String = first.into_iter().flatten().chain(characters).collect();
    if !sentence.ends_with(['.', '?', '!']) {
        sentence.push('.');
    }
    sentence
}

/// Bytes for a person, in units of a thousand.
pub(super) fn bytes(bytes: u64) -> String {
    match bytes as f64 {
        b if b < 1e6 => format!("{:.0} kB", b / 1e3),
        b if b < 1e9 => format!("{:.0} MB", b / 1e6),
        b => format!("{:.1} GB", b / 1e9),
    }
}
