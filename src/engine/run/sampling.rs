//! The steps of a source that refines shapes from noise, with looks at what is predicted between them.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use super::super::archive::Drawn;
use super::super::events::Stage;
use super::super::failure::Stop;
use super::super::identity::Computed;
use super::super::planning;
use super::super::workbench::Subject;
use super::latent_samples::Reading;
use super::previews::{Look, Previews};
use super::{FIRST_LEVEL, Run};
use crate::compute::Matrix;
use crate::models::error::ModelError;
use crate::models::triposg::{Config, Draw, ImageContext, Predicted, Sampling, TripoSg};
use crate::store::{Key, Latents};
use crate::vram::Choice;

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
    /// The coarsest level of the job, which predictions are shown at.
    level: u32,
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
            looks: flow.preview_share > 0.0,
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
                    level: FIRST_LEVEL.min(choice.level),
                };
                run.sample(&batch, subject)?;
            }
            Ok(())
        })
    }

    /// Takes the steps of some shapes together, and knows their latents from then on.
    fn sample(&mut self, batch: &Batch<'_>, subject: &Subject) -> Result<(), Stop> {
        let context = self.context.clone();
        let (job, settings) = (self.job, &self.job.request.settings);
        let noise = (batch.shapes.iter())
            .map(|shape| batch.model.noise(settings.seed_of(shape.place), &context))
            .collect::<Result<_, _>>()?;
        let look = Look {
            job,
            model: batch.model,
            cutout: Arc::clone(&subject.cutout),
            colours: Arc::clone(&subject.quick_colours),
            shape: batch.shapes[0].place,
            level: batch.level,
            reading: Reading::of(settings),
        };
        let share = settings.flow.preview_share;
        let (latents, kept_after) = thread::scope(|scope| {
            let mut previews = Previews::begin(scope, look, share, &context);
            let taken = self.take_steps(batch, noise, &mut previews);
            previews.end();
            taken
        })?;
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

    /// The latents that the steps come to, and after which of them they were kept where that was asked for.
    fn take_steps(
        &mut self,
        batch: &Batch<'_>,
        noise: Vec<Matrix>,
        previews: &mut Previews<'_, '_>,
    ) -> Result<(Vec<Matrix>, Option<u32>), Stop> {
        let context = self.context.clone();
        let mut kept_after = None;
        let mut stopped = None;
        let mut watch = |predicted: Predicted<'_>| {
            let goes_on = self.between_steps(batch, predicted, previews);
            let goes_on = goes_on.map_err(|stop| {
                stopped = Some(stop);
                ModelError::Cancelled
            })?;
            if goes_on.is_break() {
                kept_after = Some(predicted.step);
            }
            Ok(goes_on)
        };
        let Batch { model, draw, .. } = *batch;
        let latents = model.sample_each(batch.image, noise, draw, &mut watch, &context);
        // Why a look on the way ended the job, rather than that it did.
        match stopped {
            Some(stop) => Err(stop),
            None => Ok((latents?, kept_after)),
        }
    }

    /// Shows the prediction where there is time for it, and tells whether it is to be kept.
    fn between_steps(
        &mut self,
        batch: &Batch<'_>,
        predicted: Predicted<'_>,
        previews: &mut Previews<'_, '_>,
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
        let shapes = batch.shapes.len() as f64;
        let work = config.preview_work(batch.level, batch.draw.sampling) / shapes;
        if previews.has_time(step, work)? {
            self.turn_to(batch.shapes[0].place);
            previews.take(&predicted.clean[0], &self.context)?;
        }
        Ok(ControlFlow::Continue(()))
    }
}
