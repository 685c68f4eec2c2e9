//! What stays in memory between jobs because the next may use it, and how long.

use std::time::{Duration, Instant};

/// How long something unused stays.
pub const IDLE_LIMIT: Duration = Duration::from_secs(5 * 60);

#[derive(Debug)]
struct Resident<K, V> {
    key: K,
    value: V,
    bytes: u64,
    last_used: Instant,
}

/// Values kept between jobs, such as weights or a cut-out subject. Its owner tells it the time; it has
/// no thread and no clock. A value that holds reservations gives them back when it is freed.
#[derive(Debug)]
pub struct Residents<K, V> {
    residents: Vec<Resident<K, V>>,
    idle_limit: Duration,
}

impl<K, V> Default for Residents<K, V> {
    fn default() -> Self {
        Self::new(IDLE_LIMIT)
    }
}

impl<K, V> Residents<K, V> {
    /// Nothing kept yet; what was unused for `idle_limit` goes.
    pub fn new(idle_limit: Duration) -> Self {
        Self {
            residents: Vec::new(),
            idle_limit,
        }
    }

    /// Keeps a value of so many bytes, used just now, in place of one with the same key.
    pub fn keep(&mut self, key: K, value: V, bytes: u64, now: Instant)
    where
        K: PartialEq,
    {
        self.residents.retain(|resident| resident.key != key);
        self.residents.push(Resident {
            key,
            value,
            bytes,
            last_used: now,
        });
    }

    /// Takes a value out for a job, which keeps it again when it is done. While it is out it is in use,
    /// and nothing here can free it.
    pub fn take(&mut self, key: &K) -> Option<V>
    where
        K: PartialEq,
    {
        let place = self
            .residents
            .iter()
            .position(|resident| resident.key == *key)?;
        Some(self.residents.swap_remove(place).value)
    }

    /// The bytes of all that is kept.
    pub fn bytes(&self) -> u64 {
        self.residents.iter().map(|resident| resident.bytes).sum()
    }

    /// When [`free_idle`](Self::free_idle) next has something to free; `None` while nothing is kept.
    pub fn next_expiry(&self) -> Option<Instant> {
        let oldest = self
            .residents
            .iter()
            .map(|resident| resident.last_used)
            .min()?;
        oldest.checked_add(self.idle_limit)
    }

    /// Frees what was unused for too long, and tells its bytes.
    pub fn free_idle(&mut self, now: Instant) -> u64 {
        let before = self.bytes();
        let idle_limit = self.idle_limit;
        self.residents
            .retain(|resident| now.saturating_duration_since(resident.last_used) < idle_limit);
        before - self.bytes()
    }

    /// Frees everything, and tells its bytes.
    pub fn clear(&mut self) -> u64 {
        let bytes = self.bytes();
        self.residents.clear();
        bytes
    }
}
