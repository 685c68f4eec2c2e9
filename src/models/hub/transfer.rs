//! One file over the web: redirections, broken connections, and the digest of what arrives.
//!
//! Redirections are followed here and not by the HTTP client, because the user's token goes to the
//! endpoint alone and an encrypted connection never leads to an open one.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use ureq::http::header::{AUTHORIZATION, CONTENT_RANGE, LOCATION, RANGE};
use ureq::http::{Response, Uri};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

use super::download::disk;
use super::{DownloadError, Hub};
use crate::compute::Cancel;
use crate::models::catalogue::{Model, RemoteFile};

const MAX_REDIRECTIONS: usize = 8;
/// Tries that bring nothing, one after another, before a download is given up.
const MAX_FRUITLESS_TRIES: u32 = 5;
/// A connection that brings nothing for so long is broken.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the cancel flag is looked at while nothing happens.
const POLL: Duration = Duration::from_millis(50);
const CHUNK_BYTES: usize = 1 << 16;

pub(super) struct Transfer<'a> {
    hub: &'a Hub,
    agent: Agent,
    endpoint: Uri,
}

/// Why one try ended early.
enum Ended {
    /// The connection broke, or the server is busy: worth another try.
    Broken(String),
    For(DownloadError),
}

impl From<DownloadError> for Ended {
    fn from(error: DownloadError) -> Self {
        Self::For(error)
    }
}

/// What has arrived of a file.
struct Arrived {
    file: File,
    digest: Sha256,
    bytes: u64,
}

/// How long a lock that another program holds is tried for: one that ends lets go of it a moment later.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// Has no other program write to a file.
fn lock(file: &File, path: &Path) -> Result<(), DownloadError> {
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(20));
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
    fn open(partial: &Path, size_bytes: u64) -> Result<Self, DownloadError> {
        let failed = || disk(partial);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(partial)
            .map_err(failed())?;
        lock(&file, partial)?;
        let mut arrived = Self {
            file,
            digest: Sha256::new(),
            bytes: 0,
        };
        if arrived.file.metadata().map_err(failed())?.len() > size_bytes {
            arrived.restart().map_err(failed())?;
        }
        let mut chunk = [0; CHUNK_BYTES];
        loop {
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
        let mut arrived = Arrived::open(partial, file.size_bytes)?;
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
        let response = self.request(model, file, arrived.bytes, cancel)?;
        let status = response.status().as_u16();
        let length = response.body().content_length();
        match status {
            // What arrived is worth more than a page that stands in the way, of a portal or an error.
            200 if arrived.bytes > 0 && length.is_some_and(|length| length != file.size_bytes) => {
                return Err(Ended::Broken("the server sent something else".into()));
            }
            206 if first_byte(&response) == Some(arrived.bytes) => {}
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
        let body = response.into_body();
        let left = file.size_bytes - arrived.bytes;
        if body.content_length().is_some_and(|length| length != left) {
            arrived.restart().map_err(disk(partial))?;
            return Err(self.other_file(file, "its length differs").into());
        }
        let mut body = body.into_reader();
        let mut chunk = [0; CHUNK_BYTES];
        loop {
            if cancel.is_cancelled() {
                return Err(Ended::For(DownloadError::Cancelled));
            }
            let count = match body.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) => return Err(Ended::Broken(error.to_string())),
            };
            if arrived.bytes + count as u64 > file.size_bytes {
                arrived.restart().map_err(disk(partial))?;
                return Err(self.other_file(file, "it is longer").into());
            }
            arrived.push(&chunk[..count]).map_err(disk(partial))?;
            told(arrived.bytes);
        }
    }

    /// Asks for a file from a byte on and follows redirections to whoever has it.
    fn request(
        &self,
        model: &Model,
        file: &RemoteFile,
        from_byte: u64,
        cancel: &Cancel,
    ) -> Result<Response<Body>, Ended> {
        let (repository, revision, path) = (model.repository, model.revision, file.path);
        let endpoint = &self.hub.endpoint;
        let mut url = address(&format!(
            "{endpoint}/{repository}/resolve/{revision}/{path}"
        ))?;
        for _ in 0..=MAX_REDIRECTIONS {
            if cancel.is_cancelled() {
                return Err(Ended::For(DownloadError::Cancelled));
            }
            let mut request = self.agent.get(&url);
            if from_byte > 0 {
                request = request.header(RANGE, format!("bytes={from_byte}-"));
            }
            if let Some(token) = &self.hub.token
                && same_server(&url, &self.endpoint)
                && is_private(&url)
            {
                request = request.header(AUTHORIZATION, format!("Bearer {token}"));
            }
            let response = request.call().map_err(|error| self.broken(&url, error))?;
            if !response.status().is_redirection() {
                return Ok(response);
            }
            let next = response.headers().get(LOCATION);
            let next = next.and_then(|location| location.to_str().ok());
            url = self.redirected(&url, next)?;
        }
        Err(self.redirection("it leads in circles").into())
    }

    /// Where a redirection leads.
    fn redirected(&self, from: &Uri, location: Option<&str>) -> Result<Uri, DownloadError> {
        let nowhere = || self.redirection("it leads nowhere");
        let location = location.ok_or_else(nowhere)?;
        let is_absolute = location.contains("://");
        let to = if is_absolute {
            address(location).map_err(|_bad_address| nowhere())?
        } else if location.starts_with('/') && !location.starts_with("//") {
            let scheme = from.scheme_str().unwrap_or("https");
            let authority = from.authority().map_or("", |authority| authority.as_str());
            address(&format!("{scheme}://{authority}{location}"))
                .map_err(|_bad_address| nowhere())?
        } else {
            return Err(nowhere());
        };
        if from.scheme_str() == Some("https") && to.scheme_str() != Some("https") {
            return Err(self.redirection("it leads to an unencrypted connection"));
        }
        Ok(to)
    }

    fn redirection(&self, why: &'static str) -> DownloadError {
        DownloadError::Redirection {
            host: host(&self.endpoint),
            why,
        }
    }

    fn other_file(&self, file: &RemoteFile, what: &'static str) -> DownloadError {
        DownloadError::OtherFile {
            host: host(&self.endpoint),
            what,
            file: file.path,
        }
    }

    /// Whether another try may help.
    fn broken(&self, url: &Uri, error: ureq::Error) -> Ended {
        match error {
            ureq::Error::Io(_) | ureq::Error::Timeout(_) | ureq::Error::Protocol(_) => {
                Ended::Broken(error.to_string())
            }
            error => Ended::For(DownloadError::Unreachable {
                host: host(url),
                cause: error.to_string(),
            }),
        }
    }
}

/// An address of the web.
fn address(url: &str) -> Result<Uri, DownloadError> {
    let bad = || DownloadError::BadAddress { url: url.into() };
    let address: Uri = url.parse().map_err(|_no_address| bad())?;
    let is_web = matches!(address.scheme_str(), Some("http" | "https"));
    (is_web && address.host().is_some())
        .then_some(address)
        .ok_or_else(bad)
}

fn host(url: &Uri) -> String {
    url.host().unwrap_or_default().to_owned()
}

fn same_server(a: &Uri, b: &Uri) -> bool {
    let port = |url: &Uri| {
        let standard = if url.scheme_str() == Some("https") {
            443
        } else {
            80
        };
        url.port_u16().unwrap_or(standard)
    };
    a.scheme_str() == b.scheme_str() && host(a).eq_ignore_ascii_case(&host(b)) && port(a) == port(b)
}

/// Whether nobody on the way can read what is sent: it is encrypted, or stays on this machine.
fn is_private(url: &Uri) -> bool {
    url.scheme_str() == Some("https")
        || matches!(url.host(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

/// The byte that a partial response begins with.
fn first_byte(response: &Response<Body>) -> Option<u64> {
    let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    let (first, _) = range.strip_prefix("bytes ")?.split_once('-')?;
    first.parse().ok()
}

fn pause(time: Duration, cancel: &Cancel) -> Result<(), DownloadError> {
    let mut left = time;
    while !left.is_zero() {
        if cancel.is_cancelled() {
            return Err(DownloadError::Cancelled);
        }
        let slice = left.min(POLL);
        std::thread::sleep(slice);
        left -= slice;
    }
    Ok(())
}
