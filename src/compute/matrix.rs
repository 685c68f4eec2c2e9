//! Matrices whose every byte is in the ledger.

use super::{Ledger, OutOfMemory, Reservation};

/// Numbers in rows, one row after another.
///
/// A matrix of a run without arithmetic has a shape and a reservation and no numbers; see
/// [`Ops::shapes_only`](super::Ops::shapes_only).
#[derive(Debug)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f32>,
    _reservation: Reservation,
}

impl Matrix {
    /// A matrix of zeros.
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
        matrix.values = vec![0.0; rows * columns];
        Ok(matrix)
    }

    /// A matrix of these numbers.
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
        matrix.values = values;
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
        Ok(Self {
            rows,
            columns,
            values: Vec::new(),
            _reservation: ledger.reserve(size_bytes, what)?,
        })
    }

    /// Gives a matrix its numbers.
    pub(super) fn set_values(&mut self, values: Vec<f32>) {
        self.values = values;
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The numbers in a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The numbers, one row after another.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The numbers, one row after another.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// One row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..][..self.columns]
    }
}
