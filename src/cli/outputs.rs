//! Where results go: decided, and refused where it cannot work, before any image is read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::exit::{ExitCode, Failed};
use crate::formats::Format;

/// Where one result goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Output {
    File(PathBuf, Format),
    StandardOutput(Format),
}

/// One output for each input.
pub(super) fn plan(
    inputs: &[PathBuf],
    output: &Path,
    format: Option<Format>,
) -> Result<Vec<Output>, Failed> {
    if output.as_os_str() == "-" {
        return to_standard_output(inputs, format);
    }
    if inputs.len() > 1 || output.is_dir() || ends_with_separator(output) {
        return into_folder(inputs, output, format.unwrap_or(Format::Glb));
    }
    let by_name = Format::from_path(output)?;
    if format.is_some_and(|format| format != by_name) {
        return Err(Failed::usage(format_args!(
            "--format says otherwise than the extension of the output; leave one of them out: {}",
            output.display()
        )));
    }
    require_folder(parent(output))?;
    Ok(vec![Output::File(output.to_owned(), by_name)])
}

/// Where the shapes of one image go: one file each, whose name tells the seed.
pub(super) fn of_shapes(output: &Output, seeds: &[u64]) -> Vec<Output> {
    let of_seed = |seed: &u64| match output {
        Output::File(path, format) => {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let name = format!("{stem}-{seed}.{}", format.extension());
            Output::File(path.with_file_name(name), *format)
        }
        Output::StandardOutput(_) => output.clone(),
    };
    seeds.iter().map(of_seed).collect()
}

fn to_standard_output(inputs: &[PathBuf], format: Option<Format>) -> Result<Vec<Output>, Failed> {
    let format =
        format.ok_or_else(|| Failed::usage("-o - needs --format (glb, obj, stl, ply or 3mf)"))?;
    if inputs.len() > 1 {
        return Err(Failed::usage(
            "-o - takes one image; give a folder for several",
        ));
    }
    Ok(vec![Output::StandardOutput(format)])
}

fn into_folder(inputs: &[PathBuf], folder: &Path, format: Format) -> Result<Vec<Output>, Failed> {
    if folder.is_file() || (!folder.is_dir() && folder.extension().is_some()) {
        return Err(Failed::usage(format_args!(
            "several images need a folder to go to, not a file: {}",
            folder.display()
        )));
    }
    create_folder(folder)?;
    let mut taken = BTreeSet::new();
    let files = inputs.iter().map(|input| {
        let stem = match input.file_stem() {
            Some(stem) if input.as_os_str() != "-" => stem.to_string_lossy().into_owned(),
            _ => "image".to_owned(),
        };
        let names =
            std::iter::once(stem.clone()).chain((2..).map(|number| format!("{stem}-{number}")));
        // The chain of names is endless, so one of them is free.
        let name = names
            .into_iter()
            .find(|name| taken.insert(name.to_lowercase()))
            .unwrap_or(stem);
        Output::File(
            folder.join(format!("{name}.{}", format.extension())),
            format,
        )
    });
    Ok(files.collect())
}

fn ends_with_separator(path: &Path) -> bool {
    path.as_os_str()
        .to_string_lossy()
        .ends_with(std::path::is_separator)
}

/// The folder that holds `path`.
pub(super) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Refuses a folder that is not there.
pub(super) fn require_folder(folder: &Path) -> Result<(), Failed> {
    if folder.is_dir() {
        return Ok(());
    }
    let error = anyhow::anyhow!(
        "the output folder does not exist; create it first: {}",
        folder.display()
    );
    Err(Failed::new(ExitCode::Output, error))
}

/// Creates a folder inside one that exists.
pub(super) fn create_folder(folder: &Path) -> Result<(), Failed> {
    if folder.is_dir() {
        return Ok(());
    }
    require_folder(parent(folder))?;
    std::fs::create_dir(folder).map_err(|error| {
        let error = anyhow::anyhow!(
            "the output folder cannot be created ({error}): {}",
            folder.display()
        );
        Failed::new(ExitCode::Output, error)
    })
}
