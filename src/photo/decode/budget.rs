//! The bounds of one decoding: size and memory, checked from the header.

use super::{DecodeError, Format};
use crate::photo::Limits;

/// What is left of the memory that decoding one file may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    max_bytes: u64,
    left_bytes: u64,
}

impl Budget {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            max_bytes: limits.max_decoder_bytes,
            left_bytes: limits.max_decoder_bytes,
        }
    }

    /// Sets `bytes` aside.
    pub(super) fn take(&mut self, bytes: u64, format: Format) -> Result<(), DecodeError> {
        let taken = self.max_bytes - self.left_bytes;
        self.left_bytes =
            self.left_bytes
                .checked_sub(bytes)
                .ok_or_else(|| DecodeError::NotEnoughMemory {
                    format,
                    required_bytes: taken.saturating_add(bytes),
                    max_bytes: self.max_bytes,
                })?;
        Ok(())
    }

    /// The bytes not yet set aside.
    pub(super) fn left_bytes(&self) -> u64 {
        self.left_bytes
    }

    /// The error where a decoder does not tell how much it wanted.
    pub(super) fn exceeded(&self, format: Format) -> DecodeError {
        DecodeError::NotEnoughMemory {
            format,
            required_bytes: self.max_bytes.saturating_add(1),
            max_bytes: self.max_bytes,
        }
    }
}

/// Checks a declared size against `limits` and returns its number of pixels.
pub(super) fn check_size(
    width: u32,
    height: u32,
    format: Format,
    limits: &Limits,
) -> Result<u64, DecodeError> {
    if width == 0 || height == 0 {
        return Err(DecodeError::ZeroSize {
            format,
            width,
            height,
        });
    }
    if width.max(height) > limits.max_side_px {
        return Err(DecodeError::TooLarge {
            width,
            height,
            max_side_px: limits.max_side_px,
        });
    }
    let pixels = u64::from(width) * u64::from(height);
    if pixels > limits.max_pixels {
        return Err(DecodeError::TooManyPixels {
            width,
            height,
            max_pixels: limits.max_pixels,
        });
    }
    if width.min(height) < limits.min_side_px {
        return Err(DecodeError::TooSmall {
            width,
            height,
            min_side_px: limits.min_side_px,
        });
    }
    Ok(pixels)
}
