//! Reading mesh files: the common part.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path};

use super::{Damage, Format, ReadError, glb, obj, ply, stl};
use crate::mesh::Mesh;

/// The largest mesh file that [`load`] reads.
pub const MAX_FILE_BYTES: u64 = 2 << 30;
/// The largest material, texture or buffer file beside a mesh file.
const MAX_COMPANION_BYTES: u64 = 256 << 20;

/// A mesh as a file had it.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The mesh in the file's units, turned to Y up by an exact swap of axes, otherwise untouched.
    pub mesh: Mesh,
    /// Millimetres to the file's unit. STL, PLY and OBJ state none; they are taken as millimetres.
    pub mm_per_unit: f64,
    /// The settings that [`super::WriteOptions::settings`] put into the file.
    pub settings: Option<serde_json::Value>,
    /// What was left out, in words for the user: a texture that is missing, for example.
    pub warnings: Vec<String>,
}

impl Loaded {
    /// A mesh in millimetres, from a format that keeps no settings.
    pub(super) fn in_millimetres(mesh: Mesh, warnings: Vec<String>) -> Self {
        Self {
            mesh,
            mm_per_unit: 1.0,
            settings: None,
            warnings,
        }
    }
}

/// Reads the mesh file at `path`. Files it refers to are read only when they are named by a plain file
/// name and lie in the same folder.
///
/// # Errors
///
/// [`ReadError`]: the file is missing, too large, of no known format, or damaged.
pub fn load(path: &Path) -> Result<Loaded, ReadError> {
    let format = Format::from_path(path).map_err(|cause| ReadError::Format {
        cause,
        path: path.to_owned(),
    })?;
    let contents = |cause| ReadError::Contents {
        path: path.to_owned(),
        cause: Box::new(cause),
    };
    if format == Format::ThreeMf {
        return Err(contents(ReadError::WriteOnly(format)));
    }
    let io = |cause: std::io::Error| match cause.kind() {
        std::io::ErrorKind::NotFound => ReadError::Missing(path.to_owned()),
        _ => ReadError::Io {
            path: path.to_owned(),
            cause,
        },
    };
    let metadata = fs::metadata(path).map_err(io)?;
    if metadata.is_dir() {
        return Err(ReadError::IsFolder(path.to_owned()));
    }
    let bytes = match read_up_to(path, MAX_FILE_BYTES).map_err(io)? {
        Some(bytes) => bytes,
        None => {
            return Err(contents(ReadError::TooLarge {
                bytes: metadata.len(),
                limit: MAX_FILE_BYTES,
            }));
        }
    };
    let companions = |name: &str| {
        if !is_plain_file_name(name) {
            return None;
        }
        let beside = path.with_file_name(name);
        // A missing or unreadable companion is reported by the reader that asked for it.
        if !fs::metadata(&beside).ok()?.is_file() {
            return None;
        }
        read_up_to(&beside, MAX_COMPANION_BYTES).ok()?
    };
    read(&bytes, format, &companions).map_err(contents)
}

/// Reads a mesh file from memory. `companions` gives the bytes of a file beside it, by bare file name;
/// it is asked for nothing but plain file names.
///
/// # Errors
///
/// [`ReadError`]. Memory stays within a small multiple of the file's size, textures included.
pub fn read(
    bytes: &[u8],
    format: Format,
    companions: &dyn Fn(&str) -> Option<Vec<u8>>,
) -> Result<Loaded, ReadError> {
    let companion = |name: &str| {
        if is_plain_file_name(name) {
            companions(name)
        } else {
            None
        }
    };
    let damaged = |damage| ReadError::Damaged { format, damage };
    let loaded = match format {
        Format::Glb => glb::read(bytes, &companion),
        Format::Obj => obj::read(bytes, &companion).map_err(damaged),
        Format::Stl => stl::read(bytes).map_err(damaged),
        Format::Ply => ply::read(bytes).map_err(damaged),
        Format::ThreeMf => Err(ReadError::WriteOnly(format)),
    }?;
    check(&loaded.mesh).map_err(damaged)?;
    Ok(loaded)
}

/// What every reader promises of its mesh.
fn check(mesh: &Mesh) -> Result<(), Damage> {
    let vertices = mesh.positions.len();
    if mesh.triangles.is_empty() {
        return Err(Damage::Missing("triangles"));
    }
    let numbers = mesh.positions.iter().chain(&mesh.normals).flatten();
    if !numbers
        .chain(mesh.uvs.iter().flatten())
        .all(|number| number.is_finite())
    {
        return Err(Damage::NotFinite);
    }
    match mesh
        .triangles
        .iter()
        .flatten()
        .find(|&&index| index as usize >= vertices)
    {
        Some(&index) => Err(Damage::Index {
            index: index.into(),
            vertices,
        }),
        None => Ok(()),
    }
}

/// Z up with the front at −Y becomes Y up with the front at +Z.
pub(super) fn y_up([x, y, z]: [f32; 3]) -> [f32; 3] {
    [x, z, -y]
}

/// The triangles of a convex polygon.
pub(super) fn fan(corners: &[u32]) -> impl Iterator<Item = [u32; 3]> + '_ {
    let first = corners.first().copied().unwrap_or(0);
    corners
        .windows(2)
        .skip(1)
        .map(move |pair| [first, pair[0], pair[1]])
}

/// Whether a name stays in its folder on every system: no separators, drives, schemes or parents.
fn is_plain_file_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    matches!(
        (components.next(), components.next()),
        (Some(Component::Normal(_)), None)
    ) && !name.contains(['/', '\\', ':', '\0'])
}

/// A file's bytes; none when there are more than `limit`, whatever its metadata say.
fn read_up_to(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}
