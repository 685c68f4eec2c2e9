//! The ledger of memory: every large buffer is reserved before it is allocated.
//!
//! One ledger guards one pool of memory (the host's, or one device's) under a budget that can be set at
//! any time. A reservation gives its bytes back when it is dropped, so that after any outcome of a job,
//! a panic included, the ledger is empty again. The ledger never allocates anything itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Device;

/// A reservation was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not enough memory for {what}: {required_bytes} bytes required, {free_bytes} of {budget_bytes} bytes free"
)]
pub struct OutOfMemory {
    /// Whose memory.
    pub device: Device,
    /// What the memory was for.
    pub what: &'static str,
    /// The bytes asked for.
    pub required_bytes: u64,
    /// The bytes left under the budget.
    pub free_bytes: u64,
    /// The budget.
    pub budget_bytes: u64,
}

#[derive(Debug)]
struct Account {
    device: Device,
    budget_bytes: u64,
    used_bytes: u64,
    peak_bytes: u64,
    reservations: u64,
    refuse_at: Option<u64>,
    by_purpose: BTreeMap<&'static str, u64>,
}

/// A shared account of memory in use under a budget. Clones share the account.
#[derive(Debug, Clone)]
pub struct Ledger(Arc<Mutex<Account>>);

impl Ledger {
    /// A ledger of the host's memory that refuses what would pass `budget_bytes` in all.
    pub fn with_budget(budget_bytes: u64) -> Self {
        Self::of_device(Device::Cpu, budget_bytes)
    }

    /// A ledger of a device's memory.
    pub fn of_device(device: Device, budget_bytes: u64) -> Self {
        Self(Arc::new(Mutex::new(Account {
            device,
            budget_bytes,
            used_bytes: 0,
            peak_bytes: 0,
            reservations: 0,
            refuse_at: None,
            by_purpose: BTreeMap::new(),
        })))
    }

    /// A ledger that counts and never refuses.
    pub fn unlimited() -> Self {
        Self::with_budget(u64::MAX)
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        // The account is consistent between any two statements, so a poisoned lock is safe to enter.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reserves `bytes` for `what` until the reservation is dropped.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] when the budget would be passed, or when a test asked for a refusal.
    pub fn reserve(&self, bytes: u64, what: &'static str) -> Result<Reservation, OutOfMemory> {
        let mut account = self.account();
        let number = account.reservations;
        account.reservations += 1;
        let free_bytes = account.budget_bytes.saturating_sub(account.used_bytes);
        if bytes > free_bytes || account.refuse_at == Some(number) {
            return Err(OutOfMemory {
                device: account.device,
                what,
                required_bytes: bytes,
                free_bytes,
                budget_bytes: account.budget_bytes,
            });
        }
        account.used_bytes += bytes;
        account.peak_bytes = account.peak_bytes.max(account.used_bytes);
        *account.by_purpose.entry(what).or_default() += bytes;
        drop(account);
        Ok(Reservation {
            ledger: self.clone(),
            bytes,
            what,
        })
    }

    /// Sets a new budget. What is already reserved stays reserved.
    pub fn set_budget(&self, budget_bytes: u64) {
        self.account().budget_bytes = budget_bytes;
    }

    /// The budget in bytes.
    pub fn budget_bytes(&self) -> u64 {
        self.account().budget_bytes
    }

    /// The bytes left under the budget.
    pub fn free_bytes(&self) -> u64 {
        let account = self.account();
        account.budget_bytes.saturating_sub(account.used_bytes)
    }

    /// The bytes reserved now.
    pub fn used_bytes(&self) -> u64 {
        self.account().used_bytes
    }

    /// Has the peak count from what is reserved now.
    pub fn reset_peak(&self) {
        let mut account = self.account();
        account.peak_bytes = account.used_bytes;
    }

    /// The most bytes that were reserved at once since the start or the last reset.
    pub fn peak_bytes(&self) -> u64 {
        self.account().peak_bytes
    }

    /// How many reservations were asked for so far.
    pub fn reservations(&self) -> u64 {
        self.account().reservations
    }

    /// What is reserved now, by purpose.
    pub fn by_purpose(&self) -> BTreeMap<&'static str, u64> {
        self.account().by_purpose.clone()
    }

    /// Makes the reservation with this number (counted from 0 over the ledger's life) fail, so that a
    /// test can make every allocation of a job fail in turn.
    pub fn refuse_reservation(&self, number: u64) {
        self.account().refuse_at = Some(number);
    }
}

/// Bytes held in a [`Ledger`]; dropping it gives them back.
#[derive(Debug)]
pub struct Reservation {
    ledger: Ledger,
    bytes: u64,
    what: &'static str,
}

impl Reservation {
    /// The bytes held.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut account = self.ledger.account();
        account.used_bytes -= self.bytes;
        if let Some(held) = account.by_purpose.get_mut(self.what) {
            *held -= self.bytes;
            if *held == 0 {
                account.by_purpose.remove(self.what);
            }
        }
    }
}
