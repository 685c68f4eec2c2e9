//! The image encoder, DINO's vision transformer, and what its images are brought to.

use super::loader::Loader;
use super::{EncoderConfig, TripoSrError};
use crate::compute::Matrix;
use crate::compute::ops::resize::Raster;
use crate::models::vision::{self, Family, Form};

const EPSILON: f32 = 1e-12;
/// ImageNet's mean and deviation, which the encoder was trained with.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];
const ROOT: &str = "image_tokenizer.model.";

pub(super) struct Encoder(vision::Encoder);

impl Encoder {
    pub(super) fn load(
        config: &EncoderConfig,
        image_side: usize,
        loader: &Loader<'_>,
        keep: bool,
    ) -> Result<Self, TripoSrError> {
        let form = Form {
            width: config.width,
            heads: config.heads,
            layers: config.layers,
            hidden: config.hidden,
            patch: config.patch,
            trained_side: config.trained_side,
            epsilon: EPSILON,
            family: Family::Dino,
        };
        vision::Encoder::load(&form, ROOT, image_side, loader, keep).map(Self)
    }

    /// The tokens of an image in `0..=1`: its class, then its patches row by row.
    pub(super) fn run(&self, image: &Raster, loader: &Loader<'_>) -> Result<Matrix, TripoSrError> {
        let mut image = image.clone();
        for pixel in image.values.chunks_exact_mut(3) {
            for (channel, value) in pixel.iter_mut().enumerate() {
                *value = (*value - MEAN[channel]) / DEVIATION[channel];
            }
        }
        self.0.run(&image, loader)
    }
}
