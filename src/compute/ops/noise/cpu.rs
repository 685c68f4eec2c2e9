//! Normal noise on the processor. `shaders/cuda/noise.cu` is the same line by line: what is changed here is
//! changed there.

use rayon::prelude::*;

use super::Seed;
use crate::compute::{Activations, Cancel, Cancelled};

/// Numbers of a chunk of work, a multiple of 4.
const CHUNK: usize = 1 << 16;

/// Four random words of a counter and a key: Philox 4×32 with ten rounds.
pub fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    let wide = |a: u32, b: u32| {
        let product = u64::from(a) * u64::from(b);
        ((product >> 32) as u32, product as u32)
    };
    for _ in 0..10 {
        let (high_0, low_0) = wide(0xD251_1F53, counter[0]);
        let (high_1, low_1) = wide(0xCD9E_8D57, counter[2]);
        counter = [
            high_1 ^ counter[1] ^ key[0],
            low_1,
            high_0 ^ counter[3] ^ key[1],
            low_0,
        ];
        key = [
            key[0].wrapping_add(0x9E37_79B9),
            key[1].wrapping_add(0xBB67_AE85),
        ];
    }
    counter
}

/// The logarithm of `(word + 1/2) / 2³²` (Cephes, `logf`).
fn log_uniform(word: u32) -> f32 {
    /// The bits of 1 and of the square root of a half.
    const ONE: u32 = 0x3F80_0000;
    const ROOT_HALF: u32 = 0x3F35_04F3;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let bits = (word as f32 + 0.5).to_bits() + (ONE - ROOT_HALF);
    let exponent = (bits >> 23) as i32 - 127 - 32;
    let exponent = exponent as f32;
    // From the root of a half to the root of 2, less 1.
    let x = f32::from_bits((bits & 0x007F_FFFF) + ROOT_HALF) - 1.0;
    let mut series = 7.037_684e-2;
    for factor in [
        -1.151_461e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_8e-1,
        2.000_071_4e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ] {
        series = series * x + factor;
    }
    let square = x * x;
    let rest = series * x * square + LN_2_LOW * exponent - 0.5 * square;
    x + rest + LN_2_HIGH * exponent
}

/// The cosine and the sine of `word / 2³²` of a turn (Cephes, `cosf` and `sinf`).
fn cos_sin_turn(word: u32) -> [f32; 2] {
    /// A turn by 2³².
    const UNIT: f32 = 1.462_918_1e-9;
    let quarter = word.wrapping_add(1 << 29) >> 30;
    // At most an eighth of a turn either way.
    let angle = word.wrapping_sub(quarter << 30).cast_signed() as f32 * UNIT;
    let square = angle * angle;
    let sine =
        ((-1.951_529_6e-4 * square + 8.332_161e-3) * square - 1.666_665_5e-1) * square * angle
            + angle;
    let cosine =
        ((2.443_315_7e-5 * square - 1.388_731_6e-3) * square + 4.166_664_6e-2) * square * square
            - 0.5 * square
            + 1.0;
    match quarter {
        0 => [cosine, sine],
        1 => [-sine, cosine],
        2 => [-cosine, -sine],
        _ => [sine, -cosine],
    }
}

/// Two normal numbers of two words.
fn pair(radius: u32, turn: u32) -> [f32; 2] {
    let squared = -2.0 * log_uniform(radius);
    let radius = if squared > 0.0 { squared.sqrt() } else { 0.0 };
    cos_sin_turn(turn).map(|part| radius * part)
}

/// Four normal numbers: those at four times the block's number and after.
fn four(seed: Seed, block: u64) -> [f32; 4] {
    let halves = |word: u64| [word as u32, (word >> 32) as u32];
    let ([a, b], [c, d]) = (halves(block), halves(seed.stream));
    let words = philox([a, b, c, d], halves(seed.seed));
    let ([a, b], [c, d]) = (pair(words[0], words[1]), pair(words[2], words[3]));
    [a, b, c, d]
}

/// Writes the numbers from place `first` on.
pub fn standard_normal(seed: Seed, first: u64, out: &mut [f32]) {
    let lead = (first % 4) as usize;
    let mut block = first / 4;
    let mut place = 0;
    while place < out.len() {
        let from = if place == 0 { lead } else { 0 };
        let numbers = &four(seed, block)[from..];
        let count = numbers.len().min(out.len() - place);
        out[place..place + count].copy_from_slice(&numbers[..count]);
        place += count;
        block += 1;
    }
}

pub(super) fn fill(
    seed: Seed,
    out: &mut [f32],
    activations: Activations,
    cancel: &Cancel,
) -> Result<(), Cancelled> {
    out.par_chunks_mut(CHUNK)
        .enumerate()
        .try_for_each(|(chunk, out)| {
            cancel.checkpoint()?;
            standard_normal(seed, (chunk * CHUNK) as u64, out);
            activations.round(out);
            Ok(())
        })
}
