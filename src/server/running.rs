//! Starting a server on a thread of its own, and stopping it.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::time::Instant;

use super::app::App;
use super::config::{Config, ConfigError};
use super::gate::Gate;
use super::listen::{self, Deadline};
use super::routes;
use crate::engine::Engine;

/// Threads of the runtime: handlers compute nothing, so two are plenty, and one that is late is not alone.
const THREADS: usize = 2;

/// Threads for what blocks: hashing and decoding uploads, writing meshes, the disk.
const BLOCKING_THREADS: usize = 8;

/// How long blocking work may still run after the server stopped: it holds on to the engine, which has
/// results to keep when it ends.
const LAST_WORK: Duration = Duration::from_secs(10);

/// The server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// It would be unsafe, or could not work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Another program has the port, or another Orfeas.
    #[error(
        "another program listens on {listen}, perhaps another Orfeas; stop it, or choose another port with --listen \
         {}:PORT (0 for any that is free)",
        .listen.ip()
    )]
    PortInUse {
        /// The address.
        listen: SocketAddr,
    },
    /// The system keeps the port for others.
    #[error("the system does not let this user listen on {listen}; choose a port above 1023")]
    NotAllowed {
        /// The address.
        listen: SocketAddr,
    },
    /// The address belongs to no network of this machine.
    #[error(
        "this machine does not have the address of {listen}; choose 127.0.0.1, or one that it has"
    )]
    NoSuchAddress {
        /// The address.
        listen: SocketAddr,
    },
    /// Anything else the system refused.
    #[error("it is not possible to listen on {listen}: {cause}")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The system gives no more threads.
    #[error("a thread could not be started: {0}")]
    Thread(std::io::Error),
}

impl ServerError {
    fn listening(listen: SocketAddr, cause: std::io::Error) -> Self {
        match cause.kind() {
            ErrorKind::AddrInUse => Self::PortInUse { listen },
            ErrorKind::PermissionDenied => Self::NotAllowed { listen },
            ErrorKind::AddrNotAvailable => Self::NoSuchAddress { listen },
            _ => Self::Listen { listen, cause },
        }
    }
}

/// A running server. Dropping it stops it at once.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stopper: Stopper,
    thread: Option<JoinHandle<()>>,
}

/// Asks a server to stop, from any thread.
#[derive(Debug, Clone)]
pub struct Stopper(watch::Sender<Deadline>);

impl Stopper {
    /// Asks the server to stop, and returns at once: no new connections and jobs; jobs that wait are
    /// given up; a job that runs may end until `patience` is over; clients that wait are answered. Asking
    /// again moves the deadline, only ever to an earlier time.
    pub fn stop_within(&self, patience: Duration) {
        let wanted = Instant::now() + patience;
        self.0.send_modify(|deadline| {
            *deadline = Some(deadline.map_or(wanted, |earlier| earlier.min(wanted)));
        });
    }
}

/// Starts a server over an engine. When this returns, it listens.
///
/// # Errors
///
/// [`ServerError`]; each names a remedy.
pub fn start(engine: Arc<Engine>, config: Config) -> Result<Server, ServerError> {
    config.check()?;
    let at = |cause| ServerError::listening(config.listen, cause);
    let listener = TcpListener::bind(config.listen).map_err(at)?;
    listener.set_nonblocking(true).map_err(at)?;
    let address = listener.local_addr().map_err(at)?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(THREADS)
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("orfeas-server-worker")
        .enable_io()
        .enable_time()
        .build()
        .map_err(ServerError::Thread)?;
    let listener = {
        let _inside = runtime.enter();
        tokio::net::TcpListener::from_std(listener).map_err(at)?
    };
    let gate = Gate::new(&config, address);
    let app = App::new(engine, config, gate);
    let (deadline, stop) = watch::channel(None);
    let thread = std::thread::Builder::new()
        .name("orfeas-server".into())
        .spawn(move || run(runtime, app, listener, stop))
        .map_err(ServerError::Thread)?;
    tracing::info!(%address, "the server listens");
    Ok(Server {
        address,
        stopper: Stopper(deadline),
        thread: Some(thread),
    })
}

fn run(
    runtime: Runtime,
    app: Arc<App>,
    listener: tokio::net::TcpListener,
    stop: watch::Receiver<Deadline>,
) {
    let router = routes::router(Arc::clone(&app));
    runtime.block_on(listen::serve(app, router, listener, stop));
    runtime.shutdown_timeout(LAST_WORK);
    tracing::info!("the server stopped");
}

impl Server {
    /// The address it listens on, with the port that it got.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What can stop the server while another thread waits for its end.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Stops it as [`Stopper::stop_within`] says, and waits until it is gone.
    pub fn stop(self, patience: Duration) {
        self.stopper.stop_within(patience);
        self.wait();
    }

    /// Waits until the server is gone, which it is after somebody stopped it.
    pub fn wait(mut self) {
        self.join();
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the server's thread panicked");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopper.stop_within(Duration::ZERO);
        self.join();
    }
}
