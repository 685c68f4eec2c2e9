//! A place for the latest value of something: a newer one replaces one that nobody took.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How much of a slot a reader has seen; starts before the first value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen(u64);

/// The latest value, shared between one writer and any number of readers.
#[derive(Debug)]
pub struct Slot<T>(Mutex<(u64, Option<Arc<T>>)>);

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self(Mutex::new((0, None)))
    }
}

impl<T> Slot<T> {
    fn state(&self) -> MutexGuard<'_, (u64, Option<Arc<T>>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the value.
    pub(super) fn publish(&self, value: Arc<T>) {
        let mut state = self.state();
        state.0 += 1;
        state.1 = Some(value);
    }

    /// The value, if it is newer than what the reader has seen.
    pub fn newer_than(&self, seen: &mut Seen) -> Option<Arc<T>> {
        let state = self.state();
        if state.0 == seen.0 {
            return None;
        }
        seen.0 = state.0;
        state.1.clone()
    }
}
