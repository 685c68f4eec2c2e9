//! Which shape sources can be chosen: the embedded one always, a neural one where its weights are on this
//! machine. Looking for weights, and choosing a folder that holds them, goes on elsewhere.

use std::collections::BTreeMap;
use std::path::PathBuf;

use poll_promise::Promise;

use super::app::App;
use super::desk::{LaneOf, Message, Problem};
use super::download::Getting;
use crate::engine::Library;
use crate::engine::catalogue::{self, MODELS, Model};

/// Where models are, by their names.
pub(super) type Folders = BTreeMap<&'static str, PathBuf>;

/// What is known of the sources' weights.
#[derive(Default)]
pub(super) struct Sources {
    /// Where the weights are; none of those that are not here, or that nobody has looked for yet.
    pub(super) folders: Folders,
    /// What is offered, or downloaded.
    pub(super) getting: Option<Getting>,
    dialog: Option<(Model, Promise<Option<PathBuf>>)>,
}

fn folders(library: &Library) -> Folders {
    let located = MODELS.iter().filter_map(|model| {
        let located = library.locate(model)?;
        Some((model.name, located.folder().to_owned()))
    });
    located.collect()
}

/// What a folder with a model in its published layout holds, in words.
fn contents(model: &Model) -> String {
    let mut names: Vec<&str> = Vec::new();
    for file in model.files {
        let first = file.path.split('/').next().unwrap_or(file.path);
        if names.last() != Some(&first) {
            names.push(first);
        }
    }
    match names.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => names.concat(),
    }
}

impl App {
    /// Looks for the weights on this machine.
    pub(super) fn look_for_models(&self) {
        if let Some(engine) = self.engine.clone() {
            self.desk.run(LaneOf::Files, move |inbox| {
                inbox.send(Message::Models(folders(engine.library())));
            });
        }
    }

    /// Asks the user for the folder that holds a model's weights.
    pub(super) fn ask_for_model_folder(&mut self, model: &Model) {
        if self.sources.dialog.is_some() {
            return;
        }
        let picked = rfd::AsyncFileDialog::new()
            .set_title(format!("Choose the folder with {}", contents(model)))
            .pick_folder();
        let inbox = self.desk.inbox.clone();
        let promise = Promise::spawn_thread("orfeas-model-dialog", move || {
            let folder = pollster::block_on(picked);
            inbox.wake();
            folder.map(|folder| folder.path().to_owned())
        });
        self.sources.dialog = Some((*model, promise));
    }

    /// Takes the folder that was chosen, once it was.
    pub(super) fn take_model_folder(&mut self) {
        let Some((model, promise)) = self.sources.dialog.take() else {
            return;
        };
        match promise.try_take() {
            Ok(Some(folder)) => self.use_model_folder(model, folder),
            Ok(None) => {}
            Err(promise) => self.sources.dialog = Some((model, promise)),
        }
    }

    /// Checks a folder and remembers it.
    fn use_model_folder(&self, model: Model, folder: PathBuf) {
        let Some(engine) = self.engine.clone() else {
            return;
        };
        self.desk.run(LaneOf::Files, move |inbox| {
            let library = engine.library();
            let checked = match catalogue::find(model.name) {
                Ok(known) => library
                    .open(known, Some(&folder))
                    .map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            let chosen = checked.and_then(|_| {
                let chosen = library.choose(&model, &folder);
                chosen.map_err(|error| error.to_string())
            });
            match chosen {
                Ok(()) => inbox.send(Message::Models(folders(library))),
                Err(reason) => inbox.send(Message::Notice(Problem::new(
                    format!("This folder cannot be used for {}", model.title),
                    reason,
                ))),
            }
        });
    }
}
