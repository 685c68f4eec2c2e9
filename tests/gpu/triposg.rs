//! TripoSG on the device, against what its published implementation computed and against the memory that is
//! stated for it.

use std::ops::ControlFlow;

use orfeas::compute::{Context, Ledger, Matrix, Number, Ops, Precision};
use orfeas::field::{Hierarchy, Region};
use orfeas::mesh::isosurface;
use orfeas::models::error::ModelError;
use orfeas::models::triposg::{
    Config, Draw, LatentField, Predicted, TripoSg, chunk_bytes_on_device, memory_on_device,
};
use orfeas::models::vecset::{LatticeSampling, check_sampling};
use orfeas::vram::Residency;

use crate::device::gpu;
use crate::model::precisions;
use crate::operators::contexts;
use crate::triposg_reference::{RESIDENCIES, Reference, values};
use crate::triposr_reference::assert_near;

pub(crate) const TESTS: &[crate::Test] = &[
    (
        "reference_triposg_encoder_and_one_evaluation_on_the_device",
        evaluation,
    ),
    ("reference_triposg_trajectory_on_the_device", trajectory),
    ("reference_triposg_field_on_the_device", field),
    ("reference_triposg_in_every_precision", every_precision),
    (
        "triposg_takes_the_memory_that_is_stated",
        takes_what_is_stated,
    ),
    (
        "triposg_samples_take_no_more_than_is_stated",
        samples_take_what_is_stated,
    ),
    (
        "triposg_meets_every_refused_reservation",
        refused_reservations,
    ),
];

fn host(matrix: &Matrix) -> Vec<f32> {
    matrix.to_host().unwrap().into_owned()
}

/// The format of a model's results on a device.
fn number(precision: Precision) -> Number {
    match precision {
        Precision::F32 => Number::F32,
        Precision::F16 | Precision::Int8 => Number::F16,
        Precision::Bf16 => Number::Bf16,
    }
}

/// The velocity of one of the cases, as the model looks at its image or at nothing.
fn velocity(
    reference: &Reference,
    model: &TripoSg,
    (place, precision, is_looking): (usize, Precision, bool),
    context: &Context,
) -> Vec<f32> {
    let ops = Ops::new(context, number(precision));
    let seen = reference.matrix_in("dit_context", place, &ops);
    let image = model.context(&seen, context).unwrap();
    let image = is_looking.then_some(&image);
    let latents = reference.matrix("dit_in", place, context);
    let time = reference.floats("dit_t")[place];
    host(&model.velocity(&latents, time, image, context).unwrap())
}

fn evaluation() {
    let reference = Reference::read();
    let gpu = gpu();
    let [context, _] = contexts(&gpu);
    for residency in RESIDENCIES {
        let model = reference.model(Precision::F32, residency, &context);
        let tokens = model.encode(&reference.image(), &context).unwrap();
        let expected = reference.floats("image_embeds");
        assert_near("image tokens", &host(&tokens), expected, 2e-5);
        for place in 0..reference.floats("dit_t").len() {
            let velocity =
                |looks| velocity(&reference, &model, (place, Precision::F32, looks), &context);
            let expected = reference.numbers("dit_out", place);
            assert_near("velocity", &velocity(true), expected, 2e-5);
            let seen = reference.numbers("dit_context", place);
            if seen.iter().all(|number| *number == 0.0) {
                assert_near("of nothing", &velocity(false), expected, 2e-5);
            }
        }
    }
    assert_eq!(context.ledger.used_bytes(), 0);
    assert_eq!(gpu.ledger().used_bytes(), 0);
}

fn trajectory() {
    let reference = Reference::read();
    let gpu = gpu();
    let [context, _] = contexts(&gpu);
    let model = reference.model(Precision::F32, Residency::Resident, &context);
    let tokens = model.encode(&reference.image(), &context).unwrap();
    let image = model.context(&tokens, &context).unwrap();
    for together in [true, false] {
        let draw = Draw {
            together,
            looks: true,
            ..reference.draw()
        };
        let mut watch = |predicted: Predicted<'_>| {
            let expected = reference.numbers("trajectory", predicted.step as usize - 1);
            assert_near("latents", &host(&predicted.latents[0]), expected, 1e-4);
            Ok(ControlFlow::Continue(()))
        };
        let noise = reference.matrix("noise", 0, &context);
        let last = model.sample(&image, noise, draw, &mut watch, &context);
        let expected = reference.numbers("trajectory", reference.steps as usize - 1);
        assert_near("latents", &host(&last.unwrap()), expected, 1e-4);
    }
}

fn field() {
    let reference = Reference::read();
    let gpu = gpu();
    let [context, _] = contexts(&gpu);
    for residency in RESIDENCIES {
        let model = reference.model(Precision::F32, residency, &context);
        let field = reference.field(&model, &context);
        let (points, _) = reference.floats("points").as_chunks::<3>();
        let ours = values(&field, points, &context);
        assert_near("points", &ours, reference.floats("points_logits"), 2e-5);
        let ours = values(&field, &reference.grid(), &context);
        assert_near("grid", &ours, reference.floats("grid_logits"), 2e-5);
    }
    assert_eq!(gpu.ledger().used_bytes(), 0);
}

fn every_precision() {
    let reference = Reference::read();
    let gpu = gpu();
    let [context, _] = contexts(&gpu);
    for precision in precisions(&gpu) {
        let most = match precision {
            Precision::F32 => 2e-5,
            Precision::F16 => 3e-3,
            Precision::Bf16 => 2e-2,
            Precision::Int8 => 3e-2,
        };
        let model = reference.model(precision, Residency::Resident, &context);
        let near = |what: &str, ours: &[f32], expected: &[f32]| {
            assert_near(&format!("{what} in {precision}"), ours, expected, most);
        };
        let tokens = model.encode(&reference.image(), &context).unwrap();
        near("tokens", &host(&tokens), reference.floats("image_embeds"));
        let velocity = velocity(&reference, &model, (1, precision, true), &context);
        near("velocity", &velocity, reference.numbers("dit_out", 1));
        let field = reference.field(&model, &context);
        let (points, _) = reference.floats("points").as_chunks::<3>();
        let ours = values(&field, points, &context);
        near("points", &ours, reference.floats("points_logits"));
    }
}

/// What a look at a prediction takes of the device and of the host, beside what is there already.
fn look(model: &TripoSg, points: &[[f32; 3]], context: &Context) -> [u64; 2] {
    let numbers = host(&model.noise(3, context).unwrap());
    let gpu = context.gpu.as_ref().unwrap();
    let ledgers = [gpu.ledger(), &context.ledger];
    let before = ledgers.map(Ledger::used_bytes);
    ledgers.iter().for_each(|ledger| ledger.reset_peak());
    let latents = model.latents(&numbers, context).unwrap();
    let field = model.field(&latents, context).unwrap();
    values(&field, points, context);
    [0, 1].map(|at| ledgers[at].peak_bytes() - before[at])
}

/// The whole way from the weights to a field and some of its values. From the first step on so much of the device
/// and of the host is held as a look beside the steps takes.
fn run(
    reference: &Reference,
    (precision, residency, draw): (Precision, Residency, Draw),
    points: &[[f32; 3]],
    look: [u64; 2],
    context: &Context,
) -> Result<(TripoSg, LatentField), ModelError> {
    let (config, weights) = (reference.config.clone(), reference.weights.clone());
    let model = TripoSg::load(config, weights, precision, residency, context)?;
    let tokens = model.encode(&reference.image(), context)?;
    let image = model.context(&tokens, context)?;
    drop(tokens);
    let noise = model.noise(3, context)?;
    let gpu = context.gpu.as_ref().unwrap();
    let mut held = Vec::new();
    let mut watch = |predicted: Predicted<'_>| {
        if model.can_preview() && predicted.step == 1 {
            let field = model.field(&predicted.clean[0], context)?;
            field.values(points, &mut vec![0.0; points.len()], context)?;
            for (ledger, bytes) in [gpu.ledger(), &context.ledger].into_iter().zip(look) {
                held.push(ledger.reserve(bytes, "a look")?);
            }
        }
        Ok(ControlFlow::Continue(()))
    };
    let latents = model.sample(&image, noise, draw, &mut watch, context)?;
    drop((image, held));
    let field = model.field(&latents, context)?;
    drop(latents);
    field.values(points, &mut vec![0.0; points.len()], context)?;
    Ok((model, field))
}

fn takes_what_is_stated() {
    let reference = Reference::read();
    let gpu = gpu();
    // More than go at once.
    let points = vec![[0.0; 3]; 8200];
    for precision in precisions(&gpu) {
        // The check's own memory is not the model's.
        let [context, _] = contexts(&gpu);
        let model = reference.model(precision, Residency::Resident, &context);
        let look = look(&model, &points, &context);
        drop(model);
        for residency in RESIDENCIES {
            let [context, _] = contexts(&gpu);
            let draw = Draw {
                together: residency != Residency::Staged,
                looks: true,
                // A second step where a look is taken beside it.
                sampling: orfeas::models::triposg::Sampling::new(
                    if residency == Residency::Resident {
                        2
                    } else {
                        1
                    },
                    7.0,
                )
                .unwrap(),
            };
            gpu.ledger().reset_peak();
            let what = (precision, residency, draw);
            let kept = run(&reference, what, &points, look, &context).unwrap();
            let stated = memory_on_device(&reference.config, precision, residency, draw, 1);
            for (ledger, stated) in [
                (gpu.ledger(), stated.device),
                (&context.ledger, stated.host),
            ] {
                let taken = (ledger.peak_bytes(), ledger.used_bytes());
                println!("{precision} {residency}: {} bytes at most", taken.0);
                let stated = (stated.peak_bytes, stated.kept_bytes);
                assert_eq!(taken, stated, "{precision} {residency}");
            }
            drop(kept);
            assert_eq!(gpu.ledger().used_bytes(), 0);
        }
    }
}

fn samples_take_what_is_stated() {
    let reference = Reference::read();
    let gpu = gpu();
    let [context, processor] = contexts(&gpu);
    let extent = Region {
        min: [-Config::RADIUS; 3],
        max: [Config::RADIUS; 3],
    };
    let level = 8;
    let sampling = LatticeSampling {
        hierarchy: Hierarchy {
            dense_cells: 96,
            near: Config::NEAR,
        },
        extent,
        lattice: isosurface::samples(&extent, level).unwrap(),
        from: None,
        threshold: 0.0,
    };
    check_sampling(&gpu).unwrap();
    let on_processor = reference.model(Precision::F32, Residency::Resident, &processor);
    let on_processor = reference.field(&on_processor, &processor);
    for precision in precisions(&gpu) {
        let model = reference.model(precision, Residency::Staged, &context);
        let field = reference.field(&model, &context);
        let before = gpu.ledger().used_bytes();
        gpu.ledger().reset_peak();
        let samples = field.sample_on_device(&gpu, &sampling, &context).unwrap();
        let taken = gpu.ledger().peak_bytes() - before;
        let stated = LatentField::typical_sample_bytes(level)
            + chunk_bytes_on_device(&reference.config, precision);
        println!("{precision}: {taken} bytes of {stated}");
        assert!(taken <= stated, "{precision}: {taken} bytes of {stated}");
        if precision != Precision::F32 {
            continue;
        }
        // The values are those of the field, the outermost aside, which are turned to the outside.
        let (places, blocks) = samples.to_host().unwrap();
        let (mut points, mut found) = (Vec::new(), Vec::new());
        let last = sampling.lattice.samples.map(|samples| samples - 1);
        for (place, values) in places.iter().zip(&blocks) {
            for (at, value) in values.iter().enumerate().step_by(3) {
                let within = [at % 8, at / 8 % 8, at / 64];
                let index: [usize; 3] =
                    std::array::from_fn(|axis| 8 * usize::from(place[axis]) + within[axis]);
                if (0..3).any(|axis| index[axis] == 0 || index[axis] >= last[axis]) {
                    continue;
                }
                points.push(std::array::from_fn(|axis| {
                    let lattice = &sampling.lattice;
                    let position = lattice.origin[axis] + lattice.step * index[axis] as f32;
                    position.clamp(extent.min[axis], extent.max[axis])
                }));
                found.push(*value);
            }
        }
        assert!(found.len() > 200);
        let expected = values(&on_processor, &points, &processor);
        assert_near("samples", &found, &expected, 2e-5);
    }
    assert_eq!(gpu.ledger().used_bytes(), 0);
}

fn refused_reservations() {
    let reference = Reference::read();
    let gpu = gpu();
    let [context, _] = contexts(&gpu);
    let draw = Draw {
        sampling: orfeas::models::triposg::Sampling::new(1, 7.0).unwrap(),
        together: true,
        looks: true,
    };
    let what = (Precision::Int8, Residency::Staged, draw);
    let points = [[0.0; 3]; 3];
    run(&reference, what, &points, [0; 2], &context).unwrap();
    // The check of the kernels is over: only the run itself is repeated.
    let first = gpu.ledger().reservations();
    run(&reference, what, &points, [0; 2], &context).unwrap();
    let all = gpu.ledger().reservations() - first;
    assert!(all > 200, "{all} reservations");
    for number in (0..all).step_by(17) {
        gpu.ledger()
            .refuse_reservation(gpu.ledger().reservations() + number);
        let ended = run(&reference, what, &points, [0; 2], &context);
        let error = ended.err().expect("a reservation was refused");
        assert!(
            matches!(error, ModelError::OutOfMemory(_)),
            "{number}: {error}"
        );
        assert_eq!(context.ledger.used_bytes(), 0);
        assert_eq!(gpu.ledger().used_bytes(), 0);
    }
}
