//! What a folder holds, as far as its file names and their metadata tell.

use std::collections::HashMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use super::{Held, Name};

/// What is known of a folder's entries.
#[derive(Debug)]
pub(super) struct Index<N> {
    /// The mark of the last change that is in here; `None` when the folder must be looked at again.
    pub(super) mark: Option<Uuid>,
    pub(super) items: HashMap<N, Item>,
    bytes: u64,
    /// The latest time of any entry so far.
    latest: SystemTime,
}

/// What is known of an entry.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    /// Of its record and its files together.
    pub(super) bytes: u64,
    /// What decides which entry goes first: when it was made or last used.
    pub(super) age_mark: SystemTime,
    pub(super) generation: Uuid,
}

impl<N> Default for Index<N> {
    fn default() -> Self {
        Self {
            mark: None,
            items: HashMap::new(),
            bytes: 0,
            latest: SystemTime::UNIX_EPOCH,
        }
    }
}

impl<N: Name> Index<N> {
    pub(super) fn held(&self) -> Held {
        Held {
            entries: self.items.len() as u64,
            bytes: self.bytes,
        }
    }

    pub(super) fn insert(&mut self, name: N, item: Item) {
        self.remove(&name);
        // Damaged files may claim any length.
        self.bytes = self.bytes.saturating_add(item.bytes);
        self.latest = self.latest.max(item.age_mark);
        self.items.insert(name, item);
    }

    pub(super) fn remove(&mut self, name: &N) -> Option<Item> {
        let item = self.items.remove(name)?;
        self.bytes = self.bytes.saturating_sub(item.bytes);
        Some(item)
    }

    /// The time for an entry that is used now: after that of every other, also when the clock was set
    /// back.
    pub(super) fn now(&mut self) -> SystemTime {
        let next = self.latest.checked_add(Duration::from_micros(1));
        self.latest = SystemTime::now().max(next.unwrap_or(self.latest));
        self.latest
    }
}

/// The files that belong to a name.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Length and time of the record, where it is a file.
    pub(super) record: Option<RecordFile>,
    pub(super) files: Vec<FoundFile>,
}

#[derive(Debug)]
pub(super) enum RecordFile {
    Whole { bytes: u64, modified: SystemTime },
    NotAFile,
}

#[derive(Debug)]
pub(super) struct FoundFile {
    pub(super) file_name: String,
    pub(super) generation: Uuid,
    pub(super) bytes: u64,
    /// A record that was being written.
    pub(super) is_part: bool,
}

/// What a file name of the store says.
pub(super) enum FileName<N> {
    Record(N),
    File(N, Uuid),
}

pub(super) const RECORD: &str = "json";
/// A record that is being written.
pub(super) const PART: &str = "part";

pub(super) fn record_file_name<N: Name>(name: &N) -> String {
    format!("{name}.{RECORD}")
}

pub(super) fn file_name<N: Name>(name: &N, generation: Uuid, kind: &str) -> String {
    format!("{name}.{}.{kind}", generation.simple())
}

/// Takes a file name apart; `None` for one that the store does not give.
pub(super) fn parse_file_name<N: Name>(text: &str, kinds: &[&str]) -> Option<FileName<N>> {
    let mut parts = text.split('.');
    let name: N = parts.next()?.parse().ok()?;
    let file_name = match (parts.next()?, parts.next(), parts.next()) {
        (RECORD, None, None) => FileName::Record(name),
        (generation, Some(kind), None) if kind == PART || kinds.contains(&kind) => {
            FileName::File(name, Uuid::try_parse(generation).ok()?)
        }
        _ => return None,
    };
    // Parsers are lenient about case and punctuation.
    let given = match &file_name {
        FileName::Record(name) => record_file_name(name),
        FileName::File(name, generation) => {
            let kind = text.rsplit('.').next()?;
            self::file_name(name, *generation, kind)
        }
    };
    (given == text).then_some(file_name)
}

/// Every file of the store in a folder, by name. What else lies there is left alone.
pub(super) fn survey<N: Name>(folder: &Path, kinds: &[&str]) -> io::Result<HashMap<N, Found>> {
    let mut found: HashMap<N, Found> = HashMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(text) = entry.file_name().into_string() else {
            continue;
        };
        let Some(name) = parse_file_name::<N>(&text, kinds) else {
            continue;
        };
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            // Another process was faster.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        match name {
            FileName::Record(name) => {
                let record = if metadata.is_file() {
                    RecordFile::Whole {
                        bytes: metadata.len(),
                        modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
                    }
                } else {
                    RecordFile::NotAFile
                };
                found.entry(name).or_default().record = Some(record);
            }
            FileName::File(name, generation) => {
                found.entry(name).or_default().files.push(FoundFile {
                    is_part: text.ends_with(PART),
                    file_name: text,
                    generation,
                    bytes: metadata.len(),
                });
            }
        }
    }
    Ok(found)
}
