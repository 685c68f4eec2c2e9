//! Neural models: their weights, and the shape sources made from them.
//!
//! A model never runs what a weights file says, and never reads a file but its own weights.

pub mod catalogue;
pub mod dinov2;
pub mod error;
pub mod hub;
pub mod json;
mod layout;
pub mod library;
pub mod loader;
pub mod published;
pub mod shapes;
pub mod triposg;
pub mod triposr;
pub mod vecset;
mod vision;
pub mod weights;
