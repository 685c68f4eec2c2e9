//! `orfeas` and `orfeas IMAGE…`: the window, which is a front end of its own.

use std::path::PathBuf;
use std::time::Instant;

use super::exit::{ExitCode, Failed};

/// Opens the window on files and returns when it is closed; told the moment that the process started.
pub type Window<'a> = dyn Fn(Vec<PathBuf>, Instant) -> anyhow::Result<()> + 'a;

/// Opens the window. A file that is not there is told before, where it was typed.
pub(super) fn run(
    images: Vec<PathBuf>,
    process_start: Instant,
    window: &Window<'_>,
) -> Result<(), Failed> {
    for image in &images {
        std::fs::metadata(image).map_err(|error| {
            let hint = "give an image file, or one of the commands that --help lists";
            Failed::new(
                ExitCode::BadInput,
                anyhow::anyhow!("{error}: {}; {hint}", image.display()),
            )
        })?;
    }
    window(images, process_start).map_err(|error| Failed::new(ExitCode::Other, error))
}
