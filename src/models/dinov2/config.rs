//! The sizes of the encoder, and the tensors that follow from them.

use super::super::json::{Sizes, SizesError};
use super::super::shapes::Tensors;

/// The sizes of a DINOv2 vision transformer.
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
    /// Whether the perceptron is gated (SwiGLU) or a plain one with GELU.
    pub gated: bool,
    /// The side of a patch in pixels.
    pub patch: usize,
    /// The side of the image that the position table was made for, in pixels.
    pub trained_side: usize,
    /// What keeps a deviation from 0.
    pub epsilon: f32,
}

impl EncoderConfig {
    /// ViT-L/14, as DINOv2 was published.
    pub fn large() -> Self {
        Self {
            width: 1024,
            heads: 16,
            layers: 24,
            hidden: 4096,
            gated: false,
            patch: 14,
            trained_side: 518,
            epsilon: 1e-6,
        }
    }

    /// Reads a published `config.json`.
    ///
    /// # Errors
    ///
    /// [`SizesError`] when a size is missing, is none, or does not go with the others.
    pub fn from_json(text: &str) -> Result<Self, SizesError> {
        let sizes = Sizes::read(text, "DINOv2")?;
        sizes.expect("hidden_act", &"gelu".into())?;
        sizes.expect("qkv_bias", &true.into())?;
        sizes.expect("num_channels", &3.into())?;
        let width = sizes.size("hidden_size")?;
        let inner = width * sizes.size("mlp_ratio")?;
        let gated = sizes.flag("use_swiglu_ffn");
        let config = Self {
            width,
            heads: sizes.size("num_attention_heads")?,
            layers: sizes.size("num_hidden_layers")?,
            // Of a gated perceptron two thirds, rounded up to whole eights.
            hidden: if gated {
                (inner * 2 / 3).next_multiple_of(8)
            } else {
                inner
            },
            gated,
            patch: sizes.size("patch_size")?,
            trained_side: sizes.size("image_size")?,
            epsilon: sizes.number("layer_norm_eps")?,
        };
        let sound = width.is_multiple_of(config.heads)
            && config.trained_side >= config.patch
            && config.epsilon > 0.0;
        if !sound {
            return Err(sizes.wrong(format!(
                "its sizes do not go together ({} heads of {width} columns, patches of {} for an image of {})",
                config.heads, config.patch, config.trained_side
            )));
        }
        Ok(config)
    }

    /// Patches along a side of the image that the position table was made for.
    pub fn trained_patches(&self) -> usize {
        self.trained_side / self.patch
    }

    /// The tensors whose names begin with `root`.
    pub(in super::super) fn list(&self, root: &str, tensors: &mut Tensors) {
        let (width, hidden, patch) = (self.width, self.hidden, self.patch);
        let embeddings = format!("{root}embeddings");
        tensors.add(&format!("{embeddings}.cls_token"), &[1, 1, width]);
        tensors.add(
            &format!("{embeddings}.position_embeddings"),
            &[1, self.trained_patches().pow(2) + 1, width],
        );
        let projection = format!("{embeddings}.patch_embeddings.projection");
        tensors.add(&format!("{projection}.weight"), &[width, 3, patch, patch]);
        tensors.add(&format!("{projection}.bias"), &[width]);
        for layer in 0..self.layers {
            let block = format!("{root}encoder.layer.{layer}");
            for part in ["query", "key", "value"] {
                tensors.linear(&format!("{block}.attention.attention.{part}"), width, width);
            }
            tensors.linear(&format!("{block}.attention.output.dense"), width, width);
            if self.gated {
                tensors.linear(&format!("{block}.mlp.weights_in"), 2 * hidden, width);
                tensors.linear(&format!("{block}.mlp.weights_out"), width, hidden);
            } else {
                tensors.linear(&format!("{block}.mlp.fc1"), hidden, width);
                tensors.linear(&format!("{block}.mlp.fc2"), width, hidden);
            }
            for place in [1, 2] {
                tensors.norm(&format!("{block}.norm{place}"), width);
                tensors.add(&format!("{block}.layer_scale{place}.lambda1"), &[width]);
            }
        }
        tensors.norm(&format!("{root}layernorm"), width);
    }
}
