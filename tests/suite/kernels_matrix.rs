//! Matrix products and attention on the emulator, against plain sums in 64 bits.

use orfeas::compute::kernels::{AttentionParams, GemmFormat, GemmParams, Number, Tile};

use crate::kernels_emulator::{Build, Memory, assert_near, encode, numbers, tolerance};
use crate::random::Random;

/// A matrix product to check.
#[derive(Debug, Clone, Copy)]
struct Product {
    format: GemmFormat,
    tile: Tile,
    m: usize,
    n: usize,
    k: usize,
    batches: usize,
    /// Numbers between the end of a row and the beginning of the next.
    gap: usize,
    activation: i32,
    /// With bias, gate and residual.
    full: bool,
    wide_output: bool,
}

const PLAIN: Product = Product {
    format: GemmFormat::F16,
    tile: Tile::Large,
    m: 0,
    n: 0,
    k: 0,
    batches: 1,
    gap: 0,
    activation: 0,
    full: false,
    wide_output: false,
};

/// Abramowitz and Stegun are not exact enough: the series, and the continued fraction in the tail.
fn erf(x: f64) -> f64 {
    let square = x * x;
    if square < 9.0 {
        let (mut term, mut sum) = (x, x);
        for i in 1..100 {
            term *= -square / f64::from(i);
            sum += term / f64::from(2 * i + 1);
        }
        return sum * 2.0 / std::f64::consts::PI.sqrt();
    }
    let mut fraction = 0.0;
    for i in (1..60).rev() {
        fraction = f64::from(i) / 2.0 / (x.abs() + fraction);
    }
    let rest = (-square).exp() / std::f64::consts::PI.sqrt() / (x.abs() + fraction);
    x.signum() * (1.0 - rest)
}

/// The activations by their numbers.
pub(crate) fn activate(x: f64, activation: i32) -> f64 {
    match activation {
        0 => x,
        1 => 0.5 * x * (1.0 + erf(x / 2f64.sqrt())),
        2 => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
            0.5 * x * (1.0 + inner.tanh())
        }
        3 => x / (1.0 + (-x).exp()),
        4 => 1.0 / (1.0 + (-x).exp()),
        5 => x.exp(),
        _ => panic!("there is no activation {activation}"),
    }
}

/// What goes into a product; what it goes without is empty.
struct Operands {
    a: Vec<f32>,
    weight: Vec<f32>,
    scale: Vec<f32>,
    bias: Vec<f32>,
    gate: Vec<f32>,
    residual: Vec<f32>,
}

/// The product in 64 bits, over what c held before.
fn product_by_hand(product: Product, operands: &Operands, mut expected: Vec<f64>) -> Vec<f64> {
    let Product {
        m, n, k, batches, ..
    } = product;
    let (row, c_row) = (k + product.gap, n + product.gap);
    let Operands {
        a,
        weight,
        scale,
        bias,
        gate,
        residual,
    } = operands;
    for batch in 0..batches {
        for i in 0..m {
            for j in 0..n {
                let (a, b) = (
                    &a[(batch * m + i) * row..][..k],
                    &weight[(batch * n + j) * row..][..k],
                );
                let mut value: f64 = a
                    .iter()
                    .zip(b)
                    .map(|(a, b)| f64::from(*a) * f64::from(*b))
                    .sum();
                value *= 0.5 * scale.get(j).map_or(1.0, |scale| f64::from(*scale));
                value = activate(
                    value + bias.get(j).map_or(0.0, |b| f64::from(*b)),
                    product.activation,
                );
                let at = (batch * m + i) * c_row + j;
                if product.full {
                    value = value * f64::from(gate[j]) + f64::from(residual[at]);
                }
                expected[at] = value;
            }
        }
    }
    expected
}

fn check_product(product: Product, build: Build) {
    let Product {
        m, n, k, batches, ..
    } = product;
    let number = product.format.number();
    let is_int8 = matches!(product.format, GemmFormat::F16Int8 | GemmFormat::Bf16Int8);
    let output = if product.wide_output {
        Number::F32
    } else {
        number
    };
    let mut random = Random((m * 7 + n * 5 + k) as u64);
    let (row, c_row) = (k + product.gap, n + product.gap);
    let a = numbers(&mut random, number, batches * m * row);
    let mut weight = numbers(&mut random, number, batches * n * row);
    let (mut memory, mut scale) = (Memory::default(), Vec::new());
    if is_int8 {
        weight = (0..weight.len())
            .map(|_| random.below(256) as f32 - 128.0)
            .collect();
        scale = (0..n).map(|_| random.uniform(0.004, 0.01)).collect();
    }
    let each = |random: &mut Random| numbers(random, Number::F32, if product.full { n } else { 0 });
    let (bias, gate) = (each(&mut random), each(&mut random));
    let residual = numbers(&mut random, output, batches * m * c_row);
    let filler = vec![7.0; batches * m * c_row];
    let bytes: Vec<u8> = weight.iter().map(|w| (*w as i8).cast_unsigned()).collect();
    let optional = |memory: &mut Memory, values: &[f32]| {
        if values.is_empty() {
            0
        } else {
            memory.put_numbers(Number::F32, values)
        }
    };
    let params = GemmParams {
        a: memory.put_numbers(number, &a),
        weight: if is_int8 {
            memory.put(&bytes)
        } else {
            memory.put_numbers(number, &weight)
        },
        weight_scale: optional(&mut memory, &scale),
        bias: optional(&mut memory, &bias),
        gate: optional(&mut memory, &gate),
        residual: if product.full {
            memory.put_numbers(output, &residual)
        } else {
            0
        },
        c: memory.put_numbers(output, &filler),
        row_offsets: 0,
        a_row: row as i64,
        weight_row: row as i64,
        residual_row: c_row as i64,
        c_row: c_row as i64,
        a_batch: (m * row) as i64,
        weight_batch: (n * row) as i64,
        scale_batch: 0,
        bias_batch: 0,
        gate_batch: 0,
        residual_batch: (m * c_row) as i64,
        c_batch: (m * c_row) as i64,
        m: m as i32,
        n: n as i32,
        k: k as i32,
        activation: product.activation,
        wide_output: i32::from(product.wide_output),
        alpha: 0.5,
    };
    let launch = params
        .launch(product.format, product.tile, batches as u32)
        .unwrap();
    let found = memory.run_numbers(&launch, build, params.c, output);

    let operands = Operands {
        a,
        weight,
        scale,
        bias,
        gate,
        residual,
    };
    let filler = filler.iter().map(|x| f64::from(*x)).collect();
    let expected = product_by_hand(product, &operands, filler);
    let mut allowed = tolerance(output);
    if product.format == GemmFormat::Tf32 {
        // 11 bits of each factor, errors of k products at random.
        allowed = 5e-4 * (k as f64).sqrt().max(1.0);
    } else if output == Number::F32 {
        allowed = 1e-6 * (k as f64).sqrt().max(2.0);
    }
    assert_near(
        &format!("{build:?} {product:?}"),
        &found,
        &expected,
        allowed,
    );
}

/// What the Turing kernels have.
fn is_on_turing(format: GemmFormat) -> bool {
    matches!(
        format,
        GemmFormat::F32 | GemmFormat::F16 | GemmFormat::F16Int8
    )
}

#[test]
fn matrix_products_of_every_format_tile_and_ragged_size() {
    for format in GemmFormat::ALL {
        for tile in [Tile::Small, Tile::Large] {
            if format == GemmFormat::F32 && tile == Tile::Small {
                continue;
            }
            let product = Product {
                format,
                tile,
                ..PLAIN
            };
            for product in [
                Product {
                    m: 1,
                    n: 1,
                    k: 1,
                    ..product
                },
                // Rows of whole 16 bytes, and not; odd numbers of columns; several tiles and stages.
                Product {
                    m: 70,
                    n: 130,
                    k: 96,
                    full: true,
                    ..product
                },
                Product {
                    m: 131,
                    n: 67,
                    k: 77,
                    full: true,
                    activation: 1,
                    ..product
                },
                Product {
                    m: 33,
                    n: 40,
                    k: 112,
                    gap: 16,
                    batches: 2,
                    wide_output: true,
                    ..product
                },
            ] {
                for build in [Build::Ampere, Build::Turing] {
                    if build == Build::Ampere || is_on_turing(format) {
                        check_product(product, build);
                    }
                }
            }
        }
    }
}

#[test]
fn matrix_products_with_every_activation() {
    for activation in 0..=5 {
        for format in [GemmFormat::F32, GemmFormat::Bf16] {
            let product = Product {
                format,
                m: 9,
                n: 31,
                k: 24,
                activation,
                full: true,
                ..PLAIN
            };
            check_product(
                Product {
                    tile: Tile::Small,
                    ..product
                },
                Build::Ampere,
            );
        }
    }
}

#[test]
fn a_product_over_nothing_is_the_bias() {
    check_product(
        Product {
            m: 5,
            n: 6,
            k: 0,
            full: true,
            ..PLAIN
        },
        Build::Ampere,
    );
}

#[test]
fn matrix_products_stay_inside_their_memory() {
    for format in GemmFormat::ALL {
        for (k, gap) in [(40, 0), (45, 2)] {
            let product = Product {
                format,
                m: 66,
                n: 71,
                k,
                gap,
                full: true,
                ..PLAIN
            };
            check_product(
                Product {
                    tile: Tile::Small,
                    ..product
                },
                Build::Sanitized,
            );
            check_product(product, Build::Sanitized);
        }
    }
}

/// Attention to check: heads lie within tokens, as a product leaves them.
fn check_attention(number: Number, [queries, keys, heads, size]: [usize; 4], build: Build) {
    let batches = 2;
    let mut random = Random((queries * 1000 + keys + size) as u64);
    let width = heads * size;
    let q = numbers(&mut random, number, batches * queries * width);
    let k = numbers(&mut random, number, batches * keys * width);
    let v = numbers(&mut random, number, batches * keys * width);
    // Keys and values without a number still have an address.
    let room = |values: &[f32]| {
        if values.is_empty() {
            vec![0.0; 8]
        } else {
            values.to_vec()
        }
    };
    let mut memory = Memory::default();
    let strides = |tokens: usize| [(tokens * width) as i64, width as i64, size as i64];
    let scale = 3.0 / (size as f32).sqrt();
    let params = AttentionParams {
        q: memory.put_numbers(number, &q),
        k: memory.put_numbers(number, &room(&k)),
        v: memory.put_numbers(number, &room(&v)),
        o: memory.put_numbers(number, &vec![7.0; q.len()]),
        q_strides: strides(queries),
        k_strides: strides(keys),
        v_strides: strides(keys),
        o_strides: strides(queries),
        heads: heads as i32,
        queries: queries as i32,
        keys: keys as i32,
        head_size: size as i32,
        scale,
        padding: 0,
    };
    let launch = params.launch(number, batches as u32).unwrap();
    let found = memory.run_numbers(&launch, build, params.o, number);
    let mut expected = vec![0.0; q.len()];
    let part = |all: &[f32], token: usize, head: usize| -> Vec<f64> {
        let at = token * width + head * size;
        all[at..][..size].iter().map(|x| f64::from(*x)).collect()
    };
    for batch in 0..batches {
        for head in 0..heads {
            for query in 0..queries {
                let row = part(&q, batch * queries + query, head);
                let mut total = 0.0;
                let sums = &mut expected[(batch * queries + query) * width + head * size..][..size];
                for key in batch * keys..(batch + 1) * keys {
                    let score: f64 = row
                        .iter()
                        .zip(part(&k, key, head))
                        .map(|(a, b)| a * b)
                        .sum();
                    let weight = (score * f64::from(scale)).exp();
                    total += weight;
                    for (sum, value) in sums.iter_mut().zip(part(&v, key, head)) {
                        *sum += weight * value;
                    }
                }
                for sum in sums.iter_mut().filter(|_| total > 0.0) {
                    *sum /= total;
                }
            }
        }
    }
    let what = format!("{build:?} {number:?} {queries} queries {keys} keys {heads} × {size}");
    // The weights are rounded to the format too.
    assert_near(&what, &found, &expected, 1.5 * tolerance(number));
}

const ATTENTION: [[usize; 4]; 6] = [
    [1, 1, 1, 8],
    [70, 70, 2, 64],
    [33, 150, 2, 40],
    [65, 77, 1, 128],
    [17, 5, 3, 72],
    [3, 0, 1, 16],
];

#[test]
fn attention_of_every_format_and_ragged_size() {
    for shape in ATTENTION {
        for number in Number::ALL {
            check_attention(number, shape, Build::Ampere);
        }
        check_attention(Number::F16, shape, Build::Turing);
    }
}

#[test]
fn attention_stays_inside_its_memory() {
    for shape in ATTENTION {
        for number in Number::ALL {
            check_attention(number, shape, Build::Sanitized);
        }
    }
}

#[test]
fn attention_with_large_scores_does_not_overflow() {
    // All scores are far above the largest exponent; the softmax is uniform.
    let mut memory = Memory::default();
    let strides = [0, 16, 16];
    let params = AttentionParams {
        q: memory.put_numbers(Number::F16, &[60.0; 16 * 16]),
        k: memory.put_numbers(Number::F16, &[60.0; 16 * 16]),
        v: memory.put_numbers(Number::F16, &[0.5; 16 * 16]),
        o: memory.put_numbers(Number::F16, &[7.0; 16 * 16]),
        q_strides: strides,
        k_strides: strides,
        v_strides: strides,
        o_strides: strides,
        heads: 1,
        queries: 16,
        keys: 16,
        head_size: 16,
        scale: 1.0,
        padding: 0,
    };
    let launch = params.launch(Number::F16, 1).unwrap();
    let found = memory.run_numbers(&launch, Build::Ampere, params.o, Number::F16);
    assert_near("uniform", &found, &[0.5; 256], 1e-6);
}

#[test]
fn what_attention_cannot_compute_is_refused_before_a_launch() {
    let fine = AttentionParams {
        head_size: 64,
        heads: 1,
        queries: 1,
        keys: 1,
        ..bytemuck::Zeroable::zeroed()
    };
    assert!(fine.launch(Number::F16, 1).is_ok());
    for size in [0, 4, 12, 136, -8] {
        let params = AttentionParams {
            head_size: size,
            ..fine
        };
        assert!(params.launch(Number::F16, 1).is_err(), "{size}");
    }
    let odd = AttentionParams {
        k_strides: [0, 4, 64],
        ..fine
    };
    assert!(odd.launch(Number::F16, 1).is_err());
    assert!(odd.launch(Number::F32, 1).is_ok());
    assert!(
        AttentionParams { q: 8, ..fine }
            .launch(Number::F16, 1)
            .is_err()
    );
}

#[test]
fn a_256_by_256_by_1024_product() {
    let product = Product {
        m: 256,
        n: 256,
        k: 1024,
        full: true,
        ..PLAIN
    };
    let bytes = encode(Number::F16, &[1.0]);
    assert_eq!(bytes, [0, 0x3c]);
    check_product(product, Build::Ampere);
}
