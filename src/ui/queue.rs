//! The order in which images wait for the engine, and ways to change it.
//!
//! The engine alone knows the order; the strip shows what it tells. Whatever is asked for here is done by
//! the engine, and seen when it has been done.

use super::app::App;
use super::desk::{LaneOf, Message, Problem};
use super::project::{Phase, Project, ProjectId, Purpose};
use crate::engine::{Engine, JobId, NotMoved};

/// Where a waiting image is moved to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MoveTo {
    /// Before all that wait.
    First,
    /// One place forward.
    Sooner,
    /// One place back.
    Later,
    /// Behind all images of the window that wait.
    Last,
    /// Directly before another image, or behind all of the window.
    Before(Option<ProjectId>),
}

/// What the engine is asked for.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    First,
    Before(JobId),
    Behind(JobId),
}

impl Project {
    /// The job that waits for the engine to make this project's result, where one does.
    fn waiting_job(&self) -> Option<JobId> {
        let run = self.run.as_ref()?;
        let waits = self.phase() == Phase::Waiting && run.purpose != Purpose::Draft;
        Some(run.submission.as_ref().filter(|_| waits)?.job.id)
    }

    /// Whether it waits, for the engine or for room in its queue.
    pub(super) fn waits(&self) -> bool {
        let drafts = self
            .run
            .as_ref()
            .is_some_and(|run| run.purpose == Purpose::Draft);
        self.phase() == Phase::Waiting && !drafts
    }
}

impl App {
    /// Puts the images that wait into the order in which they run. The others stay where they are.
    pub(super) fn arrange(&mut self) {
        let places: Vec<usize> = (0..self.projects.len())
            .filter(|&place| self.projects[place].waits())
            .collect();
        if places.len() < 2 {
            return;
        }
        let Some(engine) = &self.engine else {
            return;
        };
        let order = engine.queue_order();
        // What the engine has not got yet comes last, in the order in which it will get it.
        let rank = |project: &Project| {
            let job = project.waiting_job();
            job.and_then(|job| order.iter().position(|other| *other == job))
                .unwrap_or(usize::MAX)
        };
        let mut wanted: Vec<(usize, ProjectId)> = places
            .iter()
            .map(|&place| (rank(&self.projects[place]), self.projects[place].id))
            .collect();
        wanted.sort_by_key(|(rank, _)| *rank);
        for (&place, (_, id)) in places.iter().zip(wanted) {
            let from = self.projects.iter().position(|project| project.id == id);
            if let Some(from) = from {
                self.projects.swap(place, from);
            }
        }
    }

    /// The images that wait, in the order in which they run.
    pub(super) fn waiting(&self) -> Vec<ProjectId> {
        let waiting = self.projects.iter().filter(|project| project.waits());
        waiting.map(|project| project.id).collect()
    }

    /// Moves a waiting image in the queue.
    pub(super) fn move_in_queue(&mut self, id: ProjectId, to: MoveTo) {
        let waiting = self.waiting();
        let Some(place) = waiting.iter().position(|other| *other == id) else {
            return;
        };
        let job = |place: usize| {
            let project = self.project(*waiting.get(place)?)?;
            project.waiting_job()
        };
        let last = waiting.len() - 1;
        let wanted = match to {
            MoveTo::First => Some(Wanted::First),
            MoveTo::Sooner if place > 0 => job(place - 1).map(Wanted::Before),
            MoveTo::Later => job(place + 1).map(Wanted::Behind),
            MoveTo::Last | MoveTo::Before(None) if place < last => job(last).map(Wanted::Behind),
            MoveTo::Before(Some(next)) if next != id => self
                .project(next)
                .and_then(Project::waiting_job)
                .map(Wanted::Before),
            _ => None,
        };
        let submission = self
            .project(id)
            .filter(|project| project.waiting_job().is_some())
            .and_then(|project| project.run.as_ref()?.submission.clone());
        let (Some(wanted), Some(submission), Some(engine)) =
            (wanted, submission, self.engine.clone())
        else {
            return;
        };
        self.desk.run(LaneOf::Jobs, move |inbox| {
            let next = next_job(&engine, wanted);
            match engine.move_before(&submission, next) {
                // It began meanwhile: that is seen.
                Ok(()) | Err(NotMoved::Gone) => inbox.wake(),
                Err(error @ NotMoved::Shared) => inbox.send(Message::Notice(Problem::new(
                    "This image keeps its place in the queue",
                    error,
                ))),
            }
        });
    }

    /// Whether the engine has room for one more job of the window.
    pub(super) fn has_room(&self) -> bool {
        let asked = self
            .projects
            .iter()
            .filter(|project| {
                let run = project.run.as_ref();
                run.is_some_and(|run| run.submission.is_none())
            })
            .count();
        self.engine
            .as_ref()
            .is_some_and(|engine| engine.queue_depth() + asked < engine.queue_limit())
    }
}

/// The job that the moved one is to run directly before; `None` for none.
fn next_job(engine: &Engine, wanted: Wanted) -> Option<JobId> {
    let order = engine.queue_order();
    match wanted {
        Wanted::First => order.first().copied(),
        Wanted::Before(job) => Some(job),
        // Behind one that began meanwhile is first.
        Wanted::Behind(job) => {
            let place = order.iter().position(|other| *other == job);
            order.get(place.map_or(0, |place| place + 1)).copied()
        }
    }
}
