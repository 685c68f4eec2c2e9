//! The test suite: one binary, one module a subject.

mod checks;
mod measure;
mod shapes;
