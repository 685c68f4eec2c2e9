//! The strip of coarse shapes, over that of what happens: one of them is picked to be refined.

use eframe::egui::{Align, Id, Layout, Ui, vec2};

use super::super::app::App;
use super::super::widgets;
use super::history::{Tile, Touched};

pub(in super::super) fn show(app: &mut App, ui: &mut Ui) {
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
            vec2(92.0, super::history::SIDE),
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
