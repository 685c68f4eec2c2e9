//! Mesh files: writing GLB, OBJ, STL, PLY and 3MF, reading all of them but 3MF.
//!
//! Only this module scales and turns a mesh. What it writes has the size the caller asks for; what it
//! reads comes back in the file's own units, turned to Y up by an exact swap of axes. It follows no path
//! found in a file except a plain file name in the same folder, and never allocates by a count that the
//! file's size does not bear out.
//!
//! | format | unit | up | front | stands |
//! |---|---|---|---|---|
//! | GLB | metre | +Y | +Z | where the mesh does |
//! | OBJ | millimetre | +Y | +Z | where the mesh does |
//! | STL, PLY, 3MF | millimetre | +Z | −Y | on the ground, z = 0 |
//!
//! OBJ, STL and PLY say nothing of which way is up, so that [`WriteOptions::up`] may ask for the other; what
//! is read back is taken to stand as the table says.

mod error;
mod glb;
mod image_file;
mod obj;
mod placement;
mod ply;
mod read;
mod save;
mod stl;
mod threemf;
mod watch;

use std::fmt;
use std::io::Write;
use std::path::Path;

pub use error::{Damage, ReadError, SaveError, Unwritable};
pub use placement::Up;
pub use read::{Loaded, MAX_FILE_BYTES, load, read};
pub use save::{Saved, save, save_bytes, save_grey_png, save_watched};
pub use watch::Watch;

use crate::mesh::Mesh;
use placement::Placement;

/// What wrote a file, for the fields that formats have for it.
const GENERATOR: &str = concat!("Orfeas ", env!("CARGO_PKG_VERSION"));

/// A file format for meshes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Binary glTF 2.0.
    Glb,
    /// Wavefront OBJ.
    Obj,
    /// Stereolithography; written in its binary form.
    Stl,
    /// Polygon file format; written as binary little endian.
    Ply,
    /// 3D Manufacturing Format; written only.
    ThreeMf,
}

/// A file name does not tell a supported format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The extension belongs to no supported format.
    #[error(
        "the extension .{extension} is not a supported mesh format; use .glb, .obj, .stl, .ply or .3mf"
    )]
    Unknown {
        /// The extension, without its dot.
        extension: String,
    },
    /// The file name has no extension.
    #[error(
        "the file name has no extension to tell the format by; use .glb, .obj, .stl, .ply or .3mf"
    )]
    Missing,
}

impl Format {
    /// Every format, in the order in which they are listed to users.
    pub const ALL: [Self; 5] = [Self::Glb, Self::Obj, Self::Stl, Self::Ply, Self::ThreeMf];

    /// The format of an extension, given without its dot, in either case.
    ///
    /// # Errors
    ///
    /// [`FormatError::Unknown`], which lists the supported ones.
    pub fn from_extension(extension: &str) -> Result<Self, FormatError> {
        Self::ALL
            .into_iter()
            .find(|format| format.extension().eq_ignore_ascii_case(extension))
            .ok_or_else(|| FormatError::Unknown {
                extension: extension.to_owned(),
            })
    }

    /// The format that the extension of `path` names.
    ///
    /// # Errors
    ///
    /// [`FormatError`] when there is no extension or an unknown one.
    pub fn from_path(path: &Path) -> Result<Self, FormatError> {
        let extension = path.extension().ok_or(FormatError::Missing)?;
        Self::from_extension(&extension.to_string_lossy())
    }

    /// The extension, without its dot, in lower case.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Glb => "glb",
            Self::Obj => "obj",
            Self::Stl => "stl",
            Self::Ply => "ply",
            Self::ThreeMf => "3mf",
        }
    }

    /// Which way is up in a file of this format, unless another is asked for.
    pub const fn up(self) -> Up {
        match self {
            Self::Glb | Self::Obj => Up::Y,
            Self::Stl | Self::Ply | Self::ThreeMf => Up::Z,
        }
    }

    /// Whether the format leaves it to the programs that write and read it which way is up.
    pub const fn leaves_up_open(self) -> bool {
        matches!(self, Self::Obj | Self::Stl | Self::Ply)
    }

    /// Whether a texture is kept as an image, and not as the colours of vertices or not at all.
    pub const fn keeps_texture(self) -> bool {
        matches!(self, Self::Glb | Self::Obj)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Glb => "GLB",
            Self::Obj => "OBJ",
            Self::Stl => "STL",
            Self::Ply => "PLY",
            Self::ThreeMf => "3MF",
        })
    }
}

/// How to write a mesh.
#[derive(Debug, Clone, PartialEq)]
pub struct WriteOptions {
    /// The longest side of the object as written, in millimetres, whatever its extent in memory.
    pub longest_side_mm: f64,
    /// Settings to keep in the file, where the format has a place for them (GLB); null for none.
    pub settings: serde_json::Value,
    /// The object's name inside the file.
    pub name: String,
    /// Which way is up, for formats that leave it open; `None` for the format's usual one.
    pub up: Option<Up>,
    /// The longer side that a texture is reduced to, in pixels; `None` to keep it as it is. It is never
    /// enlarged.
    pub texture_side_px: Option<usize>,
}

impl WriteOptions {
    /// The sizes a mesh may be written at, in millimetres on the longest side.
    pub const SIZES_MM: std::ops::RangeInclusive<f64> = 1e-3..=1e6;
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self {
            longest_side_mm: 100.0,
            settings: serde_json::Value::Null,
            name: "Orfeas".to_owned(),
            up: None,
            texture_side_px: None,
        }
    }
}

/// Writes a mesh as one stream, for example to standard output.
///
/// An OBJ written this way has no material file; it carries the texture as vertex colours. Positions are
/// scaled and moved in `f64` and rounded once, so bit-identical positions stay so, and positions that
/// differ by more than 2⁻²² of the longest side stay distinct.
///
/// # Errors
///
/// [`SaveError::Unwritable`] and [`SaveError::Size`] before anything is written; [`SaveError::Stream`]
/// when `out` fails.
pub fn write(
    mesh: &Mesh,
    format: Format,
    options: &WriteOptions,
    out: &mut dyn Write,
) -> Result<(), SaveError> {
    let placement = Placement::new(mesh, format, options)?;
    let mut out = std::io::BufWriter::with_capacity(1 << 16, out);
    match format {
        Format::Glb => glb::write(mesh, &placement, options, &mut out)?,
        Format::Obj => obj::write(mesh, &placement, options, None, &mut out)?,
        Format::Stl => stl::write(mesh, &placement, &mut out)?,
        Format::Ply => ply::write(mesh, &placement, &mut out)?,
        Format::ThreeMf => threemf::write(mesh, &placement, options, &mut out)?,
    }
    out.flush().map_err(SaveError::Stream)
}
