//! What happens to a job, as an append-only log that any number of readers follow at their own pace.
//!
//! The log is bounded by the job's stages and levels, and by how often its place in the queue changed. A
//! reader keeps its own cursor, so that no reader can delay the worker or another reader. Meshes never go
//! through here; see [`super::slot`].

use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

/// A step of a job, in the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The image file becomes pixels.
    Decode,
    /// The subject is told from its background.
    Matte,
    /// The subject is cropped and padded to a square.
    CutOut,
    /// A neural model's weights are read.
    Load,
    /// The base solid is made from the outline, or the field by a neural model.
    Shape,
    /// Shading becomes relief.
    Detail,
    /// The colours of front and back are painted.
    Colour,
    /// The surface is meshed with this many cells along its longest side.
    Surface(u32),
    /// The mesh is checked, reduced where asked, and put in order.
    Finish,
}

impl Stage {
    /// The stage's name in reports: lower case, without spaces.
    pub fn name(self) -> String {
        match self {
            Self::Decode => "decode".into(),
            Self::Matte => "matte".into(),
            Self::CutOut => "cut_out".into(),
            Self::Load => "load".into(),
            Self::Shape => "shape".into(),
            Self::Detail => "detail".into(),
            Self::Colour => "colour".into(),
            Self::Surface(level) => format!("surface_{level}"),
            Self::Finish => "finish".into(),
        }
    }

    /// The share of a job's work that is done when the stage begins, for a final resolution; `None` for
    /// stages that come more than once. Each level costs about four times the one before it; what comes
    /// before the first level is worth about 128³.
    pub fn share_done(self, finest: u32) -> Option<f64> {
        let cost = |level: u32| f64::from(level) * f64::from(level);
        let before_levels = cost(128);
        let all = before_levels + cost(finest) * 4.0 / 3.0;
        let done = match self {
            Self::Decode | Self::Matte => 0.0,
            Self::CutOut | Self::Load | Self::Shape => before_levels * 0.5,
            Self::Detail | Self::Colour => return None,
            Self::Surface(level) => before_levels + cost(level) / 3.0,
            Self::Finish => all * 0.95,
        };
        Some(done / all)
    }
}

/// The stage in words for a person who watches.
impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decode => f.write_str("Reading the image"),
            Self::Matte => f.write_str("Finding the outline"),
            Self::CutOut => f.write_str("Cutting out the subject"),
            Self::Load => f.write_str("Reading the model's weights"),
            Self::Shape => f.write_str("Shaping the solid"),
            Self::Detail => f.write_str("Reading the shading"),
            Self::Colour => f.write_str("Painting the surface"),
            Self::Surface(level) => write!(f, "Refining {level}³"),
            Self::Finish => f.write_str("Checking the mesh"),
        }
    }
}

/// Something that happened to a job.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The job waits behind this many others; told again whenever that number changed.
    Queued {
        /// How many jobs run before it.
        ahead: usize,
    },
    /// The result was in the cache.
    Cached,
    /// Memory ran out, and the job starts again with a smaller plan.
    SteppedDown {
        /// What ran out, and what was given up.
        message: String,
    },
    /// A stage began.
    Stage {
        /// Which one.
        stage: Stage,
    },
    /// Of the several shapes of the job, what follows is about this one. They are meshed one after another.
    Shape {
        /// Its seed.
        seed: u64,
        /// How many were meshed before it.
        place: usize,
        /// How many there are.
        of: usize,
    },
    /// A mesh of this level can be taken from the job's slot.
    Level {
        /// Cells along the longest side.
        resolution: u32,
        /// Vertices of the mesh, seam duplicates included.
        vertices: usize,
        /// Triangles of the mesh.
        faces: usize,
    },
    /// The user should know, and the job goes on.
    Warning {
        /// What, why, and what can be done.
        message: String,
    },
    /// The job succeeded; its outcome is there.
    Finished,
    /// The job failed; nothing is left behind.
    Failed {
        /// The error with its causes.
        message: String,
    },
    /// The job was cancelled; nothing is left behind.
    Cancelled,
}

impl Event {
    /// Whether nothing can follow this event.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Finished | Self::Failed { .. } | Self::Cancelled)
    }
}

/// The share of a job's work that is done, as its events tell: an estimate that never goes back.
#[derive(Debug, Clone, Copy)]
pub struct ShareDone {
    finest: u32,
    place: usize,
    of: usize,
    share: f64,
}

impl ShareDone {
    /// Nothing is done yet of a job with this final resolution.
    pub fn new(finest: u32) -> Self {
        Self {
            finest,
            place: 0,
            of: 1,
            share: 0.0,
        }
    }

    /// Takes an event in, and tells the share that is done.
    pub fn after(&mut self, event: &Event) -> f64 {
        match *event {
            Event::Shape { place, of, .. } => (self.place, self.of) = (place, of.max(1)),
            Event::Stage { stage } => {
                // What comes before the first level is done for all shapes at once.
                let shared = Stage::Surface(0)
                    .share_done(self.finest)
                    .unwrap_or_default();
                let share = stage.share_done(self.finest).unwrap_or_default();
                let of_own = (share - shared).max(0.0);
                let before = (1.0 - shared) * self.place as f64;
                let share = share.min(shared) + (before + of_own) / self.of as f64;
                self.share = self.share.max(share);
            }
            Event::Finished => self.share = 1.0,
            _ => {}
        }
        self.share
    }
}

/// An event and when it happened.
#[derive(Debug, Clone)]
pub struct Stamped {
    /// When.
    pub at: Instant,
    /// What.
    pub event: Event,
}

/// A reader's place in a log; starts before the first event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor(usize);

/// An append-only log of events.
#[derive(Debug, Default)]
pub struct EventLog {
    events: Mutex<Vec<Stamped>>,
    grew: Condvar,
}

impl EventLog {
    fn events(&self) -> MutexGuard<'_, Vec<Stamped>> {
        // Appending is the only change, so a poisoned log is still whole.
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends an event, unless a terminal one was appended before: terminal states never change.
    pub(super) fn push(&self, event: Event) {
        let mut events = self.events();
        if events.last().is_some_and(|last| last.event.is_terminal()) {
            return;
        }
        events.push(Stamped {
            at: Instant::now(),
            event,
        });
        drop(events);
        self.grew.notify_all();
    }

    /// A log of its own that begins with everything that happened so far.
    pub(super) fn fork(&self) -> Self {
        Self {
            events: Mutex::new(self.events().clone()),
            grew: Condvar::new(),
        }
    }

    /// The newest event.
    pub fn last(&self) -> Option<Event> {
        self.events().last().map(|last| last.event.clone())
    }

    /// The events after `cursor`, which moves behind them.
    pub fn read(&self, cursor: &mut Cursor) -> Vec<Stamped> {
        let events = self.events();
        let news = events.get(cursor.0..).unwrap_or_default().to_vec();
        cursor.0 = events.len();
        news
    }

    /// Like [`read`](Self::read), but waits up to `timeout` for something new.
    pub fn wait(&self, cursor: &mut Cursor, timeout: Duration) -> Vec<Stamped> {
        let seen = cursor.0;
        let waited = self
            .grew
            .wait_timeout_while(self.events(), timeout, |events| events.len() <= seen);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        self.read(cursor)
    }

    /// Whether the last event is terminal.
    pub fn is_closed(&self) -> bool {
        self.events()
            .last()
            .is_some_and(|last| last.event.is_terminal())
    }
}
