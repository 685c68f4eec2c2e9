//! The test suite: one binary, one module a subject.

mod cutout;
mod decode;
mod fuzz_photo;

#[test]
fn suite_is_built() {}
