//! Models in their published layouts: folders that are opened and checked before anything of them is
//! loaded.
//!
//! TripoSR's published configuration takes the image encoder's sizes from another repository. A folder whose
//! encoder has other sizes tells them in `image_tokenizer.json`, in the form of that repository's
//! `config.json`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::catalogue::{Model, TRIPOSG};
use super::json::SizesError;
use super::library::LibraryError;
use super::loader::ReadTensors;
use super::triposg;
use super::triposr::{self, ConfigError, EncoderConfig};
use super::weights::{Joined, Weights, WeightsError};

const CONFIG: &str = "config.yaml";
const WEIGHTS: &str = "model.ckpt";
const ENCODER: &str = "image_tokenizer.json";
/// The longest configuration that is read; the published one has a thousand bytes.
const MAX_CONFIG_BYTES: u64 = 1 << 20;
/// The largest size that any part may have.
const MAX_SIZE: usize = 1 << 14;

/// Why a folder is not used.
#[derive(Debug, thiserror::Error)]
pub enum PublishedError {
    /// There is no folder.
    #[error("the weights of {} are not on this machine; {}", .0.title, way_to_get(.0))]
    NotHere(&'static Model),
    /// The folder lacks a file.
    #[error(transparent)]
    Missing(#[from] LibraryError),
    /// The configuration cannot be read.
    #[error("the configuration cannot be read: {cause}: {path}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The configuration is another model's.
    #[error("{error}: {path}", path = path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: ConfigError,
    },
    /// The sizes are another model's.
    #[error("{error}: {folder}", folder = folder.display())]
    Sizes {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with them.
        error: SizesError,
    },
    /// The weights are no sound file, or another model's.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

/// How a user comes by a model.
fn way_to_get(model: &Model) -> String {
    let name = model.name;
    if model.can_be_downloaded() {
        return format!(
            "`orfeas models get {name}` downloads them, or choose a folder that holds them"
        );
    }
    format!(
        "get {} from https://huggingface.co/{0} and choose its folder, with `orfeas models add DIR` or --weights DIR",
        model.repository
    )
}

/// The sizes of a model.
#[derive(Debug, Clone, PartialEq)]
pub enum Sizes {
    /// Of TripoSR.
    TripoSr(triposr::Config),
    /// Of TripoSG.
    TripoSg(triposg::Config),
}

/// A model's sizes and weights, checked against one another. None of the weights are in memory.
pub struct Published {
    model: &'static Model,
    sizes: Sizes,
    weights: Arc<dyn ReadTensors>,
    digest: String,
}

impl fmt::Debug for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Published").field(&self.digest).finish()
    }
}

impl Published {
    /// Opens a folder and makes sure that it holds this model, whole.
    ///
    /// # Errors
    ///
    /// [`PublishedError`] names what is missing or wrong.
    pub fn open(model: &'static Model, folder: &Path) -> Result<Self, PublishedError> {
        let missing = model.missing_from(folder);
        if !missing.is_empty() {
            return Err(PublishedError::Missing(LibraryError::Missing {
                title: model.title,
                missing,
                folder: folder.to_owned(),
            }));
        }
        // Before anything is read: what changes meanwhile is told from what was read.
        let digest = digest(model, folder);
        let (sizes, weights) = if model.name == TRIPOSG.name {
            triposg(folder)?
        } else {
            triposr(folder)?
        };
        Ok(Self {
            model,
            sizes,
            weights,
            digest,
        })
    }

    /// Whether this is still what the folder holds of a model.
    pub(super) fn is_still(&self, model: &Model, folder: &Path) -> bool {
        self.digest == digest(model, folder)
    }

    /// Which model it is.
    pub fn model(&self) -> &'static Model {
        self.model
    }

    /// The sizes.
    pub fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    /// The weights.
    pub fn weights(&self) -> Arc<dyn ReadTensors> {
        Arc::clone(&self.weights)
    }

    /// Tells these weights from others, as far as the system's word for length and time of change goes.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

type Opened = (Sizes, Arc<dyn ReadTensors>);

fn triposr(folder: &Path) -> Result<Opened, PublishedError> {
    let encoder = folder.join(ENCODER);
    let encoder = if encoder.is_file() {
        read_config(&encoder, parse_encoder)?
    } else {
        EncoderConfig::published()
    };
    let config = read_config(&folder.join(CONFIG), |text| {
        triposr::Config::from_yaml(text, encoder)
    })?;
    let weights = Weights::open(&folder.join(WEIGHTS))?;
    let tensors = config.tensors();
    let expected = tensors
        .iter()
        .map(|(name, shape)| (name.as_str(), shape.as_slice()));
    weights.check(expected, triposr::Config::is_unused)?;
    Ok((Sizes::TripoSr(config), Arc::new(weights)))
}

fn triposg(folder: &Path) -> Result<Opened, PublishedError> {
    let read = |path: &str| read_config(&folder.join(path), |text| Ok(text.to_owned()));
    let config = triposg::Config::from_json(&triposg::Files {
        encoder: &read("image_encoder_dinov2/config.json")?,
        denoiser: &read("transformer/config.json")?,
        decoder: &read("vae/config.json")?,
        image: &read("feature_extractor_dinov2/preprocessor_config.json")?,
        schedule: &read("scheduler/scheduler_config.json")?,
    });
    let config = config.map_err(|error| PublishedError::Sizes {
        folder: folder.to_owned(),
        error,
    })?;
    let weights = Joined::open(folder, &triposg::WEIGHTS)?;
    weights.check(&config.tensors(), triposg::Config::is_unused)?;
    Ok((Sizes::TripoSg(config), Arc::new(weights)))
}

fn digest(model: &Model, folder: &Path) -> String {
    let files = model.files.iter().map(|file| file.path);
    let files: Vec<_> = files
        .chain([ENCODER])
        .map(|file| {
            let metadata = std::fs::metadata(folder.join(file)).ok()?;
            let changed = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
            Some((metadata.len(), changed.as_nanos()))
        })
        .collect();
    format!("{} {} {files:?}", model.name, folder.display())
}

fn read_config<T>(
    path: &Path,
    parse: impl FnOnce(&str) -> Result<T, ConfigError>,
) -> Result<T, PublishedError> {
    let failed = |cause| PublishedError::Read {
        path: path.to_owned(),
        cause,
    };
    let wrong = |error| PublishedError::Config {
        path: path.to_owned(),
        error,
    };
    if std::fs::metadata(path).map_err(failed)?.len() > MAX_CONFIG_BYTES {
        return Err(wrong(other("it is far too long")));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    parse(&text).map_err(wrong)
}

fn other(what: impl Into<String>) -> ConfigError {
    ConfigError { what: what.into() }
}

fn parse_encoder(text: &str) -> Result<EncoderConfig, ConfigError> {
    let json: serde_json::Value =
        serde_json::from_str(text).map_err(|error| other(error.to_string()))?;
    let size = |name: &str| {
        let size = json[name]
            .as_u64()
            .and_then(|size| usize::try_from(size).ok());
        size.filter(|size| (1..=MAX_SIZE).contains(size))
            .ok_or_else(|| other(format!("{name} is no size from 1 to {MAX_SIZE}")))
    };
    Ok(EncoderConfig {
        width: size("hidden_size")?,
        heads: size("num_attention_heads")?,
        layers: size("num_hidden_layers")?,
        hidden: size("intermediate_size")?,
        patch: size("patch_size")?,
        trained_side: size("image_size")?,
    })
}
