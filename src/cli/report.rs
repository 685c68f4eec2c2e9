//! The JSON objects that the commands print, and their words for people.

use std::time::Instant;

use serde::Serialize;
use serde_json::{Value, json};

use crate::engine::{self, Outcome, Settings};
use crate::mesh::checks::Report;
use crate::photo::MatteWish;

/// What a mesh measures, in millimetres.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Measures {
    pub(super) volume_mm3: f64,
    pub(super) area_mm2: f64,
    pub(super) bounds_mm: Bounds,
}

/// The box around a mesh, in its own frame: +Y up, +Z to the front.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Bounds {
    pub(super) min: [f64; 3],
    pub(super) max: [f64; 3],
    pub(super) size: [f64; 3],
}

impl Measures {
    /// Scales what a report says in units of its mesh.
    pub(super) fn new(report: &Report, mm_per_unit: f64) -> Self {
        let min = report
            .bounds
            .min
            .map(|value| f64::from(value) * mm_per_unit);
        let max = report
            .bounds
            .max
            .map(|value| f64::from(value) * mm_per_unit);
        Self {
            volume_mm3: report.volume * mm_per_unit.powi(3),
            area_mm2: report.area * mm_per_unit.powi(2),
            bounds_mm: Bounds {
                min,
                max,
                size: std::array::from_fn(|axis| max[axis] - min[axis]),
            },
        }
    }
}

/// When things happened, for one image.
pub(super) struct Timing {
    /// What durations count from: the start of the process for the first image, else of the image.
    pub(super) start: Instant,
    pub(super) first_mesh: Option<Instant>,
    pub(super) end: Instant,
}

/// The object that `generate --json` prints for an image.
pub(super) fn generated(
    input: &str,
    output: &str,
    outcome: &Outcome,
    size_mm: f64,
    timing: &Timing,
) -> Value {
    let since_start = |at: Instant| at.saturating_duration_since(timing.start).as_secs_f64();
    let report = &outcome.report;
    let measures = Measures::new(report, size_mm);
    let stages: Vec<_> = outcome
        .stages
        .iter()
        .map(|stage| json!({ "name": stage.stage.name(), "seconds": stage.seconds }))
        .collect();
    json!({
        "input": input,
        "output": output,
        "source": outcome.source,
        "resolution": outcome.resolution,
        "vertices": report.vertices,
        "faces": report.faces,
        "closed": report.closed,
        "manifold": report.manifold,
        "components": report.components,
        "euler": report.euler,
        "volume_mm3": measures.volume_mm3,
        "area_mm2": measures.area_mm2,
        "bounds_mm": measures.bounds_mm,
        "matte": {
            "kind": engine::matte_kind_name(outcome.matte.kind),
            "confidence": outcome.matte.confidence,
        },
        "mode": outcome.mode.to_string(),
        "stages": stages,
        "first_mesh_seconds": timing.first_mesh.map(since_start),
        "seconds": since_start(timing.end),
        "peak_memory_bytes": engine::peak_memory_bytes(),
        "warnings": outcome.warnings,
    })
}

/// The object that `generate --json` prints for an image that failed.
pub(super) fn failed(input: &str, code: u8, message: &str) -> Value {
    json!({ "input": input, "error": { "exit_code": code, "message": message } })
}

/// The settings that an exported file carries, so that its image can be opened with them again.
pub(super) fn settings(settings: &Settings, size_mm: f64) -> Value {
    let controls = &settings.controls;
    json!({
        "source": settings.source,
        "resolution": settings.resolution,
        "matte": match settings.matte.wish {
            MatteWish::Auto => "auto",
            MatteWish::Alpha => "alpha",
            MatteWish::Full => "full",
            MatteWish::User(_) => "user",
        },
        "thickness": controls.thickness,
        "detail": controls.detail,
        "back": format!("{:?}", controls.back).to_lowercase(),
        "relief": controls.relief,
        "simplify": settings.simplify_to_faces,
        "size_mm": size_mm,
    })
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
