//! The test suite: one binary, one module a subject.

mod formats;
mod formats_read;
mod formats_save;
mod fuzz_mesh;
