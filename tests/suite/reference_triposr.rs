//! TripoSR against what its published implementation computed: `tests/reference`, or a folder of the same
//! layout named by `ORFEAS_REFERENCE`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use orfeas::compute::ops::resize::Raster;
use orfeas::compute::{Cancel, Context, Device, Ledger, Matrix, Precision};
use orfeas::field::Field;
use orfeas::models::triposr::{
    Config, EncoderConfig, Scene, TripoSr, TripoSrError, memory, prepare,
};
use orfeas::models::weights::Weights;
use orfeas::vram::Residency;
use safetensors::{Dtype, SafeTensors};

fn folder() -> PathBuf {
    let folder = std::env::var_os("ORFEAS_REFERENCE").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/reference"),
        PathBuf::from,
    );
    folder.join("triposr")
}

struct Reference {
    floats: HashMap<String, (Vec<usize>, Vec<f32>)>,
    bytes: HashMap<String, (Vec<usize>, Vec<u8>)>,
    config: Config,
    weights: Arc<Weights>,
}

impl Reference {
    fn read() -> Self {
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

    fn floats(&self, name: &str) -> &[f32] {
        &self.floats[name].1
    }

    fn model(&self, precision: Precision, residency: Residency, context: &Context) -> TripoSr {
        let weights = Arc::clone(&self.weights);
        TripoSr::load(self.config.clone(), weights, precision, residency, context).unwrap()
    }

    fn image(&self) -> Raster {
        let (shape, values) = &self.floats["cond_image"];
        Raster {
            width: shape[1],
            height: shape[0],
            channels: 3,
            values: values.clone(),
        }
    }

    /// The points of the cases in the field's frame.
    fn points(&self) -> Vec<[f32; 3]> {
        let (points, _) = self.floats("points").as_chunks::<3>();
        points.iter().map(|&[x, y, z]| [y, z, x]).collect()
    }

    /// The density before its exponential, as the field tells it at the points of the cases.
    fn log_densities(&self, precision: Precision, context: &Context) -> Vec<f32> {
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

fn context() -> Context {
    Context {
        device: Device::Cpu,
        ledger: Ledger::unlimited(),
        cancel: Cancel::default(),
    }
}

fn scene(model: &TripoSr, image: &Raster, context: &Context) -> Scene {
    let tokens = model.encode(image, context).unwrap();
    let planes = model.planes(&tokens, context).unwrap();
    // As a pass does: what is held beside the field counts.
    drop(tokens);
    let planes = model.upsample(&planes, context).unwrap();
    model.field(&planes, context).unwrap()
}

/// The distance from the reference, relative to its length.
fn distance(ours: &[f32], reference: &[f32]) -> f64 {
    assert_eq!(ours.len(), reference.len());
    let squares = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|x| x * x).sum::<f64>();
    let pairs = ours.iter().zip(reference);
    let apart = squares(&mut pairs.map(|(a, b)| f64::from(*a) - f64::from(*b)));
    (apart / squares(&mut reference.iter().map(|x| f64::from(*x)))).sqrt()
}

#[track_caller]
fn assert_near(what: &str, ours: &[f32], reference: &[f32], most: f64) {
    let distance = distance(ours, reference);
    println!("{what}: {distance:.2e}");
    assert!(
        distance <= most,
        "{what}: {distance:.2e} from the reference"
    );
}

/// One row a token, from all tokens' first channels first.
fn by_token(values: &[f32], channels: usize) -> Vec<f32> {
    let tokens = values.len() / channels;
    let at = |place: usize| values[place % channels * tokens + place / channels];
    (0..values.len()).map(at).collect()
}

fn checked_weights(reference: &Reference) {
    let tensors = reference.config.tensors();
    let expected = tensors
        .iter()
        .map(|(name, shape)| (name.as_str(), shape.as_slice()));
    reference
        .weights
        .check(expected, Config::is_unused)
        .unwrap();
}

#[test]
fn reference_triposr_tensors_are_those_of_the_file() {
    checked_weights(&Reference::read());
}

#[test]
fn reference_triposr_preprocessing() {
    let reference = Reference::read();
    let (shape, bytes) = &reference.bytes["pre_rgba"];
    let (pixels, _) = bytes.as_chunks::<4>();
    let image = prepare::Rgba {
        width: shape[1],
        pixels: pixels.to_vec(),
    };
    let on_grey = prepare::on_grey(&image).unwrap();
    let (shape, expected) = &reference.bytes["pre_recentred"];
    assert_eq!([on_grey.side, on_grey.side, 3], shape[..]);
    assert!(on_grey.pixels.as_flattened() == expected);
    let ours = prepare::conditioned(&on_grey, reference.config.image_side);
    let pairs = ours.values.iter().zip(reference.floats("pre_cond"));
    let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= 1e-6, "{worst:e}");
}

#[test]
fn reference_triposr_stages() {
    let reference = Reference::read();
    let context = context();
    for residency in [Residency::Resident, Residency::Streamed] {
        let model = reference.model(Precision::F32, residency, &context);
        let width = reference.config.backbone.width;
        let learned = by_token(reference.floats("triplane_tokens"), width);
        assert_near(
            "learned tokens",
            model.learned_tokens().values(),
            &learned,
            1e-5,
        );
        let tokens = model.encode(&reference.image(), &context).unwrap();
        let expected = reference.floats("image_tokens");
        assert_near("image tokens", tokens.values(), expected, 1e-5);
        let planes = model.planes(&tokens, &context).unwrap();
        let expected = by_token(reference.floats("backbone_out"), width);
        assert_near("backbone", planes.values(), &expected, 1e-5);
        let planes: Matrix = model.upsample(&planes, &context).unwrap();
        let code = reference.floats("scene_code");
        let channels = reference.config.plane_channels;
        let expected = code.chunks(code.len() / 3);
        let expected: Vec<f32> = expected
            .flat_map(|plane| by_token(plane, channels))
            .collect();
        assert_near("planes", planes.values(), &expected, 1e-5);
        let scene = model.field(&planes, &context).unwrap();
        assert_field(&reference, &scene);
    }
    assert_eq!(context.ledger.used_bytes(), 0);
}

fn assert_field(reference: &Reference, scene: &Scene) {
    let points = reference.points();
    let activated: Vec<f32> = scene
        .log_densities(&points)
        .iter()
        .map(|x| x.exp())
        .collect();
    assert_near(
        "density",
        &activated,
        reference.floats("points.density_act"),
        1e-5,
    );
    let colours = scene.colours(&points, &|| false).unwrap();
    assert_near(
        "colour",
        colours.as_flattened(),
        reference.floats("points.color"),
        1e-5,
    );
    // The grid: x slowest in the model's frame.
    let side = (reference.floats("grid_density").len() as f64)
        .cbrt()
        .round() as usize;
    let radius = reference.config.radius;
    let at = |place: usize| 2.0 * radius * place as f32 / (side - 1) as f32 - radius;
    let points: Vec<[f32; 3]> = (0..side.pow(3))
        .map(|place| [place / side % side, place % side, place / (side * side)].map(at))
        .collect();
    let grid: Vec<f32> = scene
        .log_densities(&points)
        .iter()
        .map(|x| x.exp())
        .collect();
    assert_near("grid", &grid, reference.floats("grid_density"), 1e-5);
}

#[test]
fn reference_triposr_sixteen_bit_activations_and_eight_bit_weights() {
    let reference = Reference::read();
    let context = context();
    let expected = reference.floats("points.density");
    let cases = [
        (Precision::F16, 3e-3),
        (Precision::Bf16, 2e-2),
        (Precision::Int8, 3e-2),
    ];
    for (precision, most) in cases {
        let ours = reference.log_densities(precision, &context);
        assert_near(precision.name(), &ours, expected, most);
    }
}

#[test]
fn the_gradient_is_that_of_the_field() {
    let reference = Reference::read();
    let context = context();
    let model = reference.model(Precision::F32, Residency::Resident, &context);
    let scene = scene(&model, &reference.image(), &context);
    let (mut apart, mut length) = (0.0, 0.0);
    for point in reference.points().iter().take(64) {
        let (value, gradient) = scene.value_and_gradient(*point).unwrap();
        for axis in 0..3 {
            let step = 1e-3;
            let (mut before, mut after) = (*point, *point);
            before[axis] -= step;
            after[axis] += step;
            let values = scene.log_densities(&[before, *point, after]);
            assert!((values[1] - 25.0_f32.ln() - value).abs() < 1e-4 * value.abs().max(1.0));
            let slope = (values[2] - values[0]) / (2.0 * step);
            apart += f64::from(slope - gradient[axis]).powi(2);
            length += f64::from(slope).powi(2);
        }
    }
    // Some steps cross a texel's centre, where the slope jumps.
    assert!((apart / length).sqrt() < 0.1, "{}", (apart / length).sqrt());
}

#[test]
fn the_memory_stated_is_the_memory_taken() {
    let reference = Reference::read();
    for precision in Precision::ALL {
        for residency in [Residency::Resident, Residency::Streamed] {
            let context = context();
            let stated = memory(&reference.config, precision, residency);
            let model = reference.model(precision, residency, &context);
            let scene = scene(&model, &reference.image(), &context);
            assert_eq!(
                context.ledger.peak_bytes(),
                stated.peak_bytes,
                "{precision} {residency}"
            );
            assert_eq!(
                context.ledger.used_bytes(),
                stated.kept_bytes,
                "{precision} {residency}"
            );
            drop(scene);
        }
    }
}

#[test]
fn every_refused_reservation_is_an_error_that_leaves_nothing() {
    let reference = Reference::read();
    let run = |context: &Context| -> Result<(), TripoSrError> {
        let weights = Arc::clone(&reference.weights);
        let config = reference.config.clone();
        let model = TripoSr::load(
            config,
            weights,
            Precision::Int8,
            Residency::Streamed,
            context,
        )?;
        let tokens = model.encode(&reference.image(), context)?;
        let planes = model.planes(&tokens, context)?;
        let planes = model.upsample(&planes, context)?;
        model.field(&planes, context).map(drop)
    };
    let whole = context();
    run(&whole).unwrap();
    for number in (0..whole.ledger.reservations()).step_by(7) {
        let context = context();
        context.ledger.refuse_reservation(number);
        assert!(matches!(run(&context), Err(TripoSrError::OutOfMemory(_))));
        assert_eq!(context.ledger.used_bytes(), 0);
    }
    let cancelled = context();
    cancelled.cancel.cancel();
    assert!(matches!(run(&cancelled), Err(TripoSrError::Cancelled)));
    assert_eq!(cancelled.ledger.used_bytes(), 0);
}
