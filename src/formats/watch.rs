//! Watching a save from another thread: how far it is, and asking it to stop.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::SaveError;

/// What a save and whoever waits for it share.
#[derive(Debug, Default)]
pub struct Watch {
    cancelled: AtomicBool,
    written_bytes: AtomicU64,
}

impl Watch {
    /// Asks the save to stop. It is noticed with the next 64 KiB that are written, not while GLB and 3MF are
    /// put together in memory before that, and not once files get their names.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    /// Whether it was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// The bytes that were written so far, of all files together.
    pub fn written_bytes(&self) -> u64 {
        self.written_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn checkpoint(&self) -> Result<(), SaveError> {
        if self.is_cancelled() {
            return Err(SaveError::Cancelled);
        }
        Ok(())
    }

    /// A writer that counts, and fails once it was asked to stop.
    pub(super) fn over<W: Write>(&self, out: W) -> Watched<'_, W> {
        Watched { watch: self, out }
    }
}

/// What is written between two looks at whether to stop.
const STEP_BYTES: usize = 1 << 16;

pub(super) struct Watched<'a, W> {
    watch: &'a Watch,
    out: W,
}

impl<W: Write> Write for Watched<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Not `Interrupted`, after which everyone tries again.
        self.watch.checkpoint().map_err(io::Error::other)?;
        let written = self.out.write(&bytes[..bytes.len().min(STEP_BYTES)])?;
        self.watch
            .written_bytes
            .fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
