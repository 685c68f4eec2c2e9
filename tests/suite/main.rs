//! The test suite: one binary, one module a subject.

mod formats;
mod fuzz_mesh;
mod field;
mod isosurface;
mod isosurface_requests;
mod normals;
mod topology;
