//! `orfeas inspect`: every check, for any mesh file that can be read.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::exit::{ExitCode, Failed};
use super::generate::print_line;
use super::report::count;
use crate::engine::{Measures, Shape};
use crate::formats;
use crate::mesh::checks::{self, Report};

/// Check a mesh: closed, manifold, self-intersections, volume, size
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The mesh (.glb .obj .stl .ply)
    mesh: PathBuf,
    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failed> {
    let loaded = formats::load(&arguments.mesh)?;
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
    let report = checks::inspect(&loaded.mesh, &|| false).map_err(|error| {
        let error = anyhow::anyhow!("{error}: {}", arguments.mesh.display());
        Failed::new(ExitCode::BadInput, error)
    })?;
    let measures = Shape::from(&report).in_mm(loaded.mm_per_unit);
    print_line(&if arguments.json {
        as_json(&arguments.mesh.to_string_lossy(), &report, &measures).to_string()
    } else {
        in_words(&report, &measures)
    })
}

fn as_json(input: &str, report: &Report, measures: &Measures) -> serde_json::Value {
    json!({
        "input": input,
        "vertices": report.vertices,
        "faces": report.faces,
        "closed": report.closed,
        "manifold": report.manifold,
        "oriented": report.oriented,
        "outward": report.outward,
        "open_edges": report.open_edges.len(),
        "non_manifold_edges": report.non_manifold_edges.len(),
        "non_manifold_vertices": report.non_manifold_vertices.len(),
        "degenerate_faces": report.degenerate_faces.len(),
        "self_intersections": report.self_intersections,
        "components": report.components,
        "euler": report.euler,
        "volume_mm3": measures.volume_mm3,
        "area_mm2": measures.area_mm2,
        "bounds_mm": measures.bounds_mm,
    })
}

fn in_words(report: &Report, measures: &Measures) -> String {
    let yes_or = |holds: bool, otherwise: String| if holds { "yes".to_owned() } else { otherwise };
    let size = measures.bounds_mm.size;
    let rows = [
        ("vertices", count(report.vertices)),
        ("faces", count(report.faces)),
        (
            "closed",
            yes_or(
                report.closed,
                format!("no, {} open edges", count(report.open_edges.len())),
            ),
        ),
        (
            "manifold",
            yes_or(
                report.manifold,
                format!(
                    "no, {} edges and {} vertices are shared by too many faces",
                    count(report.non_manifold_edges.len()),
                    count(report.non_manifold_vertices.len())
                ),
            ),
        ),
        (
            "oriented",
            yes_or(report.oriented, "no, neighbouring faces disagree".into()),
        ),
        (
            "outward",
            yes_or(report.outward, "no, the faces look inwards".into()),
        ),
        ("degenerate faces", count(report.degenerate_faces.len())),
        (
            "self-intersections",
            report
                .self_intersections
                .map_or_else(|| "not counted".into(), count),
        ),
        ("components", count(report.components)),
        ("Euler characteristic", report.euler.to_string()),
        ("volume", format!("{:.1} mm³", measures.volume_mm3)),
        ("area", format!("{:.1} mm²", measures.area_mm2)),
        (
            "size",
            format!("{:.2} × {:.2} × {:.2} mm", size[0], size[1], size[2]),
        ),
    ];
    rows.iter()
        .map(|(name, value)| format!("{name:<21} {value}"))
        .collect::<Vec<_>>()
        .join("\n")
}
