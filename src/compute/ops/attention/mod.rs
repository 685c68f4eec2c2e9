//! Attention of every query to every key, several heads at once, without a matrix of scores in memory.
//!
//! Dao et al. 2022, "FlashAttention": blocks of keys, with the sums scaled anew whenever a greater score
//! turns up.

mod cpu;
mod cuda;

use super::{Matrix, OpError, Ops, Place};

/// How a row is divided among heads, one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// The number of heads.
    pub count: usize,
    /// The numbers of each.
    pub width: usize,
}

impl Heads {
    /// The numbers of all heads.
    pub fn columns(self) -> usize {
        self.count * self.width
    }
}

/// Some columns of a matrix: queries, keys and values may lie side by side in one.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The matrix.
    pub matrix: &'a Matrix,
    /// The first column.
    pub first: usize,
}

impl View<'_> {
    fn assert_holds(&self, columns: usize) {
        assert!(
            self.first + columns <= self.matrix.columns(),
            "columns of a view"
        );
    }
}

impl Ops<'_> {
    /// For each head: `out = softmax(queries · keysᵀ / √width) · values`.
    ///
    /// # Errors
    ///
    /// [`OpError`] when cancelled, when there is no memory for the keys turned around, or when the device
    /// failed or does not take heads of this width: it takes multiples of 8 up to 128.
    ///
    /// # Panics
    ///
    /// When the shapes do not fit.
    pub fn attention(
        &self,
        queries: View<'_>,
        keys: View<'_>,
        values: View<'_>,
        heads: Heads,
        out: &mut Matrix,
    ) -> Result<(), OpError> {
        for view in [queries, keys, values] {
            view.assert_holds(heads.columns());
        }
        assert_eq!(keys.matrix.rows(), values.matrix.rows(), "keys and values");
        assert_eq!(queries.matrix.rows(), out.rows(), "queries and results");
        assert_eq!(out.columns(), heads.columns(), "columns of the result");
        if let Place::Gpu(gpu) = self.place {
            return cuda::attention(self, gpu, [queries, keys, values], heads, out);
        }
        if self.is_on_device() {
            return Ok(());
        }
        let turned_bytes = 4 * (heads.columns() * keys.matrix.rows()) as u64;
        let _turned = self.reserve(turned_bytes, "keys turned around")?;
        if self.is_shapes_only() {
            return Ok(());
        }
        cpu::attention(
            queries,
            keys,
            values,
            heads,
            out,
            self.activations,
            &self.context.cancel,
        )?;
        Ok(())
    }
}
