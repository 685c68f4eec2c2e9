//! Callbacks of readers that want to know when something happened to a job.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::job::JobId;

type Waker = Box<dyn Fn(JobId) + Send + Sync>;

/// The readers' callbacks, called from whichever thread something happens on.
#[derive(Default)]
pub(super) struct Wakers(Mutex<Vec<Waker>>);

impl Wakers {
    fn list(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, waker: impl Fn(JobId) + Send + Sync + 'static) {
        self.list().push(Box::new(waker));
    }

    pub(super) fn wake(&self, id: JobId) {
        self.list().iter().for_each(|waker| waker(id));
    }
}

impl fmt::Debug for Wakers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wakers({})", self.list().len())
    }
}
