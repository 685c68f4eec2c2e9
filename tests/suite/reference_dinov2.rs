//! DINOv2's gated form against what its published implementation computed in small. The plain form is in
//! TripoSG's cases.

use std::path::Path;
use std::sync::Arc;

use orfeas::compute::ops::resize::{Raster, bilinear_antialiased};
use orfeas::compute::{Context, Precision};
use orfeas::models::dinov2::{EncoderConfig, encode};
use orfeas::models::weights::Weights;

use crate::triposr_reference::{assert_near, context};

#[test]
fn reference_dinov2_with_a_gated_perceptron() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/dinov2-gated");
    let text = std::fs::read_to_string(folder.join("config.json")).unwrap();
    let config = EncoderConfig::from_json(&text).unwrap();
    assert!(config.gated);
    assert_eq!(config.hidden, 64);
    let cases = Weights::open(&folder.join("cases.safetensors")).unwrap();
    let shape = cases.shape("cond_image").unwrap().to_vec();
    let image = cases.read_f32("cond_image", &shape).unwrap();
    let tokens = cases.shape("cond_tokens").unwrap().to_vec();
    let tokens = cases.read_f32("cond_tokens", &tokens).unwrap();
    // The model that these cases are of resizes to the encoder's size from -1..1, then scales.
    let pixels = shape[1] * shape[2];
    let image = Raster {
        width: shape[2],
        height: shape[1],
        channels: 3,
        values: (0..3 * pixels)
            .map(|place| 0.5 * (image[place % 3 * pixels + place / 3] + 1.0))
            .collect(),
    };
    let mut image = bilinear_antialiased(&image, config.trained_side, config.trained_side);
    let channels = [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)];
    for (value, (mean, deviation)) in image.values.iter_mut().zip(channels.iter().cycle()) {
        *value = (*value - mean) / deviation;
    }
    let weights = Weights::open(&folder.join("model.safetensors")).unwrap();
    let context: Context = context();
    let ours = encode(&config, Arc::new(weights), &image, Precision::F32, &context).unwrap();
    assert_near("tokens", ours.values(), &tokens, 2e-5);
}
