//! Matrix products on the processor.

use std::ops::Range;

use gemm_common::Parallelism;
use rayon::prelude::*;

use super::super::math::{self, vectorised};
use super::super::{BLOCK_ROWS, Matrix};
use super::{Epilogue, Linear};
use crate::compute::{Activations, Cancel, Cancelled};

/// The most rows that are multiplied at once: for each block of them the library brings the weights into its order
/// anew, and a block by [`BLOCK_COLUMNS`] takes well under 50 ms.
const MOST_ROWS: usize = 384;
/// The fewest, unless there are no more: of few rows the library adds up products in another order, so that what comes
/// out would depend on how many threads share them out.
const LEAST_ROWS: usize = 96;
/// Columns whose weights are copied side by side, in 32 bits, and then multiplied with all rows: a panel stays near the
/// processor.
const BLOCK_COLUMNS: usize = 256;

/// A part of a matrix: rows of `columns` numbers, each `stride` after the one before.
#[derive(Debug, Clone, Copy)]
pub struct Strided<'a> {
    /// From the first number to the last.
    pub values: &'a [f32],
    /// The number of rows.
    pub rows: usize,
    /// The numbers in a row.
    pub columns: usize,
    /// From the beginning of a row to that of the next.
    pub stride: usize,
}

/// As [`Strided`], to be written to.
#[derive(Debug)]
pub struct StridedMut<'a> {
    /// From the first number to the last.
    pub values: &'a mut [f32],
    /// The number of rows.
    pub rows: usize,
    /// The numbers in a row.
    pub columns: usize,
    /// From the beginning of a row to that of the next.
    pub stride: usize,
}

fn is_held(length: usize, rows: usize, columns: usize, stride: usize) -> bool {
    let last_row = rows
        .checked_sub(1)
        .and_then(|last| last.checked_mul(stride));
    let end = last_row.and_then(|first| first.checked_add(columns));
    columns <= stride && (columns == 0 || end.is_none_or(|end| end <= length && rows > 0))
}

/// `out = a · b`, or `out = out + a · b` when `add` is set, on this thread.
///
/// # Panics
///
/// When the shapes do not fit.
#[expect(unsafe_code, reason = "the library's product has only this form")]
pub fn multiply(a: Strided<'_>, b: Strided<'_>, out: StridedMut<'_>, add: bool) {
    assert_eq!(a.columns, b.rows, "inner sizes");
    assert_eq!(
        (a.rows, b.columns),
        (out.rows, out.columns),
        "the result's size"
    );
    assert!(is_held(a.values.len(), a.rows, a.columns, a.stride), "left");
    assert!(
        is_held(b.values.len(), b.rows, b.columns, b.stride),
        "right"
    );
    assert!(
        is_held(out.values.len(), out.rows, out.columns, out.stride),
        "result"
    );
    if out.rows == 0 || out.columns == 0 {
        return;
    }
    let product = gemm_f32::gemm::f32::get_gemm_fn();
    // The library is fastest on columns: outᵀ = bᵀ · aᵀ, whose columns are our rows.
    //
    // SAFETY: each pointer is valid for the rows and columns that go with it, as asserted above, and
    // `out` is borrowed apart from the other two.
    unsafe {
        product(
            out.columns,
            out.rows,
            a.columns,
            out.values.as_mut_ptr(),
            out.stride as isize,
            1,
            add,
            b.values.as_ptr(),
            b.stride as isize,
            1,
            a.values.as_ptr(),
            a.stride as isize,
            1,
            if add { 1.0 } else { 0.0 },
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// Cuts rows that come out, and those that go in, into blocks of about the same size: two a thread, where these are
/// neither too small nor too large.
fn blocks<'a>(
    rows: usize,
    mut out: &'a mut [f32],
    mut inputs: &'a [f32],
) -> Vec<(&'a mut [f32], &'a [f32])> {
    let fewest = rows.div_ceil(MOST_ROWS);
    let most = (rows / LEAST_ROWS).max(fewest);
    let count = (2 * rayon::current_num_threads()).clamp(fewest, most);
    let mut left = rows;
    let mut blocks = Vec::with_capacity(count);
    for waiting in (1..=count).rev() {
        let taken = left / waiting;
        let (own_out, other_out) = out.split_at_mut(out.len() / left * taken);
        let (own_inputs, other_inputs) = inputs.split_at(inputs.len() / left * taken);
        blocks.push((own_out, own_inputs));
        (out, inputs, left) = (other_out, other_inputs, left - taken);
    }
    blocks
}

/// A layer's bias added to every row.
pub(super) fn add_bias_alone(
    linear: &Linear,
    out: &mut Matrix,
    activations: Activations,
    cancel: &Cancel,
) -> Result<(), Cancelled> {
    let columns = out.columns().max(1);
    out.values_mut()
        .par_chunks_mut(BLOCK_ROWS * columns)
        .try_for_each(|out| {
            cancel.checkpoint()?;
            for row in out.chunks_exact_mut(columns) {
                add_bias(row, linear.bias());
            }
            activations.round(out);
            Ok(())
        })
}

/// The memory of the panels of a layer's product.
pub(super) fn panel_bytes(linear: &Linear, epilogue: Epilogue) -> u64 {
    let columns = epilogue.columns(linear.outputs());
    let panels = linear.outputs() / columns.max(1);
    (panels * columns.min(BLOCK_COLUMNS) * linear.inputs() * size_of::<f32>()) as u64
}

/// The product of a layer: some columns after others, their rows in parallel.
pub(super) fn linear(
    inputs: &Matrix,
    linear: &Linear,
    epilogue: Epilogue,
    out: &mut Matrix,
    activations: Activations,
    cancel: &Cancel,
) -> Result<(), Cancelled> {
    let (rows, columns) = (out.rows(), out.columns());
    let most = columns.min(BLOCK_COLUMNS) * linear.inputs();
    let is_gated = epilogue == Epilogue::Geglu;
    let mut panels = [vec![0.0; most], vec![0.0; if is_gated { most } else { 0 }]];
    for first in (0..columns).step_by(BLOCK_COLUMNS) {
        cancel.checkpoint()?;
        let part = first..columns.min(first + BLOCK_COLUMNS);
        let mut panel = |panel: usize, part: Range<usize>| {
            let weights = &mut panels[panel][..linear.inputs() * part.len()];
            linear.write_panel(&part, weights);
            part
        };
        let whole = panel(0, part.clone());
        let gates = is_gated.then(|| panel(1, columns + part.start..columns + part.end));
        let layer = Layer {
            inputs: linear.inputs(),
            columns,
            panels: [&panels[0], &panels[1]],
            bias: linear.bias().map(|bias| &bias[whole]),
            gate_bias: linear.bias().zip(gates).map(|(bias, gates)| &bias[gates]),
            activations,
            part,
        };
        blocks(rows, out.values_mut(), inputs.values())
            .into_par_iter()
            .try_for_each_init(Vec::new, |scratch, (out, inputs)| {
                cancel.checkpoint()?;
                if is_gated {
                    layer.gated(inputs, out, scratch);
                } else {
                    layer.plain(inputs, out, epilogue);
                }
                Ok(())
            })?;
    }
    Ok(())
}

/// Some columns of a layer's product.
struct Layer<'a> {
    inputs: usize,
    /// Of a whole row that comes out.
    columns: usize,
    /// The weights of the columns and, where they are gated, those of their gates.
    panels: [&'a [f32]; 2],
    bias: Option<&'a [f32]>,
    gate_bias: Option<&'a [f32]>,
    activations: Activations,
    part: Range<usize>,
}

impl Layer<'_> {
    fn panel(&self, panel: usize) -> Strided<'_> {
        let columns = self.part.len();
        Strided {
            values: &self.panels[panel][..self.inputs * columns],
            rows: self.inputs,
            columns,
            stride: columns,
        }
    }

    fn rows<'b>(&self, inputs: &'b [f32]) -> Strided<'b> {
        Strided {
            values: inputs,
            rows: inputs.len() / self.inputs,
            columns: self.inputs,
            stride: self.inputs,
        }
    }

    /// A block of rows, some columns of it.
    fn plain(&self, inputs: &[f32], out: &mut [f32], epilogue: Epilogue) {
        let (columns, part) = (self.columns, &self.part);
        let inputs = self.rows(inputs);
        let product = StridedMut {
            rows: inputs.rows,
            columns: part.len(),
            stride: columns,
            values: &mut out[part.start..],
        };
        let add = epilogue == Epilogue::Add;
        multiply(inputs, self.panel(0), product, add);
        let bias = self.bias;
        vectorised(
            #[inline(always)]
            || {
                for row in out.chunks_exact_mut(columns) {
                    let row = &mut row[part.clone()];
                    add_bias(row, bias);
                    match epilogue {
                        Epilogue::Gelu => row.iter_mut().for_each(|x| *x = math::gelu(*x)),
                        Epilogue::Silu => row.iter_mut().for_each(|x| *x = math::silu(*x)),
                        Epilogue::Store | Epilogue::Add | Epilogue::Geglu => {}
                    }
                }
            },
        );
        if self.activations != Activations::F32 {
            for row in out.chunks_exact_mut(columns) {
                self.activations.round(&mut row[part.clone()]);
            }
        }
    }

    /// A block of rows, some columns of it, each gated by its partner.
    fn gated(&self, inputs: &[f32], out: &mut [f32], scratch: &mut Vec<f32>) {
        let (columns, part) = (self.columns, &self.part);
        let inputs = self.rows(inputs);
        scratch.resize(inputs.rows * part.len(), 0.0);
        let hidden = StridedMut {
            rows: inputs.rows,
            columns: part.len(),
            stride: columns,
            values: &mut out[part.start..],
        };
        multiply(inputs, self.panel(0), hidden, false);
        let gate = StridedMut {
            rows: inputs.rows,
            columns: part.len(),
            stride: part.len(),
            values: scratch,
        };
        multiply(inputs, self.panel(1), gate, false);
        let (bias, gate_bias) = (self.bias, self.gate_bias);
        let rows = out.chunks_exact_mut(columns);
        let rows = rows.zip(scratch.chunks_exact_mut(part.len().max(1)));
        vectorised(
            #[inline(always)]
            || {
                for (row, gates) in rows {
                    let row = &mut row[part.clone()];
                    add_bias(row, bias);
                    add_bias(gates, gate_bias);
                    for (value, gate) in row.iter_mut().zip(gates) {
                        *value *= math::gelu(*gate);
                    }
                }
            },
        );
        if self.activations != Activations::F32 {
            for row in out.chunks_exact_mut(columns) {
                self.activations.round(&mut row[part.clone()]);
            }
        }
    }
}

#[inline(always)]
fn add_bias(row: &mut [f32], bias: Option<&[f32]>) {
    if let Some(bias) = bias {
        for (value, bias) in row.iter_mut().zip(bias) {
            *value += bias;
        }
    }
}
