//! Images as they come in, and mattes as they go out.

use std::io::Read;
use std::path::Path;

use super::exit::{ExitCode, Failed};
use crate::formats;
use crate::photo::{self, Limits, Matte};

/// Reads a matte of the user's own.
pub(super) fn read_matte(path: &Path) -> Result<photo::Photo, Failed> {
    let limits = Limits::default();
    let bytes = read_input(path, &limits)?;
    photo::decode(&bytes, &limits).map_err(|error| {
        let error = anyhow::anyhow!("{error}: {}", path.display());
        Failed::new(
            ExitCode::BadInput,
            error.context("the matte cannot be used"),
        )
    })
}

/// The bytes of an input file, or of standard input for `-`, up to the limit of the decoder.
pub(super) fn read_input(path: &Path, limits: &Limits) -> Result<Vec<u8>, Failed> {
    let bad = |message: String| {
        Failed::new(
            ExitCode::BadInput,
            anyhow::anyhow!("{message}: {}", path.display()),
        )
    };
    let from_error = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => bad("there is no such file; check the path".into()),
        std::io::ErrorKind::PermissionDenied => {
            bad("the file may not be read; check its permissions".into())
        }
        _ => bad(format!("the file cannot be read ({error})")),
    };
    let mut bytes = Vec::new();
    // One byte more than allowed, so that the decoder sees that the limit is passed.
    let most = limits.max_file_bytes + 1;
    if path.as_os_str() == "-" {
        std::io::stdin()
            .lock()
            .take(most)
            .read_to_end(&mut bytes)
            .map_err(from_error)?;
        return Ok(bytes);
    }
    let metadata = std::fs::metadata(path).map_err(from_error)?;
    if metadata.is_dir() {
        return Err(bad("this is a folder; name the images in it".into()));
    }
    let file = std::fs::File::open(path).map_err(from_error)?;
    bytes.reserve_exact(usize::try_from(metadata.len().min(most)).unwrap_or(0));
    file.take(most)
        .read_to_end(&mut bytes)
        .map_err(from_error)?;
    Ok(bytes)
}

/// Writes a matte as a grey PNG.
pub(super) fn save_matte(matte: &Matte, path: &Path) -> Result<(), Failed> {
    let grey: Vec<u8> = matte
        .alpha
        .iter()
        .map(|alpha| (alpha.clamp(0.0, 1.0) * 255.0).round() as u8)
        .collect();
    formats::save_grey_png(path, matte.width, matte.height, &grey)?;
    Ok(())
}
