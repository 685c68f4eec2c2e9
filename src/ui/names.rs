//! What files are called in the window.

use std::path::Path;

/// The last part of a path; the path itself where it ends in none.
pub(super) fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// A file's name without its extension.
pub(super) fn stem(name: &str) -> &str {
    let stem = Path::new(name).file_stem();
    stem.and_then(|stem| stem.to_str()).unwrap_or(name)
}
