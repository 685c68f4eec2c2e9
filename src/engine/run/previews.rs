//! Looks at what a source that refines shapes from noise predicts, for as much of the time as was asked.
//!
//! On a device a look is taken on a queue of its own, from a thread of its own, while the steps go on; there is
//! one at most. On the processor, whose threads the steps take all, it is taken between two steps. It never
//! changes what becomes of the shape: where a look cannot be had, there is none.

use std::sync::Arc;
use std::thread::{Builder, Scope, ScopedJoinHandle};
use std::time::Instant;

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::super::COMPUTE_STACK_BYTES;
use super::super::failure::{Failure, Stop};
use super::super::job::{Job, LevelMesh};
use super::latent::coloured;
use super::latent_samples::Reading;
use crate::compute::{Cancel, Context, GpuError, Matrix};
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
        let (mesh, _) = evaluated.mesh(level, context)?;
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

/// Where looks are taken while the steps go on.
#[derive(Clone)]
struct Beside {
    context: Context,
    /// The job's own threads wait for the steps; a look has one for its share of the processor's work.
    pool: Arc<ThreadPool>,
}

impl Beside {
    /// A queue of the device, and a thread; `None` on the processor.
    fn begin(context: &Context, cancel: &Cancel) -> Result<Option<Self>, String> {
        let Some(gpu) = &context.gpu else {
            return Ok(None);
        };
        let queue = gpu.urgent_queue().map_err(|error| error.to_string())?;
        let pool = ThreadPoolBuilder::new()
            .num_threads(1)
            .stack_size(COMPUTE_STACK_BYTES)
            .thread_name(|_| "orfeas-preview".into())
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Some(Self {
            context: Context {
                gpu: Some(queue),
                ledger: context.ledger.clone(),
                cancel: cancel.clone(),
            },
            pool: Arc::new(pool),
        }))
    }
}

type Taken = (f64, Result<(), Stop>);

/// The looks that were taken while some shapes take their steps together, and the one that is.
pub(super) struct Previews<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    look: Look<'env>,
    /// `None` where they are taken between two steps.
    beside: Option<Beside>,
    /// Stops them alone.
    cancel: Cancel,
    /// The share of the time that they may take; 0 where there are to be none.
    share: f64,
    began: Instant,
    spent_seconds: f64,
    /// What the next one is expected to take.
    next_seconds: Option<f64>,
    under_way: Option<ScopedJoinHandle<'scope, Taken>>,
}

impl<'scope, 'env> Previews<'scope, 'env> {
    /// Looks for at most this share of the time from now on.
    pub(super) fn begin(
        scope: &'scope Scope<'scope, 'env>,
        look: Look<'env>,
        share: f64,
        context: &Context,
    ) -> Self {
        let cancel = context.cancel.of_part();
        let mut previews = Self {
            scope,
            share: if look.model.can_preview() { share } else { 0.0 },
            look,
            beside: None,
            cancel,
            began: Instant::now(),
            spent_seconds: 0.0,
            next_seconds: None,
            under_way: None,
        };
        if previews.share > 0.0 {
            match Beside::begin(context, &previews.cancel) {
                Ok(beside) => previews.beside = beside,
                Err(reason) => previews.give_up(&reason),
            }
        }
        previews
    }

    /// Takes no further look.
    fn give_up(&mut self, reason: &dyn std::fmt::Display) {
        tracing::warn!("no more looks at the shape being refined: {reason}");
        self.share = 0.0;
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
        if self.under_way.is_some() || self.share <= 0.0 {
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
    /// What it ended in, but for what leaves the shape as it is.
    pub(super) fn take(&mut self, clean: &Matrix, context: &Context) -> Result<(), Stop> {
        let began = Instant::now();
        let Some(beside) = self.beside.clone() else {
            let taken = self.look.take(clean, context);
            return self.count((began.elapsed().as_secs_f64(), taken));
        };
        let numbers = clean.to_host()?.into_owned();
        let look = self.look.clone();
        let span = tracing::Span::current();
        let work = move || {
            let take = || span.in_scope(|| look.take_beside(&numbers, &beside.context));
            let taken = beside.pool.install(take);
            (began.elapsed().as_secs_f64(), taken)
        };
        match Builder::new()
            .name("orfeas-look".into())
            .spawn_scoped(self.scope, work)
        {
            Ok(thread) => self.under_way = Some(thread),
            Err(error) => self.give_up(&error),
        }
        Ok(())
    }

    /// Stops the look that is under way: the shape itself is there.
    pub(super) fn end(mut self) {
        self.cancel.cancel();
        let last = self.under_way.take().map(joined);
        if let Some((_, Err(Stop::Failed(failure)))) = last {
            // What concerns the device, whoever asks it next is told.
            tracing::debug!("the last look at the shape being refined failed: {failure}");
        }
    }

    fn count(&mut self, (seconds, taken): Taken) -> Result<(), Stop> {
        self.spent_seconds += seconds;
        self.next_seconds = Some(seconds);
        match taken {
            // A prediction this early may have no surface yet, and memory may be short: no look then.
            Err(Stop::Failed(
                Failure::Surface(IsosurfaceError::Empty) | Failure::OutOfMemory(_),
            )) => Ok(()),
            // The steps may have what they need of a device that had no more for a look.
            Err(Stop::Failed(Failure::Gpu(error @ GpuError::Refused { .. }))) => {
                self.give_up(&error);
                Ok(())
            }
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
