//! What is open, as tiles in the strip: each image with its state, and those that wait in the order in
//! which they run, which can be changed by dragging, by a menu and by keys.

use eframe::egui::{Id, Pos2, Rect, Response, Stroke, TextureHandle, Ui, pos2, vec2};

use super::super::app::App;
use super::super::project::{Phase, Project, ProjectId};
use super::super::queue::MoveTo;
use super::super::theme;
use super::history::{SIDE, Tile, Touched, Wish, menu_item};

/// The tile of a project, wherever it is in the strip.
pub(in super::super) fn tile(project: ProjectId) -> Id {
    Id::unique(("project", project.0))
}

pub(super) fn show(app: &mut App, ui: &mut Ui, wish: &mut Option<Wish>) {
    let waiting = app.waiting();
    // Where the tiles of those that wait are, in their order.
    let mut rects = Vec::new();
    let mut dragged = None;
    for place in 0..app.projects.len() {
        let picture = app.tile_picture(place);
        let project = &app.projects[place];
        let number = waiting
            .iter()
            .position(|id| *id == project.id)
            .map(|place| place + 1);
        let (touched, response) = one(app, project, picture.as_ref(), number, waiting.len(), ui);
        match touched {
            Touched::Body => *wish = Some(Wish::Show(project.id)),
            Touched::Cross => *wish = Some(Wish::Close(project.id)),
            Touched::Nothing => {}
        }
        if number.is_some() {
            rects.push((project.id, response.rect));
            if response.dragged() || response.drag_stopped() {
                dragged = Some((project.id, response.clone()));
            }
        }
        response.context_menu(|ui| menu(project.id, number, waiting.len(), ui, wish));
    }
    if let Some((id, response)) = dragged
        && let Some(project) = app.project(id)
    {
        drag(project, &response, &rects, ui, wish);
    }
}

fn one(
    app: &App,
    project: &Project,
    picture: Option<&TextureHandle>,
    number: Option<usize>,
    waiting: usize,
    ui: &mut Ui,
) -> (Touched, Response) {
    let phase = project.phase_in_a_word();
    let state = match (phase, number) {
        (Phase::Opening, _) => "reading".to_owned(),
        (Phase::Waiting, Some(number)) => format!("waiting, {number} of {waiting}"),
        (Phase::Waiting, None) => "waiting".to_owned(),
        (Phase::Working, _) => "working".to_owned(),
        (Phase::Done, _) => "finished".to_owned(),
        (Phase::Stopped, _) if project.sheet_to_pick_from().is_some() => "pick a shape".to_owned(),
        (Phase::Stopped, _) => "stopped".to_owned(),
        (Phase::Failed, _) => "failed".to_owned(),
    };
    let tile = Tile {
        id: tile(project.id),
        name: &project.name,
        state: &state,
        side: super::history::SIDE,
        texture: picture,
        taken: app.active == Some(project.id),
        live: matches!(phase, Phase::Working | Phase::Waiting),
        failed: phase == Phase::Failed,
        number,
        removal: Some(match number {
            Some(_) => "Remove from the queue (Delete)",
            None => "Close (Delete); what is in the history stays there, and this can be undone",
        }),
    };
    tile.show(ui)
}

fn menu(
    id: ProjectId,
    number: Option<usize>,
    waiting: usize,
    ui: &mut Ui,
    wish: &mut Option<Wish>,
) {
    let Some(number) = number else {
        if menu_item(ui, "Show", "Show it in the viewport") {
            *wish = Some(Wish::Show(id));
        }
        if menu_item(ui, "Close", "What is in the history stays there (Delete)") {
            *wish = Some(Wish::Close(id));
        }
        return;
    };
    let moves = [
        (
            MoveTo::First,
            "Run next",
            "Before all that wait",
            number > 1,
        ),
        (
            MoveTo::Sooner,
            "Run sooner",
            "One place forward (Ctrl+Left)",
            number > 1,
        ),
        (
            MoveTo::Later,
            "Run later",
            "One place back (Ctrl+Right)",
            number < waiting,
        ),
        (
            MoveTo::Last,
            "Run last",
            "Behind all that wait here",
            number < waiting,
        ),
    ];
    for (to, text, tooltip, possible) in moves {
        ui.add_enabled_ui(possible, |ui| {
            if menu_item(ui, text, tooltip) {
                *wish = Some(Wish::Move(id, to));
            }
        });
    }
    ui.separator();
    if menu_item(ui, "Remove from the queue", "It is not made (Delete)") {
        *wish = Some(Wish::Close(id));
    }
}

/// A line where the dragged tile would go, and the move once it is let go of.
fn drag(
    project: &Project,
    response: &Response,
    rects: &[(ProjectId, Rect)],
    ui: &Ui,
    wish: &mut Option<Wish>,
) {
    let Some(at) = response.interact_pointer_pos() else {
        return;
    };
    let next = rects.iter().find(|(_, rect)| at.x < rect.center().x);
    let x = match (next, rects.last()) {
        (Some((_, rect)), _) => rect.left() - 4.0,
        (None, Some((_, rect))) => rect.right() + 4.0,
        (None, None) => return,
    };
    let palette = theme::palette(ui);
    let top = response.rect.top();
    let painter = ui.painter();
    painter.vline(x, top..=top + SIDE, Stroke::new(2.0, palette.accent));
    if let Some(picture) = &project.picture {
        let ghost = Rect::from_center_size(at, vec2(SIDE, SIDE) * 0.6);
        let uv = Rect::from_min_max(Pos2::ZERO, pos2(1.0, 1.0));
        let tint = eframe::egui::Color32::from_white_alpha(150);
        painter.image(picture.id(), ghost, uv, tint);
    }
    if response.drag_stopped() {
        let to = MoveTo::Before(next.map(|(id, _)| *id));
        *wish = Some(Wish::Move(project.id, to));
    }
}
