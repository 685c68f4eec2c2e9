//! One image on its way to a mesh: what was asked for, what runs, and what is on screen.
//!
//! It holds state and answers questions about it. Whatever changes it is in [`super::drive`].

use std::sync::Arc;
use std::time::Instant;

use eframe::egui;

use super::desk::Problem;
use super::flow;
use super::names::stem;
use super::outline::{Outline, OwnMatte};
use super::progress::{Progress, Work};
use super::restore::MissingImage;
use super::results::PlaceInHistory;
use super::sheet::Sheet;
use crate::engine::{
    Back, Controls, Cursor, Flow, LevelMesh, MatteSummary, Origin, Precision, Seen, Settings,
    Shape, Source, State, Submission,
};
use crate::mesh::Mesh;
use crate::store::RecordId;

/// Names a project for the life of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ProjectId(pub(super) u64);

/// How the subject is told from its background, as far as it is chosen here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MatteChoice {
    Auto,
    Alpha,
    Full,
    /// An image of the user's.
    Own,
}

impl MatteChoice {
    /// Those that need nothing beside the image.
    pub(super) const ALL: [Self; 3] = [Self::Auto, Self::Alpha, Self::Full];

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Auto => "Automatic",
            Self::Alpha => "Transparency",
            Self::Full => "Whole frame",
            Self::Own => "Own matte",
        }
    }
}

/// Everything that can be turned. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wishes {
    pub(super) controls: Controls,
    pub(super) resolution: u32,
    pub(super) outline: Outline,
    pub(super) precision: Option<Precision>,
    pub(super) source: Source,
    pub(super) flow: Flow,
}

impl Wishes {
    pub(super) fn new(resolution: u32, flow: Flow) -> Self {
        Self {
            controls: Controls::default(),
            resolution,
            outline: Outline::default(),
            precision: None,
            source: Source::Inflate,
            flow,
        }
    }

    /// The wishes that a file or a record was made with, as far as it tells, and the matte that was kept
    /// beside it.
    pub(super) fn from_json(
        settings: &serde_json::Value,
        own_matte: Option<Arc<OwnMatte>>,
    ) -> Self {
        let number = |name: &str, range: std::ops::RangeInclusive<f32>, default: f32| {
            let value = settings[name]
                .as_f64()
                .map_or(default, |value| value as f32);
            if value.is_finite() {
                value.clamp(*range.start(), *range.end())
            } else {
                default
            }
        };
        let default = Controls::default();
        let resolution =
            settings["resolution"]
                .as_u64()
                .map_or(Settings::DEFAULT_RESOLUTION, |cells| {
                    cells.clamp(
                        u64::from(Settings::MIN_RESOLUTION),
                        u64::from(Settings::MAX_RESOLUTION),
                    ) as u32
                });
        Self {
            controls: Controls {
                thickness: number("thickness", Settings::THICKNESSES, default.thickness),
                detail: number("detail", Settings::DETAILS, default.detail),
                relief: number("relief", Settings::RELIEFS, default.relief),
                back: match settings["back"].as_str() {
                    Some("plain") => Back::Plain,
                    Some("mirror") => Back::Mirror,
                    Some("flat") => Back::Flat,
                    _ => Back::Auto,
                },
            },
            resolution,
            outline: Outline::from_json(settings, own_matte),
            precision: None,
            flow: flow::from_json(settings),
            source: match settings["source"].as_str() {
                Some("triposr") => Source::TripoSr,
                Some("triposg") => Source::TripoSg,
                _ => Source::Inflate,
            },
        }
    }

    /// Whether both ask for the same shape, however fine.
    pub(super) fn same_shape(&self, other: &Self) -> bool {
        self.controls == other.controls
            && self.outline == other.outline
            && self.source == other.source
            && flow::same_shape(self.flow, other.flow)
    }

    /// The wishes of one of several shapes alone, counted from 0.
    pub(super) fn of_shape(&self, place: usize) -> Self {
        let mut wishes = self.clone();
        wishes.flow.seed = self.flow.seed.saturating_add(place as u64);
        wishes.flow.shapes = 1;
        wishes
    }

    /// What a full job is for.
    pub(super) fn purpose(&self) -> Purpose {
        if self.source == Source::TripoSg && self.flow.shapes > 1 {
            Purpose::Sheet
        } else {
            Purpose::Full
        }
    }

    /// Whether the source takes too long to follow a moving hand, or may: then it begins when the user says so.
    pub(super) fn begins_by_hand(&self) -> bool {
        self.source != Source::Inflate
    }

    /// What a job's stages follow from, with as many cells as given.
    pub(super) fn work(&self, resolution: u32) -> Work {
        Work {
            source: self.source,
            resolution,
            flow: self.flow,
        }
    }

    /// The engine's settings, with as many cells as given.
    pub(super) fn settings(&self, resolution: u32) -> Settings {
        Settings {
            source: self.source,
            resolution,
            matte: self.outline.request(),
            controls: self.controls,
            simplify_to_faces: None,
            precision: self.precision,
            flow: self.flow,
            ..Settings::default()
        }
    }
}

/// What a job is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A quick look while a control moves.
    Draft,
    /// The result.
    Full,
    /// Several coarse shapes to pick one from.
    Sheet,
}

/// A job that the engine was asked for.
#[derive(Debug)]
pub(super) struct Run {
    /// Tells this request's answers from an earlier one's.
    pub(super) ticket: u64,
    pub(super) purpose: Purpose,
    pub(super) wishes: Wishes,
    /// `None` until the engine has answered.
    pub(super) submission: Option<Arc<Submission>>,
    pub(super) cursor: Cursor,
    pub(super) seen_mesh: Seen,
    pub(super) seen_matte: Seen,
    pub(super) seen_step: Seen,
    pub(super) progress: Progress,
    /// Whether the shape is to be finished as it is predicted by now.
    pub(super) keeps_prediction: bool,
}

impl Run {
    pub(super) fn new(ticket: u64, purpose: Purpose, wishes: Wishes, resolution: u32) -> Self {
        Self {
            ticket,
            purpose,
            progress: Progress::of(&wishes.work(resolution)),
            wishes,
            submission: None,
            cursor: Cursor::default(),
            seen_mesh: Seen::default(),
            seen_matte: Seen::default(),
            seen_step: Seen::default(),
            keeps_prediction: false,
        }
    }

    /// Takes note of which source is computed, where that was left open.
    pub(super) fn settle_source(&mut self, source: Source) {
        if self.wishes.source != source {
            self.wishes.source = source;
            self.progress = Progress::of(&self.wishes.work(self.wishes.resolution));
        }
    }

    /// Whether a shape is refined from noise, so that it could be finished as it is predicted by now.
    pub(super) fn is_refining(&self) -> bool {
        self.purpose != Purpose::Draft && self.progress.steps_taken().is_some()
    }

    pub(super) fn state(&self) -> State {
        self.submission
            .as_ref()
            .map_or(State::Queued, |submission| submission.state())
    }
}

/// The mesh on screen, wherever it came from.
#[derive(Debug, Clone)]
pub(super) enum Shown {
    Level(Arc<LevelMesh>),
    Mesh(Arc<Mesh>),
}

impl Shown {
    pub(super) fn mesh(&self) -> &Mesh {
        match self {
            Self::Level(level) => &level.mesh,
            Self::Mesh(mesh) => mesh,
        }
    }
}

/// What is on screen, and what is known of it.
#[derive(Debug, Clone)]
pub(super) struct Result3d {
    pub(super) shown: Shown,
    /// Cells along the longest side; `None` for a mesh from a file.
    pub(super) resolution: Option<u32>,
    /// The wishes that it was made with.
    pub(super) wishes: Option<Wishes>,
    /// Its measures, once it was checked.
    pub(super) shape: Option<Shape>,
    /// Counts up with every mesh that is shown.
    pub(super) revision: u64,
    /// What tools did to it, as settings tell it.
    pub(super) edits: Vec<serde_json::Value>,
}

impl Result3d {
    /// Whether it is of the shape that is asked for, however fine.
    pub(super) fn is_of_shape(&self, wishes: &Wishes) -> bool {
        self.wishes
            .as_ref()
            .is_some_and(|made| made.same_shape(wishes))
    }
}

/// The matte that was used, as far as the window tells.
#[derive(Clone)]
pub(super) struct MatteShown {
    /// What lies over the picture; a result from the cache has none.
    pub(super) overlay: Option<egui::TextureHandle>,
    pub(super) summary: MatteSummary,
    /// What was asked for, where that is known.
    pub(super) made_for: Option<Outline>,
}

/// Where a project stands, for the strip and the buttons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The image or mesh is being read.
    Opening,
    /// A job waits behind others.
    Waiting,
    /// A job runs.
    Working,
    /// A finished mesh is there.
    Done,
    /// There is a mesh, though not the one that was asked for.
    Stopped,
    /// There is nothing but a reason.
    Failed,
}

/// One image, or a mesh that was opened for viewing.
pub(super) struct Project {
    pub(super) id: ProjectId,
    pub(super) name: String,
    /// The image file; `None` while it is read, and for a mesh from a file.
    pub(super) image: Option<Arc<[u8]>>,
    pub(super) picture: Option<egui::TextureHandle>,
    pub(super) matte: Option<MatteShown>,
    pub(super) wishes: Wishes,
    /// The job that runs for it, until what became of it is taken note of.
    pub(super) run: Option<Run>,
    /// When a control was last moved without a job for it yet.
    pub(super) changed: Option<Instant>,
    /// Whether a full job is due once the controls rest.
    pub(super) owes_full: bool,
    pub(super) result: Option<Result3d>,
    pub(super) problem: Option<Problem>,
    /// Whether the image itself is what was wrong, so that trying again is of no use.
    pub(super) bad_image: bool,
    /// Whether the user stopped before the end.
    pub(super) stopped: bool,
    /// Whether it was opened from a mesh file.
    pub(super) is_mesh_file: bool,
    pub(super) warnings: Vec<String>,
    /// The longest side that a mesh from a file has, in millimetres.
    pub(super) file_size_mm: Option<f64>,
    pub(super) record: Option<RecordId>,
    /// The coarse shapes that it was last asked for.
    pub(super) sheet: Option<Sheet>,
    /// Pixels of the image, once it was decoded.
    pub(super) pixels: Option<u64>,
    /// The last result that was checked: what is shown again where a newer one does not come to its end.
    pub(super) finished: Option<Result3d>,
    /// How the last full job went; nothing where its result came from the cache.
    pub(super) last_progress: Option<Progress>,
    /// Why the last job's source was chosen, where that was left open.
    pub(super) chosen: Option<String>,
    /// Whether the result came from the cache.
    pub(super) was_cached: bool,
    pub(super) place_in_history: PlaceInHistory,
    /// The image that a mesh from a file needs to be made again.
    pub(super) missing: Option<MissingImage>,
    /// When the last control was moved that the full job waits for.
    pub(super) rests_since: Option<Instant>,
}

impl Project {
    pub(super) fn new(id: ProjectId, name: String, wishes: Wishes) -> Self {
        Self {
            id,
            name,
            image: None,
            picture: None,
            matte: None,
            wishes,
            run: None,
            changed: None,
            owes_full: false,
            result: None,
            problem: None,
            bad_image: false,
            stopped: false,
            is_mesh_file: false,
            warnings: Vec::new(),
            file_size_mm: None,
            record: None,
            sheet: None,
            pixels: None,
            finished: None,
            last_progress: None,
            chosen: None,
            was_cached: false,
            place_in_history: PlaceInHistory::default(),
            missing: None,
            rests_since: None,
        }
    }

    /// The name without its extension.
    pub(super) fn stem(&self) -> &str {
        stem(&self.name)
    }

    pub(super) fn is_working(&self) -> bool {
        self.run.is_some() || self.owes_full || self.changed.is_some()
    }

    /// Whether the mesh on screen is checked and will not be replaced.
    pub(super) fn is_finished(&self) -> bool {
        !self.is_working()
            && self
                .result
                .as_ref()
                .is_some_and(|result| result.shape.is_some())
    }

    pub(super) fn phase(&self) -> Phase {
        // Also one that has ended since it was looked at: what came of it is not on screen yet.
        if let Some(run) = &self.run {
            return match run.state() {
                State::Queued => Phase::Waiting,
                _ => Phase::Working,
            };
        }
        if self.changed.is_some() || self.owes_full && self.rests_since.is_some() {
            return Phase::Working;
        }
        if self.owes_full {
            return Phase::Waiting;
        }
        match (&self.result, &self.problem) {
            (None, Some(_)) => Phase::Failed,
            (None, None) if self.stopped => Phase::Stopped,
            (None, None) => Phase::Opening,
            (Some(_), None) if !self.stopped => Phase::Done,
            (Some(_), _) => Phase::Stopped,
        }
    }

    /// The phase as it is told in a word: a mesh that is still being checked, and cannot be exported yet, is being
    /// worked on.
    pub(super) fn phase_in_a_word(&self) -> Phase {
        match self.phase() {
            Phase::Done if !self.is_finished() => Phase::Working,
            phase => phase,
        }
    }

    /// How the job goes, or how the last one went.
    pub(super) fn progress(&self) -> Option<&Progress> {
        let run = self.run.as_ref();
        run.filter(|run| run.purpose != Purpose::Draft)
            .map(|run| &run.progress)
            .or(self.last_progress.as_ref())
    }

    /// Takes note of how a job came to its result. One that is still in memory brings the events of the job that
    /// made it, for whoever that was: of what came from the cache they tell nothing.
    pub(super) fn note_end(&mut self, origin: Origin, progress: Progress) {
        self.was_cached = origin == Origin::Cached;
        self.last_progress = (!self.was_cached).then_some(progress);
    }

    /// Shows the last checked result again, where what is shown was not checked; tells whether a checked
    /// one is shown now.
    pub(super) fn show_finished(&mut self, revision: u64) -> bool {
        let is_checked = self
            .result
            .as_ref()
            .is_some_and(|result| result.shape.is_some());
        match &self.finished {
            Some(finished) if !is_checked => {
                self.result = Some(Result3d {
                    revision,
                    ..finished.clone()
                });
                true
            }
            _ => is_checked,
        }
    }

    /// Begins with an image that was read, or waits for Generate where the source takes long.
    pub(super) fn begin(&mut self) {
        let waits = self.wishes.begins_by_hand();
        self.owes_full = !waits;
        self.stopped |= waits;
    }

    /// Moves a control: what runs is made with other wishes now.
    pub(super) fn change(&mut self, wishes: Wishes, now: Instant) {
        if wishes == self.wishes {
            return;
        }
        self.wishes = wishes;
        if self.missing.is_some() {
            // There is nothing to make it from yet.
            return;
        }
        self.problem = None;
        if self.wishes.begins_by_hand() {
            self.changed = None;
            self.owes_full = false;
            self.stopped = true;
            return;
        }
        self.changed = Some(now);
        self.stopped = false;
    }
}
