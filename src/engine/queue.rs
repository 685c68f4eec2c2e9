//! Jobs that wait for the worker: bounded, first in, first out; a job may take the place of a waiting
//! one, and one that waits may be moved.
//!
//! Whatever changes how many jobs run before a waiting one is told in that job's events before anything
//! else can change it: the last position that a job announced is where it stands.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::events::Event;
use super::job::{Job, JobId};

/// The queue holds as many jobs as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the queue is full ({limit} jobs wait); try again when one of them has ended")]
pub struct QueueFull {
    /// The most jobs that may wait.
    pub limit: usize,
}

/// A job stays where it is in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotMoved {
    /// It began, or it ended.
    #[error("it waits no more")]
    Gone,
    /// Someone else waits for the same job, and would wait longer.
    #[error("another caller waits for the same result; it can be moved forward only")]
    Shared,
}

/// What the worker is to do.
#[derive(Debug)]
pub(super) enum Next {
    /// Run this job.
    Job(Arc<Job>),
    /// Nothing came for a while.
    Idle,
    /// End.
    Closed,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Arc<Job>>,
    running: Option<Arc<Job>>,
    closed: bool,
}

impl State {
    fn place(&self, job: JobId) -> Option<usize> {
        self.waiting.iter().position(|other| other.id == job)
    }

    /// Tells every waiting job how many run before it, where that is news.
    fn announce(&self) {
        let running = usize::from(self.running.is_some());
        for (place, job) in self.waiting.iter().enumerate() {
            let position = Event::Queued {
                ahead: place + running,
            };
            if job.events.last().as_ref() != Some(&position) {
                job.record(position);
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    limit: usize,
}

impl Queue {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            limit,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a job, in the place of another where that one still waits, and hands back the one it
    /// replaced. The job is told how many run before it before the worker can see it.
    pub(super) fn push(
        &self,
        job: Arc<Job>,
        replaces: Option<JobId>,
    ) -> Result<Option<Arc<Job>>, QueueFull> {
        let mut state = self.state();
        let replaced = match replaces.and_then(|old| state.place(old)) {
            Some(place) => Some(std::mem::replace(&mut state.waiting[place], job)),
            None if state.waiting.len() >= self.limit => {
                return Err(QueueFull { limit: self.limit });
            }
            None => {
                state.waiting.push_back(job);
                None
            }
        };
        state.announce();
        drop(state);
        self.changed.notify_all();
        Ok(replaced)
    }

    /// Moves a waiting job directly before another, or behind all where there is no such other. One
    /// that may not be delayed is moved forward only.
    pub(super) fn move_before(
        &self,
        job: &Job,
        next: Option<JobId>,
        may_be_delayed: impl FnOnce() -> bool,
    ) -> Result<(), NotMoved> {
        let mut state = self.state();
        let from = state.place(job.id).ok_or(NotMoved::Gone)?;
        let to = match next {
            // Its own place.
            Some(next) if next == job.id => from,
            // One that began since is not waited for.
            Some(next) => state.place(next).unwrap_or(0),
            None => state.waiting.len(),
        };
        // Behind `from` every place counts one less once the job is taken out.
        let to = if to > from { to - 1 } else { to };
        if to > from && !may_be_delayed() {
            return Err(NotMoved::Shared);
        }
        if let Some(moved) = state.waiting.remove(from) {
            state.waiting.insert(to, moved);
        }
        state.announce();
        Ok(())
    }

    /// The jobs that wait, the next one first.
    pub(super) fn order(&self) -> Vec<JobId> {
        self.state().waiting.iter().map(|job| job.id).collect()
    }

    /// How many jobs wait.
    pub(super) fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    /// The most jobs that may wait.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Waits for the next job and marks it as running.
    pub(super) fn next(&self, idle_after: Duration) -> Next {
        let mut state = self.state();
        state.running = None;
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, idle_after, |state| {
                state.waiting.is_empty() && !state.closed
            })
            .unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return Next::Closed;
        }
        state.running = state.waiting.pop_front();
        state.announce();
        state.running.clone().map_or(Next::Idle, Next::Job)
    }

    /// Takes a waiting job out of the queue.
    pub(super) fn remove(&self, job: &Job) -> Option<Arc<Job>> {
        let mut state = self.state();
        let place = state.place(job.id)?;
        let removed = state.waiting.remove(place);
        state.announce();
        removed
    }

    /// Cancels the running job, hands back the waiting ones, and lets the worker end.
    pub(super) fn close(&self) -> Vec<Arc<Job>> {
        let mut state = self.state();
        state.closed = true;
        if let Some(running) = &state.running {
            running.cancel.cancel();
        }
        let waiting = state.waiting.drain(..).collect();
        drop(state);
        self.changed.notify_all();
        waiting
    }
}
