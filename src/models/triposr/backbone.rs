//! The transformer: learned tokens of three planes look at one another and at the image.

use super::loader::{Blocks, Loader};
use super::{BackboneConfig, TripoSrError};
use crate::compute::ops::{Epilogue, Heads, Linear, Norm, View};
use crate::compute::{Matrix, Ops};

const EPSILON: f32 = 1e-5;
const GROUP_EPSILON: f32 = 1e-6;
const GROUPS: usize = 32;

pub(super) struct Backbone {
    config: BackboneConfig,
    /// Numbers of a token of the image.
    context: usize,
    /// The learned tokens, one a row: plane, down, across.
    tokens: Matrix,
    norm: Norm,
    project_in: Linear,
    blocks: Blocks<Block>,
    project_out: Linear,
}

struct Block {
    norms: [Norm; 3],
    own: Linear,
    own_attended: Linear,
    queries: Linear,
    image: Linear,
    image_attended: Linear,
    widen: Linear,
    narrow: Linear,
}

impl Backbone {
    pub(super) fn load(
        config: &BackboneConfig,
        context: usize,
        plane_side: usize,
        loader: &Loader<'_>,
        keep: bool,
    ) -> Result<Self, TripoSrError> {
        let (width, inner) = (config.width, config.heads * config.head_width);
        let texels = plane_side * plane_side;
        let tokens = loader
            .ops
            .filled(3 * texels, width, "the learned tokens", || {
                let shape = [3, width, plane_side, plane_side];
                let published = loader.read("tokenizer.embeddings", &shape)?;
                let mut tokens = vec![0.0; published.len()];
                for (place, number) in published.into_iter().enumerate() {
                    let (plane, channel, texel) = (
                        place / (width * texels),
                        place / texels % width,
                        place % texels,
                    );
                    tokens[(plane * texels + texel) * width + channel] = number;
                }
                Ok::<_, TripoSrError>(tokens)
            })?;
        Ok(Self {
            config: config.clone(),
            context,
            tokens,
            norm: loader.norm("backbone.norm", width, GROUP_EPSILON)?,
            project_in: loader.linear("backbone.proj_in", [inner, width], true)?,
            blocks: Blocks::load(config.layers, keep, |layer| {
                Block::load(config, context, layer, loader)
            })?,
            project_out: loader.linear("backbone.proj_out", [width, inner], true)?,
        })
    }

    /// The learned tokens, one a row.
    pub(super) fn tokens(&self) -> &Matrix {
        &self.tokens
    }

    /// The tokens for an image, one a row: plane, down, across.
    pub(super) fn run(&self, image: &Matrix, loader: &Loader<'_>) -> Result<Matrix, TripoSrError> {
        let ops = &loader.ops;
        let heads = Heads {
            count: self.config.heads,
            width: self.config.head_width,
        };
        let count = self.tokens.rows();
        let mut tokens = ops.matrix(count, heads.columns(), "the tokens")?;
        let mut scratch = ops.matrix(count, heads.columns(), "the tokens")?;
        {
            let mut normalised = ops.matrix(count, self.config.width, "the tokens")?;
            ops.group_norm(&self.tokens, GROUPS, &self.norm, &mut normalised)?;
            ops.linear(&normalised, &self.project_in, Epilogue::Store, &mut tokens)?;
        }
        let load = |layer| Block::load(&self.config, self.context, layer, loader);
        self.blocks.run(load, |block| {
            block.attend_to_tokens(heads, &mut tokens, &mut scratch, ops)?;
            block.attend_to_image(image, heads, &mut tokens, &mut scratch, ops)?;
            block.think(&mut tokens, &mut scratch, ops)
        })?;
        drop(scratch);
        let mut out = ops.copy(&self.tokens, "the tokens")?;
        ops.linear(&tokens, &self.project_out, Epilogue::Add, &mut out)?;
        Ok(out)
    }
}

impl Block {
    fn load(
        config: &BackboneConfig,
        context: usize,
        layer: usize,
        loader: &Loader<'_>,
    ) -> Result<Self, TripoSrError> {
        let inner = config.heads * config.head_width;
        let block = format!("backbone.transformer_blocks.{layer}");
        let norm = |place: usize| loader.norm(&format!("{block}.norm{place}"), inner, EPSILON);
        let names = |attention: usize, parts: &[&str]| -> Vec<String> {
            let name = |part: &&str| format!("{block}.attn{attention}.{part}");
            parts.iter().map(name).collect()
        };
        let attended = |attention: usize| format!("{block}.attn{attention}.to_out.0");
        let square = [inner, inner];
        Ok(Self {
            norms: [norm(1)?, norm(2)?, norm(3)?],
            own: loader.side_by_side(&names(1, &["to_q", "to_k", "to_v"]), square, false)?,
            own_attended: loader.linear(&attended(1), square, true)?,
            queries: loader.side_by_side(&names(2, &["to_q"]), square, false)?,
            image: loader.side_by_side(&names(2, &["to_k", "to_v"]), [inner, context], false)?,
            image_attended: loader.linear(&attended(2), square, true)?,
            widen: loader.linear(&format!("{block}.ff.net.0.proj"), [8 * inner, inner], true)?,
            narrow: loader.linear(&format!("{block}.ff.net.2"), [inner, 4 * inner], true)?,
        })
    }

    fn attend_to_tokens(
        &self,
        heads: Heads,
        tokens: &mut Matrix,
        scratch: &mut Matrix,
        ops: &Ops<'_>,
    ) -> Result<(), TripoSrError> {
        let (count, width) = (tokens.rows(), tokens.columns());
        ops.layer_norm(tokens, &self.norms[0], scratch)?;
        let mut projected = ops.matrix(count, 3 * width, "queries, keys and values")?;
        ops.linear(scratch, &self.own, Epilogue::Store, &mut projected)?;
        let part = |part: usize| View {
            matrix: &projected,
            first: part * width,
        };
        ops.attention(part(0), part(1), part(2), heads, scratch)?;
        Ok(ops.linear(scratch, &self.own_attended, Epilogue::Add, tokens)?)
    }

    fn attend_to_image(
        &self,
        image: &Matrix,
        heads: Heads,
        tokens: &mut Matrix,
        scratch: &mut Matrix,
        ops: &Ops<'_>,
    ) -> Result<(), TripoSrError> {
        let (count, width) = (tokens.rows(), tokens.columns());
        ops.layer_norm(tokens, &self.norms[1], scratch)?;
        let mut queries = ops.matrix(count, width, "queries, keys and values")?;
        ops.linear(scratch, &self.queries, Epilogue::Store, &mut queries)?;
        let mut seen = ops.matrix(image.rows(), 2 * width, "queries, keys and values")?;
        ops.linear(image, &self.image, Epilogue::Store, &mut seen)?;
        let view = |matrix, first| View { matrix, first };
        ops.attention(
            view(&queries, 0),
            view(&seen, 0),
            view(&seen, width),
            heads,
            scratch,
        )?;
        Ok(ops.linear(scratch, &self.image_attended, Epilogue::Add, tokens)?)
    }

    /// The perceptron.
    fn think(
        &self,
        tokens: &mut Matrix,
        scratch: &mut Matrix,
        ops: &Ops<'_>,
    ) -> Result<(), TripoSrError> {
        let (count, width) = (tokens.rows(), tokens.columns());
        ops.layer_norm(tokens, &self.norms[2], scratch)?;
        let mut hidden = ops.matrix(count, 4 * width, "a perceptron's numbers")?;
        ops.linear(scratch, &self.widen, Epilogue::Geglu, &mut hidden)?;
        Ok(ops.linear(&hidden, &self.narrow, Epilogue::Add, tokens)?)
    }
}
