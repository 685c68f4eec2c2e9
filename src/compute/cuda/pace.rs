//! How much work may be queued before the host waits for some of it: so much that the device never waits,
//! and so little that a cancelled job ends soon.

use std::time::Instant;

/// How long a chunk of work should take; at most two are queued.
const TARGET_SECONDS: f64 = 0.04;
/// The first chunk, in operations: 10 ms of a small device.
const FIRST_OPERATIONS: f64 = 2e10;
const OPERATIONS: std::ops::RangeInclusive<f64> = 1e9..=1e14;

/// Counts work and says where a chunk of it ends. The clock decides nothing but that.
#[derive(Debug)]
pub(super) struct Pace {
    /// Queued since the last chunk ended.
    queued: f64,
    chunk: f64,
    /// When the last chunk was seen to be done.
    done_at: Option<Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            queued: 0.0,
            chunk: FIRST_OPERATIONS,
            done_at: None,
        }
    }
}

impl Pace {
    /// Counts work; whether a chunk ends with it.
    pub(super) fn count(&mut self, operations: f64) -> bool {
        self.queued += operations;
        let ends = self.queued >= self.chunk;
        if ends {
            self.queued = 0.0;
        }
        ends
    }

    /// A chunk is done: the next is as large as it has to be to take as long as it should.
    pub(super) fn done(&mut self, now: Instant) {
        if let Some(before) = self.done_at.replace(now) {
            let seconds = now.duration_since(before).as_secs_f64();
            let change = (TARGET_SECONDS / seconds.max(1e-6)).clamp(0.5, 2.0);
            self.chunk = (self.chunk * change).clamp(*OPERATIONS.start(), *OPERATIONS.end());
        }
    }

    /// Nothing is queued any more; the time until more is queued does not count.
    pub(super) fn rest(&mut self) {
        self.queued = 0.0;
        self.done_at = None;
    }
}
