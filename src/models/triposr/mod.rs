//! TripoSR: one pass from an image to three planes of features, and a field read from them.
//!
//! ```text
//! cut-out ─► image ─► patches ─► encoder ─┐ (tokens of the image)
//!           (512²)             (ViT-B/16) ▼
//!                    learned tokens ─► transformer ─► planes ─► upsampled ─► field ─► density, colour
//! ```
//!
//! Tochilkin et al. 2024, "TripoSR: Fast 3D Object Reconstruction from a Single Image".
//!
//! This module never opens a file and never asks the clock; its weights come through [`ReadTensors`].

mod config;

use std::sync::Arc;

pub use config::{BackboneConfig, Config, ConfigError, EncoderConfig, NamedShape};

use super::weights::WeightsError;
use crate::compute::{Cancelled, Context, OutOfMemory, Precision};
use crate::field::{Bounds, Brick, Field, Region};
use crate::photo::Cutout;
use crate::vram::Residency;

/// Where a model's weights come from: a file, or numbers made up for a test.
pub trait ReadTensors: Send + Sync {
    /// The tensor of this name and shape, row by row.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] when there is none, or it cannot be read.
    fn read_f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError>;
}

/// Why there is no shape.
#[derive(Debug, thiserror::Error)]
pub enum TripoSrError {
    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// The memory budget does not suffice.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    /// The weights cannot be read.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Nothing of the cut-out is covered.
    #[error("there is nothing to shape: the subject covers no pixel; choose another matte")]
    NothingInside,
}

impl From<Cancelled> for TripoSrError {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

/// The model with its weights.
pub struct TripoSr {
    config: Config,
}

impl TripoSr {
    /// Loads the weights, or as much of them as `residency` keeps in memory; the rest is read again for
    /// each pass.
    ///
    /// Check the file against [`Config::tensors`] first, so that what is wrong with it is told at once.
    ///
    /// # Errors
    ///
    /// Every kind of [`TripoSrError`] but [`TripoSrError::NothingInside`]; nothing stays reserved.
    pub fn load(
        config: Config,
        weights: Arc<dyn ReadTensors>,
        precision: Precision,
        residency: Residency,
        context: &Context,
    ) -> Result<Self, TripoSrError> {
        unimplemented!("{weights:p} {precision} {residency} {context:?} {config:?}")
    }

    /// The shape of a cut-out subject: the one pass.
    ///
    /// # Errors
    ///
    /// Every kind of [`TripoSrError`].
    pub fn scene(&self, cutout: &Cutout, context: &Context) -> Result<Scene, TripoSrError> {
        unimplemented!("{} {context:?} {:?}", cutout.side, self.config)
    }
}

/// The most bytes of the ledger that loading and one pass hold at once, by running the model's own code
/// without its arithmetic. The surface comes on top, without the weights that `residency` gives up.
pub fn peak_bytes(config: &Config, precision: Precision, residency: Residency) -> u64 {
    unimplemented!("{config:?} {precision} {residency}")
}

/// The shape that one pass made: a [`Field`] in the field's frame (+X right, +Y up, +Z to the viewer),
/// inside `±radius` on every axis.
pub struct Scene {
    radius: f32,
}

impl Scene {
    /// The colours (sRGB) at points of the field's frame; `None` once cancelled.
    pub fn colours(
        &self,
        points: &[[f32; 3]],
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Option<Vec<[u8; 3]>> {
        unimplemented!("{} {} {}", points.len(), cancelled(), self.radius)
    }
}

impl Field for Scene {
    fn extent(&self) -> Region {
        unimplemented!()
    }

    fn fill(&self, _brick: &Brick, _values: &mut [f32]) {
        unimplemented!()
    }

    fn bounds(&self, _region: &Region) -> Bounds {
        unimplemented!()
    }

    fn value_and_gradient(&self, _point: [f32; 3]) -> Option<(f32, [f32; 3])> {
        unimplemented!()
    }
}
