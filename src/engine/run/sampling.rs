//! The steps of a source that refines shapes from noise, with looks at what is predicted between them.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::super::archive::Drawn;
use super::super::events::Stage;
use super::super::failure::{Failure, Stop};
use super::super::identity::Computed;
use super::super::job::LevelMesh;
use super::super::planning;
use super::super::workbench::Subject;
use super::latent::coloured;
use super::{FIRST_LEVEL, Run};
use crate::compute::Matrix;
use crate::mesh::isosurface::IsosurfaceError;
use crate::models::error::ModelError;
use crate::models::triposg::{Config, Draw, ImageContext, Predicted, Sampling, TripoSg};
use crate::store::{Key, Latents};
use crate::vram::Choice;

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

/// A shape whose latents are not known, and what to call them once they are.
pub(super) struct Missing {
    place: usize,
    key: Key,
}

/// What takes its steps together.
struct Batch<'a> {
    model: &'a TripoSg,
    image: &'a ImageContext,
    draw: Draw,
    shapes: &'a [Missing],
    /// How many batches there are, and how many took their steps before.
    batches: [u32; 2],
}

impl Run<'_> {
    /// The shapes of the job, from the one at `first` on, whose latents nobody knows. What the store has is
    /// known from here on.
    pub(super) fn missing_shapes(
        &mut self,
        config: &Config,
        choice: &Choice,
        first: usize,
    ) -> Result<Vec<Missing>, Stop> {
        let request = &self.job.request;
        let mut missing = Vec::new();
        for place in first..request.settings.shapes() {
            let key = self.archive.key(request, place, Computed::from(choice));
            if self.known.get(&key).is_some() {
                continue;
            }
            let size = [config.latents, config.denoiser.channels];
            let ledger = &self.context.ledger;
            match self.archive.read(request, key, size, ledger)? {
                Some(drawn) => self.known.add(drawn),
                None => missing.push(Missing { place, key }),
            }
        }
        Ok(missing)
    }

    /// Refines shapes from noise, and shows what is predicted on the way. The image is looked at once, and as
    /// many shapes take their steps together as the plan says.
    pub(super) fn refine(
        &mut self,
        model: &TripoSg,
        subject: &Subject,
        choice: &Choice,
        missing: &[Missing],
    ) -> Result<(), Stop> {
        let flow = self.job.request.settings.flow;
        let draw = Draw {
            sampling: Sampling::new(flow.steps, flow.guidance)?,
            together: choice.chunk > 1,
        };
        if missing.is_empty() {
            return Ok(());
        }
        self.stage(Stage::Shape, |run| {
            let context = run.context.clone();
            let image = model.look_at(&subject.cutout, &context)?;
            let at_once = planning::shapes_at_once(choice.chunk, draw.sampling);
            let batches = missing.len().div_ceil(at_once) as u32;
            for (before, shapes) in (0..).zip(missing.chunks(at_once)) {
                let batch = Batch {
                    model,
                    image: &image,
                    draw,
                    shapes,
                    batches: [batches, before],
                };
                run.sample(&batch, subject)?;
            }
            Ok(())
        })
    }

    /// Takes the steps of some shapes together, and knows their latents from then on.
    fn sample(&mut self, batch: &Batch<'_>, subject: &Subject) -> Result<(), Stop> {
        let context = self.context.clone();
        let Batch { model, draw, .. } = *batch;
        let settings = &self.job.request.settings;
        let mut previews = Previews {
            share: settings.flow.preview_share,
            began: Instant::now(),
            spent_seconds: 0.0,
            next_seconds: None,
        };
        let noise = (batch.shapes.iter())
            .map(|shape| model.noise(settings.seed_of(shape.place), &context))
            .collect::<Result<_, _>>()?;
        let mut kept_after = None;
        let mut stopped = None;
        let mut watch = |predicted: Predicted<'_>| {
            let goes_on = self.between_steps(batch, subject, predicted, &mut previews);
            let goes_on = goes_on.map_err(|stop| {
                stopped = Some(stop);
                ModelError::Cancelled
            })?;
            if goes_on.is_break() {
                kept_after = Some(predicted.step);
            }
            Ok(goes_on)
        };
        let latents = model.sample_each(batch.image, noise, draw, &mut watch, &context);
        // Why a look on the way ended the job, rather than that it did.
        let latents: Vec<Matrix> = match stopped {
            Some(stop) => return Err(stop),
            None => latents?,
        };
        for (shape, latents) in batch.shapes.iter().zip(latents) {
            let table = Latents {
                rows: latents.rows(),
                columns: latents.columns(),
                numbers: latents.to_host()?.into_owned(),
            };
            let drawn = Drawn::new(shape.key, table, kept_after, &context.ledger)?;
            self.known.add(drawn);
        }
        Ok(())
    }

    /// Shows the prediction where there is time for it, and tells whether it is to be kept.
    fn between_steps(
        &mut self,
        batch: &Batch<'_>,
        subject: &Subject,
        predicted: Predicted<'_>,
        previews: &mut Previews,
    ) -> Result<ControlFlow<()>, Stop> {
        let [batches, before] = batch.batches;
        let (step, steps) = (predicted.step, predicted.steps);
        self.job.tell_step(before * steps + step, batches * steps);
        // Whoever asks for it means the shapes being refined, and none that follow them.
        let is_kept = self.job.keeps_prediction.swap(false, Ordering::Relaxed);
        if step == steps {
            return Ok(ControlFlow::Continue(()));
        }
        if is_kept {
            return Ok(ControlFlow::Break(()));
        }
        let config = batch.model.config();
        let work =
            config.preview_work(FIRST_LEVEL, batch.draw.sampling) / batch.shapes.len() as f64;
        if batch.model.can_preview() && previews.has_time(predicted.step, work) {
            let began = Instant::now();
            match self.preview(batch, subject, predicted) {
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

    /// Publishes the first of the predicted shapes at the coarsest level.
    fn preview(
        &mut self,
        batch: &Batch<'_>,
        subject: &Subject,
        predicted: Predicted<'_>,
    ) -> Result<(), Stop> {
        let field = batch.model.field(&predicted.clean[0], &self.context)?;
        let evaluated = self.evaluate(&field, FIRST_LEVEL, None)?;
        let (mesh, _) = self.meshed(&evaluated, FIRST_LEVEL)?;
        let mesh = coloured(&mesh, &subject.cutout, Arc::clone(&subject.quick_colours))?;
        let shape = batch.shapes[0].place;
        self.turn_to(shape);
        self.job.publish(LevelMesh {
            resolution: FIRST_LEVEL,
            mesh,
            shape,
        });
        Ok(())
    }
}
