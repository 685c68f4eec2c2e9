//! The image encoder of many models: DINOv2's vision transformer, whose every token goes on.
//!
//! Oquab et al. 2023, "DINOv2: Learning Robust Visual Features without Supervision".
//!
//! It knows nothing of what its tokens are for, and sees images that were prepared for it; see [`pixels`].

mod config;
pub mod pixels;

use std::sync::Arc;

pub use config::EncoderConfig;

use super::error::ModelError;
use super::layout::Half;
use super::loader::{Blocks, Loader, ReadTensors, activations};
use crate::compute::ops::resize::{Raster, bicubic};
use crate::compute::ops::{Epilogue, Heads, Linear, Norm, View};
use crate::compute::{Context, Matrix, Ops, Precision};

/// An encoder for images of one size.
pub(super) struct Encoder {
    config: EncoderConfig,
    /// The names of its tensors begin with this.
    root: String,
    /// Patches along a side of the image.
    patches: usize,
    /// The class token, with its position added.
    class: Vec<f32>,
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
    /// What the widened numbers are multiplied with, where the perceptron is a gated one.
    gate: Option<Linear>,
    narrow: Linear,
}

impl Encoder {
    /// Loads the encoder for images of `image_side` pixels, a multiple of the patch's side.
    pub(super) fn load(
        config: &EncoderConfig,
        root: &str,
        image_side: usize,
        loader: &Loader<'_>,
        keep: bool,
    ) -> Result<Self, ModelError> {
        let (width, patch) = (config.width, config.patch);
        let patches = image_side / patch;
        let embeddings = format!("{root}embeddings");
        let table = loader.read(
            &format!("{embeddings}.position_embeddings"),
            &[1, config.trained_patches().pow(2) + 1, width],
        )?;
        let mut class = loader.read(&format!("{embeddings}.cls_token"), &[1, 1, width])?;
        for (number, position) in class.iter_mut().zip(&table) {
            *number += position;
        }
        let positions =
            loader
                .ops
                .filled(patches * patches, width, "the encoder's positions", || {
                    Ok::<_, ModelError>(resized_positions(config, &table[width..], patches))
                })?;
        let projection = format!("{embeddings}.patch_embeddings.projection");
        let inputs = 3 * patch * patch;
        let projection =
            Linear::load(&loader.ops, [width, inputs], true, loader.precision, || {
                let weights =
                    loader.read(&format!("{projection}.weight"), &[width, 3, patch, patch])?;
                let bias = loader.read(&format!("{projection}.bias"), &[width])?;
                Ok::<_, ModelError>((weights, Some(bias)))
            })?;
        Ok(Self {
            config: config.clone(),
            root: root.to_owned(),
            patches,
            class,
            positions,
            projection,
            blocks: Blocks::load(config.layers, keep, |layer| {
                Block::load(config, root, layer, loader)
            })?,
            norm: loader.norm(&format!("{root}layernorm"), width, config.epsilon)?,
        })
    }

    /// The tokens of a prepared image, its pixels scaled to mean and deviation: its class, then its patches
    /// row by row.
    pub(super) fn run(&self, image: &Raster, loader: &Loader<'_>) -> Result<Matrix, ModelError> {
        let ops = &loader.ops;
        let mut tokens = self.embed(image, ops)?;
        let mut normalised =
            ops.undefined(tokens.rows(), self.config.width, "the encoder's tokens")?;
        let load = |layer| Block::load(&self.config, &self.root, layer, loader);
        self.blocks.run(load, |block| {
            block.run(self.config.heads, &mut tokens, &mut normalised, ops)
        })?;
        ops.layer_norm(&tokens, &self.norm, &mut normalised)?;
        Ok(normalised)
    }

    fn embed(&self, image: &Raster, ops: &Ops<'_>) -> Result<Matrix, ModelError> {
        let (width, patch) = (self.config.width, self.config.patch);
        let count = self.patches * self.patches;
        let rows = ops.filled(count, 3 * patch * patch, "the patches", || {
            Ok::<_, ModelError>(patches(image, patch))
        })?;
        let mut embedded = ops.copy(&self.positions, "the encoder's tokens")?;
        ops.linear(&rows, &self.projection, Epilogue::Add, &mut embedded)?;
        drop(rows);
        let class = ops.filled(1, width, "the encoder's tokens", || {
            Ok::<_, ModelError>(self.class.clone())
        })?;
        let mut tokens = ops.undefined(count + 1, width, "the encoder's tokens")?;
        ops.copy_rows(&class, &mut tokens, 0)?;
        ops.copy_rows(&embedded, &mut tokens, 1)?;
        Ok(tokens)
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
    Encoder::load(config, "", image.width, &loader, false)?.run(image, &loader)
}

/// The position table for another number of patches along a side.
fn resized_positions(config: &EncoderConfig, table: &[f32], patches: usize) -> Vec<f32> {
    let trained = config.trained_patches();
    if patches == trained {
        return table.to_vec();
    }
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
                    rows.push(image.values[(row * image.width + column) * 3 + channel]);
                }
            }
        }
    }
    rows
}

impl Block {
    fn load(
        config: &EncoderConfig,
        root: &str,
        layer: usize,
        loader: &Loader<'_>,
    ) -> Result<Self, ModelError> {
        let (width, hidden) = (config.width, config.hidden);
        let block = format!("{root}encoder.layer.{layer}");
        let projections =
            ["query", "key", "value"].map(|part| format!("{block}.attention.attention.{part}"));
        let norm =
            |place: usize| loader.norm(&format!("{block}.norm{place}"), width, config.epsilon);
        let scales = |place: usize| format!("{block}.layer_scale{place}.lambda1");
        let (gate, widen, narrow) = if config.gated {
            let name = format!("{block}.mlp.weights_in");
            let half = |half| loader.half_of_outputs(&name, [2 * hidden, width], half);
            (Some(half(Half::First)?), half(Half::Second)?, "weights_out")
        } else {
            let widen = loader.linear(&format!("{block}.mlp.fc1"), [hidden, width], true)?;
            (None, widen, "fc2")
        };
        Ok(Self {
            before: norm(1)?,
            projections: loader.side_by_side(&projections, [width, width], true)?,
            attended: loader.scaled(
                &format!("{block}.attention.output.dense"),
                [width, width],
                &scales(1),
            )?,
            after: norm(2)?,
            widen,
            gate,
            narrow: loader.scaled(
                &format!("{block}.mlp.{narrow}"),
                [width, hidden],
                &scales(2),
            )?,
        })
    }

    fn run(
        &self,
        heads: usize,
        tokens: &mut Matrix,
        normalised: &mut Matrix,
        ops: &Ops<'_>,
    ) -> Result<(), ModelError> {
        let (count, width) = (tokens.rows(), tokens.columns());
        ops.layer_norm(tokens, &self.before, normalised)?;
        let mut projected = ops.undefined(count, 3 * width, "queries, keys and values")?;
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
        let mut hidden = ops.undefined(count, self.narrow.inputs(), "a perceptron's numbers")?;
        match &self.gate {
            None => ops.linear(normalised, &self.widen, Epilogue::Gelu, &mut hidden)?,
            Some(gate) => {
                let mut gates = ops.undefined(count, gate.outputs(), "a perceptron's numbers")?;
                ops.linear(normalised, gate, Epilogue::Silu, &mut gates)?;
                ops.linear(normalised, &self.widen, Epilogue::Store, &mut hidden)?;
                ops.multiply_by(&gates, &mut hidden)?;
            }
        }
        ops.linear(&hidden, &self.narrow, Epilogue::Add, tokens)?;
        Ok(())
    }
}
