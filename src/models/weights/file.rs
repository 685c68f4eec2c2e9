//! A weights file, read at given places and never written.
//!
//! It is read with positioned reads and not mapped into memory: a mapped file that another program
//! shortens ends the process with a signal that no safe code can catch, while a read that comes to the
//! new end is an error like any other. The tensors are read straight into their place, or converted on
//! their way in, so nothing is held twice.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::WeightsError;

/// An open file of known length.
#[derive(Debug)]
pub(super) struct WeightsFile {
    file: File,
    path: PathBuf,
    size_bytes: u64,
}

impl WeightsFile {
    /// Opens an ordinary file.
    pub(super) fn open(path: &Path) -> Result<Self, WeightsError> {
        let failed = |cause| WeightsError::Read {
            path: path.to_owned(),
            cause,
        };
        // Opening a pipe would wait for its other end.
        let metadata = std::fs::metadata(path).map_err(failed)?;
        if !metadata.is_file() {
            return Err(WeightsError::NotAFile(path.to_owned()));
        }
        let file = File::open(path).map_err(failed)?;
        let size_bytes = file.metadata().map_err(failed)?.len();
        Ok(Self {
            file,
            path: path.to_owned(),
            size_bytes,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The length when it was opened, in bytes.
    pub(super) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The file for readers that seek. They share one position: not for use from several threads.
    pub(super) fn sequential(&self) -> &File {
        &self.file
    }

    /// Fills `bytes` from `offset` on.
    pub(super) fn read(&self, bytes: &mut [u8], offset: u64) -> Result<(), WeightsError> {
        read_exact_at(&self.file, bytes, offset).map_err(|cause| match cause.kind() {
            io::ErrorKind::UnexpectedEof => WeightsError::Shrunk {
                path: self.path.clone(),
            },
            _ => WeightsError::Read {
                path: self.path.clone(),
                cause,
            },
        })
    }

    /// An error about what the file says.
    pub(super) fn malformed(&self, what: impl Into<String>) -> WeightsError {
        WeightsError::Malformed {
            what: what.into(),
            path: self.path.clone(),
        }
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                bytes = &mut bytes[read..];
                offset += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
