//! What TripoSR's published implementation computed: `tests/reference`, or a folder of the same layout
//! named by `ORFEAS_REFERENCE`. Both test programs read it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use orfeas::compute::ops::resize::Raster;
use orfeas::compute::{Cancel, Context, Ledger, Precision};
use orfeas::models::triposr::{Config, EncoderConfig, Scene, TripoSr};
use orfeas::models::weights::Weights;
use orfeas::vram::Residency;
use safetensors::{Dtype, SafeTensors};

/// The folder with the model and its cases.
pub(crate) fn folder() -> PathBuf {
    let folder = std::env::var_os("ORFEAS_REFERENCE").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/reference"),
        PathBuf::from,
    );
    folder.join("triposr")
}

/// The model, and what it gave.
pub(crate) struct Reference {
    pub(crate) floats: HashMap<String, (Vec<usize>, Vec<f32>)>,
    pub(crate) bytes: HashMap<String, (Vec<usize>, Vec<u8>)>,
    pub(crate) config: Config,
    pub(crate) weights: Arc<Weights>,
}

impl Reference {
    pub(crate) fn read() -> Self {
        let folder = folder();
        let file = std::fs::read(folder.join("cases.safetensors")).unwrap();
        let (mut floats, mut bytes) = (HashMap::new(), HashMap::new());
        for (name, tensor) in SafeTensors::deserialize(&file).unwrap().tensors() {
            let shape = tensor.shape().to_vec();
            let data = tensor.data();
            if tensor.dtype() == Dtype::U8 {
                bytes.insert(name, (shape, data.to_vec()));
            } else {
                let (words, _) = data.as_chunks::<4>();
                let numbers = words.iter().map(|word| f32::from_le_bytes(*word));
                floats.insert(name, (shape, numbers.collect()));
            }
        }
        let text = std::fs::read_to_string(folder.join("config.json")).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let size = |name: &str| json["vit"][name].as_u64().unwrap() as usize;
        let encoder = EncoderConfig {
            width: size("hidden_size"),
            heads: size("num_attention_heads"),
            layers: size("num_hidden_layers"),
            hidden: size("intermediate_size"),
            patch: size("patch_size"),
            trained_side: size("image_size"),
        };
        let yaml = std::fs::read_to_string(folder.join("repo/config.yaml")).unwrap();
        Self {
            floats,
            bytes,
            config: Config::from_yaml(&yaml, encoder).unwrap(),
            weights: Arc::new(Weights::open(&folder.join("repo/model.ckpt")).unwrap()),
        }
    }

    pub(crate) fn floats(&self, name: &str) -> &[f32] {
        &self.floats[name].1
    }

    pub(crate) fn model(
        &self,
        precision: Precision,
        residency: Residency,
        context: &Context,
    ) -> TripoSr {
        let weights = Arc::clone(&self.weights);
        TripoSr::load(self.config.clone(), weights, precision, residency, context).unwrap()
    }

    pub(crate) fn image(&self) -> Raster {
        let (shape, values) = &self.floats["cond_image"];
        Raster {
            width: shape[1],
            height: shape[0],
            channels: 3,
            values: values.clone(),
        }
    }

    /// The points of the cases in the field's frame.
    pub(crate) fn points(&self) -> Vec<[f32; 3]> {
        let (points, _) = self.floats("points").as_chunks::<3>();
        points.iter().map(|&[x, y, z]| [y, z, x]).collect()
    }

    /// The density before its exponential, as the field tells it at the points of the cases.
    pub(crate) fn log_densities(&self, precision: Precision, context: &Context) -> Vec<f32> {
        let model = self.model(precision, Residency::Resident, context);
        let scene = scene(&model, &self.image(), context);
        let densities = scene.log_densities(&self.points());
        let bias = self.config.density_bias;
        densities
            .into_iter()
            .map(|density| density - bias)
            .collect()
    }
}

/// A context on the processor.
pub(crate) fn context() -> Context {
    Context {
        gpu: None,
        ledger: Ledger::unlimited(),
        cancel: Cancel::default(),
    }
}

/// The field of a conditioned image, stage by stage.
pub(crate) fn scene(model: &TripoSr, image: &Raster, context: &Context) -> Scene {
    let tokens = model.encode(image, context).unwrap();
    let planes = model.planes(&tokens, context).unwrap();
    drop(tokens);
    let planes = model.upsample(&planes, context).unwrap();
    model.field(&planes, context).unwrap()
}

/// The distance from the reference, relative to its length.
pub(crate) fn distance(ours: &[f32], reference: &[f32]) -> f64 {
    assert_eq!(ours.len(), reference.len());
    let squares = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|x| x * x).sum::<f64>();
    let pairs = ours.iter().zip(reference);
    let apart = squares(&mut pairs.map(|(a, b)| f64::from(*a) - f64::from(*b)));
    (apart / squares(&mut reference.iter().map(|x| f64::from(*x)))).sqrt()
}

#[track_caller]
pub(crate) fn assert_near(what: &str, ours: &[f32], reference: &[f32], most: f64) {
    let distance = distance(ours, reference);
    println!("{what}: {distance:.2e}");
    assert!(
        distance <= most,
        "{what}: {distance:.2e} from the reference"
    );
}

/// One row a token, from all tokens' first channels first.
pub(crate) fn by_token(values: &[f32], channels: usize) -> Vec<f32> {
    let tokens = values.len() / channels;
    let at = |place: usize| values[place % channels * tokens + place / channels];
    (0..values.len()).map(at).collect()
}
