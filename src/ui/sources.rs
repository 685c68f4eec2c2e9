//! Which shape sources can be chosen: the embedded one always, a neural one where its weights are on this
//! machine. Looking for weights, and choosing a folder that holds them, goes on elsewhere.

use std::path::PathBuf;

use poll_promise::Promise;

use super::app::App;
use super::desk::{LaneOf, Message, Problem};
use super::download::Getting;
use crate::engine::Located;
use crate::engine::catalogue::TRIPOSR;

/// What is known of the sources' weights.
#[derive(Default)]
pub(super) struct Sources {
    /// Where TripoSR's weights are; `None` where they are not, or nobody has looked yet.
    pub(super) triposr: Option<PathBuf>,
    /// What is offered, or downloaded.
    pub(super) getting: Option<Getting>,
    dialog: Option<Promise<Option<PathBuf>>>,
}

impl App {
    /// Looks for the weights on this machine.
    pub(super) fn look_for_models(&self) {
        if let Some(engine) = self.engine.clone() {
            self.desk.run(LaneOf::Files, move |inbox| {
                let located = engine.library().locate(&TRIPOSR);
                let folder = located.as_ref().map(Located::folder);
                inbox.send(Message::Models(folder.map(ToOwned::to_owned)));
            });
        }
    }

    /// Asks the user for the folder that holds TripoSR's weights.
    pub(super) fn ask_for_model_folder(&mut self) {
        if self.sources.dialog.is_some() {
            return;
        }
        let picked = rfd::AsyncFileDialog::new()
            .set_title("Choose the folder with config.yaml and model.ckpt")
            .pick_folder();
        let inbox = self.desk.inbox.clone();
        self.sources.dialog = Some(Promise::spawn_thread("orfeas-model-dialog", move || {
            let folder = pollster::block_on(picked);
            inbox.wake();
            folder.map(|folder| folder.path().to_owned())
        }));
    }

    /// Takes the folder that was chosen, once it was.
    pub(super) fn take_model_folder(&mut self) {
        let is_chosen = self
            .sources
            .dialog
            .as_ref()
            .is_some_and(|dialog| dialog.ready().is_some());
        if is_chosen
            && let Some(Ok(Some(folder))) = self.sources.dialog.take().map(Promise::try_take)
        {
            self.use_model_folder(folder);
        }
    }

    /// Checks a folder and remembers it.
    pub(super) fn use_model_folder(&self, folder: PathBuf) {
        let Some(engine) = self.engine.clone() else {
            return;
        };
        self.desk.run(LaneOf::Files, move |inbox| {
            let library = engine.library();
            let problem = match library.open_triposr(Some(&folder)) {
                Ok(_) => library
                    .choose(&TRIPOSR, &folder)
                    .err()
                    .map(|error| error.to_string()),
                Err(error) => Some(error.to_string()),
            };
            match problem {
                None => inbox.send(Message::Models(Some(folder))),
                Some(reason) => inbox.send(Message::Notice(Problem::new(
                    "This folder cannot be used for TripoSR",
                    reason,
                ))),
            }
        });
    }
}
