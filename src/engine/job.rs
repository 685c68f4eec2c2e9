//! What the engine holds of a job while it lives.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use serde::Serialize;

use super::events::{Event, EventLog};
use super::failure::Failure;
use super::planning::Chosen;
use super::result_mesh::ResultMesh;
use super::settings::Settings;
use super::slot::Slot;
use super::summary::Summary;
use super::wakers::Wakers;
use crate::compute::{Cancel, Device};
use crate::mesh::Mesh;
use crate::photo::Matte;
use crate::store::Key;
use crate::vram::Usage;

/// Names a job in logs for the life of its engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct JobId(pub(super) u64);

/// One image to turn into a mesh.
#[derive(Debug, Clone)]
pub struct Request {
    /// The image file's bytes.
    pub image: Arc<[u8]>,
    /// What to call the image in logs.
    pub name: String,
    /// How to go about it.
    pub settings: Settings,
    /// Keep the meshes of every level until the job is dropped, not only those up to 128³.
    pub keep_every_level: bool,
    /// Take the result from the cache where it is there, and keep it there.
    pub cache: bool,
    /// Keep the result in the user's history.
    pub history: bool,
}

impl Request {
    /// Whether whoever asks for `other` finds all of it where this request, for the same result, is met.
    pub(super) fn keeps_all_that(&self, other: &Self) -> bool {
        self.keep_every_level >= other.keep_every_level
            && self.cache >= other.cache
            && self.history >= other.history
    }
}

/// A mesh on the way to the finest level.
#[derive(Debug)]
pub struct LevelMesh {
    /// Cells along the longest side.
    pub resolution: u32,
    /// The mesh, centred, its longest side 1.
    pub mesh: Mesh,
    /// Which of the job's shapes it is of, counted from 0.
    pub shape: usize,
}

/// How far a shape is that is refined from noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepsTaken {
    /// The steps taken.
    pub step: u32,
    /// The steps to take in all.
    pub steps: u32,
}

/// What a job made: one shape, or the first of several.
#[derive(Debug)]
pub struct Outcome {
    /// Everything but the mesh.
    pub summary: Summary,
    /// The finished mesh, centred, its longest side 1.
    pub mesh: ResultMesh,
    /// The matte that was used; `None` for a result from the cache, and for a further shape.
    pub matte: Option<Matte>,
    /// How much memory was in use before, during and after; `None` where there is no matte.
    pub usage: Option<Usage>,
    /// The shapes of the seeds that follow, where several were asked for; they have none of their own.
    pub further: Vec<Self>,
    /// Names the result in the cache.
    pub(super) key: Key,
}

impl Outcome {
    /// Every shape, in the order of their seeds.
    pub fn shapes(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.further)
    }

    /// One of the shapes, counted from 0.
    pub fn shape(&self, place: usize) -> Option<&Self> {
        self.shapes().nth(place)
    }
}

/// A job in the engine: shared by the worker and every reader.
#[derive(Debug)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// What was asked.
    pub request: Request,
    /// What happened so far.
    pub events: EventLog,
    /// The latest mesh.
    pub mesh: Slot<LevelMesh>,
    /// How far a shape is that is refined from noise; empty before its first step, and for any other shape.
    pub steps_taken: Slot<StepsTaken>,
    /// The matte, from when it is made; a result from the cache has none.
    pub matte: Slot<Matte>,
    pub(super) cancel: Cancel,
    /// The device that the source was chosen for, where every caller left that open.
    chosen_for: Mutex<Option<Device>>,
    /// Whether the shape is to be kept as it is predicted now.
    pub(super) keeps_prediction: AtomicBool,
    /// The logs of the callers that still want the job.
    callers: Mutex<Vec<Arc<EventLog>>>,
    levels: Mutex<Vec<Arc<LevelMesh>>>,
    result: OnceLock<Result<Arc<Outcome>, Failure>>,
    submitted: Instant,
    wakers: Arc<Wakers>,
}

/// Level meshes up to this resolution stay until the job leaves memory.
const KEPT_RESOLUTION: u32 = 128;

impl Job {
    /// A job with the log of its first caller.
    pub(super) fn new(
        id: JobId,
        request: Request,
        chosen: Option<&Chosen>,
        wakers: Arc<Wakers>,
    ) -> (Arc<Self>, Arc<EventLog>) {
        let log = Arc::<EventLog>::default();
        let job = Self {
            id,
            request,
            events: EventLog::default(),
            mesh: Slot::default(),
            steps_taken: Slot::default(),
            matte: Slot::default(),
            cancel: Cancel::default(),
            chosen_for: Mutex::new(chosen.and_then(|chosen| chosen.device)),
            keeps_prediction: AtomicBool::new(false),
            callers: Mutex::new(vec![Arc::clone(&log)]),
            levels: Mutex::default(),
            result: OnceLock::new(),
            submitted: Instant::now(),
            wakers,
        };
        (Arc::new(job), log)
    }

    fn choice(&self) -> MutexGuard<'_, Option<Device>> {
        self.chosen_for
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The device that the source was chosen for; `None` where a caller asked for the source.
    pub(super) fn chosen_for(&self) -> Option<Device> {
        *self.choice()
    }

    /// Notes that a caller asks for this very source.
    pub(super) fn asks_for_source(&self) {
        *self.choice() = None;
    }

    fn callers(&self) -> MutexGuard<'_, Vec<Arc<EventLog>>> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many callers still want the job.
    pub(super) fn callers_count(&self) -> usize {
        self.callers().len()
    }

    /// A log for one more caller; `None` once the job was given up or failed.
    pub(super) fn attach(&self) -> Option<Arc<EventLog>> {
        let mut callers = self.callers();
        let given_up = matches!(
            self.events.last(),
            Some(Event::Cancelled | Event::Failed { .. })
        );
        if given_up || self.cancel.is_cancelled() {
            return None;
        }
        let log = Arc::new(self.events.fork());
        callers.push(Arc::clone(&log));
        Some(log)
    }

    /// Ends one caller's log. The job is asked to stop, within 200 ms, when no other caller is left;
    /// tells whether that is so.
    pub(super) fn detach(&self, log: &Arc<EventLog>) -> bool {
        let mut callers = self.callers();
        let before = callers.len();
        callers.retain(|other| !Arc::ptr_eq(other, log));
        log.push(Event::Cancelled);
        let last = before > 0 && callers.is_empty();
        if last {
            self.cancel.cancel();
        }
        drop(callers);
        self.wakers.wake(self.id);
        last
    }

    /// The meshes of the levels that are kept, coarsest first, of one shape after another.
    pub fn levels(&self) -> Vec<Arc<LevelMesh>> {
        self.levels
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What the job made or why it failed; `None` while it runs and after it was cancelled.
    pub fn result(&self) -> Option<&Result<Arc<Outcome>, Failure>> {
        self.result.get()
    }

    /// When the job was submitted.
    pub fn submitted(&self) -> Instant {
        self.submitted
    }

    /// Appends an event to the job's log and every caller's, and wakes the readers.
    pub(super) fn record(&self, event: Event) {
        let callers = self.callers();
        // The job's own log first: whoever sees the end in a caller's finds the job ended.
        self.events.push(event.clone());
        callers.iter().for_each(|log| log.push(event.clone()));
        drop(callers);
        self.wakers.wake(self.id);
    }

    /// Tells how far the shape is, and wakes the readers.
    pub(super) fn tell_step(&self, step: u32, steps: u32) {
        self.steps_taken
            .publish(Arc::new(StepsTaken { step, steps }));
        self.wakers.wake(self.id);
    }

    pub(super) fn publish(&self, level: LevelMesh) {
        let event = Event::Level {
            resolution: level.resolution,
            vertices: level.mesh.positions.len(),
            faces: level.mesh.triangles.len(),
        };
        let level = Arc::new(level);
        if level.resolution <= KEPT_RESOLUTION || self.request.keep_every_level {
            let mut levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
            // A later look at a level takes the place of an earlier one.
            levels
                .retain(|other| (other.shape, other.resolution) != (level.shape, level.resolution));
            levels.push(Arc::clone(&level));
        }
        self.mesh.publish(level);
        self.record(event);
    }

    /// Stores the result before the event that announces it.
    pub(super) fn finish(&self, result: Result<Outcome, Failure>) {
        let event = match &result {
            Ok(_) => Event::Finished,
            Err(failure) => Event::Failed {
                message: failure.to_string(),
            },
        };
        if self.result.set(result.map(Arc::new)).is_ok() {
            self.record(event);
        }
    }
}
