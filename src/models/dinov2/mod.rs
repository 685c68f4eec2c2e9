//! DINOv2, the image encoder of many models: its published sizes, and how images are prepared for it.
//!
//! Oquab et al. 2023, "DINOv2: Learning Robust Visual Features without Supervision".

mod config;
pub mod pixels;

use std::sync::Arc;

pub use config::EncoderConfig;

use super::error::ModelError;
use super::loader::{Loader, ReadTensors, activations};
use super::vision::{Encoder, Family, Form};
use crate::compute::ops::resize::Raster;
use crate::compute::{Context, Matrix, Ops, Precision};

impl EncoderConfig {
    pub(super) fn form(&self) -> Form {
        Form {
            width: self.width,
            heads: self.heads,
            layers: self.layers,
            hidden: self.hidden,
            patch: self.patch,
            trained_side: self.trained_side,
            epsilon: self.epsilon,
            family: Family::DinoV2 { gated: self.gated },
        }
    }
}

/// The tokens of one prepared, square image: the encoder alone, without a model around it.
///
/// # Errors
///
/// Every kind of [`ModelError`] but [`ModelError::NothingInside`].
pub fn encode(
    config: &EncoderConfig,
    weights: Arc<dyn ReadTensors>,
    image: &Raster,
    precision: Precision,
    context: &Context,
) -> Result<Matrix, ModelError> {
    let loader = Loader {
        ops: Ops::new(context, activations(precision, context.device())),
        tensors: &*weights,
        precision,
    };
    Encoder::load(&config.form(), "", image.width, &loader, false)?.run(image, &loader)
}
