//! Reads a part's weights by their published names.

use super::{ReadTensors, TripoSrError};
use crate::compute::ops::{Linear, Norm};
use crate::compute::{Ops, Precision};

/// Reads weights into the memory that the operators want them in.
#[derive(Clone, Copy)]
pub(super) struct Loader<'a> {
    pub(super) ops: Ops<'a>,
    pub(super) tensors: &'a dyn ReadTensors,
    pub(super) precision: Precision,
}

impl Loader<'_> {
    /// One tensor as it is.
    pub(super) fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, TripoSrError> {
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
    ) -> Result<Linear, TripoSrError> {
        self.side_by_side(&[name.to_owned()], [outputs, inputs], biased)
    }

    /// Layers of the same inputs and `outputs` each as one, their outputs side by side.
    pub(super) fn side_by_side(
        &self,
        names: &[String],
        [outputs, inputs]: [usize; 2],
        biased: bool,
    ) -> Result<Linear, TripoSrError> {
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

    pub(super) fn norm(
        &self,
        name: &str,
        width: usize,
        epsilon: f32,
    ) -> Result<Norm, TripoSrError> {
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
        load: impl Fn(usize) -> Result<T, TripoSrError>,
    ) -> Result<Self, TripoSrError> {
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
        load: impl Fn(usize) -> Result<T, TripoSrError>,
        mut block: impl FnMut(&T) -> Result<(), TripoSrError>,
    ) -> Result<(), TripoSrError> {
        match self {
            Self::Kept(blocks) => blocks.iter().try_for_each(block),
            Self::ReadEachTime(count) => (0..*count).try_for_each(|place| block(&load(place)?)),
        }
    }
}
