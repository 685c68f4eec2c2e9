//! The log file that every front end writes: one a day in the platform's state folder, the last seven
//! kept. Nothing goes to the terminal. This module never decides what is logged.

use std::path::PathBuf;

use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::EnvFilter;

/// The environment variable that sets what is logged, as in `ORFEAS_LOG=debug`.
pub const FILTER_VARIABLE: &str = "ORFEAS_LOG";

/// How many days of log files are kept.
const KEPT_FILES: usize = 7;

/// Why nothing will be logged; the program runs all the same.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The platform names no folder for program state.
    #[error("this system names no folder for log files")]
    NoFolder,
    /// The folder cannot be created.
    #[error("the folder for log files cannot be created: {0}")]
    NoSuchFolder(std::io::Error),
    /// The folder or file cannot be written.
    #[error("the log file cannot be written: {0}")]
    Unwritable(tracing_appender::rolling::InitError),
    /// Another log was started before.
    #[error("a log was started before: {0}")]
    Twice(tracing::subscriber::SetGlobalDefaultError),
}

/// The folder of the log files: the state folder on Linux, the local data folder elsewhere.
pub fn folder() -> Option<PathBuf> {
    let folders = directories::ProjectDirs::from("", "", "orfeas")?;
    let state = folders
        .state_dir()
        .unwrap_or_else(|| folders.data_local_dir());
    Some(state.join("logs"))
}

/// Starts logging for the whole program.
///
/// # Errors
///
/// [`LogError`] when no log file can be written.
pub fn start() -> Result<(), LogError> {
    let folder = folder().ok_or(LogError::NoFolder)?;
    // The appender creates it too, but complains on the terminal first.
    std::fs::create_dir_all(&folder).map_err(LogError::NoSuchFolder)?;
    let file = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("orfeas")
        .filename_suffix("log")
        .max_log_files(KEPT_FILES)
        .build(folder)
        .map_err(LogError::Unwritable)?;
    let filter =
        EnvFilter::try_from_env(FILTER_VARIABLE).unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(file)
        .finish();
    tracing::subscriber::set_global_default(subscriber).map_err(LogError::Twice)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "started");
    Ok(())
}
