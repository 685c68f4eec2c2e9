//! The JSON objects that the commands print, and their words for people.

use std::time::Instant;

use serde_json::{Value, json};

use crate::engine::{self, Origin, Outcome, Settings};

/// When things happened, for one image.
pub(super) struct Timing {
    /// What durations count from: the start of the process for the first image, else of the image.
    pub(super) start: Instant,
    pub(super) first_mesh: Option<Instant>,
    pub(super) end: Instant,
}

/// The object that `generate --json` prints for an image, or for each of its shapes.
pub(super) fn generated(
    input: &str,
    (output, seed): (&str, Option<u64>),
    origin: Origin,
    outcome: &Outcome,
    size_mm: f64,
    timing: &Timing,
) -> Value {
    let since_start = |at: Instant| at.saturating_duration_since(timing.start).as_secs_f64();
    let summary = &outcome.summary;
    let shape = &summary.shape;
    let measures = shape.in_mm(size_mm);
    json!({
        "input": input,
        "output": output,
        "seed": seed,
        "source": summary.source,
        "resolution": summary.resolution,
        "device": summary.device,
        "precision": summary.precision,
        "cached": origin == Origin::Cached,
        "vertices": shape.vertices,
        "faces": shape.faces,
        "closed": shape.closed,
        "manifold": shape.manifold,
        "components": shape.components,
        "euler": shape.euler,
        "volume_mm3": measures.volume_mm3,
        "area_mm2": measures.area_mm2,
        "bounds_mm": measures.bounds_mm,
        "matte": summary.matte,
        "mode": summary.mode,
        "stages": summary.stages,
        "first_mesh_seconds": timing.first_mesh.map(since_start),
        "seconds": since_start(timing.end),
        "peak_memory_bytes": engine::peak_memory_bytes(),
        "peak_reserved_bytes": summary.peak_ledger_bytes,
        "memory_usage": outcome.usage,
        "warnings": summary.warnings,
    })
}

/// The object that `generate --json` prints for an image that failed.
pub(super) fn failed(input: &str, code: u8, message: &str) -> Value {
    json!({ "input": input, "error": { "exit_code": code, "message": message } })
}

/// The settings that an exported file carries, so that its image can be opened with them again.
pub(super) fn settings(settings: &Settings, size_mm: f64) -> Value {
    let mut json = settings.to_json();
    json["size_mm"] = size_mm.into();
    json
}

/// A count with its thousands apart.
pub(super) fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A size in bytes, in the unit that suits it: 10³ bytes and their powers.
pub(super) fn bytes(number: u64) -> String {
    match number {
        0..1_000 => format!("{number} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", number as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", number as f64 / 1e6),
        _ => format!("{:.2} GB", number as f64 / 1e9),
    }
}
