//! The decoder: latents become keys and values once, and a point becomes a value by looking at them.

use std::sync::Arc;

use super::super::error::ModelError;
use super::super::loader::{Blocks, Loader, activations};
use super::super::shapes::Tensors;
use super::block::{Block, BlockNames, KeysAndValues, Seen};
use crate::compute::ops::fourier::PointsOnDevice;
use crate::compute::ops::{Epilogue, Heads, Linear, Norm, fourier_columns};
use crate::compute::{Context, Matrix, Ops, Precision};

/// Points that go through the last block together on the processor.
const CHUNK: usize = 1 << 11;
/// The same on a device, which has more to do at once: four thousand numbers and more each.
pub(super) const CHUNK_ON_DEVICE: usize = 1 << 13;

/// The sizes of the decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct DecoderConfig {
    /// The numbers of a latent vector.
    pub channels: usize,
    /// Attention heads.
    pub heads: usize,
    /// Numbers a head.
    pub head_width: usize,
    /// Blocks before the one that points look through.
    pub layers: usize,
    /// Frequencies that a point's coordinates become.
    pub frequencies: usize,
    /// What keeps a deviation from 0.
    pub epsilon: f32,
    /// What a point's number is multiplied with, so that the inside is positive.
    pub sign: f32,
}

/// The decoder's weights.
pub(in super::super) struct Decoder {
    config: DecoderConfig,
    /// The names of its tensors begin with this.
    root: String,
    project_in: Linear,
    blocks: Blocks<Block>,
    queries: Arc<Queries>,
}

/// What points go through.
struct Queries {
    frequencies: usize,
    sign: f32,
    precision: Precision,
    project_in: Linear,
    block: Block,
    norm: Norm,
    project_out: Linear,
}

/// The shape that latents hold: a value at any point, positive inside.
pub struct LatentField {
    queries: Arc<Queries>,
    seen: KeysAndValues,
}

impl DecoderConfig {
    /// Numbers a token.
    pub fn width(&self) -> usize {
        self.heads * self.head_width
    }

    fn block(&self, root: &str, layer: usize) -> BlockNames {
        let last = layer == self.layers;
        BlockNames {
            name: format!("{root}decoder.blocks.{layer}"),
            heads: Heads {
                count: self.heads,
                width: self.head_width,
            },
            skip: false,
            own: !last,
            context: last.then_some(self.width()),
            head_norms: false,
            context_norm: true,
            epsilon: self.epsilon,
        }
    }

    pub(in super::super) fn list(&self, root: &str, tensors: &mut Tensors) {
        let width = self.width();
        tensors.linear(&format!("{root}post_quant"), width, self.channels);
        for layer in 0..=self.layers {
            self.block(root, layer).list(tensors);
        }
        let columns = fourier_columns(self.frequencies);
        tensors.linear(&format!("{root}decoder.proj_query"), width, columns);
        tensors.norm(&format!("{root}decoder.norm_out"), width);
        tensors.linear(&format!("{root}decoder.proj_out"), 1, width);
    }
}

impl Decoder {
    pub(in super::super) fn load(
        config: &DecoderConfig,
        root: &str,
        loader: &Loader<'_>,
        keep: bool,
    ) -> Result<Self, ModelError> {
        let width = config.width();
        let columns = fourier_columns(config.frequencies);
        let linear = |name: &str, shape| loader.linear(&format!("{root}{name}"), shape, true);
        let load = |layer| Block::load(&config.block(root, layer), loader);
        Ok(Self {
            project_in: linear("post_quant", [width, config.channels])?,
            blocks: Blocks::load(config.layers, keep, load)?,
            queries: Arc::new(Queries {
                frequencies: config.frequencies,
                sign: config.sign,
                precision: loader.precision,
                project_in: linear("decoder.proj_query", [width, columns])?,
                block: load(config.layers)?,
                norm: loader.norm(&format!("{root}decoder.norm_out"), width, config.epsilon)?,
                project_out: linear("decoder.proj_out", [1, width])?,
            }),
            config: config.clone(),
            root: root.to_owned(),
        })
    }

    /// The shape that latents hold, which are in 32 bits.
    pub(in super::super) fn field(
        &self,
        latents: &Matrix,
        loader: &Loader<'_>,
    ) -> Result<LatentField, ModelError> {
        let (ops, width) = (&loader.ops, self.config.width());
        let mut tokens = ops.undefined(latents.rows(), width, "the tokens")?;
        {
            let latents = ops.converted(latents, "the latents")?;
            ops.linear(&latents, &self.project_in, Epilogue::Store, &mut tokens)?;
        }
        let mut scratch = ops.undefined(latents.rows(), width, "the tokens")?;
        let load = |layer| Block::load(&self.config.block(&self.root, layer), loader);
        self.blocks.run(load, |block| {
            block.run(&mut tokens, &mut scratch, None, Seen::Nothing, ops)
        })?;
        drop(scratch);
        let last = self.config.block(&self.root, self.config.layers);
        Ok(LatentField {
            seen: last.keys_and_values(&tokens, loader)?,
            queries: Arc::clone(&self.queries),
        })
    }
}

/// Points wherever they are.
#[derive(Clone, Copy)]
enum Points<'a> {
    OnHost(&'a [[f32; 3]]),
    OnDevice(&'a PointsOnDevice),
}

/// How many points are evaluated together.
fn chunk(ops: &Ops<'_>) -> usize {
    if ops.is_on_device() {
        CHUNK_ON_DEVICE
    } else {
        CHUNK
    }
}

impl LatentField {
    /// The values at points, positive inside: points go to the device where there is one, values come back.
    ///
    /// # Errors
    ///
    /// [`ModelError::Cancelled`], [`ModelError::OutOfMemory`] and [`ModelError::Gpu`].
    ///
    /// # Panics
    ///
    /// When there are not as many values as points.
    pub fn values(
        &self,
        points: &[[f32; 3]],
        values: &mut [f32],
        context: &Context,
    ) -> Result<(), ModelError> {
        assert_eq!(points.len(), values.len(), "a value for each point");
        let ops = Ops::new(
            context,
            activations(self.queries.precision, context.device()),
        );
        let most = chunk(&ops);
        for (points, values) in points.chunks(most).zip(values.chunks_mut(most)) {
            let decoded = self.decoded(Points::OnHost(points), &ops)?;
            for (value, decoded) in values.iter_mut().zip(&*decoded.to_host()?) {
                *value = self.queries.sign * decoded;
            }
        }
        Ok(())
    }

    /// What a chunk of points takes, without the arithmetic.
    pub(in super::super) fn reserve_chunk(&self, ops: &Ops<'_>) -> Result<(), ModelError> {
        let points = vec![[0.0; 3]; chunk(ops)];
        self.decoded(Points::OnHost(&points), ops).map(drop)
    }

    /// What the decoder says at points that are on the device, a number each that stays there: times
    /// [`LatentField::sign`] it is positive inside.
    pub(super) fn decoded_on_device(
        &self,
        points: &PointsOnDevice,
        context: &Context,
    ) -> Result<Matrix, ModelError> {
        let precision = self.queries.precision;
        let ops = Ops::new(context, activations(precision, context.device()));
        self.decoded(Points::OnDevice(points), &ops)
    }

    /// What the decoder's numbers are multiplied with, so that the inside is positive.
    pub(super) fn sign(&self) -> f32 {
        self.queries.sign
    }

    fn decoded(&self, points: Points<'_>, ops: &Ops<'_>) -> Result<Matrix, ModelError> {
        let queries = &*self.queries;
        let width = queries.project_in.outputs();
        let count = match points {
            Points::OnHost(points) => points.len(),
            Points::OnDevice(points) => points.count(),
        };
        let mut tokens = ops.undefined(count, width, "the points")?;
        {
            let rows = match points {
                Points::OnHost(points) => ops.fourier(points, queries.frequencies)?,
                Points::OnDevice(points) => ops.fourier_on_device(points, queries.frequencies)?,
            };
            ops.linear(&rows, &queries.project_in, Epilogue::Store, &mut tokens)?;
        }
        let mut scratch = ops.undefined(count, width, "the points")?;
        let seen = Seen::Tokens(&self.seen);
        queries
            .block
            .run(&mut tokens, &mut scratch, None, seen, ops)?;
        ops.layer_norm(&tokens, &queries.norm, &mut scratch)?;
        let mut decoded = ops.undefined(count, 1, "the points")?;
        ops.linear(
            &scratch,
            &queries.project_out,
            Epilogue::Store,
            &mut decoded,
        )?;
        Ok(decoded)
    }
}
