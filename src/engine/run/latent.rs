//! The part of the story of a source that refines shapes from noise that comes after the steps: a surface
//! whose samples are evaluated level by level, read from latents that were just made or are known from before.

use std::sync::Arc;

use super::super::archive::Drawn;
use super::super::events::Stage;
use super::super::failure::Stop;
use super::super::identity::Computed;
use super::super::workbench::Subject;
use super::Run;
use super::latent_samples::{Evaluated, Reading};
use crate::inflate::Back;
use crate::mesh::project::Frame;
use crate::mesh::{Mesh, Texture, floaters, placement, project_within};
use crate::models::triposg::{LatentField, TripoSg};
use crate::photo::{BackColours, Cutout};
use crate::vram::Choice;

/// The most faces of a result where no number is asked for.
const MOST_FACES: usize = 200_000;
/// What covers a pixel at least half is the subject.
const COVERED: f32 = 0.5;

/// A shape that was refined from noise, as far as it was evaluated.
pub(super) struct LatentShape {
    model: Arc<TripoSg>,
    drawn: Drawn,
    /// Made of the latents for the first surface.
    field: Option<LatentField>,
    /// The samples of the finest level so far.
    evaluated: Option<Evaluated>,
}

impl LatentShape {
    pub(super) fn drawn(&self) -> &Drawn {
        &self.drawn
    }
}

impl Run<'_> {
    /// The latents of one of the job's shapes, all of which are known by now; tells where they were kept
    /// before they were done.
    pub(super) fn latent_shape(
        &mut self,
        model: &Arc<TripoSg>,
        place: usize,
        choice: &Choice,
    ) -> Result<LatentShape, Stop> {
        let key = (self.archive).key(&self.job.request, place, Computed::from(choice));
        let Some(drawn) = self.known.get(&key).cloned() else {
            unreachable!("the latents of every shape are known before one is meshed");
        };
        if let Some(step) = drawn.kept_after {
            let steps = self.job.request.settings.flow.steps;
            self.warn(format!(
                "the shape was kept after {step} of {steps} steps, as you asked"
            ));
        }
        Ok(LatentShape {
            model: Arc::clone(model),
            drawn,
            field: None,
            evaluated: None,
        })
    }

    /// Meshes a shape at one of the coarser levels, colours it and places it in the unit box.
    pub(super) fn latent_surface(
        &mut self,
        shape: &mut LatentShape,
        subject: &mut Subject,
        level: u32,
    ) -> Result<Mesh, Stop> {
        let colours = self.latent_colours(subject)?;
        self.stage(Stage::Surface(level), |run| {
            let (mesh, _) = run.next_level(shape, level)?;
            coloured(&mesh, &subject.cutout, colours)
        })
    }

    /// The same at the finest level: tells what was removed, and reduces the mesh.
    pub(super) fn finest_latent_surface(
        &mut self,
        shape: &mut LatentShape,
        subject: &mut Subject,
        level: u32,
        target_faces: Option<usize>,
    ) -> Result<Mesh, Stop> {
        let colours = self.latent_colours(subject)?;
        self.stage(Stage::Surface(level), |run| {
            let (mesh, removed) = run.next_level(shape, level)?;
            if removed.parts > 0 {
                let (parts, faces) = (removed.parts, removed.faces);
                let (part, has) = if parts == 1 {
                    ("part", "was")
                } else {
                    ("parts", "were")
                };
                run.warn(format!(
                    "{parts} small {part} of {faces} faces in all floated apart from the shape and {has} removed"
                ));
            }
            let mesh = run.reduce(mesh, Some(target_faces.unwrap_or(MOST_FACES)))?;
            coloured(&mesh, &subject.cutout, colours)
        })
    }

    fn latent_colours(&mut self, subject: &mut Subject) -> Result<Arc<Texture>, Stop> {
        let back = match self.job.request.settings.controls.back {
            Back::Mirror => BackColours::Mirrored,
            _ => BackColours::Smoothed,
        };
        let cutout = Arc::clone(&subject.cutout);
        self.colours(subject, &cutout, back)
    }

    /// Evaluates a shape one level finer than before, and meshes it.
    fn next_level(
        &self,
        shape: &mut LatentShape,
        level: u32,
    ) -> Result<(Mesh, floaters::Removed), Stop> {
        let field = match &mut shape.field {
            Some(field) => field,
            none => {
                let latents = shape.model.latents(shape.drawn.numbers(), &self.context)?;
                none.insert(shape.model.field(&latents, &self.context)?)
            }
        };
        let (reading, context) = (Reading::of(&self.job.request.settings), &self.context);
        // What is of no use does not stay beside what is made.
        let before = (shape.evaluated.take()).filter(|before| before.leads_to(level));
        let evaluated = reading.evaluate(field, level, before.as_ref(), context)?;
        drop(before);
        let meshed = evaluated.mesh(level, context)?;
        shape.evaluated = Some(evaluated);
        Ok(meshed)
    }
}

/// Projects the subject's colours on a mesh that spans, seen from the front, what the subject does, and
/// places it in the unit box.
pub(super) fn coloured(mesh: &Mesh, cutout: &Cutout, colours: Arc<Texture>) -> Result<Mesh, Stop> {
    let mut corners = [[f32::INFINITY; 2], [f32::NEG_INFINITY; 2]];
    for position in &mesh.positions {
        for axis in 0..2 {
            corners[0][axis] = corners[0][axis].min(position[axis]);
            corners[1][axis] = corners[1][axis].max(position[axis]);
        }
    }
    let frame = Frame::fitted(corners, subject_box(cutout));
    let mut mesh = project_within(mesh, colours, frame);
    placement::normalise(&mut mesh)?;
    Ok(mesh)
}

/// The box around the subject in the field frame of its cut-out: the least and the greatest corner.
fn subject_box(cutout: &Cutout) -> [[f32; 2]; 2] {
    let side = cutout.side.max(1);
    let (mut first, mut last) = ([usize::MAX; 2], [0; 2]);
    for (place, _) in (cutout.alpha.iter().enumerate()).filter(|(_, alpha)| **alpha >= COVERED) {
        for (axis, at) in [place % side, place / side].into_iter().enumerate() {
            first[axis] = first[axis].min(at);
            last[axis] = last[axis].max(at + 1);
        }
    }
    if last == [0; 2] {
        // Nothing is covered that far: the whole cut-out.
        (first, last) = ([0; 2], [side; 2]);
    }
    let across = |column: usize| column as f32 / side as f32 - 0.5;
    [
        [across(first[0]), -across(last[1])],
        [across(last[0]), -across(first[1])],
    ]
}
