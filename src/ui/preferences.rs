//! What the window remembers between two runs, in one small JSON file in the platform's config folder.
//!
//! A file that cannot be understood is kept beside the new one and replaced by the defaults; it is never
//! a reason not to start.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::desk::Problem;
use super::flow;
use crate::engine::Flow;
use crate::formats;
use crate::store::Limits;

/// The environment variable that names the folder of the settings.
pub const CONFIG_FOLDER_VARIABLE: &str = "ORFEAS_CONFIG_DIR";

const FILE: &str = "window.json";

/// More stages than there can be kinds of are someone's mistake.
const MOST_STAGES: usize = 1000;

/// Which theme is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThemeChoice {
    /// The system's.
    #[default]
    System,
    /// Always the dark one.
    Dark,
    /// Always the light one.
    Light,
}

/// Whether moves are eased and meshes cross-fade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MotionChoice {
    /// As the system is set.
    #[default]
    System,
    /// Nothing moves by itself.
    Reduced,
    /// Everything moves, whatever the system says.
    Full,
}

/// What is logged: records this grave and graver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// What went wrong.
    Error,
    /// And what may go wrong.
    Warn,
    /// And what happened.
    #[default]
    Info,
    /// And how it happened.
    Debug,
}

/// Where the window was, in points.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct WindowPlace {
    /// From the left and the top; `None` where the system does not tell.
    pub position: Option<[f32; 2]>,
    /// Of its inside, when it was not maximised.
    pub size: [f32; 2],
    /// Whether it filled the screen.
    pub maximized: bool,
}

/// What the window remembers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Preferences {
    /// Dark, light or the system's.
    pub theme: ThemeChoice,
    /// Whether anything moves by itself.
    pub motion: MotionChoice,
    /// What is logged, where the environment does not say.
    pub log_level: LogLevel,
    /// Where the window was.
    pub window: Option<WindowPlace>,
    /// What the cache may take on disk, in bytes.
    pub cache_bytes: u64,
    /// What the history may take on disk, in bytes.
    pub history_bytes: u64,
    /// What jobs may take of the main memory, in bytes; `None` for what there is.
    pub memory_bytes: Option<u64>,
    /// Whether the panel with memory and precision is open.
    pub memory_open: bool,
    /// Cells along the longest side, for new images.
    pub resolution: u32,
    /// How shapes are refined from noise, for new images.
    pub flow: Flow,
    /// The extension of the format that was exported last.
    pub export_format: String,
    /// The longest side of what is exported, in millimetres.
    pub export_size_mm: f64,
    /// Whether an export is reduced.
    pub export_reduces: bool,
    /// To how many faces, at most.
    pub export_faces: usize,
    /// Which way was up in the last file of a format that leaves it open, by its extension.
    pub export_up: std::collections::BTreeMap<String, formats::Up>,
    /// The longer side that textures are reduced to, in pixels; `None` for as they are.
    pub export_texture_px: Option<usize>,
    /// Where was exported to last.
    pub export_folder: Option<PathBuf>,
    /// Where was opened from last.
    pub open_folder: Option<PathBuf>,
    /// Seconds that each stage took on this machine, by its name, its cells or the size of the image.
    pub stage_seconds: std::collections::BTreeMap<String, f64>,
}

impl WindowPlace {
    /// A place that a window can have; `None` for numbers that make no sense.
    fn sane(self) -> Option<Self> {
        let numbers = self.position.unwrap_or_default();
        let is_number = numbers
            .iter()
            .chain(&self.size)
            .all(|side| side.is_finite());
        is_number.then(|| Self {
            position: self
                .position
                .filter(|at| at.iter().all(|side| side.abs() < 32_000.0)),
            size: self.size.map(|side| side.clamp(200.0, 16_000.0)),
            ..self
        })
    }
}

impl Default for Preferences {
    fn default() -> Self {
        Self {
            theme: ThemeChoice::System,
            motion: MotionChoice::System,
            log_level: LogLevel::Info,
            window: None,
            cache_bytes: Limits::default().cache_bytes,
            history_bytes: Limits::default().history_bytes,
            memory_bytes: None,
            memory_open: true,
            resolution: crate::engine::Settings::DEFAULT_RESOLUTION,
            flow: Flow::default(),
            export_format: "stl".into(),
            export_size_mm: 100.0,
            export_reduces: true,
            export_faces: 200_000,
            export_up: Default::default(),
            export_texture_px: None,
            export_folder: None,
            open_folder: None,
            stage_seconds: Default::default(),
        }
    }
}

impl Preferences {
    /// The folder of the settings; `None` where the system names none.
    pub fn folder() -> Option<PathBuf> {
        std::env::var_os(CONFIG_FOLDER_VARIABLE)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
            .or_else(|| {
                directories::ProjectDirs::from("", "", "orfeas")
                    .map(|folders| folders.config_dir().to_owned())
            })
    }

    /// What was remembered in a folder, and what is wrong with it, if anything is.
    pub(super) fn load(folder: &Path) -> (Self, Option<Problem>) {
        let path = folder.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return (Self::default(), None);
            }
            Err(error) => {
                let problem = Problem::new(
                    "Settings could not be read; the defaults are used",
                    format!("{error}: {}", path.display()),
                );
                return (Self::default(), Some(problem));
            }
        };
        match serde_json::from_str::<Self>(&text) {
            Ok(preferences) => (preferences.within_limits(), None),
            Err(error) => (Self::default(), Some(set_aside(&path, &error))),
        }
    }

    /// Where the window was, as far as that can be read without touching the file.
    pub(super) fn window_place(folder: &Path) -> Option<WindowPlace> {
        let text = std::fs::read_to_string(folder.join(FILE)).ok()?;
        let preferences: Self = serde_json::from_str(&text).ok()?;
        preferences.within_limits().window
    }

    /// What the store may take on disk.
    pub(super) fn limits(&self) -> Limits {
        Limits {
            cache_bytes: self.cache_bytes,
            history_bytes: self.history_bytes,
        }
    }

    /// Writes the file whole or not at all.
    pub(super) fn save(&self, folder: &Path) -> Result<(), Problem> {
        let failed = |error: &dyn std::fmt::Display| {
            Problem::new(
                "Settings could not be saved",
                format!("{error}: {}", folder.display()),
            )
        };
        std::fs::create_dir_all(folder).map_err(|error| failed(&error))?;
        let text = serde_json::to_string_pretty(self).map_err(|error| failed(&error))?;
        formats::save_bytes(&folder.join(FILE), text.as_bytes()).map_err(|error| failed(&error))?;
        Ok(())
    }

    /// Whatever someone wrote into the file, nothing leaves the range that its control has.
    fn within_limits(mut self) -> Self {
        use crate::engine::Settings;
        self.resolution = self
            .resolution
            .clamp(Settings::MIN_RESOLUTION, Settings::MAX_RESOLUTION);
        self.flow = flow::within_bounds(self.flow);
        if !self.export_size_mm.is_finite() {
            self.export_size_mm = Self::default().export_size_mm;
        }
        self.export_size_mm = self.export_size_mm.clamp(0.1, 100_000.0);
        self.export_texture_px = self.export_texture_px.filter(|side| *side > 0);
        self.export_faces = self.export_faces.clamp(4, 100_000_000);
        self.cache_bytes = self.cache_bytes.clamp(100_000_000, 1_000_000_000_000);
        self.history_bytes = self.history_bytes.clamp(100_000_000, 1_000_000_000_000);
        self.memory_bytes = self.memory_bytes.map(|bytes| bytes.max(500_000_000));
        self.window = self.window.take().and_then(WindowPlace::sane);
        self.stage_seconds
            .retain(|_, seconds| seconds.is_finite() && *seconds >= 0.0);
        if self.stage_seconds.len() > MOST_STAGES {
            self.stage_seconds.clear();
        }
        self
    }
}

/// Keeps a file that cannot be understood, under another name.
fn set_aside(path: &Path, error: &serde_json::Error) -> Problem {
    let headline = "Settings were damaged; the defaults are used";
    let kept = (1..1000)
        .map(|number| path.with_file_name(format!("window.damaged-{number}.json")))
        .find(|kept| !kept.exists());
    let moved = kept.and_then(|kept| std::fs::rename(path, &kept).ok().map(|()| kept));
    match moved {
        Some(kept) => Problem::new(
            headline,
            format!("{error}; the damaged file is kept: {}", kept.display()),
        ),
        None => Problem::new(
            headline,
            format!(
                "{error}; the damaged file could not be moved aside: {}",
                path.display()
            ),
        ),
    }
}
