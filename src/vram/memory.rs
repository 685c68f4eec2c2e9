//! What there is to plan with: the host's memory and each device's, ours and others' use taken off.

use serde::Serialize;

use super::cost::{DeviceKind, Need};
use crate::compute::{Device, Ledger};

/// A pool that memory is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pool {
    /// The host's memory.
    Host,
    /// The memory of the device that was chosen.
    Device,
}

/// An account of our own use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Account {
    /// What may be reserved in all, in bytes; `u64::MAX` for no limit, which is serialised as nothing.
    #[serde(serialize_with = "limit")]
    pub budget_bytes: u64,
    /// What is reserved now, in bytes.
    pub used_bytes: u64,
}

fn limit<S: serde::Serializer>(bytes: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    Some(*bytes)
        .filter(|&bytes| bytes != u64::MAX)
        .serialize(serializer)
}

impl Account {
    /// An account that limits nothing.
    pub const UNLIMITED: Self = Self {
        budget_bytes: u64::MAX,
        used_bytes: 0,
    };

    /// What may still be reserved. An account without a limit stays without one.
    pub fn remaining_bytes(&self) -> u64 {
        match self.budget_bytes {
            u64::MAX => u64::MAX,
            budget_bytes => budget_bytes.saturating_sub(self.used_bytes),
        }
    }
}

impl From<&Ledger> for Account {
    fn from(ledger: &Ledger) -> Self {
        Self {
            budget_bytes: ledger.budget_bytes(),
            used_bytes: ledger.used_bytes(),
        }
    }
}

/// The host's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct HostShare {
    /// What is installed, in bytes, where the system tells.
    pub total_bytes: Option<u64>,
    /// What the system has to give, in bytes, where it tells.
    pub available_bytes: Option<u64>,
    /// Our own account.
    pub account: Account,
}

impl HostShare {
    /// What a plan may take: the smaller of the account's rest and what the system has.
    pub fn free_bytes(&self) -> u64 {
        let available = self.available_bytes.unwrap_or(u64::MAX);
        self.account.remaining_bytes().min(available)
    }
}

/// The memory of one CUDA device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceShare {
    /// Its place in CUDA's order.
    pub ordinal: u32,
    /// The maker's name.
    pub name: String,
    /// Its compute capability, major and minor.
    pub compute_capability: (u32, u32),
    /// What is installed, in bytes.
    pub total_bytes: u64,
    /// What the management library calls free, in bytes, where it tells.
    pub free_bytes: Option<u64>,
    /// What CUDA itself calls free, in bytes, where a context exists.
    pub cuda_free_bytes: Option<u64>,
    /// Kept back for the viewport and the desktop, in bytes.
    pub reserve_bytes: u64,
    /// Our own account.
    pub account: Account,
}

impl DeviceShare {
    /// The device as computations name it.
    pub fn device(&self) -> Device {
        Device::Cuda(self.ordinal)
    }

    /// What matters of it to a source.
    pub fn kind(&self) -> DeviceKind {
        DeviceKind::Cuda {
            compute_capability: self.compute_capability,
        }
    }

    /// What a plan may take: the smaller of what the management library and CUDA call free, less the
    /// reserve, and no more than our account has left. Where neither of them tells, what is installed
    /// less our own use: others' use then shows as memory that runs out, and the plan steps down.
    pub fn free_bytes(&self) -> u64 {
        let free = match (self.free_bytes, self.cuda_free_bytes) {
            (Some(a), Some(b)) => a.min(b),
            (Some(free), None) | (None, Some(free)) => free,
            (None, None) => self.total_bytes.saturating_sub(self.account.used_bytes),
        };
        free.saturating_sub(self.reserve_bytes)
            .min(self.account.remaining_bytes())
    }
}

/// What there is to plan with, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// The host's.
    pub host: HostShare,
    /// The devices that may be chosen.
    pub devices: Vec<DeviceShare>,
    /// Why there are no devices, in words; `None` where there are.
    pub no_device: Option<String>,
}

/// What a choice lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lack {
    pub(super) pool: Pool,
    pub(super) required_bytes: u64,
    pub(super) free_bytes: u64,
}

impl Lack {
    pub(super) fn missing_bytes(&self) -> u64 {
        self.required_bytes.saturating_sub(self.free_bytes)
    }
}

impl Memory {
    /// The device's memory; `None` for the processor and for a device that is not there.
    pub fn of(&self, device: Device) -> Option<&DeviceShare> {
        self.devices.iter().find(|share| share.device() == device)
    }

    /// What a need lacks on a device; `None` where it fits.
    pub(super) fn lack(&self, device: Device, need: &Need) -> Option<Lack> {
        let lack = |pool, required_bytes, free_bytes| {
            (required_bytes > free_bytes).then_some(Lack {
                pool,
                required_bytes,
                free_bytes,
            })
        };
        let on_device = match device {
            Device::Cpu => None,
            Device::Cuda(_) => {
                let free_bytes = self.of(device).map_or(0, DeviceShare::free_bytes);
                lack(Pool::Device, need.device_bytes, free_bytes)
            }
        };
        on_device.or_else(|| lack(Pool::Host, need.host_bytes, self.host.free_bytes()))
    }
}
