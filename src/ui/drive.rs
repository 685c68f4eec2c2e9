//! What moves a project on: the engine's answers, its events, and controls that were moved.
//!
//! While a control moves, drafts of 64³ follow each other, each begun when the one before it is on
//! screen, so that a hand that never rests still sees something. Once it rests, one full job follows. A
//! mesh on screen is never replaced by a coarser one of the same wishes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::app::App;
use super::desk::{LaneOf, Message, Problem};
use super::project::{Project, ProjectId, Purpose, Result3d, Run, Shown, Wishes};
use super::{progress, results, sheet};
use crate::engine::{Engine, FailureKind, Origin, Request, Settings, State, Submission};

/// The resolution of a draft.
pub(super) const DRAFT_RESOLUTION: u32 = 64;
/// How long a control rests before the full job begins.
const REST: Duration = Duration::from_millis(350);

impl App {
    /// Takes the latest meshes and events, and begins what is due. Called once a frame.
    pub(super) fn drive(&mut self) {
        let now = Instant::now();
        for place in 0..self.projects.len() {
            self.follow(place, now);
            self.advance(place, now);
        }
        self.arrange();
    }

    /// Reads what happened to the job of a project.
    fn follow(&mut self, place: usize, now: Instant) {
        let revision = &mut self.revision;
        let project = &mut self.projects[place];
        let Some(run) = &mut project.run else {
            return;
        };
        let Some(submission) = run.submission.clone() else {
            return;
        };
        for stamped in submission.events.read(&mut run.cursor) {
            run.progress.note(&stamped);
        }
        if let Some(taken) = submission.job.steps_taken.newer_than(&mut run.seen_step) {
            run.progress.note_step(*taken, now);
        }
        let known = &self.preferences.stage_seconds;
        run.progress.update(project.pixels, known, now);
        if let Some(matte) = submission.job.matte.newer_than(&mut run.seen_matte) {
            let (id, made_for) = (project.id, run.wishes.outline.clone());
            let is_edited = self.editor.as_ref().is_some_and(|open| open.project == id);
            self.desk.run(LaneOf::Files, move |inbox| {
                results::send_outline(inbox, id, &matte, made_for, is_edited);
            });
        }
        if let Some(level) = submission.job.mesh.newer_than(&mut run.seen_mesh) {
            let resolution = level.resolution;
            let wishes = run.wishes.of_shape(level.shape);
            if is_news(run, &wishes, project.result.as_ref(), resolution) {
                *revision += 1;
                // What was checked is kept until the job has come to its end.
                if let Some(old) = project.result.take_if(|old| old.shape.is_some()) {
                    project.finished = Some(old);
                }
                self.undo.forget_meshes(project.id);
                project.result = Some(Result3d {
                    shown: Shown::Level(level),
                    resolution: Some(resolution),
                    wishes: Some(wishes),
                    shape: None,
                    revision: *revision,
                    edits: Vec::new(),
                });
            }
        }
        let warnings = &run.progress.warnings;
        if *warnings != project.warnings {
            project.warnings.clone_from(warnings);
        }
        match submission.state() {
            State::Completed if run.purpose == Purpose::Full => self.finish(place, &submission),
            State::Completed if run.purpose == Purpose::Sheet => self.finish_sheet(place),
            State::Completed => project.run = None,
            State::Failed => {
                let (reason, bad_image) = match submission.result() {
                    Some(Err(failure)) => {
                        (failure.to_string(), failure.kind() == FailureKind::BadInput)
                    }
                    _ => ("the job failed".to_owned(), false),
                };
                project.bad_image = bad_image;
                tracing::warn!(image = project.name, "{reason}");
                project.last_progress = project.run.take().map(|run| run.progress);
                *revision += 1;
                project.show_finished(*revision);
                if self.active != Some(project.id) {
                    self.notices.failed(&project.name, &reason);
                }
                project.problem = Some(Problem::new(
                    match project.result {
                        Some(_) => "This could not be finished; the last mesh is kept",
                        None => "This image could not be turned into a mesh",
                    },
                    reason,
                ));
                project.owes_full = false;
            }
            State::Cancelled => project.run = None,
            State::Queued | State::Running => {}
        }
    }

    /// Has the finished mesh loaded, where it is not in memory, and kept in the history.
    fn finish(&mut self, place: usize, submission: &Arc<Submission>) {
        let project = &mut self.projects[place];
        let Some(run) = project.run.take() else {
            return;
        };
        let Some(Ok(outcome)) = submission.result() else {
            return;
        };
        // What came from the cache, or was another caller's, took no time of this machine now; what was kept
        // early took less than it takes.
        if submission.origin == Origin::Computed && !run.keeps_prediction {
            progress::learn(
                &mut self.preferences.stage_seconds,
                &run.wishes.work(outcome.summary.resolution),
                project.pixels,
                &outcome.summary.stages,
            );
        }
        project.note_end(submission.origin, run.progress);
        project.warnings.clone_from(&outcome.summary.warnings);
        let (id, ticket, wishes) = (project.id, run.ticket, run.wishes);
        self.finishing.insert(id, (ticket, wishes));
        let outcome = Arc::clone(outcome);
        self.desk.run(LaneOf::Files, move |inbox| {
            let result = results::finished(&outcome);
            inbox.send(Message::Finished {
                project: id,
                ticket,
                result,
            });
        });
        self.save_preferences();
    }

    /// Has the shapes of a job that made several loaded, where they are not in memory.
    fn finish_sheet(&mut self, place: usize) {
        let project = &mut self.projects[place];
        let Some(run) = project.run.take() else {
            return;
        };
        // One of them is to be picked: what was asked for is not there yet.
        project.stopped = true;
        let Some(submission) = run.submission else {
            return;
        };
        project.note_end(submission.origin, run.progress);
        let (id, wishes) = (project.id, run.wishes);
        self.desk.run(LaneOf::Files, move |inbox| {
            let Some(Ok(outcome)) = submission.result() else {
                return;
            };
            inbox.send(Message::Sheet {
                project: id,
                result: sheet::read(outcome, &submission.job.request.settings),
                wishes,
            });
        });
    }

    /// Begins what is due.
    fn advance(&mut self, place: usize, now: Instant) {
        if self.engine.is_none() {
            return;
        }
        let project = &mut self.projects[place];
        if project.image.is_none() {
            return;
        }
        let pending = project
            .run
            .as_ref()
            .is_some_and(|run| run.submission.is_none());
        if pending {
            return;
        }
        if let Some(changed) = project.changed {
            let drafting = project
                .run
                .as_ref()
                .is_some_and(|run| run.purpose == Purpose::Draft);
            if drafting {
                // Its end wakes the window.
                return;
            }
            project.changed = None;
            project.owes_full = true;
            project.rests_since = Some(changed);
            // The first mesh comes coarse to fine by itself, and so does the same shape made finer.
            let other_shape = project
                .result
                .as_ref()
                .is_some_and(|result| !result.is_of_shape(&project.wishes));
            if other_shape && project.wishes.resolution > DRAFT_RESOLUTION {
                self.submit(place, Purpose::Draft);
                return;
            }
        }
        let project = &mut self.projects[place];
        if !project.owes_full {
            return;
        }
        let rested = project
            .rests_since
            .map_or(REST, |since| now.saturating_duration_since(since));
        let drafting = project.run.is_some();
        if rested < REST || self.control_is_held {
            self.ctx
                .request_repaint_after(REST.saturating_sub(rested).max(Duration::from_millis(30)));
        } else if !drafting && self.has_room() {
            let project = &mut self.projects[place];
            project.owes_full = false;
            project.rests_since = None;
            let purpose = project.wishes.purpose();
            self.submit(place, purpose);
        }
    }

    /// Asks the engine for a job, in the place of the one before.
    fn submit(&mut self, place: usize, purpose: Purpose) {
        let Some(engine) = self.engine.clone() else {
            return;
        };
        self.tickets += 1;
        let ticket = self.tickets;
        let project = &mut self.projects[place];
        let Some(image) = project.image.clone() else {
            return;
        };
        let resolution = match purpose {
            Purpose::Draft => DRAFT_RESOLUTION.min(project.wishes.resolution),
            // Coarser than what is asked for, so that there is something to refine.
            Purpose::Sheet => DRAFT_RESOLUTION
                .min(project.wishes.resolution / 2)
                .max(Settings::MIN_RESOLUTION),
            Purpose::Full => project.wishes.resolution,
        };
        let old = project.run.take().and_then(|run| run.submission);
        project.run = Some(Run::new(
            ticket,
            purpose,
            project.wishes.clone(),
            resolution,
        ));
        project.stopped = false;
        project.problem = None;
        let request = Request {
            image,
            name: project.name.clone(),
            settings: project.wishes.settings(resolution),
            keep_every_level: false,
            cache: purpose != Purpose::Draft,
            history: false,
        };
        let id = project.id;
        self.desk.run(LaneOf::Jobs, move |inbox| {
            let submission = submit(&engine, old.as_deref(), request);
            inbox.send(Message::Submitted {
                project: id,
                ticket,
                submission,
            });
        });
    }

    /// The engine's answer to [`Self::submit`].
    pub(super) fn submitted(
        &mut self,
        id: ProjectId,
        ticket: u64,
        submission: Result<Arc<Submission>, String>,
    ) {
        let project = self.project_mut(id);
        let waiting = project.and_then(|project| {
            let run = project.run.as_mut().filter(|run| run.ticket == ticket)?;
            Some((run, &mut project.chosen))
        });
        match (waiting, submission) {
            (Some((run, told)), Ok(submission)) => {
                let chosen = submission.chosen.as_ref();
                *told = chosen.map(|chosen| chosen.reason.clone());
                run.settle_source(submission.job.request.settings.source);
                run.submission = Some(submission);
            }
            // Cancelled, or removed, before the engine had answered.
            (None, Ok(submission)) => self.let_go(submission),
            (Some(_), Err(reason)) => {
                let name = self.project_mut(id).map(|project| {
                    project.run = None;
                    project.problem = Some(Problem::new(
                        "This image could not be queued",
                        reason.clone(),
                    ));
                    project.name.clone()
                });
                if let Some(name) = name.filter(|_| self.active != Some(id)) {
                    self.notices.failed(&name, &reason);
                }
            }
            (None, Err(_)) => {}
        }
    }

    /// Cancels a submission without waiting for it.
    fn let_go(&self, submission: Arc<Submission>) {
        if let Some(engine) = self.engine.clone() {
            self.desk
                .run(LaneOf::Jobs, move |_| engine.cancel(&submission));
        }
    }

    /// Stops what runs for a project. The result that was finished before is shown again; without one,
    /// what is on screen stays.
    pub(super) fn cancel(&mut self, id: ProjectId) {
        self.stop(id);
        self.revision += 1;
        let revision = self.revision;
        let Some(project) = self.project_mut(id) else {
            return;
        };
        project.stopped = true;
        if !project.show_finished(revision) {
            self.check_shown(id);
        }
    }

    /// Has what is there by now made the result: a shape that is refined is finished as it is predicted;
    /// else what runs is stopped, and the mesh on screen checked and kept in the history.
    pub(super) fn keep(&mut self, id: ProjectId) {
        if self.keep_prediction(id) {
            return;
        }
        self.stop(id);
        self.check_shown(id);
    }

    /// Has a shape that is refined finished as it is predicted; tells whether one is refined.
    fn keep_prediction(&mut self, id: ProjectId) -> bool {
        let Some(engine) = self.engine.clone() else {
            return false;
        };
        let run = self
            .project_mut(id)
            .and_then(|project| project.run.as_mut());
        let Some(run) = run.filter(|run| run.is_refining()) else {
            return false;
        };
        if let Some(submission) = &run.submission {
            engine.keep_prediction(submission);
            run.keeps_prediction = true;
        }
        run.keeps_prediction
    }

    pub(super) fn stop(&mut self, id: ProjectId) {
        let Some(project) = self.project_mut(id) else {
            return;
        };
        let submission = project.run.take().and_then(|run| run.submission);
        project.changed = None;
        project.owes_full = false;
        project.rests_since = None;
        if let Some(submission) = submission {
            self.let_go(submission);
        }
    }

    /// Has the mesh on screen checked, so that it can be measured and exported.
    fn check_shown(&mut self, id: ProjectId) {
        let Some(project) = self.project_mut(id) else {
            return;
        };
        let Some(Result3d {
            shown: Shown::Level(level),
            wishes: Some(wishes),
            ..
        }) = &project.result
        else {
            return;
        };
        let (level, wishes) = (Arc::clone(level), wishes.clone());
        self.tickets += 1;
        let ticket = self.tickets;
        self.finishing.insert(id, (ticket, wishes));
        self.desk.run(LaneOf::Files, move |inbox| {
            inbox.send(Message::Finished {
                project: id,
                ticket,
                result: results::kept(&level),
            });
        });
    }

    /// Begins the full job, now.
    pub(super) fn generate(&mut self, id: ProjectId) {
        let Some(project) = self.project_mut(id) else {
            return;
        };
        if let Some(missing) = &project.missing {
            let told = Problem::new(
                "The image is needed to make this again",
                format!("drop {} on the window, or open it", missing.name()),
            );
            self.notices.add(told);
            return;
        }
        project.owes_full = true;
        project.changed = None;
        project.rests_since = None;
        project.stopped = false;
        project.problem = None;
    }

    pub(super) fn project_mut(&mut self, id: ProjectId) -> Option<&mut Project> {
        self.projects.iter_mut().find(|project| project.id == id)
    }

    pub(super) fn project(&self, id: ProjectId) -> Option<&Project> {
        self.projects.iter().find(|project| project.id == id)
    }

    pub(super) fn active_project(&self) -> Option<&Project> {
        self.active.and_then(|id| self.project(id))
    }
}

/// Whether a mesh of a job is to be shown in the place of what is on screen.
fn is_news(run: &Run, wishes: &Wishes, shown: Option<&Result3d>, resolution: u32) -> bool {
    // A later look at a shape that is refined is nearer to what it becomes.
    let nearer = run.is_refining();
    match shown {
        None => true,
        Some(shown) if shown.is_of_shape(wishes) => {
            let cells = shown.resolution.unwrap_or(0);
            resolution > cells
                || resolution == run.wishes.resolution
                || nearer && resolution == cells
        }
        // What is on screen is not what is asked for any more.
        Some(_) => nearer || resolution >= DRAFT_RESOLUTION.min(run.wishes.resolution),
    }
}

fn submit(
    engine: &Engine,
    old: Option<&Submission>,
    request: Request,
) -> Result<Arc<Submission>, String> {
    let answer = match old {
        Some(old) => engine.replace(old, request),
        None => engine.submit(request),
    };
    answer.map(Arc::new).map_err(|full| full.to_string())
}
