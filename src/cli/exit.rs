//! Exit codes, and errors that carry theirs.

use crate::engine::{ExportError, Failure, FailureKind};
use crate::formats::{FormatError, ReadError, SaveError};

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// Everything asked for was done.
    Done = 0,
    /// Anything that no other code names.
    Other = 1,
    /// The arguments make no sense.
    Usage = 2,
    /// An input is missing or cannot be used.
    BadInput = 3,
    /// The memory does not suffice.
    OutOfMemory = 4,
    /// An output cannot be written.
    Output = 5,
    /// Interrupted from the keyboard.
    Interrupted = 130,
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

/// An error and the exit code it calls for.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) code: ExitCode,
    /// `None` where the error was already shown.
    pub(super) error: Option<anyhow::Error>,
}

impl Failed {
    pub(super) fn new(code: ExitCode, error: impl Into<anyhow::Error>) -> Self {
        Self {
            code,
            error: Some(error.into()),
        }
    }

    pub(super) fn usage(message: impl std::fmt::Display) -> Self {
        Self::new(ExitCode::Usage, anyhow::anyhow!("{message}"))
    }

    pub(super) fn interrupted() -> Self {
        Self::new(
            ExitCode::Interrupted,
            anyhow::anyhow!("interrupted; no partial file was left"),
        )
    }

    /// An error that was shown when it happened.
    pub(super) fn shown(code: ExitCode) -> Self {
        Self { code, error: None }
    }

    /// The error with its causes, in one line.
    pub(super) fn message(&self) -> String {
        self.error
            .as_ref()
            .map(|error| format!("{error:#}"))
            .unwrap_or_default()
    }

    pub(super) fn print(&self) {
        if self.error.is_some() {
            eprintln!("error: {}", self.message());
        }
        tracing::error!(code = self.code as u8, "{}", self.message());
    }
}

impl From<SaveError> for Failed {
    fn from(error: SaveError) -> Self {
        Self::new(ExitCode::Output, error)
    }
}

impl From<FormatError> for Failed {
    fn from(error: FormatError) -> Self {
        Self::new(ExitCode::Usage, error)
    }
}

impl From<ReadError> for Failed {
    fn from(error: ReadError) -> Self {
        Self::new(ExitCode::BadInput, error)
    }
}

impl From<ExportError> for Failed {
    fn from(error: ExportError) -> Self {
        let code = match error {
            ExportError::Save(_) => ExitCode::Output,
            ExportError::Busy | ExportError::Panicked(_) | ExportError::Closed => ExitCode::Other,
        };
        Self::new(code, error)
    }
}

/// The exit code of a failed job.
pub(super) fn code_of(failure: &Failure) -> ExitCode {
    match failure.kind() {
        FailureKind::BadInput => ExitCode::BadInput,
        FailureKind::OutOfMemory => ExitCode::OutOfMemory,
        FailureKind::Unavailable => ExitCode::Usage,
        FailureKind::Internal => ExitCode::Other,
    }
}
