//! The sizes of the model, and the tensors that follow from them.

use std::fmt;

use super::super::dinov2::EncoderConfig;
use super::super::json::{Sizes, SizesError};
use super::super::shapes::{NamedShape, Tensors};
use super::super::vecset::{DecoderConfig, DenoiserConfig, Sampling};

const MODEL: &str = "TripoSG";
/// What keeps a deviation from 0 in the denoiser and the decoder.
const EPSILON: f32 = 1e-5;
/// The published folders, whose names begin the names of their tensors.
pub(super) const ENCODER: &str = "image_encoder_dinov2.";
pub(super) const DENOISER: &str = "transformer.";
pub(super) const DECODER: &str = "vae.";

/// The sizes of every part.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The image encoder.
    pub encoder: EncoderConfig,
    /// The denoiser.
    pub denoiser: DenoiserConfig,
    /// The decoder.
    pub decoder: DecoderConfig,
    /// How the image is prepared.
    pub image: ImageConfig,
    /// How the noise is taken away.
    pub schedule: ScheduleConfig,
    /// Latent vectors of a shape.
    pub latents: usize,
}

/// How the image is prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageConfig {
    /// The shorter side is brought to this, in pixels.
    pub shortest: usize,
    /// The side of the middle that the encoder sees, in pixels.
    pub side: usize,
}

/// How the noise is taken away.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScheduleConfig {
    /// Above 1, smaller steps at first.
    pub shift: f32,
    /// What the share of noise is multiplied with for the denoiser.
    pub scale: f32,
}

/// The weights of the published folders, and what the names of each one's tensors begin with here.
pub const WEIGHTS: [(&str, &str); 3] = [
    (ENCODER, "image_encoder_dinov2/model.safetensors"),
    (DENOISER, "transformer/diffusion_pytorch_model.safetensors"),
    (DECODER, "vae/diffusion_pytorch_model.safetensors"),
];

/// The published configurations, as text.
#[derive(Debug, Clone, Copy)]
pub struct Files<'a> {
    /// `image_encoder_dinov2/config.json`.
    pub encoder: &'a str,
    /// `transformer/config.json`.
    pub denoiser: &'a str,
    /// `vae/config.json`.
    pub decoder: &'a str,
    /// `feature_extractor_dinov2/preprocessor_config.json`.
    pub image: &'a str,
    /// `scheduler/scheduler_config.json`.
    pub schedule: &'a str,
}

impl Config {
    /// The latent vectors of a shape, which no published file tells.
    pub const LATENTS: usize = 2048;
    /// The field lies within this distance of the origin along every axis.
    pub const RADIUS: f32 = 1.005;

    /// A value so near to 0 has its surroundings evaluated on the next finer lattice, as published.
    pub const NEAR: f32 = 0.95;

    /// The published model.
    pub fn published() -> Self {
        Self {
            encoder: EncoderConfig::large(),
            denoiser: DenoiserConfig {
                channels: 64,
                heads: 16,
                head_width: 128,
                layers: 21,
                context: 1024,
                epsilon: EPSILON,
            },
            decoder: DecoderConfig {
                channels: 64,
                heads: 8,
                head_width: 128,
                layers: 16,
                frequencies: 8,
                epsilon: EPSILON,
                sign: -1.0,
            },
            image: ImageConfig {
                shortest: 256,
                side: 224,
            },
            schedule: ScheduleConfig {
                shift: 1.0,
                scale: 1000.0,
            },
            latents: Self::LATENTS,
        }
    }

    /// Reads the published configurations.
    ///
    /// # Errors
    ///
    /// [`SizesError`] when a size is missing, is none, or does not go with the others.
    pub fn from_json(files: &Files<'_>) -> Result<Self, SizesError> {
        let config = Self {
            encoder: EncoderConfig::from_json(files.encoder)?,
            denoiser: denoiser(&Sizes::read(files.denoiser, "TripoSG's transformer")?)?,
            decoder: decoder(&Sizes::read(files.decoder, "TripoSG's VAE")?)?,
            image: image(&Sizes::read(files.image, "TripoSG's preprocessing")?)?,
            schedule: schedule(&Sizes::read(files.schedule, "TripoSG's schedule")?)?,
            latents: Self::LATENTS,
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), SizesError> {
        let (patch, side) = (self.encoder.patch, self.image.side);
        let pairs = [
            (
                "the numbers of a latent vector",
                self.denoiser.channels,
                self.decoder.channels,
            ),
            (
                "the numbers of a token of the image",
                self.denoiser.context,
                self.encoder.width,
            ),
        ];
        let differing = pairs.into_iter().find(|(_, ours, theirs)| ours != theirs);
        let what = if let Some((what, ours, theirs)) = differing {
            format!("{what} are {ours} in one part and {theirs} in another")
        } else if side > self.image.shortest {
            format!(
                "the middle {side} pixels of {} are asked for",
                self.image.shortest
            )
        } else if !side.is_multiple_of(patch) {
            format!("an image of {side} pixels is no number of patches of {patch}")
        } else {
            return Ok(());
        };
        Err(SizesError { model: MODEL, what })
    }

    /// The numbers of all latent vectors of a shape.
    pub fn latent_numbers(&self) -> usize {
        self.latents * self.denoiser.channels
    }

    /// Every tensor that the model reads, its names beginning with its published folder.
    pub fn tensors(&self) -> Vec<NamedShape> {
        let mut tensors = Tensors::default();
        self.encoder.list(ENCODER, &mut tensors);
        self.denoiser.list(DENOISER, &mut tensors);
        self.decoder.list(DECODER, &mut tensors);
        tensors.0
    }

    /// Whether a tensor that the published files hold is one that the model has no use for: those that
    /// train the image encoder, and those that turn shapes into latents.
    pub fn is_unused(name: &str) -> bool {
        let decoder = name.strip_prefix(DECODER);
        name == "image_encoder_dinov2.embeddings.mask_token"
            || decoder
                .is_some_and(|name| name.starts_with("encoder.") || name.starts_with("quant."))
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (layers, width) = (self.denoiser.layers, self.denoiser.width());
        write!(f, "{layers} blocks of {width} numbers a token")
    }
}

fn heads(sizes: &Sizes, width: &str) -> Result<(usize, usize), SizesError> {
    let (heads, columns) = (sizes.size("num_attention_heads")?, sizes.size(width)?);
    if columns.is_multiple_of(heads) && columns.is_multiple_of(2) {
        return Ok((heads, columns / heads));
    }
    Err(sizes.wrong(format!(
        "{width} of {columns} cannot be divided among {heads} heads"
    )))
}

fn denoiser(sizes: &Sizes) -> Result<DenoiserConfig, SizesError> {
    sizes.expect("use_cross_attention_2", &false.into())?;
    let (heads, head_width) = heads(sizes, "width")?;
    Ok(DenoiserConfig {
        channels: sizes.size("in_channels")?,
        heads,
        head_width,
        layers: sizes.size("num_layers")?,
        context: sizes.size("cross_attention_dim")?,
        epsilon: EPSILON,
    })
}

fn decoder(sizes: &Sizes) -> Result<DecoderConfig, SizesError> {
    sizes.expect("embedding_type", &"frequency".into())?;
    sizes.expect("embed_include_pi", &false.into())?;
    sizes.expect("in_channels", &3.into())?;
    let (heads, head_width) = heads(sizes, "width_decoder")?;
    let frequencies = sizes.size("embed_frequency")?;
    if frequencies > 16 {
        return Err(sizes.wrong(format!("{frequencies} frequencies are more than 16")));
    }
    Ok(DecoderConfig {
        channels: sizes.size("latent_channels")?,
        heads,
        head_width,
        layers: sizes.size("num_layers_decoder")?,
        frequencies,
        epsilon: EPSILON,
        sign: -1.0,
    })
}

fn image(sizes: &Sizes) -> Result<ImageConfig, SizesError> {
    sizes.expect("resample", &3.into())?;
    for step in ["do_resize", "do_center_crop", "do_rescale", "do_normalize"] {
        sizes.expect(step, &true.into())?;
    }
    let crop = sizes.within("crop_size")?;
    let side = crop.size("height")?;
    crop.expect("width", &side.into())?;
    Ok(ImageConfig {
        shortest: sizes.within("size")?.size("shortest_edge")?,
        side,
    })
}

fn schedule(sizes: &Sizes) -> Result<ScheduleConfig, SizesError> {
    sizes.expect("use_dynamic_shifting", &false.into())?;
    let shift = sizes.number("shift")?;
    if shift <= 0.0 {
        return Err(sizes.wrong(format!("shift is {shift} and should be above 0")));
    }
    Ok(ScheduleConfig {
        shift,
        scale: sizes.size("num_train_timesteps")? as f32,
    })
}

/// Multiplications and additions of a transformer's block over `tokens` tokens of `width` numbers, without
/// what it sees besides them: its projections, its perceptron, and the attention of its tokens.
fn block_operations(tokens: f64, width: f64) -> f64 {
    24.0 * tokens * width * width + 4.0 * tokens * tokens * width
}

/// Cells along the longest side up to which a field is evaluated everywhere.
const EVERYWHERE: u32 = 96;
/// The points near the surface that a finer level evaluates, for each square of its cells.
const NEAR_SURFACE: f64 = 12.0;

impl Config {
    /// The multiplications and additions of a whole job: the image, the steps, and the field at every level up
    /// to this one.
    pub fn operations(&self, level: u32, sampling: Sampling) -> f64 {
        let tokens = (self.image.side / self.encoder.patch).pow(2) as f64 + 1.0;
        let image =
            self.encoder.layers as f64 * block_operations(tokens, self.encoder.width as f64);
        let levels = std::iter::successors(Some(32), |level| Some(level * 2));
        let levels = levels.take_while(|&coarser| coarser < level).chain([level]);
        let points: f64 = levels
            .map(|level| match level {
                ..=EVERYWHERE => (f64::from(level) + 3.0).powi(3),
                level => NEAR_SURFACE * f64::from(level).powi(2),
            })
            .sum();
        let (width, latents) = (self.decoder.width() as f64, self.latents as f64);
        let trunk = self.decoder.layers as f64 * block_operations(latents, width);
        let query = 20.0 * width * width + 4.0 * latents * width;
        let steps = f64::from(sampling.steps()) * self.step_operations(sampling);
        image + steps + trunk + points * query
    }

    /// The work of a look at a shape being refined, beside that of one of its steps: a share, by the
    /// arithmetic of both.
    pub fn preview_work(&self, level: u32, sampling: Sampling) -> f64 {
        let points = (f64::from(level) + 3.0).powi(3);
        let (width, latents) = (self.decoder.width() as f64, self.latents as f64);
        let trunk = self.decoder.layers as f64 * block_operations(latents, width);
        let query = 20.0 * width * width + 4.0 * latents * width;
        (trunk + points * query) / self.step_operations(sampling)
    }

    /// The multiplications and additions of a step.
    fn step_operations(&self, sampling: Sampling) -> f64 {
        let (width, layers) = (self.denoiser.width() as f64, self.denoiser.layers as f64);
        let tokens = self.latents as f64 + 1.0;
        let skips = 2.0 * tokens * width * width * layers;
        let own = layers * block_operations(tokens, width) + skips;
        let seen = (self.image.side / self.encoder.patch).pow(2) as f64 + 1.0;
        let image = layers * (4.0 * tokens * width * width + 4.0 * tokens * seen * width);
        // The look at nothing sees no image.
        own + image + if sampling.is_guided() { own } else { 0.0 }
    }
}
