//! The operators of neural models, one folder each: the contract in `mod.rs`, the processor's form beside
//! it.
//!
//! A model calls them through [`Ops`], which knows the device, the number format of results, the ledger
//! and the cancel flag, so that a model is written once for every device and for the run without
//! arithmetic that tells its memory. A contract speaks of shapes and matrices only, never of where the
//! numbers are.
//!
//! The processor's forms cut their work into blocks of rows whose size does not depend on the number of
//! threads: the same numbers come out whatever it is. They look at the cancel flag before each block. A
//! thread's own scratch of at most 1 MB is not in the ledger; everything larger is.
//!
//! Shapes that do not fit are a mistake in the model's code and panic; weights are checked against the
//! model's shapes before.

pub mod attention;
pub mod flow;
pub mod fourier;
pub mod gemm;
pub mod head_norm;
pub mod math;
pub mod noise;
pub mod norm;
pub mod resize;
pub mod rows;
pub mod triplane;

pub use attention::{Heads, View};
pub use flow::{FlowStep, Velocity};
pub use fourier::fourier_columns;
pub use gemm::{Epilogue, Linear, multiply};
pub use head_norm::HeadNorm;
pub use noise::Seed;
pub use norm::Norm;
pub use triplane::Triplane;

use super::{Activations, Cancelled, Context, Matrix, OutOfMemory, Reservation};

/// Rows of a block of work.
const BLOCK_ROWS: usize = 96;

/// An operator did not run to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpError {
    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// The memory budget does not suffice.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

impl From<Cancelled> for OpError {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

/// Runs operators.
#[derive(Debug, Clone, Copy)]
pub struct Ops<'a> {
    context: &'a Context,
    activations: Activations,
    shapes_only: bool,
}

impl<'a> Ops<'a> {
    /// Operators on the processor that keep their results in this format.
    pub fn new(context: &'a Context, activations: Activations) -> Self {
        Self {
            context,
            activations,
            shapes_only: false,
        }
    }

    /// Operators that reserve in the context's ledger what a run reserves, and neither allocate nor
    /// compute: after such a run the ledger's peak is that of the real one.
    pub fn shapes_only(context: &'a Context) -> Self {
        Self {
            context,
            activations: Activations::F32,
            shapes_only: true,
        }
    }

    /// Whether nothing is computed.
    pub fn is_shapes_only(&self) -> bool {
        self.shapes_only
    }

    /// What the work is done with.
    pub fn context(&self) -> &'a Context {
        self.context
    }

    /// A matrix of zeros.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] when the ledger refuses it.
    pub fn matrix(
        &self,
        rows: usize,
        columns: usize,
        what: &'static str,
    ) -> Result<Matrix, OutOfMemory> {
        if self.shapes_only {
            return Matrix::shape(rows, columns, &self.context.ledger, what);
        }
        Matrix::zeros(rows, columns, &self.context.ledger, what)
    }

    /// A matrix of the numbers that `values` gives; it is not asked in a run without arithmetic.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] when the ledger refuses it, and whatever `values` returns.
    pub fn filled<E: From<OutOfMemory>>(
        &self,
        rows: usize,
        columns: usize,
        what: &'static str,
        values: impl FnOnce() -> Result<Vec<f32>, E>,
    ) -> Result<Matrix, E> {
        let mut matrix = Matrix::shape(rows, columns, &self.context.ledger, what)?;
        if !self.shapes_only {
            let values = values()?;
            assert_eq!(values.len(), rows * columns, "a matrix holds its shape");
            matrix.set_values(values);
        }
        Ok(matrix)
    }

    /// Holds memory for something that is no matrix.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] when the ledger refuses it.
    pub fn reserve(&self, size_bytes: u64, what: &'static str) -> Result<Reservation, OutOfMemory> {
        self.context.ledger.reserve(size_bytes, what)
    }
}
