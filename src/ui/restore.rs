//! What comes back: results of the history, and meshes from files with the settings that they were made
//! with. A mesh from a file goes on where its image is found, or given.

use std::path::PathBuf;
use std::sync::Arc;

use eframe::egui;

use super::app::App;
use super::desk::{Inbox, LaneOf, Loaded, Message, Problem, Reopened, read_image};
use super::names::file_name;
use super::outline::{Outline, OwnMatte};
use super::project::{MatteChoice, MatteShown, ProjectId, Result3d, Shown, Wishes};
use super::results::{self, Told};
use crate::engine::{ImageReference, Outcome, Settings};
use crate::store::{RecordId, Store, StoreError};

/// The image that a mesh from a file was made from, and that is not here.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct MissingImage {
    /// Which one it is; files of other versions do not tell.
    pub(super) reference: Option<ImageReference>,
    /// Whether its outline was an image of its own.
    had_own_matte: bool,
}

impl MissingImage {
    /// What to call it.
    pub(super) fn name(&self) -> &str {
        self.reference
            .as_ref()
            .map_or("the image it was made from", |reference| &reference.name)
    }
}

/// An image for a project that lacked it.
pub(super) struct Given {
    image: Arc<[u8]>,
    name: String,
    /// Whether it is the very image that the mesh was made from.
    is_same: bool,
    own: Option<Arc<OwnMatte>>,
    /// Whether the user handed it over, and not the history.
    by_hand: bool,
}

impl App {
    /// Keeps the finished mesh of a project in the history, with what its job told.
    pub(super) fn record(&self, id: ProjectId, outcome: Option<&Outcome>) {
        let told = match outcome {
            Some(outcome) => {
                Told::Whole(serde_json::to_value(&outcome.summary).unwrap_or_default())
            }
            None => Told::Measures,
        };
        self.keep_in_history(id, told);
    }

    /// Keeps a mesh in the history that a tool changed, or an undo.
    pub(super) fn record_edited(&self, id: ProjectId) {
        self.keep_in_history(id, Told::AsBefore);
    }

    fn keep_in_history(&self, id: ProjectId, told: Told) {
        let (Some(store), Some(project)) = (self.store(), self.project(id)) else {
            return;
        };
        let (Some(image), Some(result)) = (project.image.clone(), &project.result) else {
            return;
        };
        let (Shown::Mesh(mesh), Some(wishes), Some(shape)) =
            (&result.shown, &result.wishes, &result.shape)
        else {
            return;
        };
        let to_record = results::ToRecord {
            project: id,
            name: project.name.clone(),
            image,
            matte_image: wishes.outline.matte_file(),
            settings: result.settings(wishes),
            told,
            shape: *shape,
            mesh: Arc::clone(mesh),
            place: Arc::clone(&project.place_in_history),
        };
        self.desk.run(LaneOf::Files, move |inbox| {
            results::record(inbox, &store, &to_record);
        });
    }

    /// A mesh file was read.
    pub(super) fn loaded(&mut self, id: ProjectId, result: Result<Loaded, Problem>) {
        self.revision += 1;
        let revision = self.revision;
        let Some(project) = self.project_mut(id) else {
            return;
        };
        let loaded = match result {
            Ok(loaded) => loaded,
            Err(problem) => {
                self.unusable(id, problem);
                return;
            }
        };
        project.warnings = loaded.warnings;
        project.file_size_mm = Some(loaded.longest_side_mm);
        // Other programs may have put anything there.
        let settings = loaded
            .settings
            .filter(|settings| settings["resolution"].is_u64());
        let mut result = Result3d {
            shown: Shown::Mesh(loaded.mesh),
            resolution: None,
            wishes: None,
            shape: Some(loaded.shape),
            revision,
            edits: Vec::new(),
        };
        if let Some(settings) = settings {
            let wishes = Wishes::from_json(&settings, None);
            result.resolution = Some(wishes.resolution);
            result.wishes = Some(wishes.clone());
            result.edits = edits(&settings);
            project.wishes = wishes;
            project.missing = Some(MissingImage {
                reference: ImageReference::from_json(&settings),
                had_own_matte: settings["matte"] == "user",
            });
        }
        project.result = Some(result);
        self.seek_image(id);
    }

    /// Looks in the history for the image that a mesh from a file was made from.
    fn seek_image(&self, id: ProjectId) {
        let reference = self
            .project(id)
            .and_then(|project| project.missing.as_ref()?.reference.clone());
        if let (Some(reference), Some(store)) = (reference, self.store()) {
            self.desk.run(LaneOf::Files, move |inbox| {
                seek(inbox, &store, id, reference);
            });
        }
    }

    /// Looks for every image that is missing, once the history is there.
    pub(super) fn seek_images(&self) {
        for project in &self.projects {
            self.seek_image(project.id);
        }
    }

    /// Reads an image for a project that lacks its own.
    pub(super) fn give_image(&self, id: ProjectId, path: PathBuf) {
        let reference = self
            .project(id)
            .and_then(|project| project.missing.as_ref()?.reference.clone());
        self.desk.run(LaneOf::Files, move |inbox| {
            let name = file_name(&path);
            match read_image(&path) {
                Ok(image) => {
                    let hash = blake3::hash(&image);
                    let given = Given {
                        is_same: reference.is_none_or(|reference| reference.blake3 == hash),
                        image: Arc::clone(&image),
                        name,
                        own: None,
                        by_hand: true,
                    };
                    inbox.send(Message::Given { project: id, given });
                    results::send_picture(inbox, id, &image);
                }
                Err(problem) => inbox.send(Message::Notice(problem)),
            }
        });
    }

    /// The image that was missing is there, or another one in its place.
    pub(super) fn given(&mut self, id: ProjectId, given: Given) {
        let Some(project) = self.project_mut(id) else {
            return;
        };
        let Some(missing) = project.missing.take() else {
            return;
        };
        project.image = Some(given.image);
        project.name = given.name;
        project.is_mesh_file = false;
        let had_strokes = !project.wishes.outline.strokes.is_empty();
        let outline = &mut project.wishes.outline;
        if given.own.is_some() {
            outline.own = given.own;
            outline.choice = MatteChoice::Own;
        }
        let lacks_matte = missing.had_own_matte && outline.own.is_none();
        if !given.is_same {
            *outline = Outline {
                choice: outline.choice,
                ..Outline::default()
            };
        }
        if let Some(result) = &mut project.result
            && let Some(wishes) = &mut result.wishes
        {
            wishes.outline = outline.clone();
        }
        // The mesh that is there belongs to the image that was found; one that was handed over is asked for.
        if given.by_hand {
            self.generate(id);
        }
        if !given.is_same && had_strokes {
            self.notices.add(Problem::new(
                "The settings were applied to another image",
                format!(
                    "this is not {}; the strokes over its outline were left out",
                    missing.name()
                ),
            ));
        } else if lacks_matte {
            self.notices.add(Problem::new(
                "The outline is found automatically",
                "the mesh was made with a matte of its own, which is not in its file; choose it again under the image",
            ));
        }
        self.ask_for_outline(id);
    }

    /// A record of the history was read.
    pub(super) fn reopened(&mut self, id: ProjectId, result: Result<Reopened, Problem>) {
        self.revision += 1;
        let revision = self.revision;
        let Some(project) = self.project_mut(id) else {
            return;
        };
        match result {
            Ok(opened) => {
                let settings = &opened.record.settings;
                let wishes = Wishes::from_json(settings, opened.own_matte);
                let shape = serde_json::from_value(opened.record.summary.clone()).ok();
                let matte = opened.record.summary.get("matte").cloned();
                project.matte = matte
                    .and_then(|matte| serde_json::from_value(matte).ok())
                    .map(|summary| MatteShown {
                        overlay: None,
                        summary,
                        made_for: None,
                    });
                project.image = Some(opened.image);
                project.result = Some(Result3d {
                    shown: Shown::Mesh(opened.mesh),
                    resolution: Some(wishes.resolution),
                    wishes: Some(wishes.clone()),
                    shape,
                    revision,
                    edits: edits(settings),
                });
                project.wishes = wishes;
                self.ask_for_outline(id);
            }
            Err(problem) => {
                project.record = None;
                project.problem = Some(problem);
                if let Some(store) = self.store() {
                    self.desk.run(LaneOf::Files, move |inbox| {
                        results::send_history(inbox, &store);
                    });
                }
            }
        }
    }

    /// The outline of a matte was drawn.
    pub(super) fn outlined(&mut self, id: ProjectId, drawn: results::Drawn) {
        let results::Drawn {
            overlay,
            large,
            summary,
            made_for,
        } = drawn;
        let overlay: egui::TextureHandle = self.texture(format!("matte {}", id.0), overlay);
        if let Some(project) = self.project_mut(id) {
            project.matte = Some(MatteShown {
                overlay: Some(overlay),
                summary,
                made_for: Some(made_for.clone()),
            });
        }
        self.outline_followed(id, &made_for, large);
    }
}

/// What tools did to a mesh, as its settings tell.
fn edits(settings: &serde_json::Value) -> Vec<serde_json::Value> {
    let edits = settings["edits"].as_array();
    edits.into_iter().flatten().take(100).cloned().collect()
}

/// Sends the image that a reference names, and its matte, where the history has them.
fn seek(inbox: &Inbox, store: &Store, project: ProjectId, reference: ImageReference) {
    let history = store.history();
    let read = |record: RecordId| {
        Ok::<_, StoreError>((history.image(record)?, history.matte_image(record)?))
    };
    match history.find_image(&reference.blake3) {
        Ok(None) => {}
        Err(error) => tracing::warn!("an image could not be looked for: {error}"),
        Ok(Some(record)) => match read(record) {
            Ok((image, matte)) => {
                let image: Arc<[u8]> = image.into();
                inbox.send(Message::Given {
                    project,
                    given: Given {
                        image: Arc::clone(&image),
                        name: reference.name,
                        is_same: true,
                        own: matte.and_then(own_matte),
                        by_hand: false,
                    },
                });
                results::send_picture(inbox, project, &image);
            }
            Err(error) => tracing::warn!(%record, "an image could not be read: {error}"),
        },
    }
}

/// The matte of a record, for the outline.
pub(super) fn own_matte(file: Vec<u8>) -> Option<Arc<OwnMatte>> {
    OwnMatte::decode("Own matte".to_owned(), file.into())
        .map_err(|problem| tracing::warn!("{}: {}", problem.headline, problem.details))
        .ok()
}

impl Result3d {
    /// What the mesh was made with, as the history and exported files tell it.
    pub(super) fn settings(&self, wishes: &Wishes) -> serde_json::Value {
        let settings: Settings = wishes.settings(self.resolution.unwrap_or(wishes.resolution));
        let mut settings = settings.to_json();
        if !self.edits.is_empty() {
            settings["edits"] = self.edits.clone().into();
        }
        settings
    }
}
