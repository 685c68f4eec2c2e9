//! The strip of coarse shapes, over that of what happens: one of them is picked to be refined.

use eframe::egui::{Align, Id, Layout, Ui, Vec2, vec2};

use super::super::app::App;
use super::super::theme::PADDING;
use super::super::widgets;
use super::history::{GAP, SIDE, Tile, Touched};

/// Beside the shapes, what is to be done with them.
const WORDS_WIDTH: f32 = 92.0;
/// The largest picture of one, in points: further from one another they are harder to compare.
const LARGEST: f32 = 128.0;
/// The most of the height that they take from the viewport.
const MOST_OF_HEIGHT: f32 = 0.2;

/// The height of the pictures, in points, where there is so much room for them and the viewport; `None` where there
/// is nothing to show.
pub(in super::super) fn picture_height(app: &App, room: Vec2) -> Option<f32> {
    let (_, sheet) = app.sheet()?;
    let shapes = sheet.shapes.len() as f32;
    let all = room.x - 2.0 * PADDING - WORDS_WIDTH - GAP * shapes;
    let side = (all / shapes).min(MOST_OF_HEIGHT * room.y);
    Some(side.floor().clamp(SIDE, LARGEST))
}

pub(in super::super) fn show(app: &mut App, side: f32, ui: &mut Ui) {
    let Some((project, sheet)) = app.sheet() else {
        return;
    };
    let seeds: Vec<u64> = sheet.shapes.iter().map(|shape| shape.seed).collect();
    let shown = app
        .active_project()
        .and_then(|project| project.result.as_ref()?.wishes.as_ref())
        .map(|wishes| wishes.flow.seed);
    let mut picked = None;
    super::history::in_a_row(ui, |ui| {
        ui.allocate_ui_with_layout(
            vec2(WORDS_WIDTH, side),
            Layout::top_down(Align::Min),
            |ui| widgets::note(ui, "Pick a shape to refine it."),
        );
        for seed in seeds {
            let picture = app.thumbnail_of_shape(project, seed).cloned();
            let name = format!("Seed {seed}");
            let tile = Tile {
                id: Id::unique(("shape", project.0, seed)),
                name: &name,
                state: "a coarse shape; click to refine it",
                side,
                texture: picture.as_ref(),
                taken: shown == Some(seed),
                live: false,
                failed: false,
                number: None,
                removal: None,
            };
            if let (Touched::Body, _) = tile.show(ui) {
                picked = Some(seed);
            }
        }
    });
    if let Some(seed) = picked {
        app.pick(project, seed);
    }
}
