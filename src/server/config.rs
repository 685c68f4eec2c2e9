//! How a server is set up, and what is refused before it starts.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

/// The least length of a token. 16 random characters cannot be guessed over a network.
pub const LEAST_TOKEN_BYTES: usize = 16;

/// How to set a server up.
#[derive(Clone)]
pub struct Config {
    /// The address to listen on; port 0 for one that is free.
    pub listen: SocketAddr,
    /// What a client has to show as `Authorization: Bearer …`; `None` for nothing, which is refused for
    /// any address but loopback.
    pub token: Option<String>,
    /// Web pages that may use the server, as `scheme://host[:port]`.
    pub cors_origins: Vec<String>,
    /// Names, besides `localhost` and plain addresses, that a client may know the server by.
    pub host_names: Vec<String>,
    /// Requests a minute and address. `None` for 600, and no limit for clients on this machine.
    pub requests_per_minute: Option<NonZeroU32>,
    /// What a client may take of the machine.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7878),
            token: None,
            cors_origins: Vec::new(),
            host_names: Vec::new(),
            requests_per_minute: None,
            limits: Limits::default(),
        }
    }
}

/// Without the token: it has no place in a log.
impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("listen", &self.listen)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("cors_origins", &self.cors_origins)
            .field("host_names", &self.host_names)
            .field("requests_per_minute", &self.requests_per_minute)
            .field("limits", &self.limits)
            .finish()
    }
}

/// What clients may take of the machine, in bytes, numbers and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most connections at once; more are told so and closed.
    pub connections: usize,
    /// The most bytes of a request's head.
    pub header_bytes: usize,
    /// How long a request's head may take, and how long a connection may idle between two requests.
    pub header_timeout: Duration,
    /// The most bytes of a request's body.
    pub body_bytes: u64,
    /// How long a body may pause.
    pub body_pause: Duration,
    /// How long a body may take.
    pub body_timeout: Duration,
    /// How long a client may take nothing of a response.
    pub write_pause: Duration,
    /// The most bytes of bodies in memory: those being received and those of jobs that have not ended.
    pub upload_bytes: u64,
    /// The most bytes of meshes being sent.
    pub download_bytes: u64,
    /// The most submissions that have not ended.
    pub live_submissions: usize,
    /// How many ended submissions are remembered, without their meshes.
    pub ended_submissions: usize,
    /// The most bytes of ended jobs whose meshes stay in memory.
    pub kept_mesh_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            header_bytes: 32 * 1024,
            header_timeout: Duration::from_secs(15),
            body_bytes: 128_000_000,
            body_pause: Duration::from_secs(10),
            body_timeout: Duration::from_secs(300),
            write_pause: Duration::from_secs(30),
            upload_bytes: 512_000_000,
            download_bytes: 512_000_000,
            live_submissions: 1024,
            ended_submissions: 10_000,
            kept_mesh_bytes: 256_000_000,
        }
    }
}

/// A configuration that would be unsafe or could not work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Anyone on the network could use the machine.
    #[error(
        "{listen} can be reached from other machines, so a token is required: set ORFEAS_TOKEN or --token-file, or \
         listen on 127.0.0.1"
    )]
    TokenRequired {
        /// The address.
        listen: SocketAddr,
    },
    /// The token can be guessed.
    #[error(
        "the token has {bytes} bytes, at least {LEAST_TOKEN_BYTES} are required; make one with `openssl rand -hex 32`"
    )]
    TokenTooShort {
        /// Its length.
        bytes: usize,
    },
    /// The token cannot be sent in a header.
    #[error(
        "the token contains blanks or characters outside of ASCII, which a header cannot carry; make one with \
         `openssl rand -hex 32`"
    )]
    TokenUnprintable,
    /// An origin that no browser sends.
    #[error(
        "{origin:?} is not an origin; write it as a browser sends it, scheme://host[:port] in lower case and without a \
         slash at the end"
    )]
    Origin {
        /// What was given.
        origin: String,
    },
}

impl Config {
    /// Refuses what would be unsafe or could not work.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match &self.token {
            None if !is_loopback(self.listen.ip()) => {
                return Err(ConfigError::TokenRequired {
                    listen: self.listen,
                });
            }
            Some(token) if !token.bytes().all(|byte| byte.is_ascii_graphic()) => {
                return Err(ConfigError::TokenUnprintable);
            }
            Some(token) if token.len() < LEAST_TOKEN_BYTES => {
                return Err(ConfigError::TokenTooShort { bytes: token.len() });
            }
            _ => {}
        }
        let bad = self.cors_origins.iter().find(|origin| !is_origin(origin));
        bad.map_or(Ok(()), |origin| {
            Err(ConfigError::Origin {
                origin: origin.clone(),
            })
        })
    }
}

/// Whether only this machine has the address, also as IPv4 written in IPv6.
pub(super) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

fn is_origin(origin: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._:[]".contains(&byte);
    let is_scheme = scheme
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    !scheme.is_empty() && is_scheme && !authority.is_empty() && authority.bytes().all(plain)
}
