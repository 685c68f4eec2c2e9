//! The test suite: one binary, one module a subject.

mod decode;

#[test]
fn suite_is_built() {}
