//! The outline's editor: a brush and a box that keep or remove, over the image in the middle of the window.
//!
//! It holds what is being drawn and where the image is looked at. A finished stroke becomes part of the
//! project's wishes; the outline that follows from it is computed elsewhere, as for any other control.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use eframe::egui::{
    self, Color32, ColorImage, Context, Key, Modifiers, PointerButton, Pos2, Rect, TextureHandle,
    Vec2, vec2,
};

use super::app::App;
use super::desk::{LaneOf, Message, Problem};
use super::outline::{Outline, OwnMatte};
use super::project::{MatteChoice, ProjectId};
use super::results;
use super::undo::Edit;
use super::veil::Veil;
use crate::photo::Stroke;

/// What a stroke that keeps is drawn in; told by a plus as well.
pub(super) const KEEP: Color32 = Color32::from_rgb(0x6c, 0xc0, 0x8a);
/// What a stroke that removes is drawn in; told by a minus as well.
pub(super) const REMOVE: Color32 = Color32::from_rgb(0xf0, 0x7f, 0x76);

/// The brush's radius as a share of the image's longest side: least, at first, greatest.
const RADII: [f32; 3] = [0.002, 0.025, 0.25];
/// How far the image can be looked into.
const ZOOMS: std::ops::RangeInclusive<f32> = 1.0..=40.0;
/// Beyond so many points a stroke is thinned out.
const MANY_POINTS: usize = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    Brush,
    Box,
}

/// A stroke that is being drawn.
pub(super) struct Drawing {
    pub(super) tool: Tool,
    pub(super) keep: bool,
    pub(super) button: PointerButton,
    /// The brush's way, or the box's two corners, in pixels of the image.
    pub(super) points: Vec<[f32; 2]>,
    /// How far the brush goes between two points, in pixels of the image.
    step_px: f32,
}

/// The editor over one project's image.
pub(super) struct Editor {
    pub(super) project: ProjectId,
    pub(super) tool: Tool,
    pub(super) keep: bool,
    pub(super) radius_px: f32,
    pub(super) drawing: Option<Drawing>,
    /// The box that the keyboard moves, in pixels of the image.
    pub(super) aim: Rect,
    /// The image, once it was read again at a size worth looking at.
    pub(super) picture: Option<TextureHandle>,
    pub(super) overlay: Option<TextureHandle>,
    /// The outline that [`Self::overlay`] shows.
    overlay_of: Option<Outline>,
    pub(super) veil: Option<Veil>,
    /// The image's size in pixels; unknown while it is read.
    pub(super) size_px: Option<Vec2>,
    pub(super) zoom: f32,
    /// What is in the middle, in pixels of the image.
    pub(super) centre: Pos2,
    /// The part of the window that is drawn on.
    pub(super) canvas: Option<egui::Id>,
}

/// Something for the editor, or about the outline, that was made elsewhere.
pub(super) enum Came {
    /// The image, large enough to look into.
    Picture {
        picture: ColorImage,
        size_px: [usize; 2],
    },
    /// A matte of the user's own was read.
    Own(Result<Arc<OwnMatte>, Problem>),
}

impl Editor {
    fn new(project: ProjectId) -> Self {
        Self {
            project,
            tool: Tool::Brush,
            keep: true,
            radius_px: 0.0,
            drawing: None,
            aim: Rect::NOTHING,
            picture: None,
            overlay: None,
            overlay_of: None,
            veil: None,
            size_px: None,
            zoom: 1.0,
            centre: Pos2::ZERO,
            canvas: None,
        }
    }

    /// The least and the greatest radius of the brush, in pixels of the image.
    pub(super) fn radii(&self) -> std::ops::RangeInclusive<f32> {
        let longest = self.size_px.map_or(1.0, Vec2::max_elem);
        RADII[0] * longest..=RADII[2] * longest
    }

    fn scale_radius(&mut self, factor: f32) {
        let radii = self.radii();
        self.radius_px = (self.radius_px * factor).clamp(*radii.start(), *radii.end());
    }

    /// Points of the window to one pixel of the image.
    pub(super) fn scale(&self, canvas: Rect) -> f32 {
        let size = self.size_px.unwrap_or(Vec2::splat(1.0));
        let room = canvas.shrink(16.0).size().max(Vec2::splat(1.0));
        (room.x / size.x).min(room.y / size.y) * self.zoom
    }

    /// Where a pixel of the image is in the window.
    pub(super) fn to_window(&self, canvas: Rect, at: Pos2) -> Pos2 {
        canvas.center() + (at - self.centre) * self.scale(canvas)
    }

    /// The pixel of the image at a place in the window.
    pub(super) fn to_image(&self, canvas: Rect, at: Pos2) -> Pos2 {
        self.centre + (at - canvas.center()) / self.scale(canvas)
    }

    /// Shows the whole image.
    pub(super) fn fit(&mut self) {
        self.zoom = 1.0;
        self.centre = (self.size_px.unwrap_or_default() / 2.0).to_pos2();
    }

    /// Looks closer by a factor, about a place in the window that stays.
    pub(super) fn zoom_about(&mut self, canvas: Rect, at: Pos2, factor: f32) {
        let anchor = self.to_image(canvas, at);
        self.zoom = (self.zoom * factor).clamp(*ZOOMS.start(), *ZOOMS.end());
        self.centre = anchor - (at - canvas.center()) / self.scale(canvas);
        self.stay();
    }

    /// Moves the image, by points of the window.
    pub(super) fn pan(&mut self, canvas: Rect, by: Vec2) {
        self.centre -= by / self.scale(canvas);
        self.stay();
    }

    /// The image never leaves the window.
    fn stay(&mut self) {
        let size = self.size_px.unwrap_or_default();
        self.centre = self.centre.clamp(Pos2::ZERO, size.to_pos2());
    }

    /// Begins a stroke at a pixel of the image.
    pub(super) fn begin(&mut self, button: PointerButton, keep: bool, at: Pos2) {
        let at = [at.x, at.y];
        self.drawing = Some(Drawing {
            tool: self.tool,
            keep,
            button,
            points: vec![at],
            step_px: (self.radius_px * 0.2).max(1.0),
        });
        if self.tool == Tool::Brush
            && let Some(veil) = &mut self.veil
        {
            veil.dab(colour(keep), at, at, self.radius_px);
        }
    }

    /// Goes on to a pixel of the image.
    pub(super) fn go_on(&mut self, to: Pos2) {
        let (Some(drawing), to) = (&mut self.drawing, [to.x, to.y]) else {
            return;
        };
        if drawing.tool == Tool::Box {
            drawing.points.truncate(1);
            drawing.points.push(to);
            return;
        }
        let Some(&last) = drawing.points.last() else {
            return;
        };
        if (to[0] - last[0]).hypot(to[1] - last[1]) < drawing.step_px {
            return;
        }
        if let Some(veil) = &mut self.veil {
            veil.dab(colour(drawing.keep), last, to, self.radius_px);
        }
        drawing.points.push(to);
        if drawing.points.len() > MANY_POINTS {
            let mut place = 0;
            drawing.points.retain(|_| {
                place += 1;
                place % 2 == 1
            });
            drawing.step_px *= 2.0;
        }
    }

    /// Ends the stroke that is being drawn; `None` where it is none.
    pub(super) fn end(&mut self) -> Option<Stroke> {
        let drawing = self.drawing.take()?;
        match drawing.tool {
            Tool::Brush => Some(Stroke {
                keep: drawing.keep,
                radius_px: self.radius_px,
                points: drawing.points,
                filled: false,
            }),
            Tool::Box => {
                let (from, to) = (drawing.points.first()?, drawing.points.last()?);
                self.boxed(
                    drawing.keep,
                    Rect::from_two_pos((*from).into(), (*to).into()),
                )
            }
        }
    }

    /// A box as a stroke, where it is large enough to be meant.
    fn boxed(&mut self, keep: bool, region: Rect) -> Option<Stroke> {
        let whole = Rect::from_min_size(Pos2::ZERO, self.size_px?);
        let region = region.intersect(whole);
        if !(region.width() >= 1.0 && region.height() >= 1.0) {
            return None;
        }
        if let Some(veil) = &mut self.veil {
            veil.fill(colour(keep), region);
        }
        Some(Stroke::rectangle(
            keep,
            region.min.into(),
            region.max.into(),
        ))
    }

    /// Moves the keyboard's box, or its far corner, by shares of the image's longest side.
    fn aim(&mut self, direction: Vec2, resizes: bool) {
        let Some(size) = self.size_px else {
            return;
        };
        let by = direction * (size.max_elem() * 0.02).max(1.0);
        let whole = Rect::from_min_size(Pos2::ZERO, size);
        if resizes {
            let max = (self.aim.max + by).clamp(self.aim.min + vec2(1.0, 1.0), whole.max);
            self.aim.max = max;
        } else {
            let room = whole.max - self.aim.size();
            let min = (self.aim.min + by).clamp(whole.min, room.max(whole.min));
            self.aim = Rect::from_min_size(min, self.aim.size());
        }
    }
}

/// What a stroke is drawn in.
pub(super) fn colour(keep: bool) -> Color32 {
    if keep { KEEP } else { REMOVE }
}

impl App {
    /// Opens the editor over the image that is shown.
    fn correct_outline(&mut self) {
        let Some(project) = self.active_project() else {
            return;
        };
        let Some(image) = project.image.clone() else {
            return;
        };
        let (id, outline) = (project.id, project.wishes.outline.clone());
        self.editor = Some(Editor::new(id));
        self.desk.run(LaneOf::Files, move |inbox| {
            results::send_for_editor(inbox, id, &image, &outline);
        });
    }

    /// Opens the editor over the image that is shown, or closes it.
    pub(super) fn toggle_editor(&mut self) {
        if self.editor().is_some() {
            self.editor = None;
        } else {
            self.correct_outline();
        }
    }

    /// The editor, where it is open over the project that is shown.
    pub(super) fn editor(&mut self) -> Option<&mut Editor> {
        let active = self.active;
        self.editor
            .as_mut()
            .filter(|editor| Some(editor.project) == active)
    }

    /// Has the outline made and drawn, where no job made it: for a result from the cache or the history.
    pub(super) fn ask_for_outline(&self, id: ProjectId) {
        let Some((project, image)) = self
            .project(id)
            .and_then(|project| Some((project, project.image.clone()?)))
        else {
            return;
        };
        let outline = project.wishes.outline.clone();
        let is_in_panel = project.matte.as_ref().is_some_and(|matte| {
            matte.overlay.is_some() && matte.made_for.as_ref() == Some(&outline)
        });
        let editor = self.editor.as_ref().filter(|editor| editor.project == id);
        let is_edited = editor.is_some();
        let is_in_editor = editor.is_none_or(|editor| editor.overlay_of.as_ref() == Some(&outline));
        if !is_in_panel || !is_in_editor {
            self.desk.run(LaneOf::Files, move |inbox| {
                results::send_made_outline(inbox, id, &image, &outline, is_edited);
            });
        }
    }

    /// Gives a project another outline, in a way that can be undone.
    pub(super) fn set_outline(&mut self, id: ProjectId, what: &'static str, outline: Outline) {
        let Some(project) = self.project_mut(id) else {
            return;
        };
        let before = project.wishes.outline.clone();
        if before == outline {
            return;
        }
        let mut wishes = project.wishes.clone();
        wishes.outline = outline.clone();
        project.change(wishes, Instant::now());
        self.undo.push(Edit::Outline {
            project: id,
            what,
            before,
            after: outline,
        });
    }

    /// Takes a finished stroke into the project's wishes.
    pub(super) fn add_stroke(&mut self, stroke: Stroke) {
        let Some(id) = self.editor().map(|editor| editor.project) else {
            return;
        };
        let what = match (stroke.filled, stroke.keep) {
            (false, true) => "keep stroke",
            (false, false) => "remove stroke",
            (true, true) => "keep box",
            (true, false) => "remove box",
        };
        let Some(project) = self.project(id) else {
            return;
        };
        match project.wishes.outline.with_stroke(stroke) {
            Some(outline) => self.set_outline(id, what, outline),
            None => {
                if let Some(veil) = self.editor().and_then(|editor| editor.veil.as_mut()) {
                    veil.clear();
                }
                self.notices.add(Problem::new(
                    "There are too many strokes",
                    "this one was not taken; clear the strokes, or use a matte of your own from a file",
                ));
            }
        }
    }

    /// Takes every stroke off.
    pub(super) fn clear_strokes(&mut self) {
        if let Some(project) = self.active_project() {
            let (id, outline) = (project.id, project.wishes.outline.without_strokes());
            self.set_outline(id, "clearing strokes", outline);
        }
    }

    /// Reads a file as the user's own matte.
    pub(super) fn use_own_matte(&self, project: ProjectId, path: PathBuf) {
        self.desk.run(LaneOf::Files, move |inbox| {
            inbox.send(Message::ForOutline {
                project,
                came: Came::Own(OwnMatte::read(&path)),
            });
        });
    }

    pub(super) fn outline_came(&mut self, id: ProjectId, came: Came) {
        match came {
            Came::Own(Err(problem)) => self.notices.add(problem),
            Came::Own(Ok(own)) => {
                let Some(project) = self.project(id) else {
                    return;
                };
                let outline = Outline {
                    choice: MatteChoice::Own,
                    own: Some(own),
                    ..project.wishes.outline.clone()
                };
                self.set_outline(id, "your own matte", outline);
            }
            Came::Picture { picture, size_px } => {
                let texture = self.texture(format!("outline {}", id.0), picture);
                let ctx = self.ctx.clone();
                let Some(editor) = self.editor.as_mut().filter(|editor| editor.project == id)
                else {
                    return;
                };
                let size = vec2(size_px[0] as f32, size_px[1] as f32);
                editor.picture = Some(texture);
                editor.size_px = Some(size);
                editor.veil = Some(Veil::new(&ctx, size));
                editor.radius_px = RADII[1] * size.max_elem();
                editor.aim = Rect::from_center_size((size / 2.0).to_pos2(), size * 0.3);
                editor.fit();
            }
        }
    }

    /// An outline was drawn for a project: what was scribbled has become part of it.
    pub(super) fn outline_followed(
        &mut self,
        id: ProjectId,
        made_for: &Outline,
        large: Option<ColorImage>,
    ) {
        let texture = large.map(|large| self.texture(format!("large matte {}", id.0), large));
        let is_current = self
            .project(id)
            .is_some_and(|project| project.wishes.outline == *made_for);
        let Some(editor) = self.editor.as_mut().filter(|editor| editor.project == id) else {
            return;
        };
        if texture.is_some() {
            editor.overlay = texture;
            editor.overlay_of = Some(made_for.clone());
        }
        if is_current
            && editor.drawing.is_none()
            && let Some(veil) = &mut editor.veil
        {
            veil.clear();
        }
    }

    /// The editor's keys. What has the focus beside the image keeps the keys that move it.
    pub(super) fn outline_keys(&mut self, ctx: &Context) {
        if ctx.text_edit_focused() {
            return;
        }
        let Some(editor) = self.editor() else {
            return;
        };
        let focused = ctx.memory(|memory| memory.focused());
        let free = focused.is_none() || focused == editor.canvas;
        let shifted = |modifiers, key| ctx.input_mut(|input| input.consume_key(modifiers, key));
        let pressed = |key| shifted(Modifiers::NONE, key);
        if pressed(Key::OpenBracket) {
            editor.scale_radius(1.0 / 1.25);
        }
        if pressed(Key::CloseBracket) {
            editor.scale_radius(1.25);
        }
        for (key, keep) in [(Key::K, true), (Key::R, false)] {
            if pressed(key) {
                editor.keep = keep;
            }
        }
        for (key, tool) in [(Key::B, Tool::Brush), (Key::X, Tool::Box)] {
            if pressed(key) {
                editor.tool = tool;
            }
        }
        if pressed(Key::Num0) {
            editor.fit();
        }
        for (key, factor) in [(Key::Plus, 1.25), (Key::Equals, 1.25), (Key::Minus, 0.8)] {
            if pressed(key) {
                editor.zoom = (editor.zoom * factor).clamp(*ZOOMS.start(), *ZOOMS.end());
            }
        }
        if free {
            for (key, direction) in [
                (Key::ArrowLeft, vec2(-1.0, 0.0)),
                (Key::ArrowRight, vec2(1.0, 0.0)),
                (Key::ArrowUp, vec2(0.0, -1.0)),
                (Key::ArrowDown, vec2(0.0, 1.0)),
            ] {
                // Shift first: a key that asks for no modifier takes it with Shift, too.
                let resizes = shifted(Modifiers::SHIFT, key);
                if !resizes && !pressed(key) {
                    continue;
                }
                match editor.tool {
                    Tool::Box => editor.aim(direction, resizes),
                    Tool::Brush => {
                        let size = editor.size_px.unwrap_or_default().max_elem();
                        editor.centre += direction * size * 0.05 / editor.zoom;
                        editor.stay();
                    }
                }
            }
            if pressed(Key::Space) && editor.tool == Tool::Box {
                let stroke = editor.boxed(editor.keep, editor.aim);
                if let Some(stroke) = stroke {
                    self.add_stroke(stroke);
                }
            }
            if pressed(Key::Enter) {
                self.editor = None;
            }
        }
    }

    /// Gives the stroke up that is being drawn, or else closes the editor.
    pub(super) fn leave_editor(&mut self) {
        let Some(editor) = self.editor() else {
            return;
        };
        if editor.drawing.take().is_some() {
            if let Some(veil) = &mut editor.veil {
                veil.clear();
            }
        } else {
            self.editor = None;
        }
    }
}
