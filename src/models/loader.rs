//! Reads a part's weights by their published names.

use super::error::ModelError;
use super::weights::{Joined, Weights, WeightsError};
use crate::compute::ops::{Linear, Norm};
use crate::compute::{Activations, Device, Ledger, Ops, Precision};

/// Where a model's weights come from: a file, or numbers made up for a test.
pub trait ReadTensors: Send + Sync {
    /// The tensor of this name and shape, row by row.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] when there is none, or it cannot be read.
    fn read_f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError>;
}

impl ReadTensors for Weights {
    fn read_f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        Weights::read_f32(self, name, shape)
    }
}

impl ReadTensors for Joined {
    fn read_f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        Joined::read_f32(self, name, shape)
    }
}

/// Weights without numbers, for a run without arithmetic.
pub(super) struct Nothing;

impl ReadTensors for Nothing {
    fn read_f32(&self, _: &str, _: &[usize]) -> Result<Vec<f32>, WeightsError> {
        Ok(Vec::new())
    }
}

/// The number format that operators keep their results in. With weights in 8 bits that is 16 bits on a
/// device, and 32 on the processor, where narrower ones would save neither time nor memory.
pub(super) fn activations(precision: Precision, device: Device) -> Activations {
    match (precision, device) {
        (Precision::F32, _) | (Precision::Int8, Device::Cpu) => Activations::F32,
        (Precision::F16, _) | (Precision::Int8, Device::Cuda(_)) => Activations::F16,
        (Precision::Bf16, _) => Activations::Bf16,
    }
}

/// The bytes of a ledger that a model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// The most at any moment of loading and one run.
    pub peak_bytes: u64,
    /// What stays afterwards: the weights that are kept and the field. The surface comes on top of it.
    pub kept_bytes: u64,
}

impl Memory {
    pub(super) fn of(ledger: &Ledger) -> Self {
        Self {
            peak_bytes: ledger.peak_bytes(),
            kept_bytes: ledger.used_bytes(),
        }
    }
}

/// What a model takes of the ledgers of the host and of a CUDA device that it runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryOnDevice {
    /// Of the host.
    pub host: Memory,
    /// Of the device.
    pub device: Memory,
}

/// Reads weights into the memory that the operators want them in.
#[derive(Clone, Copy)]
pub(super) struct Loader<'a> {
    pub(super) ops: Ops<'a>,
    pub(super) tensors: &'a dyn ReadTensors,
    pub(super) precision: Precision,
}

impl Loader<'_> {
    /// One tensor as it is.
    pub(super) fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        self.ops.context().cancel.checkpoint()?;
        if self.ops.is_shapes_only() {
            return Ok(Vec::new());
        }
        Ok(self.tensors.read_f32(name, shape)?)
    }

    /// The layer `name`.
    pub(super) fn linear(
        &self,
        name: &str,
        [outputs, inputs]: [usize; 2],
        biased: bool,
    ) -> Result<Linear, ModelError> {
        self.side_by_side(&[name.to_owned()], [outputs, inputs], biased)
    }

    /// Layers of the same inputs and `outputs` each as one, their outputs side by side.
    pub(super) fn side_by_side(
        &self,
        names: &[String],
        [outputs, inputs]: [usize; 2],
        biased: bool,
    ) -> Result<Linear, ModelError> {
        let all = names.len() * outputs;
        Linear::load(&self.ops, [all, inputs], biased, self.precision, || {
            let (mut weights, mut bias) = (Vec::new(), Vec::new());
            for name in names {
                let part = self.read(&format!("{name}.weight"), &[outputs, inputs])?;
                if names.len() == 1 {
                    weights = part;
                } else {
                    weights.reserve_exact(all * inputs - weights.len());
                    weights.extend_from_slice(&part);
                }
                if biased {
                    bias.extend(self.read(&format!("{name}.bias"), &[outputs])?);
                }
            }
            Ok((weights, biased.then_some(bias)))
        })
    }

    pub(super) fn norm(&self, name: &str, width: usize, epsilon: f32) -> Result<Norm, ModelError> {
        let gain = self.read(&format!("{name}.weight"), &[width])?;
        let bias = self.read(&format!("{name}.bias"), &[width])?;
        Ok(Norm::new(&self.ops, width, gain, bias, epsilon)?)
    }
}

/// The blocks of a stack: kept, or read again for each pass.
#[derive(Debug)]
pub(super) enum Blocks<T> {
    Kept(Vec<T>),
    ReadEachTime(usize),
}

impl<T> Blocks<T> {
    pub(super) fn load(
        count: usize,
        keep: bool,
        load: impl Fn(usize) -> Result<T, ModelError>,
    ) -> Result<Self, ModelError> {
        if keep {
            (0..count)
                .map(load)
                .collect::<Result<_, _>>()
                .map(Self::Kept)
        } else {
            Ok(Self::ReadEachTime(count))
        }
    }

    /// Runs one block after another.
    pub(super) fn run(
        &self,
        load: impl Fn(usize) -> Result<T, ModelError>,
        mut block: impl FnMut(&T) -> Result<(), ModelError>,
    ) -> Result<(), ModelError> {
        match self {
            Self::Kept(blocks) => blocks.iter().try_for_each(block),
            Self::ReadEachTime(count) => (0..*count).try_for_each(|place| block(&load(place)?)),
        }
    }
}
