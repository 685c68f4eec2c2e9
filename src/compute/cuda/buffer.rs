//! Memory of a device.

use std::sync::Arc;

use super::{Gpu, GpuError};
use crate::compute::{Ledger, Number, OutOfMemory, Reservation};

/// The driver hands memory out in pieces of this many bytes.
const PIECE_BYTES: u64 = 256;
/// Host memory that a conversion takes for itself.
const SCRATCH_BYTES: usize = 1 << 20;

/// What the ledger counts for a buffer.
pub fn size_in_ledger(size_bytes: u64) -> u64 {
    size_bytes.max(1).next_multiple_of(PIECE_BYTES)
}

/// Memory of a device, of one owner. It is undefined until it is written.
#[derive(Debug)]
pub struct Buffer {
    gpu: Arc<Gpu>,
    address: u64,
    size_bytes: u64,
    _reservation: Reservation,
}

impl Buffer {
    /// So many bytes, at least one.
    ///
    /// # Errors
    ///
    /// [`GpuError::OutOfMemory`] when the ledger refuses it or the device has no more; else whatever
    /// happened to the device.
    pub fn new(gpu: &Arc<Gpu>, size_bytes: u64, what: &'static str) -> Result<Self, GpuError> {
        let reservation = reserve(gpu.ledger(), size_bytes, what)?;
        let address = gpu.allocate(size_bytes.max(1), what)?;
        Ok(Self {
            gpu: Arc::clone(gpu),
            address,
            size_bytes,
            _reservation: reservation,
        })
    }

    /// A buffer of these bytes.
    ///
    /// # Errors
    ///
    /// As [`Buffer::new`].
    pub fn of_bytes(gpu: &Arc<Gpu>, bytes: &[u8], what: &'static str) -> Result<Self, GpuError> {
        let buffer = Self::new(gpu, bytes.len() as u64, what)?;
        buffer.write(0, bytes)?;
        Ok(buffer)
    }

    /// A buffer of these numbers, rounded to a format.
    ///
    /// # Errors
    ///
    /// As [`Buffer::new`].
    pub fn of_numbers(
        gpu: &Arc<Gpu>,
        number: Number,
        values: &[f32],
        what: &'static str,
    ) -> Result<Self, GpuError> {
        let size_bytes = (values.len() * number.size_bytes()) as u64;
        let buffer = Self::new(gpu, size_bytes, what)?;
        buffer.write_numbers(number, values)?;
        Ok(buffer)
    }

    /// The device that it is on.
    pub fn gpu(&self) -> &Arc<Gpu> {
        &self.gpu
    }

    /// Its size in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The device's address of a byte of it.
    ///
    /// # Panics
    ///
    /// When there is no such byte.
    pub fn at(&self, offset_bytes: u64) -> u64 {
        assert!(offset_bytes <= self.size_bytes, "inside of a buffer");
        self.address + offset_bytes
    }

    /// Writes bytes from `offset_bytes` on.
    ///
    /// # Errors
    ///
    /// Whatever happened to the device.
    ///
    /// # Panics
    ///
    /// When they do not fit.
    pub fn write(&self, offset_bytes: u64, bytes: &[u8]) -> Result<(), GpuError> {
        let end = offset_bytes.checked_add(bytes.len() as u64);
        assert!(
            end.is_some_and(|end| end <= self.size_bytes),
            "a write that fits"
        );
        self.gpu.write(self.address + offset_bytes, bytes)
    }

    /// Writes numbers from its beginning on, rounded to a format.
    ///
    /// # Errors
    ///
    /// Whatever happened to the device.
    ///
    /// # Panics
    ///
    /// When they do not fit.
    pub fn write_numbers(&self, number: Number, values: &[f32]) -> Result<(), GpuError> {
        if number == Number::F32 {
            return self.write(0, bytemuck::cast_slice(values));
        }
        let each = SCRATCH_BYTES / number.size_bytes();
        let mut scratch = vec![0; values.len().min(each) * number.size_bytes()];
        for (chunk, values) in values.chunks(each).enumerate() {
            let bytes = &mut scratch[..values.len() * number.size_bytes()];
            number.encode(values, bytes);
            self.write((chunk * SCRATCH_BYTES) as u64, bytes)?;
        }
        Ok(())
    }

    /// Reads bytes from `offset_bytes` on, after all work that was queued before.
    ///
    /// # Errors
    ///
    /// Whatever happened to the device, also during that work.
    ///
    /// # Panics
    ///
    /// When there are not so many.
    pub fn read(&self, offset_bytes: u64, bytes: &mut [u8]) -> Result<(), GpuError> {
        let end = offset_bytes.checked_add(bytes.len() as u64);
        assert!(
            end.is_some_and(|end| end <= self.size_bytes),
            "a read that fits"
        );
        self.gpu.read(self.address + offset_bytes, bytes)
    }

    /// Reads so many numbers of a format from its beginning on.
    ///
    /// # Errors
    ///
    /// As [`Buffer::read`].
    ///
    /// # Panics
    ///
    /// As [`Buffer::read`].
    pub fn read_numbers(&self, number: Number, count: usize) -> Result<Vec<f32>, GpuError> {
        let mut values = vec![0.0; count];
        if number == Number::F32 {
            self.read(0, bytemuck::cast_slice_mut(&mut values))?;
            return Ok(values);
        }
        let each = SCRATCH_BYTES / number.size_bytes();
        let mut scratch = vec![0; count.min(each) * number.size_bytes()];
        for (chunk, values) in values.chunks_mut(each).enumerate() {
            let bytes = &mut scratch[..values.len() * number.size_bytes()];
            self.read((chunk * SCRATCH_BYTES) as u64, bytes)?;
            number.decode(bytes, values);
        }
        Ok(values)
    }

    /// Sets every byte to 0.
    ///
    /// # Errors
    ///
    /// Whatever happened to the device.
    pub fn clear(&self) -> Result<(), GpuError> {
        self.gpu.clear(self.address, self.size_bytes)
    }

    /// Copies bytes of another buffer of the same device.
    ///
    /// # Errors
    ///
    /// Whatever happened to the device.
    ///
    /// # Panics
    ///
    /// When there are not so many in either.
    pub fn copy_from(
        &self,
        offset_bytes: u64,
        from: &Self,
        from_offset_bytes: u64,
        count_bytes: u64,
    ) -> Result<(), GpuError> {
        for (buffer, offset) in [(self, offset_bytes), (from, from_offset_bytes)] {
            let end = offset.checked_add(count_bytes);
            assert!(
                end.is_some_and(|end| end <= buffer.size_bytes),
                "a copy that fits"
            );
        }
        let (to, from) = (
            self.address + offset_bytes,
            from.address + from_offset_bytes,
        );
        self.gpu.copy(to, from, count_bytes)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.gpu.release(self.address);
    }
}

/// Reserves what a buffer takes.
pub(crate) fn reserve(
    ledger: &Ledger,
    size_bytes: u64,
    what: &'static str,
) -> Result<Reservation, OutOfMemory> {
    ledger.reserve(size_in_ledger(size_bytes), what)
}
