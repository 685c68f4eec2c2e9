//! Wakes asynchronous readers when something happens to their job, without a thread a reader.
//!
//! The engine's wakers call from the worker's thread; a bell rings and returns at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::engine::JobId;

/// A bell for each job that somebody listens to, and one for all of them.
#[derive(Debug, Default)]
pub(super) struct Bells {
    by_job: Mutex<HashMap<JobId, watch::Sender<()>>>,
    any: watch::Sender<()>,
}

impl Bells {
    fn by_job(&self) -> MutexGuard<'_, HashMap<JobId, watch::Sender<()>>> {
        self.by_job.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes who listens to the job.
    pub(super) fn ring(&self, job: JobId) {
        if let Some(bell) = self.by_job().get(&job) {
            bell.send_replace(());
        }
        self.any.send_replace(());
    }

    /// Hears of everything that happens to the job from now on.
    pub(super) fn listen(self: &Arc<Self>, job: JobId) -> Listener {
        let receiver = self.by_job().entry(job).or_default().subscribe();
        Listener {
            receiver,
            job,
            bells: Arc::clone(self),
        }
    }

    /// Hears of everything that happens to any job.
    pub(super) fn listen_to_all(&self) -> watch::Receiver<()> {
        self.any.subscribe()
    }
}

/// A reader of a job's events.
#[derive(Debug)]
pub(super) struct Listener {
    receiver: watch::Receiver<()>,
    job: JobId,
    bells: Arc<Bells>,
}

impl Listener {
    /// Waits until something happened since the last call.
    pub(super) async fn heard(&mut self) {
        // The sender lives as long as a listener does, so this cannot fail.
        self.receiver.changed().await.ok();
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut by_job = self.bells.by_job();
        if by_job
            .get(&self.job)
            .is_some_and(|bell| bell.receiver_count() <= 1)
        {
            by_job.remove(&self.job);
        }
    }
}
