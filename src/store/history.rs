//! What the user made: image, settings and mesh of each finished job, within a limit of bytes; the
//! oldest go first.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::shelf::{Freed, Keeps, Name, Record, Shelf, Unread};
use super::{Damage, StoreError, mesh_file};
use crate::mesh::Mesh;

/// The folder in the data folder, with the version of its form: another version never looks inside.
const FOLDER: &str = "history-1";

const IMAGE: &str = "image";
const MATTE: &str = "matte";
const MESH: &str = "glb";
const KINDS: &[&str] = &[IMAGE, MATTE, MESH];

/// Names a record: a UUID of version 7, so that records sort by the time they were made, whatever
/// becomes of the files' times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordId(Uuid);

impl RecordId {
    /// An id after `newest`, also when the clock was set back or stands still.
    fn after(newest: Option<Self>) -> Self {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let next = newest.map_or(0, |id| id.milliseconds() + 1);
        let milliseconds = (now.as_millis() as u64).max(next);
        let mut random = [0; 10];
        random.copy_from_slice(&Uuid::new_v4().into_bytes()[..10]);
        Self(uuid::Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid())
    }

    /// When the record was made, in milliseconds since 1970.
    fn milliseconds(self) -> u64 {
        (self.0.as_u128() >> 80) as u64
    }

    /// When the record was made.
    pub fn created(self) -> Timestamp {
        // 48 bits of milliseconds reach to the year 10889, a little further than timestamps do.
        i64::try_from(self.milliseconds())
            .ok()
            .and_then(|milliseconds| Timestamp::from_millisecond(milliseconds).ok())
            .unwrap_or(Timestamp::MAX)
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for RecordId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

impl Name for RecordId {
    fn age_mark(&self) -> Option<SystemTime> {
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(self.milliseconds()))
    }
}

/// A finished job to be kept.
#[derive(Debug, Clone, Copy)]
pub struct NewRecord<'a> {
    /// The image file's bytes.
    pub image: &'a [u8],
    /// What the user calls the image; it is kept as text and never a path.
    pub image_name: &'a str,
    /// The bytes of the image that was the matte, where the user gave one.
    pub matte_image: Option<&'a [u8]>,
    /// What was asked for.
    pub settings: &'a Value,
    /// What came out.
    pub summary: &'a Value,
    /// The finished mesh.
    pub mesh: &'a Mesh,
}

/// A kept job, without its image and mesh.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HistoryRecord {
    /// Its name.
    pub id: RecordId,
    /// When it was kept.
    pub created: Timestamp,
    /// What the user called the image.
    pub image_name: String,
    /// What was asked for.
    pub settings: Value,
    /// What came out.
    pub summary: Value,
    /// The image file's size.
    pub image_bytes: u64,
    /// The mesh's size as GLB.
    pub mesh_bytes: u64,
}

/// The part of a record that is not the store's own.
#[derive(Serialize, Deserialize)]
struct Content {
    image_name: String,
    settings: Value,
    summary: Value,
}

/// A record that is not in the history any more, with everything that belonged to it.
#[derive(Debug, Clone)]
pub struct TakenOut {
    id: RecordId,
    content: Value,
    files: Vec<(&'static str, Vec<u8>)>,
}

/// What the user made. See [`super::Store`].
#[derive(Debug)]
pub struct History {
    shelf: Shelf<RecordId>,
}

impl History {
    pub(super) fn open(folder: &Path, limit_bytes: u64) -> Result<Self, StoreError> {
        let folder = folder.join(FOLDER);
        Ok(Self {
            shelf: Shelf::open(folder, limit_bytes, KINDS, Keeps::TheNewest)?,
        })
    }

    /// Keeps a finished job, and makes room for it afterwards. Waits for other changes of the history,
    /// also of other processes.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the history is then as it was.
    pub fn add(&self, record: &NewRecord<'_>) -> Result<RecordId, StoreError> {
        let glb = mesh_file::encode(record.mesh)?;
        let content = serde_json::json!({
            "image_name": record.image_name,
            "settings": record.settings,
            "summary": record.summary,
        });
        let mut files = vec![(IMAGE, record.image), (MESH, &glb)];
        files.extend(record.matte_image.map(|matte| (MATTE, matte)));
        let mut change = self.shelf.change()?;
        let id = RecordId::after(change.names().into_iter().max());
        change.put(id, &content, &files)?;
        Ok(id)
    }

    /// Every record, the newest first. Reads their small records only; what is damaged is dropped, with
    /// a warning.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the folder cannot be read.
    pub fn list(&self) -> Result<Vec<HistoryRecord>, StoreError> {
        let mut ids = self.shelf.list()?;
        ids.sort_unstable_by(|a, b| b.cmp(a));
        let records = ids.into_iter().filter_map(|id| match self.shelf.read(&id) {
            Ok(record) => self.present(record).ok(),
            Err(Unread::Absent | Unread::Damaged(_)) => None,
            Err(Unread::Refused(error)) => {
                tracing::warn!("a record of the history could not be read: {error}");
                None
            }
        });
        Ok(records.collect())
    }

    /// One record.
    ///
    /// # Errors
    ///
    /// [`StoreError::Gone`] when there is no such record; [`StoreError::Damaged`] when it is not what was
    /// kept: it is dropped.
    pub fn get(&self, id: RecordId) -> Result<HistoryRecord, StoreError> {
        self.present(self.record(id)?)
    }

    fn present(&self, mut record: Record<RecordId>) -> Result<HistoryRecord, StoreError> {
        let content = std::mem::take(&mut record.content);
        let content: Content = serde_json::from_value(content).map_err(|error| {
            self.shelf.drop_damaged(&record, &error);
            StoreError::Damaged {
                file: "record",
                damage: Damage::Form,
            }
        })?;
        let bytes = |kind| record.file(kind).map_or(0, |file| file.bytes);
        Ok(HistoryRecord {
            id: record.name,
            created: record.name.created(),
            image_name: content.image_name,
            settings: content.settings,
            summary: content.summary,
            image_bytes: bytes(IMAGE),
            mesh_bytes: bytes(MESH),
        })
    }

    /// The image file's bytes.
    ///
    /// # Errors
    ///
    /// [`StoreError::Gone`] when there is no such record; [`StoreError::Damaged`] when the image is not
    /// what was kept: the record is dropped.
    pub fn image(&self, id: RecordId) -> Result<Vec<u8>, StoreError> {
        self.shelf.file(&self.record(id)?, IMAGE)
    }

    /// The bytes of the image that was the matte; `None` where there was none.
    ///
    /// # Errors
    ///
    /// As for [`Self::image`].
    pub fn matte_image(&self, id: RecordId) -> Result<Option<Vec<u8>>, StoreError> {
        let record = self.record(id)?;
        record
            .file(MATTE)
            .map(|_| self.shelf.file(&record, MATTE))
            .transpose()
    }

    /// The mesh as GLB, one unit of the mesh a metre.
    ///
    /// # Errors
    ///
    /// As for [`Self::image`].
    pub fn glb(&self, id: RecordId) -> Result<Vec<u8>, StoreError> {
        self.shelf.file(&self.record(id)?, MESH)
    }

    /// The mesh as it was kept.
    ///
    /// # Errors
    ///
    /// As for [`Self::image`], and [`StoreError::Unreadable`].
    pub fn mesh(&self, id: RecordId) -> Result<Mesh, StoreError> {
        let record = self.record(id)?;
        let glb = self.shelf.file(&record, MESH)?;
        mesh_file::decode(&glb).map_err(|cause| {
            self.shelf.drop_damaged(&record, &cause);
            StoreError::Unreadable(cause)
        })
    }

    fn record(&self, id: RecordId) -> Result<Record<RecordId>, StoreError> {
        self.shelf.read(&id).map_err(|unread| match unread {
            Unread::Absent => StoreError::Gone,
            Unread::Damaged(damage) => StoreError::Damaged {
                file: "record",
                damage,
            },
            Unread::Refused(error) => error,
        })
    }

    /// Removes a record; whether there was one.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when a file cannot be removed.
    pub fn remove(&self, id: RecordId) -> Result<bool, StoreError> {
        self.shelf.change()?.remove(&id)
    }

    /// Removes a record and hands over all that it was, for [`Self::put_back`].
    ///
    /// It is gone from disk, for every process: what can still be undone is in memory alone, so an
    /// interrupted program leaves nothing behind that was deleted.
    ///
    /// # Errors
    ///
    /// As for [`Self::image`], and [`StoreError`] when a file cannot be removed; the record then stays.
    pub fn take_out(&self, id: RecordId) -> Result<TakenOut, StoreError> {
        let record = self.record(id)?;
        let mut files = Vec::new();
        for kind in KINDS {
            if record.file(kind).is_some() {
                files.push((*kind, self.shelf.file(&record, kind)?));
            }
        }
        self.remove(id)?;
        Ok(TakenOut {
            id,
            content: record.content,
            files,
        })
    }

    /// Keeps a record again that was taken out, under its own name and so in its own place.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the history is then as it was.
    pub fn put_back(&self, taken: &TakenOut) -> Result<(), StoreError> {
        let files: Vec<_> = taken
            .files
            .iter()
            .map(|(kind, bytes)| (*kind, bytes.as_slice()))
            .collect();
        let mut change = self.shelf.change()?;
        change.put(taken.id, &taken.content, &files)?;
        Ok(())
    }

    /// The newest record that was made from the image with this BLAKE3 hash. Reads no image.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the folder cannot be read.
    pub fn find_image(&self, hash: &blake3::Hash) -> Result<Option<RecordId>, StoreError> {
        let mut ids = self.shelf.list()?;
        ids.sort_unstable_by(|a, b| b.cmp(a));
        Ok(ids.into_iter().find(|id| {
            self.shelf
                .read(id)
                .is_ok_and(|record| record.file(IMAGE).is_some_and(|file| file.has_hash(hash)))
        }))
    }

    /// Removes every record.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when a file cannot be removed; those before it are gone.
    pub fn clear(&self) -> Result<Freed, StoreError> {
        self.shelf.change()?.clear()
    }

    pub(super) fn set_limit(&self, limit_bytes: u64) -> Result<(), StoreError> {
        self.shelf.set_limit(limit_bytes)
    }

    /// What the history takes on disk.
    pub fn bytes(&self) -> u64 {
        self.shelf.held().bytes
    }

    /// What it may take.
    pub fn limit_bytes(&self) -> u64 {
        self.shelf.limit_bytes()
    }
}
