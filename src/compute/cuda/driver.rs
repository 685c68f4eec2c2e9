//! The driver's handles, each given back when it is dropped, and which of its errors are for ever.
//!
//! Everything here is called with the device's context current on this thread; see
//! [`Opened::call`](super::opened::Opened).

use cudarc::driver::sys::CUresult::{self, *};
use cudarc::driver::{DriverError, result, sys};

/// Whether the context is of no use after this error. (CUDA Driver API, "Data types used by CUDA driver":
/// those that "leave the process in an inconsistent state".)
pub(super) fn is_for_ever(error: CUresult) -> bool {
    matches!(
        error,
        CUDA_ERROR_DEINITIALIZED
            | CUDA_ERROR_NO_DEVICE
            | CUDA_ERROR_INVALID_CONTEXT
            | CUDA_ERROR_CONTEXT_IS_DESTROYED
            | CUDA_ERROR_ECC_UNCORRECTABLE
            | CUDA_ERROR_ILLEGAL_ADDRESS
            | CUDA_ERROR_LAUNCH_TIMEOUT
            | CUDA_ERROR_ASSERT
            | CUDA_ERROR_HARDWARE_STACK_ERROR
            | CUDA_ERROR_ILLEGAL_INSTRUCTION
            | CUDA_ERROR_MISALIGNED_ADDRESS
            | CUDA_ERROR_INVALID_ADDRESS_SPACE
            | CUDA_ERROR_INVALID_PC
            | CUDA_ERROR_LAUNCH_FAILED
            | CUDA_ERROR_SYSTEM_NOT_READY
            | CUDA_ERROR_EXTERNAL_DEVICE
            | CUDA_ERROR_UNKNOWN
    )
}

/// A stream: work that is done in the order in which it was queued.
#[derive(Debug)]
pub(super) struct Stream(pub(super) sys::CUstream);

impl Stream {
    /// One of the greatest or the least urgency.
    pub(super) fn new(is_urgent: bool) -> Result<Self, DriverError> {
        let (least, greatest) = result::stream::get_priority_range()?;
        let priority = if is_urgent { greatest } else { least };
        let kind = result::stream::StreamKind::NonBlocking;
        result::stream::create_with_priority(kind, priority).map(Self)
    }

    #[expect(unsafe_code, reason = "the bindings have no safe form of this call")]
    pub(super) fn wait(&self) -> Result<(), DriverError> {
        // SAFETY: the stream lives as long as this does.
        unsafe { result::stream::synchronize(self.0) }
    }

    /// Destroys it, once what it was asked for is done.
    #[expect(unsafe_code, reason = "the bindings have no safe form of this call")]
    pub(super) fn destroy(&self) -> Result<(), DriverError> {
        // SAFETY: called once, by the owner's `drop`.
        unsafe { result::stream::destroy(self.0) }
    }
}

/// A mark among a stream's work.
#[derive(Debug)]
pub(super) struct Event(pub(super) sys::CUevent);

impl Event {
    pub(super) fn new() -> Result<Self, DriverError> {
        result::event::create(sys::CUevent_flags::CU_EVENT_DISABLE_TIMING).map(Self)
    }

    /// Marks what the stream was asked for so far.
    #[expect(unsafe_code, reason = "the bindings have no safe form of this call")]
    pub(super) fn record(&self, stream: &Stream) -> Result<(), DriverError> {
        // SAFETY: both live.
        unsafe { result::event::record(self.0, stream.0) }
    }

    #[expect(unsafe_code, reason = "the bindings have no safe form of this call")]
    pub(super) fn wait(&self) -> Result<(), DriverError> {
        // SAFETY: the event lives.
        unsafe { result::event::synchronize(self.0) }
    }

    #[expect(unsafe_code, reason = "the bindings have no safe form of this call")]
    pub(super) fn destroy(&self) -> Result<(), DriverError> {
        // SAFETY: called once, by the owner's `drop`.
        unsafe { result::event::destroy(self.0) }
    }
}

/// The device's pool of memory that is allocated and freed in the order of streams.
#[derive(Debug)]
pub(super) struct Pool(sys::CUmemoryPool);

impl Pool {
    /// The device's own, which then keeps what is freed until it is trimmed, and lets no stream wait for what
    /// another one has yet to free; `None` where it has none.
    #[expect(unsafe_code, reason = "the bindings have no safe form of these calls")]
    pub(super) fn of(device: sys::CUdevice) -> Result<Option<Self>, DriverError> {
        use sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED as SUPPORTED;
        use sys::CUmemPool_attribute::{
            CU_MEMPOOL_ATTR_RELEASE_THRESHOLD as THRESHOLD,
            CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES as WAITS_FOR_OTHERS,
        };
        // SAFETY: `device` comes from the driver; the values are the 64-bit and the 32-bit number that the
        // attributes are.
        unsafe {
            if result::device::get_attribute(device, SUPPORTED)? == 0 {
                return Ok(None);
            }
            let pool = result::device::get_default_mem_pool(device)?;
            let mut keep_bytes = u64::MAX;
            let value = (&raw mut keep_bytes).cast();
            result::mem_pool::set_attribute(pool, THRESHOLD, value)?;
            let mut waits = 0_i32;
            let value = (&raw mut waits).cast();
            result::mem_pool::set_attribute(pool, WAITS_FOR_OTHERS, value)?;
            Ok(Some(Self(pool)))
        }
    }

    /// Gives back to the system what is free.
    #[expect(unsafe_code, reason = "the bindings have no safe form of this call")]
    pub(super) fn trim(&self) -> Result<(), DriverError> {
        // SAFETY: a device's own pool lives as long as the device.
        unsafe { result::mem_pool::trim_to(self.0, 0) }
    }
}
