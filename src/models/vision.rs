//! The vision transformer that encodes images, in the forms of DINO and of DINOv2; every token goes on.
//!
//! Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words"; Caron et al. 2021, "Emerging Properties in
//! Self-Supervised Vision Transformers"; Oquab et al. 2023, "DINOv2: Learning Robust Visual Features without
//! Supervision".
//!
//! It knows nothing of what its tokens are for, and sees images that were prepared for it.

use super::error::ModelError;
use super::layout::Half;
use super::loader::{Blocks, Loader};
use crate::compute::ops::resize::{Raster, bicubic};
use crate::compute::ops::{Epilogue, Heads, Linear, Norm, View};
use crate::compute::{Matrix, Ops};

/// The sizes of a vision transformer, and which one it is.
#[derive(Debug, Clone)]
pub(super) struct Form {
    /// Numbers a token.
    pub(super) width: usize,
    /// Attention heads.
    pub(super) heads: usize,
    /// Blocks.
    pub(super) layers: usize,
    /// Numbers a token within a block's perceptron.
    pub(super) hidden: usize,
    /// The side of a patch in pixels.
    pub(super) patch: usize,
    /// The side of the image that the position table was made for, in pixels.
    pub(super) trained_side: usize,
    /// What keeps a deviation from 0.
    pub(super) epsilon: f32,
    /// What its blocks have, and how their tensors are called.
    pub(super) family: Family,
}

/// What a block has besides norms, attention and a perceptron.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// Nothing: DINO.
    Dino,
    /// A scale for every number that is added to a token, and maybe a gated perceptron (SwiGLU) in place of one with
    /// GELU: DINOv2.
    DinoV2 {
        /// Whether the perceptron is gated.
        gated: bool,
    },
}

impl Form {
    /// Patches along a side of the image that the position table was made for.
    fn trained_patches(&self) -> usize {
        self.trained_side / self.patch
    }
}

/// An encoder for images of one size.
pub(super) struct Encoder {
    form: Form,
    /// The names of its tensors begin with this.
    root: String,
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
    /// What the widened numbers are multiplied with, where the perceptron is a gated one.
    gate: Option<Linear>,
    narrow: Linear,
}

impl Encoder {
    /// Loads the encoder for images of `image_side` pixels, a multiple of the patch's side.
    pub(super) fn load(
        form: &Form,
        root: &str,
        image_side: usize,
        loader: &Loader<'_>,
        keep: bool,
    ) -> Result<Self, ModelError> {
        let (width, patch) = (form.width, form.patch);
        let patches = image_side / patch;
        let embeddings = format!("{root}embeddings");
        let table = loader.read(
            &format!("{embeddings}.position_embeddings"),
            &[1, form.trained_patches().pow(2) + 1, width],
        )?;
        let mut class = loader.read(&format!("{embeddings}.cls_token"), &[1, 1, width])?;
        for (number, position) in class.iter_mut().zip(&table) {
            *number += position;
        }
        let class = loader.ops.filled(1, width, "the encoder's positions", || {
            Ok::<_, ModelError>(class)
        })?;
        let positions =
            loader
                .ops
                .filled(patches * patches, width, "the encoder's positions", || {
                    Ok::<_, ModelError>(resized_positions(form, &table[width..], patches))
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
            form: form.clone(),
            root: root.to_owned(),
            patches,
            class,
            positions,
            projection,
            blocks: Blocks::load(form.layers, keep, |layer| {
                Block::load(form, root, layer, loader)
            })?,
            norm: loader.norm(&format!("{root}layernorm"), width, form.epsilon)?,
        })
    }

    /// The tokens of a prepared image, its pixels scaled to mean and deviation: its class, then its patches
    /// row by row.
    pub(super) fn run(&self, image: &Raster, loader: &Loader<'_>) -> Result<Matrix, ModelError> {
        let ops = &loader.ops;
        let mut tokens = self.embed(image, ops)?;
        let mut normalised =
            ops.undefined(tokens.rows(), self.form.width, "the encoder's tokens")?;
        let load = |layer| Block::load(&self.form, &self.root, layer, loader);
        self.blocks.run(load, |block| {
            block.run(self.form.heads, &mut tokens, &mut normalised, ops)
        })?;
        ops.layer_norm(&tokens, &self.norm, &mut normalised)?;
        Ok(normalised)
    }

    fn embed(&self, image: &Raster, ops: &Ops<'_>) -> Result<Matrix, ModelError> {
        let (width, patch) = (self.form.width, self.form.patch);
        let count = self.patches * self.patches;
        let rows = ops.filled(count, 3 * patch * patch, "the patches", || {
            Ok::<_, ModelError>(patches(image, patch))
        })?;
        let mut embedded = ops.copy(&self.positions, "the encoder's tokens")?;
        ops.linear(&rows, &self.projection, Epilogue::Add, &mut embedded)?;
        drop(rows);
        let mut tokens = ops.undefined(count + 1, width, "the encoder's tokens")?;
        ops.copy_rows(&self.class, &mut tokens, 0)?;
        ops.copy_rows(&embedded, &mut tokens, 1)?;
        Ok(tokens)
    }
}

/// The position table for another number of patches along a side.
fn resized_positions(form: &Form, table: &[f32], patches: usize) -> Vec<f32> {
    let trained = form.trained_patches();
    if patches == trained {
        return table.to_vec();
    }
    let table = Raster {
        width: trained,
        height: trained,
        channels: form.width,
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
        form: &Form,
        root: &str,
        layer: usize,
        loader: &Loader<'_>,
    ) -> Result<Self, ModelError> {
        let (width, hidden) = (form.width, form.hidden);
        let block = format!("{root}encoder.layer.{layer}");
        let norm = |name: &str| loader.norm(&format!("{block}.{name}"), width, form.epsilon);
        let linear = |name: &str, [outputs, inputs]: [usize; 2]| {
            loader.linear(&format!("{block}.{name}"), [outputs, inputs], true)
        };
        let scaled = |name: &str, [outputs, inputs]: [usize; 2], place: usize| {
            let scales = format!("{block}.layer_scale{place}.lambda1");
            loader.scaled(&format!("{block}.{name}"), [outputs, inputs], &scales)
        };
        let projections =
            ["query", "key", "value"].map(|part| format!("{block}.attention.attention.{part}"));
        let projections = loader.side_by_side(&projections, [width, width], true)?;
        let attended = "attention.output.dense";
        let (square, wider, narrower) = ([width, width], [hidden, width], [width, hidden]);
        let Family::DinoV2 { gated } = form.family else {
            return Ok(Self {
                before: norm("layernorm_before")?,
                projections,
                attended: linear(attended, square)?,
                after: norm("layernorm_after")?,
                widen: linear("intermediate.dense", wider)?,
                gate: None,
                narrow: linear("output.dense", narrower)?,
            });
        };
        let (gate, widen, narrow) = if gated {
            let name = format!("{block}.mlp.weights_in");
            let half = |half| loader.half_of_outputs(&name, [2 * hidden, width], half);
            let (gate, widen) = (half(Half::First)?, half(Half::Second)?);
            (Some(gate), widen, "mlp.weights_out")
        } else {
            (None, linear("mlp.fc1", wider)?, "mlp.fc2")
        };
        Ok(Self {
            before: norm("norm1")?,
            projections,
            attended: scaled(attended, square, 1)?,
            after: norm("norm2")?,
            widen,
            gate,
            narrow: scaled(narrow, narrower, 2)?,
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
