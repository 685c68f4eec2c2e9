//! The test suite: one binary, one module a subject.

mod field;
mod formats;
mod formats_read;
mod formats_save;
mod fuzz_mesh;
mod isosurface;
mod isosurface_requests;
mod normals;
mod topology;
