//! The engine: runs jobs one after another on a worker thread and publishes their events and meshes.
//!
//! The window, the command line and the server are front ends over it. [`run`] tells the story of a job.
//! The engine never reads an image file and never talks to a user.
//!
//! Architecture invariant: a panic of a job is that job's failure. The worker catches it and lives.

mod events;
mod export;
mod failure;
mod identity;
mod job;
mod queue;
mod run;
mod settings;
mod slot;
mod submission;
mod summary;
mod wakers;
mod workbench;

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;

pub use events::{Cursor, Event, EventLog, Stage, Stamped};
pub use export::{Export, ExportError, Ticket};
pub use failure::{Failure, FailureKind};
pub use job::{Job, JobId, LevelMesh, Outcome, Request};
pub use queue::QueueFull;
pub use settings::{Settings, Source};
pub use slot::{Seen, Slot};
pub use submission::{Origin, State, Submission};
pub use summary::{Bounds, MatteSummary, Measures, Shape, StageTime, Summary};

pub use crate::compute::host::peak_memory_bytes;
pub use crate::compute::{Cancel, Ledger};
pub use crate::inflate::{Back, Controls, Mode};

use crate::photo::Limits;
use export::Exporter;
use failure::Stop;
use identity::Identity;
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
    /// What is under way, for callers that ask for the same.
    in_flight: Mutex<HashMap<Identity, Weak<Job>>>,
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
            in_flight: Mutex::default(),
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

    /// Queues a job, or joins one under way for an identical request.
    ///
    /// # Errors
    ///
    /// [`QueueFull`] when as many jobs wait as may.
    pub fn submit(&self, request: Request) -> Result<Submission, QueueFull> {
        self.enqueue(request, None)
    }

    /// Queues a job that makes an earlier one pointless: `old` is cancelled, and where it still waits and
    /// nobody else wants it, the new job takes its place.
    ///
    /// # Errors
    ///
    /// [`QueueFull`] when as many jobs wait as may; `old` is cancelled all the same.
    pub fn replace(&self, old: &Submission, request: Request) -> Result<Submission, QueueFull> {
        let place = old.job.detach(&old.events).then_some(old.job.id);
        let submission = self.enqueue(request, place);
        // Where the new request joined another job or found the queue full, the old place is given up.
        self.drop_waiting(&old.job);
        submission
    }

    fn enqueue(&self, request: Request, replaces: Option<JobId>) -> Result<Submission, QueueFull> {
        let identity = Identity::of(&request);
        let mut in_flight = self
            .shared
            .in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        in_flight.retain(|_, job| job.upgrade().is_some_and(|job| !job.events.is_closed()));
        let joined = in_flight
            .get(&identity)
            .and_then(Weak::upgrade)
            .filter(|job| job.request.keep_every_level || !request.keep_every_level)
            .and_then(|job| job.attach().map(|log| (job, log)));
        if let Some((job, log)) = joined {
            let submission = Submission::new(job, log, Origin::Joined);
            tracing::info!(job = submission.job.id.0, submission = %submission.id, "joined");
            return Ok(submission);
        }
        let id = JobId(self.shared.next_id.fetch_add(1, Ordering::Relaxed));
        let resolution = request.settings.resolution;
        let image = request.name.clone();
        let (job, log) = Job::new(id, request, Arc::clone(&self.shared.wakers));
        let submission = Submission::new(Arc::clone(&job), log, Origin::Computed);
        let replaced = self
            .shared
            .queue
            .push(Arc::clone(&job), replaces, |ahead| {
                job.record(Event::Queued { ahead })
            })?;
        in_flight.insert(identity, Arc::downgrade(&job));
        drop(in_flight);
        if let Some(old) = replaced {
            old.record(Event::Cancelled);
        }
        tracing::info!(job = id.0, submission = %submission.id, image, resolution, "submitted");
        Ok(submission)
    }

    /// Lets go of a job. It ends, at once where it waits and within 200 ms where it runs, unless another
    /// caller still wants it.
    pub fn cancel(&self, submission: &Submission) {
        if submission.job.detach(&submission.events) {
            self.drop_waiting(&submission.job);
        }
    }

    /// Takes a job out of the queue that was given up while it waited.
    fn drop_waiting(&self, job: &Job) {
        if job.cancel.is_cancelled()
            && let Some(waiting) = self.shared.queue.remove(job)
        {
            waiting.record(Event::Cancelled);
        }
    }

    /// How many jobs wait for the worker.
    pub fn queue_depth(&self) -> usize {
        self.shared.queue.waiting()
    }

    /// The most jobs that may wait.
    pub fn queue_limit(&self) -> usize {
        self.shared.queue.limit()
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
                tracing::info!(faces = outcome.summary.shape.faces, "finished");
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
