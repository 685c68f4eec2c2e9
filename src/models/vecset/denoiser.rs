//! The denoiser: from latents and their share of noise to the velocity towards the data.

use super::super::error::ModelError;
use super::super::loader::{Blocks, Loader};
use super::super::shapes::Tensors;
use super::block::{Block, BlockNames, KeysAndValues, Seen};
use crate::compute::Matrix;
use crate::compute::ops::{Epilogue, Heads, Linear, Norm};

/// The longest period of the sinusoids that tell the time, the shortest being 2π.
const LONGEST_PERIOD: f64 = 10_000.0;

/// The sizes of the denoiser.
#[derive(Debug, Clone, PartialEq)]
pub struct DenoiserConfig {
    /// The numbers of a latent vector.
    pub channels: usize,
    /// Attention heads.
    pub heads: usize,
    /// Numbers a head.
    pub head_width: usize,
    /// Blocks; each of the second half takes in the tokens that its counterpart of the first half gave.
    pub layers: usize,
    /// The numbers of a token of the image.
    pub context: usize,
    /// What keeps a deviation from 0.
    pub epsilon: f32,
}

/// The keys and values of an image for every block.
#[derive(Debug)]
pub struct ImageContext(Vec<KeysAndValues>);

/// The denoiser's weights.
pub(in super::super) struct Denoiser {
    config: DenoiserConfig,
    /// The names of its tensors begin with this.
    root: String,
    project_in: Linear,
    time: [Linear; 2],
    blocks: Blocks<Block>,
    norm: Norm,
    project_out: Linear,
}

/// One look of the denoiser.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Look<'a> {
    pub(in super::super) latents: &'a Matrix,
    /// What it sees; `None` is the image of nothing.
    pub(in super::super) image: Option<&'a ImageContext>,
}

/// One way through the blocks.
struct Branch<'a> {
    image: Option<&'a ImageContext>,
    tokens: Matrix,
    /// What the blocks of the first half gave and their counterparts have not taken yet.
    earlier: Vec<Matrix>,
}

impl DenoiserConfig {
    /// Numbers a token.
    pub fn width(&self) -> usize {
        self.heads * self.head_width
    }

    fn block(&self, root: &str, layer: usize) -> BlockNames {
        BlockNames {
            name: format!("{root}blocks.{layer}"),
            heads: Heads {
                count: self.heads,
                width: self.head_width,
            },
            skip: layer > self.layers / 2,
            own: true,
            context: Some(self.context),
            head_norms: true,
            context_norm: false,
            epsilon: self.epsilon,
        }
    }

    pub(in super::super) fn list(&self, root: &str, tensors: &mut Tensors) {
        let width = self.width();
        tensors.linear(&format!("{root}proj_in"), width, self.channels);
        tensors.linear(&format!("{root}time_proj.linear_1"), 4 * width, width);
        tensors.linear(&format!("{root}time_proj.linear_2"), width, 4 * width);
        for layer in 0..self.layers {
            self.block(root, layer).list(tensors);
        }
        tensors.norm(&format!("{root}norm_out"), width);
        tensors.linear(&format!("{root}proj_out"), self.channels, width);
    }

    /// The keys and values of an image for every block. The weights that make them are read and given up.
    pub(in super::super) fn look_at(
        &self,
        root: &str,
        image: &Matrix,
        loader: &Loader<'_>,
    ) -> Result<ImageContext, ModelError> {
        (0..self.layers)
            .map(|layer| self.block(root, layer).keys_and_values(image, loader))
            .collect::<Result<_, _>>()
            .map(ImageContext)
    }
}

impl Denoiser {
    pub(in super::super) fn load(
        config: &DenoiserConfig,
        root: &str,
        loader: &Loader<'_>,
        keep: bool,
    ) -> Result<Self, ModelError> {
        let (width, channels) = (config.width(), config.channels);
        let linear = |name: &str, shape| loader.linear(&format!("{root}{name}"), shape, true);
        Ok(Self {
            config: config.clone(),
            root: root.to_owned(),
            project_in: linear("proj_in", [width, channels])?,
            time: [
                linear("time_proj.linear_1", [4 * width, width])?,
                linear("time_proj.linear_2", [width, 4 * width])?,
            ],
            blocks: Blocks::load(config.layers, keep, |layer| {
                Block::load(&config.block(root, layer), loader)
            })?,
            norm: loader.norm(&format!("{root}norm_out"), width, config.epsilon)?,
            project_out: linear("proj_out", [channels, width])?,
        })
    }

    /// The velocities of latents at a time, one for each look; all latents are in 32 bits and have as many rows.
    /// The looks go through the blocks together, so that each block's weights are fetched once, and none changes
    /// what another gives.
    pub(in super::super) fn velocities(
        &self,
        looks: &[Look<'_>],
        time: f32,
        loader: &Loader<'_>,
    ) -> Result<Vec<Matrix>, ModelError> {
        let ops = &loader.ops;
        let width = self.config.width();
        let rows = looks.first().map_or(0, |look| look.latents.rows());
        let count = rows + 1;
        let mut branches = Vec::with_capacity(looks.len());
        {
            let time = self.time_token(time, loader)?;
            let mut embedded = ops.undefined(rows, width, "the tokens")?;
            for look in looks {
                let latents = ops.converted(look.latents, "the latents")?;
                ops.linear(&latents, &self.project_in, Epilogue::Store, &mut embedded)?;
                drop(latents);
                let mut tokens = ops.undefined(count, width, "the tokens")?;
                ops.copy_rows(&time, &mut tokens, 0)?;
                ops.copy_rows(&embedded, &mut tokens, 1)?;
                branches.push(Branch {
                    image: look.image,
                    tokens,
                    earlier: Vec::new(),
                });
            }
        }
        let mut scratch = ops.undefined(count, width, "the tokens")?;
        let load = |layer| Block::load(&self.config.block(&self.root, layer), loader);
        let middle = self.config.layers / 2;
        let mut layer = 0;
        self.blocks.run(load, |block| {
            for branch in &mut branches {
                let earlier = if layer > middle {
                    branch.earlier.pop()
                } else {
                    None
                };
                let seen = branch
                    .image
                    .map_or(Seen::Nothing, |image| Seen::Tokens(&image.0[layer]));
                let tokens = &mut branch.tokens;
                block.run(tokens, &mut scratch, earlier.as_ref(), seen, ops)?;
                if layer < middle {
                    branch.earlier.push(ops.copy(tokens, "the tokens")?);
                }
            }
            layer += 1;
            Ok(())
        })?;
        let channels = self.config.channels;
        let mut velocities = Vec::with_capacity(branches.len());
        for branch in branches {
            ops.layer_norm(&branch.tokens, &self.norm, &mut scratch)?;
            let mut all = ops.undefined(count, channels, "the velocity")?;
            ops.linear(&scratch, &self.project_out, Epilogue::Store, &mut all)?;
            let mut velocity = ops.undefined(rows, channels, "the velocity")?;
            ops.take_rows(&all, 1, &mut velocity)?;
            velocities.push(velocity);
        }
        Ok(velocities)
    }

    /// The token that tells the time: all sines, then all cosines, through a perceptron.
    fn time_token(&self, time: f32, loader: &Loader<'_>) -> Result<Matrix, ModelError> {
        let (ops, width) = (&loader.ops, self.config.width());
        let sinusoids = ops.filled(1, width, "the time", || {
            Ok::<_, ModelError>(sinusoids(time, width))
        })?;
        let [widen, narrow] = &self.time;
        let mut hidden = ops.undefined(1, 4 * width, "the time")?;
        ops.linear(&sinusoids, widen, Epilogue::Gelu, &mut hidden)?;
        let mut token = ops.undefined(1, width, "the time")?;
        ops.linear(&hidden, narrow, Epilogue::Store, &mut token)?;
        Ok(token)
    }
}

/// The exponents and angles are rounded to 32 bits as the published model rounds them: at a time of 1000
/// it matters.
fn sinusoids(time: f32, width: usize) -> Vec<f32> {
    let half = width / 2;
    let angle = |place: usize| {
        let exponent = (-LONGEST_PERIOD.ln()) as f32 * place as f32 / half as f32;
        f64::from(time * f64::from(exponent).exp() as f32)
    };
    let sines = (0..half).map(|place| angle(place).sin() as f32);
    let cosines = (0..half).map(|place| angle(place).cos() as f32);
    sines.chain(cosines).collect()
}
