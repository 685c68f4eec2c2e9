//! Downloading a model: one file after another, each resumed where an earlier try ended, and none kept
//! that is not the published one.

use std::fs;
use std::path::Path;

use super::transfer::Transfer;
use super::{DownloadError, Hub};
use crate::compute::Cancel;
use crate::compute::host::free_disk_bytes;
use crate::models::catalogue::Model;

/// Left free on the disk.
const SPARE_BYTES: u64 = 64 << 20;

/// How far a download is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The file under way.
    pub file: &'static str,
    /// What has arrived of all files.
    pub done_bytes: u64,
    /// What all files take.
    pub total_bytes: u64,
}

impl Hub {
    /// Downloads a model's files into the cache, unless they are there, and tells their folder. An
    /// interrupted download goes on from where it ended. `told` is called often, from this thread.
    ///
    /// # Errors
    ///
    /// [`DownloadError`]; what has arrived is kept unless it is known to be wrong.
    pub fn download(
        &self,
        model: &Model,
        is_licence_accepted: bool,
        cancel: &Cancel,
        told: &mut dyn FnMut(Progress),
    ) -> Result<std::path::PathBuf, DownloadError> {
        let licence = &model.licence;
        if let Some(excludes) = licence.excludes
            && !is_licence_accepted
        {
            return Err(DownloadError::Licence {
                title: model.title,
                licence: licence.name,
                excludes,
                url: licence.url,
            });
        }
        if let Some(folder) = self.locate(model) {
            return Ok(folder);
        }
        if !model.can_be_downloaded() {
            return Err(DownloadError::Unchecked {
                title: model.title,
                repository: model.repository,
            });
        }
        if self.offline {
            return Err(DownloadError::Offline { title: model.title });
        }
        self.require_room(model)?;
        let transfer = Transfer::new(self)?;
        let snapshot = self.snapshot(model);
        let total_bytes = model.size_bytes();
        let mut before = 0;
        for file in model.files {
            if !snapshot.join(file.path).is_file() {
                let partial = self.partial(model, file);
                create_parent(&partial)?;
                transfer.file(model, file, &partial, cancel, &mut |done_bytes| {
                    told(Progress {
                        file: file.path,
                        done_bytes: before + done_bytes,
                        total_bytes,
                    });
                })?;
                self.place(model, file).map_err(disk(&partial))?;
            }
            before += file.size_bytes;
        }
        Ok(snapshot)
    }

    /// Refuses a download that the disk has no room for. Where the system does not tell, it is tried.
    fn require_room(&self, model: &Model) -> Result<(), DownloadError> {
        let length = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
        let snapshot = self.snapshot(model);
        let arrived = model.files.iter().map(|file| {
            let place = snapshot.join(file.path);
            length(&place).max(length(&self.partial(model, file)))
        });
        let left_bytes = model.size_bytes().saturating_sub(arrived.sum());
        let required_bytes = left_bytes.saturating_add(SPARE_BYTES);
        match free_disk_bytes(&self.cache) {
            Some(free_bytes) if free_bytes < required_bytes => Err(DownloadError::NoRoom {
                required_bytes,
                free_bytes,
                folder: self.cache.clone(),
            }),
            _ => Ok(()),
        }
    }
}

fn create_parent(path: &Path) -> Result<(), DownloadError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(disk(folder))
}

pub(super) fn disk(path: &Path) -> impl FnOnce(std::io::Error) -> DownloadError {
    let path = path.to_owned();
    move |cause| DownloadError::Disk { path, cause }
}
