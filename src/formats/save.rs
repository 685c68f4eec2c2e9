//! Saving to disk: whole or not at all.
//!
//! Every file is written under a temporary name in its own folder, synced, then renamed.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::{Format, SaveError, Watch, WriteOptions, image_file, obj, placement::Placement};
use crate::mesh::Mesh;

/// What a save has put on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// The files, the mesh itself last.
    pub files: Vec<PathBuf>,
    /// Their bytes together.
    pub bytes: u64,
}

/// Writes a mesh to `path`, replacing an existing file whole or not at all.
///
/// A textured OBJ gets its material and texture beside it, named after it: `a.obj`, `a.mtl` and
/// `a_texture.png` (not `a.png`, which may well be the image the mesh was made from).
///
/// # Errors
///
/// [`SaveError`]; nothing is left behind.
pub fn save(
    mesh: &Mesh,
    path: &Path,
    format: Format,
    options: &WriteOptions,
) -> Result<Saved, SaveError> {
    save_watched(mesh, path, format, options, &Watch::default())
}

/// [`save`], for someone who watches and may stop it.
///
/// # Errors
///
/// [`SaveError`]; nothing is left behind. [`SaveError::Cancelled`] once the watch asked to stop.
pub fn save_watched(
    mesh: &Mesh,
    path: &Path,
    format: Format,
    options: &WriteOptions,
    watch: &Watch,
) -> Result<Saved, SaveError> {
    let Some(file_name) = path.file_name() else {
        return Err(SaveError::IsFolder(path.to_owned()));
    };
    let target = follow(path);
    let textured = mesh.texture.is_some() && !mesh.uvs.is_empty();
    let mut pending = Vec::new();
    if format == Format::Obj && textured {
        let placement = Placement::new(mesh, format, options)?;
        let stem = reference_stem(file_name);
        let (material, texture) = (format!("{stem}.mtl"), format!("{stem}_texture.png"));
        if let Some(pixels) = &mesh.texture {
            let png = image_file::encode_png(pixels, options.texture_side_px)?;
            pending.push(prepare(&target.with_file_name(&texture), watch, |out| {
                out.write_all(&png).map_err(SaveError::Stream)
            })?);
        }
        pending.push(prepare(&target.with_file_name(&material), watch, |out| {
            out.write_all(obj::material(&texture).as_bytes())
                .map_err(SaveError::Stream)
        })?);
        pending.push(prepare(&target, watch, |mut out| {
            obj::write(mesh, &placement, options, Some(&material), &mut out)
        })?);
    } else {
        pending.push(prepare(&target, watch, |out| {
            super::write(mesh, format, options, out)
        })?);
    }
    // From here on it is a matter of renaming: a file that has its name is not taken back.
    watch.checkpoint()?;
    commit(pending)
}

/// Writes a grey image as PNG, such as a matte, as [`save`] writes a mesh. `grey` holds rows from the
/// top, 0 for black.
///
/// # Errors
///
/// [`SaveError`]; nothing is left behind.
pub fn save_grey_png(
    path: &Path,
    width: usize,
    height: usize,
    grey: &[u8],
) -> Result<Saved, SaveError> {
    save_bytes(path, &image_file::encode_grey_png(width, height, grey)?)
}

/// Writes bytes as [`save`] writes a mesh.
///
/// # Errors
///
/// [`SaveError`]; nothing is left behind.
pub fn save_bytes(path: &Path, bytes: &[u8]) -> Result<Saved, SaveError> {
    if path.file_name().is_none() {
        return Err(SaveError::IsFolder(path.to_owned()));
    }
    let write = |out: &mut dyn Write| out.write_all(bytes).map_err(SaveError::Stream);
    commit(vec![prepare(&follow(path), &Watch::default(), write)?])
}

/// A link stays a link: what it points to is replaced.
fn follow(path: &Path) -> PathBuf {
    if path.is_symlink() {
        fs::canonicalize(path).unwrap_or_else(|_error| path.to_owned())
    } else {
        path.to_owned()
    }
}

/// A written and synced file that waits for its name.
struct Pending {
    file: NamedTempFile,
    target: PathBuf,
    bytes: u64,
    existed: bool,
}

fn prepare(
    target: &Path,
    watch: &Watch,
    write: impl FnOnce(&mut dyn Write) -> Result<(), SaveError>,
) -> Result<Pending, SaveError> {
    let folder = folder_of(target);
    match fs::metadata(folder) {
        Ok(metadata) if metadata.is_dir() => {}
        Err(source) if source.kind() != ErrorKind::NotFound => return Err(at(target, source)),
        _ => return Err(SaveError::MissingFolder(folder.to_owned())),
    }
    let existing = fs::metadata(target).ok();
    if existing.as_ref().is_some_and(fs::Metadata::is_dir) {
        return Err(SaveError::IsFolder(target.to_owned()));
    }
    // Renaming over a device such as /dev/null would destroy it for everyone.
    if existing
        .as_ref()
        .is_some_and(|metadata| !metadata.is_file())
    {
        return Err(SaveError::NotAFile(target.to_owned()));
    }
    if existing
        .as_ref()
        .is_some_and(|metadata| metadata.permissions().readonly())
    {
        return Err(at(target, ErrorKind::PermissionDenied.into()));
    }
    let file = create(folder).map_err(|source| at(target, source))?;
    let mut out = BufWriter::with_capacity(1 << 16, watch.over(file.as_file()));
    write(&mut out)
        .and_then(|()| out.flush().map_err(SaveError::Stream))
        .map_err(|error| match error {
            SaveError::Stream(_) if watch.is_cancelled() => SaveError::Cancelled,
            SaveError::Stream(source) => at(target, source),
            other => other,
        })?;
    drop(out);
    if let Some(metadata) = &existing {
        file.as_file()
            .set_permissions(metadata.permissions())
            .map_err(|source| at(target, source))?;
    }
    file.as_file()
        .sync_all()
        .map_err(|source| at(target, source))?;
    let bytes = file
        .as_file()
        .metadata()
        .map_err(|source| at(target, source))?
        .len();
    Ok(Pending {
        file,
        target: target.to_owned(),
        bytes,
        existed: existing.is_some(),
    })
}

/// A temporary file with the permissions of an ordinary new one.
fn create(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".orfeas-").suffix(".part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The process's umask applies to this as to any new file.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Renames in order. When one fails, those renamed before that replaced nothing are removed.
fn commit(pending: Vec<Pending>) -> Result<Saved, SaveError> {
    let mut saved = Saved {
        files: Vec::new(),
        bytes: 0,
    };
    let mut created = Vec::new();
    for Pending {
        file,
        target,
        bytes,
        existed,
    } in pending
    {
        if let Err(error) = file.persist(&target) {
            for path in created {
                // The first failure is the one to report.
                fs::remove_file(path).ok();
            }
            return Err(at(&target, error.error));
        }
        if !existed {
            created.push(target.clone());
        }
        saved.bytes += bytes;
        saved.files.push(target);
    }
    if let Some(target) = saved.files.last() {
        sync_folder(folder_of(target));
    }
    Ok(saved)
}

/// Makes the rename itself durable. Some file systems cannot, and the file is complete either way.
fn sync_folder(folder: &Path) {
    if cfg!(unix) {
        File::open(folder).and_then(|folder| folder.sync_all()).ok();
    }
}

fn folder_of(target: &Path) -> &Path {
    match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// The stem for files an OBJ refers to by name. Readers split such names at blanks and `#`.
fn reference_stem(file_name: &OsStr) -> String {
    let stem = Path::new(file_name)
        .file_stem()
        .unwrap_or(file_name)
        .to_string_lossy();
    let plain = |c: char| !(c.is_whitespace() || c.is_control() || c == '#' || c == '\u{fffd}');
    let stem: String = stem
        .chars()
        .map(|c| if plain(c) { c } else { '_' })
        .collect();
    // A leading minus would read as an option of `map_Kd`.
    if stem.starts_with('-') {
        format!("_{stem}")
    } else {
        stem
    }
}

fn at(path: &Path, cause: io::Error) -> SaveError {
    let path = path.to_owned();
    match cause.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            SaveError::PermissionDenied { path, cause }
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            SaveError::DiskFull { path, cause }
        }
        ErrorKind::NotFound => SaveError::MissingFolder(folder_of(&path).to_owned()),
        ErrorKind::IsADirectory => SaveError::IsFolder(path),
        _ => SaveError::Io { path, cause },
    }
}
