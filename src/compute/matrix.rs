//! Matrices and vectors whose every byte is in a ledger: the host's, or the device's that they are on.

use std::borrow::Cow;

use super::cuda::{Buffer, GpuError};
use super::{Ledger, Number, OutOfMemory, Reservation};

/// Numbers in rows, one row after another.
///
/// On the host they are of 32 bits, on a device of the format that it was made with. A matrix of a run
/// without arithmetic has a shape and a reservation and no numbers; see
/// [`Ops::shapes_only`](super::Ops::shapes_only).
#[derive(Debug)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    numbers: Numbers,
}

#[derive(Debug)]
enum Numbers {
    Host {
        /// Empty in a run without arithmetic.
        values: Vec<f32>,
        _reservation: Reservation,
    },
    Device {
        buffer: Buffer,
        number: Number,
    },
}

impl Matrix {
    /// A matrix of zeros on the host.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] when the ledger refuses it.
    pub fn zeros(
        rows: usize,
        columns: usize,
        ledger: &Ledger,
        what: &'static str,
    ) -> Result<Self, OutOfMemory> {
        let mut matrix = Self::shape(rows, columns, ledger, what)?;
        matrix.set_values(vec![0.0; rows * columns]);
        Ok(matrix)
    }

    /// A matrix of these numbers on the host.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] when the ledger refuses it.
    ///
    /// # Panics
    ///
    /// When there are not as many numbers as the shape has.
    pub fn new(
        rows: usize,
        columns: usize,
        values: Vec<f32>,
        ledger: &Ledger,
        what: &'static str,
    ) -> Result<Self, OutOfMemory> {
        assert_eq!(values.len(), rows * columns, "a matrix holds its shape");
        let mut matrix = Self::shape(rows, columns, ledger, what)?;
        matrix.set_values(values);
        Ok(matrix)
    }

    /// A matrix without numbers.
    pub(super) fn shape(
        rows: usize,
        columns: usize,
        ledger: &Ledger,
        what: &'static str,
    ) -> Result<Self, OutOfMemory> {
        let size_bytes = (rows * columns * size_of::<f32>()) as u64;
        let reservation = ledger.reserve(size_bytes, what)?;
        Ok(Self::reserved(rows, columns, reservation))
    }

    /// A matrix without numbers, whose memory is reserved.
    pub(super) fn reserved(rows: usize, columns: usize, reservation: Reservation) -> Self {
        Self {
            rows,
            columns,
            numbers: Numbers::Host {
                values: Vec::new(),
                _reservation: reservation,
            },
        }
    }

    /// A matrix on a device.
    pub(super) fn on_device(rows: usize, columns: usize, buffer: Buffer, number: Number) -> Self {
        let size_bytes = rows * columns * number.size_bytes();
        assert_eq!(
            buffer.size_bytes(),
            size_bytes as u64,
            "a matrix holds its shape"
        );
        Self {
            rows,
            columns,
            numbers: Numbers::Device { buffer, number },
        }
    }

    /// Gives a matrix of the host its numbers.
    pub(super) fn set_values(&mut self, given: Vec<f32>) {
        match &mut self.numbers {
            Numbers::Host { values, .. } => *values = given,
            Numbers::Device { .. } => unreachable!("a device's numbers are written by operators"),
        }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The numbers in a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The numbers of a matrix on the host, one row after another.
    ///
    /// # Panics
    ///
    /// When they are on a device.
    pub fn values(&self) -> &[f32] {
        match &self.numbers {
            Numbers::Host { values, .. } => values,
            Numbers::Device { .. } => panic!("the numbers are on a device"),
        }
    }

    /// The numbers of a matrix on the host, one row after another.
    ///
    /// # Panics
    ///
    /// When they are on a device.
    pub fn values_mut(&mut self) -> &mut [f32] {
        match &mut self.numbers {
            Numbers::Host { values, .. } => values,
            Numbers::Device { .. } => panic!("the numbers are on a device"),
        }
    }

    /// One row of a matrix on the host.
    ///
    /// # Panics
    ///
    /// As [`Matrix::values`].
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values()[row * self.columns..][..self.columns]
    }

    /// The numbers wherever they are, one row after another; from a device once its work is done.
    ///
    /// # Errors
    ///
    /// Whatever happened to the device.
    pub fn to_host(&self) -> Result<Cow<'_, [f32]>, GpuError> {
        match &self.numbers {
            Numbers::Host { values, .. } => Ok(Cow::Borrowed(values)),
            Numbers::Device { buffer, number } => {
                let count = self.rows * self.columns;
                buffer.read_numbers(*number, count).map(Cow::Owned)
            }
        }
    }

    /// The device's memory and the format of its numbers.
    ///
    /// # Panics
    ///
    /// When the numbers are on the host.
    pub(super) fn buffer(&self) -> (&Buffer, Number) {
        match &self.numbers {
            Numbers::Device { buffer, number } => (buffer, *number),
            Numbers::Host { .. } => panic!("the numbers are on the host"),
        }
    }

    /// The device's address of the beginning of the numbers.
    ///
    /// # Panics
    ///
    /// When the numbers are on the host.
    pub(super) fn address(&self) -> u64 {
        self.buffer().0.at(0)
    }
}

/// A number for each column of a matrix, of 32 bits wherever they are: a bias, a gain.
#[derive(Debug)]
pub struct Vector(pub(super) Held);

/// Where the numbers of a vector are.
#[derive(Debug)]
pub(super) enum Held {
    /// Nowhere, in a run without arithmetic.
    Shape {
        _reservation: Option<Reservation>,
    },
    Host(Vec<f32>),
    Device(Buffer),
}

impl Vector {
    /// The numbers of a vector on the host; none in a run without arithmetic.
    ///
    /// # Panics
    ///
    /// When they are on a device.
    pub fn values(&self) -> &[f32] {
        match &self.0 {
            Held::Shape { .. } => &[],
            Held::Host(values) => values,
            Held::Device(_) => panic!("the numbers are on a device"),
        }
    }

    /// The device's address of the numbers.
    ///
    /// # Panics
    ///
    /// When they are not on a device.
    pub(super) fn address(&self) -> u64 {
        match &self.0 {
            Held::Device(buffer) => buffer.at(0),
            _ => panic!("the numbers are on the host"),
        }
    }
}
