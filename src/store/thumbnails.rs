//! Small pictures of what is in the history, as PNG files in the cache folder: they can be made anew, and
//! those of the oldest records make room.

use std::path::Path;

use super::shelf::{Keeps, Shelf, Unread};
use super::{RecordId, StoreError};

/// The folder in the cache folder, with the version of what the pictures look like.
const FOLDER: &str = "thumbnails-1";
/// What all of them may take. Meshes without a texture were measured at 16 to 18 KB, so some 1300 of them.
const LIMIT_BYTES: u64 = 24_000_000;

const PICTURE: &str = "png";

/// Pictures by the record that they show. See [`super::Store`].
#[derive(Debug)]
pub struct Thumbnails {
    shelf: Shelf<RecordId>,
}

impl Thumbnails {
    pub(super) fn open(folder: &Path) -> Result<Self, StoreError> {
        let folder = folder.join(FOLDER);
        Ok(Self {
            shelf: Shelf::open(folder, LIMIT_BYTES, &[PICTURE], Keeps::WhatFits)?,
        })
    }

    /// The picture of a record as a PNG file; `None` where there is none, or none that can be read.
    pub fn get(&self, record: RecordId) -> Option<Vec<u8>> {
        let found = match self.shelf.read(&record) {
            Ok(found) => found,
            Err(Unread::Absent | Unread::Damaged(_)) => return None,
            Err(Unread::Refused(error)) => {
                tracing::warn!("a thumbnail could not be read: {error}");
                return None;
            }
        };
        self.shelf.file(&found, PICTURE).ok()
    }

    /// Keeps the picture of a record, in the place of an earlier one.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; what was kept is then as it was.
    pub fn put(&self, record: RecordId, png: &[u8]) -> Result<(), StoreError> {
        let nothing = serde_json::Value::Null;
        let mut change = self.shelf.change()?;
        change.put(record, &nothing, &[(PICTURE, png)])?;
        Ok(())
    }

    /// Removes the picture of a record; whether there was one.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot be removed.
    pub fn remove(&self, record: RecordId) -> Result<bool, StoreError> {
        self.shelf.change()?.remove(&record)
    }
}
