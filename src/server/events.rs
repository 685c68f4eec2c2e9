//! Events as clients see them, and streams of them: server-sent events, and lines of JSON.
//!
//! Each reader has its own place in the log and one small task. A reader that is slow, or gone, delays
//! nobody.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::mpsc::{Sender, channel};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use utoipa::ToSchema;
use uuid::Uuid;

use super::app::App;
use super::documents::{Status, mesh_url};
use super::refusal::{ErrorDetail, Refusal};
use super::registry::{Ended, Found, Live};
use crate::engine::{Cursor, Event, EventLog, ShareDone, Stamped};

/// Events that may wait for a slow reader; the log holds the others.
const WAITING: usize = 8;

/// How often a silent stream says that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Level meshes up to this resolution stay as long as the job does.
const KEPT_RESOLUTION: u32 = 128;

/// What kind of event it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum EventKind {
    Queued,
    /// The result was in the cache.
    Cached,
    /// Memory ran out; the job starts again with a smaller plan.
    SteppedDown,
    Stage,
    /// Of several shapes, what follows is about this one.
    Shape,
    Level,
    Warning,
    Completed,
    Failed,
    Cancelled,
}

impl EventKind {
    fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Cached => "cached",
            Self::SteppedDown => "stepped_down",
            Self::Stage => "stage",
            Self::Shape => "shape",
            Self::Level => "level",
            Self::Warning => "warning",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Something that happened to a job.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EventDocument {
    /// The job.
    job: Uuid,
    /// The place of the event in the job's story, from 1 on.
    sequence: usize,
    event: EventKind,
    /// What the job's status is from now on.
    status: Status,
    /// The share of the work that is done, from 0 to 1; an estimate.
    progress: f64,
    /// Seconds since the request.
    seconds: f64,
    /// The stage that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<String>,
    /// The shape that the event is about, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    /// How many jobs run before this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    ahead: Option<usize>,
    /// A mesh of so many cells along the longest side is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vertices: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    faces: Option<usize>,
    /// Where that mesh, or the finished one, can be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    mesh_url: Option<String>,
    /// In words, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// Why the job failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorDetail>,
}

/// An event as a stream of server-sent events carries it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described: events are written line by line")]
pub(super) struct ServerSentEvent {
    /// The sequence of the event, for Last-Event-ID.
    id: String,
    event: EventKind,
    /// The event as JSON.
    #[schema(content_media_type = "application/json")]
    data: String,
}

/// Tells the story of one submission.
#[derive(Debug)]
struct Narrator {
    job: Uuid,
    submitted: Instant,
    finest: u32,
    keeps_every_level: bool,
    done: ShareDone,
    progress: f64,
    stage: Option<String>,
    seed: Option<u64>,
    told: usize,
}

impl Narrator {
    fn of(found: &Found) -> Self {
        let (job, submitted, finest, keeps_every_level) = match found {
            Found::Live(live) => {
                let request = &live.submission.job.request;
                (
                    live.submission.id,
                    live.submitted,
                    request.settings.resolution,
                    request.keep_every_level,
                )
            }
            Found::Ended(ended) => (
                ended.id,
                ended.submitted,
                ended.resolution,
                ended.keep_every_level,
            ),
        };
        Self {
            job,
            submitted,
            finest,
            keeps_every_level,
            done: ShareDone::new(finest),
            progress: 0.0,
            stage: None,
            seed: None,
            told: 0,
        }
    }

    fn keeps(&self, level: u32) -> bool {
        level <= KEPT_RESOLUTION || level == self.finest || self.keeps_every_level
    }

    fn tell(&mut self, stamped: &Stamped, refusal: Option<&Refusal>) -> EventDocument {
        self.told += 1;
        self.progress = self.done.after(&stamped.event);
        let seconds = stamped.at.saturating_duration_since(self.submitted);
        let mut document = self.blank(seconds.as_secs_f64());
        match &stamped.event {
            Event::Queued { ahead } => {
                document.event = EventKind::Queued;
                document.status = Status::Queued;
                document.ahead = Some(*ahead);
            }
            Event::Cached => document.event = EventKind::Cached,
            Event::SteppedDown { message } => {
                document.event = EventKind::SteppedDown;
                document.message = Some(message.clone());
            }
            Event::Stage { stage } => {
                self.stage = Some(stage.name());
                document.message = Some(stage.to_string());
            }
            Event::Shape { seed, place, of } => {
                document.event = EventKind::Shape;
                document.message = Some(format!("Shape {} of {of}", place + 1));
                self.seed = Some(*seed);
            }
            Event::Level {
                resolution,
                vertices,
                faces,
            } => {
                document.event = EventKind::Level;
                document.level = Some(*resolution);
                document.vertices = Some(*vertices);
                document.faces = Some(*faces);
                document.mesh_url = self
                    .keeps(*resolution)
                    .then(|| mesh_url(self.job, Some(*resolution), self.seed));
            }
            Event::Warning { message } => {
                document.event = EventKind::Warning;
                document.message = Some(message.clone());
            }
            Event::Finished => self.end(&mut document, Status::Completed),
            Event::Failed { .. } => {
                self.end(&mut document, Status::Failed);
                document.error = refusal.map(|refusal| refusal.detail().clone());
            }
            Event::Cancelled => self.end(&mut document, Status::Cancelled),
        }
        document.stage.clone_from(&self.stage);
        document.seed = self.seed;
        document.progress = self.progress;
        document
    }

    fn end(&mut self, document: &mut EventDocument, status: Status) {
        self.stage = None;
        self.seed = None;
        document.status = status;
        document.event = match status {
            Status::Completed => EventKind::Completed,
            Status::Failed => EventKind::Failed,
            _ => EventKind::Cancelled,
        };
        if status == Status::Completed {
            self.progress = 1.0;
            document.progress = 1.0;
            document.mesh_url = Some(mesh_url(self.job, None, None));
        }
    }

    fn blank(&self, seconds: f64) -> EventDocument {
        EventDocument {
            job: self.job,
            sequence: self.told,
            event: EventKind::Stage,
            status: Status::Running,
            progress: self.progress,
            seconds,
            stage: None,
            seed: None,
            ahead: None,
            level: None,
            vertices: None,
            faces: None,
            mesh_url: None,
            message: None,
            error: None,
        }
    }

    /// The last event of a job whose log is gone.
    fn tell_end(&mut self, ended: &Ended) -> EventDocument {
        self.told = ended.events;
        let mut document = self.blank(0.0);
        self.end(&mut document, ended.status);
        document.error = ended
            .refusal
            .as_ref()
            .map(|refusal| refusal.detail().clone());
        document
    }
}

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// `text/event-stream`.
    ServerSent,
    /// `application/x-ndjson`.
    Lines,
}

impl Framing {
    fn content_type(self) -> &'static str {
        match self {
            Self::ServerSent => "text/event-stream",
            Self::Lines => "application/x-ndjson",
        }
    }

    fn frame(self, document: &EventDocument) -> Bytes {
        // JSON has no line ends outside of strings, and escapes those inside.
        let json = serde_json::to_string(document).unwrap_or_default();
        match self {
            Self::ServerSent => format!(
                "id: {}\nevent: {}\ndata: {json}\n\n",
                document.sequence,
                document.event.name()
            ),
            Self::Lines => json + "\n",
        }
        .into()
    }

    /// Something that is no event, to find out whether the reader is still there.
    fn keep_alive(self) -> Bytes {
        Bytes::from_static(match self {
            Self::ServerSent => b":\n\n",
            // An empty line is none of NDJSON's values, and its readers skip it.
            Self::Lines => b"\n",
        })
    }
}

/// The place after which a reader wants to go on.
pub(super) fn last_event_id(headers: &HeaderMap) -> Result<usize, Refusal> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(0);
    };
    let text = value.to_str().unwrap_or_default().trim();
    // The description says that it is an int32.
    let id = text
        .parse::<i32>()
        .ok()
        .and_then(|id| usize::try_from(id).ok());
    id.ok_or_else(|| {
        Refusal::bad_request(
            "bad_event_id",
            "Last-Event-ID takes the id of an event of this stream; leave it out to read from the start",
        )
        .about("Last-Event-ID")
    })
}

/// Streams a submission's events after the first `skip` to their end.
pub(super) fn stream(
    app: &Arc<App>,
    found: Found,
    framing: Framing,
    skip: usize,
    guard: impl Send + 'static,
) -> Response {
    let (sender, receiver) = channel(WAITING);
    let app = Arc::clone(app);
    tokio::spawn(async move {
        // What is sent to a reader that went away is nobody's loss.
        follow(&app, &found, framing, skip, &sender).await.ok();
        drop(guard);
    });
    let headers = [
        (CONTENT_TYPE, framing.content_type()),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, Body::from_stream(ReceiverStream::new(receiver))).into_response()
}

/// The reader is no longer there.
struct Gone;

type Item = Result<Bytes, Infallible>;

async fn follow(
    app: &Arc<App>,
    found: &Found,
    framing: Framing,
    skip: usize,
    sender: &Sender<Item>,
) -> Result<(), Gone> {
    match found {
        Found::Live(live) => follow_live(app, live, framing, skip, sender).await,
        Found::Ended(ended) => match app.registry.kept_log(ended.id) {
            Some(log) => replay(&log, ended, framing, skip, sender).await,
            None if skip >= ended.events => Ok(()),
            None => {
                let document = Narrator::of(found).tell_end(ended);
                send(sender, framing.frame(&document)).await
            }
        },
    }
}

async fn replay(
    log: &EventLog,
    ended: &Arc<Ended>,
    framing: Framing,
    skip: usize,
    sender: &Sender<Item>,
) -> Result<(), Gone> {
    let mut narrator = Narrator::of(&Found::Ended(Arc::clone(ended)));
    for stamped in log.read(&mut Cursor::default()) {
        let document = narrator.tell(&stamped, ended.refusal.as_ref());
        if document.sequence > skip {
            send(sender, framing.frame(&document)).await?;
        }
    }
    Ok(())
}

async fn follow_live(
    app: &Arc<App>,
    live: &Arc<Live>,
    framing: Framing,
    skip: usize,
    sender: &Sender<Item>,
) -> Result<(), Gone> {
    let mut listener = app.bells.listen(live.submission.job.id);
    let mut narrator = Narrator::of(&Found::Live(Arc::clone(live)));
    let mut cursor = Cursor::default();
    loop {
        for stamped in live.submission.events.read(&mut cursor) {
            let last = stamped.event.is_terminal();
            // A client that has read the end finds the job ended.
            let ended = last.then(|| app.registry.settle(live));
            let refusal = ended.as_ref().and_then(|ended| ended.refusal.as_ref());
            let document = narrator.tell(&stamped, refusal);
            if document.sequence > skip {
                send(sender, framing.frame(&document)).await?;
            }
            if last {
                return Ok(());
            }
        }
        tokio::select! {
            () = listener.heard() => {}
            () = sender.closed() => return Err(Gone),
            () = tokio::time::sleep(KEEP_ALIVE) => send(sender, framing.keep_alive()).await?,
        }
    }
}

/// Waits for a place, as long as a client may take nothing.
async fn send(sender: &Sender<Item>, bytes: Bytes) -> Result<(), Gone> {
    const PATIENCE: Duration = Duration::from_secs(60);
    match timeout(PATIENCE, sender.send(Ok(bytes))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Gone),
    }
}
