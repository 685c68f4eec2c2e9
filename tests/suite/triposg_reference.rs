//! What TripoSG's published implementation computed: `tests/reference`, or a folder of the same layout named by
//! `ORFEAS_REFERENCE`. Both test programs read it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use orfeas::compute::ops::OpError;
use orfeas::compute::ops::resize::Raster;
use orfeas::compute::{Context, Matrix, Number, Ops, Precision};
use orfeas::models::triposg::{Config, Draw, Files, LatentField, Sampling, TripoSg, WEIGHTS};
use orfeas::models::weights::Joined;
use orfeas::vram::Residency;
use safetensors::{Dtype, SafeTensors};

/// How weights can be held.
pub(crate) const RESIDENCIES: [Residency; 3] =
    [Residency::Resident, Residency::Staged, Residency::Streamed];

/// The folder with the model and its cases.
pub(crate) fn folder() -> PathBuf {
    let folder = std::env::var_os("ORFEAS_REFERENCE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference"),
        PathBuf::from,
    );
    folder.join("triposg")
}

/// The published configurations of a folder.
pub(crate) fn config(folder: &Path) -> Config {
    let read = |path: &str| std::fs::read_to_string(folder.join(path)).unwrap();
    Config::from_json(&Files {
        encoder: &read("image_encoder_dinov2/config.json"),
        denoiser: &read("transformer/config.json"),
        decoder: &read("vae/config.json"),
        image: &read("feature_extractor_dinov2/preprocessor_config.json"),
        schedule: &read("scheduler/scheduler_config.json"),
    })
    .unwrap()
}

pub(crate) struct Reference {
    pub(crate) floats: HashMap<String, (Vec<usize>, Vec<f32>)>,
    pub(crate) bytes: HashMap<String, (Vec<usize>, Vec<u8>)>,
    /// With as many latents and as large an image as the cases have.
    pub(crate) config: Config,
    pub(crate) weights: Arc<Joined>,
    pub(crate) steps: u32,
    guidance: f32,
    grid: (f32, f32),
}

impl Reference {
    pub(crate) fn read() -> Self {
        let folder: PathBuf = folder();
        let file = std::fs::read(folder.join("cases.safetensors")).unwrap();
        let (mut floats, mut bytes) = (HashMap::new(), HashMap::new());
        for (name, tensor) in SafeTensors::deserialize(&file).unwrap().tensors() {
            let (shape, data) = (tensor.shape().to_vec(), tensor.data());
            let numbers: Vec<f32> = match tensor.dtype() {
                Dtype::U8 => {
                    bytes.insert(name, (shape, data.to_vec()));
                    continue;
                }
                Dtype::F16 => {
                    let (words, _) = data.as_chunks::<2>();
                    let words = words.iter().map(|word| half::f16::from_le_bytes(*word));
                    words.map(half::f16::to_f32).collect()
                }
                _ => {
                    let (words, _) = data.as_chunks::<4>();
                    words.iter().map(|word| f32::from_le_bytes(*word)).collect()
                }
            };
            floats.insert(name, (shape, numbers));
        }
        let text = std::fs::read_to_string(folder.join("config.json")).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let number = |value: &serde_json::Value| value.as_f64().unwrap() as f32;
        let mut config = config(&folder.join("repo"));
        config.latents = floats["noise"].0[0];
        config.image.side = floats["pixel_values"].0[1];
        Self {
            weights: Arc::new(Joined::open(&folder.join("repo"), &WEIGHTS).unwrap()),
            config,
            floats,
            bytes,
            steps: json["steps"].as_u64().unwrap() as u32,
            guidance: number(&json["guidance"]),
            grid: (number(&json["grid"]["lo"]), number(&json["grid"]["hi"])),
        }
    }

    pub(crate) fn floats(&self, name: &str) -> &[f32] {
        &self.floats[name].1
    }

    /// One of the matrices of a batch, or the only one, in 32 bits as latents are.
    pub(crate) fn matrix(&self, name: &str, place: usize, context: &Context) -> Matrix {
        self.matrix_in(name, place, &Ops::new(context, Number::F32))
    }

    /// The same in the format of these operators' results.
    pub(crate) fn matrix_in(&self, name: &str, place: usize, ops: &Ops<'_>) -> Matrix {
        let (shape, _) = &self.floats[name];
        let (rows, columns) = (shape[shape.len() - 2], shape[shape.len() - 1]);
        let values = || Ok::<_, OpError>(self.numbers(name, place).to_vec());
        ops.filled(rows, columns, "a case", values).unwrap()
    }

    /// The numbers of one of the matrices of a batch, or of the only one.
    pub(crate) fn numbers(&self, name: &str, place: usize) -> &[f32] {
        let (shape, values) = &self.floats[name];
        let count = shape[shape.len() - 2] * shape[shape.len() - 1];
        &values[place * count..][..count]
    }

    pub(crate) fn model(
        &self,
        precision: Precision,
        residency: Residency,
        context: &Context,
    ) -> TripoSg {
        let weights = Arc::clone(&self.weights);
        TripoSg::load(self.config.clone(), weights, precision, residency, context).unwrap()
    }

    /// The prepared image that the encoder saw, channels last.
    pub(crate) fn image(&self) -> Raster {
        let (shape, values) = &self.floats["pixel_values"];
        interleaved(values, shape[1], shape[2])
    }

    pub(crate) fn draw(&self) -> Draw {
        Draw {
            sampling: Sampling::new(self.steps, self.guidance).unwrap(),
            together: true,
            looks: true,
        }
    }

    /// The field of the last latents of the trajectory.
    pub(crate) fn field(&self, model: &TripoSg, context: &Context) -> LatentField {
        let last = self.floats["trajectory"].0[0] - 1;
        let latents = self.matrix("trajectory", last, context);
        model.field(&latents, context).unwrap()
    }

    /// The points of the grid: x slowest.
    pub(crate) fn grid(&self) -> Vec<[f32; 3]> {
        let side = (self.floats("grid_logits").len() as f64).cbrt().round() as usize;
        let (low, high) = self.grid;
        let at = |place: usize| low + (high - low) * place as f32 / (side - 1) as f32;
        let place = |place: usize| [place / (side * side), place / side % side, place % side];
        (0..side.pow(3)).map(|point| place(point).map(at)).collect()
    }
}

/// Channels last, from channels first.
pub(crate) fn interleaved(values: &[f32], height: usize, width: usize) -> Raster {
    let pixels = height * width;
    let at = |place: usize| values[place % 3 * pixels + place / 3];
    Raster {
        width,
        height,
        channels: 3,
        values: (0..3 * pixels).map(at).collect(),
    }
}

/// The values of a field at points.
pub(crate) fn values(field: &LatentField, points: &[[f32; 3]], context: &Context) -> Vec<f32> {
    let mut values = vec![0.0; points.len()];
    field.values(points, &mut values, context).unwrap();
    values
}
