//! What the manager, its monitor and its sensor thread share: one lock, one condition, no driver call
//! under either.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::history::{DeviceSample, History, Sample, Watched};
use super::select::{DeviceChoice, GpuState, Identity};
use super::sensor::{DeviceReading, SensorError};
use crate::compute::{CudaProbe, HostMemory, Ledger, Precision};

/// What was decided when the manager started.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) host_ledger: Ledger,
    pub(super) sample_interval: Duration,
    pub(super) log_interval: Duration,
    pub(super) answer_limit: Duration,
    pub(super) device: DeviceChoice,
    pub(super) device_reserve_bytes: u64,
}

/// Our own account of one CUDA device.
#[derive(Debug, Clone, Default)]
pub(super) struct DeviceAccount {
    pub(super) ledger: Option<Ledger>,
    pub(super) idle_bytes: u64,
    pub(super) context_free_bytes: Option<u64>,
    /// Why the device is not to be used any more.
    pub(super) unusable: Option<String>,
}

/// What became of a question to the driver.
#[derive(Debug)]
pub(super) enum Answer {
    Read {
        readings: Vec<DeviceReading>,
        driver: Option<String>,
    },
    Refused(SensorError),
    Panicked(String),
}

/// Where the conversation with the sensor thread stands.
#[derive(Debug)]
pub(super) enum Exchange {
    Idle,
    Asked { at: Instant },
    Answered(Answer),
}

/// A generation under way.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) id: u64,
    pub(super) watched: Watched,
    pub(super) peak_percent: Option<f64>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) history: History,
    pub(super) gpu: GpuState,
    pub(super) driver: Option<String>,
    pub(super) readings: Vec<DeviceReading>,
    pub(super) selected: Option<usize>,
    pub(super) identity: Option<Identity>,
    pub(super) cuda: Option<CudaProbe>,
    pub(super) accounts: BTreeMap<u32, DeviceAccount>,
    pub(super) host_idle_bytes: u64,
    pub(super) precision_in_use: Option<Precision>,
    pub(super) generations: Vec<Tracked>,
    pub(super) next_generation: u64,
    /// Whether samples are taken at their interval.
    pub(super) monitoring: bool,
    /// Whether the threads are to end.
    pub(super) ending: bool,
    /// Whether the first state was logged, so that later ones are changes.
    pub(super) announced: bool,
    /// Samples asked for out of turn, counted: asked for, and taken.
    pub(super) asked: u64,
    pub(super) served: u64,
    pub(super) exchange: Exchange,
    pub(super) sensor_lives: bool,
    samples: u64,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) started: Instant,
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    pub(super) fn new(settings: Settings, history_limit: usize) -> Self {
        Self {
            settings,
            started: Instant::now(),
            state: Mutex::new(State {
                history: History::new(history_limit),
                gpu: GpuState::Waiting,
                driver: None,
                readings: Vec::new(),
                selected: None,
                identity: None,
                cuda: None,
                accounts: BTreeMap::new(),
                host_idle_bytes: 0,
                precision_in_use: None,
                generations: Vec::new(),
                next_generation: 0,
                monitoring: false,
                ending: false,
                announced: false,
                asked: 0,
                served: 0,
                exchange: Exchange::Idle,
                sensor_lives: true,
                samples: 0,
            }),
            changed: Condvar::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // No statement under the lock leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and wakes whoever waits for a change.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    /// Waits until `done` holds or the deadline passes; for ever without one.
    pub(super) fn wait_until<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        deadline: Option<Instant>,
        done: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        while !done(&state) {
            state = match deadline {
                None => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    self.changed
                        .wait_timeout(state, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
        }
        state
    }

    /// Takes down a sample of what is known now.
    pub(super) fn record(&self, state: &mut State, host: HostMemory) -> Sample {
        let gpu = state.selected.map(|place| {
            let reserved_bytes = state
                .account_of_selected()
                .and_then(|account| account.ledger.as_ref())
                .map_or(0, Ledger::used_bytes);
            DeviceSample::of(&state.readings[place], reserved_bytes)
        });
        state.samples += 1;
        let sample = Sample {
            number: state.samples,
            seconds: self.started.elapsed().as_secs_f64(),
            host,
            host_reserved_bytes: self.settings.host_ledger.used_bytes(),
            gpu,
            generating: !state.generations.is_empty(),
        };
        for generation in &mut state.generations {
            if let Some(percent) = sample.used_percent(generation.watched) {
                let peak = generation.peak_percent.unwrap_or(percent);
                generation.peak_percent = Some(peak.max(percent));
            }
        }
        state.history.add(sample);
        sample
    }

    /// A sample begun after this call, or the newest where none is taken in time.
    pub(super) fn fresh_sample(&self, limit: Duration) -> Sample {
        let ticket = self.change(|state| {
            state.asked += 1;
            state.asked
        });
        let deadline = Instant::now() + limit;
        let state = self.wait_until(self.lock(), Some(deadline), |state| {
            state.served >= ticket || state.ending
        });
        state.history.newest()
    }
}

impl State {
    pub(super) fn selected_reading(&self) -> Option<&DeviceReading> {
        self.readings.get(self.selected?)
    }

    /// Takes over a new reading and which of it is watched.
    pub(super) fn take_readings(&mut self, readings: Vec<DeviceReading>, selected: Option<usize>) {
        self.readings = readings;
        self.selected = selected;
        let Some(identity) = self.selected_reading().map(Identity::of) else {
            // Kept: a device that went away may come back.
            return;
        };
        if self
            .identity
            .as_ref()
            .is_some_and(|known| *known != identity)
        {
            self.history.forget_gpu();
        }
        self.identity = Some(identity);
    }

    /// The reading of a CUDA device: by its identifier, or the only one where there is one of each.
    pub(super) fn reading_of(&self, uuid: Option<&str>) -> Option<&DeviceReading> {
        let by_uuid = uuid.and_then(|uuid| self.readings.iter().find(|one| one.has_uuid(uuid)));
        let cuda_devices = self.cuda.as_ref().map_or(0, |cuda| cuda.devices().len());
        by_uuid.or(match self.readings.as_slice() {
            [only] if cuda_devices == 1 => Some(only),
            _ => None,
        })
    }

    /// Our account of the GPU that is watched.
    pub(super) fn account_of_selected(&self) -> Option<&DeviceAccount> {
        let selected = self.selected_reading()?;
        let device = self.cuda.as_ref()?.devices().iter().find(|device| {
            self.reading_of(device.uuid.as_deref())
                .is_some_and(|reading| reading.index == selected.index)
        })?;
        self.accounts.get(&device.ordinal)
    }
}
