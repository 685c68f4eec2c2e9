//! How fast this machine computes models, learned from the jobs that it ran: what `auto` foretells the time
//! of the next one from. A small file in the user's folder for data, so that each program learns from all.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How much of an old pace stays when a new one is learned.
const MEMORY: f64 = 0.6;
/// More paces than there can be kinds of are someone's mistake.
const MOST: usize = 1000;

type Known = BTreeMap<String, f64>;

/// What is known of this machine's pace; the clones of one share it.
#[derive(Debug, Clone, Default)]
pub struct Paces {
    /// Where it is kept; `None` for no longer than the program runs.
    file: Option<PathBuf>,
    /// What is known where there is no file.
    known: Arc<Mutex<Known>>,
}

impl Paces {
    /// What is kept in a file, which need not be there yet.
    pub fn in_file(file: PathBuf) -> Self {
        Self {
            file: Some(file),
            ..Self::default()
        }
    }

    /// The user's own, in the program's folder for data.
    pub fn of_user(data_folder: Option<&Path>) -> Self {
        data_folder.map_or_else(Self::default, |folder| {
            Self::in_file(folder.join("paces.json"))
        })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that is known. A file that cannot be read tells nothing, and is made anew.
    fn read(&self) -> Known {
        let Some(file) = &self.file else {
            return self.known().clone();
        };
        let text = match std::fs::read(file) {
            Ok(text) => text,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!("this machine's paces cannot be read: {error}");
                }
                return Known::new();
            }
        };
        let known = serde_json::from_slice(&text).unwrap_or_else(|error| {
            tracing::warn!("the file of this machine's paces is damaged and passed over: {error}");
            Known::new()
        });
        if known.len() > MOST {
            return Known::new();
        }
        known
    }

    /// The operations that are done in a second of a kind of job, where one was measured.
    pub(super) fn operations_per_second(&self, kind: &str) -> Option<f64> {
        let pace = self.read().remove(kind)?;
        (pace.is_finite() && pace > 0.0).then_some(pace)
    }

    /// Learns from a job of a kind. Where this cannot be kept, the next program does not know it.
    pub(super) fn learn(&self, kind: &str, operations: f64, seconds: f64) {
        let pace = operations / seconds;
        if !pace.is_finite() || pace <= 0.0 {
            return;
        }
        let mut known = self.read();
        let learned = known.entry(kind.to_owned()).or_insert(pace);
        *learned = if learned.is_finite() && *learned > 0.0 {
            *learned * MEMORY + pace * (1.0 - MEMORY)
        } else {
            pace
        };
        match &self.file {
            None => *self.known() = known,
            Some(file) => {
                if let Err(error) = write(file, &known) {
                    tracing::warn!("this machine's pace is not kept: {error}");
                }
            }
        }
    }
}

/// Writes the file whole or not at all.
fn write(file: &Path, known: &Known) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut written = tempfile::NamedTempFile::new_in(folder)?;
    written.write_all(&serde_json::to_vec_pretty(known)?)?;
    written.persist(file)?;
    Ok(())
}
