//! Matrix products on a device: by cuBLASLt where that was found and checked, else by our own kernel.

use std::sync::Arc;

use super::super::device::count;
use super::super::{Matrix, OpError, Ops, Place};
use super::{Epilogue, Linear, Multiplier};
use crate::compute::cuda::LibraryProduct;
use crate::compute::kernels::{GatedParams, GemmFormat, GemmParams, Tile, UnaryParams};
use crate::compute::{Gpu, Number, Precision};

/// Rows that are widened and gated at once, so that what is gated takes little memory.
const GATED_ROWS: usize = 1024;

/// The numbers of activations and of weights as the kernel knows them.
fn format(activations: Number, weights: Precision) -> GemmFormat {
    match (activations, weights) {
        (Number::F32, _) => GemmFormat::F32,
        (Number::F16, Precision::Int8) => GemmFormat::F16Int8,
        (Number::F16, _) => GemmFormat::F16,
        (Number::Bf16, Precision::Int8) => GemmFormat::Bf16Int8,
        (Number::Bf16, _) => GemmFormat::Bf16,
    }
}

/// What follows the sums of a product, as the kernels number it.
mod activation {
    use super::Epilogue;

    pub(super) const NONE: i32 = 0;
    pub(super) const GELU: i32 = 1;
    pub(super) const SILU: i32 = 3;

    /// That of an epilogue; what is gated is so by a kernel of its own.
    pub(super) fn of(epilogue: Epilogue) -> i32 {
        match epilogue {
            Epilogue::Gelu => GELU,
            Epilogue::Silu => SILU,
            Epilogue::Store | Epilogue::Add | Epilogue::Geglu => NONE,
        }
    }
}

/// The check of cuBLASLt's products that go with this format, by its name in the log.
pub(in super::super) fn library_check(number: Number) -> &'static str {
    match number {
        Number::F32 => "products by cuBLASLt in fp32",
        Number::F16 => "products by cuBLASLt in fp16",
        Number::Bf16 => "products by cuBLASLt in bf16",
    }
}

pub(super) fn linear(
    ops: &Ops<'_>,
    inputs: &Matrix,
    linear: &Linear,
    epilogue: Epilogue,
    out: &Matrix,
) -> Result<(), OpError> {
    if epilogue == Epilogue::Geglu {
        return gated(ops, inputs, linear, out);
    }
    let Place::Gpu(gpu) = ops.place else {
        return Ok(());
    };
    let product = Product {
        ops,
        gpu,
        inputs: Some(inputs),
        linear,
        first_row: 0,
        rows: inputs.rows(),
    };
    product.into(out, epilogue)
}

/// A product without inputs: of every sum the bias is left.
pub(super) fn add_bias(
    ops: &Ops<'_>,
    gpu: &Arc<Gpu>,
    linear: &Linear,
    out: &Matrix,
) -> Result<(), OpError> {
    let product = Product {
        ops,
        gpu,
        inputs: None,
        linear,
        first_row: 0,
        rows: out.rows(),
    };
    product.into(out, Epilogue::Add)
}

/// Sums of twice as many columns, then each gated by its partner.
fn gated(ops: &Ops<'_>, inputs: &Matrix, linear: &Linear, out: &Matrix) -> Result<(), OpError> {
    let rows = inputs.rows().min(GATED_ROWS);
    let sums = ops.undefined(rows, linear.outputs(), "sums to be gated")?;
    let Place::Gpu(gpu) = ops.place else {
        return Ok(());
    };
    let columns = out.columns();
    for first_row in (0..inputs.rows()).step_by(GATED_ROWS) {
        let rows = GATED_ROWS.min(inputs.rows() - first_row);
        let product = Product {
            ops,
            gpu,
            inputs: Some(inputs),
            linear,
            first_row,
            rows,
        };
        product.into(&sums, Epilogue::Store)?;
        let (buffer, number) = out.buffer();
        let params = GatedParams {
            x: sums.address(),
            y: buffer.at((first_row * columns * number.size_bytes()) as u64),
            rows: rows as i64,
            width: count("gated", "the width", columns)?,
            activation: activation::GELU,
            first_is_gate: 0,
            padding: 0,
        };
        let operations = 100.0 * rows as f64 * columns as f64;
        ops.launch(gpu, params.launch(number), operations)?;
    }
    Ok(())
}

/// Some rows of inputs times weights.
struct Product<'a> {
    ops: &'a Ops<'a>,
    gpu: &'a Arc<Gpu>,
    /// `None` for rows of zeros.
    inputs: Option<&'a Matrix>,
    linear: &'a Linear,
    first_row: usize,
    rows: usize,
}

impl Product<'_> {
    /// Into the first rows of `out`.
    fn into(self, out: &Matrix, epilogue: Epilogue) -> Result<(), OpError> {
        let (inputs, outputs) = (self.linear.inputs(), self.linear.outputs());
        let (to, number) = out.buffer();
        let c = to.at(0);
        let first = self.inputs.map(|inputs| {
            let (buffer, same) = inputs.buffer();
            assert_eq!(number, same, "the format of rows in and out");
            buffer.at((self.first_row * inputs.columns() * number.size_bytes()) as u64)
        });
        // Without inputs the weights are not read either.
        let depth = if first.is_some() { inputs } else { 0 };
        // Reading and writing what is added to is worth about 50 products a number.
        let operations = 2.0 * self.rows as f64 * outputs as f64 * depth.max(50) as f64;
        if let Some(first) = first
            && self.by_library(first, out, epilogue, operations)?
        {
            return Ok(());
        }
        let size = |what, size| count("gemm", what, size);
        let weights = self.linear.on_device();
        let params = GemmParams {
            a: first.unwrap_or(0),
            weight: weights.weights,
            weight_scale: weights.scales,
            bias: weights.bias,
            gate: 0,
            residual: if epilogue == Epilogue::Add { c } else { 0 },
            c,
            row_offsets: 0,
            a_row: inputs as i64,
            weight_row: inputs as i64,
            residual_row: outputs as i64,
            c_row: outputs as i64,
            a_batch: 0,
            weight_batch: 0,
            scale_batch: 0,
            bias_batch: 0,
            gate_batch: 0,
            residual_batch: 0,
            c_batch: 0,
            m: size("m", self.rows)?,
            n: size("n", outputs)?,
            k: size("k", depth)?,
            activation: activation::of(epilogue),
            wide_output: 0,
            alpha: 1.0,
        };
        let tile = Tile::choose(params.m, params.n, 1, self.gpu.multiprocessors());
        let format = format(number, weights.precision);
        self.ops
            .launch(self.gpu, params.launch(format, tile, 1), operations)
    }

    /// The same by cuBLASLt, of rows from an address on; false where that is not used, or cannot compute it.
    ///
    /// An activation follows by itself, from sums that are rounded to the result's format: the library has
    /// GELU in its approximate form only, and no SiLU.
    fn by_library(
        &self,
        first: u64,
        out: &Matrix,
        epilogue: Epilogue,
        operations: f64,
    ) -> Result<bool, OpError> {
        let (weights, (to, number)) = (self.linear.on_device(), out.buffer());
        // It multiplies numbers of one format, and so none of 16 bits with weights of 8.
        let is_one_format = matches!(
            (number, weights.precision),
            (Number::F32, Precision::F32)
                | (Number::F16, Precision::F16)
                | (Number::Bf16, Precision::Bf16)
        );
        if !is_one_format || !self.uses_library(number) {
            return Ok(false);
        }
        self.ops.context.cancel.checkpoint()?;
        let product = LibraryProduct {
            number,
            rows: self.rows,
            outputs: self.linear.outputs(),
            inputs: self.linear.inputs(),
            a: first,
            weights: weights.weights,
            bias: weights.narrow_bias,
            c: to.at(0),
            is_added: epilogue == Epilogue::Add,
        };
        if !self.gpu.multiply(&product)? {
            return Ok(false);
        }
        self.gpu.pace(operations)?;
        let activation = activation::of(epilogue);
        if activation != activation::NONE {
            let count = self.rows * product.outputs;
            let params = UnaryParams {
                x: product.c,
                y: product.c,
                count: count as i64,
                alpha: 1.0,
                beta: 0.0,
                activation,
                padding: 0,
            };
            let operations = 100.0 * count as f64;
            self.ops
                .launch(self.gpu, params.launch(number), operations)?;
        }
        self.ops.context.cancel.checkpoint()?;
        Ok(true)
    }

    fn uses_library(&self, number: Number) -> bool {
        match self.ops.multiplier {
            Multiplier::Ours => false,
            Multiplier::Checked => self.gpu.has_passed(library_check(number)),
            Multiplier::Unchecked => true,
        }
    }
}
