//! Which GPU is watched, and in what state the driver is.

use std::fmt;

use super::sensor::{DeviceReading, Partition, SensorError};

/// Which device to watch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The GPU with the most free memory when it is first seen; it stays the one until it goes away.
    #[default]
    Auto,
    /// None: the host's memory alone.
    Cpu,
    /// The GPU at this place in the driver's order.
    Index(u32),
    /// The first GPU whose name contains this, whatever the case, or whose identifier is this.
    Name(String),
}

impl From<&str> for DeviceChoice {
    /// `auto` or nothing, `cpu`, a place in the driver's order, or else a name.
    fn from(text: &str) -> Self {
        match text.trim() {
            "" | "auto" => Self::Auto,
            "cpu" => Self::Cpu,
            text => text
                .parse()
                .map_or_else(|_no_number| Self::Name(text.to_owned()), Self::Index),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("the GPU with the most free memory"),
            Self::Cpu => f.write_str("the processor"),
            Self::Index(index) => write!(f, "GPU {index}"),
            Self::Name(name) => write!(f, "a GPU named {name:?}"),
        }
    }
}

/// What is known of the driver and its devices. Each of these is a normal state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GpuState {
    /// The driver was asked and has not answered yet.
    Waiting,
    /// It could not be asked.
    Unavailable(SensorError),
    /// The sensor panicked.
    Panicked {
        /// What the panic said.
        message: String,
    },
    /// The driver does not answer any more.
    Silent,
    /// There is a driver and no device.
    NoDevice {
        /// The driver's version, where it tells.
        driver: Option<String>,
    },
    /// There are devices.
    Present {
        /// The driver's version, where it tells.
        driver: Option<String>,
        /// Every device's name, and its problem in brackets.
        devices: Vec<String>,
        /// The name of the one that is watched.
        watched: Option<String>,
        /// Why none is watched.
        unwatched: Option<String>,
    },
}

impl GpuState {
    /// Why no GPU is watched, in a few words; `None` where one is.
    pub fn absence(&self) -> Option<&'static str> {
        match self {
            Self::Present {
                watched: Some(_), ..
            } => None,
            Self::Present { watched: None, .. } => Some("no GPU watched"),
            Self::NoDevice { .. } | Self::Unavailable(SensorError::NoDriver { .. }) => {
                Some("no GPU")
            }
            Self::Waiting | Self::Unavailable(_) | Self::Panicked { .. } | Self::Silent => {
                Some("the GPU cannot be read")
            }
        }
    }

    /// Whether it is known that there is none.
    pub(super) fn is_without_gpu(&self) -> bool {
        matches!(
            self,
            Self::NoDevice { .. } | Self::Unavailable(SensorError::NoDriver { .. })
        )
    }
}

impl fmt::Display for GpuState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let driver_words = |driver: &Option<String>| match driver {
            Some(version) => format!("NVIDIA driver {version}"),
            None => "an NVIDIA driver of unknown version".into(),
        };
        match self {
            Self::Waiting => f.write_str("the NVIDIA driver has not answered yet"),
            Self::Unavailable(error) => error.fmt(f),
            Self::Panicked { message } => write!(f, "reading the GPU failed: {message}"),
            Self::Silent => f.write_str("the NVIDIA driver does not answer"),
            Self::NoDevice { driver } => {
                write!(f, "{} has no GPU", driver_words(driver))
            }
            Self::Present {
                driver,
                devices,
                watched,
                unwatched,
            } => {
                write!(f, "{}: {}", driver_words(driver), devices.join(", "))?;
                match (watched, unwatched) {
                    (Some(watched), _) if devices.len() > 1 => write!(f, "; watching {watched}"),
                    (Some(_), _) => Ok(()),
                    (None, Some(reason)) => write!(f, "; watching none: {reason}"),
                    (None, None) => f.write_str("; watching none"),
                }
            }
        }
    }
}

/// The state after a successful reading.
pub(super) fn state_of(
    readings: &[DeviceReading],
    driver: Option<String>,
    choice: &DeviceChoice,
    selected: Option<usize>,
) -> GpuState {
    if readings.is_empty() {
        return GpuState::NoDevice { driver };
    }
    let watched = selected.map(|place| readings[place].title());
    let unwatched = match (&watched, choice) {
        (Some(_), _) => None,
        (None, DeviceChoice::Cpu) => Some("the processor was chosen".into()),
        (None, DeviceChoice::Auto) => Some("none can be used".into()),
        (None, choice) => Some(format!("{choice} was asked for")),
    };
    GpuState::Present {
        driver,
        devices: readings.iter().map(describe).collect(),
        watched,
        unwatched,
    }
}

fn describe(reading: &DeviceReading) -> String {
    match &reading.problem {
        Some(problem) => format!("{} ({problem})", reading.title()),
        None => reading.title(),
    }
}

/// What tells a device from the others in the next reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    uuid: Option<String>,
    index: u32,
}

impl Identity {
    pub(super) fn of(reading: &DeviceReading) -> Self {
        Self {
            uuid: reading.uuid.clone(),
            index: reading.index,
        }
    }

    fn is(&self, reading: &DeviceReading) -> bool {
        match (&self.uuid, &reading.uuid) {
            (Some(own), Some(other)) => own == other,
            _ => self.index == reading.index,
        }
    }
}

/// The place of the device to watch.
pub(super) fn select(
    readings: &[DeviceReading],
    choice: &DeviceChoice,
    current: Option<&Identity>,
) -> Option<usize> {
    let usable = |reading: &DeviceReading| reading.partition != Partition::Undivided;
    match choice {
        DeviceChoice::Cpu => None,
        DeviceChoice::Index(index) => readings.iter().position(|reading| reading.index == *index),
        DeviceChoice::Name(name) => {
            let wanted = name.to_lowercase();
            let is_named = |reading: &DeviceReading| {
                let own = reading.name.as_deref().unwrap_or_default().to_lowercase();
                !wanted.is_empty() && own.contains(&wanted) || reading.has_uuid(name)
            };
            readings.iter().position(is_named)
        }
        DeviceChoice::Auto => {
            let same = current.and_then(|identity| {
                readings
                    .iter()
                    .position(|reading| usable(reading) && identity.is(reading))
            });
            same.or_else(|| {
                // Of equals the first: `max_by_key` takes the last.
                (0..readings.len())
                    .rev()
                    .filter(|&place| usable(&readings[place]))
                    .max_by_key(|&place| readings[place].free_bytes)
            })
        }
    }
}
