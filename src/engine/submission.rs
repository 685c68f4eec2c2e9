//! A caller's claim on a job.
//!
//! Identical requests in flight share one job, and each caller has a submission of its own: an id, a log
//! that ends when the caller lets go, and a way to let go that no other caller notices.

use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use super::events::{Cursor, Event, EventLog, Stage};
use super::failure::Failure;
use super::job::{Job, Outcome};
use super::planning::Chosen;
use super::slot::Seen;

/// What is known of a submission without waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waits for the worker.
    Queued,
    /// The worker is at it.
    Running,
    /// The result is there.
    Completed,
    /// There is a reason instead of a result.
    Failed,
    /// The caller let go of it.
    Cancelled,
}

/// How a submission came by its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// It is computed for this submission.
    Computed,
    /// It was under way for an identical request.
    Joined,
    /// Its result was in the cache.
    Cached,
}

/// A caller's claim on a job. Dropping it lets the job run on.
#[derive(Debug)]
pub struct Submission {
    /// Names the submission wherever the program is spoken to from outside.
    pub id: Uuid,
    /// The job, perhaps shared with other callers.
    pub job: Arc<Job>,
    /// What happened so far, as this caller sees it.
    pub events: Arc<EventLog>,
    /// How the job was come by.
    pub origin: Origin,
    /// Which source was chosen, and why, where the caller left that open.
    pub chosen: Option<Chosen>,
}

impl Submission {
    pub(super) fn new(job: Arc<Job>, events: Arc<EventLog>, origin: Origin) -> Self {
        Self {
            id: Uuid::new_v4(),
            job,
            events,
            origin,
            chosen: None,
        }
    }

    pub(super) fn chosen_by(self, chosen: Option<Chosen>) -> Self {
        Self { chosen, ..self }
    }

    /// What is known now.
    pub fn state(&self) -> State {
        match self.events.last() {
            None | Some(Event::Queued { .. }) => State::Queued,
            Some(Event::Finished) => State::Completed,
            Some(Event::Failed { .. }) => State::Failed,
            Some(Event::Cancelled) => State::Cancelled,
            Some(_) => State::Running,
        }
    }

    /// Whether its shape is refined from noise just now, and a step was taken, so that what is predicted can be
    /// kept.
    pub fn is_refining(&self) -> bool {
        let events = self.events.read(&mut Cursor::default());
        let stages = events
            .iter()
            .rev()
            .filter_map(|stamped| match stamped.event {
                Event::Stage { stage } => Some(stage),
                _ => None,
            });
        let began_a_step = self.job.steps_taken.newer_than(&mut Seen::default());
        self.state() == State::Running
            && stages.take(1).eq([Stage::Shape])
            && began_a_step.is_some()
    }

    /// The result or why there is none; `None` while the job runs and after the caller let go.
    pub fn result(&self) -> Option<&Result<Arc<Outcome>, Failure>> {
        match self.state() {
            State::Cancelled => None,
            _ => self.job.result(),
        }
    }
}
