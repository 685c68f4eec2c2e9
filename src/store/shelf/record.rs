//! The record of an entry: a small file of two lines of JSON. The first holds the checksum of the
//! second, which names the entry's files with their lengths and checksums.
//!
//! An entry is there when its record is.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use uuid::Uuid;

use super::Name;
use crate::store::{Damage, StoreError};

/// Far more than settings and a summary take, brush strokes included.
pub(super) const MAX_BYTES: u64 = 4 << 20;

const FORMAT: &str = "orfeas record 1";

/// An entry without the contents of its files.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::store) struct Record<N> {
    /// Whose record this is.
    pub(in crate::store) name: N,
    /// Sets the files of this record apart from those of an earlier record with its name.
    pub(super) generation: Uuid,
    pub(super) files: Vec<RecordedFile>,
    /// What the store was given to keep beside the files.
    pub(in crate::store) content: Value,
}

/// A file that belongs to a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::store) struct RecordedFile {
    pub(super) kind: String,
    pub(in crate::store) bytes: u64,
    blake3: Checksum,
}

#[derive(Serialize, Deserialize)]
struct Head {
    format: String,
    blake3: Checksum,
}

#[derive(Serialize)]
struct BodyToWrite<'a> {
    name: String,
    generation: Uuid,
    files: &'a [RecordedFile],
    content: &'a Value,
}

#[derive(Deserialize)]
struct Body {
    name: String,
    generation: Uuid,
    files: Vec<RecordedFile>,
    content: Value,
}

impl RecordedFile {
    pub(super) fn new(kind: &str, contents: &[u8]) -> Self {
        Self {
            kind: kind.to_owned(),
            bytes: contents.len() as u64,
            blake3: Checksum::of(contents),
        }
    }

    /// Whether the contents have this BLAKE3 hash.
    pub(in crate::store) fn has_hash(&self, hash: &blake3::Hash) -> bool {
        self.blake3.0 == *hash
    }

    /// Whether these are the contents that were written.
    pub(super) fn check(&self, contents: &[u8]) -> Result<(), Damage> {
        if contents.len() as u64 != self.bytes {
            Err(Damage::Length)
        } else if Checksum::of(contents) != self.blake3 {
            Err(Damage::Checksum)
        } else {
            Ok(())
        }
    }
}

impl<N: Name> Record<N> {
    /// The file of a kind.
    pub(in crate::store) fn file(&self, kind: &str) -> Option<&RecordedFile> {
        self.files.iter().find(|file| file.kind == kind)
    }

    /// The bytes of a record file.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, StoreError> {
        let body = serde_json::json!(BodyToWrite {
            name: self.name.to_string(),
            generation: self.generation,
            files: &self.files,
            content: &self.content,
        });
        let body = body.to_string();
        let head = serde_json::json!(Head {
            format: FORMAT.to_owned(),
            blake3: Checksum::of(body.as_bytes()),
        });
        let text = format!("{head}\n{body}\n");
        if text.len() as u64 > MAX_BYTES {
            return Err(StoreError::ContentTooLarge {
                bytes: text.len() as u64,
                limit_bytes: MAX_BYTES,
            });
        }
        Ok(text.into_bytes())
    }

    /// Reads a record file of the entry `name`, whose files are of the given kinds.
    pub(super) fn from_bytes(bytes: &[u8], name: &N, kinds: &[&str]) -> Result<Self, Damage> {
        let form = |_error| Damage::Form;
        let text = bytes.strip_suffix(b"\n").ok_or(Damage::Form)?;
        let end = text.iter().position(|&byte| byte == b'\n');
        let (head, body) = text.split_at(end.ok_or(Damage::Form)?);
        let body = &body[1..];
        let head: Head = serde_json::from_slice(head).map_err(form)?;
        if head.format != FORMAT {
            return Err(Damage::Form);
        }
        if Checksum::of(body) != head.blake3 {
            return Err(Damage::Checksum);
        }
        let body: Body = serde_json::from_slice(body).map_err(form)?;
        if body.name != name.to_string() {
            return Err(Damage::Misplaced);
        }
        let known = |file: &RecordedFile| kinds.contains(&file.kind.as_str());
        if body.files.is_empty() || !body.files.iter().all(known) {
            return Err(Damage::Form);
        }
        Ok(Self {
            name: *name,
            generation: body.generation,
            files: body.files,
            content: body.content,
        })
    }
}

/// A BLAKE3 hash, as text in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Checksum(blake3::Hash);

impl Checksum {
    fn of(bytes: &[u8]) -> Self {
        Self(blake3::hash(bytes))
    }
}

impl Serialize for Checksum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_hex())
    }
}

impl<'de> Deserialize<'de> for Checksum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        blake3::Hash::from_hex(text)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}
