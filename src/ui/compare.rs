//! Two results in one picture: what is on screen left of a line, another one right of it.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use eframe::egui::accesskit::Action;
use eframe::egui::{
    self, Align2, CornerRadius, CursorIcon, EventFilter, Key, Modifiers, Rect, Response, Role,
    Sense, Stroke, StrokeKind, Ui, WidgetInfo, pos2, vec2,
};

use super::app::App;
use super::desk::{LaneOf, Message, Problem};
use super::project::{ProjectId, Shown};
use super::viewport::{MeshKey, ToShow, ViewMessage, Viewport};
use super::{fonts, theme};
use crate::mesh::Mesh;
use crate::store::RecordId;
use crate::view::Bounds;

/// The object that stands for whatever record is compared with; the revision tells which.
const RECORD: u64 = u64::MAX;
/// How far a key moves the line.
const STEP: f32 = 0.02;
/// How far a key moves it with Shift.
const LEAP: f32 = 0.1;
/// How far the line stays from the edges of the viewport.
const LEAST: f32 = 0.03;

/// Another result to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Other {
    Project(ProjectId),
    Record(RecordId),
}

/// A comparison under way.
pub(super) struct Comparison {
    pub(super) other: Other,
    /// What the other is called.
    pub(super) name: String,
    /// What the object on screen is called.
    pub(super) own_name: String,
    mesh: Option<(MeshKey, Shown)>,
    pub(super) wanted: Option<MeshKey>,
    /// The box around the other, once it is prepared.
    pub(super) bounds: Option<Bounds>,
    /// Where the line is, 0 … 1 across.
    pub(super) position: f32,
    /// The line takes the keyboard once, so that the arrows move it at once.
    takes_focus: bool,
    /// Why the other cannot be shown.
    problem: Option<Problem>,
}

impl Comparison {
    fn new(other: Other, name: String) -> Self {
        Self {
            other,
            name,
            own_name: String::new(),
            mesh: None,
            wanted: None,
            bounds: None,
            position: 0.5,
            takes_focus: true,
            problem: None,
        }
    }

    /// Takes the mesh of a record.
    pub(super) fn loaded(&mut self, record: RecordId, mesh: Result<Arc<Mesh>, Problem>) {
        if self.other != Other::Record(record) {
            return;
        }
        match mesh {
            Ok(mesh) => {
                let mut revision = std::hash::DefaultHasher::new();
                record.hash(&mut revision);
                let key = MeshKey {
                    object: RECORD,
                    revision: revision.finish(),
                };
                self.mesh = Some((key, Shown::Mesh(mesh)));
                self.wanted = None;
            }
            Err(problem) => self.problem = Some(problem),
        }
    }

    /// The mesh to prepare, the first time that this is asked.
    pub(super) fn newly_wanted(&mut self) -> Option<(MeshKey, Shown)> {
        let (key, shown) = self.mesh.clone()?;
        (self.wanted != Some(key)).then(|| {
            self.wanted = Some(key);
            (key, shown)
        })
    }
}

impl App {
    /// Everything that the object on screen can be compared with, the latest first.
    pub(super) fn others(&self) -> Vec<(Other, String)> {
        let open = self
            .projects
            .iter()
            .rev()
            .filter(|project| Some(project.id) != self.active && project.result.is_some())
            .map(|project| (Other::Project(project.id), self.title(project.id)));
        let is_open = |record: RecordId| {
            self.projects
                .iter()
                .any(|project| project.record == Some(record))
        };
        let kept = self
            .history
            .iter()
            .filter(|record| !is_open(record.id))
            .map(|record| {
                let time = record.created.strftime("%Y-%m-%d %H:%M");
                let name = format!("{}  ·  {time}", record.image_name);
                (Other::Record(record.id), name)
            });
        open.chain(kept).collect()
    }

    /// A project's name with how fine its mesh is.
    fn title(&self, id: ProjectId) -> String {
        let Some(project) = self.project(id) else {
            return String::new();
        };
        let cells = project
            .result
            .as_ref()
            .and_then(|result| result.resolution)
            .map(|cells| format!("  ·  {cells}³"));
        format!("{}{}", project.name, cells.unwrap_or_default())
    }

    /// Shows another result beside the one on screen.
    pub(super) fn compare_with(&mut self, other: Other, name: String) {
        self.viewport.stop_comparing();
        self.viewport.comparison = Some(Comparison::new(other, name));
        if let Other::Record(record) = other
            && let Some(store) = self.store()
        {
            self.desk.run(LaneOf::Files, move |inbox| {
                let mesh = store.history().mesh(record);
                let mesh = mesh
                    .map(Arc::new)
                    .map_err(|error| Problem::new("This result cannot be compared with", error));
                inbox.send(Message::View(ViewMessage::Other(record, mesh)));
            });
        }
    }

    /// Compares with the latest other result, or stops comparing.
    pub(super) fn toggle_comparison(&mut self) {
        if self.viewport.comparison.is_some() {
            self.viewport.stop_comparing();
        } else if let Some((other, name)) = self.others().into_iter().next() {
            self.compare_with(other, name);
        }
    }

    /// Brings the comparison up to date with the projects: their meshes may be made anew, or closed.
    pub(super) fn follow_comparison(&mut self) {
        let own_name = self.active.map(|id| self.title(id)).unwrap_or_default();
        let Some(comparison) = &self.viewport.comparison else {
            return;
        };
        let other = comparison.other;
        let problem = comparison.problem.clone();
        let mut mesh = None;
        let mut name = None;
        let gone = match other {
            Other::Project(id) => {
                mesh = self.project(id).and_then(shown_of);
                name = Some(self.title(id));
                Some(id) == self.active || mesh.is_none()
            }
            Other::Record(_) => problem.is_some(),
        };
        if gone || self.active.is_none() {
            self.viewport.stop_comparing();
            self.notices.extend(problem);
            return;
        }
        if let Some(comparison) = &mut self.viewport.comparison {
            comparison.own_name = own_name;
            if let Some(name) = name {
                comparison.name = name;
            }
            if let Some(ToShow { key, shown, .. }) = mesh {
                comparison.mesh = Some((key, shown));
            }
        }
    }
}

/// What of a project is to be seen.
pub(super) fn shown_of(project: &super::project::Project) -> Option<ToShow> {
    let result = project.result.as_ref()?;
    Some(ToShow {
        key: MeshKey {
            object: project.id.0,
            revision: result.revision,
        },
        shown: result.shown.clone(),
        closed: result.shape.map(|shape| shape.closed),
    })
}

impl Viewport {
    /// The line between the two, which a pointer or the arrow keys move, and their names.
    pub(super) fn wipe(&mut self, ui: &mut Ui, rect: Rect) {
        // Until it is there, what is on screen takes its side.
        let waits = self.shows_no_other();
        let Some(comparison) = &mut self.comparison else {
            return;
        };
        let at = |position: f32| {
            let pixels = ui.ctx().pixels_per_point();
            // On a whole pixel of the picture, as the picture itself is cut.
            rect.left() + (position * rect.width() * pixels).round() / pixels
        };
        let x = at(comparison.position);
        let grasp = Rect::from_min_max(
            pos2(x - 8.0, rect.top()),
            pos2(x + 8.0, rect.bottom() - 40.0),
        );
        let id = ui.scope_id().with("line between two results");
        let response = ui.interact(grasp, id, Sense::click_and_drag());
        if comparison.takes_focus {
            comparison.takes_focus = false;
            response.request_focus();
        }
        comparison.position = moved(ui, &response, rect, comparison.position);
        let percent = f64::from(comparison.position * 100.0).round();
        let said = format!(
            "Line between {} at the left and {} at the right",
            comparison.own_name, comparison.name
        );
        response.widget_info(|| WidgetInfo {
            value: Some(percent),
            ..WidgetInfo::labeled(Role::Slider, true, said.clone())
        });
        draw_line(ui, &response, rect, at(comparison.position));
        let other = if waits {
            format!("{}  ·  on its way", comparison.name)
        } else {
            comparison.name.clone()
        };
        let line = at(comparison.position);
        tag(ui, rect, line, &comparison.own_name, Align2::RIGHT_TOP);
        tag(ui, rect, line, &other, Align2::LEFT_TOP);
        response.on_hover_text("Drag, or use the arrow keys (with Shift: further)");
    }
}

/// Where the line is after what pointer, keys and assistive technology did to it.
fn moved(ui: &Ui, response: &Response, rect: Rect, position: f32) -> f32 {
    let mut position = position;
    if response.hovered() || response.dragged() {
        ui.ctx().set_cursor_icon(CursorIcon::ResizeHorizontal);
    }
    if response.dragged()
        && let Some(pointer) = response.interact_pointer_pos()
    {
        position = (pointer.x - rect.left()) / rect.width().max(1.0);
    }
    if response.clicked() || response.dragged() {
        response.request_focus();
    }
    if response.has_focus() {
        ui.memory_mut(|memory| {
            let filter = EventFilter {
                horizontal_arrows: true,
                ..EventFilter::default()
            };
            memory.set_focus_lock_filter(response.id, filter);
        });
        ui.input_mut(|input| {
            for (key, sign) in [(Key::ArrowLeft, -1.0), (Key::ArrowRight, 1.0)] {
                // With Shift first: the key alone would be found in it too.
                let leaps = input.count_and_consume_key(Modifiers::SHIFT, key) as f32;
                let steps = input.count_and_consume_key(Modifiers::NONE, key) as f32;
                position += sign * (steps * STEP + leaps * LEAP);
            }
        });
    }
    ui.input(|input| {
        let asked = |action| input.num_accesskit_action_requests(response.id, action) as f32;
        position += (asked(Action::Increment) - asked(Action::Decrement)) * LEAP;
    });
    position.clamp(LEAST, 1.0 - LEAST)
}

fn draw_line(ui: &Ui, response: &Response, rect: Rect, x: f32) {
    let palette = theme::palette(ui);
    let active = response.hovered() || response.dragged() || response.has_focus();
    let colour = if active { palette.accent } else { palette.text };
    let painter = ui.painter();
    // A dark edge keeps the line visible on a light object.
    painter.vline(
        x,
        rect.y_range(),
        Stroke::new(3.0, palette.window.gamma_multiply(0.6)),
    );
    painter.vline(x, rect.y_range(), Stroke::new(1.0, colour));
    let handle = Rect::from_center_size(pos2(x, rect.center().y), vec2(20.0, 32.0));
    let rounding = CornerRadius::same(10);
    painter.rect_filled(handle, rounding, palette.panel);
    painter.rect_stroke(
        handle,
        rounding,
        Stroke::new(1.0, colour),
        StrokeKind::Inside,
    );
    for side in [-1.0, 1.0] {
        let tip = pos2(x + side * 6.0, handle.center().y);
        let back = x + side * 2.5;
        let points = vec![pos2(back, tip.y - 4.0), tip, pos2(back, tip.y + 4.0)];
        painter.line(points, Stroke::new(1.4, colour));
    }
}

/// The name of what is on one side of the line, beside it.
fn tag(ui: &Ui, rect: Rect, line: f32, name: &str, side: Align2) {
    let palette = theme::palette(ui);
    let at_right = side == Align2::LEFT_TOP;
    let room = if at_right {
        rect.right() - line
    } else {
        line - rect.left()
    } - 40.0;
    if room < 40.0 {
        return;
    }
    let mut job = egui::text::LayoutJob::simple_singleline(
        name.to_owned(),
        fonts::regular(fonts::SMALL),
        palette.text,
    );
    job.wrap = egui::text::TextWrapping::truncate_at_width(room);
    let galley = ui.painter().layout_job(job);
    let size = galley.size() + vec2(16.0, 8.0);
    let top = rect.top() + 104.0;
    let left = if at_right {
        line + 12.0
    } else {
        line - 12.0 - size.x
    };
    let pill = Rect::from_min_size(pos2(left, top), size);
    let rounding = CornerRadius::same(theme::RADIUS);
    let fill = palette.panel.gamma_multiply(0.92);
    ui.painter().rect_filled(pill, rounding, fill);
    ui.painter()
        .galley(pill.min + vec2(8.0, 4.0), galley, palette.text);
}
