//! What a driver tells of its devices, and the contract of whoever asks it.

use serde::Serialize;

/// Which part of a device a reading is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Partition {
    /// All of it.
    #[default]
    Whole,
    /// One instance of a device that was divided (MIG).
    Instance,
    /// A device that is set to be divided (MIG) and has no instances, so that nothing can run on it.
    Undivided,
}

/// A process that holds memory of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProcessReading {
    /// Its number.
    pub pid: u32,
    /// Its name, where the system tells.
    pub name: Option<String>,
    /// What it holds, in bytes; not told on Windows.
    pub used_bytes: Option<u64>,
    /// Whether it is this process.
    pub is_ours: bool,
}

/// One device at one moment. A driver may refuse any of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct DeviceReading {
    /// Its place in the driver's order, parts counted one by one. CUDA's own order may differ.
    pub index: u32,
    /// The maker's name.
    pub name: Option<String>,
    /// Its identifier, as in `GPU-…` or `MIG-…`.
    pub uuid: Option<String>,
    /// Which part of a device it is.
    pub partition: Partition,
    /// Its memory in bytes.
    pub total_bytes: Option<u64>,
    /// What all processes and the driver hold, in bytes.
    pub used_bytes: Option<u64>,
    /// What is free, in bytes.
    pub free_bytes: Option<u64>,
    /// Its temperature in °C.
    pub temperature_celsius: Option<u32>,
    /// The share of time that it computed of late, in percent.
    pub load_percent: Option<u32>,
    /// What it draws, in watts.
    pub power_watts: Option<f64>,
    /// Its compute capability, major and minor.
    pub compute_capability: Option<(u32, u32)>,
    /// Who holds its memory; `None` where the platform does not tell.
    pub processes: Option<Vec<ProcessReading>>,
    /// Why little or nothing of it can be read.
    pub problem: Option<String>,
}

impl DeviceReading {
    /// Its name, or what else to call it.
    pub fn title(&self) -> String {
        match &self.name {
            Some(name) => name.clone(),
            None => format!("GPU {}", self.index),
        }
    }

    /// The share of its memory that is not free, in percent.
    pub fn used_percent(&self) -> Option<f64> {
        let total = self.total_bytes.filter(|&total| total > 0)?;
        let used = match (self.free_bytes, self.used_bytes) {
            (Some(free), _) => total.saturating_sub(free),
            (None, used) => used?,
        };
        Some((100.0 * used as f64 / total as f64).min(100.0))
    }

    /// Whether it is the device with this identifier, written with or without prefix.
    pub fn has_uuid(&self, uuid: &str) -> bool {
        let bare = |uuid: &str| {
            uuid.trim_start_matches("GPU-")
                .trim_start_matches("MIG-")
                .to_ascii_lowercase()
        };
        self.uuid
            .as_deref()
            .is_some_and(|own| bare(own) == bare(uuid))
    }
}

/// A driver could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SensorError {
    /// There is none, or it is not loaded.
    #[error("no NVIDIA driver runs here: {reason}")]
    NoDriver {
        /// What was missing.
        reason: String,
    },
    /// It is there, and failed.
    #[error("the NVIDIA driver failed: {reason}")]
    Failed {
        /// What it said.
        reason: String,
    },
}

/// Asks a driver for its devices. The monitor calls it on a thread of its own, so that it may take its
/// time, never return, or panic.
pub trait Sensor: Send {
    /// Reads every device; an empty list where the driver has none. After an error or a panic the next
    /// call starts from the beginning.
    ///
    /// # Errors
    ///
    /// [`SensorError`] when nothing can be read.
    fn read(&mut self) -> Result<Vec<DeviceReading>, SensorError>;

    /// The driver's version, after a successful reading.
    fn driver_version(&self) -> Option<String>;
}
