//! One connection to the hub, or to where it sends a download, on a thread of its own: whoever reads from it
//! can stop at once, whatever the network is waiting for.
//!
//! Redirections are followed here and not by the HTTP client, because the user's token goes to the
//! endpoint alone and an encrypted connection never leads to an open one.
//!
//! A connection that nobody reads from any more ends when the network next answers, at the latest after
//! the patience of its agent. It holds nothing but its socket.

use std::io::Read;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use ureq::http::header::{AUTHORIZATION, CONTENT_RANGE, LOCATION, RANGE};
use ureq::http::{Response, Uri};
use ureq::{Agent, Body};

use super::DownloadError;
use crate::compute::Cancel;

const MAX_REDIRECTIONS: usize = 8;
/// How often the cancel flag is looked at while nothing happens.
pub(super) const POLL: Duration = Duration::from_millis(50);
const CHUNK_BYTES: usize = 1 << 16;
/// Chunks that may have arrived before they are read.
const CHUNKS_AHEAD: usize = 16;

/// Why one try ended early.
pub(super) enum Ended {
    /// The connection broke, or the server is busy: worth another try.
    Broken(String),
    For(DownloadError),
}

impl From<DownloadError> for Ended {
    fn from(error: DownloadError) -> Self {
        Self::For(error)
    }
}

/// What is asked for.
pub(super) struct Wanted {
    pub(super) agent: Agent,
    /// The one that the token is for.
    pub(super) endpoint: Uri,
    pub(super) url: Uri,
    pub(super) token: Option<String>,
    pub(super) from_byte: u64,
}

/// What an answer begins with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) status: u16,
    /// Of the body, where the server announces it.
    pub(super) length_bytes: Option<u64>,
    /// The byte that a partial answer begins with.
    pub(super) first_byte: Option<u64>,
}

/// What the connection's thread hands over, one after another.
enum Piece {
    Head(Head),
    Bytes(Vec<u8>),
    End,
    Failed(Ended),
}

/// An answer that is being received.
pub(super) struct Connection {
    pub(super) head: Head,
    pieces: Receiver<Piece>,
}

impl Connection {
    /// Asks, follows redirections, and waits for the answer to begin.
    pub(super) fn open(wanted: Wanted, cancel: &Cancel) -> Result<Self, Ended> {
        if cancel.is_cancelled() {
            return Err(DownloadError::Cancelled.into());
        }
        let (sender, pieces) = sync_channel(CHUNKS_AHEAD);
        let host = host(&wanted.endpoint);
        let started = std::thread::Builder::new()
            .name("orfeas-download".into())
            .spawn(move || {
                let end = match wanted.receive(&sender) {
                    Ok(()) => Piece::End,
                    Err(ended) => Piece::Failed(ended),
                };
                // Nobody waits for it any more where this fails.
                sender.send(end).ok();
            });
        started.map_err(|error| DownloadError::Unreachable {
            host,
            cause: error.to_string(),
        })?;
        match wait(&pieces, cancel)? {
            Piece::Head(head) => Ok(Self { head, pieces }),
            Piece::Failed(ended) => Err(ended),
            Piece::Bytes(_) | Piece::End => Err(Ended::Broken("there was no answer".into())),
        }
    }

    /// The next bytes; `None` at the end.
    pub(super) fn next(&self, cancel: &Cancel) -> Result<Option<Vec<u8>>, Ended> {
        match wait(&self.pieces, cancel)? {
            Piece::Bytes(bytes) => Ok(Some(bytes)),
            Piece::Failed(ended) => Err(ended),
            Piece::Head(_) | Piece::End => Ok(None),
        }
    }
}

/// Waits for a piece for as long as nobody asks to stop.
fn wait(pieces: &Receiver<Piece>, cancel: &Cancel) -> Result<Piece, Ended> {
    loop {
        if cancel.is_cancelled() {
            return Err(DownloadError::Cancelled.into());
        }
        match pieces.recv_timeout(POLL) {
            Ok(piece) => return Ok(piece),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Ended::Broken("the connection ended early".into()));
            }
        }
    }
}

impl Wanted {
    /// Hands over what arrives until the end, or until nobody wants it.
    fn receive(&self, to: &SyncSender<Piece>) -> Result<(), Ended> {
        let response = self.request()?;
        let head = Head {
            status: response.status().as_u16(),
            length_bytes: response.body().content_length(),
            first_byte: first_byte(&response),
        };
        let mut body = response.into_body().into_reader();
        let mut piece = Piece::Head(head);
        while to.send(piece).is_ok() {
            let mut bytes = vec![0; CHUNK_BYTES];
            let count = body
                .read(&mut bytes)
                .map_err(|error| Ended::Broken(error.to_string()))?;
            if count == 0 {
                return Ok(());
            }
            bytes.truncate(count);
            piece = Piece::Bytes(bytes);
        }
        Ok(())
    }

    /// Asks for the file and follows redirections to whoever has it.
    fn request(&self) -> Result<Response<Body>, Ended> {
        let mut url = self.url.clone();
        for _ in 0..=MAX_REDIRECTIONS {
            let mut request = self.agent.get(&url);
            if self.from_byte > 0 {
                request = request.header(RANGE, format!("bytes={}-", self.from_byte));
            }
            if let Some(token) = &self.token
                && same_server(&url, &self.endpoint)
                && is_private(&url)
            {
                request = request.header(AUTHORIZATION, format!("Bearer {token}"));
            }
            let response = request.call().map_err(|error| broken(&url, error))?;
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
}

/// Whether another try may help.
fn broken(url: &Uri, error: ureq::Error) -> Ended {
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

/// An address of the web.
pub(super) fn address(url: &str) -> Result<Uri, DownloadError> {
    let bad = || DownloadError::BadAddress { url: url.into() };
    let address: Uri = url.parse().map_err(|_no_address| bad())?;
    let is_web = matches!(address.scheme_str(), Some("http" | "https"));
    (is_web && address.host().is_some())
        .then_some(address)
        .ok_or_else(bad)
}

pub(super) fn host(url: &Uri) -> String {
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

fn first_byte(response: &Response<Body>) -> Option<u64> {
    let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    let (first, _) = range.strip_prefix("bytes ")?.split_once('-')?;
    first.parse().ok()
}
