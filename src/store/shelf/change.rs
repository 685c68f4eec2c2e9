//! Changes of a folder, one at a time among all threads and processes.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Display;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use serde_json::Value;
use tempfile::TempPath;
use uuid::Uuid;

use super::index::{self, Found, Index, Item, RecordFile};
use super::lock::Lock;
use super::record::{Record, RecordedFile};
use super::{Freed, Keeps, Name, Shelf, Unread, files};
use crate::store::{Damage, StoreError};

/// The right to change a folder. What is known of the folder is up to date while it is held.
pub(in crate::store) struct Change<'a, N: Name> {
    shelf: &'a Shelf<N>,
    /// Why other processes could not be told that something changes.
    unannounced: Option<io::Error>,
    _lock: Lock,
}

/// What a look at a folder shows beside its entries.
#[derive(Debug)]
pub(super) struct Rest<N> {
    /// Files that no record names.
    leftovers: Vec<PathBuf>,
    damaged: Vec<(N, Damage)>,
}

/// Looks at every file of a folder, and reads records where their files alone do not tell.
pub(super) fn take_stock<N: Name>(shelf: &Shelf<N>) -> Result<(Index<N>, Rest<N>), StoreError> {
    let found = index::survey::<N>(&shelf.folder, shelf.kinds)
        .map_err(|cause| StoreError::at("list this folder", &shelf.folder, cause))?;
    let mut index = Index::default();
    let mut rest = Rest {
        leftovers: Vec::new(),
        damaged: Vec::new(),
    };
    for (name, Found { record, files }) in found {
        let (record_bytes, modified) = match record {
            Some(RecordFile::Whole { bytes, modified }) => (bytes, modified),
            Some(RecordFile::NotAFile) => {
                rest.damaged.push((name, Damage::NotAFile));
                continue;
            }
            None => {
                let paths = files.iter().map(|file| shelf.folder.join(&file.file_name));
                rest.leftovers.extend(paths);
                continue;
            }
        };
        let generations: BTreeSet<Uuid> = files
            .iter()
            .filter(|file| !file.is_part)
            .map(|file| file.generation)
            .collect();
        let generation = match (generations.first(), generations.len()) {
            (Some(generation), 1) => *generation,
            _ => match shelf.inspect(&name) {
                Ok(record) => record.generation,
                Err(Unread::Absent) => continue,
                Err(Unread::Damaged(damage)) => {
                    rest.damaged.push((name, damage));
                    continue;
                }
                Err(Unread::Refused(error)) => {
                    tracing::warn!("a record could not be read and is left alone: {error}");
                    continue;
                }
            },
        };
        let (current, other): (Vec<_>, Vec<_>) = files
            .iter()
            .partition(|file| file.generation == generation && !file.is_part);
        let paths = other.iter().map(|file| shelf.folder.join(&file.file_name));
        rest.leftovers.extend(paths);
        let item = Item {
            bytes: current
                .iter()
                .map(|file| file.bytes)
                .fold(record_bytes, u64::saturating_add),
            age_mark: name.age_mark().unwrap_or(modified),
            generation,
        };
        index.insert(name, item);
    }
    Ok((index, rest))
}

impl<'a, N: Name> Change<'a, N> {
    pub(super) fn new(shelf: &'a Shelf<N>, mut lock: Lock) -> Result<Self, StoreError> {
        let mark = lock.mark();
        let up_to_date = mark.is_some() && shelf.index().mark == mark;
        let stock = if up_to_date {
            None
        } else {
            Some(take_stock(shelf)?)
        };
        let announced = lock.announce();
        let (mark, unannounced) = match announced {
            Ok(mark) => (Some(mark), None),
            Err(error) => (None, Some(error)),
        };
        let mut change = Self {
            shelf,
            unannounced,
            _lock: lock,
        };
        match stock {
            None => shelf.index().mark = mark,
            Some((mut index, rest)) => {
                index.mark = mark;
                *shelf.index() = index;
                change.clear_up(rest);
            }
        }
        Ok(change)
    }

    /// Removes what an interrupted process left behind, and what can be seen to be damaged.
    fn clear_up(&mut self, rest: Rest<N>) {
        for leftover in rest.leftovers {
            match files::remove(&leftover) {
                Ok(_) => tracing::debug!("removed a leftover: {}", leftover.display()),
                Err(error) => tracing::warn!("a leftover stays: {error}"),
            }
        }
        for (name, damage) in rest.damaged {
            self.drop_damaged(&name, &damage);
        }
        // A file that grew must not push out what is whole.
        if self.shelf.index().held().bytes > self.shelf.limit_bytes() {
            for name in self.names() {
                if let Err(Unread::Damaged(damage)) = self.shelf.inspect(&name) {
                    self.drop_damaged(&name, &damage);
                }
            }
        }
    }

    /// The names of all entries.
    pub(in crate::store) fn names(&self) -> Vec<N> {
        self.shelf.index().items.keys().copied().collect()
    }

    /// Writes an entry, in place of an earlier one with its name, and makes room for it afterwards.
    pub(in crate::store) fn put(
        &mut self,
        name: N,
        content: &Value,
        contents: &[(&'static str, &[u8])],
    ) -> Result<Record<N>, StoreError> {
        let shelf = self.shelf;
        let record = Record {
            name,
            generation: Uuid::new_v4(),
            files: contents
                .iter()
                .map(|(kind, bytes)| RecordedFile::new(kind, bytes))
                .collect(),
            content: content.clone(),
        };
        let text = record.to_bytes()?;
        let bytes = text.len() as u64 + record.files.iter().map(|file| file.bytes).sum::<u64>();
        if shelf.keeps == Keeps::WhatFits && bytes > shelf.limit_bytes() {
            return Err(StoreError::TooLarge {
                bytes,
                limit_bytes: shelf.limit_bytes(),
            });
        }
        if let Some(cause) = self.unannounced.take() {
            return Err(StoreError::at("write", &shelf.folder, cause));
        }

        let mut written = Vec::new();
        for (kind, bytes) in contents {
            written.push(files::write_new(&shelf.file_path(&record, kind), bytes)?);
        }
        let age_mark = self.commit(&record, &text)?;
        for file in &mut written {
            file.disable_cleanup(true);
        }

        let item = Item {
            bytes,
            age_mark,
            generation: record.generation,
        };
        let mut index = shelf.index();
        let replaced = index.remove(&name);
        index.insert(name, item);
        drop(index);
        if let Some(replaced) = replaced {
            self.remove_files(&name, replaced.generation);
        }
        self.make_room();
        Ok(record)
    }

    /// Writes a record and gives it its name, which is the moment from which the entry is there. Returns
    /// the time by which it makes room.
    fn commit(&mut self, record: &Record<N>, text: &[u8]) -> Result<SystemTime, StoreError> {
        let folder = &self.shelf.folder;
        let part = index::file_name(&record.name, record.generation, index::PART);
        let mut part: TempPath = files::write_new(&folder.join(part), text)?;
        let path = self.shelf.record_path(&record.name);
        let failed = |cause| StoreError::at("write", &path, cause);
        let own_time = record.name.age_mark();
        let age_mark = own_time.unwrap_or_else(|| self.shelf.index().now());
        files::set_time(&part, age_mark);
        // The files must be found after a power failure if the record is.
        files::sync_folder(folder);
        if matches!(files::length(&path), Err(Unread::Damaged(Damage::NotAFile))) {
            files::remove(&path)?;
        }
        fs::rename(&part, &path).map_err(failed)?;
        part.disable_cleanup(true);
        files::sync_folder(folder);
        Ok(age_mark)
    }

    /// Removes an entry; whether there was one.
    pub(in crate::store) fn remove(&mut self, name: &N) -> Result<bool, StoreError> {
        let removed = self.take_away(name)?;
        files::sync_folder(&self.shelf.folder);
        Ok(removed)
    }

    /// Removes the record first, so that the entry is never there in part.
    fn take_away(&mut self, name: &N) -> Result<bool, StoreError> {
        let removed = files::remove(&self.shelf.record_path(name))?;
        let item = self.shelf.index().remove(name);
        if let Some(item) = item {
            self.remove_files(name, item.generation);
        }
        Ok(removed)
    }

    /// Removes files that no record names any more. Those that stay are leftovers.
    fn remove_files(&mut self, name: &N, generation: Uuid) {
        for kind in self.shelf.kinds {
            let file_name = index::file_name(name, generation, kind);
            if let Err(error) = files::remove(&self.shelf.folder.join(file_name)) {
                tracing::warn!("a file without a record stays: {error}");
                self.shelf.index().mark = None;
            }
        }
    }

    /// Removes everything of an entry with which something is wrong.
    pub(super) fn drop_damaged(&mut self, name: &N, damage: &dyn Display) {
        let dropped = self.take_away(name).and_then(|_| {
            // Its record may name other files than there are.
            let found = self.survey()?.remove(name).unwrap_or_default();
            found.files.iter().try_for_each(|file| {
                files::remove(&self.shelf.folder.join(&file.file_name)).map(drop)
            })
        });
        match dropped {
            Ok(()) => {
                tracing::warn!("dropped a damaged entry ({damage}): {name}");
                self.shelf.repaired.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => tracing::warn!("a damaged entry ({damage}) cannot be dropped: {error}"),
        }
    }

    fn survey(&self) -> Result<HashMap<N, Found>, StoreError> {
        index::survey(&self.shelf.folder, self.shelf.kinds)
            .map_err(|cause| StoreError::at("list this folder", &self.shelf.folder, cause))
    }

    /// Removes entries, first those whose time is oldest, until the limit is kept.
    pub(super) fn make_room(&mut self) {
        let shelf = self.shelf;
        let mut queue: BTreeSet<(SystemTime, N)> = {
            let index = shelf.index();
            if index.held().bytes <= shelf.limit_bytes() {
                return;
            }
            let items = index.items.iter();
            items.map(|(name, item)| (item.age_mark, *name)).collect()
        };
        if shelf.keeps == Keeps::TheNewest {
            queue.pop_last();
        }
        while shelf.index().held().bytes > shelf.limit_bytes() {
            let Some((age_mark, name)) = queue.pop_first() else {
                break;
            };
            // Another process may have used it since.
            if let Some(used) = self.used_since(&name, age_mark) {
                queue.insert((used, name));
                continue;
            }
            match self.take_away(&name) {
                Ok(_) => {
                    tracing::debug!("removed to make room: {name}");
                    shelf.evictions.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => tracing::warn!("an entry cannot make room: {error}"),
            }
        }
        files::sync_folder(&shelf.folder);
    }

    /// When an entry was last used, if that is after `age_mark`.
    fn used_since(&self, name: &N, age_mark: SystemTime) -> Option<SystemTime> {
        if name.age_mark().is_some() {
            return None;
        }
        let metadata = fs::symlink_metadata(self.shelf.record_path(name)).ok()?;
        let used = metadata.modified().ok()?;
        if let Some(item) = self.shelf.index().items.get_mut(name) {
            item.age_mark = used;
        }
        (used > age_mark).then_some(used)
    }

    /// Removes every entry, and every file that an entry may have left.
    pub(in crate::store) fn clear(&mut self) -> Result<Freed, StoreError> {
        let mut freed = Freed::default();
        let mark = self.shelf.index().mark.take();
        for (name, found) in self.survey()? {
            if let Some(record) = &found.record {
                files::remove(&self.shelf.record_path(&name))?;
                freed.entries += 1;
                if let RecordFile::Whole { bytes, .. } = record {
                    freed.bytes = freed.bytes.saturating_add(*bytes);
                }
            }
            self.shelf.index().remove(&name);
            for file in &found.files {
                files::remove(&self.shelf.folder.join(&file.file_name))?;
                freed.bytes = freed.bytes.saturating_add(file.bytes);
            }
        }
        // Where a file could not be removed, the folder is looked at again.
        self.shelf.index().mark = mark;
        files::sync_folder(&self.shelf.folder);
        Ok(freed)
    }
}
