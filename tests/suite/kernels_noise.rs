//! Normal noise: its generator against published answers, its distribution, and both devices bit for bit.

use orfeas::compute::kernels::NoiseParams;
use orfeas::compute::ops::noise::{philox, standard_normal};
use orfeas::compute::ops::{Ops, Seed};
use orfeas::compute::{Activations, Cancel, Context, Ledger};

use crate::kernels_emulator::{Build, Memory};

#[test]
fn philox_gives_the_published_words() {
    // The known answers of Random123 for philox4x32, ten rounds.
    let ones = u32::MAX;
    for (counter, key, words) in [
        (
            [0; 4],
            [0; 2],
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
        ),
        (
            [ones; 4],
            [ones; 2],
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
        ),
        (
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xa409_3822, 0x299f_31d0],
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
        ),
    ] {
        assert_eq!(philox(counter, key), words);
    }
}

fn numbers(seed: u64, stream: u64, first: u64, count: usize) -> Vec<f32> {
    let mut numbers = vec![f32::NAN; count];
    standard_normal(Seed { seed, stream }, first, &mut numbers);
    numbers
}

/// The share of a normal distribution below `x`, by the series of its integral.
fn normal_share(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..400 {
        term *= x * x / f64::from(2 * n + 1);
        sum += term;
    }
    0.5 + sum * (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

#[test]
fn the_noise_is_normal_and_its_neighbours_do_not_know_of_one_another() {
    let count = 1 << 20;
    let mut x: Vec<f64> = numbers(1, 2, 0, count).into_iter().map(f64::from).collect();
    let n = count as f64;
    let mean = x.iter().sum::<f64>() / n;
    let moment = |power| x.iter().map(|x| x.powi(power)).sum::<f64>() / n;
    // Five deviations of each estimate.
    assert!(mean.abs() < 5.0 / n.sqrt(), "mean {mean}");
    assert!((moment(2) - 1.0).abs() < 5.0 * (2.0 / n).sqrt());
    assert!(moment(3).abs() < 5.0 * (15.0 / n).sqrt());
    assert!((moment(4) - 3.0).abs() < 5.0 * (96.0 / n).sqrt());
    for lag in [1, 2, 3, 4, 64] {
        let together = x.iter().zip(&x[lag..]).map(|(a, b)| a * b).sum::<f64>() / n;
        assert!(together.abs() < 5.0 / n.sqrt(), "lag {lag}: {together}");
    }
    // Kolmogorov and Smirnov: of a million, one in a thousand goes beyond 1.95 / √n.
    x.sort_by(f64::total_cmp);
    let farthest = (0..count).step_by(97).fold(0.0_f64, |farthest, i| {
        farthest.max((normal_share(x[i]) - (i as f64 + 0.5) / n).abs())
    });
    assert!(farthest < 1.95 / n.sqrt(), "{farthest}");
    let most = x[0].abs().max(x[count - 1].abs());
    assert!((4.0..6.8).contains(&most), "the tails end at {most}");
}

#[test]
fn any_part_of_the_noise_can_be_made_alone() {
    let all = numbers(u64::MAX, 9, 0, 100);
    for first in 0..20 {
        for count in [0, 1, 2, 3, 4, 5, 17] {
            let part = numbers(u64::MAX, 9, first as u64, count);
            assert_eq!(part, all[first..first + count], "{first} {count}");
        }
    }
    assert_ne!(all, numbers(u64::MAX, 8, 0, 100));
    assert_ne!(all, numbers(u64::MAX - (1 << 40), 9, 0, 100));
}

#[test]
fn a_matrix_of_noise_is_the_first_numbers_of_its_seed_and_stops_when_cancelled() {
    let context = Context {
        gpu: None,
        ledger: Ledger::with_budget(1 << 30),
        cancel: Cancel::default(),
    };
    let seed = Seed { seed: 3, stream: 4 };
    let ops = Ops::new(&context, Activations::F32);
    let noise = ops.noise(300, 701, seed, "noise").unwrap();
    assert!(noise.values() == numbers(3, 4, 0, 300 * 701));
    assert_eq!(context.ledger.used_bytes(), 300 * 701 * 4);
    context.cancel.cancel();
    assert!(ops.noise(300, 701, seed, "noise").is_err());
    let shape = Ops::shapes_only(&context)
        .noise(2, 3, seed, "noise")
        .unwrap();
    assert!(shape.values().is_empty());
}

#[test]
fn noise_is_the_same_bits_on_both_devices() {
    for build in [Build::Ampere, Build::Sanitized] {
        for (seed, stream, first, count) in [
            (0, 0, 0, 20_000),
            (u64::MAX, 1 << 35, 3, 1021),
            (77, 5, (1 << 35) + 2, 5),
            (7, 1, 1, 1),
        ] {
            let mut memory = Memory::default();
            let params = NoiseParams {
                y: memory.put(&vec![0xee; count * 4]),
                count: count as i64,
                first,
                seed,
                stream,
            };
            memory.advance(&params.launch().unwrap(), build);
            let bits =
                |numbers: Vec<f32>| numbers.into_iter().map(f32::to_bits).collect::<Vec<_>>();
            assert!(
                bits(memory.get(params.y)) == bits(numbers(seed, stream, first as u64, count)),
                "{build:?} {seed} {stream} {first} {count}"
            );
        }
    }
    let empty = NoiseParams {
        y: 0,
        count: 0,
        first: 0,
        seed: 0,
        stream: 0,
    };
    assert!(empty.launch().unwrap().is_empty());
    assert!(NoiseParams { count: -1, ..empty }.launch().is_err());
}
