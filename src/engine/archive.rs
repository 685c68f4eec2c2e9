//! The latents of shapes that were refined from noise before: known from this job or the last one, or kept
//! in the store. A shape whose latents are known is meshed without being made again.

use std::sync::Arc;

use super::identity::{self, Computed};
use super::job::Request;
use crate::compute::{Ledger, OutOfMemory, Reservation};
use crate::store::{Key, Latents, Store};

/// The most that are known at a time: those of one job.
const MOST: usize = 8;

/// Latents in memory, and how they were come by.
#[derive(Debug, Clone)]
pub(super) struct Drawn {
    /// What they were made from.
    key: Key,
    latents: Arc<Held>,
    /// The steps after which they were kept as they were predicted, before they were done.
    pub(super) kept_after: Option<u32>,
    is_stored: bool,
}

#[derive(Debug)]
struct Held {
    latents: Latents,
    _memory: Reservation,
}

impl Drawn {
    /// Latents that were just made.
    pub(super) fn new(
        key: Key,
        latents: Latents,
        kept_after: Option<u32>,
        ledger: &Ledger,
    ) -> Result<Self, OutOfMemory> {
        let size_bytes = (latents.numbers.len() * size_of::<f32>()) as u64;
        let memory = ledger.reserve(size_bytes, "the latents")?;
        Ok(Self {
            key,
            latents: Arc::new(Held {
                latents,
                _memory: memory,
            }),
            kept_after,
            is_stored: false,
        })
    }

    /// All their numbers, one row after another.
    pub(super) fn numbers(&self) -> &[f32] {
        &self.latents.latents.numbers
    }

    /// Whether the store is to keep them: a prediction is not what its seed makes.
    pub(super) fn is_to_be_stored(&self) -> bool {
        self.kept_after.is_none() && !self.is_stored
    }

    /// Keeps them where the result is kept.
    pub(super) fn store(&self, store: &Store) {
        if let Err(error) = store.cache().put_latents(&self.key, &self.latents.latents) {
            tracing::warn!("the latents of a shape are not kept on disk: {error}");
        }
    }
}

/// The latents that are known, the newest last.
#[derive(Debug, Default)]
pub(super) struct Known(Vec<Drawn>);

impl Known {
    pub(super) fn add(&mut self, drawn: Drawn) {
        self.0.retain(|other| other.key != drawn.key);
        self.0.push(drawn);
    }

    /// Those that were made of this.
    pub(super) fn get(&self, key: &Key) -> Option<&Drawn> {
        self.0.iter().find(|drawn| drawn.key == *key)
    }

    /// What another job of the same subject can use, as far as that is kept.
    pub(super) fn for_next_job(mut self) -> Self {
        self.0.retain(|drawn| drawn.kept_after.is_none());
        self.0.drain(..self.0.len().saturating_sub(MOST));
        self
    }
}

/// Where latents are found.
#[derive(Clone, Copy)]
pub(super) struct Archive<'a> {
    pub(super) store: Option<&'a Store>,
    pub(super) build: &'a str,
}

impl Archive<'_> {
    /// Names the latents of one of a request's shapes, counted from 0.
    pub(super) fn key(&self, request: &Request, place: usize, computed: Computed) -> Key {
        identity::key_of_latents(request, place, computed, self.build)
    }

    /// The latents of this name and size that the store has, where the request may take any from there.
    pub(super) fn read(
        &self,
        request: &Request,
        key: Key,
        [rows, columns]: [usize; 2],
        ledger: &Ledger,
    ) -> Result<Option<Drawn>, OutOfMemory> {
        // Without weights the name does not tell whose latents they are.
        let store = self
            .store
            .filter(|_| request.cache && request.settings.weights.is_some());
        let Some(latents) = store.and_then(|store| store.cache().latents(&key, rows, columns))
        else {
            return Ok(None);
        };
        let drawn = Drawn::new(key, latents, None, ledger)?;
        Ok(Some(Drawn {
            is_stored: true,
            ..drawn
        }))
    }
}
