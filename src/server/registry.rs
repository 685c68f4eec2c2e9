//! The submissions that clients made: those that live, and a bounded memory of those that ended.
//!
//! An ended submission is a small record. Meshes stay in memory for the latest jobs only, within a limit
//! of bytes, so that memory stays flat whatever clients do.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use jiff::Timestamp;
use uuid::Uuid;

use super::body::Held;
use super::config::Limits;
use super::documents::{JobDocument, Status};
use super::refusal::Refusal;
use crate::engine::{EventLog, Job, JobId, Submission};
use crate::mesh::Mesh;
use crate::store::Entry;

/// Logs of ended submissions that are kept for replay.
const KEPT_LOGS: usize = 256;

/// Results on disk that are remembered after they left memory.
const KEPT_ENTRIES: usize = 1000;

/// A submission that has not ended, or whose end was not noticed yet.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) submission: Submission,
    /// When it came.
    pub(super) created: Timestamp,
    pub(super) submitted: Instant,
    /// The longest side of the object, in millimetres.
    pub(super) size_mm: f64,
    /// What the client calls the image.
    pub(super) name: String,
    /// Its image's memory, given back when it ends.
    pub(super) _held: Vec<Held>,
}

/// What is remembered of a submission that ended. It never changes.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) id: Uuid,
    pub(super) job: JobId,
    pub(super) created: Timestamp,
    pub(super) submitted: Instant,
    pub(super) status: Status,
    pub(super) name: String,
    pub(super) resolution: u32,
    pub(super) keep_every_level: bool,
    /// The seeds of its shapes, where its source has any.
    pub(super) seeds: Vec<u64>,
    pub(super) size_mm: f64,
    /// How many events its log had.
    pub(super) events: usize,
    /// Everything about it, as JSON.
    pub(super) document: Bytes,
    /// Why it has no result.
    pub(super) refusal: Option<Refusal>,
}

/// A submission as it was found.
#[derive(Debug, Clone)]
pub(super) enum Found {
    Live(Arc<Live>),
    Ended(Arc<Ended>),
}

/// Where the meshes of an ended submission are.
#[derive(Debug)]
pub(super) enum Meshes {
    InMemory(Arc<Job>),
    /// Only the finished ones, on disk: one of each shape.
    Stored(Vec<Entry>),
}

/// A job whose meshes stay in memory.
#[derive(Debug)]
struct Kept {
    job: Arc<Job>,
    bytes: u64,
}

/// How many submissions ended in which way.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Totals {
    pub(super) submitted: u64,
    pub(super) completed: u64,
    pub(super) failed: u64,
    pub(super) cancelled: u64,
}

#[derive(Debug, Default)]
struct State {
    /// By the order in which they came.
    entries: BTreeMap<u64, Found>,
    numbers: HashMap<Uuid, u64>,
    next: u64,
    live: HashMap<Uuid, Arc<Live>>,
    /// The ended ones, oldest end first.
    ended: VecDeque<u64>,
    logs: VecDeque<(Uuid, Arc<EventLog>)>,
    kept: VecDeque<Kept>,
    kept_bytes: u64,
    /// Jobs that had to leave memory and are on disk, oldest first.
    stored: VecDeque<(JobId, Vec<Entry>)>,
    closed: bool,
    totals: Totals,
    /// A running mean of how long a computed job took.
    mean_seconds: f64,
}

/// The submissions of a server.
#[derive(Debug)]
pub(super) struct Registry {
    state: Mutex<State>,
    limits: Limits,
}

/// Why a submission was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotTaken {
    Closed,
    Full,
}

impl Registry {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            state: Mutex::default(),
            limits,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is whole before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a submission in, where that may be.
    pub(super) fn add(&self, live: &Arc<Live>) -> Result<(), NotTaken> {
        let mut state = self.state();
        if state.closed {
            return Err(NotTaken::Closed);
        }
        if state.live.len() >= self.limits.live_submissions {
            return Err(NotTaken::Full);
        }
        let id = live.submission.id;
        let number = state.next;
        state.next += 1;
        state.totals.submitted += 1;
        state.numbers.insert(id, number);
        state.entries.insert(number, Found::Live(Arc::clone(live)));
        state.live.insert(id, Arc::clone(live));
        Ok(())
    }

    /// Whether there is room for one more.
    pub(super) fn has_room(&self) -> Result<(), NotTaken> {
        let state = self.state();
        match state.live.len() {
            _ if state.closed => Err(NotTaken::Closed),
            live if live >= self.limits.live_submissions => Err(NotTaken::Full),
            _ => Ok(()),
        }
    }

    /// Takes no submission in any more; hands out those that live.
    pub(super) fn close(&self) -> Vec<Arc<Live>> {
        let mut state = self.state();
        state.closed = true;
        state.live.values().cloned().collect()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// A submission as it is now.
    pub(super) fn find(&self, id: Uuid) -> Option<Found> {
        let found = {
            let state = self.state();
            state.entries.get(state.numbers.get(&id)?).cloned()?
        };
        match found {
            Found::Live(live) if live.submission.events.is_closed() => {
                Some(Found::Ended(self.settle(&live)))
            }
            found => Some(found),
        }
    }

    /// The latest submissions, newest first, from the one before `before` on, and how many there are.
    pub(super) fn list(&self, before: Option<Uuid>, most: usize) -> Option<(Vec<Found>, usize)> {
        let state = self.state();
        let end = match before {
            Some(id) => *state.numbers.get(&id)?,
            None => state.next,
        };
        let page = state.entries.range(..end).rev().take(most);
        let page = page.map(|(_, found)| found.clone()).collect();
        Some((page, state.entries.len()))
    }

    /// Turns those that ended into records.
    pub(super) fn settle_all(&self) {
        let closed: Vec<_> = {
            let state = self.state();
            let live = state.live.values();
            live.filter(|live| live.submission.events.is_closed())
                .cloned()
                .collect()
        };
        for live in closed {
            self.settle(&live);
        }
    }

    /// Turns one that ended into a record; the same record whoever comes first.
    pub(super) fn settle(&self, live: &Arc<Live>) -> Arc<Ended> {
        // Made outside of the lock: it takes longer than everything inside.
        let ended = Arc::new(Ended::of(live));
        let mut state = self.state();
        let id = ended.id;
        let Some(&number) = state.numbers.get(&id) else {
            return ended;
        };
        if let Some(Found::Ended(earlier)) = state.entries.get(&number) {
            return Arc::clone(earlier);
        }
        state.live.remove(&id);
        state
            .entries
            .insert(number, Found::Ended(Arc::clone(&ended)));
        state.ended.push_back(number);
        while state.ended.len() > self.limits.ended_submissions {
            if let Some(oldest) = state.ended.pop_front()
                && let Some(Found::Ended(forgotten)) = state.entries.remove(&oldest)
            {
                state.numbers.remove(&forgotten.id);
            }
        }
        let log = (id, Arc::clone(&live.submission.events));
        state.logs.push_back(log);
        if state.logs.len() > KEPT_LOGS {
            state.logs.pop_front();
        }
        match ended.status {
            Status::Completed => {
                state.totals.completed += 1;
                let seconds = live.submission.job.submitted().elapsed().as_secs_f64();
                state.mean_seconds = if state.mean_seconds > 0.0 {
                    state.mean_seconds * 0.8 + seconds * 0.2
                } else {
                    seconds
                };
                self.keep(&mut state, &live.submission.job);
            }
            Status::Cancelled => state.totals.cancelled += 1,
            _ => state.totals.failed += 1,
        }
        ended
    }

    /// Keeps a job's meshes; those used longest ago make room.
    fn keep(&self, state: &mut State, job: &Arc<Job>) {
        if state.kept.iter().any(|kept| kept.job.id == job.id) {
            return;
        }
        let bytes = job_bytes(job);
        state.kept_bytes += bytes;
        state.kept.push_back(Kept {
            job: Arc::clone(job),
            bytes,
        });
        // The newest stays whatever its size: its client is about to ask for it.
        while state.kept_bytes > self.limits.kept_mesh_bytes && state.kept.len() > 1 {
            if let Some(oldest) = state.kept.pop_front() {
                state.kept_bytes -= oldest.bytes;
                state.remember_on_disk(&oldest.job);
            }
        }
    }

    /// The meshes of a job that ended, where they still are.
    pub(super) fn meshes(&self, id: JobId) -> Option<Meshes> {
        let mut state = self.state();
        let place = state.kept.iter().position(|kept| kept.job.id == id);
        if let Some(kept) = place.and_then(|place| state.kept.remove(place)) {
            let job = Arc::clone(&kept.job);
            state.kept.push_back(kept);
            return Some(Meshes::InMemory(job));
        }
        let mut stored = state.stored.iter().rev();
        stored
            .find(|(job, _)| *job == id)
            .map(|(_, entries)| Meshes::Stored(entries.clone()))
    }

    /// The log of an ended submission, where it is still there.
    pub(super) fn kept_log(&self, id: Uuid) -> Option<Arc<EventLog>> {
        let state = self.state();
        let mut logs = state.logs.iter().rev();
        logs.find(|(of, _)| *of == id)
            .map(|(_, log)| Arc::clone(log))
    }

    /// Lets go of all meshes in memory; the bytes that were freed.
    pub(super) fn drop_meshes(&self) -> u64 {
        let mut state = self.state();
        let dropped = std::mem::take(&mut state.kept);
        let bytes = std::mem::take(&mut state.kept_bytes);
        for kept in &dropped {
            state.remember_on_disk(&kept.job);
        }
        drop(state);
        drop(dropped);
        bytes
    }

    pub(super) fn live(&self) -> usize {
        self.state().live.len()
    }

    pub(super) fn kept_bytes(&self) -> u64 {
        self.state().kept_bytes
    }

    pub(super) fn totals(&self) -> Totals {
        self.state().totals
    }

    /// How long it may take until a place in the queue is free.
    pub(super) fn patience(&self) -> Duration {
        Duration::from_secs_f64(self.state().mean_seconds.clamp(1.0, 60.0))
    }
}

impl State {
    /// Remembers where the meshes of a job are that leaves memory.
    fn remember_on_disk(&mut self, job: &Job) {
        let entries: Option<Vec<_>> = match job.result() {
            Some(Ok(outcome)) => {
                let shapes = outcome.shapes();
                shapes.map(|shape| shape.mesh.entry().cloned()).collect()
            }
            _ => None,
        };
        if let Some(entries) = entries {
            self.stored.push_back((job.id, entries));
            if self.stored.len() > KEPT_ENTRIES {
                self.stored.pop_front();
            }
        }
    }
}

impl Ended {
    fn of(live: &Live) -> Self {
        let submission = &live.submission;
        let request = &submission.job.request;
        let refusal = match submission.result() {
            Some(Err(failure)) => Some(Refusal::failed(failure, request.settings.resolution)),
            _ => None,
        };
        let document = JobDocument::of(live);
        Self {
            id: submission.id,
            job: submission.job.id,
            created: live.created,
            submitted: live.submitted,
            status: document.status,
            name: live.name.clone(),
            resolution: request.settings.resolution,
            keep_every_level: request.keep_every_level,
            seeds: request.settings.seeds().unwrap_or_default(),
            size_mm: live.size_mm,
            events: submission.events.read(&mut Default::default()).len(),
            document: document.to_json(),
            refusal: refusal.map(|refusal| refusal.of(submission.id)),
        }
    }
}

/// What a job takes in memory, the textures that its meshes share counted with each.
fn job_bytes(job: &Job) -> u64 {
    let levels = job.levels();
    let of_levels: u64 = levels.iter().map(|level| mesh_bytes(&level.mesh)).sum();
    let of_outcome = match job.result() {
        // The slot holds the mesh a second time.
        Some(Ok(outcome)) => {
            let meshes = outcome.shapes().map(|shape| shape.mesh.in_memory());
            let meshes: u64 = meshes.flatten().map(|mesh| mesh_bytes(&mesh)).sum();
            let matte = outcome.matte.as_ref().map_or(0, |matte| matte.alpha.len());
            2 * meshes + matte as u64 * 4
        }
        _ => 0,
    };
    job.request.image.len() as u64 + of_levels + of_outcome
}

fn mesh_bytes(mesh: &Mesh) -> u64 {
    let vertices = mesh.positions.len() * 12
        + mesh.normals.len() * 12
        + mesh.uvs.len() * 8
        + mesh.colours.len() * 4;
    let texture = mesh
        .texture
        .as_ref()
        .map_or(0, |texture| texture.pixels.len() * 3);
    (vertices + mesh.triangles.len() * 12 + texture) as u64
}
