//! One file over the web: broken connections, and the digest of what arrives.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use ureq::Agent;
use ureq::http::Uri;
use ureq::tls::{RootCerts, TlsConfig};

use super::connection::{Connection, Ended, POLL, Wanted, address, host};
use super::download::disk;
use super::{DownloadError, Hub};
use crate::compute::Cancel;
use crate::models::catalogue::{Model, RemoteFile};

/// Tries that bring nothing, one after another, before a download is given up.
const MAX_FRUITLESS_TRIES: u32 = 5;
/// A connection that brings nothing for so long is broken.
const PATIENCE: Duration = Duration::from_secs(30);
const CHUNK_BYTES: usize = 1 << 16;
/// What is written before it is made to reach the disk, so that the end does not wait for all of it.
const SYNC_EVERY_BYTES: u64 = 16 << 20;

pub(super) struct Transfer<'a> {
    hub: &'a Hub,
    agent: Agent,
    endpoint: Uri,
}

/// What has arrived of a file.
struct Arrived {
    file: File,
    digest: Sha256,
    bytes: u64,
    /// How many of them were not yet made to reach the disk.
    unsynced_bytes: u64,
}

/// How long a lock that another program holds is tried for: one that ends lets go of it a moment later.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// Has no other program write to a file.
fn lock(file: &File, path: &Path, cancel: &Cancel) -> Result<(), DownloadError> {
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                pause(Duration::from_millis(20), cancel)?;
            }
            Err(TryLockError::WouldBlock) => return Err(DownloadError::Busy(path.to_owned())),
            Err(TryLockError::Error(cause)) => {
                tracing::warn!("a download cannot be locked: {cause}");
                return Ok(());
            }
        }
    }
}

impl Arrived {
    /// Goes on with what an earlier try left.
    fn open(partial: &Path, size_bytes: u64, cancel: &Cancel) -> Result<Self, DownloadError> {
        let failed = || disk(partial);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(partial)
            .map_err(failed())?;
        lock(&file, partial, cancel)?;
        let mut arrived = Self {
            file,
            digest: Sha256::new(),
            bytes: 0,
            unsynced_bytes: 0,
        };
        if arrived.file.metadata().map_err(failed())?.len() > size_bytes {
            arrived.restart().map_err(failed())?;
        }
        let mut chunk = [0; CHUNK_BYTES];
        loop {
            stop(cancel)?;
            let count = arrived.file.read(&mut chunk).map_err(failed())?;
            if count == 0 {
                return Ok(arrived);
            }
            arrived.digest.update(&chunk[..count]);
            arrived.bytes += count as u64;
        }
    }

    fn restart(&mut self) -> std::io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.digest = Sha256::new();
        self.bytes = 0;
        Ok(())
    }

    fn push(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.write_all(bytes)?;
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
        self.unsynced_bytes += bytes.len() as u64;
        if self.unsynced_bytes >= SYNC_EVERY_BYTES {
            self.unsynced_bytes = 0;
            self.file.sync_data()?;
        }
        Ok(())
    }
}

impl<'a> Transfer<'a> {
    pub(super) fn new(hub: &'a Hub) -> Result<Self, DownloadError> {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .build();
        let agent = Agent::new_with_config(
            Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .timeout_connect(Some(PATIENCE))
                .timeout_recv_response(Some(PATIENCE))
                .timeout_per_read(Some(PATIENCE))
                .user_agent(concat!("orfeas/", env!("CARGO_PKG_VERSION")))
                .tls_config(tls)
                .build(),
        );
        Ok(Self {
            hub,
            agent,
            endpoint: address(&hub.endpoint)?,
        })
    }

    /// Downloads a file to `partial`, going on with what is there, and checks it.
    pub(super) fn file(
        &self,
        model: &Model,
        file: &RemoteFile,
        partial: &Path,
        cancel: &Cancel,
        told: &mut dyn FnMut(u64),
    ) -> Result<(), DownloadError> {
        let mut arrived = Arrived::open(partial, file.size_bytes, cancel)?;
        let mut fruitless = 0;
        while arrived.bytes < file.size_bytes {
            let before = arrived.bytes;
            let ended = self.attempt(model, file, (&mut arrived, partial), cancel, told);
            match ended {
                Ok(()) if arrived.bytes == file.size_bytes => break,
                Err(Ended::For(error)) => return Err(error),
                Ok(()) | Err(Ended::Broken(_)) if arrived.bytes > before => fruitless = 0,
                Ok(()) | Err(Ended::Broken(_)) => fruitless += 1,
            }
            let cause = match ended {
                Err(Ended::Broken(cause)) => cause,
                _ => "the connection ended early".to_owned(),
            };
            tracing::warn!(file = file.path, arrived.bytes, "{cause}");
            if fruitless == MAX_FRUITLESS_TRIES {
                return Err(DownloadError::Unreachable {
                    host: host(&self.endpoint),
                    cause,
                });
            }
            pause(self.hub.retry_pause * 2_u32.pow(fruitless), cancel)?;
        }
        let digest = arrived.digest.clone().finalize();
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        if digest != file.sha256 {
            arrived.restart().map_err(disk(partial))?;
            return Err(self.other_file(file, "its SHA-256 differs"));
        }
        arrived.file.sync_all().map_err(disk(partial))
    }

    /// One connection, for as much of the rest as it brings.
    fn attempt(
        &self,
        model: &Model,
        file: &RemoteFile,
        (arrived, partial): (&mut Arrived, &Path),
        cancel: &Cancel,
        told: &mut dyn FnMut(u64),
    ) -> Result<(), Ended> {
        let connection = Connection::open(self.wanted(model, file, arrived.bytes)?, cancel)?;
        let status = connection.head.status;
        let length = connection.head.length_bytes;
        match status {
            // What arrived is worth more than a page that stands in the way, of a portal or an error.
            200 if arrived.bytes > 0 && length.is_some_and(|length| length != file.size_bytes) => {
                return Err(Ended::Broken("the server sent something else".into()));
            }
            206 if connection.head.first_byte == Some(arrived.bytes) => {}
            // The server does not go on where it was asked to.
            200 | 206 | 416 if arrived.bytes > 0 => {
                arrived.restart().map_err(disk(partial))?;
                if status != 200 {
                    return Err(Ended::Broken("the server does not resume".into()));
                }
            }
            200 => {}
            408 | 425 | 429 | 500..=599 => {
                return Err(Ended::Broken(format!(
                    "the server is busy (status {status})"
                )));
            }
            401 | 403 => {
                return Err(Ended::For(DownloadError::NotAllowed {
                    host: host(&self.endpoint),
                    title: model.title,
                    status,
                }));
            }
            _ => {
                return Err(Ended::For(DownloadError::Refused {
                    host: host(&self.endpoint),
                    status,
                    file: file.path,
                }));
            }
        }
        let left = file.size_bytes - arrived.bytes;
        if length.is_some_and(|length| length != left) {
            arrived.restart().map_err(disk(partial))?;
            return Err(self.other_file(file, "its length differs").into());
        }
        while let Some(bytes) = connection.next(cancel)? {
            if arrived.bytes + bytes.len() as u64 > file.size_bytes {
                arrived.restart().map_err(disk(partial))?;
                return Err(self.other_file(file, "it is longer").into());
            }
            arrived.push(&bytes).map_err(disk(partial))?;
            told(arrived.bytes);
        }
        Ok(())
    }

    fn wanted(
        &self,
        model: &Model,
        file: &RemoteFile,
        from_byte: u64,
    ) -> Result<Wanted, DownloadError> {
        let (repository, revision, path) = (model.repository, model.revision, file.path);
        let endpoint = &self.hub.endpoint;
        Ok(Wanted {
            agent: self.agent.clone(),
            endpoint: self.endpoint.clone(),
            url: address(&format!(
                "{endpoint}/{repository}/resolve/{revision}/{path}"
            ))?,
            token: self.hub.token.clone(),
            from_byte,
        })
    }

    fn other_file(&self, file: &RemoteFile, what: &'static str) -> DownloadError {
        DownloadError::OtherFile {
            host: host(&self.endpoint),
            what,
            file: file.path,
        }
    }
}

fn pause(time: Duration, cancel: &Cancel) -> Result<(), DownloadError> {
    let mut left = time;
    while !left.is_zero() {
        stop(cancel)?;
        let slice = left.min(POLL);
        std::thread::sleep(slice);
        left -= slice;
    }
    Ok(())
}

/// Returns from the download with `?` once it was asked to stop.
fn stop(cancel: &Cancel) -> Result<(), DownloadError> {
    cancel
        .checkpoint()
        .map_err(|_cancelled| DownloadError::Cancelled)
}
