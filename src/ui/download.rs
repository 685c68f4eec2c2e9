//! Getting a model's weights: offered with their size and terms first, then downloaded elsewhere, where
//! it can be stopped at any moment and goes on from there the next time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::app::App;
use super::desk::{Inbox, LaneOf, Message, Problem};
use crate::engine::catalogue::Model;
use crate::engine::{Cancel, DownloadError, DownloadProgress, Engine};

/// How often progress is shown, and marked for the rate.
const TELL_EVERY: Duration = Duration::from_millis(100);
/// What the rate is measured over.
const RATE_WINDOW: Duration = Duration::from_secs(5);
/// The shortest time that a rate is told from.
const RATE_AFTER: Duration = Duration::from_millis(500);

/// A model that the user may get, and how far that is.
pub(super) struct Getting {
    pub(super) model: Model,
    pub(super) state: GettingState,
}

/// How far getting a model is.
pub(super) enum GettingState {
    /// Size and terms are shown.
    Offered {
        /// Whether a licence that excludes places was accepted.
        is_accepted: bool,
    },
    /// It is downloaded.
    Running(Download),
    /// It was stopped, or did not come about.
    Ended {
        /// Why, in words.
        reason: String,
        /// Whether the user stopped it.
        is_stopped: bool,
    },
}

/// A download under way. Dropping it stops it.
pub(super) struct Download {
    cancel: Cancel,
    meter: Arc<Mutex<Meter>>,
}

impl Download {
    pub(super) fn cancel(&self) {
        self.cancel.cancel();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.cancel.is_cancelled()
    }

    pub(super) fn meter(&self) -> MutexGuard<'_, Meter> {
        self.meter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// What has arrived, and how fast.
#[derive(Debug, Default)]
pub(super) struct Meter {
    pub(super) progress: Option<DownloadProgress>,
    /// What had arrived when, as long ago as the rate is measured over.
    marks: VecDeque<(Instant, u64)>,
}

impl Meter {
    fn note(&mut self, progress: DownloadProgress, now: Instant) {
        // A server that does not resume has it start over.
        if self
            .progress
            .is_some_and(|before| before.done_bytes > progress.done_bytes)
        {
            self.marks.clear();
        }
        self.progress = Some(progress);
        let last = self.marks.back();
        if last.is_none_or(|(at, _)| now.duration_since(*at) >= TELL_EVERY) {
            self.marks.push_back((now, progress.done_bytes));
        }
        while self
            .marks
            .get(1)
            .is_some_and(|(at, _)| now.duration_since(*at) >= RATE_WINDOW)
        {
            self.marks.pop_front();
        }
    }

    /// Bytes a second of late; `None` before that can be told.
    pub(super) fn bytes_per_second(&self, now: Instant) -> Option<f64> {
        let (since, before) = *self.marks.front()?;
        let elapsed = now.duration_since(since);
        let arrived = self.progress?.done_bytes - before;
        (elapsed >= RATE_AFTER).then(|| arrived as f64 / elapsed.as_secs_f64())
    }
}

/// How a download ended.
pub(super) enum Got {
    Ready(std::path::PathBuf),
    Stopped(String),
    Failed(String),
}

impl App {
    /// Shows what a model's weights take and on what terms they are, before anything is downloaded.
    pub(super) fn offer_download(&mut self, model: &Model) {
        let Some(engine) = &self.engine else {
            return;
        };
        let running = self.sources.getting.as_ref();
        if running.is_some_and(|getting| matches!(getting.state, GettingState::Running(_))) {
            return;
        }
        self.sources.getting = Some(Getting {
            model: *engine.library().published(model),
            state: GettingState::Offered { is_accepted: false },
        });
    }

    /// Downloads what is offered, or goes on with what ended early.
    pub(super) fn begin_download(&mut self) {
        let (Some(engine), Some(getting)) = (self.engine.clone(), &mut self.sources.getting) else {
            return;
        };
        let is_accepted = match getting.state {
            GettingState::Offered { is_accepted } => is_accepted,
            // It was accepted before the first try.
            GettingState::Ended { .. } => true,
            GettingState::Running(_) => return,
        };
        let (cancel, meter) = (Cancel::default(), Arc::<Mutex<Meter>>::default());
        let (model, raised, told) = (getting.model, cancel.clone(), Arc::clone(&meter));
        getting.state = GettingState::Running(Download { cancel, meter });
        self.desk.run(LaneOf::Downloads, move |inbox| {
            let got = download(&engine, &model, is_accepted, &raised, &told, inbox);
            inbox.send(Message::Got { model, got });
        });
    }

    /// Takes the end of a download.
    pub(super) fn got(&mut self, model: &Model, got: Got) {
        let ended = match got {
            Got::Ready(folder) => {
                self.notices.told(Problem::new(
                    format!("{} is ready", model.title),
                    "It can be chosen as the source now.",
                ));
                tracing::info!(model = model.name, "downloaded");
                self.sources.folders.insert(model.name, folder);
                self.sources.getting = None;
                return;
            }
            Got::Stopped(reason) => GettingState::Ended {
                reason,
                is_stopped: true,
            },
            Got::Failed(reason) => {
                tracing::warn!(model = model.name, "not downloaded: {reason}");
                GettingState::Ended {
                    reason,
                    is_stopped: false,
                }
            }
        };
        if let Some(getting) = &mut self.sources.getting {
            getting.state = ended;
        }
    }
}

/// Downloads a model; runs on a lane.
fn download(
    engine: &Engine,
    model: &Model,
    is_accepted: bool,
    cancel: &Cancel,
    meter: &Mutex<Meter>,
    inbox: &Inbox,
) -> Got {
    let Some(hub) = &engine.library().hub else {
        return Got::Failed(
            "this user has no home folder; set HF_HUB_CACHE to a folder for models".into(),
        );
    };
    let mut last_told = None::<Instant>;
    let downloaded = hub.download(model, is_accepted, cancel, &mut |progress| {
        let now = Instant::now();
        meter
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .note(progress, now);
        if last_told.is_none_or(|last| now.duration_since(last) >= TELL_EVERY) {
            last_told = Some(now);
            inbox.wake();
        }
    });
    match downloaded {
        Ok(folder) => Got::Ready(folder),
        Err(error @ DownloadError::Cancelled) => Got::Stopped(error.to_string()),
        Err(error) => Got::Failed(error.to_string()),
    }
}
