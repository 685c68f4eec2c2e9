//! Orfeas turns one image into a closed, coloured 3D mesh, coarse to fine, on the user's own machine.
//!
//! ```text
//!             photo ──► shape source ──► field ──► isosurface ──► mesh ──► viewport / export
//!                           │                          ▲  coarse to fine
//!                           └── asks ── vram manager ──┘  device, precision, level
//! ```
//!
//! Read `engine/run.rs` first: it names every stage of a job in order. The window (`ui`), the command line
//! (`cli`) and the HTTP server (`server`) are three front ends over the same engine.
//!
//! # Who may import whom
//!
//! A test reads this table and checks every `crate::` path in `src` against it.
//!
//! | module | may import |
//! |---|---|
//! | photo | |
//! | compute | |
//! | field | |
//! | logging | |
//! | mesh | field |
//! | inflate | photo, field, compute, vram |
//! | models | photo, field, compute, vram |
//! | formats | mesh |
//! | view | mesh |
//! | vram | compute |
//! | store | formats, mesh, photo |
//! | engine | photo, inflate, models, field, mesh, formats, store, vram, compute |
//! | ui | engine, store, formats, mesh, photo, vram, view |
//! | cli | engine, store, formats, mesh, photo, vram, view, logging |
//! | server | engine, store, formats, mesh, photo, vram |
//! | main | cli, server, ui, logging, compute |
//!
//! # Architecture invariants
//!
//! - `unsafe`, `cudarc` and the loading of libraries live in `compute` alone, `egui` in `ui` alone, the
//!   asynchronous runtime in `server` alone.
//! - There is no global mutable state.
//! - `photo`, `field` and `mesh` are pure: no files, no clock, no devices. Long functions take a
//!   `cancelled` callback and look at it at least every 50 ms.
//! - The same bytes and settings give the same mesh, whatever the number of threads.
//! - A worker's panic is a failed job; the engine lives.
//! - A job that fails or is cancelled leaves nothing behind.
//! - A failure is never turned into a mesh that stands in for it.
//!
//! # Frames and units
//!
//! Image rows run down, columns run right. A cut-out of side `S` spans the square `[-0.5, 0.5]²` of the
//! field frame: `x = (column + 0.5) / S - 0.5`, `y = 0.5 - (row + 0.5) / S`, and `z` in the same unit
//! towards the viewer. A finished [`mesh::Mesh`] is right-handed, +Y up, +Z to the front, centred, its
//! longest side 1. Only `formats` scales and turns it.

pub mod cli;
pub mod compute;
pub mod engine;
pub mod field;
pub mod formats;
pub mod inflate;
pub mod logging;
pub mod mesh;
pub mod models;
pub mod photo;
pub mod server;
pub mod store;
pub mod ui;
pub mod view;
pub mod vram;
