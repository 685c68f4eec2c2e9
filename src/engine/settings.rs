//! How an image is to become a mesh: everything a user can ask for that changes the result.

use std::ops::RangeInclusive;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::compute::Precision;
use crate::inflate::{Back, Controls};
use crate::models::catalogue::{Model, TRIPOSG, TRIPOSR};
use crate::models::published::Published;
use crate::models::triposg::Sampling;
use crate::photo::{MatteRequest, MatteWish, Stroke};
use crate::vram::DeviceWish;

/// Which shape source makes the solid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The best one whose weights are here, that fits into memory and is foretold to take less than two
    /// minutes; which one is settled when the job is submitted.
    #[default]
    Auto,
    /// The embedded one: outline and shading, no weights.
    Inflate,
    /// TripoSR: a neural model, whose weights have to be on this machine.
    #[serde(rename = "triposr")]
    TripoSr,
    /// TripoSG: a neural model that refines a shape from noise, whose weights have to be on this machine.
    #[serde(rename = "triposg")]
    TripoSg,
}

impl Source {
    /// The model whose weights it needs; `None` for a source that needs none.
    pub fn model(self) -> Option<&'static Model> {
        match self {
            Self::Auto | Self::Inflate => None,
            Self::TripoSr => Some(&TRIPOSR),
            Self::TripoSg => Some(&TRIPOSG),
        }
    }
}

/// How a source that refines a shape from noise goes about it; no other looks at this.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Flow {
    /// Steps from noise to the shape.
    pub steps: u32,
    /// How far the image is followed.
    pub guidance: f32,
    /// Which noise: another seed is another shape.
    pub seed: u64,
    /// How many shapes: this seed's, and those of the seeds that follow it.
    pub shapes: u32,
    /// The value of the field where the surface lies, 0 as published: above it the shape is thinner.
    pub threshold: f32,
    /// The share of the time that goes into previews, in `0..1`; 0 for none.
    pub preview_share: f64,
}

impl Default for Flow {
    fn default() -> Self {
        Self {
            steps: 50,
            guidance: 7.0,
            seed: 0,
            shapes: 1,
            threshold: 0.0,
            preview_share: 0.1,
        }
    }
}

/// How an image is to become a mesh.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which shape source.
    pub source: Source,
    /// Cells along the longest side of the finest level.
    pub resolution: u32,
    /// How the subject is told from its background.
    pub matte: MatteRequest,
    /// The controls of the embedded source; no other has any.
    pub controls: Controls,
    /// Reduce the finest mesh to at most this many triangles.
    pub simplify_to_faces: Option<usize>,
    /// Where to compute.
    pub device: DeviceWish,
    /// In what precision; `None` for the best that fits.
    pub precision: Option<Precision>,
    /// How a source that refines a shape from noise goes about it.
    pub flow: Flow,
    /// The weights for a source that needs some; `None` for those that the engine finds on this machine.
    pub weights: Option<Arc<Published>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            source: Source::default(),
            resolution: Self::DEFAULT_RESOLUTION,
            matte: MatteRequest::default(),
            controls: Controls::default(),
            simplify_to_faces: None,
            device: DeviceWish::default(),
            precision: None,
            flow: Flow::default(),
            weights: None,
        }
    }
}

/// What each setting may be, wherever it comes from.
impl Settings {
    /// From a fast sketch to the finest there is.
    pub const QUALITIES: RangeInclusive<u8> = 1..=10;
    /// Cells along the longest side.
    pub const RESOLUTIONS: RangeInclusive<u32> = Self::MIN_RESOLUTION..=Self::MAX_RESOLUTION;
    /// [`Controls::thickness`].
    pub const THICKNESSES: RangeInclusive<f32> = 0.05..=4.0;
    /// [`Controls::detail`].
    pub const DETAILS: RangeInclusive<f32> = 0.0..=1.0;
    /// [`Controls::relief`].
    pub const RELIEFS: RangeInclusive<f32> = 0.01..=1.0;
    /// [`Settings::simplify_to_faces`].
    pub const FACES: RangeInclusive<usize> = 4..=100_000_000;
    /// [`Flow::steps`].
    pub const STEPS: RangeInclusive<u32> = Sampling::STEPS;
    /// [`Flow::guidance`].
    pub const GUIDANCES: RangeInclusive<f32> = Sampling::GUIDANCES;
    /// [`Flow::seed`]: what every reader of JSON holds exactly.
    pub const SEEDS: RangeInclusive<u64> = 0..=(1 << 53) - 1;
    /// [`Flow::shapes`].
    pub const SHAPES: RangeInclusive<u32> = 1..=8;
    /// [`Flow::threshold`]: within what the field tells apart.
    pub const THRESHOLDS: RangeInclusive<f32> = -0.9..=0.9;
    /// [`Flow::preview_share`].
    pub const PREVIEW_SHARES: RangeInclusive<f64> = 0.0..=0.9;
    /// The longest side of the object as written, in millimetres.
    pub const SIZES_MM: RangeInclusive<f64> = 0.1..=100_000.0;
    /// The most strokes that a matte is corrected by.
    pub const MAX_STROKES: usize = 2000;
    /// The most points of all strokes together: what a record of the history holds with ease.
    pub const MAX_STROKE_POINTS: usize = 50_000;
}

impl Settings {
    /// The least resolution that shows anything.
    pub const MIN_RESOLUTION: u32 = 16;
    /// The greatest resolution that fits the promises of memory and time.
    pub const MAX_RESOLUTION: u32 = 512;
    /// The resolution where nothing else is asked.
    pub const DEFAULT_RESOLUTION: u32 = 256;

    /// The resolution that a quality from 1 to 10 stands for.
    pub fn resolution_of_quality(quality: u8) -> u32 {
        match quality {
            ..=2 => 64,
            3..=4 => 128,
            5..=7 => 256,
            8.. => 512,
        }
    }

    /// How many shapes are made of the image. No source but one that refines shapes from noise makes several.
    pub fn shapes(&self) -> usize {
        match self.source {
            Source::TripoSg => self.flow.shapes.max(1) as usize,
            Source::Auto | Source::Inflate | Source::TripoSr => 1,
        }
    }

    /// The settings of one of the shapes alone, counted from 0: what asks for it, and for no other.
    pub fn of_shape(&self, place: usize) -> Self {
        let mut settings = self.clone();
        settings.flow.seed = self.seed_of(place);
        settings.flow.shapes = 1;
        settings
    }

    /// The seed of one of the shapes, counted from 0.
    pub fn seed_of(&self, place: usize) -> u64 {
        self.flow.seed.saturating_add(place as u64)
    }

    /// The seeds of the shapes, for a source that has any.
    pub fn seeds(&self) -> Option<Vec<u64>> {
        let places = 0..self.shapes();
        (self.source == Source::TripoSg).then(|| places.map(|place| self.seed_of(place)).collect())
    }

    /// Why there cannot be so many shapes, in words; `None` where there can.
    pub fn refused_shapes(&self) -> Option<String> {
        let Flow { shapes, seed, .. } = self.flow;
        if shapes > 1 && self.source != Source::TripoSg {
            return Some("several shapes of one image are made by the source triposg alone".into());
        }
        let most = u64::from(*Self::SHAPES.end());
        if u64::from(shapes) > most {
            return Some(format!(
                "{shapes} shapes were asked for; {most} are the most"
            ));
        }
        let last = self.seed_of(self.shapes().saturating_sub(1));
        (!Self::SEEDS.contains(&last)).then(|| {
            format!(
                "{shapes} shapes from seed {seed} on reach beyond the last seed, {}; start at a lower one",
                Self::SEEDS.end()
            )
        })
    }

    /// The settings as an exported file carries them, so that its image can be opened with them again.
    pub fn to_json(&self) -> Value {
        let mut settings = json!({
            "source": self.source,
            "resolution": self.resolution,
            "matte": match self.matte.wish {
                MatteWish::Auto => "auto",
                MatteWish::Alpha => "alpha",
                MatteWish::Full => "full",
                MatteWish::User(_) => "user",
            },
            "thickness": self.controls.thickness,
            "detail": self.controls.detail,
            "back": back_name(self.controls.back),
            "relief": self.controls.relief,
            "simplify": self.simplify_to_faces,
            "device": self.device.to_string(),
            "precision": self.precision.map_or("auto", Precision::name),
            "strokes": self.matte.strokes.iter().map(StrokeForm::from).collect::<Vec<_>>(),
        });
        if self.source == Source::TripoSg {
            settings["steps"] = self.flow.steps.into();
            settings["guidance"] = self.flow.guidance.into();
            settings["seed"] = self.flow.seed.into();
            settings["threshold"] = self.flow.threshold.into();
            if self.flow.shapes > 1 {
                settings["shapes"] = self.flow.shapes.into();
            }
            settings["preview_share"] = self.flow.preview_share.into();
        }
        settings
    }

    /// The strokes among settings that [`Self::to_json`] wrote. They may come from a file of anyone's:
    /// where they are not what this wrote, or more than a hand draws, there are none.
    pub fn strokes_from_json(settings: &Value) -> Vec<Stroke> {
        let Some(strokes) = settings.get("strokes") else {
            return Vec::new();
        };
        match Vec::<StrokeForm>::deserialize(strokes) {
            Ok(strokes) => {
                let points: usize = strokes.iter().map(|stroke| stroke.points.len()).sum();
                if strokes.len() <= Self::MAX_STROKES && points <= Self::MAX_STROKE_POINTS {
                    return strokes.into_iter().map(Stroke::from).collect();
                }
                tracing::warn!(
                    points,
                    "too many strokes among the settings; they are left out"
                );
            }
            Err(error) => tracing::warn!("strokes among the settings are left out: {error}"),
        }
        Vec::new()
    }
}

/// A stroke as settings hold it.
#[derive(Serialize, Deserialize)]
struct StrokeForm {
    keep: bool,
    radius_px: f32,
    points: Vec<[f32; 2]>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    filled: bool,
}

impl From<&Stroke> for StrokeForm {
    fn from(stroke: &Stroke) -> Self {
        Self {
            keep: stroke.keep,
            radius_px: stroke.radius_px,
            points: stroke.points.clone(),
            filled: stroke.filled,
        }
    }
}

impl From<StrokeForm> for Stroke {
    fn from(form: StrokeForm) -> Self {
        Self {
            keep: form.keep,
            radius_px: form.radius_px,
            points: form.points,
            filled: form.filled,
        }
    }
}

/// Which image settings are for, as an exported file tells it: enough to find it or to ask for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageReference {
    /// What the user called it; text, and never a path.
    pub name: String,
    /// The hash of the file's bytes.
    pub blake3: blake3::Hash,
}

impl ImageReference {
    /// Refers to an image file.
    pub fn of(name: &str, image: &[u8]) -> Self {
        Self {
            name: name.to_owned(),
            blake3: blake3::hash(image),
        }
    }

    /// Adds the reference to settings of [`Settings::to_json`].
    pub fn add_to(&self, settings: &mut Value) {
        settings["image"] = json!({ "name": self.name, "blake3": self.blake3.to_hex().as_str() });
    }

    /// The reference among settings, if there is one.
    pub fn from_json(settings: &Value) -> Option<Self> {
        let image = settings.get("image")?;
        Some(Self {
            name: image.get("name")?.as_str()?.chars().take(255).collect(),
            blake3: blake3::Hash::from_hex(image.get("blake3")?.as_str()?).ok()?,
        })
    }
}

/// What a back is called in settings and options.
fn back_name(back: Back) -> &'static str {
    match back {
        Back::Auto => "auto",
        Back::Plain => "plain",
        Back::Mirror => "mirror",
        Back::Flat => "flat",
    }
}
