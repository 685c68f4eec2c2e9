//! What is asked of the engine, and what it holds of a job while it lives.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use serde::Serialize;

use super::events::{Event, EventLog, Stage};
use super::failure::Failure;
use super::slot::Slot;
use super::wakers::Wakers;
use crate::compute::Cancel;
use crate::inflate::{Controls, Mode};
use crate::mesh::Mesh;
use crate::mesh::checks::Report;
use crate::photo::{Matte, MatteKind, MatteRequest};

/// Names a job for the life of its engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct JobId(pub(super) u64);

/// Which shape source makes the solid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The best one that can run here.
    #[default]
    Auto,
    /// The embedded one: outline and shading, no weights.
    Inflate,
}

/// How an image is to become a mesh.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which shape source.
    pub source: Source,
    /// Cells along the longest side of the finest level.
    pub resolution: u32,
    /// How the subject is told from its background.
    pub matte: MatteRequest,
    /// The embedded source's controls.
    pub controls: Controls,
    /// Reduce the finest mesh to at most this many triangles.
    pub simplify_to_faces: Option<usize>,
}

impl Settings {
    /// The least resolution that shows anything.
    pub const MIN_RESOLUTION: u32 = 16;
    /// The greatest resolution that fits the promises of memory and time.
    pub const MAX_RESOLUTION: u32 = 512;
    /// The resolution where nothing else is asked.
    pub const DEFAULT_RESOLUTION: u32 = 256;
}

/// One image to turn into a mesh.
#[derive(Debug, Clone)]
pub struct Request {
    /// The image file's bytes.
    pub image: Arc<[u8]>,
    /// What to call the image in logs.
    pub name: String,
    /// How to go about it.
    pub settings: Settings,
    /// A job that this one makes pointless: it is cancelled, and its place in the queue is taken.
    pub supersedes: Option<JobId>,
    /// Keep the meshes of every level until the job is dropped, not only those up to 128³.
    pub keep_every_level: bool,
}

/// A mesh on the way to the finest level.
#[derive(Debug)]
pub struct LevelMesh {
    /// Cells along the longest side.
    pub resolution: u32,
    /// The mesh, centred, its longest side 1.
    pub mesh: Mesh,
}

/// How long a stage took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StageTime {
    /// Which stage.
    pub stage: Stage,
    /// Its wall-clock time.
    pub seconds: f64,
}

/// What a job made.
#[derive(Debug)]
pub struct Outcome {
    /// The finished mesh, centred, its longest side 1.
    pub mesh: Arc<Mesh>,
    /// What the checks found; lengths in units of the mesh.
    pub report: Report,
    /// The shape source that ran.
    pub source: Source,
    /// The kind of solid that it made.
    pub mode: Mode,
    /// Cells along the longest side.
    pub resolution: u32,
    /// The matte that was used.
    pub matte: Matte,
    /// Every stage in order, with its time.
    pub stages: Vec<StageTime>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// The most memory the job held in its ledger.
    pub peak_ledger_bytes: u64,
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
    pub(super) cancel: Cancel,
    levels: Mutex<Vec<Arc<LevelMesh>>>,
    result: OnceLock<Result<Arc<Outcome>, Failure>>,
    submitted: Instant,
    wakers: Arc<Wakers>,
}

/// Level meshes up to this resolution stay until the job leaves memory.
const KEPT_RESOLUTION: u32 = 128;

impl Job {
    pub(super) fn new(id: JobId, request: Request, wakers: Arc<Wakers>) -> Self {
        Self {
            id,
            request,
            events: EventLog::default(),
            mesh: Slot::default(),
            cancel: Cancel::default(),
            levels: Mutex::default(),
            result: OnceLock::new(),
            submitted: Instant::now(),
            wakers,
        }
    }

    /// Asks the job to stop; it answers within 200 ms. Pointless once it ended.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// The meshes of the levels that are kept, coarsest first.
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

    /// Appends an event and wakes the readers.
    pub(super) fn record(&self, event: Event) {
        self.events.push(event);
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
            self.levels
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(Arc::clone(&level));
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

/// What a matte's kind is called in reports.
pub fn matte_kind_name(kind: MatteKind) -> &'static str {
    match kind {
        MatteKind::Alpha => "alpha",
        MatteKind::Estimated => "estimated",
        MatteKind::Full => "full",
        MatteKind::User => "user",
    }
}
