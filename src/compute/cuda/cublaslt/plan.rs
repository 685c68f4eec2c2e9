//! How a product of one shape is asked of the library: described once, with the algorithm that the library
//! proposes for it, then only run.

use std::ffi::{c_int, c_void};
use std::ptr::null_mut;

use cudarc::cublaslt::sys;

use super::api::{
    Algorithm, Api, Destroy, Handle, NOT_SUPPORTED, Proposal, SUCCESS, Status, TURNED,
};
use super::{LibraryProduct, ask};
use crate::compute::Number;
use crate::compute::cuda::{Gpu, GpuError};

/// Addresses are told apart by their alignment up to this many bytes, which the library asks for at most.
const MOST_ALIGNED: u64 = 256;

/// What decides how a product is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    number: Number,
    rows: usize,
    outputs: usize,
    inputs: usize,
    is_biased: bool,
    /// What the least aligned address is a multiple of.
    alignment: u32,
}

impl Key {
    pub(super) fn of(product: &LibraryProduct) -> Self {
        let all = product.a | product.weights | product.bias | product.c | MOST_ALIGNED;
        Self {
            number: product.number,
            rows: product.rows,
            outputs: product.outputs,
            inputs: product.inputs,
            is_biased: product.bias != 0,
            alignment: 1 << all.trailing_zeros(),
        }
    }
}

/// Something that the library made for us, given back when it is dropped.
#[derive(Debug)]
struct Made {
    handle: Handle,
    give_back: Destroy,
}

impl Drop for Made {
    #[expect(unsafe_code, reason = "the library's functions are foreign")]
    fn drop(&mut self) {
        // SAFETY: made once by the function that goes with this one, given back once; it is memory of the
        // host alone, so that no context has to be current.
        let status = unsafe { (self.give_back)(self.handle) };
        if status != SUCCESS {
            tracing::warn!("cuBLASLt could not take back what it made: status {status}");
        }
    }
}

/// A product that is described, and its algorithm.
///
/// The library counts columns first. Rows of a matrix, one after another, are to it the columns of the
/// matrix turned around: the weights are `inputs × outputs` and are turned back, the inputs are
/// `inputs × rows`, and the result is `outputs × rows`.
#[derive(Debug)]
pub(super) struct Plan {
    operation: Made,
    weights: Made,
    inputs: Made,
    out: Made,
    algorithm: Algorithm,
}

impl Plan {
    /// `None` where the library has no algorithm.
    pub(super) fn new(
        api: &Api,
        library: Handle,
        gpu: &Gpu,
        key: Key,
        bias: u64,
    ) -> Result<Option<Self>, GpuError> {
        let number = match key.number {
            Number::F32 => sys::cudaDataType::CUDA_R_32F,
            Number::F16 => sys::cudaDataType::CUDA_R_16F,
            Number::Bf16 => sys::cudaDataType::CUDA_R_16BF,
        };
        let layout = |rows: usize, columns: usize| layout(api, gpu, number as c_int, rows, columns);
        let (weights, inputs, out) = (
            layout(key.inputs, key.outputs)?,
            layout(key.inputs, key.rows)?,
            layout(key.outputs, key.rows)?,
        );
        let operation = operation(api, gpu, key.is_biased)?;
        if key.is_biased {
            set_bias(api, gpu, &operation, bias)?;
        }
        let preference = preference(api, gpu, key.alignment)?;
        let handles = [&operation, &weights, &inputs, &out, &out, &preference];
        let proposed = propose(api, library, gpu, handles.map(|made| made.handle))?;
        Ok(proposed.map(|algorithm| Self {
            operation,
            weights,
            inputs,
            out,
            algorithm,
        }))
    }

    /// Queues the product.
    #[expect(unsafe_code, reason = "the library's functions are foreign")]
    pub(super) fn run(
        &self,
        api: &Api,
        library: Handle,
        gpu: &Gpu,
        product: &LibraryProduct,
    ) -> Result<(), GpuError> {
        if product.bias != 0 {
            set_bias(api, gpu, &self.operation, product.bias)?;
        }
        let (one, added) = (1.0_f32, if product.is_added { 1.0_f32 } else { 0.0 });
        let at = |address: u64| std::ptr::without_provenance_mut::<c_void>(address as usize);
        let c = at(product.c);
        // SAFETY: the handles live; the two factors are read before the call returns. The addresses are those
        // of buffers with as many numbers as the layouts tell, as their owner states, whose memory is freed in
        // the order of the stream. Without a workspace there is none to be valid.
        ask(gpu, || unsafe {
            (api.multiply)(
                library,
                self.operation.handle,
                &raw const one,
                at(product.weights),
                self.weights.handle,
                at(product.a),
                self.inputs.handle,
                &raw const added,
                c,
                self.out.handle,
                c,
                self.out.handle,
                &raw const self.algorithm,
                null_mut(),
                0,
                gpu.stream.0,
            )
        })
    }
}

/// Has the library make something.
fn make(
    gpu: &Gpu,
    give_back: Destroy,
    make: impl FnOnce(*mut Handle) -> Status,
) -> Result<Made, GpuError> {
    let mut handle = null_mut();
    ask(gpu, || make(&raw mut handle))?;
    Ok(Made { handle, give_back })
}

/// A matrix without gaps.
#[expect(unsafe_code, reason = "the library's functions are foreign")]
fn layout(
    api: &Api,
    gpu: &Gpu,
    number: c_int,
    rows: usize,
    columns: usize,
) -> Result<Made, GpuError> {
    let (height, width) = (rows as u64, columns as u64);
    // SAFETY: the pointer is valid for one handle.
    make(gpu, api.destroy_layout, |handle| unsafe {
        (api.create_layout)(handle, number, height, width, height.cast_signed())
    })
}

/// Weights turned around times inputs, summed in 32 bits, and the bias where there is one.
#[expect(unsafe_code, reason = "the library's functions are foreign")]
fn operation(api: &Api, gpu: &Gpu, is_biased: bool) -> Result<Made, GpuError> {
    use sys::cublasLtMatmulDescAttributes_t::{
        CUBLASLT_MATMUL_DESC_EPILOGUE as EPILOGUE, CUBLASLT_MATMUL_DESC_TRANSA as TURN_FIRST,
    };
    let sums = sys::cublasComputeType_t::CUBLAS_COMPUTE_32F as c_int;
    let factors = sys::cudaDataType::CUDA_R_32F as c_int;
    // SAFETY: the pointer is valid for one handle.
    let operation = make(gpu, api.destroy_operation, |handle| unsafe {
        (api.create_operation)(handle, sums, factors)
    })?;
    let set = |attribute, value: c_int| {
        set(
            gpu,
            api.set_operation,
            &operation,
            attribute as c_int,
            value,
        )
    };
    set(TURN_FIRST, TURNED)?;
    if is_biased {
        let biased = sys::cublasLtEpilogue_t::CUBLASLT_EPILOGUE_BIAS;
        set(EPILOGUE, biased as c_int)?;
    }
    Ok(operation)
}

fn set_bias(api: &Api, gpu: &Gpu, operation: &Made, bias: u64) -> Result<(), GpuError> {
    let which = sys::cublasLtMatmulDescAttributes_t::CUBLASLT_MATMUL_DESC_BIAS_POINTER;
    set(gpu, api.set_operation, operation, which as c_int, bias)
}

/// What an algorithm may do: it gets no workspace, as that would have to be in the account of memory on
/// machines with and without the library, and so it does not cut sums into parts.
fn preference(api: &Api, gpu: &Gpu, alignment: u32) -> Result<Made, GpuError> {
    use sys::cublasLtMatmulPreferenceAttributes_t::{
        CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES as WORKSPACE,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES as OF_WEIGHTS,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES as OF_INPUTS,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES as OF_ADDED,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES as OF_OUT,
        CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK as REDUCTION,
    };
    let preference = made_preference(api, gpu)?;
    let to = |attribute: sys::cublasLtMatmulPreferenceAttributes_t, value: u32| {
        let which = attribute as c_int;
        set(gpu, api.set_preference, &preference, which, value)
    };
    set(
        gpu,
        api.set_preference,
        &preference,
        WORKSPACE as c_int,
        0_usize,
    )?;
    // Parts of sums are never rounded to the result's format.
    let wide = sys::cublasLtReductionScheme_t::CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    to(REDUCTION, wide as u32)?;
    for which in [OF_WEIGHTS, OF_INPUTS, OF_ADDED, OF_OUT] {
        to(which, alignment)?;
    }
    Ok(preference)
}

#[expect(unsafe_code, reason = "the library's functions are foreign")]
fn made_preference(api: &Api, gpu: &Gpu) -> Result<Made, GpuError> {
    // SAFETY: the pointer is valid for one handle.
    make(gpu, api.destroy_preference, |handle| unsafe {
        (api.create_preference)(handle)
    })
}

/// Sets an attribute, whose type is the one that `cublasLt.h` tells.
#[expect(unsafe_code, reason = "the library's functions are foreign")]
fn set<T: bytemuck::NoUninit>(
    gpu: &Gpu,
    function: super::api::SetAttribute,
    of: &Made,
    attribute: c_int,
    value: T,
) -> Result<(), GpuError> {
    // SAFETY: what it is of lives; the value is copied before the call returns.
    ask(gpu, || unsafe {
        function(
            of.handle,
            attribute,
            (&raw const value).cast(),
            size_of::<T>(),
        )
    })
}

/// The algorithm that the library proposes first.
#[expect(unsafe_code, reason = "the library's functions are foreign")]
fn propose(
    api: &Api,
    library: Handle,
    gpu: &Gpu,
    [operation, weights, inputs, added, out, preference]: [Handle; 6],
) -> Result<Option<Algorithm>, GpuError> {
    let (mut proposal, mut count, mut status) = (Proposal::default(), 0, SUCCESS);
    ask(gpu, || {
        // SAFETY: the handles live; there is room for the one proposal that is asked for.
        status = unsafe {
            (api.propose)(
                library,
                operation,
                weights,
                inputs,
                added,
                out,
                preference,
                1,
                &raw mut proposal,
                &raw mut count,
            )
        };
        // That is an answer.
        if status == NOT_SUPPORTED {
            SUCCESS
        } else {
            status
        }
    })?;
    let fits = status == SUCCESS
        && count > 0
        && proposal.status == SUCCESS
        && proposal.workspace_bytes == 0;
    Ok(fits.then_some(proposal.algorithm))
}
