//! Several coarse shapes of one image, side by side, of which one is picked to be refined.
//!
//! What the steps made of each is kept by the engine, so that the one that is picked, and any other after it,
//! is only meshed at its full resolution.

use std::sync::Arc;

use super::app::App;
use super::desk::Problem;
use super::project::{Project, ProjectId, Result3d, Shown, Wishes};
use crate::engine::{Outcome, Settings, Shape};
use crate::mesh::Mesh;

/// The shapes of an image.
#[derive(Debug, Clone)]
pub(super) struct Sheet {
    /// What they were made with, all of them together.
    wishes: Wishes,
    pub(super) shapes: Vec<SheetShape>,
}

/// One of them, finished as coarse as it is.
#[derive(Debug, Clone)]
pub(super) struct SheetShape {
    pub(super) seed: u64,
    pub(super) mesh: Arc<Mesh>,
    shape: Shape,
    resolution: u32,
}

impl Sheet {
    /// Whether its shapes are still among those that are asked for: of the same outline, and as many steps.
    pub(super) fn is_of(&self, wishes: &Wishes) -> bool {
        let (ours, theirs) = (self.wishes.flow, wishes.flow);
        self.wishes.source == wishes.source
            && self.wishes.outline == wishes.outline
            && (ours.steps, ours.guidance) == (theirs.steps, theirs.guidance)
    }

    fn shape(&self, seed: u64) -> Option<&SheetShape> {
        self.shapes.iter().find(|shape| shape.seed == seed)
    }
}

/// The shapes of a finished job, read from disk where they are not in memory.
pub(super) fn read(outcome: &Outcome, settings: &Settings) -> Result<Vec<SheetShape>, Problem> {
    let shapes = outcome.shapes().enumerate();
    shapes
        .map(|(place, shape)| {
            let mesh = shape.mesh.load();
            Ok(SheetShape {
                seed: settings.seed_of(place),
                mesh: mesh
                    .map_err(|error| Problem::new("One of the shapes could not be read", error))?,
                shape: shape.summary.shape,
                resolution: shape.summary.resolution,
            })
        })
        .collect()
}

impl Project {
    /// Its shapes beside one another, where there are any that are still asked for.
    pub(super) fn sheet_to_pick_from(&self) -> Option<&Sheet> {
        let sheet = self.sheet.as_ref()?;
        (sheet.shapes.len() > 1 && sheet.is_of(&self.wishes)).then_some(sheet)
    }
}

impl App {
    /// Takes the shapes of a job that ended, and shows the first.
    pub(super) fn take_sheet(
        &mut self,
        id: ProjectId,
        wishes: Wishes,
        result: Result<Vec<SheetShape>, Problem>,
    ) {
        self.forget_thumbnails_of_sheet(id);
        let Some(project) = self.project_mut(id) else {
            return;
        };
        match result {
            Ok(shapes) => {
                let first = shapes.first().map(|shape| shape.seed);
                let is_idle = project.run.is_none();
                project.sheet = Some(Sheet { wishes, shapes });
                if let Some(first) = first.filter(|_| is_idle) {
                    self.show_of_sheet(id, first);
                }
            }
            Err(problem) => {
                project.sheet = None;
                project.problem = Some(problem);
            }
        }
    }

    /// Those of what is on screen.
    pub(super) fn sheet(&self) -> Option<(ProjectId, &Sheet)> {
        let project = self.active_project()?;
        Some((project.id, project.sheet_to_pick_from()?))
    }

    /// Shows one of the shapes, and has it refined.
    pub(super) fn pick(&mut self, id: ProjectId, seed: u64) {
        self.stop(id);
        self.show_of_sheet(id, seed);
        let Some(project) = self.project_mut(id) else {
            return;
        };
        project.wishes.flow.seed = seed;
        project.wishes.flow.shapes = 1;
        self.preferences.flow = project.wishes.flow;
        self.generate(id);
        self.save_preferences();
    }

    fn show_of_sheet(&mut self, id: ProjectId, seed: u64) {
        self.revision += 1;
        let revision = self.revision;
        self.undo.forget_meshes(id);
        let Some(project) = self.project_mut(id) else {
            return;
        };
        let Some(sheet) = &project.sheet else {
            return;
        };
        let Some(picked) = sheet.shape(seed).cloned() else {
            return;
        };
        let mut wishes = sheet.wishes.clone();
        wishes.flow.seed = seed;
        wishes.flow.shapes = 1;
        wishes.resolution = picked.resolution;
        project.result = Some(Result3d {
            shown: Shown::Mesh(picked.mesh),
            resolution: Some(picked.resolution),
            wishes: Some(wishes),
            shape: Some(picked.shape),
            revision,
            edits: Vec::new(),
        });
    }
}
