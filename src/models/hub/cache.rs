//! The hub's cache: finding a model in it, placing a downloaded file, removing a model.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Hub;
use crate::models::catalogue::{Model, RemoteFile};

/// The end of the name of a file that is being downloaded.
const PARTIAL: &str = "incomplete";

impl Hub {
    fn model_folder(&self, model: &Model) -> PathBuf {
        let name = model.repository.replace('/', "--");
        self.cache.join(format!("models--{name}"))
    }

    pub(super) fn snapshot(&self, model: &Model) -> PathBuf {
        self.model_folder(model)
            .join("snapshots")
            .join(model.revision)
    }

    fn blob(&self, model: &Model, file: &RemoteFile) -> PathBuf {
        self.model_folder(model).join("blobs").join(file.sha256)
    }

    /// Where a file is while it is downloaded.
    pub(super) fn partial(&self, model: &Model, file: &RemoteFile) -> PathBuf {
        self.blob(model, file).with_extension(PARTIAL)
    }

    /// The folder that holds a model's files: of the revision this version was tried with, else of the
    /// branch that another program followed, else of any.
    pub fn locate(&self, model: &Model) -> Option<PathBuf> {
        let folder = self.model_folder(model);
        let followed = fs::read_to_string(folder.join("refs/main")).ok();
        let followed = followed
            .map(|commit| commit.trim().to_owned())
            .filter(|commit| commit.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let mut others = self.snapshots(model);
        others.sort();
        [Some(model.revision.to_owned()), followed]
            .into_iter()
            .flatten()
            .filter(|commit| !commit.is_empty())
            .map(|commit| folder.join("snapshots").join(commit))
            .chain(others)
            .find(|snapshot| model.missing_from(snapshot).is_empty())
    }

    fn snapshots(&self, model: &Model) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.model_folder(model).join("snapshots"));
        let entries = entries.into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    }

    /// Moves a complete file from its partial name into the snapshot.
    pub(super) fn place(&self, model: &Model, file: &RemoteFile) -> io::Result<()> {
        let (partial, blob) = (self.partial(model, file), self.blob(model, file));
        fs::rename(partial, &blob)?;
        let place = self.snapshot(model).join(file.path);
        let mut up = PathBuf::from("../..");
        for _ in Path::new(file.path).components().skip(1) {
            up.push("..");
        }
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder)?;
        }
        if place.is_symlink() || place.exists() {
            fs::remove_file(&place)?;
        }
        let linked = link(&up.join("blobs").join(file.sha256), &place);
        // Where links are a privilege, as on Windows, the hub's own programs move the file too.
        linked.or_else(|_no_links| fs::rename(&blob, &place))
    }

    /// Deletes a model's files from the cache, finished or not, and tells how many bytes that freed. What
    /// else another program keeps in the same repository stays.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn remove(&self, model: &Model) -> io::Result<u64> {
        let mut doomed = Vec::new();
        for file in model.files {
            doomed.push(self.partial(model, file));
            doomed.push(self.blob(model, file));
            for snapshot in self.snapshots(model) {
                let place = snapshot.join(file.path);
                // Another program names the content otherwise.
                if let Ok(content) = fs::canonicalize(&place)
                    && content.starts_with(fs::canonicalize(self.model_folder(model))?)
                {
                    doomed.push(content);
                }
                doomed.push(place);
            }
        }
        let mut freed_bytes = 0;
        for path in doomed {
            let Ok(metadata) = fs::symlink_metadata(&path) else {
                continue;
            };
            fs::remove_file(&path)?;
            freed_bytes += if metadata.is_file() {
                metadata.len()
            } else {
                0
            };
        }
        // Folders that still hold something stay.
        for snapshot in self.snapshots(model) {
            for file in model.files {
                for folder in Path::new(file.path).ancestors().skip(1) {
                    fs::remove_dir(snapshot.join(folder)).ok();
                }
            }
        }
        for name in ["snapshots", "blobs", ""] {
            fs::remove_dir(self.model_folder(model).join(name)).ok();
        }
        Ok(freed_bytes)
    }
}

#[cfg(unix)]
fn link(content: &Path, place: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(content, place)
}

#[cfg(windows)]
fn link(content: &Path, place: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(content, place)
}
