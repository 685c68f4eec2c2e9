//! Undo and redo: a bounded stack of edits, each of which holds what it takes to go both ways.
//!
//! What was deleted from the history is in memory until its edit leaves the stack, and no longer on disk:
//! a program that ends, however it ends, leaves nothing behind that was deleted.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::app::App;
use super::desk::{LaneOf, Message, Problem};
use super::outline::Outline;
use super::project::{Project, ProjectId, Result3d};
use super::results;
use crate::mesh::Mesh;
use crate::store::{HistoryRecord, RecordId, TakenOut};

/// The most edits that can be undone.
const MOST_EDITS: usize = 100;
/// What all edits together may hold in memory; the oldest go first, and the newest one never.
const MOST_BYTES: u64 = 512 << 20;

/// Something that can be undone, and done again.
pub(super) enum Edit {
    /// Another outline was asked for.
    Outline {
        project: ProjectId,
        what: &'static str,
        before: Outline,
        after: Outline,
    },
    /// A finished mesh was changed by a tool.
    Mesh {
        project: ProjectId,
        what: &'static str,
        before: Box<Result3d>,
        after: Box<Result3d>,
    },
    /// A record was deleted from the history.
    Deletion {
        record: RecordId,
        name: String,
        bytes: u64,
        /// What was deleted, once it was; a lane fills it and takes from it.
        taken: Arc<Mutex<Option<TakenOut>>>,
    },
    /// A project was closed.
    Closing {
        id: ProjectId,
        name: String,
        /// Its place among the projects.
        place: usize,
        /// What was closed; `None` while it is open again.
        closed: Option<Box<Project>>,
    },
}

impl Edit {
    /// What is undone, as it stands after "Undo".
    fn words(&self) -> String {
        match self {
            Self::Outline { what, .. } | Self::Mesh { what, .. } => (*what).to_owned(),
            Self::Deletion { name, .. } => format!("deleting {name}"),
            Self::Closing { name, .. } => format!("closing {name}"),
        }
    }

    /// Roughly what it holds in memory that nothing else does.
    fn bytes(&self) -> u64 {
        match self {
            Self::Outline { before, after, .. } => before.bytes_to(after),
            Self::Mesh { before, after, .. } => [before, after]
                .map(|result| mesh_bytes(result.shown.mesh()))
                .iter()
                .sum(),
            Self::Deletion { bytes, .. } => *bytes,
            Self::Closing { closed, .. } => closed.as_ref().map_or(0, |project| {
                let image = project.image.as_ref().map_or(0, |image| image.len() as u64);
                let mesh = project.result.as_ref();
                image + mesh.map_or(0, |result| mesh_bytes(result.shown.mesh()))
            }),
        }
    }
}

fn mesh_bytes(mesh: &Mesh) -> u64 {
    let texture = mesh
        .texture
        .as_ref()
        .map_or(0, |texture| texture.pixels.len() * 3);
    let bytes = mesh.positions.len() * 12
        + mesh.normals.len() * 12
        + mesh.uvs.len() * 8
        + mesh.colours.len() * 4
        + mesh.triangles.len() * 12
        + texture;
    bytes as u64
}

/// What was done, and what of it was undone.
#[derive(Default)]
pub(super) struct Undo {
    done: VecDeque<Edit>,
    undone: Vec<Edit>,
}

impl Undo {
    /// Takes note of something that was done just now.
    pub(super) fn push(&mut self, edit: Edit) {
        self.undone.clear();
        self.done.push_back(edit);
        let mut bytes: u64 = self.done.iter().map(Edit::bytes).sum();
        while self.done.len() > 1 && (self.done.len() > MOST_EDITS || bytes > MOST_BYTES) {
            if let Some(oldest) = self.done.pop_front() {
                bytes -= oldest.bytes();
            }
        }
    }

    /// What would be undone.
    pub(super) fn next_undo(&self) -> Option<String> {
        self.done.back().map(Edit::words)
    }

    /// What would be done again.
    pub(super) fn next_redo(&self) -> Option<String> {
        self.undone.last().map(Edit::words)
    }

    /// Forgets what tools did to a mesh that a job has replaced.
    pub(super) fn forget_meshes(&mut self, id: ProjectId) {
        let stays = |edit: &Edit| !matches!(edit, Edit::Mesh { project, .. } if *project == id);
        self.done.retain(stays);
        self.undone.retain(stays);
    }
}

/// Which way an edit goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Back,
    Again,
}

impl App {
    /// Undoes the last edit.
    pub(super) fn undo(&mut self) {
        if let Some(mut edit) = self.undo.done.pop_back() {
            self.apply(&mut edit, Way::Back);
            self.undo.undone.push(edit);
        }
    }

    /// Does again what was undone last.
    pub(super) fn redo(&mut self) {
        if let Some(mut edit) = self.undo.undone.pop() {
            self.apply(&mut edit, Way::Again);
            self.undo.done.push_back(edit);
        }
    }

    /// Goes an edit's way. One whose project is not there any more does nothing.
    fn apply(&mut self, edit: &mut Edit, way: Way) {
        match edit {
            Edit::Outline {
                project,
                before,
                after,
                ..
            } => {
                let outline = if way == Way::Back { before } else { after };
                self.put_outline(*project, outline.clone());
            }
            Edit::Mesh {
                project,
                before,
                after,
                ..
            } => {
                let result = if way == Way::Back { before } else { after };
                self.put_mesh(*project, (**result).clone());
            }
            Edit::Deletion { record, taken, .. } => match way {
                Way::Back => self.put_record_back(taken),
                Way::Again => self.take_record_out(*record, taken),
            },
            Edit::Closing {
                id, place, closed, ..
            } => match way {
                Way::Back => {
                    if let Some(mut project) = closed.take() {
                        // It may have got its place while it was closed. A lane that is just writing
                        // sends word when it has.
                        if let Ok(place) = project.place_in_history.try_lock() {
                            project.record = *place;
                        }
                        let place = (*place).min(self.projects.len());
                        self.projects.insert(place, *project);
                        self.active = Some(*id);
                    }
                }
                Way::Again => *closed = self.take_project(*id).map(|(_, project)| project),
            },
        }
    }

    fn put_outline(&mut self, id: ProjectId, outline: Outline) {
        let Some(project) = self.project_mut(id) else {
            return;
        };
        let mut wishes = project.wishes.clone();
        wishes.outline = outline;
        project.change(wishes, Instant::now());
        self.active = Some(id);
        if let Some(veil) = self.editor().and_then(|editor| editor.veil.as_mut()) {
            veil.clear();
        }
    }

    /// Shows a mesh that was shown before, and keeps it in the history again.
    fn put_mesh(&mut self, id: ProjectId, mut result: Result3d) {
        self.revision += 1;
        result.revision = self.revision;
        let Some(project) = self.project_mut(id) else {
            return;
        };
        project.result = Some(result);
        self.active = Some(id);
        self.record_edited(id);
    }

    /// Deletes a record from the history, in a way that can be undone.
    pub(super) fn delete_record(&mut self, record: RecordId) {
        let Some(kept) = self.history.iter().find(|kept| kept.id == record) else {
            return;
        };
        let HistoryRecord {
            image_bytes,
            mesh_bytes,
            ..
        } = *kept;
        let taken = Arc::default();
        let edit = Edit::Deletion {
            record,
            name: kept.image_name.clone(),
            bytes: image_bytes + mesh_bytes,
            taken: Arc::clone(&taken),
        };
        self.take_record_out(record, &taken);
        self.undo.push(edit);
    }

    fn take_record_out(&mut self, record: RecordId, taken: &Arc<Mutex<Option<TakenOut>>>) {
        let Some(store) = self.store() else {
            return;
        };
        let others = self.history.iter().filter(|kept| kept.id != record);
        self.history = others.cloned().collect();
        self.forget_thumbnail(record);
        let taken = Arc::clone(taken);
        self.desk.run(LaneOf::Files, move |inbox| {
            match store.history().take_out(record) {
                Ok(out) => *taken.lock().unwrap_or_else(PoisonError::into_inner) = Some(out),
                Err(error) => inbox.send(Message::Notice(Problem::new(
                    "This result could not be deleted",
                    error,
                ))),
            }
            results::send_history(inbox, &store);
        });
    }

    /// On the same lane as deleting, so that it never overtakes.
    fn put_record_back(&self, taken: &Arc<Mutex<Option<TakenOut>>>) {
        let Some(store) = self.store() else {
            return;
        };
        let taken = Arc::clone(taken);
        self.desk.run(LaneOf::Files, move |inbox| {
            let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(out) = taken.take()
                && let Err(error) = store.history().put_back(&out)
            {
                *taken = Some(out);
                inbox.send(Message::Notice(Problem::new(
                    "This result could not be brought back",
                    error,
                )));
            }
            drop(taken);
            results::send_history(inbox, &store);
        });
    }

    /// Removes a project from the window, in a way that can be undone. Its record in the history stays.
    pub(super) fn close_project(&mut self, id: ProjectId) {
        let Some((place, project)) = self.take_project(id) else {
            return;
        };
        self.forget_thumbnail_of_file(id);
        self.forget_thumbnails_of_sheet(id);
        // What is still being read has nothing to come back to.
        if project.image.is_some() || project.result.is_some() {
            self.undo.push(Edit::Closing {
                id,
                name: project.name.clone(),
                place,
                closed: Some(project),
            });
        }
    }

    /// Takes a project out of the window. What ran for it is stopped, and begins again where it comes back.
    fn take_project(&mut self, id: ProjectId) -> Option<(usize, Box<Project>)> {
        let place = self.projects.iter().position(|project| project.id == id)?;
        // A result that is still being checked would have nothing to come back to.
        let was_checked = self.finishing.remove(&id).is_some();
        let was_working = self.projects[place].is_working() || was_checked;
        if was_working {
            self.stop(id);
        }
        let mut project = self.projects.remove(place);
        if was_working {
            project.stopped = false;
            project.owes_full = project.image.is_some();
        }
        if self.active == Some(id) {
            self.active = self.projects.last().map(|project| project.id);
        }
        Some((place, Box::new(project)))
    }
}
