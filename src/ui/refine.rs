//! Tools for a finished mesh: fewer faces, or a calmer surface. Each runs on a lane, is checked as every
//! result is, can be undone, and is kept in the history.

use std::sync::Arc;

use serde_json::{Value, json};

use super::app::App;
use super::desk::{LaneOf, Message, Problem};
use super::project::{ProjectId, Result3d, Shown};
use super::results;
use super::undo::Edit;
use crate::engine::{Cancel, Shape};
use crate::mesh::{self, Mesh, simplify, smooth};

/// What is to be done to a mesh.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Refinement {
    /// At most so many faces.
    Simplify { faces: usize },
    /// A calmer surface, with a strength in `0..=1`.
    Smooth { strength: f32 },
}

impl Refinement {
    fn words(self) -> &'static str {
        match self {
            Self::Simplify { .. } => "simplifying",
            Self::Smooth { .. } => "smoothing",
        }
    }

    /// What is told while it runs.
    pub(super) fn under_way(self) -> &'static str {
        match self {
            Self::Simplify { .. } => "Simplifying…",
            Self::Smooth { .. } => "Smoothing…",
        }
    }

    /// As settings and the history tell it.
    fn to_json(self) -> Value {
        match self {
            Self::Simplify { faces } => json!({ "simplify": faces }),
            Self::Smooth { strength } => json!({ "smooth": strength }),
        }
    }
}

/// What is chosen in the tools, and what runs.
pub(super) struct Refine {
    pub(super) open: bool,
    /// The share of its faces that a mesh keeps.
    pub(super) share: f32,
    /// The faces that were typed in place of a share.
    pub(super) exactly: Option<usize>,
    pub(super) strength: f32,
    pub(super) running: Option<Running>,
}

/// A tool at work.
pub(super) struct Running {
    pub(super) project: ProjectId,
    pub(super) refinement: Refinement,
    /// The mesh that it began with.
    revision: u64,
    cancel: Cancel,
}

impl Default for Refine {
    fn default() -> Self {
        Self {
            open: false,
            share: 0.5,
            exactly: None,
            strength: 0.35,
            running: None,
        }
    }
}

/// A mesh that a tool made.
pub(super) struct Refined {
    mesh: Arc<Mesh>,
    shape: Shape,
}

impl App {
    /// Has a tool work on the finished mesh that is shown.
    pub(super) fn refine(&mut self, refinement: Refinement) {
        if self.refine.running.is_some() {
            return;
        }
        let Some(project) = self.active_project().filter(|open| open.is_finished()) else {
            return;
        };
        let Some(Result3d {
            shown: Shown::Mesh(mesh),
            revision,
            ..
        }) = &project.result
        else {
            return;
        };
        let (id, mesh, cancel) = (project.id, Arc::clone(mesh), Cancel::default());
        self.refine.running = Some(Running {
            project: id,
            refinement,
            revision: *revision,
            cancel: cancel.clone(),
        });
        self.desk.run(LaneOf::Exports, move |inbox| {
            // A panic must not leave the tools waiting.
            let attempt = std::panic::AssertUnwindSafe(|| refined(&mesh, refinement, &cancel));
            let result = std::panic::catch_unwind(attempt).unwrap_or_else(|_panic| {
                tracing::error!(?refinement, "a tool panicked");
                Err(Problem::new(
                    "The mesh was not changed",
                    "an internal error stopped the tool; the log has more",
                ))
            });
            inbox.send(Message::Refined(result));
        });
    }

    /// Stops the tool that runs; the mesh stays as it is.
    pub(super) fn stop_refining(&mut self) {
        if let Some(running) = &self.refine.running {
            running.cancel.cancel();
        }
    }

    pub(super) fn refined(&mut self, result: Result<Refined, Problem>) {
        let Some(running) = self.refine.running.take() else {
            return;
        };
        if running.cancel.is_cancelled() {
            return;
        }
        self.revision += 1;
        let revision = self.revision;
        let refined = match result {
            Ok(refined) => refined,
            Err(problem) => {
                self.notices.add(problem);
                return;
            }
        };
        let Some(project) = self.project_mut(running.project) else {
            return;
        };
        // A job may have made another mesh since.
        let Some(before) = project
            .result
            .clone()
            .filter(|result| result.revision == running.revision)
        else {
            return;
        };
        let mut edits = before.edits.clone();
        edits.push(running.refinement.to_json());
        let after = Result3d {
            shown: Shown::Mesh(refined.mesh),
            shape: Some(refined.shape),
            revision,
            edits,
            ..before.clone()
        };
        project.result = Some(after.clone());
        self.undo.push(Edit::Mesh {
            project: running.project,
            what: running.refinement.words(),
            before: Box::new(before),
            after: Box::new(after),
        });
        self.record_edited(running.project);
    }
}

/// Changes a mesh and checks it. What was closed and manifold has to stay so.
fn refined(mesh: &Mesh, refinement: Refinement, cancel: &Cancel) -> Result<Refined, Problem> {
    let cancelled = || cancel.is_cancelled();
    let failed = |error: &dyn ToString| Problem::new("The mesh was not changed", error.to_string());
    let mut changed = match refinement {
        Refinement::Simplify { faces } => {
            let mut simple = simplify(mesh, faces, &cancelled).map_err(|error| failed(&error))?;
            if simple.triangles.len() == mesh.triangles.len() {
                return Err(failed(
                    &"these are the fewest faces that keep the mesh closed",
                ));
            }
            mesh::optimise(&mut simple);
            simple
        }
        Refinement::Smooth { strength } => {
            smooth(mesh, strength, &cancelled).map_err(|error| failed(&error))?
        }
    };
    mesh::normalise(&mut changed).map_err(|error| failed(&error))?;
    let (before, after) = (results::shape_of(mesh)?, results::shape_of(&changed)?);
    if (before.closed && !after.closed) || (before.manifold && !after.manifold) {
        return Err(failed(
            &"the result would not be a closed surface any more; use less strength or more faces",
        ));
    }
    Ok(Refined {
        mesh: Arc::new(changed),
        shape: after,
    })
}
