//! Finished results on disk: a cache of them by what they were made from, and a history of jobs.
//!
//! Every change is atomic and locked across processes; what is damaged is dropped and made anew. It
//! never decides what is computed.
//!
//! Architecture invariant: nothing from outside becomes a path. File names are made from [`Key`] and
//! [`RecordId`] alone.

mod cache;
mod error;
mod history;
mod key;
mod latents;
mod mesh_file;
mod shelf;
mod thumbnails;

use std::path::PathBuf;
use std::sync::Arc;

pub use cache::{Cache, CacheStatistics, Entry};
pub use error::{Damage, StoreError};
pub use history::{History, HistoryRecord, NewRecord, RecordId, TakenOut};
pub use key::{Key, KeyParts};
pub use latents::Latents;
pub use shelf::Freed;
pub use thumbnails::Thumbnails;

/// The environment variable that names the folder of the cache.
pub const CACHE_FOLDER_VARIABLE: &str = "ORFEAS_CACHE_DIR";

/// The environment variable that names the folder of the history.
pub const DATA_FOLDER_VARIABLE: &str = "ORFEAS_DATA_DIR";

/// Where the store lives. Both may be the same folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    /// For what can be made anew: the cache.
    pub cache: PathBuf,
    /// For what the user made: the history.
    pub data: PathBuf,
}

impl Folders {
    /// The environment's folders, or else the platform's; `None` when neither names one.
    pub fn of_platform() -> Option<Self> {
        let platform = directories::ProjectDirs::from("", "", "orfeas");
        let folder = |variable, of_platform: fn(&directories::ProjectDirs) -> PathBuf| {
            std::env::var_os(variable)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
                .or_else(|| platform.as_ref().map(of_platform))
        };
        Some(Self {
            cache: folder(CACHE_FOLDER_VARIABLE, |platform| {
                platform.cache_dir().to_owned()
            })?,
            // Not the roaming folder: gigabytes must not follow the user from machine to machine.
            data: folder(DATA_FOLDER_VARIABLE, |platform| {
                platform.data_local_dir().to_owned()
            })?,
        })
    }
}

/// What the store may take on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For the cache; beyond it, the results that were not used for longest go.
    pub cache_bytes: u64,
    /// For the history; beyond it, the oldest records go, but never the newest one.
    pub history_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cache_bytes: 2_000_000_000,
            history_bytes: 2_000_000_000,
        }
    }
}

/// The cache and the history. Clones share both; several processes may open the same folders.
#[derive(Debug, Clone)]
pub struct Store(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    cache: Cache,
    history: History,
    thumbnails: Thumbnails,
}

impl Store {
    /// Opens the store, making its folders where they are missing, and clears away what an interrupted
    /// process left behind. Never waits for another process.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when a folder can neither be made nor read. A folder that can only be read is
    /// opened: what is in it can be used.
    pub fn open(folders: &Folders, limits: Limits) -> Result<Self, StoreError> {
        Ok(Self(Arc::new(Parts {
            cache: Cache::open(&folders.cache, limits.cache_bytes)?,
            history: History::open(&folders.data, limits.history_bytes)?,
            thumbnails: Thumbnails::open(&folders.cache)?,
        })))
    }

    /// Sets other limits. Where they are exceeded, what was not used for longest and the oldest records
    /// go at once. Waits for other changes, also of other processes.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when a folder cannot be changed; the limits hold from the next change on.
    pub fn set_limits(&self, limits: Limits) -> Result<(), StoreError> {
        let cache = self.0.cache.set_limit(limits.cache_bytes);
        self.0.history.set_limit(limits.history_bytes)?;
        cache
    }

    /// Finished results by what they were made from.
    pub fn cache(&self) -> &Cache {
        &self.0.cache
    }

    /// What the user made, newest first.
    pub fn history(&self) -> &History {
        &self.0.history
    }

    /// Small pictures of what is in the history.
    pub fn thumbnails(&self) -> &Thumbnails {
        &self.0.thumbnails
    }
}
