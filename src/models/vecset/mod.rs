//! Models whose shape is a set of latent vectors, made from noise by a flow that looks at an image: the
//! parts that the members of the family put together.
//!
//! ```text
//! image tokens ─► keys and values ─┐ (once an image)
//!                                  ▼
//! noise ─► denoiser, step by step ─► latents ─► trunk ─► keys and values ─► value at any point
//!          └── schedule, guidance ──┘         (once a shape)
//! ```
//!
//! Zhang et al. 2023, "3DShape2VecSet"; Peebles and Xie 2023, "Scalable Diffusion Models with Transformers";
//! Bao et al. 2023, "All are Worth Words" (the long skips).
//!
//! These parts know no published layout but the names of a block's tensors, and no image.

mod block;
mod decoder;
mod denoiser;
mod flow;
mod sampled;

pub(super) use decoder::Decoder;
pub use decoder::{DecoderConfig, LatentField};
pub(super) use denoiser::{Denoiser, Look};
pub use denoiser::{DenoiserConfig, ImageContext};
pub(super) use flow::{Clock, sample};
pub use flow::{Predicted, Sampling, SamplingError, schedule};
pub use sampled::{
    CHECK_EXTENT, LatticeSampling, SamplesOnDevice, check_sampling, check_sampling_once,
    lattice_of, sample_check, sample_on_device,
};
