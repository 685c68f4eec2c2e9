//! What buffers ask of their device. It never decides how long anything is kept.

use cudarc::driver::{DriverError, result, sys};

use super::{Gpu, GpuError};
use crate::compute::OutOfMemory;

impl Gpu {
    /// Memory for a buffer, which was reserved before.
    #[expect(unsafe_code, reason = "the bindings have no safe form of these calls")]
    pub(super) fn allocate(&self, size_bytes: u64, what: &'static str) -> Result<u64, GpuError> {
        let size = usize::try_from(size_bytes).unwrap_or(usize::MAX);
        let allocate = || {
            // SAFETY: the stream lives. What the memory holds is undefined until it is written, as is said
            // of buffers.
            self.opened.ask(|| unsafe {
                match self.opened.pool {
                    Some(_) => result::malloc_async(self.stream.0, size),
                    None => result::malloc_sync(size),
                }
            })
        };
        if let Some(error) = self.lost() {
            return Err(error.clone());
        }
        let is_full = |error: &Option<DriverError>| {
            *error == Some(DriverError(sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY))
        };
        let allocated = match allocate() {
            // What is kept for next buffers may be in pieces too small for this one.
            Err(error) if is_full(&error) => {
                self.opened.wait().and_then(|()| self.trim())?;
                allocate()
            }
            other => other,
        };
        match allocated {
            Ok(address) => Ok(address),
            Err(error) if is_full(&error) => {
                let (free_bytes, _) = self.free_and_total_bytes()?;
                Err(GpuError::OutOfMemory(OutOfMemory {
                    device: self.device(),
                    what,
                    required_bytes: size_bytes,
                    free_bytes,
                    budget_bytes: self.ledger().budget_bytes(),
                }))
            }
            Err(error) => Err(self.opened.judge("memory", error)),
        }
    }

    /// Frees a buffer's memory, once the work that was queued before is done.
    #[expect(unsafe_code, reason = "the bindings have no safe form of these calls")]
    pub(super) fn release(&self, address: u64) {
        // SAFETY: the address is a buffer's, which gives it back once.
        let freed = self.call("to free memory", || unsafe {
            match self.opened.pool {
                Some(_) => result::free_async(address, self.stream.0),
                None => result::free_sync(address),
            }
        });
        match freed {
            // With the context its memory goes.
            Ok(()) | Err(GpuError::Lost { .. }) => {}
            Err(error) => tracing::error!("{error}"),
        }
    }

    /// Writes to a buffer; the bytes may change again when it returns.
    #[expect(unsafe_code, reason = "the bindings have no safe form of this call")]
    pub(super) fn write(&self, address: u64, bytes: &[u8]) -> Result<(), GpuError> {
        if bytes.is_empty() {
            return Ok(());
        }
        // SAFETY: the buffer holds as many bytes from there on; the stream is waited for below while `bytes`
        // is borrowed, whatever the call returned: where a device reads the host's pages itself, nothing
        // less says that it has.
        let written = self.call("to take numbers", || unsafe {
            result::memcpy_htod_async(address, bytes, self.stream.0)
        });
        self.call("to finish its work", || self.stream.wait())?;
        written?;
        self.rest();
        Ok(())
    }

    /// Reads from a buffer, after all work that was queued before.
    #[expect(unsafe_code, reason = "the bindings have no safe form of this call")]
    pub(super) fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), GpuError> {
        if !bytes.is_empty() {
            // SAFETY: the buffer holds as many bytes from there on; the stream is waited for below while
            // `bytes` is borrowed, whatever the call returned.
            let read = self.call("to give numbers", || unsafe {
                result::memcpy_dtoh_async(bytes, address, self.stream.0)
            });
            self.call("to finish its work", || self.stream.wait())?;
            read?;
        }
        self.rest();
        Ok(())
    }

    #[expect(unsafe_code, reason = "the bindings have no safe form of this call")]
    pub(super) fn clear(&self, address: u64, size_bytes: u64) -> Result<(), GpuError> {
        if size_bytes == 0 {
            return Ok(());
        }
        // SAFETY: the buffer has that size.
        self.call("to clear memory", || unsafe {
            result::memset_d8_async(address, 0, size_bytes as usize, self.stream.0)
        })
    }

    #[expect(unsafe_code, reason = "the bindings have no safe form of this call")]
    pub(super) fn copy(&self, to: u64, from: u64, count_bytes: u64) -> Result<(), GpuError> {
        if count_bytes == 0 {
            return Ok(());
        }
        // SAFETY: both buffers hold as many bytes from there on.
        self.call("to copy memory", || unsafe {
            result::memcpy_dtod_async(to, from, count_bytes as usize, self.stream.0)
        })
    }
}
