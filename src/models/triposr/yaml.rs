//! The published `config.yaml`: sections of names and values, two deep.

use std::collections::BTreeMap;

use super::config::{BackboneConfig, Config, ConfigError, EncoderConfig};

impl EncoderConfig {
    /// DINO's ViT-B/16, which the published configuration names and does not describe.
    pub fn published() -> Self {
        Config::published().encoder
    }
}

impl Config {
    /// Reads the published configuration; the encoder is known by its name only.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when a size is missing, is none, or does not go with the others.
    pub fn from_yaml(text: &str, encoder: EncoderConfig) -> Result<Self, ConfigError> {
        let values = Values::read(text);
        let config = Self {
            image_side: values.size("cond_image_size")?,
            encoder,
            backbone: BackboneConfig {
                width: values.size("backbone.in_channels")?,
                heads: values.size("backbone.num_attention_heads")?,
                head_width: values.size("backbone.attention_head_dim")?,
                layers: values.size("backbone.num_layers")?,
            },
            plane_side: values.size("tokenizer.plane_size")?,
            plane_channels: values.size("post_processor.out_channels")?,
            decoder_width: values.size("decoder.n_neurons")?,
            decoder_layers: values.size("decoder.n_hidden_layers")?,
            radius: values.number("renderer.radius")?,
            density_bias: values.number("renderer.density_bias")?,
        };
        let expected = [
            ("tokenizer.num_channels", config.backbone.width),
            ("post_processor.in_channels", config.backbone.width),
            ("backbone.cross_attention_dim", config.encoder.width),
            ("decoder.in_channels", 3 * config.plane_channels),
        ];
        for (name, expected) in expected {
            let found = values.size(name)?;
            if found != expected {
                return Err(wrong(format!("{name} is {found} and should be {expected}")));
            }
        }
        let words = [
            ("decoder.activation", "silu"),
            ("renderer.density_activation", "exp"),
            ("renderer.feature_reduction", "concat"),
        ];
        for (name, expected) in words {
            let found = values.word(name)?;
            if found != expected {
                return Err(wrong(format!(
                    "{name} is {found:?} and should be {expected:?}"
                )));
            }
        }
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let patch = self.encoder.patch;
        let sound = self.image_side.is_multiple_of(patch)
            && self.backbone.width.is_multiple_of(32)
            && self.encoder.width.is_multiple_of(self.encoder.heads)
            && self.encoder.trained_side >= patch
            && self.radius > 0.0
            && self.radius.is_finite()
            && self.density_bias.is_finite();
        if sound {
            return Ok(());
        }
        Err(wrong(format!(
            "its sizes do not go together (an image of {}, patches of {patch} for an encoder made for {} with \
             {} heads of {} columns, a width of {}, a radius of {})",
            self.image_side,
            self.encoder.trained_side,
            self.encoder.heads,
            self.encoder.width,
            self.backbone.width,
            self.radius
        )))
    }
}

fn wrong(what: String) -> ConfigError {
    ConfigError { what }
}

/// The greatest size that is believed.
const GREATEST_SIZE: usize = 1 << 14;

struct Values<'a>(BTreeMap<String, &'a str>);

impl<'a> Values<'a> {
    fn read(text: &'a str) -> Self {
        let mut values = BTreeMap::new();
        let mut section = "";
        for line in text.lines() {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            let indented = name.starts_with(' ');
            let (name, value) = (name.trim(), value.trim());
            if indented {
                values.insert(format!("{section}.{name}"), value);
            } else {
                section = name;
                values.insert(name.to_owned(), value);
            }
        }
        Self(values)
    }

    fn word(&self, name: &str) -> Result<&'a str, ConfigError> {
        let value = self.0.get(name).copied();
        value.ok_or_else(|| wrong(format!("{name} is missing")))
    }

    fn size(&self, name: &str) -> Result<usize, ConfigError> {
        let value = self.word(name)?;
        match value.parse() {
            Ok(size) if (1..=GREATEST_SIZE).contains(&size) => Ok(size),
            _ => Err(wrong(format!("{name} is {value:?}, which is no size"))),
        }
    }

    fn number(&self, name: &str) -> Result<f32, ConfigError> {
        let value = self.word(name)?;
        value
            .parse()
            .map_err(|_no_number| wrong(format!("{name} is {value:?}, which is no number")))
    }
}
