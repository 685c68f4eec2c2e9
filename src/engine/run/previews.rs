//! Looks at what a source that refines shapes from noise predicts, for as much of the time as was asked.
//!
//! On a device a look is taken on a queue of its own, from a thread of its own, while the steps go on; there is
//! one at most. On the processor, whose threads the steps take all, it is taken between two steps. It never
//! changes what becomes of the shape.

use std::sync::Arc;
use std::thread::{Builder, Scope, ScopedJoinHandle};
use std::time::Instant;

use super::super::failure::{Failure, Stop};
use super::super::job::{Job, LevelMesh};
use super::latent::coloured;
use super::latent_samples::Reading;
use crate::compute::{Context, Matrix};
use crate::mesh::Texture;
use crate::mesh::isosurface::IsosurfaceError;
use crate::models::triposg::TripoSg;
use crate::photo::Cutout;

/// What a look is taken at, and for whom.
#[derive(Clone)]
pub(super) struct Look<'a> {
    pub(super) job: &'a Job,
    pub(super) model: &'a TripoSg,
    pub(super) cutout: Arc<Cutout>,
    pub(super) colours: Arc<Texture>,
    /// Which of the job's shapes.
    pub(super) shape: usize,
    /// The level to show it at.
    pub(super) level: u32,
    pub(super) reading: Reading,
}

impl Look<'_> {
    /// Publishes a predicted shape.
    fn take(&self, clean: &Matrix, context: &Context) -> Result<(), Stop> {
        let field = self.model.field(clean, context)?;
        let level = self.level;
        let evaluated = self.reading.evaluate(&field, level, None, context)?;
        let (mesh, _) = self.reading.mesh(&evaluated, level, context)?;
        let mesh = coloured(&mesh, &self.cutout, Arc::clone(&self.colours))?;
        self.job.publish(LevelMesh {
            resolution: level,
            mesh,
            shape: self.shape,
        });
        Ok(())
    }

    /// The same on the context's own queue, of a prediction that is on another.
    fn take_beside(&self, numbers: &[f32], context: &Context) -> Result<(), Stop> {
        let clean = self.model.latents(numbers, context)?;
        let taken = self.take(&clean, context);
        drop(clean);
        // The weights that it reads are given up by who waits for this thread, not for this queue.
        if let Some(gpu) = &context.gpu {
            gpu.wait()?;
        }
        taken
    }
}

/// The looks that were taken while some shapes take their steps together, and the one that is.
pub(super) struct Previews<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    look: Look<'env>,
    /// Where they are taken while the steps go on; `None` where they are taken between two of them.
    beside: Option<Context>,
    /// The share of the time that they may take.
    share: f64,
    began: Instant,
    spent_seconds: f64,
    /// What the next one is expected to take.
    next_seconds: Option<f64>,
    under_way: Option<ScopedJoinHandle<'scope, (f64, Result<(), Stop>)>>,
}

impl<'scope, 'env> Previews<'scope, 'env> {
    /// Looks for at most this share of the time from now on.
    ///
    /// # Errors
    ///
    /// What happened to the device.
    pub(super) fn begin(
        scope: &'scope Scope<'scope, 'env>,
        look: Look<'env>,
        share: f64,
        context: &Context,
    ) -> Result<Self, Stop> {
        let queue = context.gpu.as_ref().map(|gpu| gpu.urgent_queue());
        let beside = queue.transpose()?.map(|queue| Context {
            gpu: Some(queue),
            ..context.clone()
        });
        Ok(Self {
            scope,
            look,
            beside,
            share,
            began: Instant::now(),
            spent_seconds: 0.0,
            next_seconds: None,
            under_way: None,
        })
    }

    /// Whether a look may be taken after so many steps. `work` is what one takes beside a step, by the arithmetic
    /// of both.
    ///
    /// # Errors
    ///
    /// What the look that ended meanwhile ended in.
    pub(super) fn has_time(&mut self, steps: u32, work: f64) -> Result<bool, Stop> {
        if let Some(thread) = self.under_way.take_if(|thread| thread.is_finished()) {
            self.count(joined(thread))?;
        }
        if self.under_way.is_some() || !self.look.model.can_preview() {
            return Ok(false);
        }
        let elapsed = self.began.elapsed().as_secs_f64();
        let of_steps = elapsed - self.spent_seconds;
        // The first one is judged by its arithmetic. What one takes beside the steps holds them up by that much
        // at most.
        let next = (self.next_seconds).unwrap_or(work * of_steps / f64::from(steps.max(1)));
        Ok(self.spent_seconds + next <= self.share * (elapsed + next))
    }

    /// Takes a look at a prediction, or begins one.
    ///
    /// # Errors
    ///
    /// What it ended in, but for having nothing to show.
    pub(super) fn take(&mut self, clean: &Matrix, context: &Context) -> Result<(), Stop> {
        let began = Instant::now();
        let Some(beside) = self.beside.clone() else {
            let taken = self.look.take(clean, context);
            return self.count((began.elapsed().as_secs_f64(), taken));
        };
        let numbers = clean.to_host()?.into_owned();
        let look = self.look.clone();
        let work = move || {
            let taken = look.take_beside(&numbers, &beside);
            (began.elapsed().as_secs_f64(), taken)
        };
        let thread = Builder::new().name("orfeas-preview".into());
        match thread.spawn_scoped(self.scope, work) {
            Ok(thread) => self.under_way = Some(thread),
            // The shape does not depend on it.
            Err(error) => tracing::warn!("no look at the shape being refined: {error}"),
        }
        Ok(())
    }

    /// Waits for the look that is under way.
    ///
    /// # Errors
    ///
    /// What it ended in.
    pub(super) fn end(mut self) -> Result<(), Stop> {
        match self.under_way.take() {
            Some(thread) => self.count(joined(thread)),
            None => Ok(()),
        }
    }

    fn count(&mut self, (seconds, taken): (f64, Result<(), Stop>)) -> Result<(), Stop> {
        self.spent_seconds += seconds;
        self.next_seconds = Some(seconds);
        match taken {
            // A prediction this early may have no surface yet, and memory may be short: no look then.
            Err(Stop::Failed(
                Failure::Surface(IsosurfaceError::Empty) | Failure::OutOfMemory(_),
            )) => Ok(()),
            other => other,
        }
    }
}

/// What a thread returned; its panic is this one's too.
fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
