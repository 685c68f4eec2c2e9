//! The engine: runs jobs one after another on a worker thread and publishes their events and meshes.
//!
//! The window, the command line and the server are front ends over it. [`run`] tells the story of a job.
//! The engine never reads an image file and never talks to a user.
//!
//! Architecture invariant: a panic of a job is that job's failure. The worker catches it and lives.

mod archive;
mod devices;
mod events;
mod export;
mod failure;
mod identity;
mod job;
mod keep;
mod paces;
mod planning;
mod queue;
mod result_mesh;
mod run;
mod settings;
mod slot;
mod submission;
mod summary;
mod wakers;
mod workbench;
mod worker;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;

pub use events::{Cursor, Event, EventLog, ShareDone, Stage, Stamped};
pub(crate) use export::panic_message;
pub use export::{Export, ExportError, Ticket};
pub use failure::{Failure, FailureKind};
pub use job::{Job, JobId, LevelMesh, Outcome, Request, StepsTaken};
pub use paces::Paces;
pub use planning::{Chosen, Machine, choose, plan};
pub use queue::{NotMoved, QueueFull};
pub use result_mesh::ResultMesh;
pub use settings::{Flow, ImageReference, Settings, Source};
pub use slot::{Seen, Slot};
pub use submission::{Origin, State, Submission};
pub use summary::{Bounds, MatteSummary, Measures, Shape, StageTime, Summary};

pub use crate::compute::console::release_own as release_own_console;
pub use crate::compute::host::{outlive_file_size_limit, peak_memory_bytes};
pub use crate::compute::{Cancel, Device, Ledger, Precision};
pub use crate::inflate::{Back, Controls, Mode};
pub use crate::models::catalogue;
pub use crate::models::hub::{DownloadError, Hub, Progress as DownloadProgress};
pub use crate::models::library::{Library, LibraryError, Located, Opened};
pub use crate::models::published::{Published, PublishedError};

use crate::formats::Watch;
use crate::photo::Limits;
use crate::store::{Key, Store};
use crate::vram;
use export::Exporter;
use queue::Queue;
use wakers::Wakers;
use workbench::Workbench;

/// Drawings nest, and their renderer calls itself as deep as they do.
const COMPUTE_STACK_BYTES: usize = 16 << 20;

/// How to set an engine up.
#[derive(Debug, Clone)]
pub struct Config {
    /// The account of host memory that jobs reserve their large buffers in.
    pub ledger: Ledger,
    /// The memory manager over the same ledger; `None` to start one.
    pub vram: Option<vram::Manager>,
    /// Where results are kept; `None` for nowhere.
    pub store: Option<Store>,
    /// The models on this machine.
    pub library: Library,
    /// What is known of this machine's pace.
    pub paces: Paces,
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
            vram: None,
            store: None,
            library: Library::default(),
            paces: Paces::default(),
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
    /// What is under way, or done and still in memory, for callers that ask for the same.
    in_flight: Mutex<HashMap<Key, Weak<Job>>>,
    wakers: Arc<Wakers>,
    next_id: AtomicU64,
    workbench: Workbench,
    exporter: Exporter,
    vram: vram::Manager,
    store: Option<Store>,
    paces: Paces,
    /// Threads that compute.
    threads: usize,
    /// Tells this build's results from another's.
    build: String,
}

impl Shared {
    /// What a source is chosen from.
    fn machine(&self) -> Machine<'_> {
        Machine {
            library: self.workbench.library(),
            vram: &self.vram,
            paces: &self.paces,
            threads: self.threads,
        }
    }

    /// Gives up everything that no job uses, and tells how many bytes that freed.
    fn free_memory(&self) -> u64 {
        let freed_bytes = self.workbench.clear();
        self.vram.report_idle(Device::Cpu, 0);
        self.workbench.devices().trim(&self.vram);
        freed_bytes
    }
}

/// Runs jobs. Dropping it cancels and joins them.
pub struct Engine {
    shared: Arc<Shared>,
    worker: Option<JoinHandle<()>>,
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
            .stack_size(COMPUTE_STACK_BYTES)
            .thread_name(|index| format!("orfeas-compute-{index}"))
            .build()
            .map_err(StartError::Pool)?;
        let vram = config.vram.unwrap_or_else(|| {
            vram::Manager::start(vram::Config {
                host_ledger: config.ledger.clone(),
                ..vram::Config::default()
            })
        });
        let shared = Arc::new(Shared {
            queue: Queue::new(config.queue_limit),
            in_flight: Mutex::default(),
            wakers: Arc::default(),
            next_id: AtomicU64::new(1),
            workbench: Workbench::new(config.ledger, config.limits, config.library),
            exporter: Exporter::start().map_err(StartError::Thread)?,
            vram,
            store: config.store,
            paces: config.paces,
            threads: pool.current_num_threads(),
            build: identity::build(),
        });
        let worker = std::thread::Builder::new()
            .name("orfeas-worker".into())
            .spawn({
                let shared = Arc::clone(&shared);
                move || worker::work(&shared, &pool)
            })
            .map_err(StartError::Thread)?;
        Ok(Self {
            shared,
            worker: Some(worker),
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

    fn enqueue(
        &self,
        mut request: Request,
        replaces: Option<JobId>,
    ) -> Result<Submission, QueueFull> {
        // Before the request is named: it is the same as one for the source that is chosen.
        let chosen = self.choose(&mut request.settings);
        if let Some(chosen) = &chosen {
            tracing::info!(source = ?chosen.source, "auto: {}", chosen.reason);
        }
        let settings = &mut request.settings;
        if let (Some(model), None) = (settings.source.model(), &settings.weights) {
            // Where there are none, or none that can be used, the job says so.
            match self.library().open(model, None) {
                Ok(weights) => settings.weights = Some(weights),
                Err(error) => tracing::warn!("{error}"),
            }
        }
        let computed = planning::expected(&request.settings, &self.shared.vram);
        let build = &self.shared.build;
        let keys: Option<Vec<_>> = computed.map(|computed| {
            let places = 0..request.settings.shapes();
            places
                .map(|place| identity::key_of_shape(&request, place, computed, build))
                .collect()
        });
        // A shape that is asked for alone is the whole result, and its image is hashed once.
        let key = match keys.as_deref() {
            Some([alone]) => Some(*alone),
            _ => computed.map(|computed| identity::key(&request, computed, build)),
        };
        let mut in_flight = self
            .shared
            .in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        in_flight.retain(|_, job| job.strong_count() > 0);
        let there = key.and_then(|key| in_flight.get(&key)?.upgrade());
        if let Some(submission) = there.and_then(|job| join(&job, &request, keys.as_deref())) {
            if chosen.is_none() {
                submission.job.asks_for_source();
            }
            let submission = submission.chosen_by(chosen);
            tracing::info!(job = submission.job.id.0, submission = %submission.id, "joined");
            return Ok(submission);
        }
        let id = JobId(self.shared.next_id.fetch_add(1, Ordering::Relaxed));
        let resolution = request.settings.resolution;
        let image = request.name.clone();
        let kept = keys.and_then(|keys| self.kept(&request, &keys));
        let (job, log) = Job::new(
            id,
            request,
            chosen.as_ref(),
            Arc::clone(&self.shared.wakers),
        );
        if let Some(outcome) = kept {
            drop(in_flight);
            job.record(Event::Cached);
            job.finish(Ok(outcome));
            let submission = Submission::new(job, log, Origin::Cached).chosen_by(chosen);
            tracing::info!(job = id.0, submission = %submission.id, image, resolution, "found");
            return Ok(submission);
        }
        let submission = Submission::new(Arc::clone(&job), log, Origin::Computed).chosen_by(chosen);
        let replaced = self.shared.queue.push(Arc::clone(&job), replaces)?;
        if let Some(key) = key {
            in_flight.insert(key, Arc::downgrade(&job));
        }
        drop(in_flight);
        if let Some(old) = replaced {
            old.record(Event::Cancelled);
        }
        tracing::info!(job = id.0, submission = %submission.id, image, resolution, "submitted");
        Ok(submission)
    }

    /// Has settings that leave the source open name one, and tells why that one; leaves others alone. So does
    /// submitting; this is for those who want to know before.
    pub fn choose(&self, settings: &mut Settings) -> Option<Chosen> {
        planning::choose(settings, self.shared.machine())
    }

    /// The result of an identical request, if the cache has it: every one of its shapes.
    fn kept(&self, request: &Request, keys: &[Key]) -> Option<Outcome> {
        // Level meshes are not kept.
        if !request.cache || request.keep_every_level {
            return None;
        }
        let cache = self.shared.store.as_ref()?.cache();
        let shapes = keys.iter().map(|&key| {
            let entry = cache.get(&key)?;
            match serde_json::from_value(entry.summary().clone()) {
                Ok(summary) => Some(Outcome {
                    summary,
                    mesh: ResultMesh::stored(entry),
                    matte: None,
                    usage: None,
                    further: Vec::new(),
                    key,
                }),
                Err(error) => {
                    tracing::warn!(%key, %error, "a cached summary cannot be read; it is made anew");
                    None
                }
            }
        });
        let mut shapes = shapes.collect::<Option<Vec<_>>>()?.into_iter();
        let mut first = shapes.next()?;
        first.further = shapes.collect();
        Some(first)
    }

    /// Lets go of a job. It ends, at once where it waits and within 200 ms where it runs, unless another
    /// caller still wants it.
    pub fn cancel(&self, submission: &Submission) {
        if submission.job.detach(&submission.events) {
            self.drop_waiting(&submission.job);
        }
    }

    /// Has a job that refines a shape from noise stop refining after the step under way, and finish the
    /// shape as it is predicted then. Other jobs do not notice; nor do callers that joined the job have a
    /// say.
    pub fn keep_prediction(&self, submission: &Submission) {
        submission
            .job
            .keeps_prediction
            .store(true, Ordering::Relaxed);
    }

    /// Takes a job out of the queue that was given up while it waited.
    fn drop_waiting(&self, job: &Job) {
        if job.cancel.is_cancelled()
            && let Some(waiting) = self.shared.queue.remove(job)
        {
            waiting.record(Event::Cancelled);
        }
    }

    /// Moves a waiting job so that it runs directly before `next`, or last where that is `None`; where
    /// `next` waits no more, it runs first. The others keep their order, and every job whose position
    /// changed announces the new one in its events.
    ///
    /// A job that other callers joined is moved forward, and never back: nobody makes another wait longer
    /// for what they share.
    ///
    /// # Errors
    ///
    /// [`NotMoved`]; the order is then as it was.
    pub fn move_before(&self, moved: &Submission, next: Option<JobId>) -> Result<(), NotMoved> {
        if moved.events.is_closed() {
            return Err(NotMoved::Gone);
        }
        let alone = || moved.job.callers_count() <= 1;
        self.shared.queue.move_before(&moved.job, next, alone)?;
        tracing::info!(job = moved.job.id.0, before = ?next, "moved in the queue");
        Ok(())
    }

    /// The jobs that wait for the worker, the next one first, whoever submitted them.
    pub fn queue_order(&self) -> Vec<JobId> {
        self.shared.queue.order()
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
        self.export_watched(export, Arc::default())
    }

    /// Writes a mesh on the export thread, for someone who watches and may stop it.
    ///
    /// # Errors
    ///
    /// [`ExportError::Busy`] when too many exports wait.
    pub fn export_watched(&self, export: Export, watch: Arc<Watch>) -> Result<Ticket, ExportError> {
        self.shared.exporter.export(export, watch)
    }

    /// The account of host memory.
    pub fn ledger(&self) -> &Ledger {
        self.shared.workbench.ledger()
    }

    /// The memory manager.
    pub fn vram(&self) -> &vram::Manager {
        &self.shared.vram
    }

    /// Where results are kept, if anywhere.
    pub fn store(&self) -> Option<&Store> {
        self.shared.store.as_ref()
    }

    /// The models on this machine.
    pub fn library(&self) -> &Library {
        self.shared.workbench.library()
    }

    /// Gives up everything that no job uses, and tells how many bytes that freed.
    pub fn free_memory(&self) -> u64 {
        let freed_bytes = self.shared.free_memory();
        tracing::info!(freed_bytes, "memory freed");
        freed_bytes
    }
}

/// A claim on a job for an identical request, where that can still be met.
fn join(job: &Arc<Job>, request: &Request, keys: Option<&[Key]>) -> Option<Submission> {
    let made_as = |outcome: &Outcome| {
        keys.is_some_and(|keys| {
            let made = outcome.shapes().map(|shape| &shape.key);
            made.eq(keys)
        })
    };
    let origin = match job.result() {
        None => Origin::Joined,
        // Kept on disk or about to be, and made as it would be made now.
        Some(Ok(outcome)) if request.cache && made_as(outcome) => Origin::Cached,
        Some(_) => return None,
    };
    if !job.request.keeps_all_that(request) {
        return None;
    }
    let log = job.attach()?;
    Some(Submission::new(Arc::clone(job), log, origin))
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
