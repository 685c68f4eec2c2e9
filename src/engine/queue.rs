//! Jobs that wait for the worker: bounded, first in, first out; a job may take the place of a waiting
//! one.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::job::{Job, JobId};

/// The queue holds as many jobs as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the queue is full ({limit} jobs wait); try again when one of them has ended")]
pub struct QueueFull {
    /// The most jobs that may wait.
    pub limit: usize,
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
    /// replaced; `announce` is called with the number of jobs that run before it, before the worker can
    /// see it.
    pub(super) fn push(
        &self,
        job: Arc<Job>,
        replaces: Option<JobId>,
        announce: impl FnOnce(usize),
    ) -> Result<Option<Arc<Job>>, QueueFull> {
        let mut state = self.state();
        let place = replaces.and_then(|old| state.waiting.iter().position(|other| other.id == old));
        let running = usize::from(state.running.is_some());
        let replaced = match place {
            Some(place) => {
                announce(place + running);
                Some(std::mem::replace(&mut state.waiting[place], job))
            }
            None if state.waiting.len() >= self.limit => {
                return Err(QueueFull { limit: self.limit });
            }
            None => {
                announce(state.waiting.len() + running);
                state.waiting.push_back(job);
                None
            }
        };
        drop(state);
        self.changed.notify_all();
        Ok(replaced)
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
        state.running.clone().map_or(Next::Idle, Next::Job)
    }

    /// Takes a waiting job out of the queue.
    pub(super) fn remove(&self, job: &Job) -> Option<Arc<Job>> {
        let mut state = self.state();
        let place = state.waiting.iter().position(|other| other.id == job.id)?;
        state.waiting.remove(place)
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
