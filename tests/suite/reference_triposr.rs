//! TripoSR against what its published implementation computed.

use std::sync::Arc;

use orfeas::compute::{Context, Matrix, Precision};
use orfeas::field::Field;
use orfeas::models::triposr::{Config, Scene, TripoSr, TripoSrError, memory, prepare};
use orfeas::vram::Residency;

use crate::triposr_reference::{Reference, assert_near, by_token, context, scene};

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
