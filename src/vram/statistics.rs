//! The figures of memory for users and clients.

use std::fmt;

use serde::Serialize;
use utoipa::ToSchema;

use super::history::{Sample, Summary, Watched};
use super::words;
use crate::compute::Precision;

/// The host's part of the statistics, in bytes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, ToSchema)]
pub struct HostStatistics {
    /// What is installed, or what this process's container may use of it.
    pub total_bytes: Option<u64>,
    /// What can be had without swapping.
    pub available_bytes: Option<u64>,
    /// The share that is not available, in percent.
    pub usage_percent: Option<f64>,
    /// What jobs may reserve in all; `None` for no limit.
    pub budget_bytes: Option<u64>,
    /// What we have reserved, idle or in use.
    pub reserved_bytes: u64,
    /// What of it is in use.
    pub allocated_bytes: u64,
    /// What this process holds of physical memory.
    pub process_bytes: Option<u64>,
    /// The most that it ever held.
    pub process_peak_bytes: Option<u64>,
}

/// What there is, what of it is ours, and what it means. GB are 10⁹ bytes.
///
/// `total`, `available` and `usage_percent` are the whole GPU's, every process's use included; `reserved`
/// and `allocated` are this process's own, by its own accounts. Without a GPU the amounts are 0 and
/// `usage_percent` is `None`. What a driver does not tell is `None`.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Statistics {
    /// Whether there is a GPU that is watched.
    pub gpu_present: bool,
    /// The state of driver and devices, in words.
    pub state: String,
    /// The GPU's memory in GB.
    pub total_vram_gb: Option<f64>,
    /// What we use of it now, in GB.
    pub allocated_gb: f64,
    /// What we have reserved of it, what is idle between jobs included, in GB.
    pub reserved_gb: f64,
    /// What is free of it, in GB.
    pub available_gb: Option<f64>,
    /// The share of it that is not free, in percent.
    pub usage_percent: Option<f64>,
    /// The GPU's memory in bytes.
    pub total_vram_bytes: Option<u64>,
    /// What we use of it now, in bytes.
    pub allocated_bytes: u64,
    /// What we have reserved of it, in bytes.
    pub reserved_bytes: u64,
    /// What is free of it, in bytes.
    pub available_bytes: Option<u64>,
    /// The precision of the last plan, else the one that is recommended.
    #[schema(value_type = String)]
    pub precision_mode: Precision,
    /// Whether that is a 16-bit format with 32-bit accumulation.
    pub mixed_precision_enabled: bool,
    /// Whether that has 8-bit weights.
    pub quantization_enabled: bool,
    /// Always false: nothing is trained.
    pub gradient_checkpointing: bool,
    /// The GPU's name.
    pub device_name: Option<String>,
    /// The driver's version.
    pub driver_version: Option<String>,
    /// The GPU's temperature in °C.
    pub temperature_celsius: Option<u32>,
    /// The share of time that it computed of late, in percent.
    pub load_percent: Option<u32>,
    /// What it draws, in watts.
    pub power_watts: Option<f64>,
    /// The host's memory.
    pub host: HostStatistics,
    /// What `history` is of: the GPU's memory, or the host's where there is no GPU.
    pub history_of: Watched,
    /// Used memory since the start.
    pub history: Summary,
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.gpu_present {
            write!(
                f,
                "{}: {} of {} used, {} available, {} reserved by us; ",
                self.device_name.as_deref().unwrap_or("GPU"),
                words::percent(self.usage_percent),
                amount(self.total_vram_bytes),
                amount(self.available_bytes),
                words::bytes(self.reserved_bytes)
            )?;
        } else {
            write!(f, "{}; ", self.state)?;
        }
        write!(
            f,
            "host memory: {} of {} used, {} available, {} reserved by us; precision {}",
            words::percent(self.host.usage_percent),
            amount(self.host.total_bytes),
            amount(self.host.available_bytes),
            words::bytes(self.host.reserved_bytes),
            self.precision_mode
        )
    }
}

fn amount(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "an unknown amount".into(), words::bytes)
}

/// A sample as one line of the log.
pub(super) fn line(sample: &Sample) -> String {
    let mut line = String::new();
    if let Some(gpu) = &sample.gpu {
        line.push_str(&format!(
            "GPU: {} of {} used, {} ours",
            words::percent(gpu.used_percent),
            amount(gpu.total_bytes),
            words::bytes(gpu.reserved_bytes)
        ));
        if let Some(load) = gpu.load_percent {
            line.push_str(&format!(", load {load}%"));
        }
        if let Some(temperature) = gpu.temperature_celsius {
            line.push_str(&format!(", {temperature} °C"));
        }
        if let Some(power) = gpu.power_watts {
            line.push_str(&format!(", {power:.0} W"));
        }
        line.push_str("; ");
    }
    line.push_str(&format!(
        "host memory: {} of {} used, {} reserved, process {}",
        words::percent(sample.host.used_percent()),
        amount(sample.host.total_bytes),
        words::bytes(sample.host_reserved_bytes),
        amount(sample.host.resident_bytes)
    ));
    line
}
