//! What can go wrong with mesh files.
//!
//! Each message says its cause itself, so no error has a `source` that would say it twice.

use std::io;
use std::path::PathBuf;

use super::{Format, WriteOptions};

/// A mesh could not be written. Nothing was left behind, and an existing file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// The mesh itself cannot be stored.
    #[error("the mesh cannot be written: {0}")]
    Unwritable(Unwritable),
    /// The size asked for is not one.
    #[error(
        "{0} mm is not a size a mesh can be written at; give a number from {low} to {high}",
        low = WriteOptions::SIZES_MM.start(), high = WriteOptions::SIZES_MM.end()
    )]
    Size(f64),
    /// The texture could not be encoded.
    #[error("the texture could not be encoded as PNG: {0}")]
    Texture(image::ImageError),
    /// The stream written to failed.
    #[error("the mesh could not be written to the output: {0}")]
    Stream(io::Error),
    /// The folder to write into does not exist.
    #[error("the folder to write into does not exist; create it or choose another: {}", .0.display())]
    MissingFolder(PathBuf),
    /// A folder stands where the file should go, or the path names no file.
    #[error("the output must be a file, not a folder; add a file name: {}", .0.display())]
    IsFolder(PathBuf),
    /// The path names a device, pipe or socket.
    #[error("the output is a device or pipe, which cannot be replaced by a file; choose another path: {}", .0.display())]
    NotAFile(PathBuf),
    /// The folder or file may not be written.
    #[error(
        "there is no permission to write here; choose another folder or change its permissions: {}",
        .path.display()
    )]
    PermissionDenied {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The disk or the user's quota is full.
    #[error("the disk is full; free some space or choose another disk: {}", .path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Whoever watched asked to stop.
    #[error("the export was cancelled; nothing was written")]
    Cancelled,
    /// Anything else the system refused.
    #[error("the file could not be written ({cause}): {}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

impl From<Unwritable> for SaveError {
    fn from(unwritable: Unwritable) -> Self {
        Self::Unwritable(unwritable)
    }
}

/// Why a mesh cannot be stored in any file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    /// There is nothing to write.
    #[error("it has no triangles")]
    Empty,
    /// All vertices coincide.
    #[error("all its vertices coincide, so it has no size")]
    NoExtent,
    /// Coordinates leave the range of 32-bit floats at the size asked for.
    #[error("it lies too far from the origin for the size asked for; centre it first")]
    OutOfRange,
    /// More vertices, triangles or bytes than the formats count.
    #[error("it is larger than the format can hold; simplify it first")]
    TooLarge,
    /// A position, normal or texture coordinate is not a number.
    #[error("a coordinate is not a finite number; repair it first")]
    NotFinite,
    /// A triangle refers to a vertex that is not there.
    #[error("a triangle refers to vertex {index}, but there are {vertices} vertices")]
    Index {
        /// The index.
        index: u32,
        /// The number of vertices.
        vertices: usize,
    },
    /// An attribute does not belong to the vertices.
    #[error("it has {length} {attribute} for {vertices} vertices")]
    Attribute {
        /// The attribute.
        attribute: &'static str,
        /// Its length.
        length: usize,
        /// The number of vertices.
        vertices: usize,
    },
    /// The texture's size does not match its pixels.
    #[error("its texture's width and height do not match its pixels")]
    Texture,
}

/// A mesh file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file could not be opened or read.
    #[error("the mesh file could not be read ({cause}): {}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The path names a folder.
    #[error("a mesh file is needed, but this is a folder: {}", .0.display())]
    IsFolder(PathBuf),
    /// The extension is missing or unknown.
    #[error("{cause}: {}", .path.display())]
    Format {
        /// What is wrong with the name.
        cause: super::FormatError,
        /// The file.
        path: PathBuf,
    },
    /// The file is larger than meshes are read.
    #[error("the mesh file has {bytes} bytes, more than the {limit} allowed; simplify it first")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// Files of this format are written only.
    #[error(
        "{0} files can be written but not read; convert the file to GLB, OBJ, STL or PLY first"
    )]
    WriteOnly(Format),
    /// The file uses a part of its format that is not supported.
    #[error("the {format} file needs {feature}, which is not supported; export it again without")]
    Unsupported {
        /// The format.
        format: Format,
        /// What it needs.
        feature: String,
    },
    /// The file is not what its format demands.
    #[error("the {format} file is damaged: {damage}; export it again")]
    Damaged {
        /// The format.
        format: Format,
        /// What is wrong.
        damage: Damage,
    },
    /// There is no such file.
    #[error("there is no such file; check the path: {}", .0.display())]
    Missing(PathBuf),
    /// What is in a file cannot be used.
    #[error("{cause}: {}", .path.display())]
    Contents {
        /// The file.
        path: PathBuf,
        /// What is wrong with what is in it.
        cause: Box<ReadError>,
    },
}

/// What is wrong with a mesh file or a texture.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// The file ends early, or a count or offset points past its end.
    #[error("it ends before its {0}")]
    Truncated(&'static str),
    /// A part is missing.
    #[error("it has no {0}")]
    Missing(&'static str),
    /// A part is there and wrong.
    #[error("its {0} is not valid")]
    Invalid(&'static str),
    /// A line of text is wrong.
    #[error("line {line}: {what} is not valid")]
    Line {
        /// The line, from 1.
        line: usize,
        /// What was expected.
        what: &'static str,
    },
    /// A coordinate is infinite or not a number.
    #[error("a coordinate is not a finite number")]
    NotFinite,
    /// A face refers to a vertex that is not there.
    #[error("a face refers to vertex {index}, but there are {vertices} vertices")]
    Index {
        /// The index, from 0; negative ones as written.
        index: i64,
        /// The number of vertices.
        vertices: usize,
    },
    /// The node tree has a cycle or a shared node.
    #[error("node {0} is reached twice; nodes must form a tree")]
    NodeReachedTwice(usize),
    /// Instances repeat more geometry than the file's size allows for.
    #[error("it unfolds to more geometry than its size allows for")]
    TooMuchGeometry,
    /// The JSON part is wrong.
    #[error("its JSON is not valid ({0})")]
    Json(serde_json::Error),
    /// The texture is neither PNG nor JPEG.
    #[error("a texture is neither PNG nor JPEG")]
    TextureFormat,
    /// The texture is larger than its limits.
    #[error("a texture is larger than 8192 × 8192 pixels or than its file's size allows for")]
    TextureTooLarge,
    /// The texture does not decode.
    #[error("a texture cannot be decoded ({0})")]
    Texture(image::ImageError),
}
