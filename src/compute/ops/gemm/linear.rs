//! Weights as the operators want them.

use std::ops::Range;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use rayon::prelude::*;

use super::super::{OpError, Ops, Place, Reservation, Vector};
use crate::compute::cuda::{Buffer, GpuError, size_in_ledger};
use crate::compute::{Number, Precision};

/// Numbers that a task converts.
const CHUNK: usize = 1 << 16;

/// The weights of a linear layer, from so many inputs to so many outputs, with or without a bias.
///
/// On the host they are kept in the order of the inputs (all outputs of the first input, then of the
/// second), in which the processor multiplies without copying them; on a device in that of the outputs, as
/// they are published.
#[derive(Debug)]
pub struct Linear {
    inputs: usize,
    outputs: usize,
    weights: Stored,
    bias: Option<Vector>,
    /// Of the weights on the host.
    _reservation: Option<Reservation>,
}

#[derive(Debug)]
enum Stored {
    /// Of a run without arithmetic.
    Shape,
    F32(Vec<f32>),
    F16(Vec<f16>),
    Bf16(Vec<bf16>),
    /// `values[input][output] · scales[output]`.
    Int8 {
        values: Vec<i8>,
        scales: Vec<f32>,
    },
    /// With a scale for each output where they are of 8 bits.
    Device {
        weights: Buffer,
        scales: Option<Buffer>,
        /// The bias in the format of the weights, where that is another than its own: as cuBLASLt adds it.
        /// It is kept also where there is no such library, so that a layer takes the same memory everywhere.
        narrow_bias: Option<Buffer>,
        precision: Precision,
    },
    /// Of a run on a device without arithmetic.
    DeviceShape {
        _reservations: [Option<Reservation>; 3],
    },
}

/// Addresses of weights on a device; 0 for what there is not.
pub(super) struct OnDevice {
    pub(super) weights: u64,
    pub(super) scales: u64,
    pub(super) bias: u64,
    /// The bias in the format of the weights; there is none of 8 bits.
    pub(super) narrow_bias: u64,
    pub(super) precision: Precision,
}

/// Weights and, where there is one, bias, as they are read.
type Read = (Vec<f32>, Option<Vec<f32>>);

impl Linear {
    /// Weights read as they are published, all inputs of the first output, then of the second. `read` gives
    /// weights and, where `biased`, a bias; it is not asked in a run without arithmetic.
    ///
    /// # Errors
    ///
    /// [`OpError`] when there is no memory for them or the device failed, and whatever `read` returns.
    ///
    /// # Panics
    ///
    /// When `read` gives other numbers of weights than asked for.
    pub fn load<E: From<OpError>>(
        ops: &Ops<'_>,
        [outputs, inputs]: [usize; 2],
        biased: bool,
        precision: Precision,
        read: impl FnOnce() -> Result<Read, E>,
    ) -> Result<Self, E> {
        let count = inputs * outputs;
        if ops.is_on_device() {
            return Self::load_on_device(ops, [outputs, inputs], biased, precision, 1, read);
        }
        Self::load_by_inputs(ops, [inputs, outputs], biased, precision, || {
            let (published, bias) = read()?;
            assert_eq!(published.len(), count, "weights of a layer");
            Ok((transposed(&published, inputs), bias))
        })
    }

    /// Weights that are read in the order of the inputs; else as [`Linear::load`].
    ///
    /// # Errors
    ///
    /// As [`Linear::load`].
    pub fn load_by_inputs<E: From<OpError>>(
        ops: &Ops<'_>,
        [inputs, outputs]: [usize; 2],
        biased: bool,
        precision: Precision,
        read: impl FnOnce() -> Result<Read, E>,
    ) -> Result<Self, E> {
        let count = inputs * outputs;
        if ops.is_on_device() {
            return Self::load_on_device(ops, [outputs, inputs], biased, precision, 2, || {
                let (weights, bias) = read()?;
                assert_eq!(weights.len(), count, "weights of a layer");
                Ok((transposed(&weights, outputs), bias))
            });
        }
        let scales_bytes = match precision {
            Precision::Int8 => 4 * outputs as u64,
            _ => 0,
        };
        let kept_bytes = count as u64 * precision.weight_bytes() + scales_bytes;
        let reserve = |bytes, what| ops.reserve(bytes, what).map_err(OpError::from);
        let reservation = reserve(kept_bytes, "weights")?;
        // As read and turned around, for a moment; in 32 bits the latter is what is kept.
        let passing = if precision == Precision::F32 { 1 } else { 2 };
        let _as_read = reserve(passing * 4 * count as u64, "weights being read")?;
        let (weights, bias) = if ops.is_shapes_only() {
            (Stored::Shape, None)
        } else {
            let (weights, bias) = read()?;
            assert_eq!(weights.len(), count, "weights of a layer");
            (Stored::new(weights, outputs, precision), bias)
        };
        Ok(Self {
            inputs,
            outputs,
            weights,
            bias: loaded_bias(ops, outputs, biased, bias)?,
            _reservation: Some(reservation),
        })
    }

    /// Weights by output on their way to a device; `copies` of them are on the host for a moment.
    fn load_on_device<E: From<OpError>>(
        ops: &Ops<'_>,
        [outputs, inputs]: [usize; 2],
        biased: bool,
        precision: Precision,
        copies: u64,
        read: impl FnOnce() -> Result<Read, E>,
    ) -> Result<Self, E> {
        let count = (inputs * outputs) as u64;
        let weights_bytes = count * precision.weight_bytes();
        let scales_bytes = (precision == Precision::Int8).then_some(4 * outputs as u64);
        let narrow = narrow_number(precision).filter(|_| biased);
        let narrow_bytes = narrow.map(|number| (number.size_bytes() * outputs) as u64);
        let as_read = || {
            let reserved = ops.reserve(copies * 4 * count, "weights being read");
            reserved.map_err(OpError::from)
        };
        let (stored, bias) = match ops.place {
            Place::Gpu(gpu) => {
                let buffer = |bytes| Buffer::new(gpu, bytes, "weights").map_err(OpError::from);
                let weights = buffer(weights_bytes)?;
                let scales = scales_bytes.map(buffer).transpose()?;
                let narrow_bias = narrow_bytes.map(buffer).transpose()?;
                let _as_read = as_read()?;
                let (values, bias) = read()?;
                assert_eq!(values.len() as u64, count, "weights of a layer");
                match (precision, &scales) {
                    (Precision::Int8, Some(scales)) => {
                        write_quantised(&values, inputs, &weights, scales)
                    }
                    (Precision::Bf16, _) => weights.write_numbers(Number::Bf16, &values),
                    (Precision::F16, _) => weights.write_numbers(Number::F16, &values),
                    _ => weights.write_numbers(Number::F32, &values),
                }
                .map_err(OpError::from)?;
                if let (Some(number), Some(narrow), Some(bias)) = (narrow, &narrow_bias, &bias) {
                    let written = narrow.write_numbers(number, bias);
                    written.map_err(OpError::from)?;
                }
                let stored = Stored::Device {
                    weights,
                    scales,
                    narrow_bias,
                    precision,
                };
                (stored, bias)
            }
            Place::Shapes(Some(device)) => {
                let reserve = |bytes| {
                    let reserved = device.reserve(size_in_ledger(bytes), "weights");
                    reserved.map_err(OpError::from)
                };
                let weights = reserve(weights_bytes)?;
                let scales = scales_bytes.map(reserve).transpose()?;
                let narrow_bias = narrow_bytes.map(reserve).transpose()?;
                let _as_read = as_read()?;
                let _reservations = [Some(weights), scales, narrow_bias];
                (Stored::DeviceShape { _reservations }, None)
            }
            Place::Cpu | Place::Shapes(None) => unreachable!("asked for on a device"),
        };
        Ok(Self {
            inputs,
            outputs,
            weights: stored,
            bias: loaded_bias(ops, outputs, biased, bias)?,
            _reservation: None,
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

    /// Whether it has a bias.
    pub(super) fn is_biased(&self) -> bool {
        self.bias.is_some()
    }

    /// The bias of a layer on the host, one number an output.
    pub(super) fn bias(&self) -> Option<&[f32]> {
        self.bias.as_ref().map(Vector::values)
    }

    /// Where a layer's numbers are on its device.
    ///
    /// # Panics
    ///
    /// When it is on the host.
    pub(super) fn on_device(&self) -> OnDevice {
        let Stored::Device {
            weights,
            scales,
            narrow_bias,
            precision,
        } = &self.weights
        else {
            panic!("the weights are on the host");
        };
        let first = |buffer: &Option<Buffer>| buffer.as_ref().map_or(0, |buffer| buffer.at(0));
        let bias = self.bias.as_ref().map_or(0, Vector::address);
        OnDevice {
            weights: weights.at(0),
            scales: first(scales),
            bias,
            narrow_bias: match precision {
                Precision::F32 => bias,
                _ => first(narrow_bias),
            },
            precision: *precision,
        }
    }

    /// Writes the weights of some outputs in 32 bits: those of the first input, then those of the second.
    ///
    /// # Panics
    ///
    /// When the panel has another size. Of weights on a device or of none it writes nothing.
    pub(super) fn write_panel(&self, part: &Range<usize>, panel: &mut [f32]) {
        assert_eq!(panel.len(), self.inputs * part.len(), "a panel of its size");
        let mut write = |fill: &(dyn Fn(Range<usize>, &mut [f32]) + Sync)| {
            let rows = panel.par_chunks_mut(part.len().max(1)).enumerate();
            rows.with_min_len(CHUNK.div_ceil(part.len().max(1)))
                .for_each(|(input, row)| {
                    let first = input * self.outputs;
                    fill(first + part.start..first + part.end, row);
                });
        };
        match &self.weights {
            Stored::Shape | Stored::Device { .. } | Stored::DeviceShape { .. } => {}
            Stored::F32(weights) => write(&|of, row| row.copy_from_slice(&weights[of])),
            Stored::F16(weights) => write(&|of, row| weights[of].convert_to_f32_slice(row)),
            Stored::Bf16(weights) => write(&|of, row| weights[of].convert_to_f32_slice(row)),
            Stored::Int8 { values, scales } => write(&|of, row| {
                let numbers = values[of].iter().zip(&scales[part.clone()]);
                for (wide, (value, scale)) in row.iter_mut().zip(numbers) {
                    *wide = f32::from(*value) * scale;
                }
            }),
        }
    }
}

/// The format of weights of 16 bits.
fn narrow_number(precision: Precision) -> Option<Number> {
    match precision {
        Precision::F16 => Some(Number::F16),
        Precision::Bf16 => Some(Number::Bf16),
        Precision::F32 | Precision::Int8 => None,
    }
}

/// The bias of a layer that has one; it has no numbers in a run without arithmetic.
fn loaded_bias(
    ops: &Ops<'_>,
    outputs: usize,
    biased: bool,
    bias: Option<Vec<f32>>,
) -> Result<Option<Vector>, OpError> {
    assert!(
        ops.is_shapes_only() || bias.is_some() == biased,
        "a bias where there is one"
    );
    biased
        .then(|| ops.vector(outputs, bias.unwrap_or_default(), "weights"))
        .transpose()
}

/// Writes each output's weights as whole multiples of its own scale, as [`quantised`] makes them.
fn write_quantised(
    values: &[f32],
    inputs: usize,
    weights: &Buffer,
    scales: &Buffer,
) -> Result<(), GpuError> {
    /// Numbers that are written at once.
    const WRITTEN: usize = 1 << 20;
    let rows = (WRITTEN / inputs.max(1)).max(1);
    let mut whole = Vec::new();
    let mut all_scales = Vec::new();
    for (chunk, values) in values.chunks((rows * inputs).max(1)).enumerate() {
        whole.clear();
        for row in values.chunks_exact(inputs) {
            let greatest = row
                .iter()
                .fold(0.0_f32, |most, weight| most.max(weight.abs()));
            let scale = greatest / f32::from(i8::MAX);
            // An output without weights has a scale of 0; `as` turns its NaN into 0.
            whole.extend(
                row.iter()
                    .map(|weight| (weight / scale).round_ties_even() as i8),
            );
            all_scales.push(scale);
        }
        weights.write((chunk * rows * inputs) as u64, bytemuck::cast_slice(&whole))?;
    }
    scales.write(0, bytemuck::cast_slice(&all_scales))
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
