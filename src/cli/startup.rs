//! What every front end starts with: the memory manager first, then the store, then the engine.

use super::exit::{ExitCode, Failed};
use crate::engine::{Config, Engine, Ledger, Library, Paces};
use crate::store::{Folders, Limits, Store};
use crate::vram::{self, DeviceChoice, Manager};

/// The environment variable that names the GPU to watch: a name, a part of one, or a number.
const GPU_VARIABLE: &str = "ORFEAS_GPU";

/// What the user says about this machine's resources.
#[derive(Debug, Clone, Default)]
pub(super) struct Resources {
    /// The most memory for large buffers; `None` for all there is.
    pub(super) memory_bytes: Option<u64>,
    /// Threads that compute; `None` for one a core.
    pub(super) threads: Option<usize>,
    /// The most jobs that may wait; `None` for the engine's own limit.
    pub(super) queue_limit: Option<usize>,
}

/// The memory manager and the account that it watches.
pub(super) struct Memory {
    pub(super) manager: Manager,
    ledger: Ledger,
}

impl Resources {
    /// Starts the memory manager. A machine without a GPU is a normal state.
    pub(super) fn start(&self) -> Memory {
        let ledger = self
            .memory_bytes
            .map_or_else(Ledger::unlimited, Ledger::with_budget);
        let manager = Manager::start(vram::Config {
            host_ledger: ledger.clone(),
            device: std::env::var(GPU_VARIABLE)
                .map_or_else(|_unset| DeviceChoice::Auto, |name| name.as_str().into()),
            ..vram::Config::default()
        });
        Memory { manager, ledger }
    }

    /// Starts an engine over the memory that is watched.
    pub(super) fn engine(&self, memory: &Memory, store: Option<Store>) -> Result<Engine, Failed> {
        let defaults = Config::default();
        Engine::start(Config {
            queue_limit: self.queue_limit.unwrap_or(defaults.queue_limit),
            ledger: memory.ledger.clone(),
            vram: Some(memory.manager.clone()),
            store,
            library: library(),
            paces: paces(),
            threads: self.threads,
            ..defaults
        })
        .map_err(|error| Failed::new(ExitCode::Other, error))
    }
}

/// Opens the store; without one, nothing is kept on disk, and everything else works.
pub(super) fn store() -> Option<Store> {
    let Some(folders) = Folders::of_platform() else {
        eprintln!("warning: this system names no folder for caches, so no result is kept on disk");
        return None;
    };
    match Store::open(&folders, Limits::default()) {
        Ok(store) => Some(store),
        Err(error) => {
            eprintln!("warning: no result is kept on disk: {error}");
            tracing::warn!("no result is kept on disk: {error}");
            None
        }
    }
}

/// The models of this user.
pub(super) fn library() -> Library {
    Library::of_user(
        Folders::of_platform()
            .map(|folders| folders.data)
            .as_deref(),
    )
}

/// What is known of this machine's pace.
pub(super) fn paces() -> Paces {
    Paces::of_user(
        Folders::of_platform()
            .map(|folders| folders.data)
            .as_deref(),
    )
}
