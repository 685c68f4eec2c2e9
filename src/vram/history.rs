//! Samples of memory over time, the marks of stages between them, and what they amount to. Bounded.

use std::borrow::Cow;
use std::collections::VecDeque;

use serde::Serialize;
use utoipa::ToSchema;

use super::sensor::DeviceReading;
use crate::compute::HostMemory;

/// The watched device's part of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct DeviceSample {
    /// The device's place in the driver's order.
    pub index: u32,
    /// Its memory in bytes.
    pub total_bytes: Option<u64>,
    /// What all processes and the driver hold, in bytes.
    pub used_bytes: Option<u64>,
    /// What is free, in bytes.
    pub free_bytes: Option<u64>,
    /// The share of its memory that is not free, in percent.
    pub used_percent: Option<f64>,
    /// What our own account of it holds, in bytes.
    pub reserved_bytes: u64,
    /// Its temperature in °C.
    pub temperature_celsius: Option<u32>,
    /// The share of time that it computed of late, in percent.
    pub load_percent: Option<u32>,
    /// What it draws, in watts.
    pub power_watts: Option<f64>,
}

impl DeviceSample {
    pub(super) fn of(reading: &DeviceReading, reserved_bytes: u64) -> Self {
        Self {
            index: reading.index,
            total_bytes: reading.total_bytes,
            used_bytes: reading.used_bytes,
            free_bytes: reading.free_bytes,
            used_percent: reading.used_percent(),
            reserved_bytes,
            temperature_celsius: reading.temperature_celsius,
            load_percent: reading.load_percent,
            power_watts: reading.power_watts,
        }
    }
}

/// Memory at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Sample {
    /// Counted from 1 over the manager's life; 0 for none taken yet.
    pub number: u64,
    /// Seconds since the manager started.
    pub seconds: f64,
    /// The host's memory.
    pub host: HostMemory,
    /// What our own account of host memory holds, in bytes.
    pub host_reserved_bytes: u64,
    /// The watched GPU; `None` where there is none or it cannot be read.
    pub gpu: Option<DeviceSample>,
    /// Whether a generation ran.
    pub generating: bool,
}

impl Sample {
    /// What was watched.
    pub fn watched(&self) -> Watched {
        match self.gpu {
            Some(_) => Watched::Gpu,
            None => Watched::Host,
        }
    }

    /// The used share of a pool, in percent; `None` where it was not told.
    pub fn used_percent(&self, watched: Watched) -> Option<f64> {
        match watched {
            Watched::Gpu => self.gpu?.used_percent,
            Watched::Host => self.host.used_percent(),
        }
    }
}

/// The pool of memory whose use is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Watched {
    /// The chosen GPU's.
    Gpu,
    /// The host's, where there is no GPU or it cannot be read.
    Host,
}

/// A moment with a name, such as the beginning of a stage.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mark {
    /// Seconds since the manager started.
    pub seconds: f64,
    /// What began.
    pub label: Cow<'static, str>,
}

/// Used memory over the manager's life, in percent; `None` where nothing was sampled.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, ToSchema)]
pub struct Summary {
    /// The mean while no generation ran.
    pub idle_percent: Option<f64>,
    /// The mean while one ran.
    pub during_generation_percent: Option<f64>,
    /// The most at any moment.
    pub peak_percent: Option<f64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: f64,
    count: u64,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    fn value(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

/// The sums behind a [`Summary`].
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    idle: Mean,
    generating: Mean,
    peak: Option<f64>,
}

impl Sums {
    fn add(&mut self, percent: f64, generating: bool) {
        if generating {
            self.generating.add(percent);
        } else {
            self.idle.add(percent);
        }
        self.peak = Some(self.peak.map_or(percent, |peak| peak.max(percent)));
    }

    fn summary(&self) -> Summary {
        Summary {
            idle_percent: self.idle.value(),
            during_generation_percent: self.generating.value(),
            peak_percent: self.peak,
        }
    }
}

/// The newest samples and marks, and the sums of all there were.
#[derive(Debug)]
pub(super) struct History {
    limit: usize,
    samples: VecDeque<Sample>,
    marks: VecDeque<Mark>,
    host: Sums,
    gpu: Sums,
}

impl History {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            samples: VecDeque::new(),
            marks: VecDeque::new(),
            host: Sums::default(),
            gpu: Sums::default(),
        }
    }

    pub(super) fn add(&mut self, sample: Sample) {
        if let Some(percent) = sample.used_percent(Watched::Host) {
            self.host.add(percent, sample.generating);
        }
        if let Some(percent) = sample.used_percent(Watched::Gpu) {
            self.gpu.add(percent, sample.generating);
        }
        push_bounded(&mut self.samples, sample, self.limit);
    }

    pub(super) fn mark(&mut self, mark: Mark) {
        push_bounded(&mut self.marks, mark, self.limit);
    }

    /// Another GPU is watched from now on: what was summed up is of no use for it.
    pub(super) fn forget_gpu(&mut self) {
        self.gpu = Sums::default();
    }

    pub(super) fn newest(&self) -> Sample {
        self.samples.back().copied().unwrap_or_default()
    }

    pub(super) fn samples(&self) -> Vec<Sample> {
        self.samples.iter().copied().collect()
    }

    pub(super) fn marks(&self) -> Vec<Mark> {
        self.marks.iter().cloned().collect()
    }

    pub(super) fn summary(&self, watched: Watched) -> Summary {
        match watched {
            Watched::Gpu => self.gpu.summary(),
            Watched::Host => self.host.summary(),
        }
    }
}

fn push_bounded<T>(queue: &mut VecDeque<T>, item: T, limit: usize) {
    if queue.len() >= limit {
        queue.pop_front();
    }
    queue.push_back(item);
}
