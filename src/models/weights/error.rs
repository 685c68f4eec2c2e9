//! What can be wrong with a weights file.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// A weights file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The system cannot read it.
    #[error("the weights cannot be read: {cause}: {path}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A folder, a pipe or a device.
    #[error("weights are in an ordinary file, and this is none: {path}", path = .0.display())]
    NotAFile(PathBuf),
    /// It ends before what it held when it was opened.
    #[error(
        "the weights file became shorter while it was read; let what writes it finish, or get it again: {path}",
        path = path.display()
    )]
    Shrunk {
        /// The file.
        path: PathBuf,
    },
    /// Neither safetensors nor what `torch.save` writes.
    #[error(
        "this is no weights file (safetensors or a torch checkpoint since PyTorch 1.6): {path}",
        path = .0.display()
    )]
    UnknownFormat(PathBuf),
    /// It contradicts itself, is cut short, or holds what no weights need.
    #[error("the weights file cannot be used: {what}; get it again: {path}", path = path.display())]
    Malformed {
        /// What is wrong.
        what: String,
        /// The file.
        path: PathBuf,
    },
    /// A checkpoint that asks for code to be run. None was.
    #[error(
        "this checkpoint asks to run {function}, which no weights need; nothing of it was run; use one that \
         holds tensors alone: {path}",
        path = path.display()
    )]
    Code {
        /// What it asks for.
        function: String,
        /// The file.
        path: PathBuf,
    },
    /// It holds other tensors than the model has.
    #[error("these are not the weights of this model: {mismatch}: {path}", path = path.display())]
    Mismatch {
        /// How they differ.
        mismatch: Mismatch,
        /// The file.
        path: PathBuf,
    },
    /// A tensor whose numbers are no weights.
    #[error("the tensor {name} holds {element} numbers, and weights are floating-point: {path}", path = path.display())]
    NotFloatingPoint {
        /// The tensor.
        name: String,
        /// What it holds.
        element: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The system gives no memory for a tensor.
    #[error("no memory for the {size_bytes} bytes of the tensor {name}; close other programs")]
    OutOfMemory {
        /// The tensor.
        name: String,
        /// What it needs.
        size_bytes: u64,
    },
}

/// A tensor of another shape than the model's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongShape {
    /// The tensor.
    pub name: String,
    /// The model's shape.
    pub expected: Vec<usize>,
    /// The file's shape.
    pub found: Vec<usize>,
}

/// How the tensors of a file differ from a model's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mismatch {
    /// What the model has and the file lacks.
    pub missing: Vec<String>,
    /// What the file has and the model lacks.
    pub extra: Vec<String>,
    /// What has another shape in the file.
    pub wrong_shaped: Vec<WrongShape>,
}

impl Mismatch {
    /// Whether the file fits the model.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty() && self.wrong_shaped.is_empty()
    }
}

/// The tensors named in a message; the rest is counted.
const NAMED: usize = 3;

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shapes: Vec<_> = self.wrong_shaped.iter().map(ToString::to_string).collect();
        let groups = [
            ("missing", &self.missing),
            ("of another shape", &shapes),
            ("unknown", &self.extra),
        ];
        let mut separator = "";
        for (what, names) in groups.into_iter().filter(|(_, names)| !names.is_empty()) {
            let count = names.len();
            write!(f, "{separator}{count} {what} (")?;
            for (place, name) in names.iter().take(NAMED).enumerate() {
                let comma = if place == 0 { "" } else { ", " };
                write!(f, "{comma}{name}")?;
            }
            f.write_str(if count > NAMED { ", …)" } else { ")" })?;
            separator = "; ";
        }
        Ok(())
    }
}

impl fmt::Display for WrongShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, found, expected) = (&self.name, &self.found, &self.expected);
        write!(f, "{name} {found:?} for {expected:?}")
    }
}
