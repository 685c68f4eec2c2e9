//! Where a model's weights are on this machine: in a folder the user chose, else in the hub's cache.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::catalogue::{MODELS, Model, TRIPOSR};
use super::hub::Hub;
use super::published::{Published, PublishedError};

/// A model's folder, and how it came to be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Located {
    /// The user chose it.
    Chosen(PathBuf),
    /// It is in the folder that `HY3DGEN_MODELS` names.
    InModels(PathBuf),
    /// It is in the hub's cache.
    InHub(PathBuf),
}

impl Located {
    /// The folder, in the published layout.
    pub fn folder(&self) -> &Path {
        match self {
            Self::Chosen(folder) | Self::InModels(folder) | Self::InHub(folder) => folder,
        }
    }
}

/// A folder cannot be added or forgotten.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// It lacks files.
    #[error(
        "this folder does not hold {title}: {} missing: {folder}",
        missing.join(", "),
        folder = folder.display()
    )]
    Missing {
        /// The model.
        title: &'static str,
        /// The files.
        missing: Vec<&'static str>,
        /// The folder.
        folder: PathBuf,
    },
    /// The list of folders cannot be kept.
    #[error("the folder cannot be remembered: {cause}: {path}", path = path.display())]
    NotKept {
        /// The list.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

/// The weights that were opened last, for whoever asks for the same again.
#[derive(Debug, Clone, Default)]
pub struct Opened(Arc<Mutex<Option<Arc<Published>>>>);

impl Opened {
    /// What a folder holds, opened anew where it is not what was opened last, or has changed since.
    fn open(&self, model: &'static Model, folder: &Path) -> Result<Arc<Published>, PublishedError> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(published) = last.as_ref().filter(|last| last.is_still(model, folder)) {
            return Ok(Arc::clone(published));
        }
        // The old file is let go of first, also where the new one is none.
        *last = None;
        let published = Arc::new(Published::open(model, folder)?);
        *last = Some(Arc::clone(&published));
        Ok(published)
    }
}

/// The models on this machine. Every question is answered from the disk, so that it is never out of date.
#[derive(Debug, Clone)]
pub struct Library {
    /// The hub; `None` where this user has no home.
    pub hub: Option<Hub>,
    /// The file that the chosen folders are remembered in; `None` to remember none.
    pub list: Option<PathBuf>,
    /// A folder in the layout of the Hunyuan3D programs, `organisation/name` a model; `None` for none.
    pub models_folder: Option<PathBuf>,
    /// What is published of each model.
    pub models: Vec<Model>,
    /// The weights that were opened last.
    pub opened: Opened,
}

impl Default for Library {
    fn default() -> Self {
        Self {
            hub: None,
            list: None,
            models_folder: None,
            models: MODELS.to_vec(),
            opened: Opened::default(),
        }
    }
}

impl Library {
    /// The user's own: the hub of the environment, the folder that `HY3DGEN_MODELS` names, and a list in
    /// the program's folder for data.
    pub fn of_user(data_folder: Option<&Path>) -> Self {
        Self {
            hub: Hub::of_environment(),
            models_folder: std::env::var_os("HY3DGEN_MODELS")
                .filter(|folder| !folder.is_empty())
                .map(PathBuf::from),
            list: data_folder.map(|folder| folder.join("models.json")),
            ..Self::default()
        }
    }

    /// What is published of a model, as this library knows it.
    pub fn published<'a>(&'a self, model: &'a Model) -> &'a Model {
        let mut known = self.models.iter();
        known
            .find(|known| known.name == model.name)
            .unwrap_or(model)
    }

    /// Where a model is; `None` where it is not on this machine.
    pub fn locate(&self, model: &Model) -> Option<Located> {
        let chosen = self.chosen().remove(model.name);
        let is_whole = |folder: &PathBuf| model.missing_from(folder).is_empty();
        let in_models = || {
            let folder = self.models_folder.as_ref()?.join(model.repository);
            is_whole(&folder).then_some(Located::InModels(folder))
        };
        let in_hub = || Some(Located::InHub(self.hub.as_ref()?.locate(model)?));
        let chosen = chosen.filter(is_whole).map(Located::Chosen);
        chosen.or_else(in_models).or_else(in_hub)
    }

    /// Opens TripoSR's weights, as [`Library::open`] does.
    ///
    /// # Errors
    ///
    /// [`PublishedError`].
    pub fn open_triposr(&self, folder: Option<&Path>) -> Result<Arc<Published>, PublishedError> {
        self.open(&TRIPOSR, folder)
    }

    /// Opens a model's weights: those in a folder named now, or else those on this machine. What was opened
    /// last is shared and not opened again.
    ///
    /// # Errors
    ///
    /// [`PublishedError`].
    pub fn open(
        &self,
        model: &'static Model,
        folder: Option<&Path>,
    ) -> Result<Arc<Published>, PublishedError> {
        match folder {
            Some(folder) => self.opened.open(model, folder),
            None => {
                let located = self.locate(model).ok_or(PublishedError::NotHere(model))?;
                self.opened.open(model, located.folder())
            }
        }
    }

    /// Remembers a folder that holds a model.
    ///
    /// # Errors
    ///
    /// [`LibraryError`] when it lacks files, or cannot be remembered.
    pub fn choose(&self, model: &Model, folder: &Path) -> Result<(), LibraryError> {
        let missing = model.missing_from(folder);
        if !missing.is_empty() {
            return Err(LibraryError::Missing {
                title: model.title,
                missing,
                folder: folder.to_owned(),
            });
        }
        let folder = std::path::absolute(folder).unwrap_or_else(|_unknown| folder.to_owned());
        let mut chosen = self.chosen();
        chosen.insert(model.name.to_owned(), folder);
        self.keep(&chosen)
    }

    /// Forgets the folder chosen for a model, and tells which it was. Its files stay.
    ///
    /// # Errors
    ///
    /// [`LibraryError::NotKept`].
    pub fn forget(&self, model: &Model) -> Result<Option<PathBuf>, LibraryError> {
        let mut chosen = self.chosen();
        let forgotten = chosen.remove(model.name);
        if forgotten.is_some() {
            self.keep(&chosen)?;
        }
        Ok(forgotten)
    }

    /// The remembered folders by model. A list that cannot be read is an empty one: it is made anew with
    /// the next choice.
    fn chosen(&self) -> BTreeMap<String, PathBuf> {
        let Some(list) = &self.list else {
            return BTreeMap::new();
        };
        let text = match std::fs::read(list) {
            Ok(text) => text,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!("the list of models cannot be read: {error}");
                }
                return BTreeMap::new();
            }
        };
        serde_json::from_slice(&text).unwrap_or_else(|error| {
            tracing::warn!("the list of models is damaged and is passed over: {error}");
            BTreeMap::new()
        })
    }

    fn keep(&self, chosen: &BTreeMap<String, PathBuf>) -> Result<(), LibraryError> {
        let Some(list) = &self.list else {
            return Err(LibraryError::NotKept {
                path: PathBuf::new(),
                cause: io::Error::other("this system names no folder for data"),
            });
        };
        let keep = || {
            let folder = list.parent().unwrap_or(Path::new("."));
            std::fs::create_dir_all(folder)?;
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(&serde_json::to_vec_pretty(chosen)?)?;
            file.as_file().sync_all()?;
            file.persist(list)?;
            Ok(())
        };
        keep().map_err(|cause: io::Error| LibraryError::NotKept {
            path: list.clone(),
            cause,
        })
    }
}
