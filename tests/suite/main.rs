//! The test suite: one binary, one module a subject.

mod field;
mod isosurface;
