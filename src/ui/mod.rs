//! The window: images in, a mesh that takes shape, files out.
//!
//! ```text
//! drop, open, paste ──► desk ──► engine ──► project ──► viewport
//!                        ▲                     │
//!                        └───── controls ◄─────┘
//! ```
//!
//! The window only shows and asks. Whatever may take longer than a frame — hashing an image, reading a
//! file, planning, writing — runs on a lane of the [`desk`] and comes back as a [`desk::Message`]. A
//! frame is drawn when something that it shows changed, and at no other time.
//!
//! Architecture invariant: nothing in this module waits on the worker, a file or the network on the
//! thread that draws. `egui` is used nowhere else.

mod app;
mod desk;
mod drive;
mod fonts;
mod input;
mod panels;
mod preferences;
mod progress;
mod project;
mod results;
mod samples;
mod screenshot;
mod serving;
mod shortcuts;
mod sources;
mod stage;
mod theme;
mod viewport;
mod widgets;
mod window;

pub use app::{App, Backend, Setup};
pub use preferences::{CONFIG_FOLDER_VARIABLE, Preferences, ThemeChoice};
pub use serving::{Served, StartServer};
pub use window::{WindowError, open};
