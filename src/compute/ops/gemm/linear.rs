//! Weights as the operators want them.

use std::borrow::Cow;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use rayon::prelude::*;

use super::super::{Ops, OutOfMemory, Reservation};
use crate::compute::Precision;

/// Numbers that a task converts.
const CHUNK: usize = 1 << 16;

/// The weights of a linear layer, from so many inputs to so many outputs, with or without a bias.
///
/// They are kept in the order of the inputs (all outputs of the first input, then of the second), in which
/// the processor multiplies without copying them.
#[derive(Debug)]
pub struct Linear {
    inputs: usize,
    outputs: usize,
    weights: Stored,
    bias: Option<Vec<f32>>,
    _reservation: Reservation,
}

#[derive(Debug)]
enum Stored {
    /// Of a run without arithmetic.
    Shape(Precision),
    F32(Vec<f32>),
    F16(Vec<f16>),
    Bf16(Vec<bf16>),
    /// `values[input][output] · scales[output]`.
    Int8 {
        values: Vec<i8>,
        scales: Vec<f32>,
    },
}

impl Linear {
    /// Weights read as they are published, all inputs of the first output, then of the second. `read` gives
    /// weights and bias and is not asked in a run without arithmetic.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] when the ledger refuses them, and whatever `read` returns.
    ///
    /// # Panics
    ///
    /// When `read` gives other numbers of weights than asked for.
    pub fn load<E: From<OutOfMemory>>(
        ops: &Ops<'_>,
        [outputs, inputs]: [usize; 2],
        precision: Precision,
        read: impl FnOnce() -> Result<(Vec<f32>, Option<Vec<f32>>), E>,
    ) -> Result<Self, E> {
        Self::load_by_inputs(ops, [inputs, outputs], precision, || {
            let (published, bias) = read()?;
            assert_eq!(published.len(), inputs * outputs, "weights of a layer");
            Ok((transposed(&published, inputs), bias))
        })
    }

    /// Weights that are read in the order of the inputs; else as [`Linear::load`].
    ///
    /// # Errors
    ///
    /// As [`Linear::load`].
    pub fn load_by_inputs<E: From<OutOfMemory>>(
        ops: &Ops<'_>,
        [inputs, outputs]: [usize; 2],
        precision: Precision,
        read: impl FnOnce() -> Result<(Vec<f32>, Option<Vec<f32>>), E>,
    ) -> Result<Self, E> {
        let count = inputs * outputs;
        let scales_bytes = match precision {
            Precision::Int8 => 4 * outputs as u64,
            _ => 0,
        };
        let kept_bytes = count as u64 * precision.weight_bytes() + scales_bytes;
        let reservation = ops.reserve(kept_bytes, "weights")?;
        // As read and turned around, for a moment; in 32 bits the latter is what is kept.
        let passing = if precision == Precision::F32 { 1 } else { 2 };
        let _as_read = ops.reserve(passing * 4 * count as u64, "weights being read")?;
        let (weights, bias) = if ops.shapes_only {
            (Stored::Shape(precision), None)
        } else {
            let (weights, bias) = read()?;
            assert_eq!(weights.len(), count, "weights of a layer");
            (Stored::new(weights, outputs, precision), bias)
        };
        assert!(bias.as_ref().is_none_or(|bias| bias.len() == outputs));
        Ok(Self {
            inputs,
            outputs,
            weights,
            bias,
            _reservation: reservation,
        })
    }

    /// The numbers of a row that goes in.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// The numbers of a row that comes out.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// The bias, one number an output.
    pub fn bias(&self) -> Option<&[f32]> {
        self.bias.as_deref()
    }

    /// Memory for the weights in 32 bits, where they are not kept so.
    pub(super) fn reserve_widened(
        &self,
        ops: &Ops<'_>,
    ) -> Result<Option<Reservation>, OutOfMemory> {
        if matches!(self.weights, Stored::F32(_) | Stored::Shape(Precision::F32)) {
            return Ok(None);
        }
        let widened_bytes = 4 * (self.inputs * self.outputs) as u64;
        ops.reserve(widened_bytes, "widened weights").map(Some)
    }

    /// The weights in 32 bits, by input.
    pub(super) fn widened(&self) -> Cow<'_, [f32]> {
        let widened = |fill: &(dyn Fn(usize, &mut [f32]) + Sync)| {
            let mut wide = vec![0.0; self.inputs * self.outputs];
            let chunks = wide.par_chunks_mut(CHUNK).enumerate();
            chunks.for_each(|(chunk, wide)| fill(chunk * CHUNK, wide));
            Cow::Owned(wide)
        };
        match &self.weights {
            Stored::Shape(_) => Cow::Borrowed(&[]),
            Stored::F32(weights) => Cow::Borrowed(weights),
            Stored::F16(weights) => widened(&|first, wide| {
                weights[first..first + wide.len()].convert_to_f32_slice(wide);
            }),
            Stored::Bf16(weights) => widened(&|first, wide| {
                weights[first..first + wide.len()].convert_to_f32_slice(wide);
            }),
            Stored::Int8 { values, scales } => {
                let mut wide = vec![0.0; values.len()];
                wide.par_chunks_mut(self.outputs)
                    .zip(values.par_chunks(self.outputs))
                    .with_min_len(CHUNK.div_ceil(self.outputs))
                    .for_each(|(wide, values)| {
                        for ((wide, value), scale) in wide.iter_mut().zip(values).zip(scales) {
                            *wide = f32::from(*value) * scale;
                        }
                    });
                Cow::Owned(wide)
            }
        }
    }
}

impl Stored {
    fn new(weights: Vec<f32>, outputs: usize, precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32(weights),
            Precision::F16 => {
                let mut narrow = vec![f16::ZERO; weights.len()];
                narrow.convert_from_f32_slice(&weights);
                Self::F16(narrow)
            }
            Precision::Bf16 => {
                let mut narrow = vec![bf16::ZERO; weights.len()];
                narrow.convert_from_f32_slice(&weights);
                Self::Bf16(narrow)
            }
            Precision::Int8 => quantised(&weights, outputs),
        }
    }
}

/// Each output's weights as whole multiples of its own scale, 127 of which are its greatest weight.
fn quantised(weights: &[f32], outputs: usize) -> Stored {
    let mut scales = vec![0.0_f32; outputs];
    for row in weights.chunks_exact(outputs) {
        for (scale, weight) in scales.iter_mut().zip(row) {
            *scale = scale.max(weight.abs());
        }
    }
    for scale in &mut scales {
        *scale /= f32::from(i8::MAX);
    }
    let whole = |(weight, scale): (&f32, &f32)| {
        // An output without weights has a scale of 0; `as` turns its NaN into 0.
        (weight / scale).round_ties_even() as i8
    };
    let rows = weights.chunks_exact(outputs);
    let values = rows.flat_map(|row| row.iter().zip(&scales).map(whole));
    Stored::Int8 {
        values: values.collect(),
        scales,
    }
}

/// Columns of a block that is turned around at once.
const TURNED: usize = 16;

/// A matrix of rows of `columns` numbers, with rows and columns exchanged.
pub(crate) fn transposed(values: &[f32], columns: usize) -> Vec<f32> {
    let rows = values.len() / columns.max(1);
    let mut turned = vec![0.0; values.len()];
    turned
        .par_chunks_mut((TURNED * rows).max(1))
        .enumerate()
        .for_each(|(block, turned)| {
            for (row, line) in values.chunks_exact(columns).enumerate() {
                for (place, value) in line[block * TURNED..].iter().take(TURNED).enumerate() {
                    turned[place * rows + row] = *value;
                }
            }
        });
    turned
}
