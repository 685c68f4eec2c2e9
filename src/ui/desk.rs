//! What the window has done elsewhere: named threads with bounded inboxes, and the messages that
//! come back from them.
//!
//! A task that panics costs an error message; its lane lives. Nothing here is called back on the thread
//! that draws: results wait in the [`Inbox`] until the next frame takes them.

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use eframe::egui;

use super::download::Got;
use super::editor::Came;
use super::exporting::ExportProblem;
use super::facts::Facts;
use super::names::file_name;
use super::outline::OwnMatte;
use super::project::{ProjectId, Wishes};
use super::refine::Refined;
use super::restore::Given;
use super::results::Drawn;
use super::serving::Served;
use super::sheet::SheetShape;
use super::sources::Folders;
use super::thumbnails::{Found, Subject};
use super::viewport::ViewMessage;
use crate::engine::catalogue::Model;
use crate::engine::{Engine, Outcome, Shape, Submission};
use crate::formats::Saved;
use crate::mesh::Mesh;
use crate::store::{HistoryRecord, RecordId};

/// The most tasks that may wait for a lane.
const WAITING_LIMIT: usize = 256;

/// Something that was done elsewhere.
pub(super) enum Message {
    /// The engine runs, or why it does not.
    Started(Result<Arc<Engine>, String>),
    /// An image was read; a picture follows where it can be shown.
    Read {
        project: ProjectId,
        image: Arc<[u8]>,
    },
    /// A picture of the input.
    Picture {
        project: ProjectId,
        picture: egui::ColorImage,
        /// Of the image itself.
        pixels: u64,
    },
    /// The outline of the matte, as it lies over a picture.
    Outline { project: ProjectId, drawn: Drawn },
    /// Something for the outline's editor.
    ForOutline { project: ProjectId, came: Came },
    /// An image for a project that lacked it.
    Given { project: ProjectId, given: Given },
    /// A tool for finished meshes ended.
    Refined(Result<Refined, Problem>),
    /// A project's input could not be used.
    Unusable {
        project: ProjectId,
        problem: Problem,
    },
    /// An image came from the clipboard.
    Pasted(Result<Arc<[u8]>, Problem>),
    /// Text came from the clipboard, for the field that is typed into.
    PastedText(String),
    /// A job was taken on, or refused.
    Submitted {
        project: ProjectId,
        ticket: u64,
        submission: Result<Arc<Submission>, String>,
    },
    /// A mesh is in memory and was checked.
    Finished {
        project: ProjectId,
        ticket: u64,
        result: Result<Finished, Problem>,
    },
    /// The shapes of a job that made several are in memory.
    Sheet {
        project: ProjectId,
        wishes: Wishes,
        result: Result<Vec<SheetShape>, Problem>,
    },
    /// What each precision would need was planned, and which source, where that is left open.
    Planned {
        plans: Vec<PrecisionPlan>,
        chosen: Option<String>,
    },
    /// Where the models' weights are that are on this machine.
    Models(Folders),
    /// A model's download ended.
    Got { model: Model, got: Got },
    /// The history was read.
    History(Result<Vec<HistoryRecord>, String>),
    /// A picture for a record of the history.
    Thumbnail { subject: Subject, found: Found },
    /// A project's result is in the history now.
    Recorded {
        project: ProjectId,
        record: RecordId,
    },
    /// A mesh file was read.
    Loaded {
        project: ProjectId,
        result: Result<Loaded, Problem>,
    },
    /// A record was opened.
    Reopened {
        project: ProjectId,
        result: Result<Reopened, Problem>,
    },
    /// Something for the viewport.
    View(ViewMessage),
    /// A picture of the object was written.
    Pictured(PathBuf),
    /// An export ended.
    Exported(Result<Saved, ExportProblem>),
    /// What the disk holds was read.
    Facts(Facts),
    /// A server started, or stopped, or why it did not.
    Served(Result<Option<Served>, String>),
    /// Whether the system asks for reduced motion.
    ReducedMotion(bool),
    /// Something that the user should know.
    Notice(Problem),
}

/// A mesh that will not change any more.
pub(super) struct Finished {
    pub(super) mesh: Arc<Mesh>,
    pub(super) shape: Shape,
    pub(super) resolution: Option<u32>,
    /// Where it comes from a job that ran to its end.
    pub(super) outcome: Option<Arc<Outcome>>,
}

/// A record of the history with all that belongs to it.
pub(super) struct Reopened {
    pub(super) record: HistoryRecord,
    pub(super) image: Arc<[u8]>,
    pub(super) own_matte: Option<Arc<OwnMatte>>,
    pub(super) mesh: Arc<Mesh>,
}

/// A mesh from a file, in the frame and size that the viewport shows.
pub(super) struct Loaded {
    pub(super) mesh: Arc<Mesh>,
    pub(super) shape: Shape,
    pub(super) warnings: Vec<String>,
    /// What the file tells it was made with.
    pub(super) settings: Option<serde_json::Value>,
    /// The longest side, in millimetres.
    pub(super) longest_side_mm: f64,
}

/// What went wrong, for a person: one line, and what is behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) headline: String,
    pub(super) details: String,
}

impl Problem {
    pub(super) fn new(headline: impl Into<String>, details: impl ToString) -> Self {
        Self {
            headline: headline.into(),
            details: details.to_string(),
        }
    }
}

/// How a precision stands with the present settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PrecisionPlan {
    /// `None` for the best that fits.
    pub(super) wish: Option<crate::engine::Precision>,
    /// What it would need, in bytes, and in what it would compute.
    pub(super) plan: Result<(u64, crate::engine::Precision), String>,
    /// Why it cannot be chosen, where the source lacks it.
    pub(super) lacking: Option<String>,
    /// Cells along the longest side that fit.
    pub(super) level: Option<u32>,
    /// Why, one sentence each.
    pub(super) reasons: Vec<String>,
}

/// Where messages wait for the next frame.
#[derive(Clone)]
pub(super) struct Inbox {
    messages: Arc<Mutex<Vec<Message>>>,
    ctx: egui::Context,
}

impl Inbox {
    pub(super) fn new(ctx: egui::Context) -> Self {
        Self {
            messages: Arc::default(),
            ctx,
        }
    }

    /// Leaves a message and asks for a frame.
    pub(super) fn send(&self, message: Message) {
        self.messages
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(message);
        self.ctx.request_repaint();
    }

    /// Everything that came since the last call.
    pub(super) fn take(&self) -> Vec<Message> {
        std::mem::take(&mut *self.messages.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks for a frame.
    pub(super) fn wake(&self) {
        self.ctx.request_repaint();
    }
}

type Task = Box<dyn FnOnce(&Inbox) + Send>;

/// A named thread that does one task after another. Dropping it lets it finish what waits.
struct Lane {
    tasks: Option<SyncSender<Task>>,
    thread: Option<JoinHandle<()>>,
}

impl Lane {
    fn start(name: &'static str, inbox: Inbox) -> std::io::Result<Self> {
        let (tasks, waiting) = sync_channel::<Task>(WAITING_LIMIT);
        let thread = std::thread::Builder::new()
            .name(name.into())
            .spawn(move || {
                for task in waiting {
                    let attempt =
                        std::panic::catch_unwind(AssertUnwindSafe(|| task(&inbox)));
                    if attempt.is_err() {
                        tracing::error!(lane = name, "a task of the window panicked");
                        inbox.send(Message::Notice(Problem::new(
                            "Something went wrong inside Orfeas",
                            "an internal error stopped a task; the log has more. What is on screen is kept",
                        )));
                    }
                }
            })?;
        Ok(Self {
            tasks: Some(tasks),
            thread: Some(thread),
        })
    }

    fn run(&self, task: Task) -> bool {
        let Some(tasks) = &self.tasks else {
            return false;
        };
        match tasks.try_send(task) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                tracing::warn!("a lane of the window is full or gone");
                false
            }
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.tasks = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a lane of the window panicked");
        }
    }
}

/// Which thread a task belongs on, so that none waits behind one of another kind.
#[derive(Debug, Clone, Copy)]
pub(super) enum LaneOf {
    /// Submitting, cancelling, planning: milliseconds.
    Jobs,
    /// Reading, decoding, the history.
    Files,
    /// Reducing and writing meshes.
    Exports,
    /// Packing meshes for the graphics card.
    Views,
    /// Drawing pictures of meshes for the strip, which nobody waits for.
    Pictures,
    /// Downloading models: minutes.
    Downloads,
}

/// The lanes.
pub(super) struct Desk {
    jobs: Lane,
    files: Lane,
    exports: Lane,
    views: Lane,
    pictures: Lane,
    downloads: Lane,
    pub(super) inbox: Inbox,
}

impl Desk {
    pub(super) fn start(ctx: egui::Context) -> std::io::Result<Self> {
        let inbox = Inbox::new(ctx);
        Ok(Self {
            jobs: Lane::start("orfeas-desk-jobs", inbox.clone())?,
            files: Lane::start("orfeas-desk-files", inbox.clone())?,
            exports: Lane::start("orfeas-desk-exports", inbox.clone())?,
            views: Lane::start("orfeas-desk-views", inbox.clone())?,
            pictures: Lane::start("orfeas-desk-pictures", inbox.clone())?,
            downloads: Lane::start("orfeas-desk-downloads", inbox.clone())?,
            inbox,
        })
    }

    /// Has a task done. Where its lane is full the user is told, and nothing is done.
    pub(super) fn run(&self, lane: LaneOf, task: impl FnOnce(&Inbox) + Send + 'static) {
        let lane = match lane {
            LaneOf::Jobs => &self.jobs,
            LaneOf::Files => &self.files,
            LaneOf::Exports => &self.exports,
            LaneOf::Views => &self.views,
            LaneOf::Pictures => &self.pictures,
            LaneOf::Downloads => &self.downloads,
        };
        if !lane.run(Box::new(task)) {
            self.inbox.send(Message::Notice(Problem::new(
                "Too much is waiting to be done",
                "try again when some of it has ended",
            )));
        }
    }
}

/// Reads an image file within the limits of what is decoded at all.
pub(super) fn read_image(path: &Path) -> Result<Arc<[u8]>, Problem> {
    let name = file_name(path);
    let failed = |error: &dyn ToString| {
        Problem::new(
            format!("{name} cannot be read"),
            format!("{}: {}", error.to_string(), path.display()),
        )
    };
    let limit = crate::photo::Limits::default().max_file_bytes;
    let size = std::fs::metadata(path).map_err(|error| failed(&error))?;
    if size.is_dir() {
        return Err(failed(&"it is a folder; drop the images inside it"));
    }
    if size.len() > limit {
        return Err(failed(&format!(
            "the file has {:.0} MB, and {:.0} MB is the most that is read",
            size.len() as f64 / 1e6,
            limit as f64 / 1e6
        )));
    }
    let bytes = std::fs::read(path).map_err(|error| failed(&error))?;
    Ok(bytes.into())
}
