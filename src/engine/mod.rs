//! The engine: runs jobs one after another on a worker thread and publishes their events and meshes.
//!
//! The window, the command line and the server are front ends over it. [`run`] tells the story of a job.
//! The engine never reads an image file and never talks to a user.
//!
//! Architecture invariant: a panic of a job is that job's failure. The worker catches it and lives.

mod events;
mod export;
mod failure;
mod job;
mod queue;
mod run;
mod slot;
mod wakers;
mod workbench;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

pub use events::{Cursor, Event, EventLog, Stage, Stamped};
pub use export::{Export, ExportError, Ticket};
pub use failure::{Failure, FailureKind};
pub use job::{
    Job, JobId, LevelMesh, Outcome, Request, Settings, Source, StageTime, matte_kind_name,
};
pub use queue::QueueFull;
pub use slot::{Seen, Slot};

pub use crate::compute::host::peak_memory_bytes;
pub use crate::compute::{Cancel, Ledger};
pub use crate::inflate::{Back, Controls, Mode};

use crate::photo::Limits;
use export::Exporter;
use failure::Stop;
use queue::Queue;
use wakers::Wakers;
use workbench::Workbench;

/// How to set an engine up.
#[derive(Debug, Clone)]
pub struct Config {
    /// The account of host memory that jobs reserve their large buffers in.
    pub ledger: Ledger,
    /// What images may measure.
    pub limits: Limits,
    /// Threads that compute; `None` for one a core.
    pub threads: Option<usize>,
    /// The most jobs that may wait.
    pub queue_limit: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ledger: Ledger::unlimited(),
            limits: Limits::default(),
            threads: None,
            queue_limit: 64,
        }
    }
}

/// The engine could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The system gives no more threads.
    #[error("a thread could not be started: {0}")]
    Thread(std::io::Error),
    /// The system gives no more threads for computing.
    #[error("the computing threads could not be started: {0}; ask for fewer with --threads")]
    Pool(rayon::ThreadPoolBuildError),
}

struct Shared {
    queue: Queue,
    wakers: Arc<Wakers>,
    next_id: AtomicU64,
}

/// Runs jobs. Dropping it cancels and joins them.
pub struct Engine {
    shared: Arc<Shared>,
    ledger: Ledger,
    worker: Option<JoinHandle<()>>,
    exporter: Exporter,
}

impl Engine {
    /// Starts the worker and the export thread.
    ///
    /// # Errors
    ///
    /// [`StartError`] when the system gives no more threads.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(config.threads.unwrap_or(0))
            .thread_name(|index| format!("orfeas-compute-{index}"))
            .build()
            .map_err(StartError::Pool)?;
        let shared = Arc::new(Shared {
            queue: Queue::new(config.queue_limit),
            wakers: Arc::default(),
            next_id: AtomicU64::new(1),
        });
        let workbench = Workbench::new(config.ledger.clone(), config.limits);
        let worker = std::thread::Builder::new()
            .name("orfeas-worker".into())
            .spawn({
                let shared = Arc::clone(&shared);
                move || work(&shared, &pool, workbench)
            })
            .map_err(StartError::Thread)?;
        let exporter = Exporter::start().map_err(StartError::Thread)?;
        Ok(Self {
            shared,
            ledger: config.ledger,
            worker: Some(worker),
            exporter,
        })
    }

    /// Queues a job.
    ///
    /// # Errors
    ///
    /// [`QueueFull`] when as many jobs wait as may.
    pub fn submit(&self, request: Request) -> Result<Arc<Job>, QueueFull> {
        let id = JobId(self.shared.next_id.fetch_add(1, Ordering::Relaxed));
        tracing::info!(
            job = id.0,
            image = request.name,
            resolution = request.settings.resolution,
            "submitted"
        );
        let job = Arc::new(Job::new(id, request, Arc::clone(&self.shared.wakers)));
        let superseded = self.shared.queue.push(Arc::clone(&job), |ahead| {
            job.record(Event::Queued { ahead })
        })?;
        if let Some(old) = superseded {
            old.record(Event::Cancelled);
        }
        Ok(job)
    }

    /// Cancels a job: at once where it waits, within 200 ms where it runs.
    pub fn cancel(&self, job: &Job) {
        job.cancel();
        if let Some(waiting) = self.shared.queue.remove(job) {
            waiting.record(Event::Cancelled);
        }
    }

    /// Calls `waker`, from any thread, whenever something happened to a job. It must return at once.
    pub fn on_change(&self, waker: impl Fn(JobId) + Send + Sync + 'static) {
        self.shared.wakers.add(waker);
    }

    /// Writes a mesh on the export thread.
    ///
    /// # Errors
    ///
    /// [`ExportError::Busy`] when too many exports wait.
    pub fn export(&self, export: Export) -> Result<Ticket, ExportError> {
        self.exporter.export(export)
    }

    /// The account of host memory.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for waiting in self.shared.queue.close() {
            waiting.record(Event::Cancelled);
        }
        if let Some(worker) = self.worker.take()
            && worker.join().is_err()
        {
            tracing::error!("the worker thread panicked outside of a job");
        }
    }
}

/// The worker's life: one job after another until the queue is closed.
fn work(shared: &Shared, pool: &rayon::ThreadPool, mut workbench: Workbench) {
    while let Some(job) = shared.queue.next() {
        let _span = tracing::info_span!("job", id = job.id.0, image = job.request.name).entered();
        let attempt = AssertUnwindSafe(|| pool.install(|| run::run(&job, &mut workbench)));
        let result = std::panic::catch_unwind(attempt).unwrap_or_else(|payload| {
            // What the panicking job had in its hands may be half made.
            workbench.clear();
            let message = export::panic_message(payload.as_ref());
            Err(Stop::Failed(Failure::Panicked { message }))
        });
        match result {
            Ok(outcome) => {
                tracing::info!(faces = outcome.mesh.triangles.len(), "finished");
                job.finish(Ok(outcome));
            }
            Err(Stop::Cancelled) => {
                tracing::info!("cancelled");
                job.record(Event::Cancelled);
            }
            Err(Stop::Failed(failure)) => {
                tracing::error!(%failure, "failed");
                job.finish(Err(failure));
            }
        }
    }
}
