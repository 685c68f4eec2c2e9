//! Binary glTF 2.0: metres, +Y up, front at +Z.

mod container;
mod write;

pub(super) use write::write;
