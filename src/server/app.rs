//! What the routes of a server share.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::bells::Bells;
use super::body::Memory;
use super::config::Config;
use super::gate::Gate;
use super::metrics::Metrics;
use super::refusal::Refusal;
use super::registry::{Ended, Live, NotTaken, Registry};
use super::upload::Upload;
use crate::engine::{Engine, Request};

/// Meshes that may be written into memory at once.
const ENCODING: usize = 2;

/// A server's state, shared by all its requests.
pub(super) struct App {
    pub(super) engine: Arc<Engine>,
    pub(super) config: Config,
    pub(super) gate: Gate,
    pub(super) bells: Arc<Bells>,
    pub(super) registry: Registry,
    /// The bodies of requests, and the images of jobs that have not ended.
    pub(super) uploads: Memory,
    /// Meshes being sent.
    pub(super) downloads: Memory,
    /// Turns to write a mesh.
    pub(super) encoding: Arc<Semaphore>,
    /// The turn to decode a matte.
    pub(super) decoding: Arc<Semaphore>,
    pub(super) metrics: Metrics,
    pub(super) started: Instant,
}

impl App {
    pub(super) fn new(engine: Arc<Engine>, config: Config, gate: Gate) -> Arc<Self> {
        let bells = Arc::<Bells>::default();
        // The engine outlives servers and forgets no waker, so this one holds on to nothing.
        let weak = Arc::downgrade(&bells);
        engine.on_change(move |job| {
            if let Some(bells) = weak.upgrade() {
                bells.ring(job);
            }
        });
        let limits = config.limits;
        Arc::new(Self {
            engine,
            gate,
            bells,
            registry: Registry::new(limits),
            uploads: Memory::new(limits.upload_bytes),
            downloads: Memory::new(limits.download_bytes),
            encoding: Arc::new(Semaphore::new(ENCODING)),
            decoding: Arc::new(Semaphore::new(1)),
            metrics: Metrics::default(),
            started: Instant::now(),
            config,
        })
    }

    /// Hands a request to the engine, on a blocking thread: the image is hashed there.
    ///
    /// A submission is registered on that thread too. So a client that goes away meanwhile leaves a job
    /// that is listed and can be cancelled, never one that nobody knows.
    pub(super) async fn submit(
        self: &Arc<Self>,
        upload: Upload,
        keep_every_level: bool,
    ) -> Result<Arc<Live>, Refusal> {
        self.registry
            .has_room()
            .map_err(|reason| self.not_taken(reason))?;
        let app = Arc::clone(self);
        let submitted = tokio::task::spawn_blocking(move || {
            let submitted = Instant::now();
            let request = Request {
                image: upload.image,
                name: upload.name.clone(),
                settings: upload.settings,
                keep_every_level,
                cache: upload.cache,
                history: upload.history,
            };
            let submission = app
                .engine
                .submit(request)
                .map_err(|full| app.queue_full(&full.to_string()))?;
            let live = Arc::new(Live {
                submission,
                created: Timestamp::now(),
                submitted,
                size_mm: upload.size_mm,
                name: upload.name,
                _held: upload.held,
            });
            match app.registry.add(&live) {
                Ok(()) => Ok(live),
                Err(reason) => {
                    app.engine.cancel(&live.submission);
                    Err(app.not_taken(reason))
                }
            }
        });
        submitted.await.map_err(|_panicked| Refusal::internal())?
    }

    fn queue_full(&self, message: &str) -> Refusal {
        Refusal::new(
            axum::http::StatusCode::SERVICE_UNAVAILABLE,
            "queue_full",
            message,
        )
        .retry_after(self.registry.patience())
    }

    fn not_taken(&self, reason: NotTaken) -> Refusal {
        match reason {
            NotTaken::Closed => Refusal::shutting_down(),
            NotTaken::Full => Refusal::busy(
                "as many requests are under way as may be; try again when some of them have ended",
            )
            .retry_after(self.registry.patience()),
        }
    }

    /// Waits for a submission's end.
    pub(super) async fn ended(&self, live: &Arc<Live>) -> Arc<Ended> {
        let mut listener = self.bells.listen(live.submission.job.id);
        while !live.submission.events.is_closed() {
            listener.heard().await;
        }
        self.registry.settle(live)
    }
}
