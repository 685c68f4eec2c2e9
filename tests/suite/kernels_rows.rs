//! Resizing, softmax, the greatest of a row and products of groups of rows, as kernels.

use orfeas::compute::Cancel;
use orfeas::compute::kernels::{
    GemmFormat, GemmParams, Number, ResizeParams, SoftmaxParams, Tile, TopKParams,
};
use orfeas::compute::ops::resize::{
    Neighbours, Raster, bicubic, bicubic_axes, bilinear_antialiased, bilinear_antialiased_axes,
};
use orfeas::compute::ops::select::{softmax, top_k};

use crate::kernels_emulator::{Build, Memory, assert_near, decode, encode, numbers, tolerance};
use crate::random::Random;

const BUILDS: [Build; 2] = [Build::Ampere, Build::Sanitized];

/// Resizes along rows, then down, by the kernel.
fn resized(image: &Raster, [columns, rows]: &[Neighbours; 2], build: Build) -> Vec<f32> {
    let mut memory = Memory::default();
    let mut values = memory.put(bytemuck::cast_slice(&image.values));
    let channels = image.channels as i64;
    for (axis, outer, inner) in [
        (columns, image.height as i64, channels),
        (rows, 1, columns.to() as i64 * channels),
    ] {
        let count = outer as usize * axis.to() * inner as usize;
        let params = ResizeParams {
            x: values,
            y: memory.put(&vec![0xee; count * 4]),
            starts: memory.put(bytemuck::cast_slice(&axis.starts)),
            places: memory.put(bytemuck::cast_slice(&axis.places)),
            weights: memory.put(bytemuck::cast_slice(&axis.weights)),
            outer,
            inner,
            from: axis.from as i32,
            to: axis.to() as i32,
        };
        memory.advance(&params.launch().unwrap(), build);
        values = params.y;
    }
    memory.get(values)
}

#[test]
fn images_are_resized_to_the_processors_bits() {
    let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    for (width, height, to) in [
        (31, 17, [14, 14]),
        (9, 40, [37, 5]),
        (5, 3, [5, 3]),
        (1, 1, [4, 2]),
    ] {
        let image = Raster {
            width,
            height,
            channels: 3,
            values: numbers(&mut Random(5), Number::F32, width * height * 3),
        };
        let scales = Some([0.7, 1.1]);
        let from = [width, height];
        let cases = [
            (
                bilinear_antialiased(&image, to[0], to[1]),
                bilinear_antialiased_axes(from, to),
            ),
            (
                bicubic(&image, to[0], to[1], None),
                bicubic_axes(from, to, None),
            ),
            (
                bicubic(&image, to[0], to[1], scales),
                bicubic_axes(from, to, scales),
            ),
        ];
        for ((expected, axes), build) in cases.iter().flat_map(|case| BUILDS.map(|b| (case, b))) {
            let found = resized(&image, axes, build);
            assert!(
                bits(&found) == bits(&expected.values),
                "{from:?} {to:?} {build:?}"
            );
        }
    }
}

#[test]
fn rows_become_shares_on_both_devices() {
    let (rows, scale) = (19, 3.0);
    for width in [1, 8, 33, 200] {
        for (number, build) in Number::ALL.into_iter().flat_map(|n| BUILDS.map(|b| (n, b))) {
            let stride = width + 3;
            let mut x = numbers(&mut Random(width as u64), number, rows * stride);
            // Far from 0, where an exponential alone would be infinite.
            x[..stride].iter_mut().for_each(|x| *x += 90.0);
            x[stride] = f32::NEG_INFINITY;
            if width == 1 {
                x[stride] = 0.0;
            }
            let x = decode(number, &encode(number, &x));
            let mut memory = Memory::default();
            let params = SoftmaxParams {
                x: memory.put_numbers(number, &x),
                y: memory.put_numbers(number, &vec![7.0; rows * width]),
                x_row: stride as i64,
                y_row: width as i64,
                rows: rows as i64,
                width: width as i32,
                scale,
            };
            let found =
                memory.run_numbers(&params.launch(number).unwrap(), build, params.y, number);
            let mut expected = Vec::new();
            let mut on_processor = Vec::new();
            for row in x.chunks_exact(stride) {
                let row = &row[..width];
                let most = row
                    .iter()
                    .fold(f64::NEG_INFINITY, |most, x| most.max(f64::from(*x)));
                let part = |x: &f32| (f64::from(scale) * (f64::from(*x) - most)).exp();
                let sum: f64 = row.iter().map(part).sum();
                expected.extend(row.iter().map(|x| part(x) / sum));
                on_processor.extend(row);
            }
            let what = format!("{width} {number:?} {build:?}");
            // The exponent of numbers near 270 is rounded at 270.
            let allowed = tolerance(number).max(4e-5);
            assert_near(&what, &found, &expected, allowed);
            softmax(&mut on_processor, width, scale, &Cancel::default()).unwrap();
            assert_near(&what, &on_processor, &expected, 4e-5);
        }
    }
}

#[test]
fn a_row_that_holds_no_number_becomes_none_on_both_devices() {
    let x = [1.0, f32::NAN, 2.0, 3.0];
    let mut memory = Memory::default();
    let at = memory.put_numbers(Number::F32, &x);
    let params = SoftmaxParams {
        x: at,
        y: at,
        x_row: 4,
        y_row: 4,
        rows: 1,
        width: 4,
        scale: 1.0,
    };
    memory.advance(&params.launch(Number::F32).unwrap(), Build::Sanitized);
    assert!(memory.get::<f32>(at).iter().all(|x| x.is_nan()));
    let mut on_processor = x;
    softmax(&mut on_processor, 4, 1.0, &Cancel::default()).unwrap();
    assert!(on_processor.iter().all(|x| x.is_nan()));
}

#[test]
fn the_greatest_come_first_and_of_equal_ones_the_first() {
    let rows = 11;
    for (number, build) in Number::ALL.into_iter().flat_map(|n| BUILDS.map(|b| (n, b))) {
        for (width, k) in [(8, 2), (70, 70), (33, 5), (1, 1), (4, 0)] {
            let mut random = Random(width as u64);
            let mut x = numbers(&mut random, number, rows * width);
            for x in &mut x {
                // Many equal ones, both zeros and what is no number.
                if random.chance(40) {
                    *x = random.pick(&[0.5, -0.0, 0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY]);
                }
            }
            let mut memory = Memory::default();
            let params = TopKParams {
                x: memory.put_numbers(number, &x),
                values: memory.put_numbers(number, &vec![7.0; rows * k]),
                places: memory.put(&vec![0xee; rows * k * 4]),
                x_row: width as i64,
                rows: rows as i64,
                width: width as i32,
                k: k as i32,
            };
            memory.advance(&params.launch(number).unwrap(), build);
            let expected = top_k(&x, width, k, &Cancel::default()).unwrap();
            // By its definition: nothing that was left out comes before what was taken.
            for (row, places) in x.chunks(width).zip(expected.places.chunks(k.max(1))) {
                let taken = |place: usize| places.contains(&(place as u32));
                let last = places.last().map_or(f32::NAN, |place| row[*place as usize]);
                let beats = |place: usize| row[place] > last;
                assert!((0..width).all(|place| k == 0 || taken(place) || !beats(place)));
            }
            let what = format!("{width} {k} {number:?} {build:?}");
            assert_eq!(memory.get::<u32>(params.places), expected.places, "{what}");
            let found: Vec<u8> = memory.get(params.values);
            let found = decode(number, &found);
            for (found, expected) in found.iter().zip(&expected.values) {
                assert!(
                    found == expected || found.is_nan() && expected.is_nan(),
                    "{what}"
                );
            }
        }
    }
    let too_many = TopKParams {
        x: 0,
        values: 0,
        places: 0,
        x_row: 1,
        rows: 1,
        width: 3,
        k: 4,
    };
    assert!(too_many.launch(Number::F32).is_err());
}

#[test]
fn groups_of_rows_are_multiplied_with_weights_of_their_own() {
    // Groups without a row, of one, and across tiles; rows after the last group stay as they are.
    let offsets = [0, 3, 3, 140, 141, 150];
    let (rows, n, k) = (155, 37, 41);
    let groups = offsets.len() - 1;
    for format in [GemmFormat::F32, GemmFormat::F16, GemmFormat::Bf16Int8] {
        for (tile, build) in [Tile::Small, Tile::Large]
            .into_iter()
            .flat_map(|tile| BUILDS.map(|build| (tile, build)))
        {
            let number = format.number();
            let mut random = Random(9);
            let a = numbers(&mut random, number, rows * k);
            let residual = numbers(&mut random, number, rows * n);
            let bias = numbers(&mut random, Number::F32, groups * n);
            let integers: Vec<i8> = (0..groups * n * k)
                .map(|_| random.below(255) as i8)
                .collect();
            let scales = numbers(&mut random, Number::F32, groups * n);
            let weights = numbers(&mut random, number, groups * n * k);
            let is_int8 = format == GemmFormat::Bf16Int8;
            let mut memory = Memory::default();
            let params = GemmParams {
                a: memory.put_numbers(number, &a),
                weight: if is_int8 {
                    memory.put(bytemuck::cast_slice(&integers))
                } else {
                    memory.put_numbers(number, &weights)
                },
                weight_scale: if is_int8 {
                    memory.put_numbers(Number::F32, &scales)
                } else {
                    0
                },
                bias: memory.put_numbers(Number::F32, &bias),
                gate: 0,
                residual: memory.put_numbers(number, &residual),
                c: memory.put_numbers(number, &vec![7.0; rows * n]),
                row_offsets: memory.put(bytemuck::cast_slice::<i32, u8>(&offsets)),
                a_row: k as i64,
                weight_row: k as i64,
                residual_row: n as i64,
                c_row: n as i64,
                a_batch: 0,
                weight_batch: (n * k) as i64,
                scale_batch: n as i64,
                bias_batch: n as i64,
                gate_batch: 0,
                residual_batch: 0,
                c_batch: 0,
                m: rows as i32,
                n: n as i32,
                k: k as i32,
                activation: 0,
                wide_output: 0,
                alpha: 1.0,
            };
            let launch = params.launch(format, tile, groups as u32).unwrap();
            let found = memory.run_numbers(&launch, build, params.c, number);
            let mut expected = vec![7.0; rows * n];
            for group in 0..groups {
                for row in offsets[group] as usize..offsets[group + 1] as usize {
                    for column in 0..n {
                        let of_weights = group * n + column;
                        let weight = |i: usize| {
                            if is_int8 {
                                f64::from(integers[of_weights * k + i])
                                    * f64::from(scales[of_weights])
                            } else {
                                f64::from(weights[of_weights * k + i])
                            }
                        };
                        let sum: f64 = (0..k).map(|i| f64::from(a[row * k + i]) * weight(i)).sum();
                        expected[row * n + column] = sum
                            + f64::from(bias[of_weights])
                            + f64::from(residual[row * n + column]);
                    }
                }
            }
            let what = format!("{format:?} {tile:?} {build:?}");
            assert_near(&what, &found, &expected, tolerance(number).max(1e-5));
        }
    }
}
