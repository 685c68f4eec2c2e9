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

mod backbone;
mod config;
mod encoder;
pub mod prepare;
mod scene;
mod upsample;
mod yaml;

use std::sync::Arc;

use backbone::Backbone;
pub use config::{BackboneConfig, Config, ConfigError, EncoderConfig};
use encoder::Encoder;
pub use scene::Scene;
use upsample::Upsample;

pub use super::error::ModelError as TripoSrError;
use super::loader::{self, Loader, Nothing, activations};
pub use super::loader::{Memory, MemoryOnDevice, ReadTensors};
pub use super::shapes::NamedShape;
use crate::compute::ops::Triplane;
use crate::compute::ops::resize::Raster;
use crate::compute::ops::triplane::Layer;
use crate::compute::{Context, Device, Ledger, Matrix, Ops, Precision};
use crate::photo::Cutout;
use crate::vram::Residency;

/// The numbers of points that a device can evaluate the field at together.
pub const CHUNKS: [u32; 3] = [1 << 16, 1 << 14, 1 << 12];

/// The model with its weights.
pub struct TripoSr {
    config: Config,
    weights: Arc<dyn ReadTensors>,
    precision: Precision,
    encoder: Encoder,
    backbone: Backbone,
    upsample: Upsample,
    decoder: Vec<Layer>,
    /// Points that a device evaluates the field at together.
    chunk: usize,
}

impl TripoSr {
    /// Loads the weights, or as much of them as `residency` keeps in memory: all, or without the blocks of
    /// encoder and transformer, which are then read again for each pass, one after another.
    ///
    /// Check the file against [`Config::tensors`] first, so that what is wrong with it is told at once. On a
    /// device every kernel that the model needs is checked before its first use.
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
        let ops = Ops::new(context, activations(precision, context.device()));
        ops.check_kernels(precision)?;
        Self::load_with(config, weights, precision, residency, &ops)
    }

    fn load_with(
        config: Config,
        weights: Arc<dyn ReadTensors>,
        precision: Precision,
        residency: Residency,
        ops: &Ops<'_>,
    ) -> Result<Self, TripoSrError> {
        let loader = Loader {
            ops: *ops,
            tensors: &*weights,
            precision,
        };
        let keep = residency == Residency::Resident;
        let context = config.encoder.width;
        Ok(Self {
            encoder: Encoder::load(&config.encoder, config.image_side, &loader, keep)?,
            backbone: Backbone::load(&config.backbone, context, config.plane_side, &loader, keep)?,
            upsample: Upsample::load(
                config.backbone.width,
                config.plane_channels,
                config.plane_side,
                &loader,
            )?,
            decoder: decoder(&config, &loader)?,
            chunk: CHUNKS[0] as usize,
            config,
            precision,
            weights,
        })
    }

    /// Sets how many points a device evaluates the field at together, of [`CHUNKS`] the least or more; fewer take
    /// less memory.
    #[must_use]
    pub fn with_chunk(self, chunk: u32) -> Self {
        Self {
            chunk: chunk.max(CHUNKS[CHUNKS.len() - 1]) as usize,
            ..self
        }
    }

    fn loader<'a>(&'a self, ops: Ops<'a>) -> Loader<'a> {
        Loader {
            ops,
            tensors: &*self.weights,
            precision: self.precision,
        }
    }

    /// The sizes of the model.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The learned tokens of the planes, one a row: plane, down, across.
    pub fn learned_tokens(&self) -> &Matrix {
        self.backbone.tokens()
    }

    /// The shape of a cut-out subject: the one pass.
    ///
    /// # Errors
    ///
    /// Every kind of [`TripoSrError`].
    pub fn scene(&self, cutout: &Cutout, context: &Context) -> Result<Scene, TripoSrError> {
        let image = prepare::on_grey(&cutout.into())?;
        let image = prepare::conditioned(&image, self.config.image_side);
        self.pass(&image, &self.ops(context))
    }

    fn ops<'a>(&self, context: &'a Context) -> Ops<'a> {
        Ops::new(context, activations(self.precision, context.device()))
    }

    /// From the image that the encoder sees to the field, with arithmetic or without.
    fn pass(&self, image: &Raster, ops: &Ops<'_>) -> Result<Scene, TripoSrError> {
        let loader = self.loader(*ops);
        let tokens = self.encoder.run(image, &loader)?;
        let planes = self.backbone.run(&tokens, &loader)?;
        drop(tokens);
        let planes = self.upsample.run(&planes, &loader)?;
        self.field_with(&planes, ops)
    }

    /// The tokens of an image of the encoder's size, in `0..=1`.
    ///
    /// # Errors
    ///
    /// Every kind of [`TripoSrError`] but [`TripoSrError::NothingInside`].
    pub fn encode(&self, image: &Raster, context: &Context) -> Result<Matrix, TripoSrError> {
        self.encoder.run(image, &self.loader(self.ops(context)))
    }

    /// The tokens of the planes for an image, one a row: plane, down, across.
    ///
    /// # Errors
    ///
    /// As [`TripoSr::encode`].
    pub fn planes(&self, image: &Matrix, context: &Context) -> Result<Matrix, TripoSrError> {
        self.backbone.run(image, &self.loader(self.ops(context)))
    }

    /// The planes, twice as wide, one row a texel: plane, down, across.
    ///
    /// # Errors
    ///
    /// As [`TripoSr::encode`].
    pub fn upsample(&self, planes: &Matrix, context: &Context) -> Result<Matrix, TripoSrError> {
        self.upsample.run(planes, &self.loader(self.ops(context)))
    }

    /// The field that upsampled planes hold.
    ///
    /// # Errors
    ///
    /// As [`TripoSr::encode`].
    pub fn field(&self, planes: &Matrix, context: &Context) -> Result<Scene, TripoSrError> {
        self.field_with(planes, &self.ops(context))
    }

    fn field_with(&self, planes: &Matrix, ops: &Ops<'_>) -> Result<Scene, TripoSrError> {
        let (radius, width) = (self.config.radius, self.config.decoder_width);
        let mut decoder = self.decoder.clone();
        scene::put_surface_at_zero(&mut decoder, self.config.density_bias);
        let triplane = Triplane::new(ops, planes, radius, width, decoder, self.chunk)?;
        Scene::new(triplane, radius, ops)
    }
}

/// The layers of the decoder, always in 32 bits: they are small and see every point.
fn decoder(config: &Config, loader: &Loader<'_>) -> Result<Vec<Layer>, TripoSrError> {
    let (width, last) = (config.decoder_width, config.decoder_layers);
    (0..=last)
        .map(|layer| {
            let inputs = if layer == 0 {
                3 * config.plane_channels
            } else {
                width
            };
            let outputs = if layer == last {
                config::DECODED
            } else {
                width
            };
            let name = format!("decoder.layers.{}", 2 * layer);
            let weights = loader.read(&format!("{name}.weight"), &[outputs, inputs])?;
            let bias = loader.read(&format!("{name}.bias"), &[outputs])?;
            Ok(Layer::from_published(&weights, inputs, bias))
        })
        .collect()
}

/// What the model takes on the processor, found out by running its own code without the arithmetic.
pub fn memory(config: &Config, precision: Precision, residency: Residency) -> Memory {
    let context = Context {
        gpu: None,
        ledger: Ledger::unlimited(),
        cancel: Default::default(),
    };
    let ops = Ops::shapes_only(&context);
    let _kept = without_arithmetic(config, precision, residency, CHUNKS[0], &ops);
    Memory::of(&context.ledger)
}

/// What the model takes of the host and of a CUDA device that evaluates the field at `chunk` points
/// together, found out likewise.
pub fn memory_on_device(
    config: &Config,
    precision: Precision,
    residency: Residency,
    chunk: u32,
) -> MemoryOnDevice {
    let context = Context {
        gpu: None,
        ledger: Ledger::unlimited(),
        cancel: Default::default(),
    };
    let device = Ledger::unlimited();
    let activations = activations(precision, Device::Cuda(0));
    let ops = Ops::shapes_only_on_device(&context, &device, activations);
    let _kept = without_arithmetic(config, precision, residency, chunk, &ops);
    MemoryOnDevice {
        host: Memory::of(&context.ledger),
        device: Memory::of(&device),
    }
}

/// Loads the model and runs a pass without arithmetic. The ledgers refuse nothing, and nothing is read.
fn without_arithmetic(
    config: &Config,
    precision: Precision,
    residency: Residency,
    chunk: u32,
    ops: &Ops<'_>,
) -> Result<(TripoSr, Scene), TripoSrError> {
    let nothing = Raster {
        width: config.image_side,
        height: config.image_side,
        channels: 3,
        values: Vec::new(),
    };
    let (config, weights) = (config.clone(), Arc::new(Nothing));
    let model = TripoSr::load_with(config, weights, precision, residency, ops)?.with_chunk(chunk);
    let scene = model.pass(&nothing, ops)?;
    Ok((model, scene))
}
