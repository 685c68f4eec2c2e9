//! Matrix products with weights, and what follows them in one go.

mod cpu;
mod cuda;
mod linear;

pub use cpu::{Strided, StridedMut, multiply};
pub(super) use cuda::library_check;
pub use linear::Linear;
pub(super) use linear::transposed;

use super::{Matrix, OpError, Ops, Place};

/// What is done with each sum `s` of inputs times weights, bias included, before it is rounded once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Epilogue {
    /// `out = s`.
    Store,
    /// `out = out + s`: the residual.
    Add,
    /// `out = gelu(s)`, the exact form.
    Gelu,
    /// `out = silu(s)`.
    Silu,
    /// `out[j] = s[j] · gelu(s[n + j])` for `n` outputs from weights of twice as many.
    Geglu,
}

impl Epilogue {
    /// Every epilogue.
    pub const ALL: [Self; 5] = [Self::Store, Self::Add, Self::Gelu, Self::Silu, Self::Geglu];

    /// The columns of the result for weights of this many outputs.
    pub(super) fn columns(self, outputs: usize) -> usize {
        match self {
            Self::Geglu => outputs / 2,
            _ => outputs,
        }
    }
}

/// What multiplies matrices on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Multiplier {
    /// cuBLASLt where it was found and [`Ops::check_kernels`] found its answers right, else our own kernel.
    #[default]
    Checked,
    /// Our own kernel.
    Ours,
    /// cuBLASLt where it was found, whether or not it was checked, else our own kernel.
    Unchecked,
}

impl Ops<'_> {
    /// Multiplies every row of `inputs` with the weights, into the rows of `out`.
    ///
    /// # Errors
    ///
    /// [`OpError`] when cancelled, when there is no memory to widen weights or to keep what is gated in, or
    /// when the device failed.
    ///
    /// # Panics
    ///
    /// When the shapes do not fit.
    pub fn linear(
        &self,
        inputs: &Matrix,
        linear: &Linear,
        epilogue: Epilogue,
        out: &mut Matrix,
    ) -> Result<(), OpError> {
        assert_eq!(inputs.columns(), linear.inputs(), "inputs a row");
        assert_eq!(inputs.rows(), out.rows(), "rows in and out");
        assert_eq!(
            out.columns(),
            epilogue.columns(linear.outputs()),
            "outputs a row"
        );
        if self.is_on_device() {
            return cuda::linear(self, inputs, linear, epilogue, out);
        }
        let panel_bytes = cpu::panel_bytes(linear, epilogue);
        let _panel = self.reserve(panel_bytes, "weights being multiplied")?;
        match self.place {
            Place::Cpu => Ok(cpu::linear(
                inputs,
                linear,
                epilogue,
                out,
                self.activations,
                &self.context.cancel,
            )?),
            Place::Gpu(_) | Place::Shapes(_) => Ok(()),
        }
    }

    /// Adds a layer's bias to every row: what the layer gives for inputs of zeros.
    ///
    /// # Errors
    ///
    /// [`OpError`] when cancelled, or the device failed.
    ///
    /// # Panics
    ///
    /// When the rows have another length, or the layer has no bias.
    pub fn add_bias(&self, linear: &Linear, out: &mut Matrix) -> Result<(), OpError> {
        assert_eq!(out.columns(), linear.outputs(), "outputs a row");
        assert!(linear.is_biased(), "a layer with a bias");
        match self.place {
            Place::Cpu => Ok(cpu::add_bias_alone(
                linear,
                out,
                self.activations,
                &self.context.cancel,
            )?),
            Place::Gpu(gpu) => cuda::add_bias(self, gpu, linear, out),
            Place::Shapes(_) => Ok(()),
        }
    }
}
