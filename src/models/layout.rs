//! Weights that are published in another order than the operators want: rearranged once, as they are read.

use super::error::ModelError;
use super::loader::Loader;
use crate::compute::ops::{HeadNorm, Heads, Linear};

/// Which part of a published layer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Half {
    First,
    Second,
}

impl Loader<'_> {
    /// Layers without a bias whose outputs, one after another, are published head by head: of each head its
    /// part of the first result, then of the second, and so on, whatever layer they come from. The results
    /// of the returned layer lie one after another, the heads in order within each.
    pub(super) fn interleaved(
        &self,
        names: &[String],
        heads: Heads,
        inputs: usize,
    ) -> Result<Linear, ModelError> {
        let (parts, width) = (names.len(), heads.width);
        let outputs = heads.columns();
        Linear::load(
            &self.ops,
            [parts * outputs, inputs],
            false,
            self.precision,
            || {
                let mut published = Vec::with_capacity(parts * outputs * inputs);
                for name in names {
                    let weights = self.read(&format!("{name}.weight"), &[outputs, inputs])?;
                    published.extend_from_slice(&weights);
                }
                let mut weights = Vec::with_capacity(published.len());
                for part in 0..parts {
                    for head in 0..heads.count {
                        let row = (head * parts + part) * width;
                        weights.extend_from_slice(&published[row * inputs..][..width * inputs]);
                    }
                }
                Ok((weights, None))
            },
        )
    }

    /// Half of the inputs of a layer; the second half comes with the bias.
    pub(super) fn half_of_inputs(
        &self,
        name: &str,
        [outputs, inputs]: [usize; 2],
        half: Half,
    ) -> Result<Linear, ModelError> {
        let taken = inputs / 2;
        let whole_bytes = 4 * (outputs * inputs) as u64;
        let _whole = self.ops.reserve(whole_bytes, "weights being read")?;
        let biased = matches!(half, Half::Second);
        Linear::load(&self.ops, [outputs, taken], biased, self.precision, || {
            let published = self.read(&format!("{name}.weight"), &[outputs, inputs])?;
            let rows = published.chunks_exact(inputs);
            let (weights, bias) = match half {
                Half::First => (rows.flat_map(|row| &row[..taken]).copied().collect(), None),
                Half::Second => {
                    let bias = self.read(&format!("{name}.bias"), &[outputs])?;
                    (
                        rows.flat_map(|row| &row[taken..]).copied().collect(),
                        Some(bias),
                    )
                }
            };
            Ok((weights, bias))
        })
    }

    /// Half of the outputs of a layer.
    pub(super) fn half_of_outputs(
        &self,
        name: &str,
        [outputs, inputs]: [usize; 2],
        half: Half,
    ) -> Result<Linear, ModelError> {
        let taken = outputs / 2;
        let first = match half {
            Half::First => 0,
            Half::Second => taken,
        };
        let whole_bytes = 4 * (outputs * inputs) as u64;
        let _whole = self.ops.reserve(whole_bytes, "weights being read")?;
        Linear::load(&self.ops, [taken, inputs], true, self.precision, || {
            let weights = self.read(&format!("{name}.weight"), &[outputs, inputs])?;
            let bias = self.read(&format!("{name}.bias"), &[outputs])?;
            Ok((
                weights[first * inputs..][..taken * inputs].to_vec(),
                Some(bias[first..][..taken].to_vec()),
            ))
        })
    }

    /// A layer whose results are scaled one by one by the numbers of the tensor `scales`.
    pub(super) fn scaled(
        &self,
        name: &str,
        [outputs, inputs]: [usize; 2],
        scales: &str,
    ) -> Result<Linear, ModelError> {
        Linear::load(&self.ops, [outputs, inputs], true, self.precision, || {
            let mut weights = self.read(&format!("{name}.weight"), &[outputs, inputs])?;
            let mut bias = self.read(&format!("{name}.bias"), &[outputs])?;
            let scales = self.read(scales, &[outputs])?;
            let rows = weights.chunks_exact_mut(inputs).zip(&mut bias);
            for ((row, bias), scale) in rows.zip(scales) {
                row.iter_mut().for_each(|weight| *weight *= scale);
                *bias *= scale;
            }
            Ok((weights, Some(bias)))
        })
    }

    /// The gains of a head.
    pub(super) fn head_norm(
        &self,
        name: &str,
        width: usize,
        epsilon: f32,
    ) -> Result<HeadNorm, ModelError> {
        let gain = self.read(&format!("{name}.weight"), &[width])?;
        Ok(HeadNorm::new(&self.ops, width, gain, epsilon)?)
    }
}
