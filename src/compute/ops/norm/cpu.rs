//! Normalisation on the processor.

use rayon::prelude::*;

use super::super::math::{self, vectorised};
use super::super::{BLOCK_ROWS, Matrix};
use super::Norm;
use crate::compute::{Activations, Cancel, Cancelled};

pub(super) fn layer_norm(
    inputs: &Matrix,
    norm: &Norm,
    out: &mut Matrix,
    activations: Activations,
    cancel: &Cancel,
) -> Result<(), Cancelled> {
    let columns = inputs.columns();
    out.values_mut()
        .par_chunks_mut((BLOCK_ROWS * columns).max(1))
        .zip(inputs.values().par_chunks((BLOCK_ROWS * columns).max(1)))
        .try_for_each(|(out, inputs)| {
            cancel.checkpoint()?;
            let rows = inputs.chunks_exact(columns);
            vectorised(
                #[inline(always)]
                || {
                    for (row, out) in rows.zip(out.chunks_exact_mut(columns)) {
                        let mean = math::sum(row, |x| x) / columns as f32;
                        let variance = math::sum(row, |x| (x - mean) * (x - mean)) / columns as f32;
                        let scale = 1.0 / (variance + norm.epsilon).sqrt();
                        let parameters = norm.gain.values().iter().zip(norm.bias.values());
                        for ((out, x), (gain, bias)) in out.iter_mut().zip(row).zip(parameters) {
                            *out = (x - mean) * scale * gain + bias;
                        }
                    }
                },
            );
            activations.round(out);
            Ok(())
        })
}

/// The mean of a group, and the inverse of its deviation.
struct Spread {
    mean: f32,
    scale: f32,
}

pub(super) fn group_norm(
    inputs: &Matrix,
    groups: usize,
    norm: &Norm,
    out: &mut Matrix,
    activations: Activations,
    cancel: &Cancel,
) -> Result<(), Cancelled> {
    let columns = inputs.columns();
    let width = columns / groups;
    let spreads: Vec<Spread> = (0..groups)
        .into_par_iter()
        .map(|group| {
            cancel.checkpoint()?;
            let rows = inputs.values().chunks_exact(columns);
            let rows = rows.map(|row| &row[group * width..][..width]);
            Ok(spread(rows, norm.epsilon))
        })
        .collect::<Result<_, _>>()?;
    let (gain, bias) = (norm.gain.values(), norm.bias.values());
    out.values_mut()
        .par_chunks_mut((BLOCK_ROWS * columns).max(1))
        .zip(inputs.values().par_chunks((BLOCK_ROWS * columns).max(1)))
        .try_for_each(|(out, inputs)| {
            cancel.checkpoint()?;
            for (place, (out, x)) in out.iter_mut().zip(inputs).enumerate() {
                let column = place % columns;
                let Spread { mean, scale } = spreads[column / width];
                *out = (x - mean) * scale * gain[column] + bias[column];
            }
            activations.round(out);
            Ok(())
        })
}

/// Added up in 64 bits: a group has a hundred thousand numbers.
fn spread<'a>(rows: impl Iterator<Item = &'a [f32]> + Clone, epsilon: f32) -> Spread {
    let total = |term: &dyn Fn(f64) -> f64| {
        let numbers = rows.clone().flatten();
        let (sum, count) = numbers.fold((0.0, 0_u64), |(sum, count), x| {
            (sum + term(f64::from(*x)), count + 1)
        });
        sum / count.max(1) as f64
    };
    let mean = total(&|x| x);
    let variance = total(&|x| (x - mean) * (x - mean));
    Spread {
        mean: mean as f32,
        scale: (1.0 / (variance + f64::from(epsilon)).sqrt()) as f32,
    }
}
