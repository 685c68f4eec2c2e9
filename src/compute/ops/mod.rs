//! The operators of neural models, one folder each: the contract in `mod.rs`, the processor's form and the
//! CUDA form beside it.
//!
//! A model calls them through [`Ops`], which knows the device, the number format of results, the ledgers
//! and the cancel flag, so that a model is written once for every device and for the run without
//! arithmetic that tells its memory. A contract speaks of shapes and matrices only, never of where the
//! numbers are.
//!
//! The processor's forms cut their work into blocks of rows whose size does not depend on the number of
//! threads: the same numbers come out whatever it is. They look at the cancel flag before each block. A
//! thread's own scratch of at most 1 MB is not in the ledger; everything larger is. The CUDA forms queue
//! their work and return; they look at the cancel flag before each launch, and wait for earlier work where
//! much of it is queued.
//!
//! Shapes that do not fit are a mistake in the model's code and panic; weights are checked against the
//! model's shapes before.

mod agreement;
pub mod attention;
mod convert;
mod device;
pub mod flow;
pub mod fourier;
pub mod gemm;
pub mod head_norm;
pub mod hierarchy;
pub mod isosurface;
pub mod math;
pub mod noise;
pub mod norm;
mod reorder;
pub mod resize;
pub mod rows;
pub mod select;
pub mod triplane;

pub use attention::{Heads, View};
pub use flow::{FlowStep, Velocity};
pub use fourier::fourier_columns;
pub use gemm::{Epilogue, Linear, Multiplier, multiply};
pub use head_norm::HeadNorm;
pub use noise::Seed;
pub use norm::Norm;
pub use triplane::Triplane;

use std::sync::Arc;

use super::cuda::{Buffer, size_in_ledger};
use super::matrix::{Held, Vector};
use super::{
    Activations, Cancelled, Context, Gpu, GpuError, Ledger, Matrix, OutOfMemory, Reservation,
};

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
    /// The device failed.
    #[error(transparent)]
    Gpu(GpuError),
}

impl OpError {
    /// What a check of kernels ended in, which nobody cancels.
    ///
    /// # Panics
    ///
    /// When it was cancelled.
    pub fn of_check(self) -> GpuError {
        match self {
            Self::Gpu(error) => error,
            Self::OutOfMemory(error) => error.into(),
            Self::Cancelled => unreachable!("nobody cancels a check"),
        }
    }
}

impl From<GpuError> for OpError {
    fn from(error: GpuError) -> Self {
        match error {
            GpuError::OutOfMemory(error) => Self::OutOfMemory(error),
            error => Self::Gpu(error),
        }
    }
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
    place: Place<'a>,
    multiplier: Multiplier,
}

#[derive(Debug, Clone, Copy)]
enum Place<'a> {
    Cpu,
    Gpu(&'a Arc<Gpu>),
    /// Nowhere; the ledger of a device's memory where the run of a device is meant.
    Shapes(Option<&'a Ledger>),
}

impl<'a> Ops<'a> {
    /// Operators on the context's device that keep their results in this format.
    pub fn new(context: &'a Context, activations: Activations) -> Self {
        Self {
            context,
            activations,
            place: context.gpu.as_ref().map_or(Place::Cpu, Place::Gpu),
            multiplier: Multiplier::default(),
        }
    }

    /// Operators that reserve in the context's ledger what a run on the processor reserves, and neither
    /// allocate nor compute: after such a run the ledger's peak is that of the real one.
    pub fn shapes_only(context: &'a Context) -> Self {
        Self {
            context,
            activations: Activations::F32,
            place: Place::Shapes(None),
            multiplier: Multiplier::default(),
        }
    }

    /// The same for a run on a CUDA device, whose memory is reserved in `device`.
    pub fn shapes_only_on_device(
        context: &'a Context,
        device: &'a Ledger,
        activations: Activations,
    ) -> Self {
        Self {
            context,
            activations,
            place: Place::Shapes(Some(device)),
            multiplier: Multiplier::default(),
        }
    }

    /// Whether nothing is computed.
    pub fn is_shapes_only(&self) -> bool {
        matches!(self.place, Place::Shapes(_))
    }

    /// Whether the numbers are on a CUDA device, or would be.
    pub fn is_on_device(&self) -> bool {
        matches!(self.place, Place::Gpu(_) | Place::Shapes(Some(_)))
    }

    /// The same that keep their results in another format.
    #[must_use]
    pub fn in_format(self, activations: Activations) -> Self {
        Self {
            activations,
            ..self
        }
    }

    /// The same that have another multiply matrices on a device.
    #[must_use]
    pub fn multiplying_by(self, multiplier: Multiplier) -> Self {
        Self { multiplier, ..self }
    }

    /// Waits until everything that was queued is done; on the processor nothing is.
    ///
    /// # Errors
    ///
    /// [`OpError::Gpu`] for whatever happened to the device meanwhile.
    pub fn wait(&self) -> Result<(), OpError> {
        match self.place {
            Place::Gpu(gpu) => Ok(gpu.wait()?),
            Place::Cpu | Place::Shapes(_) => Ok(()),
        }
    }

    /// What the work is done with.
    pub fn context(&self) -> &'a Context {
        self.context
    }

    /// The format that results are kept in.
    pub fn activations(&self) -> Activations {
        self.activations
    }

    /// A matrix of zeros.
    ///
    /// # Errors
    ///
    /// [`OpError`] when there is no memory for it, or the device failed.
    pub fn matrix(
        &self,
        rows: usize,
        columns: usize,
        what: &'static str,
    ) -> Result<Matrix, OpError> {
        let matrix = self.undefined(rows, columns, what)?;
        match self.place {
            Place::Gpu(_) => matrix.buffer().0.clear()?,
            Place::Cpu | Place::Shapes(_) => {}
        }
        Ok(matrix)
    }

    /// A matrix whose every number an operator writes before one reads it: a device does not clear it first.
    ///
    /// # Errors
    ///
    /// As [`Ops::matrix`].
    pub fn undefined(
        &self,
        rows: usize,
        columns: usize,
        what: &'static str,
    ) -> Result<Matrix, OpError> {
        let ledger = &self.context.ledger;
        let size_bytes = (rows * columns * self.activations.size_bytes()) as u64;
        Ok(match self.place {
            Place::Cpu => Matrix::zeros(rows, columns, ledger, what)?,
            Place::Gpu(gpu) => {
                let buffer = Buffer::new(gpu, size_bytes, what)?;
                Matrix::on_device(rows, columns, buffer, self.activations)
            }
            Place::Shapes(None) => Matrix::shape(rows, columns, ledger, what)?,
            Place::Shapes(Some(device)) => {
                let reservation = device.reserve(size_in_ledger(size_bytes), what)?;
                Matrix::reserved(rows, columns, reservation)
            }
        })
    }

    /// A matrix of the numbers that `values` gives; it is not asked in a run without arithmetic.
    ///
    /// # Errors
    ///
    /// [`OpError`] as [`Ops::matrix`], and whatever `values` returns.
    pub fn filled<E: From<OpError>>(
        &self,
        rows: usize,
        columns: usize,
        what: &'static str,
        values: impl FnOnce() -> Result<Vec<f32>, E>,
    ) -> Result<Matrix, E> {
        let checked = |values: Vec<f32>| {
            assert_eq!(values.len(), rows * columns, "a matrix holds its shape");
            values
        };
        match self.place {
            Place::Cpu => {
                let ledger = &self.context.ledger;
                let mut matrix =
                    Matrix::shape(rows, columns, ledger, what).map_err(OpError::from)?;
                matrix.set_values(checked(values()?));
                Ok(matrix)
            }
            Place::Gpu(_) => {
                let matrix = self.undefined(rows, columns, what)?;
                let passing_bytes = 4 * (rows * columns) as u64;
                let _passing = self
                    .reserve(passing_bytes, "numbers on their way")
                    .map_err(OpError::from)?;
                let (buffer, number) = matrix.buffer();
                let written = buffer.write_numbers(number, &checked(values()?));
                written.map_err(OpError::from)?;
                Ok(matrix)
            }
            Place::Shapes(device) => {
                let matrix = self.undefined(rows, columns, what)?;
                let passing_bytes = device.map_or(0, |_| 4 * (rows * columns) as u64);
                let _passing = self
                    .reserve(passing_bytes, "numbers on their way")
                    .map_err(OpError::from)?;
                Ok(matrix)
            }
        }
    }

    /// A vector of so many numbers; none are given in a run without arithmetic. On the host, where there
    /// are few of them beside the weights, they are not in the ledger.
    ///
    /// # Errors
    ///
    /// [`OpError`] as [`Ops::matrix`].
    ///
    /// # Panics
    ///
    /// When there are not so many.
    pub fn vector(
        &self,
        count: usize,
        values: Vec<f32>,
        what: &'static str,
    ) -> Result<Vector, OpError> {
        if !self.is_shapes_only() {
            assert_eq!(values.len(), count, "a vector holds its length");
        }
        let size_bytes = size_in_ledger(4 * count as u64);
        Ok(Vector(match self.place {
            Place::Cpu => Held::Host(values),
            Place::Gpu(gpu) => {
                let bytes = bytemuck::cast_slice(&values);
                Held::Device(Buffer::of_bytes(gpu, bytes, what)?)
            }
            Place::Shapes(device) => Held::Shape {
                _reservation: device
                    .map(|device| device.reserve(size_bytes, what))
                    .transpose()?,
            },
        }))
    }

    /// Holds memory of the host for something that is no matrix.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] when the ledger refuses it.
    pub fn reserve(&self, size_bytes: u64, what: &'static str) -> Result<Reservation, OutOfMemory> {
        self.context.ledger.reserve(size_bytes, what)
    }

    /// Holds memory of the device for something that is no matrix; nothing on the processor.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] when the ledger refuses it.
    pub fn reserve_on_device(
        &self,
        size_bytes: u64,
        what: &'static str,
    ) -> Result<Option<Reservation>, OutOfMemory> {
        let ledger = match self.place {
            Place::Cpu | Place::Shapes(None) => return Ok(None),
            Place::Gpu(gpu) => gpu.ledger(),
            Place::Shapes(Some(ledger)) => ledger,
        };
        ledger.reserve(size_bytes, what).map(Some)
    }
}
