//! The lock of a folder across threads and processes, and the mark that tells of changes.
//!
//! The system releases the lock of a process that dies.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use uuid::Uuid;

use super::files;

/// The name of the lock file. It cannot be taken for a record's.
const FILE: &str = "lock";

/// Held while a folder is changed. Every holder opens the file anew, so that threads exclude one another
/// as processes do.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// Waits for the lock.
    pub(super) fn acquire(folder: &Path) -> io::Result<Self> {
        let file = open(folder)?;
        file.lock()?;
        Ok(Self(file))
    }

    /// Takes the lock unless someone holds it.
    pub(super) fn try_acquire(folder: &Path) -> io::Result<Option<Self>> {
        let file = open(folder)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// What the last change left; `None` when nothing was ever changed, or when it is not known.
    pub(super) fn mark(&mut self) -> Option<Uuid> {
        self.0.seek(SeekFrom::Start(0)).ok()?;
        read_mark(&mut self.0)
    }

    /// Announces a change, before it is made: whoever looks later finds another mark than the one they
    /// know. It has the same length every time, so that it needs no room on a full disk.
    pub(super) fn announce(&mut self) -> io::Result<Uuid> {
        let mark = Uuid::new_v4();
        self.0.seek(SeekFrom::Start(0))?;
        self.0.write_all(mark.as_bytes())?;
        Ok(mark)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file would leave the lock with a process that is just being started, until the
        // copies of this process's files are closed there.
        if let Err(error) = self.0.unlock() {
            tracing::debug!("the store's lock is released only with its file: {error}");
        }
    }
}

/// The mark as it is without the lock; `None` also where the lock's holder keeps others from reading it.
pub(super) fn peek_mark(folder: &Path) -> Option<Uuid> {
    read_mark(&mut File::open(folder.join(FILE)).ok()?)
}

fn read_mark(file: &mut File) -> Option<Uuid> {
    let mut mark = [0; 16];
    file.read_exact(&mut mark).ok()?;
    Some(Uuid::from_bytes(mark))
}

fn open(folder: &Path) -> io::Result<File> {
    files::own(File::options().read(true).write(true).create(true)).open(folder.join(FILE))
}
