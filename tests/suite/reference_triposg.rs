//! TripoSG against what its published implementation computed.

use std::ops::ControlFlow;
use std::sync::Arc;

use orfeas::compute::ops::resize::Raster;
use orfeas::compute::{Context, Matrix, Precision};
use orfeas::models::error::ModelError;
use orfeas::models::triposg::{Config, Draw, Files, Predicted, Sampling, TripoSg, memory, prepare};
use orfeas::models::vecset::schedule;
use orfeas::vram::Residency;

use crate::triposg_reference::{RESIDENCIES, Reference, folder, interleaved, values};
use crate::triposr_reference::{assert_near, context};

#[test]
fn reference_triposg_tensors_are_those_of_the_files() {
    let reference = Reference::read();
    let tensors = reference.config.tensors();
    let check = reference.weights.check(&tensors, Config::is_unused);
    check.unwrap();
    let mut wider = reference.config.clone();
    wider.denoiser.context += 1;
    let error = reference.weights.check(&wider.tensors(), Config::is_unused);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("blocks.0.attn2.to_k.weight"), "{error}");
}

#[test]
fn reference_triposg_preprocessing() {
    let reference = Reference::read();
    let (shape, bytes) = &reference.bytes["pre_rgba"];
    let (pixels, _) = bytes.as_chunks::<4>();
    let image = prepare::Rgba {
        width: shape[1],
        pixels: pixels.to_vec(),
    };
    let on_white = prepare::on_white(&image).unwrap();
    let (shape, expected) = &reference.bytes["pre_image"];
    assert_eq!([on_white.height(), on_white.width, 3], shape[..]);
    assert_bytes("on white", on_white.pixels.as_flattened(), expected);
    let side = reference.floats["pre_pixel_values"].0[1];
    let mut config = reference.config.image;
    config.side = side;
    let ours = prepare::conditioned(&on_white, config);
    let theirs = interleaved(reference.floats("pre_pixel_values"), side, side);
    assert_bytes("prepared", &levels(&ours), &levels(&theirs));
}

/// The bytes that prepared pixels were, told by their mean and deviation.
fn levels(image: &Raster) -> Vec<u8> {
    let channels = [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)];
    let scaled = image.values.iter().zip(channels.iter().cycle());
    scaled
        .map(|(value, (mean, deviation))| ((value * deviation + mean) * 255.0).round() as u8)
        .collect()
}

fn assert_bytes(what: &str, ours: &[u8], theirs: &[u8]) {
    assert_eq!(ours.len(), theirs.len());
    let apart = ours.iter().zip(theirs).map(|(a, b)| a.abs_diff(*b));
    let worst = apart.clone().max().unwrap();
    let differing = apart.filter(|apart| *apart > 0).count();
    let exact = 1.0 - differing as f64 / ours.len() as f64;
    println!("{what}: worst {worst}, exact in {exact}");
    assert!(
        worst <= 1 && exact >= 0.999,
        "{what}: worst {worst}, exact in {exact}"
    );
}

#[test]
fn reference_triposg_encoder_and_one_evaluation() {
    let reference = Reference::read();
    let context = context();
    for residency in RESIDENCIES {
        let model = reference.model(Precision::F32, residency, &context);
        let tokens = model.encode(&reference.image(), &context).unwrap();
        let expected = reference.floats("image_embeds");
        assert_near("image tokens", tokens.values(), expected, 2e-5);

        let times = reference.floats("dit_t").to_vec();
        for (place, time) in times.into_iter().enumerate() {
            let seen = reference.matrix("dit_context", place, &context);
            let latents = reference.matrix("dit_in", place, &context);
            let expected = reference.matrix("dit_out", place, &context);
            let image = model.context(&seen, &context).unwrap();
            let velocity = |image| model.velocity(&latents, time, image, &context).unwrap();
            let ours = velocity(Some(&image));
            assert_near("velocity", ours.values(), expected.values(), 2e-5);
            if seen.values().iter().all(|number| *number == 0.0) {
                let skipped = velocity(None);
                assert_near("skipped", skipped.values(), expected.values(), 2e-5);
                assert_near("skipped", skipped.values(), ours.values(), 1e-6);
            }
        }
    }
    assert_eq!(context.ledger.used_bytes(), 0);
}

#[test]
fn reference_triposg_trajectory() {
    let reference = Reference::read();
    let context = context();
    let shares = schedule(reference.steps, reference.config.schedule.shift);
    assert_eq!(shares, reference.floats("sigmas"));
    let model = reference.model(Precision::F32, Residency::Resident, &context);
    let tokens = model.encode(&reference.image(), &context).unwrap();
    let image = model.context(&tokens, &context).unwrap();
    let trajectory = reference.floats("trajectory");
    for together in [true, false] {
        let draw = Draw {
            together,
            looks: true,
            ..reference.draw()
        };
        let noise = reference.matrix("noise", 0, &context);
        let numbers = noise.values().len();
        let mut watch = |predicted: Predicted<'_>| {
            let expected = &trajectory[(predicted.step as usize - 1) * numbers..][..numbers];
            assert_near("latents", predicted.latents[0].values(), expected, 1e-4);
            Ok(ControlFlow::Continue(()))
        };
        let last = model
            .sample(&image, noise, draw, &mut watch, &context)
            .unwrap();
        let expected = &trajectory[trajectory.len() - numbers..];
        assert_near("latents", last.values(), expected, 1e-4);
    }
}

#[test]
fn shapes_that_are_sampled_together_are_what_each_is_alone() {
    let reference = Reference::read();
    let context = context();
    let model = reference.model(Precision::F32, Residency::Resident, &context);
    let tokens = model.encode(&reference.image(), &context).unwrap();
    let image = model.context(&tokens, &context).unwrap();
    let noise = |seed| model.noise(seed, &context).unwrap();
    let mut watch = |_: Predicted<'_>| Ok(ControlFlow::Continue(()));
    for guidance in [7.0, 1.0] {
        let sampling = Sampling::new(3, guidance).unwrap();
        let draw = |together| Draw {
            sampling,
            together,
            looks: true,
        };
        let alone: Vec<_> = (4..7)
            .map(|seed| {
                let latents = model.sample(&image, noise(seed), draw(false), &mut watch, &context);
                latents.unwrap().values().to_vec()
            })
            .collect();
        assert!(alone[0] != alone[1] && alone[1] != alone[2]);
        for together in [true, false] {
            let noise = (4..7).map(noise).collect();
            let latents = model
                .sample_each(&image, noise, draw(together), &mut watch, &context)
                .unwrap();
            let values: Vec<_> = latents.iter().map(|one| one.values().to_vec()).collect();
            assert!(values == alone, "guidance {guidance}, together {together}");
        }
    }
}

#[test]
fn a_prediction_can_be_kept() {
    let reference = Reference::read();
    let context = context();
    let model = reference.model(Precision::F32, Residency::Resident, &context);
    let tokens = model.encode(&reference.image(), &context).unwrap();
    let image = model.context(&tokens, &context).unwrap();
    let noise = reference.matrix("noise", 0, &context);
    let mut seen = Vec::new();
    let mut watch = |predicted: Predicted<'_>| {
        seen = predicted.clean[0].values().to_vec();
        Ok(if predicted.step == 2 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    };
    let kept = model
        .sample(&image, noise, reference.draw(), &mut watch, &context)
        .unwrap();
    assert_eq!(kept.values(), seen);
    // The prediction after two of five steps: the latents at noise 0.6 carried on at the last velocity.
    let trajectory = reference.floats("trajectory");
    let numbers = seen.len();
    let at = |step: usize| &trajectory[step * numbers..][..numbers];
    let carried: Vec<f32> = at(0)
        .iter()
        .zip(at(1))
        .map(|(before, after)| before + (after - before) * 0.8 / 0.2)
        .collect();
    assert_near("prediction", kept.values(), &carried, 1e-4);
}

#[test]
fn reference_triposg_field() {
    let reference = Reference::read();
    let context = context();
    for residency in RESIDENCIES {
        let model = reference.model(Precision::F32, residency, &context);
        let field = reference.field(&model, &context);
        let (points, _) = reference.floats("points").as_chunks::<3>();
        let ours = values(&field, points, &context);
        assert_near("points", &ours, reference.floats("points_logits"), 2e-5);

        let expected = reference.floats("grid_logits");
        let ours = values(&field, &reference.grid(), &context);
        assert_near("grid", &ours, expected, 2e-5);
    }
    assert_eq!(context.ledger.used_bytes(), 0);
}

#[test]
fn reference_triposg_sixteen_bit_activations_and_eight_bit_weights() {
    let reference = Reference::read();
    let context = context();
    let cases = [
        (Precision::F16, 3e-3),
        (Precision::Bf16, 2e-2),
        (Precision::Int8, 3e-2),
    ];
    for (precision, most) in cases {
        let model = reference.model(precision, Residency::Resident, &context);
        let image = reference.matrix("dit_context", 1, &context);
        let image = model.context(&image, &context).unwrap();
        let latents = reference.matrix("dit_in", 1, &context);
        let time = reference.floats("dit_t")[1];
        let velocity = model.velocity(&latents, time, Some(&image), &context);
        let expected = reference.matrix("dit_out", 1, &context);
        let velocity = velocity.unwrap();
        assert_near(precision.name(), velocity.values(), expected.values(), most);
        let field = reference.field(&model, &context);
        let (points, _) = reference.floats("points").as_chunks::<3>();
        let ours = values(&field, points, &context);
        assert_near(
            precision.name(),
            &ours,
            reference.floats("points_logits"),
            most,
        );
    }
}

#[test]
fn the_memory_stated_is_the_memory_taken() {
    let reference = Reference::read();
    let mut draw = reference.draw();
    let whole_chunk = vec![[0.0; 3]; 3000];
    for precision in Precision::ALL {
        for residency in RESIDENCIES {
            draw.together = residency == Residency::Resident;
            let shapes = if draw.together { 3 } else { 1 };
            let stated = memory(&reference.config, precision, residency, draw, shapes);
            let context = context();
            let model = reference.model(precision, residency, &context);
            let tokens = model.encode(&reference.image(), &context).unwrap();
            let image = model.context(&tokens, &context).unwrap();
            drop(tokens);
            let zeros = |_| {
                Matrix::zeros(
                    reference.config.latents,
                    reference.config.denoiser.channels,
                    &context.ledger,
                    "noise",
                )
            };
            let noise = (0..shapes).map(zeros).collect::<Result<_, _>>();
            let mut watch = |predicted: Predicted<'_>| {
                if model.can_preview() {
                    let field = model.field(&predicted.clean[0], &context)?;
                    field.values(&whole_chunk, &mut vec![0.0; whole_chunk.len()], &context)?;
                }
                Ok(ControlFlow::Continue(()))
            };
            let latents = model
                .sample_each(&image, noise.unwrap(), draw, &mut watch, &context)
                .unwrap();
            drop(image);
            let field = model.field(&latents[0], &context).unwrap();
            drop(latents);
            values(&field, &whole_chunk, &context);
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
        }
    }
}

#[test]
fn every_refused_reservation_is_an_error_that_leaves_nothing() {
    let reference = Reference::read();
    let run = |context: &Context| -> Result<(), ModelError> {
        let weights = Arc::clone(&reference.weights);
        let model = TripoSg::load(
            reference.config.clone(),
            weights,
            Precision::Int8,
            Residency::Staged,
            context,
        )?;
        let tokens = model.encode(&reference.image(), context)?;
        let image = model.context(&tokens, context)?;
        let noise = Matrix::zeros(
            reference.config.latents,
            reference.config.denoiser.channels,
            &context.ledger,
            "noise",
        )?;
        let mut watch = |_: Predicted<'_>| Ok(ControlFlow::Break(()));
        let latents = model.sample(&image, noise, reference.draw(), &mut watch, context)?;
        let field = model.field(&latents, context)?;
        field.values(&[[0.0; 3]], &mut [0.0], context)
    };
    let whole = context();
    run(&whole).unwrap();
    for number in (0..whole.ledger.reservations()).step_by(7) {
        let context = context();
        context.ledger.refuse_reservation(number);
        assert!(matches!(run(&context), Err(ModelError::OutOfMemory(_))));
        assert_eq!(context.ledger.used_bytes(), 0);
    }
    let cancelled = context();
    cancelled.cancel.cancel();
    assert!(matches!(run(&cancelled), Err(ModelError::Cancelled)));
    assert_eq!(cancelled.ledger.used_bytes(), 0);
}

#[test]
fn steps_and_guidance_that_cannot_be_are_refused_in_words() {
    for (steps, guidance, word) in [
        (0, 7.0, "0 steps"),
        (1001, 7.0, "1001 steps"),
        (50, f32::NAN, "guidance of NaN"),
        (50, -1.0, "guidance of -1"),
        (50, f32::INFINITY, "guidance of inf"),
    ] {
        let error = Sampling::new(steps, guidance).unwrap_err().to_string();
        assert!(error.contains(word) && error.contains("choose"), "{error}");
    }
}

#[test]
fn sizes_that_do_not_go_together_are_refused_in_words() {
    let folder = folder().join("repo");
    let read = |path: &str| std::fs::read_to_string(folder.join(path)).unwrap();
    let whole = [
        read("image_encoder_dinov2/config.json"),
        read("transformer/config.json"),
        read("vae/config.json"),
        read("feature_extractor_dinov2/preprocessor_config.json"),
        read("scheduler/scheduler_config.json"),
    ];
    let cases = [
        (0, "\"patch_size\": 14", "\"patch_size\": 0", "patch_size"),
        (
            0,
            "\"hidden_act\": \"gelu\"",
            "\"hidden_act\": \"relu\"",
            "relu",
        ),
        (1, "\"in_channels\"", "\"channels\"", "in_channels"),
        (
            1,
            "\"num_attention_heads\": 4",
            "\"num_attention_heads\": 5",
            "5 heads",
        ),
        (
            1,
            "\"cross_attention_dim\": 32",
            "\"cross_attention_dim\": 33",
            "33",
        ),
        (2, "\"latent_channels\": 8", "\"latent_channels\": 9", "9"),
        (
            2,
            "\"embed_include_pi\": false",
            "\"embed_include_pi\": true",
            "embed_include_pi",
        ),
        (3, "\"height\": 224", "\"height\": 225", "should be 225"),
        (4, "\"shift\": 1.0", "\"shift\": -1.0", "shift is -1"),
        (4, "{", "", "TripoSG's schedule"),
    ];
    for (place, from, to, word) in cases {
        let mut files = whole.clone();
        assert!(files[place].contains(from), "{from}");
        files[place] = files[place].replacen(from, to, 1);
        let [encoder, denoiser, decoder, image, schedule] = &files;
        let error = Config::from_json(&Files {
            encoder,
            denoiser,
            decoder,
            image,
            schedule,
        });
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains(word) && error.contains("choose"),
            "{from}: {error}"
        );
    }
}
