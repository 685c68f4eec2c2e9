//! Normalisation of rows and of groups of columns.

mod cpu;

use super::{Matrix, OpError, Ops};

/// A gain and a bias for each column, and what keeps the deviation from 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Norm {
    /// Multiplied with each column.
    pub gain: Vec<f32>,
    /// Added to each column.
    pub bias: Vec<f32>,
    /// Added to the variance.
    pub epsilon: f32,
}

impl Ops<'_> {
    /// Each row to mean 0 and variance 1, then gain and bias.
    ///
    /// # Errors
    ///
    /// [`OpError::Cancelled`].
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
        if self.shapes_only {
            return Ok(());
        }
        let cancel = &self.context.cancel;
        Ok(cpu::layer_norm(
            inputs,
            norm,
            out,
            self.activations,
            cancel,
        )?)
    }

    /// Each of so many groups of neighbouring columns, over all rows, to mean 0 and variance 1, then gain
    /// and bias.
    ///
    /// # Errors
    ///
    /// [`OpError::Cancelled`].
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
        if self.shapes_only {
            return Ok(());
        }
        let cancel = &self.context.cancel;
        Ok(cpu::group_norm(
            inputs,
            groups,
            norm,
            out,
            self.activations,
            cancel,
        )?)
    }

    fn assert_fits(&self, inputs: &Matrix, norm: &Norm, out: &Matrix) {
        let shape = |matrix: &Matrix| (matrix.rows(), matrix.columns());
        assert_eq!(shape(inputs), shape(out), "rows in and out");
        if !self.shapes_only {
            let columns = inputs.columns();
            assert_eq!(
                (norm.gain.len(), norm.bias.len()),
                (columns, columns),
                "gains and biases"
            );
        }
    }
}
