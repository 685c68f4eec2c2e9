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
        let texels = Linear::load_by_inputs(&loader.ops, shape, loader.precision, || {
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
        ops.filled(4 * tokens.rows(), channels, "the planes", || {
            let side = self.plane_side;
            let mut planes = vec![0.0; 4 * tokens.rows() * channels];
            for (texel, numbers) in blocks.values().chunks_exact(channels).enumerate() {
                let (token, down, across) = (texel / 4, texel / 2 % 2, texel % 2);
                // Rows of all three planes, one under the other.
                let (row, column) = (token / side, token % side);
                let place = (2 * row + down) * 2 * side + 2 * column + across;
                planes[place * channels..][..channels].copy_from_slice(numbers);
            }
            Ok(planes)
        })
    }
}
