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
            let name = image.display();
            // What looks like no file at all is most likely a command with a slip in it.
            if image.extension().is_none() && image.components().count() == 1 {
                return Failed::usage(format!(
                    "{name} is neither a command nor a file here; --help lists the commands"
                ));
            }
            let hint = "give an image that is there";
            let message = anyhow::anyhow!("the image cannot be read: {error}; {hint}: {name}");
            Failed::new(ExitCode::BadInput, message)
        })?;
    }
    window(images, process_start).map_err(|error| Failed::new(ExitCode::Other, error))
}
