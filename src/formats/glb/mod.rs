//! Binary glTF 2.0: metres, +Y up, front at +Z.

mod buffers;
mod container;
mod document;
mod read;
mod write;

pub(super) use read::read;
pub(super) use write::write;
