//! Normalisation of rows and of groups of columns.

mod cpu;
mod cuda;

use super::{Matrix, OpError, Ops, Place, Vector};

/// A gain and a bias for each column, and what keeps the deviation from 0.
#[derive(Debug)]
pub struct Norm {
    columns: usize,
    gain: Vector,
    bias: Vector,
    epsilon: f32,
}

impl Norm {
    /// Gains, biases and what is added to the variance. No numbers are given in a run without arithmetic.
    ///
    /// # Errors
    ///
    /// [`OpError`] when there is no memory for them, or the device failed.
    ///
    /// # Panics
    ///
    /// When there are not as many as columns.
    pub fn new(
        ops: &Ops<'_>,
        columns: usize,
        gain: Vec<f32>,
        bias: Vec<f32>,
        epsilon: f32,
    ) -> Result<Self, OpError> {
        Ok(Self {
            columns,
            gain: ops.vector(columns, gain, "weights")?,
            bias: ops.vector(columns, bias, "weights")?,
            epsilon,
        })
    }
}

impl Ops<'_> {
    /// Each row to mean 0 and variance 1, then gain and bias.
    ///
    /// # Errors
    ///
    /// [`OpError`] when cancelled, or the device failed.
    ///
    /// # Panics
    ///
    /// When the shapes do not fit.
    pub fn layer_norm(
        &self,
        inputs: &Matrix,
        norm: &Norm,
        out: &mut Matrix,
    ) -> Result<(), OpError> {
        self.assert_fits(inputs, norm, out);
        match self.place {
            Place::Cpu => Ok(cpu::layer_norm(
                inputs,
                norm,
                out,
                self.activations,
                &self.context.cancel,
            )?),
            Place::Gpu(gpu) => cuda::layer_norm(self, gpu, inputs, norm, out),
            Place::Shapes(_) => Ok(()),
        }
    }

    /// Each of so many groups of neighbouring columns, over all rows, to mean 0 and variance 1, then gain
    /// and bias.
    ///
    /// # Errors
    ///
    /// [`OpError`] when cancelled, or the device failed.
    ///
    /// # Panics
    ///
    /// When the shapes do not fit.
    pub fn group_norm(
        &self,
        inputs: &Matrix,
        groups: usize,
        norm: &Norm,
        out: &mut Matrix,
    ) -> Result<(), OpError> {
        self.assert_fits(inputs, norm, out);
        assert!(
            groups > 0 && inputs.columns().is_multiple_of(groups),
            "columns of a group"
        );
        match self.place {
            Place::Cpu => Ok(cpu::group_norm(
                inputs,
                groups,
                norm,
                out,
                self.activations,
                &self.context.cancel,
            )?),
            Place::Gpu(gpu) => cuda::group_norm(self, gpu, inputs, groups, norm, out),
            Place::Shapes(_) => Ok(()),
        }
    }

    fn assert_fits(&self, inputs: &Matrix, norm: &Norm, out: &Matrix) {
        let shape = |matrix: &Matrix| (matrix.rows(), matrix.columns());
        assert_eq!(shape(inputs), shape(out), "rows in and out");
        assert_eq!(norm.columns, inputs.columns(), "gains and biases");
    }
}
