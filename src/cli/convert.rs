//! `orfeas convert`: a mesh file in another format, size or number of faces.

use std::path::PathBuf;

use clap::Args;

use super::exit::{ExitCode, Failed};
use super::options;
use super::outputs;
use crate::formats::{self, Format, WriteOptions};
use crate::mesh::{Mesh, measure, placement, simplify};

/// Convert a mesh to another format, size or number of faces
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The mesh to read (.glb .obj .stl .ply)
    input: PathBuf,
    /// The mesh to write (.glb .obj .stl .ply .3mf)
    output: PathBuf,
    /// The longest side of the object, in millimetres [default: as it is]
    #[arg(long, value_name = "MM", value_parser = options::size_mm)]
    size: Option<f64>,
    /// Reduce the mesh to at most this many triangles
    #[arg(long, value_name = "FACES", value_parser = options::faces)]
    simplify: Option<usize>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failed> {
    let format = Format::from_path(&arguments.output)?;
    outputs::require_folder(outputs::parent(&arguments.output))?;
    let loaded = formats::load(&arguments.input)?;
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
    let mut mesh = loaded.mesh;
    let bad = |error: &dyn std::fmt::Display| {
        let error = anyhow::anyhow!("{error}: {}", arguments.input.display());
        Failed::new(ExitCode::BadInput, error)
    };
    let size_mm = arguments
        .size
        .unwrap_or_else(|| longest_side(&mesh) * loaded.mm_per_unit);
    placement::normalise(&mut mesh).map_err(|error| bad(&error))?;
    if let Some(target) = arguments.simplify {
        mesh = simplify::simplify(&mesh, target, &|| false).map_err(|error| bad(&error))?;
        if mesh.triangles.len() > target {
            eprintln!(
                "warning: {} faces are the fewest that keep this mesh whole",
                mesh.triangles.len()
            );
        }
    }
    let stem = arguments
        .input
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let options = WriteOptions {
        longest_side_mm: size_mm,
        settings: loaded.settings.unwrap_or_default(),
        name: stem,
        ..WriteOptions::default()
    };
    formats::save(&mesh, &arguments.output, format, &options)?;
    Ok(())
}

fn longest_side(mesh: &Mesh) -> f64 {
    let Some(bounds) = measure::bounds(mesh) else {
        return 0.0;
    };
    (0..3)
        .map(|axis| f64::from(bounds.max[axis]) - f64::from(bounds.min[axis]))
        .fold(0.0, f64::max)
}
