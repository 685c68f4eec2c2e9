//! Pointer and keys become a camera, and the turntable turns it.

use std::f32::consts::TAU;

use eframe::egui::accesskit::Action;
use eframe::egui::{self, Event, Key, Modifiers, PointerButton, Rect, Response, Ui};
use glam::{Vec2, Vec3};

use super::viewport::Viewport;
use crate::view::{Preset, Ray, Shading, gizmo_hit};

/// How long the turntable takes for a turn, in seconds.
const TURN_SECONDS: f32 = 14.0;

/// Turns the object by itself, until anything is pressed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Turntable {
    turning: bool,
    /// Whether it turned before the last thing that was pressed, which stopped it.
    turned: bool,
}

impl Turntable {
    pub(super) fn is_turning(self) -> bool {
        self.turning
    }

    /// Starts it, or leaves it stopped where the press that asks for this has stopped it.
    pub(super) fn toggle(&mut self) {
        self.turning = !self.turned;
    }

    /// Stops at any press of a button or key, and when the wheel turns.
    fn look_at_input(&mut self, events: &[Event]) {
        let pressed = events.iter().any(|event| {
            matches!(
                event,
                Event::PointerButton { pressed: true, .. }
                    | Event::Key { pressed: true, .. }
                    | Event::MouseWheel { .. }
                    | Event::Touch { .. }
                    | Event::Zoom(_)
            ) || is_pressed_by_assistance(event)
        });
        if pressed {
            self.turned = self.turning;
            self.turning = false;
        }
    }
}

/// Whether a screen reader or the like presses something; bringing a control into sight is no press.
fn is_pressed_by_assistance(event: &Event) -> bool {
    matches!(event, Event::AccessKitActionRequest(request) if request.action == Action::Click)
}

/// Keys and the sides that they look from, alone and with the command key.
const SIDES: [(Key, Preset, Preset); 3] = [
    (Key::Num1, Preset::Front, Preset::Back),
    (Key::Num3, Preset::Right, Preset::Left),
    (Key::Num7, Preset::Top, Preset::Bottom),
];

impl Viewport {
    /// Turns the object a little, where the turntable is on. It is the only thing here that draws again
    /// by itself.
    pub(super) fn turn(&mut self, ui: &Ui) {
        ui.input(|input| self.turntable.look_at_input(&input.events));
        if !self.turntable.is_turning() {
            return;
        }
        let seconds = ui.input(|input| input.stable_dt).min(0.1);
        let pivot = self.bounds.centre();
        let now = self.clock();
        let turn = Vec2::new(TAU * seconds / TURN_SECONDS, 0.0);
        self.rig.grab(now).orbit_about(pivot, turn);
        ui.ctx().request_repaint();
    }

    /// The pointer becomes a camera.
    pub(super) fn point(&mut self, ui: &Ui, response: &Response, rect: Rect) {
        let size = Vec2::new(rect.width(), rect.height());
        let now = self.clock();
        let camera = self.rig.at(now);
        let local = |at: egui::Pos2| Vec2::new(at.x - rect.left(), at.y - rect.top());
        let ndc = |at: egui::Pos2| {
            let at = local(at) / size;
            Vec2::new(at.x * 2.0 - 1.0, 1.0 - at.y * 2.0)
        };
        let over_axis = |at: egui::Pos2| {
            let axis = gizmo_hit(&camera, size, local(at));
            axis.filter(|_| self.look.axes)
        };
        if let Some(axis) = response.hover_pos().and_then(over_axis) {
            ui.ctx().set_cursor_icon(egui::CursorIcon::PointingHand);
            if response.clicked() {
                self.rig.go_to(camera.looking_from(axis.preset()), now);
                return;
            }
        }
        if response.double_clicked() {
            self.frame();
            return;
        }
        if response.drag_started() || response.is_pointer_button_down_on() && self.held.is_none() {
            let at = ui.input(|input| input.pointer.press_origin());
            self.held = at.map(|at| self.grip(&camera.ray(ndc(at), self.aspect), ndc(at)));
        }
        let moved = response.drag_delta();
        if moved != egui::Vec2::ZERO
            && let Some(held) = self.held
        {
            let shift = ui.input(|input| input.modifiers.shift);
            let pan = shift || response.dragged_by(PointerButton::Middle);
            let camera = self.rig.grab(now);
            if pan {
                let moved = Vec2::new(moved.x, -moved.y) / size * 2.0;
                camera.pan(held, moved, rect.width() / rect.height());
            } else {
                // A drag across the height of the viewport is half a turn.
                let turn = Vec2::new(moved.x, moved.y) * (std::f32::consts::PI / size.y);
                camera.orbit_about(held, turn);
            }
        }
        if !response.is_pointer_button_down_on() && !response.dragged() {
            self.held = None;
        }
        if response.hovered() {
            let (scroll, pinch) =
                ui.input(|input| (input.smooth_scroll_delta.y, input.zoom_delta()));
            let factor = (-scroll * 0.0025).exp() / pinch;
            if (factor - 1.0).abs() > 1e-4
                && let Some(at) = response.hover_pos()
            {
                let anchor = self.grip(&self.rig.at(now).ray(ndc(at), self.aspect), ndc(at));
                let radius = self.bounds.radius();
                self.rig.grab(now).zoom_to(anchor, factor, radius);
            }
        }
    }

    /// The point of the object under the pointer, or else the one at the depth of the focus.
    fn grip(&self, ray: &Ray, ndc: Vec2) -> Vec3 {
        self.hit(ray).unwrap_or_else(|| {
            self.rig
                .at(self.clock())
                .point_on_focal_plane(ndc, self.aspect)
        })
    }

    pub(super) fn keys(&mut self, ui: &Ui) {
        let ctx = ui.ctx();
        if ctx.text_edit_focused() {
            return;
        }
        let pressed = |key| ctx.input_mut(|input| input.consume_key(Modifiers::NONE, key));
        let commanded = |key| ctx.input_mut(|input| input.consume_key(Modifiers::COMMAND, key));
        for (key, side, opposite) in SIDES {
            if commanded(key) {
                self.look_from(opposite);
            } else if pressed(key) {
                self.look_from(side);
            }
        }
        if pressed(Key::Num5) {
            self.change_projection();
        }
        let nothing_focused = ctx.memory(|memory| memory.focused().is_none());
        if pressed(Key::Home) || nothing_focused && pressed(Key::Enter) {
            self.frame();
        }
        if pressed(Key::E) {
            self.look.edges = !self.look.edges;
        }
        if pressed(Key::G) {
            self.look.grid = !self.look.grid;
        }
        if pressed(Key::X) {
            self.look.axes = !self.look.axes;
        }
        if pressed(Key::T) {
            self.turntable.toggle();
        }
        if pressed(Key::V) {
            self.look.shading = match self.look.shading {
                Shading::Textured => Shading::Clay,
                Shading::Clay => Shading::Matcap,
                Shading::Matcap => Shading::Normals,
                Shading::Normals => Shading::Textured,
            };
        }
    }

    /// Glides to another side of the object.
    pub(super) fn look_from(&mut self, preset: Preset) {
        let camera = self.rig.destination().looking_from(preset);
        self.rig.go_to(camera, self.clock());
    }

    /// Glides from perspective to a parallel picture, or back.
    pub(super) fn change_projection(&mut self) {
        let camera = self.rig.destination().other_projection();
        self.rig.go_to(camera, self.clock());
    }
}
