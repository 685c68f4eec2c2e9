//! The sizes of the model, and the tensors that follow from them.

use std::fmt;

use super::super::shapes::{NamedShape, Tensors};

/// The sizes of every part.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The side of the image that the encoder sees, in pixels.
    pub image_side: usize,
    /// The image encoder.
    pub encoder: EncoderConfig,
    /// The transformer that turns learned tokens into planes.
    pub backbone: BackboneConfig,
    /// The side of a plane of tokens.
    pub plane_side: usize,
    /// The channels of an upsampled plane, which is twice as wide.
    pub plane_channels: usize,
    /// The neurons of a hidden layer of the decoder.
    pub decoder_width: usize,
    /// The hidden layers of the decoder.
    pub decoder_layers: usize,
    /// The field lies within this distance of the origin along every axis.
    pub radius: f32,
    /// Added to the decoder's density before its exponential.
    pub density_bias: f32,
}

/// The sizes of the image encoder, a vision transformer.
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderConfig {
    /// Numbers a token.
    pub width: usize,
    /// Attention heads.
    pub heads: usize,
    /// Blocks.
    pub layers: usize,
    /// Numbers a token within a block's perceptron.
    pub hidden: usize,
    /// The side of a patch in pixels.
    pub patch: usize,
    /// The side of the image that the position table was made for, in pixels.
    pub trained_side: usize,
}

/// The sizes of the transformer.
#[derive(Debug, Clone, PartialEq)]
pub struct BackboneConfig {
    /// Numbers a token.
    pub width: usize,
    /// Attention heads.
    pub heads: usize,
    /// Numbers a head.
    pub head_width: usize,
    /// Blocks.
    pub layers: usize,
}

/// A published `config.yaml` of another model, or of sizes that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the configuration is not one of TripoSR: {what}; choose the folder of the published model"
)]
pub struct ConfigError {
    /// What is wrong.
    pub what: String,
}

impl Config {
    /// The published model.
    pub fn published() -> Self {
        Self {
            image_side: 512,
            encoder: EncoderConfig {
                width: 768,
                heads: 12,
                layers: 12,
                hidden: 3072,
                patch: 16,
                trained_side: 224,
            },
            backbone: BackboneConfig {
                width: 1024,
                heads: 16,
                head_width: 64,
                layers: 16,
            },
            plane_side: 32,
            plane_channels: 40,
            decoder_width: 64,
            decoder_layers: 9,
            radius: 0.87,
            density_bias: -1.0,
        }
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tokens = 3 * self.plane_side * self.plane_side;
        write!(f, "{tokens} tokens of {}", self.backbone.width)
    }
}

impl Config {
    /// Every tensor that the model reads, in the order in which it does.
    pub fn tensors(&self) -> Vec<NamedShape> {
        let mut tensors = Tensors::default();
        self.encoder.list(&mut tensors);
        let width = self.backbone.width;
        let side = self.plane_side;
        tensors.add("tokenizer.embeddings", &[3, width, side, side]);
        self.backbone.list(self.encoder.width, &mut tensors);
        let channels = self.plane_channels;
        tensors.add("post_processor.upsample.weight", &[width, channels, 2, 2]);
        tensors.add("post_processor.upsample.bias", &[channels]);
        let mut inputs = 3 * channels;
        for layer in 0..=self.decoder_layers {
            let outputs = match layer {
                last if last == self.decoder_layers => DECODED,
                _ => self.decoder_width,
            };
            tensors.linear(&format!("decoder.layers.{}", 2 * layer), outputs, inputs);
            inputs = outputs;
        }
        tensors.0
    }

    /// Whether a tensor that the published file holds is one that the model has no use for.
    pub fn is_unused(name: &str) -> bool {
        name.starts_with("image_tokenizer.model.pooler.")
    }
}

impl Config {
    /// The multiplications and additions of a whole job: one pass, and the field at every level up to this one.
    pub fn operations(&self, level: u32) -> f64 {
        let encoder = &self.encoder;
        let (width, hidden) = (encoder.width as f64, encoder.hidden as f64);
        let seen = (self.image_side / encoder.patch).pow(2) as f64 + 1.0;
        let block = seen * (8.0 * width * width + 4.0 * width * hidden) + 4.0 * seen * seen * width;
        let image = encoder.layers as f64 * block;
        let inner = (self.backbone.heads * self.backbone.head_width) as f64;
        let tokens = 3.0 * self.plane_side.pow(2) as f64;
        // Its own tokens, those of the image, and a gated perceptron four times as wide.
        let own = 8.0 * tokens * inner * inner + 4.0 * tokens * tokens * inner;
        let other = 4.0 * (tokens * inner + seen * width) * inner + 4.0 * tokens * seen * inner;
        let perceptron = 24.0 * tokens * inner * inner;
        let pass = self.backbone.layers as f64 * (own + other + perceptron);
        let neurons = self.decoder_width as f64;
        let query = 2.0 * neurons * (3.0 * self.plane_channels as f64 + DECODED as f64)
            + 2.0 * neurons * neurons * (self.decoder_layers as f64 - 1.0);
        let levels = std::iter::successors(Some(32), |level| Some(level * 2));
        let levels = levels.take_while(|&coarser| coarser < level).chain([level]);
        let points: f64 = levels.map(|level| (f64::from(level) + 1.0).powi(3)).sum();
        image + pass + points * query
    }
}

/// What the decoder gives at a point: a density and a colour.
pub(super) const DECODED: usize = 4;

impl EncoderConfig {
    /// The tokens that the position table was made for: the patches and the class token.
    pub fn trained_tokens(&self) -> usize {
        (self.trained_side / self.patch).pow(2) + 1
    }

    fn list(&self, tensors: &mut Tensors) {
        let root = "image_tokenizer.model";
        let (width, hidden, patch) = (self.width, self.hidden, self.patch);
        tensors.add(&format!("{root}.embeddings.cls_token"), &[1, 1, width]);
        tensors.add(
            &format!("{root}.embeddings.position_embeddings"),
            &[1, self.trained_tokens(), width],
        );
        let projection = format!("{root}.embeddings.patch_embeddings.projection");
        tensors.add(&format!("{projection}.weight"), &[width, 3, patch, patch]);
        tensors.add(&format!("{projection}.bias"), &[width]);
        for layer in 0..self.layers {
            let block = format!("{root}.encoder.layer.{layer}");
            for part in ["query", "key", "value"] {
                tensors.linear(&format!("{block}.attention.attention.{part}"), width, width);
            }
            tensors.linear(&format!("{block}.attention.output.dense"), width, width);
            tensors.linear(&format!("{block}.intermediate.dense"), hidden, width);
            tensors.linear(&format!("{block}.output.dense"), width, hidden);
            tensors.norm(&format!("{block}.layernorm_before"), width);
            tensors.norm(&format!("{block}.layernorm_after"), width);
        }
        tensors.norm(&format!("{root}.layernorm"), width);
    }
}

impl BackboneConfig {
    fn list(&self, context: usize, tensors: &mut Tensors) {
        let (width, inner) = (self.width, self.heads * self.head_width);
        tensors.norm("backbone.norm", width);
        tensors.linear("backbone.proj_in", inner, width);
        for layer in 0..self.layers {
            let block = format!("backbone.transformer_blocks.{layer}");
            for (attention, keys) in [("attn1", inner), ("attn2", context)] {
                let name = format!("{block}.{attention}");
                tensors.add(&format!("{name}.to_q.weight"), &[inner, inner]);
                tensors.add(&format!("{name}.to_k.weight"), &[inner, keys]);
                tensors.add(&format!("{name}.to_v.weight"), &[inner, keys]);
                tensors.linear(&format!("{name}.to_out.0"), inner, inner);
            }
            for norm in ["norm1", "norm2", "norm3"] {
                tensors.norm(&format!("{block}.{norm}"), inner);
            }
            tensors.linear(&format!("{block}.ff.net.0.proj"), 8 * inner, inner);
            tensors.linear(&format!("{block}.ff.net.2"), inner, 4 * inner);
        }
        tensors.linear("backbone.proj_out", width, inner);
    }
}
