//! Functions of numbers, written so that loops over them become vector instructions.
//!
//! Each is within a few units in the last place of the exact value, the same on every machine: no fused
//! multiply-add, no library.

/// Runs `work` compiled for the widest vectors this processor has: all of it that is inlined here, so mark the
/// closure `#[inline(always)]`. One that is not is compiled for the narrowest.
#[inline(always)]
pub(crate) fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

/// The exponential function, from 2⁻¹²⁶ to 2¹²⁷ and saturated there (Cephes, `expf`).
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    /// Added and taken away again it rounds to a whole number, which its lowest bits then hold.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.3, 88.3);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let rest = x - whole * LN_2_HIGH - whole * LN_2_LOW;
    let mut series = 1.987_569_1e-4;
    for factor in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        5.0e-1,
    ] {
        series = series * rest + factor;
    }
    let power = shifted.to_bits().wrapping_sub(ROUND.to_bits());
    let scale = f32::from_bits(power.wrapping_add(127) << 23);
    (series * rest * rest + rest + 1.0) * scale
}

/// `1 / (1 + exp(-x))`.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// `x · sigmoid(x)`.
#[inline(always)]
pub fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

/// The error function, by a rational approximation (Eigen).
#[inline(always)]
pub fn erf(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let square = x * x;
    let mut above = -2.726_142_3e-10;
    for factor in [
        2.770_681_4e-8,
        -2.101_024e-6,
        -5.692_506_4e-5,
        -7.349_906_3e-4,
        -2.954_6e-3,
        -1.609_603_3e-2,
    ] {
        above = above * square + factor;
    }
    let mut below = -1.456_607_2e-5;
    for factor in [
        -2.133_740_6e-4,
        -1.682_827e-3,
        -7.373_329e-3,
        -1.426_473_9e-2,
    ] {
        below = below * square + factor;
    }
    x * above / below
}

/// The Gaussian error linear unit in its exact form, `x · Φ(x)`.
#[inline(always)]
pub fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// Sums side by side: an order of adding that vectors can follow.
const LANES: usize = 16;

/// The sum of `term` over a slice.
#[inline(always)]
pub(crate) fn sum(values: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (whole, rest) = values.as_chunks::<LANES>();
    for chunk in whole {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += term(*value);
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().map(|value| term(*value)).sum::<f32>()
}

/// Turns numbers into the exponentials of what they are more than `zero`, and adds these up.
#[inline(always)]
pub(crate) fn exponentials(values: &mut [f32], zero: f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (whole, rest) = values.as_chunks_mut::<LANES>();
    for chunk in whole {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *value = exp(*value - zero);
            *lane += *value;
        }
    }
    let mut total = lanes.iter().sum::<f32>();
    for value in rest {
        *value = exp(*value - zero);
        total += *value;
    }
    total
}

/// The greatest number of a slice, `least` where it is empty.
#[inline(always)]
pub(crate) fn greatest(values: &[f32], least: f32) -> f32 {
    let greater = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [least; LANES];
    let (whole, rest) = values.as_chunks::<LANES>();
    for chunk in whole {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = greater(*lane, *value);
        }
    }
    lanes.iter().chain(rest).fold(least, |a, b| greater(a, *b))
}
