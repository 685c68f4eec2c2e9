//! The window's view of the log: what it is shown from, what is kept of it, what is chosen in it.
//!
//! The window knows no log: whoever opens it hands in what reads the latest records. They are read while
//! the log is open and at no other time.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use super::app::App;
use super::preferences::LogLevel;

/// The most records that are shown.
const MOST: usize = 2000;

/// A record of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// Counts up.
    pub number: u64,
    /// When.
    pub at: jiff::Timestamp,
    /// How grave.
    pub level: tracing::Level,
    /// Where it comes from.
    pub origin: String,
    /// What happened, in one line.
    pub text: String,
}

impl LogRecord {
    /// The time of day in UTC, as in the log's file.
    pub(super) fn time(&self) -> String {
        self.at.strftime("%H:%M:%S%.3f").to_string()
    }

    /// As it is copied.
    fn line(&self) -> String {
        format!("{} {} {}: {}", self.at, self.level, self.origin, self.text)
    }
}

/// What the window reads the log from.
#[derive(Clone)]
pub struct LogSource {
    /// The records after the one of a number, oldest first.
    pub after: Arc<dyn Fn(u64) -> Vec<LogRecord> + Send + Sync>,
    /// Sets what is logged.
    pub set_level: Arc<dyn Fn(tracing::Level) + Send + Sync>,
    /// Whether the environment says what is logged, so that the settings cannot.
    pub is_fixed: bool,
    /// The folder with the log's files.
    pub folder: Option<PathBuf>,
}

impl LogLevel {
    pub(super) fn least(self) -> tracing::Level {
        match self {
            Self::Error => tracing::Level::ERROR,
            Self::Warn => tracing::Level::WARN,
            Self::Info => tracing::Level::INFO,
            Self::Debug => tracing::Level::DEBUG,
        }
    }
}

/// The log as it is shown.
#[derive(Default)]
pub(super) struct LogView {
    pub(super) open: bool,
    /// What is shown of it.
    pub(super) shown: LogLevel,
    records: VecDeque<LogRecord>,
    pub(super) chosen: BTreeSet<u64>,
    /// Where a range of chosen records begins, and where the keyboard is.
    pub(super) anchor: Option<u64>,
    pub(super) caret: Option<u64>,
}

impl LogView {
    /// Takes what came since the last call.
    pub(super) fn update(&mut self, source: &LogSource) {
        let seen = self.records.back().map_or(0, |record| record.number);
        self.records.extend((source.after)(seen));
        let surplus = self.records.len().saturating_sub(MOST);
        self.records.drain(..surplus);
        if let Some(first) = self.records.front() {
            self.chosen = self.chosen.split_off(&first.number);
        }
    }

    /// Lets go of everything.
    pub(super) fn close(&mut self) {
        *self = Self {
            shown: self.shown,
            ..Self::default()
        };
    }

    /// The records that are grave enough to be shown, oldest first.
    pub(super) fn visible(&self) -> Vec<&LogRecord> {
        let least = self.shown.least();
        self.records
            .iter()
            // A graver level is a lesser one.
            .filter(|record| record.level <= least)
            .collect()
    }

    /// Chooses a record: alone, besides the others, or with all from the last one chosen.
    pub(super) fn choose(&mut self, number: u64, besides: bool, range: bool) {
        let from = self.anchor.filter(|_| range).unwrap_or(number);
        let span = from.min(number)..=from.max(number);
        let numbers: Vec<u64> = self
            .visible()
            .iter()
            .map(|record| record.number)
            .filter(|number| span.contains(number))
            .collect();
        let was_chosen = self.chosen.contains(&number);
        if !besides {
            self.chosen.clear();
        }
        if besides && !range && was_chosen {
            self.chosen.remove(&number);
        } else {
            self.chosen.extend(numbers);
        }
        self.anchor = Some(from);
        self.caret = Some(number);
    }

    pub(super) fn choose_all(&mut self) {
        self.chosen = self.visible().iter().map(|record| record.number).collect();
    }

    /// The text of the chosen records, or of all that are shown, a line each.
    pub(super) fn text(&self, chosen_only: bool) -> String {
        let lines: Vec<_> = self
            .visible()
            .into_iter()
            .filter(|record| !chosen_only || self.chosen.contains(&record.number))
            .map(LogRecord::line)
            .collect();
        lines.join("\n")
    }
}

impl App {
    pub(super) fn toggle_log(&mut self) {
        if self.log.open {
            self.log.close();
        } else if self.log_source.is_some() {
            self.log.open = true;
        }
    }

    /// Has what was chosen in the settings logged, where the environment does not say.
    pub(super) fn apply_log_level(&self) {
        if let Some(source) = &self.log_source
            && !source.is_fixed
        {
            (source.set_level)(self.preferences.log_level.least());
        }
    }
}
