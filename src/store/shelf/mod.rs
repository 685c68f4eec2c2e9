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

/// Whether the limit may leave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeps {
    /// An entry that is larger than the limit is refused.
    WhatFits,
    /// The newest entry stays, whatever its size.
    TheNewest,
}

/// A folder of entries. See the module.
#[derive(Debug)]
pub(super) struct Shelf<N> {
    folder: PathBuf,
    limit_bytes: AtomicU64,
    /// The kinds of files that entries have, which are their extensions.
    kinds: &'static [&'static str],
    keeps: Keeps,
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
        keeps: Keeps,
    ) -> Result<Self, StoreError> {
        files::make_folder(&folder)?;
        let shelf = Self {
            folder,
            limit_bytes: AtomicU64::new(limit_bytes),
            kinds,
            keeps,
            index: Mutex::default(),
            evictions: AtomicU64::new(0),
            repaired: AtomicU64::new(0),
        };
        match shelf.try_change() {
            Ok(Some(mut change)) => change.make_room(),
            // Someone changes something just now; the next change of ours clears up.
            Ok(None) => {}
            Err(error) => {
                tracing::warn!("the store can only be read: {error}");
                shelf.look()?;
            }
        }
        Ok(shelf)
    }

    pub(super) fn limit_bytes(&self) -> u64 {
        self.limit_bytes.load(Ordering::Relaxed)
    }

    /// Sets another limit, and makes room where it is exceeded.
    pub(super) fn set_limit(&self, limit_bytes: u64) -> Result<(), StoreError> {
        self.limit_bytes.store(limit_bytes, Ordering::Relaxed);
        self.change()?.make_room();
        Ok(())
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

    /// What there is, as of the last finished change of any process. Never waits for one.
    pub(super) fn held(&self) -> Held {
        let index = self.index();
        let (known, held) = (index.mark, index.held());
        drop(index);
        if known.is_some() && lock::peek_mark(&self.folder) == known {
            return held;
        }
        self.look().unwrap_or_else(|error| {
            tracing::warn!("the store could not be looked at: {error}");
            held
        })
    }

    /// Looks at the folder without changing anything.
    fn look(&self) -> Result<Held, StoreError> {
        let lock = Lock::try_acquire(&self.folder).ok().flatten();
        let (mut index, _) = change::take_stock(self)?;
        let held = index.held();
        // What was seen while others were at work may be neither the old nor the new state.
        if let Some(mut lock) = lock {
            index.mark = lock.mark();
            *self.index() = index;
        }
        Ok(held)
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

    /// Reads a record and sees that its files are there.
    fn inspect(&self, name: &N) -> Result<Record<N>, Unread> {
        let record = self.read_record(name)?;
        for file in &record.files {
            if files::length(&self.file_path(&record, &file.kind))? != file.bytes {
                return Err(Unread::Damaged(Damage::Length));
            }
        }
        Ok(record)
    }

    fn read_record(&self, name: &N) -> Result<Record<N>, Unread> {
        let bytes = match files::read(&self.record_path(name), record::MAX_BYTES, false) {
            Err(Unread::Damaged(Damage::Missing)) => return Err(Unread::Absent),
            read => read?,
        };
        Record::from_bytes(&bytes, name, self.kinds).map_err(Unread::Damaged)
    }

    /// Whether a record was neither replaced nor removed since it was read.
    fn is_current(&self, record: &Record<N>) -> bool {
        match self.read_record(&record.name) {
            Ok(now) => now.generation == record.generation,
            Err(Unread::Absent) => false,
            Err(Unread::Damaged(_) | Unread::Refused(_)) => true,
        }
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
            Err(Unread::Damaged(damage)) if self.is_current(record) => {
                self.drop_damaged(record, &damage);
                Err(StoreError::Damaged { file: kind, damage })
            }
            Err(Unread::Absent | Unread::Damaged(_)) => Err(StoreError::Gone),
        }
    }

    /// Drops an entry of whose contents something is wrong, unless it was replaced since.
    pub(super) fn drop_damaged(&self, record: &Record<N>, damage: &dyn Display) {
        match self.try_change() {
            Ok(Some(mut change)) => {
                if self.is_current(record) {
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
        files::set_time(&self.record_path(name), now);
    }
}
