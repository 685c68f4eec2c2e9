//! Single files: written so that they are on the disk when this says so, read without trust.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;
use std::time::SystemTime;

use tempfile::TempPath;

use super::Unread;
use crate::store::{Damage, StoreError};

/// Makes new files readable by their owner alone: they hold what the user made.
pub(super) fn own(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
}

/// Makes a folder and those above it, as [`own`] makes files.
pub(super) fn make_folder(folder: &Path) -> Result<(), StoreError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder
        .create(folder)
        .map_err(|cause| StoreError::at("make this folder", folder, cause))
}

/// Writes a new file and syncs it. It is removed when what is returned is dropped.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<TempPath, StoreError> {
    let failed = |cause| StoreError::at("write", path, cause);
    let mut file = own(File::options().write(true).create_new(true))
        .open(path)
        .map_err(failed)?;
    let guard = TempPath::try_from_path(path).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    Ok(guard)
}

/// Sets a file's time. Where it cannot be set, entries make room in a less apt order, and no more.
pub(super) fn set_time(path: &Path, time: SystemTime) {
    let set = File::options()
        .write(true)
        .open(path)
        .and_then(|file| file.set_modified(time));
    if let Err(error) = set {
        tracing::debug!("the time of a file could not be set: {error}");
    }
}

/// Makes durable what was created in, renamed in and removed from a folder, before anything that follows.
/// Some file systems cannot; the files are complete either way.
pub(super) fn sync_folder(folder: &Path) {
    if cfg!(unix)
        && let Err(error) = File::open(folder).and_then(|folder| folder.sync_all())
    {
        tracing::debug!("a folder could not be synced: {error}");
    }
}

/// Reads a file that has `bytes` bytes, or at most `bytes` where it need not have all.
pub(super) fn read(path: &Path, bytes: u64, all: bool) -> Result<Vec<u8>, Unread> {
    let length = length(path)?;
    if length > bytes || (all && length < bytes) {
        return Err(Unread::Damaged(Damage::Length));
    }
    let mut read = Vec::with_capacity(length as usize);
    File::open(path)
        // One more would show a file that grows.
        .and_then(|file| file.take(bytes + 1).read_to_end(&mut read))
        .map_err(|cause| unread(path, cause))?;
    if read.len() as u64 > bytes || (all && (read.len() as u64) < bytes) {
        return Err(Unread::Damaged(Damage::Length));
    }
    Ok(read)
}

/// A file's length. A pipe would never end and a link lead elsewhere, so nothing but a file will do.
pub(super) fn length(path: &Path) -> Result<u64, Unread> {
    let metadata = fs::symlink_metadata(path).map_err(|cause| unread(path, cause))?;
    if metadata.is_file() {
        Ok(metadata.len())
    } else {
        Err(Unread::Damaged(Damage::NotAFile))
    }
}

/// A file that is not there is damage where it should be; everything else that the system refuses may
/// be different the next time.
fn unread(path: &Path, cause: io::Error) -> Unread {
    match cause.kind() {
        ErrorKind::NotFound => Unread::Damaged(Damage::Missing),
        ErrorKind::IsADirectory => Unread::Damaged(Damage::NotAFile),
        _ => Unread::Refused(StoreError::at("read", path, cause)),
    }
}

/// Removes whatever stands at a path; whether there was anything.
pub(super) fn remove(path: &Path) -> Result<bool, StoreError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(StoreError::at("remove", path, cause)),
    }
}
