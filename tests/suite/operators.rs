//! The processor's operators against plain loops in 64 bits, at shapes that no block size divides.

use half::{bf16, f16};
use orfeas::compute::ops::triplane::Layer;
use orfeas::compute::ops::{Epilogue, Heads, Linear, Norm, OpError, Triplane, View, resize};
use orfeas::compute::{Activations, Cancel, Context, Ledger, Matrix, Ops, Precision};

use crate::random::Random;

fn context() -> Context {
    Context {
        gpu: None,
        ledger: Ledger::unlimited(),
        cancel: Cancel::default(),
    }
}

fn numbers(count: usize, random: &mut Random) -> Vec<f32> {
    (0..count).map(|_| random.uniform(-1.0, 1.0)).collect()
}

fn matrix(rows: usize, columns: usize, values: Vec<f32>, context: &Context) -> Matrix {
    Matrix::new(rows, columns, values, &context.ledger, "a test").unwrap()
}

/// The distance from the plain loops, relative to the length of what they gave.
#[track_caller]
fn assert_near(what: &str, ours: &[f32], expected: &[f64], most: f64) {
    assert_eq!(ours.len(), expected.len(), "{what}");
    let apart: f64 = ours
        .iter()
        .zip(expected)
        .map(|(a, b)| (f64::from(*a) - b).powi(2))
        .sum();
    let length: f64 = expected.iter().map(|b| b * b).sum();
    let distance = (apart / length.max(1e-30)).sqrt();
    assert!(distance <= most, "{what}: {distance:.2e}");
}

/// The exact GELU, from a series of the error function.
fn gelu(x: f64) -> f64 {
    let z = x / std::f64::consts::SQRT_2;
    if z.abs() > 4.5 {
        // The error function is 1 to ten digits, and the terms of its series too large to add up.
        return if z > 0.0 { x } else { 0.0 };
    }
    let (mut term, mut sum, mut n) = (z, z, 0.0);
    while f64::abs(term) > 1e-17 * f64::abs(sum) && n < 200.0 {
        n += 1.0;
        term *= -z * z / n;
        sum += term / (2.0 * n + 1.0);
    }
    0.5 * x * (1.0 + sum * 2.0 / std::f64::consts::PI.sqrt())
}

fn silu(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

/// Rows that threads share out unevenly, inputs that are summed in parts, and so few and so many outputs that the
/// library takes other ways.
#[test]
fn a_part_of_the_work_stops_alone_or_with_the_whole() {
    let whole = Cancel::default();
    let (part, other) = (whole.of_part(), whole.of_part());
    part.cancel();
    assert!(part.is_cancelled());
    assert!(!whole.is_cancelled() && !other.is_cancelled());
    whole.cancel();
    assert!(other.is_cancelled() && other.of_part().is_cancelled());
}

#[test]
fn a_product_is_the_same_to_the_bit_with_any_number_of_threads() {
    for [rows, outputs, inputs] in [1, 95, 97, 385, 577, 769, 833]
        .into_iter()
        .flat_map(|rows| [[rows, 64, 768], [rows, 316, 1100]])
    {
        for epilogue in [Epilogue::Add, Epilogue::Geglu] {
            let product = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
                pool.build().unwrap().install(|| {
                    let (context, mut random) = (context(), Random(rows as u64));
                    let ops = Ops::new(&context, Activations::F32);
                    let weights = numbers(outputs * inputs, &mut random);
                    let bias = numbers(outputs, &mut random);
                    let linear =
                        Linear::load(&ops, [outputs, inputs], true, Precision::F32, || {
                            Ok::<_, OpError>((weights, Some(bias)))
                        });
                    let given = numbers(rows * inputs, &mut random);
                    let given = matrix(rows, inputs, given, &context);
                    let columns = if epilogue == Epilogue::Geglu {
                        outputs / 2
                    } else {
                        outputs
                    };
                    let before = numbers(rows * columns, &mut random);
                    let mut out = matrix(rows, columns, before, &context);
                    ops.linear(&given, &linear.unwrap(), epilogue, &mut out)
                        .unwrap();
                    let bits = out.values().iter().map(|x| x.to_bits());
                    bits.collect::<Vec<_>>()
                })
            };
            let alone = product(1);
            for threads in [2, 3, 8] {
                assert!(
                    product(threads) == alone,
                    "{rows} × {inputs} by {outputs}, {epilogue:?}: {threads} threads"
                );
            }
        }
    }
}

const SHAPES: [[usize; 3]; 6] = [
    [1, 1, 2],
    [3, 5, 6],
    [97, 33, 66],
    [96, 64, 128],
    [95, 130, 10],
    [193, 40, 2050],
];

/// What a precision makes of published weights: all inputs of the first output first.
fn as_kept(weights: &[f32], inputs: usize, precision: Precision) -> Vec<f32> {
    let row = |row: &[f32]| -> Vec<f32> {
        let greatest = row
            .iter()
            .fold(0.0_f32, |most, weight| most.max(weight.abs()));
        let scale = greatest / 127.0;
        let kept = |&weight: &f32| match precision {
            Precision::F32 => weight,
            Precision::F16 => f16::from_f32(weight).to_f32(),
            Precision::Bf16 => bf16::from_f32(weight).to_f32(),
            Precision::Int8 => (weight / scale).round_ties_even() * scale,
        };
        row.iter().map(kept).collect()
    };
    weights.chunks_exact(inputs).flat_map(row).collect()
}

fn loaded(
    ops: &Ops<'_>,
    [outputs, inputs]: [usize; 2],
    precision: Precision,
    (weights, bias): (&[f32], &[f32]),
) -> Linear {
    Linear::load(ops, [outputs, inputs], true, precision, || {
        Ok::<_, OpError>((weights.to_vec(), Some(bias.to_vec())))
    })
    .unwrap()
}

#[test]
fn products_and_what_follows_them_in_every_format_of_weights() {
    let mut random = Random(1);
    for [rows, inputs, outputs] in SHAPES {
        for precision in Precision::ALL {
            let context = context();
            let ops = Ops::new(&context, Activations::F32);
            let weights = numbers(inputs * outputs, &mut random);
            let bias = numbers(outputs, &mut random);
            let values = numbers(rows * inputs, &mut random);
            let kept = as_kept(&weights, inputs, precision);
            let linear = loaded(&ops, [outputs, inputs], precision, (&weights, &bias));
            let sum = |row: usize, output: usize| -> f64 {
                let row = values[row * inputs..][..inputs].iter();
                let products = row.zip(&kept[output * inputs..]);
                let sum: f64 = products.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                sum + f64::from(bias[output])
            };
            let given = matrix(rows, inputs, values.clone(), &context);
            let before = numbers(rows * outputs, &mut random);
            let half = outputs / 2;
            for epilogue in [
                Epilogue::Store,
                Epilogue::Add,
                Epilogue::Gelu,
                Epilogue::Silu,
                Epilogue::Geglu,
            ] {
                let columns = match epilogue {
                    Epilogue::Geglu => half,
                    _ => outputs,
                };
                let old = before[..rows * columns].to_vec();
                let mut out = matrix(rows, columns, old.clone(), &context);
                ops.linear(&given, &linear, epilogue, &mut out).unwrap();
                let expected: Vec<f64> = (0..rows * columns)
                    .map(|place| {
                        let (row, column) = (place / columns, place % columns);
                        let s = sum(row, column);
                        match epilogue {
                            Epilogue::Store => s,
                            Epilogue::Add => f64::from(old[place]) + s,
                            Epilogue::Gelu => gelu(s),
                            Epilogue::Silu => silu(s),
                            Epilogue::Geglu => s * gelu(sum(row, half + column)),
                        }
                    })
                    .collect();
                let what = format!("{rows}×{inputs}×{outputs} {precision} {epilogue:?}");
                assert_near(&what, out.values(), &expected, 1e-5);
            }
        }
    }
}

/// A result is rounded once, after everything that follows the product.
#[test]
fn results_are_rounded_to_the_format_of_activations_once() {
    let mut random = Random(2);
    let [rows, inputs, outputs] = [97, 33, 65];
    let weights = numbers(inputs * outputs, &mut random);
    let bias = numbers(outputs, &mut random);
    let values = numbers(rows * inputs, &mut random);
    let run = |activations: Activations| {
        let context = context();
        let ops = Ops::new(&context, activations);
        let linear = loaded(&ops, [outputs, inputs], Precision::F32, (&weights, &bias));
        let given = matrix(rows, inputs, values.clone(), &context);
        let mut out = ops.matrix(rows, outputs, "a test").unwrap();
        ops.linear(&given, &linear, Epilogue::Silu, &mut out)
            .unwrap();
        out.values().to_vec()
    };
    let wide = run(Activations::F32);
    for activations in [Activations::F16, Activations::Bf16] {
        let mut rounded = wide.clone();
        activations.round(&mut rounded);
        assert!(rounded != wide);
        assert_eq!(run(activations), rounded, "{activations:?}");
    }
}

#[test]
fn attention_of_any_length_and_heads_in_the_middle_of_rows() {
    let mut random = Random(3);
    for [queries, keys, count, width] in [
        [1, 1, 1, 8],
        [5, 3, 2, 8],
        [97, 130, 3, 64],
        [33, 257, 2, 40],
        [200, 64, 1, 128],
    ] {
        let context = context();
        let ops = Ops::new(&context, Activations::F32);
        let heads = Heads { count, width };
        let columns = heads.columns();
        // Queries with something before them; keys and values side by side.
        let q = numbers(queries * (columns + 3), &mut random);
        let kv = numbers(keys * 2 * columns, &mut random);
        let asked = matrix(queries, columns + 3, q.clone(), &context);
        let known = matrix(keys, 2 * columns, kv.clone(), &context);
        let mut out = ops.matrix(queries, columns, "a test").unwrap();
        let view = |matrix, first| View { matrix, first };
        ops.attention(
            view(&asked, 3),
            view(&known, 0),
            view(&known, columns),
            heads,
            &mut out,
        )
        .unwrap();
        let mut expected = vec![0.0; queries * columns];
        for (query, row) in expected.chunks_exact_mut(columns).enumerate() {
            for (head, out) in row.chunks_exact_mut(width).enumerate() {
                let q = &q[query * (columns + 3) + 3 + head * width..][..width];
                let at = |key: usize| &kv[key * 2 * columns + head * width..];
                let score = |key: usize| -> f64 {
                    let products = q.iter().zip(at(key));
                    let sum: f64 = products.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                    (sum / (width as f64).sqrt()).exp()
                };
                let scores: Vec<f64> = (0..keys).map(score).collect();
                let total: f64 = scores.iter().sum();
                for (key, score) in scores.iter().enumerate() {
                    for (out, value) in out.iter_mut().zip(&at(key)[columns..]) {
                        *out += score / total * f64::from(*value);
                    }
                }
            }
        }
        let what = format!("{queries} to {keys}, {count} × {width}");
        assert_near(&what, out.values(), &expected, 1e-5);
    }
}

fn normed(values: &[f64], epsilon: f64) -> Vec<f64> {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / values.len() as f64;
    let scale = 1.0 / (variance + epsilon).sqrt();
    values.iter().map(|x| (x - mean) * scale).collect()
}

#[test]
fn norms_of_rows_and_of_groups() {
    let mut random = Random(4);
    for [rows, columns, groups] in [[1, 4, 2], [3, 6, 3], [97, 768, 32], [200, 130, 13]] {
        let context = context();
        let ops = Ops::new(&context, Activations::F32);
        // Far from 0: the mean has to go before the squares are added up.
        let values: Vec<f32> = numbers(rows * columns, &mut random)
            .into_iter()
            .map(|x| 30.0 + x)
            .collect();
        let (gain, bias) = (numbers(columns, &mut random), numbers(columns, &mut random));
        let norm = Norm::new(&ops, columns, gain.clone(), bias.clone(), 1e-5).unwrap();
        let given = matrix(rows, columns, values.clone(), &context);
        let mut out = ops.matrix(rows, columns, "a test").unwrap();
        let wide: Vec<f64> = values.iter().map(|x| f64::from(*x)).collect();
        let scaled = |place: usize, x: f64| {
            let column = place % columns;
            x * f64::from(gain[column]) + f64::from(bias[column])
        };
        ops.layer_norm(&given, &norm, &mut out).unwrap();
        let rows_normed = wide.chunks_exact(columns).flat_map(|row| normed(row, 1e-5));
        let expected: Vec<f64> = rows_normed
            .enumerate()
            .map(|(place, x)| scaled(place, x))
            .collect();
        let what = format!("{rows}×{columns}");
        assert_near(&what, out.values(), &expected, 2e-5);

        ops.group_norm(&given, groups, &norm, &mut out).unwrap();
        let width = columns / groups;
        let mut expected = vec![0.0; rows * columns];
        for group in 0..groups {
            let places = (0..rows * columns).filter(|place| place % columns / width == group);
            let places: Vec<usize> = places.collect();
            let values: Vec<f64> = places.iter().map(|&place| wide[place]).collect();
            for (&place, x) in places.iter().zip(normed(&values, 1e-5)) {
                expected[place] = scaled(place, x);
            }
        }
        assert_near(&what, out.values(), &expected, 2e-5);
    }
}

/// The perceptron over three planes: as published, the first layer after the sampling.
#[test]
fn planes_are_sampled_and_decoded_at_any_point() {
    let mut random = Random(5);
    let (side, channels, width, radius) = (5_usize, 3, 9, 0.87_f32);
    let context = context();
    let ops = Ops::new(&context, Activations::F32);
    let features = numbers(3 * side * side * channels, &mut random);
    let sizes = [
        (3 * channels, width),
        (width, width),
        (width, width),
        (width, 4),
    ];
    let layers: Vec<(Vec<f32>, Vec<f32>, usize)> = sizes
        .iter()
        .map(|&(inputs, outputs)| {
            let weights = numbers(inputs * outputs, &mut random);
            (weights, numbers(outputs, &mut random), inputs)
        })
        .collect();
    let given = layers
        .iter()
        .map(|(weights, bias, inputs)| Layer::from_published(weights, *inputs, bias.clone()));
    let planes = matrix(3 * side * side, channels, features.clone(), &context);
    let triplane = Triplane::new(&ops, &planes, radius, width, given.collect(), 1).unwrap();

    // Inside, on the border, and outside, where planes have nothing.
    let points: Vec<[f32; 3]> = (0..700)
        .map(|_| [0; 3].map(|_: i32| random.uniform(-1.1 * radius, 1.1 * radius)))
        .collect();
    let sampled = |point: [f32; 3]| -> Vec<f64> {
        let mut numbers = Vec::new();
        for (plane, [across, down]) in [[0, 1], [0, 2], [1, 2]].into_iter().enumerate() {
            let at = |axis: usize| {
                ((f64::from(point[axis]) / f64::from(radius) + 1.0) * side as f64 - 1.0) / 2.0
            };
            let (x, y) = (at(across), at(down));
            for channel in 0..channels {
                let texel = |column: f64, row: f64| {
                    let range = 0.0..side as f64;
                    if !range.contains(&column) || !range.contains(&row) {
                        return 0.0;
                    }
                    let place = (plane * side + row as usize) * side + column as usize;
                    f64::from(features[place * channels + channel])
                };
                let (left, top) = (x.floor(), y.floor());
                let (fx, fy) = (x - left, y - top);
                numbers.push(
                    texel(left, top) * (1.0 - fx) * (1.0 - fy)
                        + texel(left + 1.0, top) * fx * (1.0 - fy)
                        + texel(left, top + 1.0) * (1.0 - fx) * fy
                        + texel(left + 1.0, top + 1.0) * fx * fy,
                );
            }
        }
        numbers
    };
    let expected: Vec<f64> = points
        .iter()
        .flat_map(|&point| {
            let mut row = sampled(point);
            for (place, (weights, bias, inputs)) in layers.iter().enumerate() {
                let outputs = weights.chunks_exact(*inputs).zip(bias);
                row = outputs
                    .map(|(weights, bias)| {
                        let products = row.iter().zip(weights);
                        let sum: f64 = products.map(|(a, b)| a * f64::from(*b)).sum();
                        let sum = sum + f64::from(*bias);
                        if place + 1 < layers.len() {
                            silu(sum)
                        } else {
                            sum
                        }
                    })
                    .collect();
            }
            row
        })
        .collect();
    let mut decoded = vec![[0.0; 4]; points.len()];
    triplane.decode(&points, &mut decoded).unwrap();
    assert_near("decoded", decoded.as_flattened(), &expected, 1e-5);
    for (point, decoded) in points.iter().zip(&decoded).take(50) {
        let (density, _) = triplane.density_and_gradient(*point);
        assert!((density - decoded[0]).abs() < 1e-4);
    }
}

#[test]
fn resizing_to_the_same_size_and_of_one_colour_changes_nothing() {
    let mut random = Random(6);
    let image = resize::Raster {
        width: 37,
        height: 23,
        channels: 3,
        values: numbers(37 * 23 * 3, &mut random),
    };
    let same = resize::bilinear_antialiased(&image, 37, 23);
    assert_eq!(same, image);
    let same = resize::bicubic(&image, 37, 23, None);
    for (a, b) in same.values.iter().zip(&image.values) {
        assert!((a - b).abs() < 1e-6);
    }
    let even = resize::Raster {
        values: vec![0.4; 37 * 23 * 3],
        ..image
    };
    for (width, height) in [(1, 1), (5, 91), (64, 7), (513, 2)] {
        for resized in [
            resize::bilinear_antialiased(&even, width, height),
            resize::bicubic(&even, width, height, None),
        ] {
            assert_eq!(resized.values.len(), width * height * 3);
            assert!(resized.values.iter().all(|x| (x - 0.4).abs() < 1e-5));
        }
    }
}

/// From a flag raised by another thread: between blocks, and not at the end of the whole.
#[test]
fn operators_stop_between_blocks() {
    let context = context();
    let ops = Ops::new(&context, Activations::F32);
    let (rows, columns) = (1500, 512);
    let ones = matrix(rows, columns, vec![0.01; rows * columns], &context);
    let weights = vec![0.01; columns * columns];
    let bias = vec![0.0; columns];
    let linear = loaded(&ops, [columns, columns], Precision::F32, (&weights, &bias));
    let mut out = ops.matrix(rows, columns, "a test").unwrap();
    let heads = Heads {
        count: 8,
        width: 64,
    };
    let view = |matrix| View { matrix, first: 0 };
    let raised = context.cancel.clone();
    let raiser = std::thread::Builder::new()
        .name("raiser".into())
        .spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(150));
            raised.cancel();
        })
        .unwrap();
    // As a model does: one after another, until one says that it was stopped.
    let stopped = loop {
        if let Err(error) = ops.linear(&ones, &linear, Epilogue::Gelu, &mut out) {
            break error;
        }
        if let Err(error) = ops.attention(view(&ones), view(&ones), view(&ones), heads, &mut out) {
            break error;
        }
    };
    raiser.join().unwrap();
    assert_eq!(stopped, OpError::Cancelled);
    let norm = Norm::new(&ops, columns, vec![1.0; columns], vec![0.0; columns], 1e-5).unwrap();
    assert!(ops.layer_norm(&ones, &norm, &mut out).is_err());
}
