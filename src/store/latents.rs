//! The latents of finished shapes, so that a shape can be meshed again without being made again: the numbers
//! as they are, little-endian, 32 bits each.
//!
//! They lie in the cache beside the results, within the same limit, and are checked by the same sums. What is
//! damaged, or not what was asked for, is told in the log and is as good as not there.

use serde::{Deserialize, Serialize};

use super::cache::Cache;
use super::shelf::Unread;
use super::{Key, StoreError};

/// What such a file's name ends with.
pub(super) const LATENTS: &str = "latents";

/// A table of numbers, one row after another.
#[derive(Debug, Clone, PartialEq)]
pub struct Latents {
    /// Latent vectors.
    pub rows: usize,
    /// The numbers of each.
    pub columns: usize,
    /// All of them, one row after another.
    pub numbers: Vec<f32>,
}

/// What is said about a table beside its numbers.
#[derive(Serialize, Deserialize)]
struct Content {
    rows: usize,
    columns: usize,
}

impl Cache {
    /// Keeps the latents of a shape, in place of earlier ones with the same key, and makes room for them
    /// afterwards. Waits for other changes of the cache, also of other processes.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the cache is then as it was.
    pub fn put_latents(&self, key: &Key, latents: &Latents) -> Result<(), StoreError> {
        let Latents {
            rows,
            columns,
            numbers,
        } = latents;
        let content = serde_json::json!(Content {
            rows: *rows,
            columns: *columns
        });
        let bytes: Vec<u8> = numbers
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect();
        let mut change = self.shelf().change()?;
        change.put(*key, &content, &[(LATENTS, &bytes)])?;
        Ok(())
    }

    /// The latents of a shape, marked as used now. Those that are not of this size, or no numbers, are none,
    /// with a warning; so are those that are damaged, which are dropped as well.
    pub fn latents(&self, key: &Key, rows: usize, columns: usize) -> Option<Latents> {
        let record = match self.shelf().read(key) {
            Ok(record) => record,
            Err(Unread::Absent) => return None,
            Err(Unread::Damaged(damage)) => {
                tracing::warn!("kept latents are damaged ({damage}); the shape is made again");
                return None;
            }
            Err(Unread::Refused(error)) => {
                tracing::warn!("kept latents could not be read: {error}");
                return None;
            }
        };
        let foreign = |what: &dyn std::fmt::Display| {
            tracing::warn!("kept latents are not used ({what}); the shape is made again");
            None
        };
        match Content::deserialize(&record.content) {
            Ok(kept) if (kept.rows, kept.columns) == (rows, columns) => {}
            Ok(kept) => {
                let (kept_rows, kept_columns) = (kept.rows, kept.columns);
                return foreign(&format_args!(
                    "they are {kept_rows} of {kept_columns} numbers and should be {rows} of {columns}"
                ));
            }
            Err(error) => return foreign(&error),
        }
        let bytes = match self.shelf().file(&record, LATENTS) {
            Ok(bytes) => bytes,
            Err(error) => return foreign(&error),
        };
        let (numbers, rest) = bytes.as_chunks::<4>();
        let numbers: Vec<_> = numbers
            .iter()
            .map(|&four| f32::from_le_bytes(four))
            .collect();
        let all_are_numbers = numbers.iter().all(|number| number.is_finite());
        if !rest.is_empty() || numbers.len() != rows * columns || !all_are_numbers {
            return foreign(&"they are not as many numbers as they say");
        }
        self.shelf().touch(key);
        Some(Latents {
            rows,
            columns,
            numbers,
        })
    }
}
