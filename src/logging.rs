//! The log that every front end writes: a file a day in the platform's state folder, the last seven kept,
//! and the latest records in memory for whoever shows them. Nothing goes to the terminal.

use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Registry, reload};

/// The environment variable that sets what is logged, as in `ORFEAS_LOG=debug`.
pub const FILTER_VARIABLE: &str = "ORFEAS_LOG";

/// How many days of log files are kept.
const KEPT_FILES: usize = 7;
/// How many records are kept in memory, at most.
const KEPT_RECORDS: usize = 2000;
/// How long the text of a record in memory is, at most, in bytes.
const RECORD_BYTES: usize = 2048;

/// Why no log file is written; the program runs all the same.
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

/// The running log.
#[derive(Debug, Clone)]
pub struct Log {
    /// The latest records.
    pub recent: Recent,
    filter: reload::Handle<EnvFilter, Registry>,
    is_fixed: bool,
}

impl Log {
    /// Sets what is logged from now on: records of this level and above. What the environment asks for
    /// is not overruled; tells whether the level was set.
    pub fn set_level(&self, level: Level) -> bool {
        !self.is_fixed && self.filter.reload(filter(level)).is_ok()
    }

    /// Whether the environment says what is logged.
    pub fn is_fixed(&self) -> bool {
        self.is_fixed
    }
}

/// More than the usual is asked of this program alone: the libraries would drown it.
fn filter(level: Level) -> EnvFilter {
    EnvFilter::new(match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "info,orfeas=debug",
        Level::TRACE => "info,orfeas=trace",
    })
}

/// Starts logging for the whole program; where no file can be written, in memory alone.
pub fn start() -> (Log, Option<LogError>) {
    let (file, mut problem) = match file() {
        Ok(file) => (Some(file), None),
        Err(error) => (None, Some(error)),
    };
    let given = EnvFilter::try_from_env(FILTER_VARIABLE).ok();
    let is_fixed = given.is_some();
    let (filter, handle) = reload::Layer::new(given.unwrap_or_else(|| filter(Level::INFO)));
    let log = Log {
        recent: Recent::default(),
        filter: handle,
        is_fixed,
    };
    let to_file = file.map(|file| {
        tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(file)
    });
    let subscriber = tracing_subscriber::registry()
        .with(filter)
        .with(to_file)
        .with(log.recent.layer());
    if let Err(error) = tracing::subscriber::set_global_default(subscriber) {
        problem = Some(LogError::Twice(error));
    }
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "started");
    (log, problem)
}

fn file() -> Result<Mutex<RollingFileAppender>, LogError> {
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
    Ok(Mutex::new(file))
}

/// A record of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Counts up from 1 for the life of the log.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// How grave.
    pub level: Level,
    /// The module that it comes from.
    pub origin: String,
    /// What happened, then what it belongs to, in one line of at most 2 KiB.
    pub text: String,
}

/// The latest records, in memory: at most 2000 of at most 2 KiB. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Recent(Arc<Mutex<Ring>>);

#[derive(Debug, Default)]
struct Ring {
    records: VecDeque<Record>,
    last_number: u64,
}

impl Recent {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The records after the one of this number, oldest first.
    pub fn after(&self, number: u64) -> Vec<Record> {
        let ring = self.ring();
        let first = ring
            .records
            .partition_point(|record| record.number <= number);
        ring.records.range(first..).cloned().collect()
    }

    /// What fills the records from a subscriber's events.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        Filling(self.clone())
    }

    fn push(&self, level: Level, origin: &str, mut text: String) {
        shorten(&mut text, RECORD_BYTES);
        let mut ring = self.ring();
        ring.last_number += 1;
        if ring.records.len() == KEPT_RECORDS {
            ring.records.pop_front();
        }
        let record = Record {
            number: ring.last_number,
            at: Timestamp::now(),
            level,
            origin: origin.to_owned(),
            text,
        };
        ring.records.push_back(record);
    }
}

fn shorten(text: &mut String, most_bytes: usize) {
    if text.len() > most_bytes {
        let end = text.floor_char_boundary(most_bytes - '…'.len_utf8());
        text.truncate(end);
        text.push('…');
    }
    // One record, one line, and nothing that moves the caret.
    if text.contains(char::is_control) {
        *text = text.replace(char::is_control, " ");
    }
}

struct Filling(Recent);

/// The fields of a span, as they are told with each event inside it.
struct SpanFields(Line);

impl<S> Layer<S> for Filling
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut line = Line::default();
            attributes.record(&mut line);
            span.extensions_mut().insert(SpanFields(line));
        }
    }

    fn on_record(&self, id: &Id, values: &tracing::span::Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(SpanFields(line)) = span.extensions_mut().get_mut()
        {
            values.record(line);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        let mut text = line.message;
        text.push_str(&line.fields);
        for span in context.event_scope(event).into_iter().flatten() {
            text.push_str("  [");
            text.push_str(span.name());
            if let Some(SpanFields(line)) = span.extensions().get() {
                text.push_str(&line.fields);
            }
            text.push(']');
        }
        let origin = event.metadata();
        self.0.push(*origin.level(), origin.target(), text);
    }
}

/// An event, or the fields of a span, as one line.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Line {
    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let written = match field.name() {
            "message" => self.message.write_fmt(value),
            name => write!(self.fields, "  {name}={value}"),
        };
        // Writing to a string fails only where a value's own formatting does.
        if written.is_err() {
            self.fields.push_str("  (unreadable)");
        }
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format_args!("{value:?}"));
    }
}
