//! A flag that asks running work to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The work was asked to stop, and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cancelled")]
pub struct Cancelled;

/// A shared flag: any thread may raise it, running work looks at it between chunks.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<Flag>);

#[derive(Debug, Default)]
struct Flag {
    is_raised: AtomicBool,
    /// What this work is a part of.
    whole: Option<Cancel>,
}

impl Cancel {
    /// A flag for a part of the work, which stops with it and can be stopped alone.
    #[must_use]
    pub fn of_part(&self) -> Self {
        Self(Arc::new(Flag {
            is_raised: AtomicBool::new(false),
            whole: Some(self.clone()),
        }))
    }

    /// Asks the work to stop. It cannot be taken back.
    pub fn cancel(&self) {
        self.0.is_raised.store(true, Ordering::Release);
    }

    /// Whether the work was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        let whole = self.0.whole.as_ref();
        self.0.is_raised.load(Ordering::Acquire) || whole.is_some_and(Self::is_cancelled)
    }

    /// Returns from the work with `?` once it was asked to stop.
    pub fn checkpoint(&self) -> Result<(), Cancelled> {
        if self.is_cancelled() {
            Err(Cancelled)
        } else {
            Ok(())
        }
    }
}
