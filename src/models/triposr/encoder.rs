//! The image encoder: DINO's vision transformer, whose every token goes on.
//!
//! Caron et al. 2021, "Emerging Properties in Self-Supervised Vision Transformers".

use super::loader::{Blocks, Loader};
use super::{EncoderConfig, TripoSrError};
use crate::compute::ops::resize::{Raster, bicubic};
use crate::compute::ops::{Epilogue, Heads, Linear, Norm, View};
use crate::compute::{Matrix, Ops};

const EPSILON: f32 = 1e-12;
/// ImageNet's mean and deviation, which the encoder was trained with.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];
const ROOT: &str = "image_tokenizer.model";

pub(super) struct Encoder {
    config: EncoderConfig,
    /// Patches along a side of the image.
    patches: usize,
    /// The class token, with its position added.
    class: Matrix,
    positions: Matrix,
    projection: Linear,
    blocks: Blocks<Block>,
    norm: Norm,
}

struct Block {
    before: Norm,
    projections: Linear,
    attended: Linear,
    after: Norm,
    widen: Linear,
    narrow: Linear,
}

impl Encoder {
    pub(super) fn load(
        config: &EncoderConfig,
        image_side: usize,
        loader: &Loader<'_>,
        keep: bool,
    ) -> Result<Self, TripoSrError> {
        let (width, patch) = (config.width, config.patch);
        let patches = image_side / patch;
        let embeddings = format!("{ROOT}.embeddings");
        let table = loader.read(
            &format!("{embeddings}.position_embeddings"),
            &[1, config.trained_tokens(), width],
        )?;
        let mut class = loader.read(&format!("{embeddings}.cls_token"), &[1, 1, width])?;
        for (number, position) in class.iter_mut().zip(&table) {
            *number += position;
        }
        let class = loader.ops.filled(1, width, "the encoder's positions", || {
            Ok::<_, TripoSrError>(class)
        })?;
        let positions =
            loader
                .ops
                .filled(patches * patches, width, "the encoder's positions", || {
                    Ok::<_, TripoSrError>(resized_positions(config, &table[width..], patches))
                })?;
        let projection = format!("{embeddings}.patch_embeddings.projection");
        let inputs = 3 * patch * patch;
        let shape = [width, inputs];
        let projection = Linear::load(&loader.ops, shape, true, loader.precision, || {
            let weights =
                loader.read(&format!("{projection}.weight"), &[width, 3, patch, patch])?;
            let bias = loader.read(&format!("{projection}.bias"), &[width])?;
            Ok::<_, TripoSrError>((weights, Some(bias)))
        })?;
        Ok(Self {
            config: config.clone(),
            patches,
            class,
            positions,
            projection,
            blocks: Blocks::load(config.layers, keep, |layer| {
                Block::load(config, layer, loader)
            })?,
            norm: loader.norm(&format!("{ROOT}.layernorm"), width, EPSILON)?,
        })
    }

    /// The tokens of an image: its class, then its patches row by row.
    pub(super) fn run(&self, image: &Raster, loader: &Loader<'_>) -> Result<Matrix, TripoSrError> {
        let ops = &loader.ops;
        let width = self.config.width;
        let mut tokens = self.embed(image, ops)?;
        let mut normalised = ops.matrix(tokens.rows(), width, "the encoder's tokens")?;
        let load = |layer| Block::load(&self.config, layer, loader);
        self.blocks.run(load, |block| {
            block.run(self.config.heads, &mut tokens, &mut normalised, ops)
        })?;
        ops.layer_norm(&tokens, &self.norm, &mut normalised)?;
        Ok(normalised)
    }

    fn embed(&self, image: &Raster, ops: &Ops<'_>) -> Result<Matrix, TripoSrError> {
        let (width, patch) = (self.config.width, self.config.patch);
        let count = self.patches * self.patches;
        let pixels = ops.filled(count, 3 * patch * patch, "the patches", || {
            Ok::<_, TripoSrError>(patches(image, patch))
        })?;
        let mut embedded = ops.copy(&self.positions, "the encoder's tokens")?;
        ops.linear(&pixels, &self.projection, Epilogue::Add, &mut embedded)?;
        let mut tokens = ops.matrix(count + 1, width, "the encoder's tokens")?;
        ops.copy_rows(&self.class, &mut tokens, 0)?;
        ops.copy_rows(&embedded, &mut tokens, 1)?;
        Ok(tokens)
    }
}

/// The position table for another number of patches along a side.
fn resized_positions(config: &EncoderConfig, table: &[f32], patches: usize) -> Vec<f32> {
    let trained = config.trained_side / config.patch;
    let table = Raster {
        width: trained,
        height: trained,
        channels: config.width,
        values: table.to_vec(),
    };
    bicubic(&table, patches, patches, None).values
}

/// Each patch's pixels as a row: all rows of red, then of green and of blue, as the encoder was trained.
fn patches(image: &Raster, patch: usize) -> Vec<f32> {
    let count = image.width / patch;
    let mut rows = Vec::with_capacity(3 * image.width * image.height);
    for place in 0..count * (image.height / patch) {
        let (top, left) = (place / count * patch, place % count * patch);
        for channel in 0..3 {
            for row in top..top + patch {
                for column in left..left + patch {
                    let value = image.values[(row * image.width + column) * 3 + channel];
                    rows.push((value - MEAN[channel]) / DEVIATION[channel]);
                }
            }
        }
    }
    rows
}

impl Block {
    fn load(
        config: &EncoderConfig,
        layer: usize,
        loader: &Loader<'_>,
    ) -> Result<Self, TripoSrError> {
        let (width, hidden) = (config.width, config.hidden);
        let block = format!("{ROOT}.encoder.layer.{layer}");
        let projections =
            ["query", "key", "value"].map(|part| format!("{block}.attention.attention.{part}"));
        let attended = format!("{block}.attention.output.dense");
        Ok(Self {
            before: loader.norm(&format!("{block}.layernorm_before"), width, EPSILON)?,
            projections: loader.side_by_side(&projections, [width, width], true)?,
            attended: loader.linear(&attended, [width, width], true)?,
            after: loader.norm(&format!("{block}.layernorm_after"), width, EPSILON)?,
            widen: loader.linear(
                &format!("{block}.intermediate.dense"),
                [hidden, width],
                true,
            )?,
            narrow: loader.linear(&format!("{block}.output.dense"), [width, hidden], true)?,
        })
    }

    fn run(
        &self,
        heads: usize,
        tokens: &mut Matrix,
        normalised: &mut Matrix,
        ops: &Ops<'_>,
    ) -> Result<(), TripoSrError> {
        let (count, width) = (tokens.rows(), tokens.columns());
        ops.layer_norm(tokens, &self.before, normalised)?;
        let mut projected = ops.matrix(count, 3 * width, "queries, keys and values")?;
        ops.linear(
            normalised,
            &self.projections,
            Epilogue::Store,
            &mut projected,
        )?;
        let part = |part: usize| View {
            matrix: &projected,
            first: part * width,
        };
        let heads = Heads {
            count: heads,
            width: width / heads,
        };
        ops.attention(part(0), part(1), part(2), heads, normalised)?;
        drop(projected);
        ops.linear(normalised, &self.attended, Epilogue::Add, tokens)?;
        ops.layer_norm(tokens, &self.after, normalised)?;
        let mut hidden = ops.matrix(count, self.widen.outputs(), "a perceptron's numbers")?;
        ops.linear(normalised, &self.widen, Epilogue::Gelu, &mut hidden)?;
        ops.linear(&hidden, &self.narrow, Epilogue::Add, tokens)?;
        Ok(())
    }
}
