//! What makes two requests the same, and a kept result the one that is asked for.

use std::time::UNIX_EPOCH;

use serde_json::Value;

use super::job::Request;
use super::settings::Settings;
use crate::compute::{Device, Precision};
use crate::photo::MatteWish;
use crate::store::{Key, KeyParts};
use crate::vram::Choice;

/// How a result is or was computed, as far as that changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Computed {
    pub(super) device: Device,
    pub(super) precision: Precision,
    pub(super) resolution: u32,
    /// The steps after which the shape was kept as it was, before it was done.
    pub(super) kept_after: Option<u32>,
}

impl From<&Choice> for Computed {
    fn from(choice: &Choice) -> Self {
        Self {
            device: choice.device,
            precision: choice.precision,
            resolution: choice.level,
            kept_after: None,
        }
    }
}

/// Names the result of a request computed in this way by this build of the program: of all its shapes
/// together, where it asks for several.
pub(super) fn key(request: &Request, computed: Computed, build: &str) -> Key {
    key_with(request, &request.settings, computed, build)
}

/// Names one of the results of a request, as whoever asks for that one alone names it.
pub(super) fn key_of_shape(
    request: &Request,
    place: usize,
    computed: Computed,
    build: &str,
) -> Key {
    key_with(request, &request.settings.of_shape(place), computed, build)
}

/// What the latents of a shape depend on among its settings. How they are meshed is of no account.
const LATENTS_DEPEND_ON: [&str; 6] = ["source", "matte", "strokes", "steps", "guidance", "seed"];

/// Names the latents of one of the shapes of a request.
pub(super) fn key_of_latents(
    request: &Request,
    place: usize,
    computed: Computed,
    build: &str,
) -> Key {
    let mut all = request.settings.of_shape(place).to_json();
    let mut settings = serde_json::json!({ "what": "latents" });
    for name in LATENTS_DEPEND_ON {
        settings[name] = all[name].take();
    }
    hashed(request, settings, computed, build)
}

fn key_with(request: &Request, settings: &Settings, computed: Computed, build: &str) -> Key {
    let mut settings = settings.to_json();
    // What was wished for is of no account beside what was done.
    settings["resolution"] = computed.resolution.into();
    if let Some(steps) = computed.kept_after {
        settings["kept_after"] = steps.into();
    }
    // Looks on the way change nothing of what is at its end.
    for wish in ["device", "precision", "preview_share"] {
        if let Some(settings) = settings.as_object_mut() {
            settings.remove(wish);
        }
    }
    hashed(request, settings, computed, build)
}

fn hashed(request: &Request, mut settings: Value, computed: Computed, build: &str) -> Key {
    let matte = match &request.settings.matte.wish {
        MatteWish::User(photo) => {
            settings["matte_width"] = photo.width.into();
            Some(photo.pixels.as_flattened())
        }
        MatteWish::Auto | MatteWish::Alpha | MatteWish::Full => None,
    };
    let weights = request.settings.weights.as_deref();
    Key::new(&KeyParts {
        image: &request.image,
        settings: &settings,
        matte_image: matte,
        weights_digest: weights.map(|weights| weights.digest()),
        precision: &computed.precision.to_string(),
        device_class: match computed.device {
            Device::Cpu => "cpu",
            Device::Cuda(_) => "cuda",
        },
        version: build,
    })
}

/// The version, and what tells this build from another of the same version.
pub(super) fn build() -> String {
    let executable = std::env::current_exe()
        .and_then(std::fs::metadata)
        .and_then(|metadata| Ok((metadata.len(), metadata.modified()?)));
    let (bytes, modified) = executable.unwrap_or((0, UNIX_EPOCH));
    let modified = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    format!(
        "{} {bytes} {}",
        env!("CARGO_PKG_VERSION"),
        modified.as_nanos()
    )
}
