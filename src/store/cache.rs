//! Finished results by what they were made from, within a limit of bytes; those not used for longest go
//! first.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use serde_json::Value;

use super::latents::LATENTS;
use super::shelf::{Freed, Keeps, Name, Record, Shelf, Unread};
use super::{Key, StoreError, mesh_file};
use crate::mesh::Mesh;

/// The folder in the cache folder, with the version of its form: another version never looks inside.
const FOLDER: &str = "results-1";

const MESH: &str = "glb";

impl Name for Key {}

/// Finished results on disk. See [`super::Store`].
#[derive(Debug)]
pub struct Cache {
    shelf: Arc<Shelf<Key>>,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// What is in the cache, and what became of it since this process opened it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CacheStatistics {
    /// Results that are kept, and latents of shapes.
    pub entries: u64,
    /// What they take on disk.
    pub bytes: u64,
    /// What they may take.
    pub limit_bytes: u64,
    /// Times a result was found.
    pub hits: u64,
    /// Times none was found.
    pub misses: u64,
    /// Results that made room for others.
    pub evictions: u64,
    /// Results that were dropped because they were damaged.
    pub repaired: u64,
}

/// A kept result. The mesh is read when it is asked for.
#[derive(Debug, Clone)]
pub struct Entry {
    shelf: Arc<Shelf<Key>>,
    record: Arc<Record<Key>>,
}

impl Cache {
    pub(super) fn open(folder: &Path, limit_bytes: u64) -> Result<Self, StoreError> {
        let folder = folder.join(FOLDER);
        let shelf = Shelf::open(folder, limit_bytes, &[MESH, LATENTS], Keeps::WhatFits)?;
        Ok(Self {
            shelf: Arc::new(shelf),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        })
    }

    /// Finds a result and marks it as used now. Reads its small record only and never waits for another
    /// thread or process.
    ///
    /// What cannot be read is a miss, with a warning; what is damaged is dropped as well.
    pub fn get(&self, key: &Key) -> Option<Entry> {
        let found = match self.shelf.read(key) {
            Ok(record) => Some(Entry {
                shelf: Arc::clone(&self.shelf),
                record: Arc::new(record),
            }),
            Err(Unread::Absent | Unread::Damaged(_)) => None,
            Err(Unread::Refused(error)) => {
                tracing::warn!("a cached result could not be read: {error}");
                None
            }
        };
        let counter = if found.is_some() {
            self.shelf.touch(key);
            &self.hits
        } else {
            &self.misses
        };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Keeps a result, in place of an earlier one with the same key, and makes room for it afterwards.
    /// Waits for other changes of the cache, also of other processes.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the cache is then as it was. [`StoreError::TooLarge`] for a result that would
    /// not fit if it were alone.
    pub fn put(&self, key: &Key, summary: &Value, mesh: &Mesh) -> Result<Entry, StoreError> {
        let glb = mesh_file::encode(mesh)?;
        let record = self.shelf.change()?.put(*key, summary, &[(MESH, &glb)])?;
        Ok(Entry {
            shelf: Arc::clone(&self.shelf),
            record: Arc::new(record),
        })
    }

    pub(super) fn shelf(&self) -> &Shelf<Key> {
        &self.shelf
    }

    pub(super) fn set_limit(&self, limit_bytes: u64) -> Result<(), StoreError> {
        self.shelf.set_limit(limit_bytes)
    }

    /// What is in the cache now.
    pub fn statistics(&self) -> CacheStatistics {
        let held = self.shelf.held();
        CacheStatistics {
            entries: held.entries,
            bytes: held.bytes,
            limit_bytes: self.shelf.limit_bytes(),
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            evictions: self.shelf.evictions(),
            repaired: self.shelf.repaired(),
        }
    }

    /// Removes every result.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when a file cannot be removed; those before it are gone.
    pub fn clear(&self) -> Result<Freed, StoreError> {
        self.shelf.change()?.clear()
    }
}

impl Entry {
    /// What was said about the result when it was kept.
    pub fn summary(&self) -> &Value {
        &self.record.content
    }

    /// The bytes of the mesh as GLB.
    pub fn glb_bytes(&self) -> u64 {
        self.record.file(MESH).map_or(0, |file| file.bytes)
    }

    /// The mesh as GLB, one unit of the mesh a metre.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] when it is not what was written: it is dropped. [`StoreError::Gone`] when
    /// it had to make room since it was found.
    pub fn glb(&self) -> Result<Vec<u8>, StoreError> {
        self.shelf.file(&self.record, MESH)
    }

    /// The mesh as it was kept: positions, triangles, texture coordinates and texture to the bit.
    ///
    /// # Errors
    ///
    /// As for [`Self::glb`], and [`StoreError::Unreadable`].
    pub fn mesh(&self) -> Result<Mesh, StoreError> {
        let glb = self.glb()?;
        mesh_file::decode(&glb).map_err(|cause| {
            self.shelf.drop_damaged(&self.record, &cause);
            StoreError::Unreadable(cause)
        })
    }
}
