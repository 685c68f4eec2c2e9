//! `orfeas serve`: the local HTTP interface, until the program is interrupted.

use std::io::Read;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use clap::Args;

use super::exit::{ExitCode, Failed};
use super::startup::{self, Resources};
use super::{generate, options};
use crate::engine::Engine;

/// The environment variable with the token.
const TOKEN_VARIABLE: &str = "ORFEAS_TOKEN";

/// The most bytes of a file with a token.
const TOKEN_FILE_BYTES: u64 = 4096;

/// Serve the local HTTP interface
#[derive(Debug, Args)]
#[command(
    after_help = "Prints the address it listens on, one line on standard output. Ctrl-C stops: no new requests, the \
    running job may end, then the rest is cancelled; Ctrl-C again stops at once.\n\n\
    Addresses other than 127.0.0.1 and [::1] need a token, from --token-file or the environment variable \
    ORFEAS_TOKEN; clients send it as `Authorization: Bearer TOKEN`.\n\n\
    Example: curl -F image=@cup.png -F quality=7 http://127.0.0.1:7878/api/v1/generate\n\
    The interface is described at /api/v1/openapi.json."
)]
pub(super) struct Arguments {
    /// The address and port to listen on; port 0 for any that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7878")]
    listen: SocketAddr,
    /// A file with the token that clients have to show
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// The token itself; other users of this machine can read it in the list of processes
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// A web page that may use the interface, as https://example.org; may be repeated
    #[arg(long, value_name = "ORIGIN")]
    cors_origin: Vec<String>,
    /// A name, besides localhost, that clients may know this machine by; may be repeated
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// Requests a minute and address [default: 600, and no limit for this machine]
    #[arg(long, value_name = "N")]
    rate_limit: Option<NonZeroU32>,
    /// The most jobs that may wait
    #[arg(long, value_name = "N", default_value = "64", value_parser = options::queue)]
    queue: usize,
    /// How long a running job may still take when the program is interrupted, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = options::seconds)]
    patience: u64,
    /// The most memory for large buffers, in MB (10⁶ bytes)
    #[arg(long, value_name = "MB", value_parser = options::memory_mb)]
    memory: Option<u64>,
    /// Threads that compute [default: one a core]
    #[arg(long, value_name = "N", value_parser = options::threads)]
    threads: Option<usize>,
}

/// What was asked of a server.
#[derive(Clone)]
pub struct ServeWish {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// What clients have to show.
    pub token: Option<String>,
    /// Web pages that may use the server.
    pub cors_origins: Vec<String>,
    /// Names that the server may be called by.
    pub host_names: Vec<String>,
    /// Requests a minute and address.
    pub requests_per_minute: Option<NonZeroU32>,
}

/// A server that runs.
pub struct Serving {
    /// Where it listens.
    pub address: SocketAddr,
    /// Asks it to stop within so long, and returns at once; may be called again with less.
    pub stop_within: Box<dyn Fn(Duration) + Send>,
    /// Waits until it is gone.
    pub wait: Box<dyn FnOnce()>,
}

/// Starts a server over an engine.
pub type Serve<'a> = dyn Fn(Arc<Engine>, ServeWish) -> anyhow::Result<Serving> + Sync + 'a;

pub(super) fn run(arguments: &Arguments, serve: &Serve<'_>) -> Result<(), Failed> {
    let other = |error: anyhow::Error| Failed::new(ExitCode::Other, error);
    let wish = arguments.wish()?;
    let engine = arguments.engine()?;
    // One interruption asks, a second one insists.
    let (interrupted, interruptions) = sync_channel(2);
    ctrlc::set_handler(move || {
        // More than two say nothing new.
        interrupted.try_send(()).ok();
    })
    .map_err(|error| other(error.into()))?;
    let serving = serve(engine, wish).map_err(other)?;
    generate::print_line(&format!("http://{}", serving.address))?;
    interruptions.recv().map_err(|error| other(error.into()))?;
    (serving.stop_within)(Duration::from_secs(arguments.patience));
    let stop_within = serving.stop_within;
    std::thread::Builder::new()
        .name("orfeas-insist".into())
        .spawn(move || {
            if interruptions.recv().is_ok() {
                stop_within(Duration::ZERO);
            }
        })
        .map_err(|error| other(error.into()))?;
    (serving.wait)();
    Ok(())
}

impl Arguments {
    /// The memory manager first, then the store, then the engine.
    fn engine(&self) -> Result<Arc<Engine>, Failed> {
        let resources = Resources {
            memory_bytes: self.memory.map(|mb| mb * 1_000_000),
            threads: self.threads,
            queue_limit: Some(self.queue),
        };
        let memory = resources.start();
        let store = startup::store();
        resources.engine(&memory, store).map(Arc::new)
    }

    fn wish(&self) -> Result<ServeWish, Failed> {
        Ok(ServeWish {
            listen: self.listen,
            token: self.token()?,
            cors_origins: self.cors_origin.clone(),
            host_names: self.allow_host.clone(),
            requests_per_minute: self.rate_limit,
        })
    }

    /// The token of the command line, else of the environment.
    fn token(&self) -> Result<Option<String>, Failed> {
        if let Some(path) = &self.token_file {
            return read_token(path).map(Some);
        }
        if let Some(token) = &self.token {
            eprintln!(
                "warning: other users of this machine can read --token in the list of processes; \
                 use --token-file or {TOKEN_VARIABLE}"
            );
            return Ok(Some(token.clone()));
        }
        match std::env::var(TOKEN_VARIABLE) {
            Ok(token) if token.is_empty() => Ok(None),
            Ok(token) => Ok(Some(token)),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => Err(Failed::usage(format_args!(
                "{TOKEN_VARIABLE} is not text; make a token with `openssl rand -hex 32`"
            ))),
        }
    }
}

fn read_token(path: &Path) -> Result<String, Failed> {
    let bad = |cause: &dyn std::fmt::Display| {
        let error = anyhow::anyhow!("the token cannot be read ({cause}): {}", path.display());
        Failed::new(ExitCode::BadInput, error)
    };
    let file = std::fs::File::open(path).map_err(|error| bad(&error))?;
    let mut text = String::new();
    file.take(TOKEN_FILE_BYTES)
        .read_to_string(&mut text)
        .map_err(|error| bad(&error))?;
    match text.trim() {
        "" => Err(bad(&"the file is empty")),
        token => Ok(token.to_owned()),
    }
}
