//! To come.
pub(crate) const TESTS: &[crate::Test] = &[];
