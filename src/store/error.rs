//! What can go wrong with the store.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::formats::{ReadError, SaveError};

/// The store could not do what was asked. It is as it was before, unless the message says otherwise.
///
/// Each message says its cause itself, so no error has a `source` that would say it twice.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk or the user's quota is full.
    #[error("the disk is full; free some space or choose another folder: {}", .path.display())]
    DiskFull {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The folder or file may not be written or read.
    #[error(
        "there is no permission to {action} here; change the folder's permissions or choose another: {}",
        .path.display()
    )]
    PermissionDenied {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Anything else the system refused.
    #[error("it was not possible to {action} ({cause}): {}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A result has more bytes than the whole store may have.
    #[error(
        "the result has {bytes} bytes, more than the {limit_bytes} that the store may take in all, so it is not kept; \
         raise the limit to keep such results"
    )]
    TooLarge {
        /// What it would take.
        bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// Settings and summary are meant to be small.
    #[error(
        "the settings and summary of a result have {bytes} bytes, more than the {limit_bytes} that are kept"
    )]
    ContentTooLarge {
        /// What they take as JSON.
        bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// The mesh cannot be written as GLB.
    #[error("the mesh cannot be kept: {0}")]
    Mesh(SaveError),
    /// The kept GLB has the right checksum but cannot be read. It is dropped as one that is damaged.
    #[error("the kept mesh could not be read; generate it again: {0}")]
    Unreadable(ReadError),
    /// What was kept is damaged. It is dropped, unless another process holds the store just now; then it
    /// is dropped when it is read again.
    #[error("the kept {file} file is damaged ({damage}); generate it again")]
    Damaged {
        /// Which of its files: `record` or the extension.
        file: &'static str,
        /// What is wrong with it.
        damage: Damage,
    },
    /// There is no such entry, or no longer: it was removed, or its place was needed.
    #[error("the result is not kept, or no longer; generate it again")]
    Gone,
}

/// What is wrong with a kept file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The file is not there.
    #[error("a file is missing")]
    Missing,
    /// A folder, link or device stands in its place.
    #[error("something other than a file stands in its place")]
    NotAFile,
    /// The file has not the length that was written.
    #[error("a file has not the length that was written")]
    Length,
    /// The file has not the contents that were written.
    #[error("a file has not the checksum of what was written")]
    Checksum,
    /// The record file is not one.
    #[error("its record is not in the form that this version writes")]
    Form,
    /// The record belongs to another entry.
    #[error("its record belongs to another entry")]
    Misplaced,
}

impl StoreError {
    /// Sorts what the system said about `path` while trying to `action`.
    pub(super) fn at(action: &'static str, path: &Path, cause: io::Error) -> Self {
        let path = path.to_owned();
        match cause.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                Self::DiskFull { path, cause }
            }
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Self::PermissionDenied {
                action,
                path,
                cause,
            },
            _ => Self::Io {
                action,
                path,
                cause,
            },
        }
    }
}
