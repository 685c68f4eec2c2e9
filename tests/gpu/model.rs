//! TripoSR on the device, against what its published implementation computed and against the memory that
//! is stated for it.

use std::sync::Arc;

use orfeas::compute::{Context, Gpu, Precision};
use orfeas::models::triposr::{CHUNKS, Scene, TripoSr, memory_on_device};
use orfeas::vram::Residency;

use crate::device::gpu;
use crate::operators::contexts;
use crate::triposr_reference::{Reference, assert_near, by_token, scene};

pub(crate) const TESTS: &[crate::Test] = &[
    ("reference_triposr_stages_on_the_device", stages),
    ("reference_triposr_in_every_precision", every_precision),
    (
        "triposr_takes_the_memory_that_is_stated",
        takes_what_is_stated,
    ),
];

/// What the device can compute in.
pub(crate) fn precisions(gpu: &Gpu) -> Vec<Precision> {
    let mut precisions = Precision::ALL.to_vec();
    precisions.retain(|&one| one != Precision::Bf16 || gpu.compute_capability() >= (8, 0));
    precisions
}

fn stages() {
    let reference = Reference::read();
    let gpu = gpu();
    let [context, _] = contexts(&gpu);
    for residency in [Residency::Resident, Residency::Streamed] {
        let model = reference.model(Precision::F32, residency, &context);
        let width = reference.config.backbone.width;
        let tokens = model.encode(&reference.image(), &context).unwrap();
        let expected = reference.floats("image_tokens");
        assert_near("image tokens", &tokens.to_host().unwrap(), expected, 1e-5);
        let planes = model.planes(&tokens, &context).unwrap();
        let expected = by_token(reference.floats("backbone_out"), width);
        assert_near("backbone", &planes.to_host().unwrap(), &expected, 1e-5);
        let planes = model.upsample(&planes, &context).unwrap();
        let code = reference.floats("scene_code");
        let expected: Vec<f32> = code
            .chunks(code.len() / 3)
            .flat_map(|plane| by_token(plane, reference.config.plane_channels))
            .collect();
        assert_near("planes", &planes.to_host().unwrap(), &expected, 1e-5);
        assert_field(&reference, &model.field(&planes, &context).unwrap());
    }
    assert_eq!(context.ledger.used_bytes(), 0);
    assert_eq!(gpu.ledger().used_bytes(), 0);
}

fn assert_field(reference: &Reference, scene: &Scene) {
    let points = reference.points();
    let densities: Vec<f32> = scene
        .log_densities(&points)
        .iter()
        .map(|x| x.exp())
        .collect();
    let expected = reference.floats("points.density_act");
    assert_near("density", &densities, expected, 1e-5);
    let colours = scene.colours(&points, &|| false).unwrap();
    let expected = reference.floats("points.color");
    assert_near("colour", colours.as_flattened(), expected, 1e-5);
    scene.failure().unwrap();
}

fn every_precision() {
    let reference = Reference::read();
    let gpu = gpu();
    let [context, _] = contexts(&gpu);
    let expected = reference.floats("points.density");
    for precision in precisions(&gpu) {
        let ours = reference.log_densities(precision, &context);
        let most = match precision {
            Precision::F32 => 1e-5,
            Precision::F16 => 3e-3,
            Precision::Bf16 => 2e-2,
            Precision::Int8 => 3e-2,
        };
        assert_near(precision.name(), &ours, expected, most);
    }
}

/// The model, its field and what they take of the device: the peak, and what stays.
fn measured(
    reference: &Reference,
    precision: Precision,
    residency: Residency,
    chunk: u32,
    context: &Context,
) -> (TripoSr, Scene) {
    let model = reference
        .model(precision, residency, context)
        .with_chunk(chunk);
    let scene = scene_of(reference, &model, context);
    (model, scene)
}

fn scene_of(reference: &Reference, model: &TripoSr, context: &Context) -> Scene {
    scene(model, &reference.image(), context)
}

fn takes_what_is_stated() {
    let reference = Reference::read();
    let gpu = gpu();
    for precision in precisions(&gpu) {
        // The check's own memory is not the model's.
        let [context, _] = contexts(&gpu);
        drop(reference.model(precision, Residency::Resident, &context));
        for residency in [Residency::Resident, Residency::Streamed] {
            for chunk in CHUNKS {
                let [context, _] = contexts(&gpu);
                gpu.ledger().reset_peak();
                let kept = measured(&reference, precision, residency, chunk, &context);
                let stated = memory_on_device(&reference.config, precision, residency, chunk);
                for (ledger, stated) in [
                    (gpu.ledger(), stated.device),
                    (&context.ledger, stated.host),
                ] {
                    let taken = (ledger.peak_bytes(), ledger.used_bytes());
                    let stated = (stated.peak_bytes, stated.kept_bytes);
                    assert_eq!(taken, stated, "{precision} {residency} {chunk}");
                }
                drop(kept);
                assert_eq!(gpu.ledger().used_bytes(), 0);
            }
        }
    }
    assert_eq!(Arc::strong_count(&gpu), 1);
}
