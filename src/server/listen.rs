//! The accept loop: connections under their limits, until the server stops.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tower::ServiceExt;

use super::app::App;
use super::body::Limited;
use super::connection::Patient;
use super::gate::Peer;
use crate::engine::State;

/// When the server has to be gone; `None` while it runs. It may be moved to an earlier time.
pub(super) type Deadline = Option<Instant>;

/// How long responses may still be written after the last job ended.
const FAREWELL: Duration = Duration::from_secs(2);

/// How long to wait when the system has no more sockets.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often what is no longer needed is forgotten.
const SWEEP: Duration = Duration::from_secs(60);

/// Serves until the deadline is set, then ends what runs within it.
pub(super) async fn serve(
    app: Arc<App>,
    router: Router,
    listener: TcpListener,
    mut deadline: watch::Receiver<Deadline>,
) {
    let keeper = tokio::spawn(keep(Arc::clone(&app)));
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(app.config.limits.connections));
    let mut stopping = deadline.clone();
    let accepting = async {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => match Arc::clone(&places).try_acquire_owned() {
                    Ok(place) => {
                        let handling =
                            handle(&app, &router, stream, peer, place, graceful.watcher());
                        tokio::spawn(handling);
                    }
                    Err(_full) => refuse(&app, &stream),
                },
                Err(error) => {
                    tracing::warn!("a connection could not be accepted: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        // A sender that is gone means to stop as well.
        _ = stopping.wait_for(Deadline::is_some) => {}
    }
    drop(listener);
    tracing::info!("the server is stopping");
    let connections = graceful.shutdown();
    let jobs = end_jobs(&app, &mut deadline);
    let ended = async {
        tokio::join!(connections, async {
            jobs.await;
            app.registry.settle_all();
        });
    };
    let farewell = async {
        until(&mut stopping).await;
        sleep(FAREWELL).await;
    };
    tokio::select! {
        () = ended => {}
        () = farewell => tracing::warn!("some clients took no answer before the server stopped"),
    }
    keeper.abort();
}

/// Says that there is no place, without waiting for anybody.
fn refuse(app: &App, stream: &TcpStream) {
    const BODY: &str = "{\"error\":{\"code\":\"too_many_connections\",\
        \"message\":\"as many connections are open as may be; try again soon\",\"retry_after_seconds\":1}}";
    app.metrics
        .connections_refused
        .fetch_add(1, Ordering::Relaxed);
    let response = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    // A new connection's buffer has room for so little; a client that is gone already misses nothing.
    stream.try_write(response.as_bytes()).ok();
}

/// One connection with all its requests.
fn handle(
    app: &Arc<App>,
    router: &Router,
    stream: TcpStream,
    peer: SocketAddr,
    place: OwnedSemaphorePermit,
    watcher: Watcher,
) -> impl Future<Output = ()> + Send + 'static {
    let limits = app.config.limits;
    let service = {
        let app = Arc::clone(app);
        let router = router.clone();
        service_fn(move |request: Request<Incoming>| {
            let (mut head, incoming) = request.into_parts();
            let body = Limited::new(incoming, app.uploads.clone(), limits);
            head.extensions.insert(Peer(peer));
            head.extensions.insert(body.watch());
            let request = Request::from_parts(head, axum::body::Body::new(body));
            let response = router.clone().oneshot(request);
            async move {
                let Ok(response) = response.await;
                Ok::<_, Infallible>(response)
            }
        })
    };
    let app = Arc::clone(app);
    async move {
        let _place = place;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!("a connection may be slow: {error}");
        }
        let mut server = http1::Builder::new();
        server
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            .max_header_size(limits.header_bytes);
        let io = TokioIo::new(Patient::new(stream, limits.write_pause));
        app.metrics.connections.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = watcher.watch(server.serve_connection(io, service)).await {
            tracing::debug!(%peer, "a connection ended early: {error}");
        }
        app.metrics.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Waits until the deadline, wherever it is moved.
async fn until(deadline: &mut watch::Receiver<Deadline>) {
    loop {
        let at = deadline.borrow_and_update().unwrap_or_else(Instant::now);
        tokio::select! {
            () = sleep_until(at) => return,
            changed = deadline.changed() => if changed.is_err() {
                sleep_until(at).await;
                return;
            },
        }
    }
}

/// Takes no more jobs, gives up those that wait, lets those that run end until the deadline, and gives
/// up the rest.
async fn end_jobs(app: &Arc<App>, deadline: &mut watch::Receiver<Deadline>) {
    let live = app.registry.close();
    for waiting in &live {
        if waiting.submission.state() == State::Queued {
            app.engine.cancel(&waiting.submission);
        }
    }
    let all_ended = async {
        for live in &live {
            app.ended(live).await;
        }
    };
    tokio::select! {
        () = all_ended => return,
        () = until(deadline) => {}
    }
    for running in &live {
        app.engine.cancel(&running.submission);
    }
    for live in &live {
        app.ended(live).await;
    }
}

/// Notices jobs that ended while nobody looked, and forgets what is no longer needed.
async fn keep(app: Arc<App>) {
    let mut changes = app.bells.listen_to_all();
    let mut sweep = tokio::time::interval(SWEEP);
    loop {
        tokio::select! {
            changed = changes.changed() => match changed {
                Ok(()) => app.registry.settle_all(),
                Err(_gone) => return,
            },
            _ = sweep.tick() => app.gate.forget_addresses(),
        }
    }
}
