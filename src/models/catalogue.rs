//! The models this version runs: where their weights are published, how large they are, and on what
//! terms. Never talks to anyone.

use std::path::Path;

use serde::Serialize;

/// A published file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RemoteFile {
    /// Its path in the repository, with slashes.
    pub path: &'static str,
    /// Its length.
    pub size_bytes: u64,
    /// Its SHA-256, 64 hexadecimal digits in lower case. Empty where this version does not know it: then the
    /// length is rounded too, and the file is not downloaded, for nothing could tell it from another.
    pub sha256: &'static str,
}

/// The terms of a model's weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Licence {
    /// Its name.
    pub name: &'static str,
    /// Where to read it.
    pub url: &'static str,
    /// The places it excludes, in words; such a licence has to be accepted before the download.
    pub excludes: Option<&'static str>,
}

/// A model and its published weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Model {
    /// Its name in commands and settings.
    pub name: &'static str,
    /// Its name for users.
    pub title: &'static str,
    /// The repository on the hub, `organisation/name`.
    pub repository: &'static str,
    /// The published state that was tried with this version, a commit; empty where none was.
    pub revision: &'static str,
    /// The files it is read from.
    pub files: &'static [RemoteFile],
    /// The terms.
    pub licence: Licence,
}

/// TripoSR: one pass from an image to a field.
pub const TRIPOSR: Model = Model {
    name: "triposr",
    title: "TripoSR",
    repository: "stabilityai/TripoSR",
    revision: "5b521936b01fbe1890f6f9baed0254ab6351c04a",
    files: &[
        RemoteFile {
            path: "config.yaml",
            size_bytes: 987,
            sha256: "74ca708ce086bf68e97709ea6b3d91f14717921c04691e84043f0eb8fcc68e62",
        },
        RemoteFile {
            path: "model.ckpt",
            size_bytes: 1_677_246_742,
            sha256: "429e2c6b22a0923967459de24d67f05962b235f79cde6b032aa7ed2ffcd970ee",
        },
    ],
    licence: Licence {
        name: "MIT",
        url: "https://huggingface.co/stabilityai/TripoSR",
        excludes: None,
    },
};

/// TripoSG: latent vectors that a flow makes from noise, and a field read from them.
pub const TRIPOSG: Model = Model {
    name: "triposg",
    title: "TripoSG",
    repository: "VAST-AI/TripoSG",
    revision: "",
    files: &[
        unchecked("feature_extractor_dinov2/preprocessor_config.json", 500),
        unchecked("image_encoder_dinov2/config.json", 1_000),
        unchecked("image_encoder_dinov2/model.safetensors", 1_220_000_000),
        unchecked("scheduler/scheduler_config.json", 500),
        unchecked("transformer/config.json", 500),
        unchecked(
            "transformer/diffusion_pytorch_model.safetensors",
            5_760_000_000,
        ),
        unchecked("vae/config.json", 500),
        unchecked("vae/diffusion_pytorch_model.safetensors", 970_000_000),
    ],
    licence: Licence {
        name: "MIT",
        url: "https://huggingface.co/VAST-AI/TripoSG",
        excludes: None,
    },
};

/// A file whose digest this version does not know.
const fn unchecked(path: &'static str, size_bytes: u64) -> RemoteFile {
    RemoteFile {
        path,
        size_bytes,
        sha256: "",
    }
}

/// Every model this version runs.
pub const MODELS: [Model; 2] = [TRIPOSR, TRIPOSG];

/// A name of no model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this version runs no model {name:?}; it runs {}", known())]
pub struct UnknownModel {
    /// The name.
    pub name: String,
}

fn known() -> String {
    MODELS.map(|model| model.name).join(", ")
}

/// The model of this name.
///
/// # Errors
///
/// [`UnknownModel`] says which there are.
pub fn find(name: &str) -> Result<&'static Model, UnknownModel> {
    static KNOWN: [Model; MODELS.len()] = MODELS;
    KNOWN
        .iter()
        .find(|model| model.name == name)
        .ok_or_else(|| UnknownModel { name: name.into() })
}

impl Model {
    /// Whether a download of it could be checked; else its user has to fetch it.
    pub fn can_be_downloaded(&self) -> bool {
        self.files.iter().all(|file| !file.sha256.is_empty())
    }

    /// What its files take together.
    pub fn size_bytes(&self) -> u64 {
        // Saturates, so that no table can overflow it.
        self.files
            .iter()
            .fold(0, |sum, file| file.size_bytes.saturating_add(sum))
    }

    /// The files that a folder lacks, in the published layout.
    pub fn missing_from(&self, folder: &Path) -> Vec<&'static str> {
        let files = self.files.iter().map(|file| file.path);
        files.filter(|path| !folder.join(path).is_file()).collect()
    }
}
