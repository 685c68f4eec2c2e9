//! Neural models: their weights, and the shape sources made from them.
//!
//! A model never runs what a weights file says, and never reads a file but its own weights.

pub mod catalogue;
pub mod error;
pub mod hub;
pub mod library;
pub mod loader;
pub mod published;
pub mod triposr;
pub mod weights;
