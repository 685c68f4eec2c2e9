//! Recommendations from free memory alone, without knowing a model's cost.

use serde::Serialize;

use super::words::GB;
use crate::compute::Precision;

/// The most samples that are worth computing at once.
const LARGEST_BATCH: u32 = 32;
/// Kept free of a batch, in bytes.
const BATCH_RESERVE: f64 = GB as f64;

/// The precision that suits so much free device memory: more than 10 GB fp32, more than 6 GB fp16, else
/// int8.
pub fn recommended_precision(free_bytes: u64) -> Precision {
    if free_bytes > 10 * GB {
        Precision::F32
    } else if free_bytes > 6 * GB {
        Precision::F16
    } else {
        Precision::Int8
    }
}

/// What a batch is computed with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BatchRequest {
    /// The model's size in GB (10⁹ bytes).
    pub model_size_gb: f64,
    /// Whether the model is in memory already, so that what is free is free besides it.
    pub model_resident: bool,
    /// How many jobs wait.
    pub queue_depth: usize,
    /// What one sample of the batch takes, in MB (10⁶ bytes).
    pub sample_size_mb: f64,
}

/// How many samples to compute at once: as many as the free memory holds besides the model and 1 GB, at
/// least 1 and at most 32, half of it with more than 5 jobs waiting, a quarter with more than 10.
///
/// A size that is no number or negative is unknown, and gives 1; samples that take nothing are limited
/// by the most alone.
pub fn optimal_batch_size(free_bytes: u64, request: &BatchRequest) -> u32 {
    let is_size = |size: f64| size >= 0.0;
    if !is_size(request.model_size_gb) || !is_size(request.sample_size_mb) {
        return 1;
    }
    let model_bytes = if request.model_resident {
        0.0
    } else {
        request.model_size_gb * 1e9
    };
    let room_bytes = free_bytes as f64 - model_bytes - BATCH_RESERVE;
    let sample_bytes = request.sample_size_mb * 1e6;
    // The conversion rounds down, takes no number for 0 and anything too large for the largest.
    let fitting = if room_bytes > 0.0 {
        (room_bytes / sample_bytes) as u32
    } else {
        0
    };
    let divisor = match request.queue_depth {
        0..=5 => 1,
        6..=10 => 2,
        _ => 4,
    };
    (fitting.clamp(1, LARGEST_BATCH) / divisor).max(1)
}
