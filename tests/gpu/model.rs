//! TripoSR on the device, against what its published implementation computed and against the memory that
//! is stated for it.

use std::sync::Arc;

use orfeas::compute::ops::OpError;
use orfeas::compute::ops::isosurface::{Surface, extract_planes};
use orfeas::compute::{Cancel, Context, Gpu, Precision};
use orfeas::mesh::isosurface::{self, Survey};
use orfeas::models::triposr::{CHUNKS, Scene, TripoSr, memory_on_device};
use orfeas::vram::Residency;

use crate::device::gpu;
use crate::operators::contexts;
use crate::surfaces::{assembled, request};
use crate::triposr_reference::{Reference, assert_near, by_token, scene};

pub(crate) const TESTS: &[crate::Test] = &[
    ("reference_triposr_stages_on_the_device", stages),
    ("reference_triposr_in_every_precision", every_precision),
    (
        "triposr_takes_the_memory_that_is_stated",
        takes_what_is_stated,
    ),
    ("triposr_surface_is_the_processors", surface),
    (
        "triposr_surface_meets_every_failed_allocation",
        failed_surface,
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

/// A scene that has a surface, on the device.
fn scene_with_surface(context: &Context) -> Scene {
    let mut reference = Reference::read();
    reference.config.density_bias += 25.0_f32.ln();
    let model = reference.model(Precision::F32, Residency::Resident, context);
    scene_of(&reference, &model, context)
}

/// The surface of a scene by its device alone.
fn extract(
    gpu: &Arc<Gpu>,
    cancel: &Cancel,
    scene: &Scene,
    survey: &Survey,
) -> Result<Surface, OpError> {
    let cases = isosurface::packed_cases();
    let request = request(gpu, cancel, &cases, survey.lattice());
    let places = survey.places().iter().map(|&[x, y, z]| [x, y, z, 0]);
    extract_planes(&request, places.collect(), scene.planes())
}

fn surface() {
    let gpu = gpu();
    let [context, _] = contexts(&gpu);
    let scene = scene_with_surface(&context);
    let before = gpu.ledger().used_bytes();
    for level in [16, 48] {
        let never = || false;
        let survey = isosurface::survey(&scene, level, &never).unwrap();
        let expected = isosurface::extract(&scene, &survey, &never).unwrap();
        let found = extract(&gpu, &Cancel::default(), &scene, &survey).unwrap();
        let found = assembled(found).unwrap();
        assert_eq!(found.positions.len(), expected.positions.len());
        assert_eq!(found.triangles.len(), expected.triangles.len());
        assert!(found.positions.len() > 300, "there is next to no surface");
        // Some end their steps on the other side of a threshold, and are split the other way.
        let cell = survey.lattice().step;
        let is_off = |a: &[f32; 3], b: &[f32; 3], most: f32| {
            // A NaN is not near.
            !(0..3).all(|axis| (a[axis] - b[axis]).abs() <= most)
        };
        let off = |found: &[[f32; 3]], expected: &[[f32; 3]], most: f32| {
            let pairs = found.iter().zip(expected);
            pairs.filter(|(a, b)| is_off(a, b, most)).count()
        };
        let few = found.positions.len() / 200;
        let moved = off(&found.positions, &expected.positions, 1e-3 * cell);
        let turned = off(&found.normals, &expected.normals, 1e-3);
        let quads = found.triangles.chunks(2).zip(expected.triangles.chunks(2));
        let split = quads.filter(|(a, b)| a != b).count();
        println!(
            "level {level}: {moved} moved, {turned} turned, {split} split of {}",
            found.positions.len()
        );
        assert!(moved <= few && turned <= few && split <= few);
    }
    scene.failure().unwrap();
    let cancel = Cancel::default();
    cancel.cancel();
    let survey = isosurface::survey(&scene, 16, &|| false).unwrap();
    let ended = extract(&gpu, &cancel, &scene, &survey);
    assert_eq!(ended.unwrap_err(), OpError::Cancelled);
    assert_eq!(gpu.ledger().used_bytes(), before);
}

fn failed_surface() {
    let gpu = gpu();
    let [context, _] = contexts(&gpu);
    let scene = scene_with_surface(&context);
    let survey = isosurface::survey(&scene, 16, &|| false).unwrap();
    let (before, first) = (gpu.ledger().used_bytes(), gpu.ledger().reservations());
    extract(&gpu, &Cancel::default(), &scene, &survey).unwrap();
    let all = gpu.ledger().reservations() - first;
    assert!(all > 15, "{all}");
    for number in 0..all {
        gpu.ledger()
            .refuse_reservation(gpu.ledger().reservations() + number);
        match extract(&gpu, &Cancel::default(), &scene, &survey).unwrap_err() {
            OpError::OutOfMemory(error) => assert_eq!(error.device, gpu.device()),
            error => panic!("{error}"),
        }
        assert_eq!(gpu.ledger().used_bytes(), before);
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
