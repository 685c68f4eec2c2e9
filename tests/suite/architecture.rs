//! The promises of `src/lib.rs` that can be read off the sources.
