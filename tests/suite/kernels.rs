//! The small CUDA kernels on the emulator, against plain 64-bit arithmetic; the embedded binaries.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use orfeas::compute::kernels::{
    BINARIES, Binary, BinaryParams, CastParams, File, GatedParams, GatherParams, GroupNormParams,
    Launch, Number, PlanesParams, RowNormParams, SlopedParams, StridedParams, Target,
    TransposeParams, UnaryParams, WordSize,
};

use crate::kernels_emulator::{Build, Memory, assert_near, decode, encode, numbers, tolerance};
use crate::kernels_matrix::activate;
use crate::random::Random;

/// The small kernels have nothing that differs between targets but the conversions of `kit.cuh`, which only a
/// device runs.
const BUILDS: [Build; 2] = [Build::Ampere, Build::Sanitized];

fn wide(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().map(|x| f64::from(*x)).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// To mean 0, or not, and variance or mean square 1.
fn normalise(values: &mut [f64], subtract_mean: bool, epsilon: f64) {
    let middle = if subtract_mean { mean(values) } else { 0.0 };
    values.iter_mut().for_each(|x| *x -= middle);
    let squares: Vec<f64> = values.iter().map(|x| x * x).collect();
    let scale = 1.0 / (mean(&squares) + epsilon).sqrt();
    values.iter_mut().for_each(|x| *x *= scale);
}

#[test]
fn rows_are_normalised() {
    // Tokens with heads and a gap after them; far from 0, where differences of sums would cancel.
    let (tokens, heads) = (5, 3);
    for (number, build) in Number::ALL.into_iter().flat_map(|n| BUILDS.map(|b| (n, b))) {
        for width in [1, 8, 40, 129] {
            for subtract_mean in [true, false] {
                let mut random = Random(width as u64);
                let stride = heads * width + 3;
                let offset = if number == Number::F32 { 100.0 } else { 2.0 };
                let x: Vec<f32> = numbers(&mut random, number, tokens * stride)
                    .iter()
                    .map(|x| x + offset)
                    .collect();
                let x = decode(number, &encode(number, &x));
                let weight = numbers(&mut random, Number::F32, width);
                let bias = numbers(&mut random, Number::F32, width);
                let mut memory = Memory::default();
                let at = memory.put_numbers(number, &x);
                let params = RowNormParams {
                    x: at,
                    weight: memory.put_numbers(Number::F32, &weight),
                    bias: if subtract_mean {
                        memory.put_numbers(Number::F32, &bias)
                    } else {
                        0
                    },
                    y: at,
                    x_outer: stride as i64,
                    x_inner: width as i64,
                    y_outer: stride as i64,
                    y_inner: width as i64,
                    rows: (tokens * heads) as i64,
                    inner: heads as i32,
                    width: width as i32,
                    epsilon: 1e-5,
                    padding: 0,
                };
                let launch = if subtract_mean {
                    params.layer_norm(number)
                } else {
                    params.rms_norm(number)
                };
                let found = memory.run_numbers(&launch.unwrap(), build, at, number);
                let mut expected = wide(&x);
                for row in 0..tokens * heads {
                    let start = row / heads * stride + row % heads * width;
                    let values = &mut expected[start..][..width];
                    normalise(values, subtract_mean, 1e-5);
                    for (i, value) in values.iter_mut().enumerate() {
                        *value *= f64::from(weight[i]);
                        *value += if subtract_mean {
                            f64::from(bias[i])
                        } else {
                            0.0
                        };
                    }
                }
                // The mean of numbers near 100 is rounded at 100, not at their differences.
                let allowed = tolerance(number).max(4e-5);
                let what = format!("{build:?} {number:?} {width} mean {subtract_mean}");
                assert_near(&what, &found, &expected, allowed);
            }
        }
    }
}

#[test]
fn groups_are_normalised_in_either_layout() {
    let (batches, tokens, channels, groups) = (2, 37, 12, 3);
    let (width, all) = (channels / groups, tokens * channels);
    let by_token = [all as i64, channels as i64, 1];
    let by_channel = [all as i64, 1, tokens as i64];
    for (number, build) in Number::ALL.into_iter().flat_map(|n| BUILDS.map(|b| (n, b))) {
        for (from, to) in [(by_token, by_token), (by_channel, by_token)] {
            let mut random = Random(7);
            let x = numbers(&mut random, number, batches * all);
            let weight = numbers(&mut random, Number::F32, channels);
            let bias = numbers(&mut random, Number::F32, channels);
            let mut memory = Memory::default();
            let params = GroupNormParams {
                x: memory.put_numbers(number, &x),
                weight: memory.put_numbers(Number::F32, &weight),
                bias: memory.put_numbers(Number::F32, &bias),
                y: memory.put_numbers(number, &vec![7.0; x.len()]),
                x_strides: from,
                y_strides: to,
                tokens: tokens as i32,
                channels: channels as i32,
                groups: groups as i32,
                epsilon: 1e-6,
            };
            let launch = params.launch(number, batches as u32).unwrap();
            let found = memory.run_numbers(&launch, build, params.y, number);
            let at = |s: [i64; 3], b: usize, t: usize, c: usize| {
                b * s[0] as usize + t * s[1] as usize + c * s[2] as usize
            };
            let mut expected = vec![0.0; x.len()];
            for (batch, group) in (0..batches).flat_map(|b| (0..groups).map(move |g| (b, g))) {
                let places: Vec<(usize, usize)> = (0..tokens)
                    .flat_map(|t| (group * width..(group + 1) * width).map(move |c| (t, c)))
                    .collect();
                let mut values: Vec<f64> = places
                    .iter()
                    .map(|(t, c)| f64::from(x[at(from, batch, *t, *c)]))
                    .collect();
                normalise(&mut values, true, 1e-6);
                for ((t, c), value) in places.iter().zip(values) {
                    expected[at(to, batch, *t, *c)] =
                        value * f64::from(weight[*c]) + f64::from(bias[*c]);
                }
            }
            assert_near(
                &format!("{build:?} {number:?}"),
                &found,
                &expected,
                tolerance(number),
            );
        }
    }
}

#[test]
fn numbers_are_activated_added_and_multiplied() {
    let count = 777;
    for (number, build) in Number::ALL.into_iter().flat_map(|n| BUILDS.map(|b| (n, b))) {
        let mut random = Random(3);
        let x = numbers(&mut random, number, count * 2);
        let y = numbers(&mut random, number, 7);
        let mut memory = Memory::default();
        let (at_x, at_y) = (
            memory.put_numbers(number, &x),
            memory.put_numbers(number, &y),
        );
        let to = memory.put_numbers(number, &vec![7.0; count]);
        let check = |what: &str, launch, expected: &[f64]| {
            let found = memory.run_numbers(&launch, build, to, number);
            assert_near(
                &format!("{build:?} {number:?} {what}"),
                &found,
                expected,
                tolerance(number),
            );
        };
        for activation in 0..=5 {
            let params = UnaryParams {
                x: at_x,
                y: to,
                count: count as i64,
                alpha: 3.0,
                beta: -1.0,
                activation,
                padding: 0,
            };
            let expected: Vec<f64> = x[..count]
                .iter()
                .map(|x| activate(3.0 * f64::from(*x) - 1.0, activation))
                .collect();
            check(
                &format!("activation {activation}"),
                params.launch(number).unwrap(),
                &expected,
            );
        }
        for multiply in [0, 1] {
            let params = BinaryParams {
                x: at_x,
                y: at_y,
                z: to,
                count: count as i64,
                period: 7,
                alpha: 0.5,
                beta: -2.0,
                multiply,
                padding: 0,
            };
            let pair = |i: usize| (f64::from(x[i]), f64::from(y[i % 7]));
            let expected: Vec<f64> = (0..count)
                .map(pair)
                .map(|(x, y)| {
                    if multiply == 1 {
                        0.5 * x * y
                    } else {
                        0.5 * x - 2.0 * y
                    }
                })
                .collect();
            check(
                &format!("multiply {multiply}"),
                params.launch(number).unwrap(),
                &expected,
            );
        }
    }
}

#[test]
fn halves_of_rows_are_gated_by_each_other() {
    let count = 777;
    for (number, build) in Number::ALL.into_iter().flat_map(|n| BUILDS.map(|b| (n, b))) {
        let mut random = Random(3);
        let x = numbers(&mut random, number, count * 2);
        let mut memory = Memory::default();
        let at_x = memory.put_numbers(number, &x);
        let to = memory.put_numbers(number, &vec![7.0; count]);
        let check = |what: &str, launch, expected: &[f64]| {
            let found = memory.run_numbers(&launch, build, to, number);
            assert_near(
                &format!("{build:?} {number:?} {what}"),
                &found,
                expected,
                tolerance(number),
            );
        };
        for (first_is_gate, activation) in [(0, 1), (1, 3)] {
            let width = 37;
            let params = GatedParams {
                x: at_x,
                y: to,
                rows: (count / width) as i64,
                width: width as i32,
                activation,
                first_is_gate,
                padding: 0,
            };
            let expected: Vec<f64> = (0..count)
                .map(|i| {
                    let at = i / width * width * 2 + i % width;
                    let (first, second) = (f64::from(x[at]), f64::from(x[at + width]));
                    if first_is_gate == 1 {
                        activate(first, activation) * second
                    } else {
                        first * activate(second, activation)
                    }
                })
                .collect();
            check("gated", params.launch(number).unwrap(), &expected);
        }
    }
}

#[test]
fn casts_round_to_the_nearest_and_keep_what_is_special() {
    let mut x = vec![
        0.0,
        -0.0,
        1.0,
        -65504.0,
        65519.9,
        65520.0,
        1e30,
        -1e-8,
        6e-8,
        3e-5,
        1.000_488_3,
        1.001_464_8,
        1.003_906_3,
        1.011_718_8,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
    ];
    x.extend(numbers(&mut Random(5), Number::F32, 300));
    for (from, build) in Number::ALL.into_iter().flat_map(|n| BUILDS.map(|b| (n, b))) {
        for to in Number::ALL.into_iter().filter(|to| *to != from) {
            let held = decode(from, &encode(from, &x));
            let mut memory = Memory::default();
            let params = CastParams {
                x: memory.put(&encode(from, &held)),
                y: memory.put(&encode(to, &vec![7.0; x.len()])),
                count: x.len() as i64,
            };
            let launch = params.launch(from, to).unwrap();
            let found = memory.run_numbers(&launch, build, params.y, to);
            for (i, expected) in decode(to, &encode(to, &held)).iter().enumerate() {
                let same = found[i].to_bits() == expected.to_bits();
                assert!(
                    same || found[i].is_nan() && expected.is_nan(),
                    "{build:?} {from:?} to {to:?}: {} became {}, expected {expected}",
                    held[i],
                    found[i]
                );
            }
        }
    }
}

#[test]
fn planes_are_sampled_between_their_pixels_and_zero_outside() {
    let (side, channels) = (5, 3);
    let mut random = Random(11);
    let mut points: Vec<f32> = (0..100 * 3).map(|_| random.uniform(-0.6, 0.6)).collect();
    points.extend([0.5, -0.5, 0.5, 1e30, 0.0, 0.0, 0.0, f32::NEG_INFINITY, 0.2]);
    for (number, build) in Number::ALL.into_iter().flat_map(|n| BUILDS.map(|b| (n, b))) {
        let planes = numbers(&mut random, number, 3 * side * side * channels);
        let count = points.len() / 3;
        let mut memory = Memory::default();
        let params = PlanesParams {
            planes: memory.put_numbers(number, &planes),
            points: memory.put_numbers(Number::F32, &points),
            y: memory.put_numbers(number, &vec![7.0; count * 3 * channels]),
            points_count: count as i64,
            side: side as i32,
            channels: channels as i32,
            scale: 2.0,
            padding: 0,
        };
        let launch = params.launch(number).unwrap();
        let found = memory.run_numbers(&launch, build, params.y, number);
        let mut expected = Vec::new();
        for point in points.chunks_exact(3) {
            for (plane, axes) in [[0, 1], [0, 2], [1, 2]].into_iter().enumerate() {
                // Every pixel has a tent around its centre.
                let place = axes.map(|axis| (f64::from(point[axis]) * 2.0 + 1.0) * 2.5 - 0.5);
                for channel in 0..channels {
                    let mut sum = 0.0;
                    for (row, column) in (0..side).flat_map(|r| (0..side).map(move |c| (r, c))) {
                        let tent =
                            |at: f64, centre: usize| (1.0 - (at - centre as f64).abs()).max(0.0);
                        let value =
                            planes[((plane * side + row) * side + column) * channels + channel];
                        sum += tent(place[0], column) * tent(place[1], row) * f64::from(value);
                    }
                    expected.push(sum);
                }
            }
        }
        assert_near(
            &format!("{build:?} {number:?}"),
            &found,
            &expected,
            tolerance(number),
        );
    }
}

#[test]
fn planes_and_a_perceptron_tell_how_they_grow() {
    let (side, channels, width) = (5, 3, 9);
    let mut random = Random(12);
    let mut points: Vec<f32> = (0..60 * 3).map(|_| random.uniform(-0.52, 0.52)).collect();
    points.extend([1e30, 0.01, 0.02, 0.1, f32::NEG_INFINITY, 0.2]);
    let count = points.len() / 3;
    let planes = numbers(&mut random, Number::F32, 3 * side * side * channels);
    let bias = numbers(&mut random, Number::F32, width);
    let sums = numbers(&mut random, Number::F32, count * 4 * width);
    for build in BUILDS {
        let mut memory = Memory::default();
        let params = PlanesParams {
            planes: memory.put_numbers(Number::F32, &planes),
            points: memory.put_numbers(Number::F32, &points),
            y: memory.put_numbers(Number::F32, &vec![7.0; count * 4 * 3 * channels]),
            points_count: count as i64,
            side: side as i32,
            channels: channels as i32,
            scale: 2.0,
            padding: 0,
        };
        let launch = params.launch_with_slopes().unwrap();
        let found = memory.run_numbers(&launch, build, params.y, Number::F32);
        let mut expected = Vec::new();
        for point in points.chunks_exact(3) {
            let mut rows = vec![vec![0.0; 3 * channels]; 4];
            for (plane, axes) in [[0, 1], [0, 2], [1, 2]].into_iter().enumerate() {
                let place = axes.map(|axis| (f64::from(point[axis]) * 2.0 + 1.0) * 2.5 - 0.5);
                for (row, column) in (0..side).flat_map(|r| (0..side).map(move |c| (r, c))) {
                    // A pixel's tent around its centre, and its slope: 5 pixels a unit.
                    let tent = |at: f64, centre: usize| {
                        let away = at - centre as f64;
                        let height = (1.0 - away.abs()).max(0.0);
                        let rises = if away < 0.0 { 5.0 } else { -5.0 };
                        (height, if height > 0.0 { rises } else { 0.0 })
                    };
                    let (across, down) = (tent(place[0], column), tent(place[1], row));
                    for channel in 0..channels {
                        let texel = ((plane * side + row) * side + column) * channels + channel;
                        let (value, to) = (f64::from(planes[texel]), plane * channels + channel);
                        rows[0][to] += across.0 * down.0 * value;
                        rows[1 + axes[0]][to] += across.1 * down.0 * value;
                        rows[1 + axes[1]][to] += across.0 * down.1 * value;
                    }
                }
            }
            expected.extend(rows.concat());
        }
        assert_near(&format!("planes {build:?}"), &found, &expected, 2e-5);

        let mut memory = Memory::default();
        let params = SlopedParams {
            x: memory.put_numbers(Number::F32, &sums),
            bias: memory.put_numbers(Number::F32, &bias),
            points_count: count as i64,
            width: width as i32,
            padding: 0,
        };
        let found = memory.run_numbers(&params.launch().unwrap(), build, params.x, Number::F32);
        let mut expected = wide(&sums);
        for rows in expected.chunks_exact_mut(4 * width) {
            for column in 0..width {
                let sum = rows[column] + f64::from(bias[column]);
                let gate = 1.0 / (1.0 + (-sum).exp());
                rows[column] = sum * gate;
                let slope = gate + sum * gate * (1.0 - gate);
                (1..4).for_each(|axis| rows[axis * width + column] *= slope);
            }
        }
        assert_near(&format!("SiLU {build:?}"), &found, &expected, 2e-6);
    }
}

/// Words to move, all different.
fn words(word: WordSize, count: usize) -> Vec<u8> {
    (0..count as u32)
        .flat_map(|i| match word {
            WordSize::Two => (i as u16).to_le_bytes().to_vec(),
            WordSize::Four => (i * 65_537).to_le_bytes().to_vec(),
        })
        .collect()
}

const WORDS: [(WordSize, usize); 2] = [(WordSize::Two, 2), (WordSize::Four, 4)];

/// Fails unless the buffer at `to` holds the words of `from` in this order, zeros for none, afterwards.
#[track_caller]
fn expect_words(
    memory: &Memory,
    launch: &Launch,
    build: Build,
    to: u64,
    (from, size): (&[u8], usize),
    order: &[Option<usize>],
) {
    let expected: Vec<u8> = order
        .iter()
        .flat_map(|i| i.map_or(vec![0; size], |i| from[i * size..][..size].to_vec()))
        .collect();
    assert!(
        memory.run(launch, build, to) == expected,
        "{build:?} {launch:?}"
    );
}

#[test]
fn words_are_transposed() {
    for ((word, size), build) in WORDS.into_iter().flat_map(|w| BUILDS.map(|b| (w, b))) {
        let mut memory = Memory::default();
        let (rows, columns) = (35, 70);
        let x = words(word, 2 * rows * columns);
        let (from, to) = (memory.put(&x), memory.put(&vec![0xee; x.len()]));
        let params = TransposeParams {
            x: from,
            y: to,
            rows: rows as i32,
            columns: columns as i32,
        };
        let order: Vec<_> = (0..2 * rows * columns)
            .map(|i| (i / (rows * columns), i % (rows * columns)))
            .map(|(batch, i)| Some(batch * rows * columns + i % rows * columns + i / rows))
            .collect();
        expect_words(
            &memory,
            &params.launch(word, 2).unwrap(),
            build,
            to,
            (&x, size),
            &order,
        );
    }
}

#[test]
fn pixels_of_tokens_are_put_side_by_side() {
    for ((word, size), build) in WORDS.into_iter().flat_map(|w| BUILDS.map(|b| (w, b))) {
        // Four pixels of each token, as a transposed convolution of 2 × 2 leaves them, side by side.
        let (height, width, channels) = (5, 7, 3);
        let count = height * width * 4 * channels;
        let x = words(word, count);
        let mut memory = Memory::default();
        let (from, to) = (memory.put(&x), memory.put(&vec![0xee; x.len()]));
        let (w, c) = (width as i64, channels as i64);
        let params = StridedParams {
            x: from,
            y: to,
            x_stride: [w * 4 * c, 4 * c, 2 * c, c, 1],
            y_stride: [4 * w * c, 2 * c, 2 * w * c, c, 1],
            size: [height as i32, width as i32, 2, 2, channels as i32],
            padding: 0,
        };
        let order: Vec<_> = (0..count)
            .map(|i| {
                (
                    i / (2 * width * channels),
                    i / channels % (2 * width),
                    i % channels,
                )
            })
            .map(|(row, column, channel)| {
                let token = row / 2 * width + column / 2;
                Some((token * 4 + row % 2 * 2 + column % 2) * channels + channel)
            })
            .collect();
        expect_words(
            &memory,
            &params.launch(word).unwrap(),
            build,
            to,
            (&x, size),
            &order,
        );
    }
}

#[test]
fn rows_are_gathered_and_zero_where_there_is_none() {
    for ((word, size), build) in WORDS.into_iter().flat_map(|w| BUILDS.map(|b| (w, b))) {
        let (index, width) = ([3, 0, -1, 9, 10, 3, i32::MAX, i32::MIN], 13);
        let x = words(word, 10 * width);
        let mut memory = Memory::default();
        let params = GatherParams {
            x: memory.put(&x),
            index: memory.put(bytemuck::cast_slice(&index)),
            y: memory.put(&vec![0xee; index.len() * width * size]),
            rows: index.len() as i64,
            source_rows: 10,
            width: width as i64,
        };
        let order: Vec<_> = index
            .iter()
            .flat_map(|row| (0..width).map(move |i| usize::try_from(*row).ok().map(|r| (r, i))))
            .map(|at| at.filter(|(r, _)| *r < 10).map(|(r, i)| r * width + i))
            .collect();
        expect_words(
            &memory,
            &params.launch(word).unwrap(),
            build,
            params.y,
            (&x, size),
            &order,
        );
    }
}

#[test]
fn every_device_from_turing_on_gets_a_binary() {
    for file in File::ALL {
        for (capability, target) in [
            ((7, 5), Target::Ptx(7, 5)),
            ((8, 0), Target::Cubin(8, 0)),
            ((8, 6), Target::Cubin(8, 6)),
            ((8, 7), Target::Cubin(8, 6)),
            ((8, 9), Target::Cubin(8, 6)),
            ((9, 0), Target::Cubin(9, 0)),
            ((10, 0), Target::Ptx(8, 0)),
            ((12, 0), Target::Cubin(12, 0)),
        ] {
            let chosen = Binary::choose(file, capability).unwrap();
            assert_eq!(chosen.target, target, "{file:?} {capability:?}");
        }
        assert!(Binary::choose(file, (7, 0)).is_none());
    }
}

#[derive(serde::Deserialize)]
struct Manifest {
    sources: BTreeMap<String, String>,
    binaries: BTreeMap<String, String>,
    registers: BTreeMap<String, serde_json::Value>,
}

fn shaders() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders/cuda")
}

/// FNV-1a of 64 bits over texts, each ended by a zero, as `build.py` computes it.
fn fnv1a(texts: &[Vec<u8>]) -> u64 {
    let bytes = texts
        .iter()
        .flat_map(|text| text.iter().copied().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |value, byte| {
        (value ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

#[test]
fn the_embedded_binaries_are_those_of_the_sources() {
    let text = fs::read_to_string(shaders().join("binaries/manifest.json")).unwrap();
    let manifest: Manifest = serde_json::from_str(&text).unwrap();
    let again = "run shaders/cuda/build.sh and commit what it makes";
    for file in File::ALL {
        let source = format!("{}.cu", file.name());
        let texts = ["kit.cuh", "activations.cuh", "isosurface.cuh", &source]
            .map(|name| fs::read(shaders().join(name)).unwrap());
        for kernel in String::from_utf8(texts[3].clone()).unwrap().lines() {
            if let Some(rest) = kernel.strip_prefix("KIT_KERNEL(") {
                let name = rest.split(',').next().unwrap();
                assert!(manifest.registers.contains_key(name), "{name}: {again}");
            }
        }
        let hash = format!("{:016x}", fnv1a(&texts));
        assert_eq!(manifest.sources[file.name()], hash, "{source}: {again}");
    }
    assert_eq!(manifest.binaries.len(), BINARIES.len());
    for binary in BINARIES {
        let content = binary.content().unwrap();
        let mut crc = flate2::Crc::new();
        crc.update(&content);
        let sum = format!("{:08x}", crc.sum());
        assert_eq!(
            manifest.binaries[binary.name], sum,
            "{}: {again}",
            binary.name
        );
        let start: &[u8] = match binary.target {
            Target::Ptx(..) => b"//\n// Generated by NVIDIA NVVM Compiler",
            Target::Cubin(..) => b"\x7fELF",
        };
        assert!(content.starts_with(start), "{}", binary.name);
    }
}
