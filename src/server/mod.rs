//! The local HTTP interface over the engine: the only place with an asynchronous runtime.
//!
//! It never computes anything itself, and no id or name from a request ever becomes a path.
//!
//! A request passes, in this order: the accept loop ([`listen`]: limits of connections, headers and
//! time), the gate ([`gate`]: who may speak to the server at all), a route, and for a new job the upload
//! ([`upload`]: a form becomes settings) and the [`registry`] of submissions. Whatever goes wrong becomes
//! a [`refusal`], the one form of an error.
//!
//! Architecture invariant: no handler waits for the worker, a driver or a disk on the runtime's own
//! threads. Readers of events are woken by [`bells`]; everything that blocks goes to a blocking thread.

mod app;
mod bells;
mod body;
mod config;
mod connection;
mod documents;
mod events;
mod fields;
mod gate;
mod listen;
mod meshes;
mod metrics;
mod openapi;
mod refusal;
mod registry;
mod routes;
mod running;
mod upload;

pub use config::{Config, ConfigError, LEAST_TOKEN_BYTES, Limits};
pub use running::{Server, ServerError, Stopper, start};
