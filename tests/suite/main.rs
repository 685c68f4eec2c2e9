//! The test suite: one binary, one module a subject.

#[test]
fn suite_is_built() {}

mod matte_composites;
