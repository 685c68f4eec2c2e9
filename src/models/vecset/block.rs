//! A transformer's block: a long skip, attention of the tokens to one another, attention to other tokens, a
//! perceptron. Each block of the family has some of these.

use super::super::error::ModelError;
use super::super::layout::Half;
use super::super::loader::Loader;
use super::super::shapes::Tensors;
use crate::compute::ops::{Epilogue, HeadNorm, Heads, Linear, Norm, View};
use crate::compute::{Matrix, Ops};

const HEAD_EPSILON: f32 = 1e-6;

/// What a block is called and what it has.
#[derive(Debug, Clone)]
pub(in super::super) struct BlockNames {
    /// The names of its tensors begin with this and a point.
    pub(in super::super) name: String,
    pub(in super::super) heads: Heads,
    /// Whether it takes the tokens of an earlier block in.
    pub(in super::super) skip: bool,
    /// Whether its tokens look at one another.
    pub(in super::super) own: bool,
    /// The numbers of each token that its tokens look at.
    pub(in super::super) context: Option<usize>,
    /// Whether queries and keys are normalised head by head.
    pub(in super::super) head_norms: bool,
    /// Whether the tokens that it looks at are normalised first.
    pub(in super::super) context_norm: bool,
    pub(in super::super) epsilon: f32,
}

/// A block's weights, without those that make keys and values of other tokens: these are used once.
pub(super) struct Block {
    heads: Heads,
    skip: Option<Skip>,
    own: Option<OwnAttention>,
    context: Option<ContextAttention>,
    norm: Norm,
    widen: Linear,
    narrow: Linear,
}

struct Skip {
    from_earlier: Linear,
    from_tokens: Linear,
    norm: Norm,
}

struct OwnAttention {
    norm: Norm,
    projections: Linear,
    head_norms: Option<[HeadNorm; 2]>,
    attended: Linear,
}

struct ContextAttention {
    norm: Norm,
    queries: Linear,
    head_norm: Option<HeadNorm>,
    attended: Linear,
}

/// The keys and values of other tokens for one block, side by side.
#[derive(Debug)]
pub(super) struct KeysAndValues(Matrix);

/// What a block's tokens look at.
#[derive(Debug, Clone, Copy)]
pub(super) enum Seen<'a> {
    /// Tokens of zeros, whose keys and values are zeros too: every token then gets the bias of the layer after
    /// the attention alone.
    Nothing,
    Tokens(&'a KeysAndValues),
}

impl BlockNames {
    pub(in super::super) fn list(&self, tensors: &mut Tensors) {
        let (name, width) = (&self.name, self.heads.columns());
        if self.skip {
            tensors.linear(&format!("{name}.skip_linear"), width, 2 * width);
            tensors.norm(&format!("{name}.skip_norm"), width);
        }
        let attentions = [
            (self.own.then_some(width), "attn1", "norm1"),
            (self.context, "attn2", "norm2"),
        ];
        for (keys, attention, norm) in attentions {
            let Some(keys) = keys else { continue };
            let attention = format!("{name}.{attention}");
            tensors.norm(&format!("{name}.{norm}"), width);
            tensors.add(&format!("{attention}.to_q.weight"), &[width, width]);
            tensors.add(&format!("{attention}.to_k.weight"), &[width, keys]);
            tensors.add(&format!("{attention}.to_v.weight"), &[width, keys]);
            tensors.linear(&format!("{attention}.to_out.0"), width, width);
            if self.head_norms {
                tensors.add(&format!("{attention}.norm_q.weight"), &[self.heads.width]);
                tensors.add(&format!("{attention}.norm_k.weight"), &[self.heads.width]);
            }
        }
        if let (Some(context), true) = (self.context, self.context_norm) {
            tensors.norm(&format!("{name}.attn2.norm_cross"), context);
        }
        tensors.norm(&format!("{name}.norm3"), width);
        tensors.linear(&format!("{name}.ff.net.0.proj"), 4 * width, width);
        tensors.linear(&format!("{name}.ff.net.2"), width, 4 * width);
    }

    fn head_norm(
        &self,
        attention: &str,
        part: &str,
        loader: &Loader<'_>,
    ) -> Result<Option<HeadNorm>, ModelError> {
        let name = format!("{}.{attention}.norm_{part}", self.name);
        self.head_norms
            .then(|| loader.head_norm(&name, self.heads.width, HEAD_EPSILON))
            .transpose()
    }

    /// The keys and values of tokens for this block. The weights that make them are read and given up.
    pub(super) fn keys_and_values(
        &self,
        tokens: &Matrix,
        loader: &Loader<'_>,
    ) -> Result<KeysAndValues, ModelError> {
        let (name, ops) = (&self.name, &loader.ops);
        let (width, inputs) = (self.heads.columns(), tokens.columns());
        let layers = ["to_k", "to_v"].map(|part| format!("{name}.attn2.{part}"));
        let layer = loader.interleaved(&layers, self.heads, inputs)?;
        let mut seen = ops.undefined(tokens.rows(), 2 * width, "keys and values")?;
        if self.context_norm {
            let norm = loader.norm(&format!("{name}.attn2.norm_cross"), inputs, self.epsilon)?;
            let mut normalised = ops.undefined(tokens.rows(), inputs, "the tokens")?;
            ops.layer_norm(tokens, &norm, &mut normalised)?;
            ops.linear(&normalised, &layer, Epilogue::Store, &mut seen)?;
        } else {
            ops.linear(tokens, &layer, Epilogue::Store, &mut seen)?;
        }
        if let Some(norm) = self.head_norm("attn2", "k", loader)? {
            ops.head_norm(&mut seen, 0, self.heads, &norm)?;
        }
        Ok(KeysAndValues(seen))
    }
}

impl Block {
    pub(super) fn load(names: &BlockNames, loader: &Loader<'_>) -> Result<Self, ModelError> {
        let (name, width) = (&names.name, names.heads.columns());
        let norm = |part: &str| loader.norm(&format!("{name}.{part}"), width, names.epsilon);
        let square = [width, width];
        let skip =
            |half| loader.half_of_inputs(&format!("{name}.skip_linear"), [width, 2 * width], half);
        let skip = if names.skip {
            Some(Skip {
                from_earlier: skip(Half::First)?,
                from_tokens: skip(Half::Second)?,
                norm: norm("skip_norm")?,
            })
        } else {
            None
        };
        let own = if names.own {
            let layers = ["to_q", "to_k", "to_v"].map(|part| format!("{name}.attn1.{part}"));
            let queries = names.head_norm("attn1", "q", loader)?;
            let keys = names.head_norm("attn1", "k", loader)?;
            Some(OwnAttention {
                norm: norm("norm1")?,
                projections: loader.interleaved(&layers, names.heads, width)?,
                head_norms: queries.zip(keys).map(|(queries, keys)| [queries, keys]),
                attended: loader.linear(&format!("{name}.attn1.to_out.0"), square, true)?,
            })
        } else {
            None
        };
        let context = if names.context.is_some() {
            let attended = format!("{name}.attn2.to_out.0");
            Some(ContextAttention {
                norm: norm("norm2")?,
                queries: loader.linear(&format!("{name}.attn2.to_q"), square, false)?,
                head_norm: names.head_norm("attn2", "q", loader)?,
                attended: loader.linear(&attended, square, true)?,
            })
        } else {
            None
        };
        Ok(Self {
            heads: names.heads,
            skip,
            own,
            context,
            norm: norm("norm3")?,
            widen: loader.linear(&format!("{name}.ff.net.0.proj"), [4 * width, width], true)?,
            narrow: loader.linear(&format!("{name}.ff.net.2"), [width, 4 * width], true)?,
        })
    }

    /// Changes the tokens; `scratch` is of their size.
    pub(super) fn run(
        &self,
        tokens: &mut Matrix,
        scratch: &mut Matrix,
        earlier: Option<&Matrix>,
        seen: Seen<'_>,
        ops: &Ops<'_>,
    ) -> Result<(), ModelError> {
        if let (Some(skip), Some(earlier)) = (&self.skip, earlier) {
            ops.linear(earlier, &skip.from_earlier, Epilogue::Store, scratch)?;
            ops.linear(tokens, &skip.from_tokens, Epilogue::Add, scratch)?;
            ops.layer_norm(scratch, &skip.norm, tokens)?;
        }
        if let Some(own) = &self.own {
            own.run(self.heads, tokens, scratch, ops)?;
        }
        if let Some(context) = &self.context {
            context.run(self.heads, seen, tokens, scratch, ops)?;
        }
        ops.layer_norm(tokens, &self.norm, scratch)?;
        let mut hidden = ops.undefined(
            tokens.rows(),
            self.widen.outputs(),
            "a perceptron's numbers",
        )?;
        ops.linear(scratch, &self.widen, Epilogue::Gelu, &mut hidden)?;
        Ok(ops.linear(&hidden, &self.narrow, Epilogue::Add, tokens)?)
    }
}

impl OwnAttention {
    fn run(
        &self,
        heads: Heads,
        tokens: &mut Matrix,
        scratch: &mut Matrix,
        ops: &Ops<'_>,
    ) -> Result<(), ModelError> {
        let (count, width) = (tokens.rows(), tokens.columns());
        ops.layer_norm(tokens, &self.norm, scratch)?;
        let mut projected = ops.undefined(count, 3 * width, "queries, keys and values")?;
        ops.linear(scratch, &self.projections, Epilogue::Store, &mut projected)?;
        if let Some([queries, keys]) = &self.head_norms {
            ops.head_norm(&mut projected, 0, heads, queries)?;
            ops.head_norm(&mut projected, width, heads, keys)?;
        }
        let part = |part: usize| View {
            matrix: &projected,
            first: part * width,
        };
        ops.attention(part(0), part(1), part(2), heads, scratch)?;
        Ok(ops.linear(scratch, &self.attended, Epilogue::Add, tokens)?)
    }
}

impl ContextAttention {
    fn run(
        &self,
        heads: Heads,
        seen: Seen<'_>,
        tokens: &mut Matrix,
        scratch: &mut Matrix,
        ops: &Ops<'_>,
    ) -> Result<(), ModelError> {
        let Seen::Tokens(KeysAndValues(seen)) = seen else {
            return Ok(ops.add_bias(&self.attended, tokens)?);
        };
        let (count, width) = (tokens.rows(), tokens.columns());
        ops.layer_norm(tokens, &self.norm, scratch)?;
        let mut queries = ops.undefined(count, width, "queries, keys and values")?;
        ops.linear(scratch, &self.queries, Epilogue::Store, &mut queries)?;
        if let Some(norm) = &self.head_norm {
            ops.head_norm(&mut queries, 0, heads, norm)?;
        }
        let view = |matrix, first| View { matrix, first };
        ops.attention(
            view(&queries, 0),
            view(seen, 0),
            view(seen, width),
            heads,
            scratch,
        )?;
        Ok(ops.linear(scratch, &self.attended, Epilogue::Add, tokens)?)
    }
}
