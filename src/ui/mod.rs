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
mod compare;
mod desk;
mod details;
mod download;
mod drive;
mod editor;
mod exporting;
mod facts;
mod flow;
mod fonts;
mod input;
mod log;
mod motion;
mod names;
mod orbit;
mod outline;
mod panels;
mod pixels;
mod place;
mod preferences;
mod progress;
mod project;
mod queue;
mod refine;
mod regain;
mod restore;
mod results;
mod reveal;
mod ruler;
mod samples;
mod screenshot;
mod serving;
mod sheet;
mod shortcuts;
mod sources;
mod stage;
mod textures;
mod theme;
mod thumbnails;
mod title;
mod undo;
mod veil;
mod viewport;
mod widgets;
mod window;

pub use app::{App, Backend, Setup};
pub use log::{LogRecord, LogSource};
pub use preferences::{
    CONFIG_FOLDER_VARIABLE, LogLevel, MotionChoice, Preferences, ThemeChoice, WindowPlace,
};
pub use progress::{Progress, Standing, Step, Work, learn};
pub use serving::{Served, StartServer};
pub use window::{WindowError, open, open_watched};
