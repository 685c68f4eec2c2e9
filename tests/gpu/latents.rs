//! The operators of shapes made of latent vectors, on the device against the processor's.

use std::sync::Arc;

use orfeas::compute::ops::{FlowStep, HeadNorm, Heads, OpError, Seed, Velocity};
use orfeas::compute::{Gpu, Matrix, Number, Ops, Precision};

use crate::device::gpu;
use crate::emulated::Settings;
use crate::operators::{compare, contexts, formats, layer, matrix, numbers, precisions};

pub(crate) const TESTS: &[crate::Test] = &[
    ("operator_head_norm", head_norm),
    ("operator_rows", rows),
    ("operator_bias_alone", bias_alone),
    ("operator_conversions", conversions),
    ("operator_fourier", fourier),
    ("operator_flow_step", flow_step),
    (
        "latent_operators_are_checked_before_their_first_use",
        are_checked,
    ),
    (
        "latent_operators_that_give_wrong_answers_are_found",
        wrong_answers_are_found,
    ),
];

fn head_norm() {
    let gpu = gpu();
    for (rows, first, count, width) in [(1, 0, 1, 8), (37, 5, 3, 24), (9, 64, 2, 128)] {
        let heads = Heads { count, width };
        compare(&format!("{count} heads of {width}"), &gpu, |ops| {
            // Columns on either side stay as they are.
            let mut all = matrix(ops, 61, rows, first + heads.columns() + 3);
            let norm = HeadNorm::new(ops, width, numbers(62, width), 1e-6).unwrap();
            ops.head_norm(&mut all, first, heads, &norm).unwrap();
            all
        });
    }
}

fn rows() {
    let gpu = gpu();
    compare("rows taken out", &gpu, |ops| {
        let all = matrix(ops, 63, 9, 7);
        let mut some = ops.matrix(5, 7, "a test").unwrap();
        ops.take_rows(&all, 3, &mut some).unwrap();
        some
    });
    for [rows, columns] in [[1, 1], [33, 77]] {
        compare("products", &gpu, |ops| {
            let mut out = matrix(ops, 64, rows, columns);
            let factors = matrix(ops, 65, rows, columns);
            ops.multiply_by(&factors, &mut out).unwrap();
            out
        });
    }
}

fn bias_alone() {
    let gpu = gpu();
    // Small tiles, and so many that the large ones are taken.
    let many = (64 * gpu.multiprocessors() as usize + 3).max(1027);
    for [rows, columns] in [[1, 2], [67, 131], [many, 502]] {
        for place in 0..2 {
            compare("a bias", &gpu, |ops| {
                let fitting = precisions(ops.activations());
                let precision = *fitting.get(place).unwrap_or(&fitting[0]);
                let layer = layer(ops, [columns, 24], true, precision);
                let mut out = matrix(ops, 66, rows, columns);
                ops.add_bias(&layer, &mut out).unwrap();
                out
            });
        }
    }
}

fn conversions() {
    let gpu = gpu();
    for (from, _) in formats(&gpu) {
        // No format but that of the numbers: what comes out of both is the same to the last bit.
        for (to, _) in formats(&gpu) {
            let contexts = contexts(&gpu);
            let [device, processor] = [&contexts[0], &contexts[1]].map(|context| {
                let ops = Ops::new(context, from);
                let numbers = matrix(&ops, 67, 19, 23);
                // On the processor numbers are only rounded where they are made.
                let numbers = ops.converted(&numbers, "a test").unwrap();
                let converted = ops.in_format(to).converted(&numbers, "a test").unwrap();
                converted.to_host().unwrap().into_owned()
            });
            assert!(device == processor, "{from:?} to {to:?}");
        }
    }
    assert_eq!(gpu.ledger().used_bytes(), 0);
}

fn fourier() {
    let gpu = gpu();
    for (count, frequencies) in [(1, 1), (333, 8), (50, 16), (3, 0)] {
        let values: Vec<f32> = numbers(68, 3 * count).iter().map(|x| 1.5 * x).collect();
        let points = values.as_chunks().0;
        compare(&format!("{frequencies} frequencies"), &gpu, |ops| {
            ops.fourier(points, frequencies).unwrap()
        });
    }
    let [context, _] = contexts(&gpu);
    let error = Ops::new(&context, Number::F32).fourier(&[[0.0; 3]], 17);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("0 to 16"), "{error}");
}

/// The latents and their prediction after two steps.
fn stepped(ops: &Ops<'_>, is_guided: bool) -> [Matrix; 2] {
    let (rows, columns) = (71, 9);
    let wide = ops.in_format(Number::F32);
    let seed = Seed { seed: 8, stream: 1 };
    let mut latents = wide.noise(rows, columns, seed, "a test").unwrap();
    let mut clean = wide.matrix(rows, columns, "a test").unwrap();
    // What is in a format already is the same in both places.
    let rounded = |seed| {
        let numbers = matrix(ops, seed, rows, columns);
        ops.converted(&numbers, "a test").unwrap()
    };
    let (conditional, unconditional) = (rounded(69), rounded(70));
    for (noise, next_noise) in [(1.0, 0.6), (0.6, 0.1)] {
        let velocity = Velocity {
            conditional: &conditional,
            unconditional: is_guided.then_some(&unconditional),
            guidance: 7.0,
        };
        let step = FlowStep { noise, next_noise };
        ops.flow_step(velocity, step, &mut latents, &mut clean)
            .unwrap();
    }
    [latents, clean]
}

fn flow_step() {
    let gpu = gpu();
    for (number, _) in formats(&gpu) {
        for is_guided in [true, false] {
            let contexts = contexts(&gpu);
            let [device, processor] = [&contexts[0], &contexts[1]].map(|context| {
                let made = stepped(&Ops::new(context, number), is_guided);
                made.map(|matrix| matrix.to_host().unwrap().into_owned())
            });
            // In 32 bits whatever the format, to the last bit.
            assert!(device == processor, "{number:?}, guided {is_guided}");
        }
    }
    assert_eq!(gpu.ledger().used_bytes(), 0);
}

/// The formats that a device has, with the precisions of weights that go with them.
fn everything(gpu: &Gpu) -> Vec<(Number, Precision)> {
    formats(gpu)
        .into_iter()
        .flat_map(|(number, _)| precisions(number).into_iter().map(move |one| (number, one)))
        .collect()
}

fn are_checked() {
    let gpu = gpu();
    let [context, _] = contexts(&gpu);
    for (number, precision) in everything(&gpu) {
        let checked = Ops::new(&context, number).check_latent_kernels(precision);
        checked.unwrap_or_else(|error| panic!("{number:?} {precision}: {error}"));
    }
    assert_eq!(gpu.ledger().used_bytes(), 0);
}

fn wrong_answers_are_found() {
    // Each launch of the check is left out in turn, for as long as there is one.
    for launch in 0.. {
        let Some(_settings) = Settings::set(&[("WRONG_LAUNCH", launch)]) else {
            return;
        };
        let gpu: Arc<Gpu> = gpu();
        let [context, _] = contexts(&gpu);
        let ops = Ops::new(&context, Number::F16);
        match ops.check_latent_kernels(Precision::F16) {
            Ok(()) => return assert!(launch > 10, "only {launch} launches"),
            Err(error @ OpError::Gpu(_)) => {
                assert!(error.to_string().contains("wrong"), "{error}");
            }
            Err(error) => panic!("{error}"),
        }
        drop(context);
        assert_eq!(gpu.ledger().used_bytes(), 0);
    }
}
