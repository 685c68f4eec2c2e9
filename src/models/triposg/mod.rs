//! TripoSG: a set of latent vectors that a flow makes from noise while it looks at an image, and a field read
//! from them.
//!
//! ```text
//! cut-out ─► image ─► patches ─► encoder ─► tokens ─► denoiser (50 steps) ─► latents ─► field
//!           (224²)            (DINOv2, L)
//! ```
//!
//! Li et al. 2025, "TripoSG: High-Fidelity 3D Shape Synthesis using Large-Scale Rectified Flow Models".
//!
//! This module never opens a file and never asks the clock; its weights come through [`ReadTensors`].

mod config;
pub mod prepare;

use std::ops::ControlFlow;
use std::sync::Arc;

pub use config::{Config, Files, ImageConfig, ScheduleConfig, WEIGHTS};
use config::{DECODER, DENOISER, ENCODER};

use super::error::ModelError;
use super::loader::{Loader, Memory, MemoryOnDevice, Nothing, ReadTensors, activations};
use super::vecset::{Clock, Decoder, Denoiser, Look, sample};
pub use super::vecset::{ImageContext, LatentField, Predicted, Sampling, SamplingError};
use super::vision::Encoder;
use crate::compute::ops::Seed;
use crate::compute::ops::resize::Raster;
use crate::compute::{Context, Device, Ledger, Matrix, Number, Ops, Precision, Reservation};
use crate::photo::Cutout;
use crate::vram::Residency;

/// The model with its weights, or with as many of them as its residency keeps.
pub struct TripoSg {
    config: Config,
    weights: Arc<dyn ReadTensors>,
    precision: Precision,
    residency: Residency,
    /// All three where the weights are resident, else none.
    kept: Option<Parts>,
}

struct Parts {
    encoder: Encoder,
    denoiser: Denoiser,
    decoder: Decoder,
}

/// How a shape is sampled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Draw {
    /// Steps and guidance.
    pub sampling: Sampling,
    /// Whether the looks of a step, of every shape, go through the denoiser at once; it takes more memory.
    pub together: bool,
    /// Whether predictions are looked at on the way; on a device that takes memory beside the steps.
    pub looks: bool,
}

impl TripoSg {
    /// Loads the weights: all of them when they are to be resident; else each part is loaded when its turn
    /// comes and given up afterwards, whole when staged, block by block when streamed.
    ///
    /// Check the files against [`Config::tensors`] first, so that what is wrong with them is told at once. On a
    /// device every kernel that the model needs is checked before its first use.
    ///
    /// # Errors
    ///
    /// Every kind of [`ModelError`] but [`ModelError::NothingInside`]; nothing stays reserved.
    pub fn load(
        config: Config,
        weights: Arc<dyn ReadTensors>,
        precision: Precision,
        residency: Residency,
        context: &Context,
    ) -> Result<Self, ModelError> {
        let ops = Ops::new(context, activations(precision, context.device()));
        ops.check_kernels(precision)?;
        ops.check_latent_kernels(precision)?;
        Self::load_with(config, weights, precision, residency, &ops)
    }

    fn load_with(
        config: Config,
        weights: Arc<dyn ReadTensors>,
        precision: Precision,
        residency: Residency,
        ops: &Ops<'_>,
    ) -> Result<Self, ModelError> {
        let mut model = Self {
            config,
            weights,
            precision,
            residency,
            kept: None,
        };
        if residency == Residency::Resident {
            let loader = model.loader(*ops);
            let kept = Parts {
                encoder: model.load_encoder(&loader)?,
                denoiser: model.load_denoiser(&loader)?,
                decoder: model.load_decoder(&loader)?,
            };
            model.kept = Some(kept);
        }
        Ok(model)
    }

    fn loader<'a>(&'a self, ops: Ops<'a>) -> Loader<'a> {
        Loader {
            ops,
            tensors: &*self.weights,
            precision: self.precision,
        }
    }

    fn keeps_blocks(&self) -> bool {
        self.residency != Residency::Streamed
    }

    fn load_encoder(&self, loader: &Loader<'_>) -> Result<Encoder, ModelError> {
        let (config, side) = (&self.config.encoder, self.config.image.side);
        Encoder::load(&config.form(), ENCODER, side, loader, self.keeps_blocks())
    }

    fn load_denoiser(&self, loader: &Loader<'_>) -> Result<Denoiser, ModelError> {
        Denoiser::load(&self.config.denoiser, DENOISER, loader, self.keeps_blocks())
    }

    fn load_decoder(&self, loader: &Loader<'_>) -> Result<Decoder, ModelError> {
        Decoder::load(&self.config.decoder, DECODER, loader, self.keeps_blocks())
    }

    /// The sizes of the model.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Whether a shape can be looked at while it is sampled, without loading weights for it.
    pub fn can_preview(&self) -> bool {
        self.kept.is_some()
    }

    fn ops<'a>(&self, context: &'a Context) -> Ops<'a> {
        Ops::new(context, activations(self.precision, context.device()))
    }

    /// What the denoiser sees of a cut-out subject.
    ///
    /// # Errors
    ///
    /// Every kind of [`ModelError`].
    pub fn look_at(&self, cutout: &Cutout, context: &Context) -> Result<ImageContext, ModelError> {
        let image = prepare::on_white(&cutout.into())?;
        let image = prepare::conditioned(&image, self.config.image);
        let tokens = self.encode(&image, context)?;
        self.context(&tokens, context)
    }

    /// The tokens of a prepared image.
    ///
    /// # Errors
    ///
    /// Every kind of [`ModelError`] but [`ModelError::NothingInside`].
    pub fn encode(&self, image: &Raster, context: &Context) -> Result<Matrix, ModelError> {
        self.encode_with(image, self.ops(context))
    }

    fn encode_with(&self, image: &Raster, ops: Ops<'_>) -> Result<Matrix, ModelError> {
        let loader = self.loader(ops);
        match &self.kept {
            Some(kept) => kept.encoder.run(image, &loader),
            None => self.load_encoder(&loader)?.run(image, &loader),
        }
    }

    /// The keys and values of an image's tokens.
    ///
    /// # Errors
    ///
    /// As [`TripoSg::encode`].
    pub fn context(&self, tokens: &Matrix, context: &Context) -> Result<ImageContext, ModelError> {
        self.context_with(tokens, self.ops(context))
    }

    fn context_with(&self, tokens: &Matrix, ops: Ops<'_>) -> Result<ImageContext, ModelError> {
        let loader = self.loader(ops);
        self.config.denoiser.look_at(DENOISER, tokens, &loader)
    }

    /// One evaluation of the denoiser: the velocity of latents, which are in 32 bits, at a time, as it looks at
    /// an image or at nothing.
    ///
    /// # Errors
    ///
    /// As [`TripoSg::encode`].
    pub fn velocity(
        &self,
        latents: &Matrix,
        time: f32,
        image: Option<&ImageContext>,
        context: &Context,
    ) -> Result<Matrix, ModelError> {
        let loader = self.loader(self.ops(context));
        self.with_denoiser(&loader, |denoiser| {
            let look = Look { latents, image };
            let mut velocities = denoiser.velocities(&[look], time, &loader)?;
            Ok(velocities.swap_remove(0))
        })
    }

    fn with_denoiser<T>(
        &self,
        loader: &Loader<'_>,
        work: impl FnOnce(&Denoiser) -> Result<T, ModelError>,
    ) -> Result<T, ModelError> {
        match &self.kept {
            Some(kept) => work(&kept.denoiser),
            None => work(&self.load_denoiser(loader)?),
        }
    }

    /// The noise that a shape is made from, in 32 bits: it depends on the seed alone, and is the same on every
    /// device and in every precision.
    ///
    /// # Errors
    ///
    /// [`ModelError::Cancelled`], [`ModelError::OutOfMemory`] and [`ModelError::Gpu`].
    pub fn noise(&self, seed: u64, context: &Context) -> Result<Matrix, ModelError> {
        self.noise_with(seed, self.ops(context))
    }

    fn noise_with(&self, seed: u64, ops: Ops<'_>) -> Result<Matrix, ModelError> {
        let (latents, channels) = (self.config.latents, self.config.denoiser.channels);
        let seed = Seed { seed, stream: 0 };
        let ops = ops.in_format(Number::F32);
        Ok(ops.noise(latents, channels, seed, "the latents")?)
    }

    /// The latents that the flow makes from noise, one row each, both in 32 bits. `watch` is shown the prediction after every
    /// step; where it breaks, that prediction is the result.
    ///
    /// # Errors
    ///
    /// As [`TripoSg::encode`], and what `watch` returns.
    pub fn sample(
        &self,
        image: &ImageContext,
        noise: Matrix,
        draw: Draw,
        watch: &mut dyn FnMut(Predicted<'_>) -> Result<ControlFlow<()>, ModelError>,
        context: &Context,
    ) -> Result<Matrix, ModelError> {
        let mut latents = self.sample_each(image, vec![noise], draw, watch, context)?;
        Ok(latents.swap_remove(0))
    }

    /// The same for several shapes that take their steps together. Each comes out as it would alone.
    ///
    /// # Errors
    ///
    /// As [`TripoSg::sample`].
    pub fn sample_each(
        &self,
        image: &ImageContext,
        noise: Vec<Matrix>,
        draw: Draw,
        watch: &mut dyn FnMut(Predicted<'_>) -> Result<ControlFlow<()>, ModelError>,
        context: &Context,
    ) -> Result<Vec<Matrix>, ModelError> {
        self.sample_with(image, noise, draw, watch, self.ops(context))
    }

    fn sample_with(
        &self,
        image: &ImageContext,
        noise: Vec<Matrix>,
        draw: Draw,
        watch: &mut dyn FnMut(Predicted<'_>) -> Result<ControlFlow<()>, ModelError>,
        ops: Ops<'_>,
    ) -> Result<Vec<Matrix>, ModelError> {
        let loader = self.loader(ops);
        let clock = Clock {
            shift: self.config.schedule.shift,
            scale: self.config.schedule.scale,
        };
        self.with_denoiser(&loader, |denoiser| {
            let how = (draw.sampling, clock, draw.together);
            sample(denoiser, image, noise, how, watch, &loader)
        })
    }

    /// The latents of a shape that was sampled before, in 32 bits, from their numbers, one row after another.
    ///
    /// # Errors
    ///
    /// [`ModelError::Cancelled`], [`ModelError::OutOfMemory`] and [`ModelError::Gpu`].
    ///
    /// # Panics
    ///
    /// When there are not [`Config::latent_numbers`] of them.
    pub fn latents(&self, numbers: &[f32], context: &Context) -> Result<Matrix, ModelError> {
        self.latents_with(numbers, self.ops(context))
    }

    fn latents_with(&self, numbers: &[f32], ops: Ops<'_>) -> Result<Matrix, ModelError> {
        let (rows, channels) = (self.config.latents, self.config.denoiser.channels);
        let ops = ops.in_format(Number::F32);
        ops.filled(rows, channels, "the latents", || Ok(numbers.to_vec()))
    }

    /// The field that latents hold, which are in 32 bits.
    ///
    /// # Errors
    ///
    /// As [`TripoSg::encode`].
    pub fn field(&self, latents: &Matrix, context: &Context) -> Result<LatentField, ModelError> {
        self.field_with(latents, self.ops(context))
    }

    fn field_with(&self, latents: &Matrix, ops: Ops<'_>) -> Result<LatentField, ModelError> {
        let loader = self.loader(ops);
        match &self.kept {
            Some(kept) => kept.decoder.field(latents, &loader),
            None => self.load_decoder(&loader)?.field(latents, &loader),
        }
    }

    /// What a look at a prediction takes where it is taken beside the steps: as much again on a device, found out
    /// by itself.
    fn reserve_look_beside(
        &self,
        draw: Draw,
        ops: Ops<'_>,
    ) -> Result<Vec<Reservation>, ModelError> {
        if !draw.looks || !self.can_preview() || !ops.is_on_device() {
            return Ok(Vec::new());
        }
        let (context, device) = (unlimited(), Ledger::unlimited());
        let alone = Ops::shapes_only_on_device(&context, &device, ops.activations());
        let latents = self.latents_with(&[], alone)?;
        self.field_with(&latents, alone)?.reserve_chunk(&alone)?;
        let what = "a look at the prediction";
        let on_host = ops.reserve(context.ledger.peak_bytes(), what)?;
        let on_device = ops.reserve_on_device(device.peak_bytes(), what)?;
        Ok([on_host].into_iter().chain(on_device).collect())
    }

    /// One step of a run without arithmetic: every further one takes the same. Of several shapes that are
    /// sampled together, the fields are made one after another.
    fn reserve_run(
        &self,
        draw: Draw,
        shapes: usize,
        ops: Ops<'_>,
    ) -> Result<LatentField, ModelError> {
        let side = self.config.image.side;
        let nothing = Raster {
            width: side,
            height: side,
            channels: 3,
            values: Vec::new(),
        };
        let tokens = self.encode_with(&nothing, ops)?;
        let image = self.context_with(&tokens, ops)?;
        drop(tokens);
        let noise = (0..shapes.max(1)).map(|_| self.noise_with(0, ops));
        let noise = noise.collect::<Result<_, _>>()?;
        let looks_between = draw.looks && self.can_preview() && !ops.is_on_device();
        let mut watch = |predicted: Predicted<'_>| {
            if looks_between {
                let clean = &predicted.clean[0];
                self.field_with(clean, ops)?.reserve_chunk(&ops)?;
            }
            Ok(ControlFlow::Break(()))
        };
        let look = self.reserve_look_beside(draw, ops)?;
        let latents = self.sample_with(&image, noise, draw, &mut watch, ops)?;
        drop((image, look));
        let field = self.field_with(&latents[0], ops)?;
        drop(latents);
        field.reserve_chunk(&ops)?;
        Ok(field)
    }
}

/// What the model takes on the processor for so many shapes at once, found out by running its own code
/// without the arithmetic. What evaluated samples take comes on top of it.
pub fn memory(
    config: &Config,
    precision: Precision,
    residency: Residency,
    draw: Draw,
    shapes: usize,
) -> Memory {
    let context = unlimited();
    let ops = Ops::shapes_only(&context);
    let _kept = without_arithmetic(config, precision, residency, draw, shapes, ops);
    Memory::of(&context.ledger)
}

/// What the model takes of the host and of a CUDA device, found out likewise.
pub fn memory_on_device(
    config: &Config,
    precision: Precision,
    residency: Residency,
    draw: Draw,
    shapes: usize,
) -> MemoryOnDevice {
    let (context, device) = (unlimited(), Ledger::unlimited());
    let activations = activations(precision, Device::Cuda(0));
    let ops = Ops::shapes_only_on_device(&context, &device, activations);
    let _kept = without_arithmetic(config, precision, residency, draw, shapes, ops);
    MemoryOnDevice {
        host: Memory::of(&context.ledger),
        device: Memory::of(&device),
    }
}

/// What a chunk of points takes of a CUDA device while a field is sampled there, found out likewise.
pub fn chunk_bytes_on_device(config: &Config, precision: Precision) -> u64 {
    let (context, device, chunk) = (unlimited(), Ledger::unlimited(), Ledger::unlimited());
    let activations = activations(precision, Device::Cuda(0));
    let ops = Ops::shapes_only_on_device(&context, &device, activations);
    let reserve = || {
        let (config, weights) = (config.clone(), Arc::new(Nothing));
        let model = TripoSg::load_with(config, weights, precision, Residency::Streamed, &ops)?;
        let field = model.field_with(&model.noise_with(0, ops)?, ops)?;
        let of_chunk = Ops::shapes_only_on_device(&context, &chunk, activations);
        field.reserve_chunk(&of_chunk)
    };
    // Nothing is read, and nothing refused.
    let _reserved: Result<(), ModelError> = reserve();
    chunk.peak_bytes()
}

/// A context whose ledger refuses nothing.
fn unlimited() -> Context {
    Context {
        gpu: None,
        ledger: Ledger::unlimited(),
        cancel: Default::default(),
    }
}

/// Loads the model and makes shapes without arithmetic. Nothing is read.
fn without_arithmetic(
    config: &Config,
    precision: Precision,
    residency: Residency,
    draw: Draw,
    shapes: usize,
    ops: Ops<'_>,
) -> Result<(TripoSg, LatentField), ModelError> {
    let (config, weights) = (config.clone(), Arc::new(Nothing));
    let model = TripoSg::load_with(config, weights, precision, residency, &ops)?;
    let field = model.reserve_run(draw, shapes, ops)?;
    Ok((model, field))
}
