//! The local HTTP interface over the engine: the only place with an asynchronous runtime.
//!
//! It never computes anything itself, and no id or name from a request ever becomes a path.
