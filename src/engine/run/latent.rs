//! The part of the story of a source that refines a shape from noise: steps with previews between them, and
//! a surface whose samples are evaluated level by level.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::super::events::Stage;
use super::super::failure::{Failure, Stop};
use super::super::job::LevelMesh;
use super::super::workbench::Subject;
use super::{FIRST_LEVEL, Run};
use crate::compute::{Context, Matrix, Reservation};
use crate::field::{Evaluate, Field, Hierarchy, Region, SparseGrid};
use crate::inflate::Back;
use crate::mesh::isosurface::{self, IsosurfaceError};
use crate::mesh::project::Frame;
use crate::mesh::{Mesh, Texture, floaters, placement, project_within};
use crate::models::error::ModelError;
use crate::models::triposg::{Config, Draw, LatentField, Predicted, Sampling, TripoSg};
use crate::photo::{BackColours, Cutout};
use crate::vram::Choice;

/// Cells along the longest side up to which a field is evaluated everywhere.
const DENSE_CELLS: usize = 96;
/// A part with less than this share of all faces is a floater.
const LEAST_SHARE: f64 = 0.01;
/// The most faces of a result where no number is asked for.
const MOST_FACES: usize = 200_000;
/// What covers a pixel at least half is the subject.
const COVERED: f32 = 0.5;

/// A shape that was refined from noise, as far as it was evaluated.
pub(super) struct LatentShape {
    field: LatentField,
    /// The samples of the finest level so far.
    evaluated: Option<Evaluated>,
    /// The steps after which it was kept as it was, before it was done.
    kept_after: Option<u32>,
}

struct Evaluated {
    samples: SparseGrid,
    _memory: Vec<Reservation>,
}

impl LatentShape {
    pub(super) fn kept_after(&self) -> Option<u32> {
        self.kept_after
    }
}

/// What goes on between two steps.
struct Previews {
    share: f64,
    began: Instant,
    spent_seconds: f64,
    /// What the next one is expected to take.
    next_seconds: Option<f64>,
}

impl Previews {
    /// Whether there is time for one more, after so many steps.
    fn has_time(&self, steps: u32, work_of_steps: f64) -> bool {
        let elapsed = self.began.elapsed().as_secs_f64();
        let steps_seconds = (elapsed - self.spent_seconds) / f64::from(steps.max(1));
        // The first one is judged by its arithmetic.
        let next = self.next_seconds.unwrap_or(steps_seconds * work_of_steps);
        self.spent_seconds + next <= self.share * (elapsed + next)
    }
}

/// A latent field being evaluated under a job's ledger.
struct Decoding<'a> {
    field: &'a LatentField,
    context: &'a Context,
    memory: Vec<Reservation>,
}

impl Evaluate for Decoding<'_> {
    type Error = Stop;

    fn values(&mut self, points: &[[f32; 3]], values: &mut [f32]) -> Result<(), Stop> {
        Ok(self.field.values(points, values, self.context)?)
    }

    fn hold(&mut self, size_bytes: u64) -> Result<(), Stop> {
        let memory = self
            .context
            .ledger
            .reserve(size_bytes, "the field's samples")?;
        self.memory.push(memory);
        Ok(())
    }
}

/// The box that the field lies in.
const EXTENT: Region = Region {
    min: [-Config::RADIUS; 3],
    max: [Config::RADIUS; 3],
};

/// The samples of a field for one level.
fn evaluate(
    field: &LatentField,
    level: u32,
    before: Option<&Evaluated>,
    context: &Context,
) -> Result<Evaluated, Stop> {
    let lattice = isosurface::samples(&EXTENT, level)?;
    let mut decoding = Decoding {
        field,
        context,
        memory: Vec::new(),
    };
    let hierarchy = Hierarchy {
        dense_cells: DENSE_CELLS,
        near: Config::NEAR,
    };
    let from = before.map(|before| &before.samples);
    let samples = hierarchy.evaluate(EXTENT, lattice, from, &mut decoding)?;
    // What coarser lattices took is free again.
    decoding.memory.clear();
    decoding.hold(samples.size_bytes())?;
    Ok(Evaluated {
        samples,
        _memory: decoding.memory,
    })
}

impl Run<'_> {
    /// Refines a shape from noise, and shows what is predicted on the way.
    pub(super) fn refine(
        &mut self,
        model: &TripoSg,
        subject: &mut Subject,
        choice: &Choice,
    ) -> Result<LatentShape, Stop> {
        let flow = self.job.request.settings.flow;
        let draw = Draw {
            sampling: Sampling::new(flow.steps, flow.guidance)?,
            together: choice.chunk > 1,
        };
        self.stage(Stage::Shape, |run| {
            let context = run.context.clone();
            let image = model.look_at(&subject.cutout, &context)?;
            let noise = model.noise(flow.seed, &context)?;
            let mut previews = Previews {
                share: flow.preview_share,
                began: Instant::now(),
                spent_seconds: 0.0,
                next_seconds: None,
            };
            let mut kept_after = None;
            let mut stopped = None;
            let mut watch = |predicted: Predicted<'_>| {
                let goes_on = run.between_steps(model, subject, draw, predicted, &mut previews);
                let goes_on = goes_on.map_err(|stop| {
                    stopped = Some(stop);
                    ModelError::Cancelled
                })?;
                if goes_on.is_break() {
                    kept_after = Some(predicted.step);
                }
                Ok(goes_on)
            };
            let latents = model.sample(&image, noise, draw, &mut watch, &context);
            // Why a look on the way ended the job, rather than that it did.
            let latents: Matrix = match stopped {
                Some(stop) => return Err(stop),
                None => latents?,
            };
            drop(image);
            if let Some(step) = kept_after {
                run.warn(format!(
                    "the shape was kept after {step} of {} steps, as you asked",
                    flow.steps
                ));
            }
            Ok(LatentShape {
                field: model.field(&latents, &context)?,
                evaluated: None,
                kept_after,
            })
        })
    }

    /// Shows the prediction where there is time for it, and tells whether it is to be kept.
    fn between_steps(
        &mut self,
        model: &TripoSg,
        subject: &Subject,
        draw: Draw,
        predicted: Predicted<'_>,
        previews: &mut Previews,
    ) -> Result<ControlFlow<()>, Stop> {
        self.job.tell_step(predicted.step, predicted.steps);
        if predicted.step == predicted.steps {
            return Ok(ControlFlow::Continue(()));
        }
        if self.job.keeps_prediction.load(Ordering::Relaxed) {
            return Ok(ControlFlow::Break(()));
        }
        let work = model.config().preview_work(FIRST_LEVEL, draw.sampling);
        if model.can_preview() && previews.has_time(predicted.step, work) {
            let began = Instant::now();
            match self.preview(model, subject, predicted) {
                // A prediction this early may have no surface yet, and memory may be short: no look then.
                Ok(())
                | Err(Stop::Failed(
                    Failure::Surface(IsosurfaceError::Empty) | Failure::OutOfMemory(_),
                )) => {}
                Err(stop) => return Err(stop),
            }
            let seconds = began.elapsed().as_secs_f64();
            previews.spent_seconds += seconds;
            previews.next_seconds = Some(seconds);
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Publishes the predicted shape at the coarsest level.
    fn preview(
        &mut self,
        model: &TripoSg,
        subject: &Subject,
        predicted: Predicted<'_>,
    ) -> Result<(), Stop> {
        let field = model.field(predicted.clean, &self.context)?;
        let evaluated = evaluate(&field, FIRST_LEVEL, None, &self.context)?;
        let (mesh, _) = self.meshed(&evaluated, FIRST_LEVEL)?;
        let mesh = coloured(&mesh, &subject.cutout, Arc::clone(&subject.quick_colours))?;
        self.job.publish(LevelMesh {
            resolution: FIRST_LEVEL,
            mesh,
        });
        Ok(())
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
        let before = shape.evaluated.take();
        let evaluated = evaluate(&shape.field, level, before.as_ref(), &self.context)?;
        drop(before);
        let meshed = self.meshed(&evaluated, level)?;
        shape.evaluated = Some(evaluated);
        Ok(meshed)
    }

    /// The surface among evaluated samples, without what floats about it.
    fn meshed(&self, evaluated: &Evaluated, level: u32) -> Result<(Mesh, floaters::Removed), Stop> {
        let cancelled = || self.context.cancel.is_cancelled();
        let field: &dyn Field = &evaluated.samples;
        let survey = isosurface::survey(field, level, &cancelled)?;
        let _memory = self.context.ledger.reserve(survey.bytes(), "the surface")?;
        let mut mesh = isosurface::extract(field, &survey, &cancelled)?;
        let removed = floaters::remove_floaters(&mut mesh, LEAST_SHARE);
        Ok((mesh, removed))
    }
}

/// Projects the subject's colours on a mesh that spans, seen from the front, what the subject does, and
/// places it in the unit box.
fn coloured(mesh: &Mesh, cutout: &Cutout, colours: Arc<Texture>) -> Result<Mesh, Stop> {
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
