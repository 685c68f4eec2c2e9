//! A folder of entries, each a small record and a few files, within a limit of bytes.
//!
//! ```text
//! <name>.json                  the record: names the generation, lengths and checksums of the files
//! <name>.<generation>.<kind>   a file
//! <name>.<generation>.part     a record that is being written
//! lock                         held while anything changes; holds the mark of the last change
//! ```
//!
//! An entry comes to be in one step, when its record gets its name, and ends in one step, when the record
//! is removed: its files come before and go after. A record is replaced by one with files of another
//! generation. So whoever reads needs no lock, and a process that is killed leaves at most files that no
//! record names. All changes are made under the lock, so whoever holds it knows that such files are
//! leftovers.

mod change;
mod files;
mod index;
mod lock;
mod record;

use std::fmt::{Debug, Display};
use std::fs::File;
use std::hash::Hash;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde::Serialize;

pub(super) use record::Record;

use super::{Damage, StoreError};
use change::Change;
use index::Index;
use lock::Lock;

/// What entries are called. Its text form is a file name without dots, and reads back as the name.
pub(super) trait Name: Copy + Eq + Hash + Ord + Debug + Display + FromStr {
    /// The time by which entries make room, where the name itself tells it; or else it is the time when
    /// the entry was last used.
    fn age_mark(&self) -> Option<SystemTime> {
        None
    }
}

/// Why an entry could not be read.
#[derive(Debug)]
pub(super) enum Unread {
    /// There is none.
    Absent,
    /// It was damaged, and dropped where nothing stood in the way.
    Damaged(Damage),
    /// The system refused; it may not the next time.
    Refused(StoreError),
}

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Freed {
    /// Results or records.
    pub entries: u64,
    /// The bytes they took on disk.
    pub bytes: u64,
}

/// What there is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) entries: u64,
    pub(super) bytes: u64,
}

/// A folder of entries. See the module.
#[derive(Debug)]
pub(super) struct Shelf<N> {
    folder: PathBuf,
    limit_bytes: u64,
    /// The kinds of files that entries have, which are their extensions.
    kinds: &'static [&'static str],
    /// Locked for moments only, never while files are written.
    index: Mutex<Index<N>>,
    evictions: AtomicU64,
    repaired: AtomicU64,
}

impl<N: Name> Shelf<N> {
    pub(super) fn open(
        folder: PathBuf,
        limit_bytes: u64,
        kinds: &'static [&'static str],
    ) -> Result<Self, StoreError> {
        files::make_folder(&folder)?;
        let shelf = Self {
            folder,
            limit_bytes,
            kinds,
            index: Mutex::default(),
            evictions: AtomicU64::new(0),
            repaired: AtomicU64::new(0),
        };
        match shelf.try_change() {
            Ok(Some(mut change)) => change.make_room(None),
            // Someone changes something just now; the next change of ours clears up.
            Ok(None) => shelf.look_again()?,
            Err(error) => {
                tracing::warn!("the store can be read only: {error}");
                shelf.look_again()?;
            }
        }
        Ok(shelf)
    }

    pub(super) fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    /// How many entries made room for others.
    pub(super) fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }

    /// How many entries were dropped because they were damaged.
    pub(super) fn repaired(&self) -> u64 {
        self.repaired.load(Ordering::Relaxed)
    }

    fn index(&self) -> MutexGuard<'_, Index<N>> {
        // Nothing in it is half changed between two statements.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record_path(&self, name: &N) -> PathBuf {
        self.folder.join(index::record_file_name(name))
    }

    fn file_path(&self, record: &Record<N>, kind: &str) -> PathBuf {
        let file_name = index::file_name(&record.name, record.generation, kind);
        self.folder.join(file_name)
    }

    /// Waits for the lock, and brings what is known of the folder up to date.
    pub(super) fn change(&self) -> Result<Change<'_, N>, StoreError> {
        files::make_folder(&self.folder)?;
        let lock = Lock::acquire(&self.folder)
            .map_err(|cause| StoreError::at("lock this folder", &self.folder, cause))?;
        Change::new(self, lock)
    }

    fn try_change(&self) -> Result<Option<Change<'_, N>>, StoreError> {
        Lock::try_acquire(&self.folder)
            .map_err(|cause| StoreError::at("lock this folder", &self.folder, cause))?
            .map(|lock| Change::new(self, lock))
            .transpose()
    }

    /// Looks at the folder without changing anything.
    fn look_again(&self) -> Result<(), StoreError> {
        // Only under the lock is what is seen known to be all of what the mark stands for.
        let lock = Lock::try_acquire(&self.folder).ok().flatten();
        let (mut index, _) = change::take_stock(self)?;
        index.mark = lock.and_then(|mut lock| lock.mark());
        *self.index() = index;
        Ok(())
    }

    /// What there is, as of the last finished change of any process. Never waits for one.
    pub(super) fn held(&self) -> Held {
        let known = self.index().mark;
        if (known.is_none() || lock::peek_mark(&self.folder) != known)
            && let Err(error) = self.look_again()
        {
            tracing::warn!("the store could not be looked at: {error}");
        }
        let index = self.index();
        Held {
            entries: index.items.len() as u64,
            bytes: index.bytes(),
        }
    }

    /// The names that have a record, in no order.
    pub(super) fn list(&self) -> Result<Vec<N>, StoreError> {
        let found = index::survey::<N>(&self.folder, self.kinds)
            .map_err(|cause| StoreError::at("list this folder", &self.folder, cause))?;
        Ok(found
            .into_iter()
            .filter_map(|(name, found)| found.record.map(|_| name))
            .collect())
    }

    /// Reads a record and sees that its files are there. What is damaged is dropped.
    pub(super) fn read(&self, name: &N) -> Result<Record<N>, Unread> {
        let inspected = self.inspect(name);
        match inspected {
            Err(Unread::Damaged(_)) => {}
            Err(Unread::Absent) => {
                let mut index = self.index();
                // Whoever removed it may have left no mark, such as a user who tidies up.
                if index.items.contains_key(name) {
                    index.mark = None;
                }
                return inspected;
            }
            _ => return inspected,
        }
        // It may just have been replaced or removed, which is no damage.
        match self.try_change() {
            Ok(Some(mut change)) => {
                let inspected = self.inspect(name);
                if let Err(Unread::Damaged(damage)) = &inspected {
                    change.drop_damaged(name, damage);
                }
                inspected
            }
            Ok(None) => self.inspect(name),
            Err(error) => {
                tracing::warn!("a damaged entry cannot be dropped: {error}");
                self.inspect(name)
            }
        }
    }

    fn inspect(&self, name: &N) -> Result<Record<N>, Unread> {
        let bytes = match files::read(&self.record_path(name), record::MAX_BYTES, false) {
            Err(Unread::Damaged(Damage::Missing)) => return Err(Unread::Absent),
            read => read?,
        };
        let record = Record::from_bytes(&bytes, name, self.kinds).map_err(Unread::Damaged)?;
        for file in &record.files {
            if files::length(&self.file_path(&record, &file.kind))? != file.bytes {
                return Err(Unread::Damaged(Damage::Length));
            }
        }
        Ok(record)
    }

    /// The contents of a file, which are what was written. An entry with damaged contents is dropped.
    pub(super) fn file(
        &self,
        record: &Record<N>,
        kind: &'static str,
    ) -> Result<Vec<u8>, StoreError> {
        let file = record.file(kind).ok_or(StoreError::Gone)?;
        let read = files::read(&self.file_path(record, kind), file.bytes, true).and_then(|bytes| {
            file.check(&bytes).map_err(Unread::Damaged)?;
            Ok(bytes)
        });
        match read {
            Ok(bytes) => Ok(bytes),
            Err(Unread::Refused(error)) => Err(error),
            Err(Unread::Absent) => Err(StoreError::Gone),
            Err(Unread::Damaged(damage)) => {
                let current = self.inspect(&record.name);
                let replaced = matches!(&current, Ok(now) if now.generation != record.generation);
                if replaced || matches!(current, Err(Unread::Absent)) {
                    return Err(StoreError::Gone);
                }
                self.drop_damaged(record, &damage);
                Err(StoreError::Damaged { file: kind, damage })
            }
        }
    }

    /// Drops an entry of whose contents something is wrong, unless it was replaced since.
    pub(super) fn drop_damaged(&self, record: &Record<N>, damage: &dyn Display) {
        match self.try_change() {
            Ok(Some(mut change)) => {
                let current = self.inspect(&record.name);
                let replaced = matches!(&current, Ok(now) if now.generation != record.generation);
                if !replaced && !matches!(current, Err(Unread::Absent)) {
                    change.drop_damaged(&record.name, damage);
                }
            }
            // It is found damaged again when it is read again.
            Ok(None) => tracing::warn!("a damaged entry was found ({damage})"),
            Err(error) => tracing::warn!("a damaged entry ({damage}) cannot be dropped: {error}"),
        }
    }

    /// Marks an entry as used now: in the time of its record, so that every process knows.
    pub(super) fn touch(&self, name: &N) {
        let mut index = self.index();
        let now = index.now();
        if let Some(item) = index.items.get_mut(name) {
            item.age_mark = now;
        }
        drop(index);
        let touched = File::options()
            .write(true)
            .open(self.record_path(name))
            .and_then(|file| file.set_modified(now));
        if let Err(error) = touched {
            tracing::debug!("the time of use could not be kept: {error}");
        }
    }
}
