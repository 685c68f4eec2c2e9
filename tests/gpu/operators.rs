//! Every operator on the device against the processor's, at uneven sizes and in every number format.

use std::sync::Arc;

use orfeas::compute::ops::triplane::Layer;
use orfeas::compute::ops::{Epilogue, Heads, Linear, Norm, OpError, Triplane, View};
use orfeas::compute::{Cancel, Context, Gpu, Ledger, Matrix, Number, Ops, Precision};

use crate::device::gpu;
use crate::emulated::Settings;
use crate::random::Random;

pub(crate) const TESTS: &[crate::Test] = &[
    ("operator_linear", linear),
    ("operator_linear_of_many_tiles", linear_of_many_tiles),
    ("operator_norms", norms),
    ("operator_attention", attention),
    ("operator_copies", copies),
    ("operator_triplane", triplane),
    ("operators_are_checked_before_their_first_use", are_checked),
    (
        "operators_that_give_wrong_answers_are_found",
        wrong_answers_are_found,
    ),
];

/// The formats that the device has, and how far its results may be from the processor's, relative to their
/// length: a rounding to the format at other places, and another order of sums.
pub(crate) fn formats(gpu: &Gpu) -> Vec<(Number, f64)> {
    let mut formats = vec![(Number::F32, 2e-6), (Number::F16, 1.5e-3)];
    if gpu.compute_capability() >= (8, 0) {
        formats.push((Number::Bf16, 1.2e-2));
    }
    formats
}

pub(crate) fn contexts(gpu: &Arc<Gpu>) -> [Context; 2] {
    [Some(Arc::clone(gpu)), None].map(|gpu| Context {
        gpu,
        ledger: Ledger::unlimited(),
        cancel: Cancel::default(),
    })
}

pub(crate) fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut random = Random(seed);
    (0..count).map(|_| random.uniform(-1.0, 1.0)).collect()
}

pub(crate) fn matrix(ops: &Ops<'_>, seed: u64, rows: usize, columns: usize) -> Matrix {
    let values = || Ok::<_, OpError>(numbers(seed, rows * columns));
    ops.filled(rows, columns, "a test", values).unwrap()
}

#[track_caller]
fn assert_close(what: &str, device: &[f32], processor: &[f32], most: f64) {
    assert_eq!(device.len(), processor.len(), "{what}");
    let squares = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|x| x * x).sum::<f64>();
    let pairs = device.iter().zip(processor);
    let apart = squares(&mut pairs.map(|(a, b)| f64::from(a - b)));
    let length = squares(&mut processor.iter().map(|x| f64::from(*x)));
    let distance = (apart / length.max(f64::MIN_POSITIVE)).sqrt();
    assert!(distance <= most, "{what}: {distance:.2e} apart");
}

/// Runs the same on the device and on the processor, in every format.
pub(crate) fn compare(what: &str, gpu: &Arc<Gpu>, run: impl Fn(&Ops<'_>) -> Matrix) {
    for (number, most) in formats(gpu) {
        let contexts = contexts(gpu);
        let [device, processor] = [&contexts[0], &contexts[1]].map(|context| {
            let matrix = run(&Ops::new(context, number));
            matrix.to_host().unwrap().into_owned()
        });
        assert_close(&format!("{what} in {number:?}"), &device, &processor, most);
        assert_eq!(gpu.ledger().used_bytes(), 0, "{what}");
    }
}

pub(crate) fn layer(
    ops: &Ops<'_>,
    [outputs, inputs]: [usize; 2],
    biased: bool,
    precision: Precision,
) -> Linear {
    let read = || {
        let weights = numbers(11, outputs * inputs);
        Ok::<_, OpError>((weights, biased.then(|| numbers(12, outputs))))
    };
    Linear::load(ops, [outputs, inputs], biased, precision, read).unwrap()
}

/// A product of made-up numbers; with [`Epilogue::Add`] it is added to such numbers, too.
pub(crate) fn product(
    ops: &Ops<'_>,
    [rows, outputs, inputs]: [usize; 3],
    biased: bool,
    precision: Precision,
    epilogue: Epilogue,
) -> Result<Matrix, OpError> {
    let layer = layer(ops, [outputs, inputs], biased, precision);
    let columns = match epilogue {
        Epilogue::Geglu => outputs / 2,
        _ => outputs,
    };
    let mut out = matrix(ops, 13, rows, columns);
    let inputs = matrix(ops, 14, rows, inputs);
    ops.linear(&inputs, &layer, epilogue, &mut out)?;
    Ok(out)
}

/// The precisions of weights that go with a format of activations.
pub(crate) fn precisions(number: Number) -> Vec<Precision> {
    match number {
        Number::F32 => vec![Precision::F32],
        Number::F16 => vec![Precision::F16, Precision::Int8],
        Number::Bf16 => vec![Precision::Bf16, Precision::Int8],
    }
}

fn linear() {
    let gpu = gpu();
    for [rows, outputs, inputs] in [[1, 2, 1], [7, 130, 33], [65, 66, 8], [130, 64, 100]] {
        for epilogue in Epilogue::ALL {
            for biased in [true, false] {
                let what = format!("{rows} × {inputs} by {outputs}, {epilogue:?}");
                for place in 0..2 {
                    compare(&what, &gpu, |ops| {
                        let fitting = precisions(ops.activations());
                        let precision = *fitting.get(place).unwrap_or(&fitting[0]);
                        let shape = [rows, outputs, inputs];
                        product(ops, shape, biased, precision, epilogue).unwrap()
                    });
                }
            }
        }
    }
}

fn linear_of_many_tiles() {
    let gpu = gpu();
    // So many that the large tiles are taken, and that what is gated comes in several parts.
    let rows = (64 * gpu.multiprocessors() as usize + 3).max(1027);
    for epilogue in [Epilogue::Store, Epilogue::Geglu] {
        compare("many tiles", &gpu, |ops| {
            let layer = layer(ops, [502, 24], true, precisions(ops.activations())[0]);
            let columns = if epilogue == Epilogue::Geglu {
                251
            } else {
                502
            };
            let mut out = ops.matrix(rows, columns, "a test").unwrap();
            let inputs = matrix(ops, 15, rows, 24);
            ops.linear(&inputs, &layer, epilogue, &mut out).unwrap();
            out
        });
    }
}

fn norms() {
    let gpu = gpu();
    for [rows, columns] in [[1, 8], [37, 72], [9, 1000]] {
        for groups in [None, Some(4)] {
            compare("a norm", &gpu, |ops| {
                let inputs = matrix(ops, 21, rows, columns);
                let (gain, bias) = (numbers(22, columns), numbers(23, columns));
                let norm = Norm::new(ops, columns, gain, bias, 1e-6).unwrap();
                let mut out = ops.matrix(rows, columns, "a test").unwrap();
                match groups {
                    None => ops.layer_norm(&inputs, &norm, &mut out).unwrap(),
                    Some(groups) => ops.group_norm(&inputs, groups, &norm, &mut out).unwrap(),
                }
                out
            });
        }
    }
}

fn attention() {
    let gpu = gpu();
    for (width, queries, keys) in [(8, 1, 1), (16, 65, 130), (64, 33, 70), (128, 66, 35)] {
        let heads = Heads { count: 3, width };
        let columns = heads.columns();
        compare(&format!("attention of {width}"), &gpu, |ops| {
            let asked = matrix(ops, 31, queries, columns);
            let seen = matrix(ops, 32, keys, 2 * columns);
            let view = |matrix, first| View { matrix, first };
            let mut out = ops.matrix(queries, columns, "a test").unwrap();
            let (keys, values) = (view(&seen, 0), view(&seen, columns));
            ops.attention(view(&asked, 0), keys, values, heads, &mut out)
                .unwrap();
            out
        });
    }
    // What the kernel has no form for is an error in words.
    let [context, _] = contexts(&gpu);
    let ops = Ops::new(&context, Number::F16);
    let rows = matrix(&ops, 33, 4, 12);
    let view = View {
        matrix: &rows,
        first: 0,
    };
    let mut out = ops.matrix(4, 12, "a test").unwrap();
    let heads = Heads {
        count: 1,
        width: 12,
    };
    let error = ops
        .attention(view, view, view, heads, &mut out)
        .unwrap_err();
    assert!(error.to_string().contains("multiples of 8"), "{error}");
}

fn copies() {
    let gpu = gpu();
    compare("copied rows", &gpu, |ops| {
        let rows = matrix(ops, 41, 5, 7);
        let mut all = ops.copy(&matrix(ops, 42, 9, 7), "a test").unwrap();
        ops.copy_rows(&rows, &mut all, 3).unwrap();
        all
    });
    compare("spread texels", &gpu, |ops| {
        let tokens = matrix(ops, 43, 3 * 5 * 5, 4 * 3);
        let mut planes = ops.matrix(4 * 3 * 5 * 5, 3, "a test").unwrap();
        ops.spread_texels(&tokens, 5, &mut planes).unwrap();
        planes
    });
}

fn triplane() {
    let gpu = gpu();
    let (side, channels, width) = (6, 5, 12);
    let layer = |seed, inputs: usize, outputs: usize| Layer {
        weights: numbers(seed, inputs * outputs),
        bias: numbers(seed + 1, outputs),
    };
    let layers = [
        layer(51, 3 * channels, width),
        layer(53, width, width),
        layer(55, width, 4),
    ];
    // Some outside, and more than go at once.
    let points: Vec<[f32; 3]> = numbers(57, 3 * 333).as_chunks().0.to_vec();
    for (number, _) in formats(&gpu) {
        let contexts = contexts(&gpu);
        let [device, processor] = [&contexts[0], &contexts[1]].map(|context| {
            let ops = Ops::new(context, number);
            let mut features = matrix(&ops, 58, 3 * side * side, channels);
            if context.gpu.is_none() {
                number.round(features.values_mut());
            }
            let layers = layers.to_vec();
            let triplane = Triplane::new(&ops, &features, 0.9, width, layers, 100).unwrap();
            let mut decoded = vec![[0.0; 4]; points.len()];
            triplane.decode(&points, &mut decoded).unwrap();
            let mut densities = vec![0.0; points.len()];
            triplane.densities(&points, &mut densities).unwrap();
            let expected: Vec<f32> = decoded.iter().map(|decoded| decoded[0]).collect();
            assert_close("densities alone", &densities, &expected, 1e-6);
            decoded
        });
        // In 32 bits whatever the format.
        let [device, processor] = [device.as_flattened(), processor.as_flattened()];
        assert_close("points", device, processor, 3e-6);
    }
    assert_eq!(gpu.ledger().used_bytes(), 0);
}

fn are_checked() {
    let gpu = gpu();
    let [context, _] = contexts(&gpu);
    for (number, _) in formats(&gpu) {
        for precision in precisions(number) {
            Ops::new(&context, number).check_kernels(precision).unwrap();
        }
    }
    assert_eq!(gpu.ledger().used_bytes(), 0);
}

fn wrong_answers_are_found() {
    // Each launch of the check is left out in turn, for as long as there is one.
    for launch in 0.. {
        let Some(_settings) = Settings::set(&[("WRONG_LAUNCH", launch)]) else {
            return;
        };
        let gpu = gpu();
        let [context, _] = contexts(&gpu);
        let ops = Ops::new(&context, Number::F16);
        match ops.check_kernels(Precision::F16) {
            Ok(()) => {
                assert!(launch > 10, "only {launch} launches");
                return;
            }
            Err(error) => {
                assert!(error.to_string().contains("wrong"), "{error}");
                // It is remembered.
                assert_eq!(ops.check_kernels(Precision::F16).unwrap_err(), error);
            }
        }
        drop(context);
        assert_eq!(gpu.ledger().used_bytes(), 0);
    }
}
