//! From tokens to planes twice as wide: a transposed convolution of 2×2 with a step of 2, as a product.

use super::TripoSrError;
use super::loader::Loader;
use crate::compute::Matrix;
use crate::compute::ops::{Epilogue, Linear};

pub(super) struct Upsample {
    plane_side: usize,
    channels: usize,
    /// From a token to the four texels it becomes: down, across, channel.
    texels: Linear,
}

impl Upsample {
    pub(super) fn load(
        width: usize,
        channels: usize,
        plane_side: usize,
        loader: &Loader<'_>,
    ) -> Result<Self, TripoSrError> {
        let shape = [width, 4 * channels];
        let texels = Linear::load_by_inputs(&loader.ops, shape, true, loader.precision, || {
            let name = "post_processor.upsample";
            let published = loader.read(&format!("{name}.weight"), &[width, channels, 2, 2])?;
            let mut weights = vec![0.0; published.len()];
            for (place, weight) in published.into_iter().enumerate() {
                let (input, channel, texel) =
                    (place / (4 * channels), place / 4 % channels, place % 4);
                weights[(input * 4 + texel) * channels + channel] = weight;
            }
            let bias = loader.read(&format!("{name}.bias"), &[channels])?;
            Ok::<_, TripoSrError>((weights, Some(bias.repeat(4))))
        })?;
        Ok(Self {
            plane_side,
            channels,
            texels,
        })
    }

    /// The planes, one row a texel: plane, down, across.
    pub(super) fn run(&self, tokens: &Matrix, loader: &Loader<'_>) -> Result<Matrix, TripoSrError> {
        let (ops, channels) = (&loader.ops, self.channels);
        let mut blocks = ops.matrix(tokens.rows(), 4 * channels, "the planes")?;
        ops.linear(tokens, &self.texels, Epilogue::Store, &mut blocks)?;
        let mut planes = ops.matrix(4 * tokens.rows(), channels, "the planes")?;
        ops.spread_texels(&blocks, self.plane_side, &mut planes)?;
        Ok(planes)
    }
}
