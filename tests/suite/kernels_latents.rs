//! Points as sines and cosines, and the steps of a flow, as kernels: against 64-bit arithmetic, and against the
//! processor's operators.

use orfeas::compute::kernels::{FlowStepParams, FourierParams, Number};

use crate::kernels_emulator::{Build, Memory, assert_near, numbers, tolerance};
use crate::random::Random;

const BUILDS: [Build; 2] = [Build::Ampere, Build::Sanitized];

#[test]
fn points_become_their_sines_and_cosines() {
    for (count, frequencies) in [(1, 1), (90, 8), (7, 16), (4, 0)] {
        for (number, build) in Number::ALL.into_iter().flat_map(|n| BUILDS.map(|b| (n, b))) {
            let mut random = Random(count as u64);
            let mut points: Vec<f32> = (0..3 * count).map(|_| random.uniform(-1.2, 1.2)).collect();
            // Where a quarter of a turn ends, as near as a number is to it.
            points[0] = std::f32::consts::FRAC_PI_4;
            points[1] = -std::f32::consts::FRAC_PI_2;
            points[2] = 0.0;
            let columns = 3 * (1 + 2 * frequencies);
            let mut memory = Memory::default();
            let params = FourierParams {
                points: memory.put_numbers(Number::F32, &points),
                y: memory.put_numbers(number, &vec![7.0; count * columns]),
                count: count as i64,
                frequencies: frequencies as i32,
                padding: 0,
            };
            let launch = params.launch(number).unwrap();
            let found = memory.run_numbers(&launch, build, params.y, number);
            let expected: Vec<f64> = points
                .chunks_exact(3)
                .flat_map(|point| {
                    let angles = point.iter().flat_map(|x| {
                        (0..frequencies).map(|power| f64::from(*x) * f64::from(1 << power))
                    });
                    let angles: Vec<f64> = angles.collect();
                    let sines = angles.iter().map(|angle| angle.sin());
                    let cosines = angles.iter().map(|angle| angle.cos());
                    let coordinates = point.iter().map(|x| f64::from(*x));
                    coordinates.chain(sines).chain(cosines).collect::<Vec<_>>()
                })
                .collect();
            // In 32 bits to two of the last bits, also thousands of turns on.
            let most = if number == Number::F32 {
                1.5e-7
            } else {
                tolerance(number)
            };
            let what = format!("{build:?} {number:?} {frequencies}");
            assert_near(&what, &found, &expected, most);
        }
    }
    let params = FourierParams {
        points: 0,
        y: 0,
        count: 0,
        frequencies: 8,
        padding: 0,
    };
    assert!(params.launch(Number::F16).unwrap().is_empty());
    for (count, frequencies) in [(-1, 8), (1, 17), (1, -1)] {
        let wrong = FourierParams {
            count,
            frequencies,
            ..params
        };
        let error = wrong.launch(Number::F16).unwrap_err().to_string();
        assert!(error.contains("it takes 0"), "{error}");
    }
}

#[test]
fn a_step_of_a_flow_is_the_processors_to_the_last_bit() {
    let (count, noise, forward, guidance) = (777, 0.7, 0.3, 7.5);
    for (number, build) in Number::ALL.into_iter().flat_map(|n| BUILDS.map(|b| (n, b))) {
        for is_guided in [true, false] {
            let mut random = Random(3);
            let x = numbers(&mut random, Number::F32, count);
            let c = numbers(&mut random, number, count);
            let u = numbers(&mut random, number, count);
            let mut memory = Memory::default();
            let params = FlowStepParams {
                x: memory.put_numbers(Number::F32, &x),
                clean: memory.put_numbers(Number::F32, &vec![7.0; count]),
                conditional: memory.put_numbers(number, &c),
                unconditional: if is_guided {
                    memory.put_numbers(number, &u)
                } else {
                    0
                },
                count: count as i64,
                noise,
                forward,
                guidance,
                padding: 0,
            };
            memory.advance(&params.launch(number).unwrap(), build);
            let velocity = |i: usize| {
                if is_guided {
                    u[i] + guidance * (c[i] - u[i])
                } else {
                    c[i]
                }
            };
            let along = |share: f32| -> Vec<f32> {
                (0..count).map(|i| x[i] + share * velocity(i)).collect()
            };
            let what = format!("{build:?} {number:?}, guided {is_guided}");
            assert!(memory.get::<f32>(params.clean) == along(noise), "{what}");
            assert!(memory.get::<f32>(params.x) == along(forward), "{what}");
        }
    }
}
