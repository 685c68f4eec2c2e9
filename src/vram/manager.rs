//! The manager: starts the watching, and answers from what was seen last.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::generation::Generation;
use super::history::{Mark, Sample, Watched};
use super::memory::{Account, DeviceShare, HostShare, Memory};
use super::monitor;
use super::nvml::NvmlSensor;
use super::recommend::{self, BatchRequest};
use super::select::{DeviceChoice, GpuState};
use super::sensor::{DeviceReading, Partition, Sensor, SensorError};
use super::shared::{DeviceAccount, Settings, Shared, State};
use super::statistics::{HostStatistics, Statistics};
use super::words;
use crate::compute::{CudaDevice, CudaProbe, Device, Ledger, Precision, host};

/// How long a start waits for the driver before it goes on without.
const START_LIMIT: Duration = Duration::from_secs(1);
/// How long after the start [`Manager::memory`] still waits for the driver's first answer. Waking a GPU
/// that no process used takes seconds.
const FIRST_ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// How long the end waits for a driver that hangs.
const END_LIMIT: Duration = Duration::from_millis(500);
/// How long a sample out of turn may take.
pub(super) const FRESH_SAMPLE_LIMIT: Duration = Duration::from_millis(250);
/// No interval is shorter, so that the monitor never spins.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

/// How to set a manager up.
pub struct Config {
    /// The account of host memory that jobs reserve their large buffers in.
    pub host_ledger: Ledger,
    /// Between two samples.
    pub sample_interval: Duration,
    /// Between two lines of the log.
    pub log_interval: Duration,
    /// The most samples, and the most marks, that are kept.
    pub history_limit: usize,
    /// Which GPU to watch.
    pub device: DeviceChoice,
    /// Kept free on each GPU for the viewport and the desktop, in bytes.
    pub device_reserve_bytes: u64,
    /// How long a driver may take to answer before it counts as silent.
    pub answer_limit: Duration,
    /// What reads the GPUs; `None` for NVIDIA's management library.
    pub sensor: Option<Box<dyn Sensor>>,
    /// What CUDA offers; `None` to ask the driver.
    pub cuda: Option<CudaProbe>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            host_ledger: Ledger::unlimited(),
            sample_interval: Duration::from_secs(1),
            log_interval: Duration::from_secs(5),
            history_limit: 3600,
            device: DeviceChoice::Auto,
            device_reserve_bytes: words::GB / 2,
            answer_limit: Duration::from_secs(1),
            sensor: None,
            cuda: None,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("sample_interval", &self.sample_interval)
            .field("log_interval", &self.log_interval)
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

/// Watches memory. Clones are the same manager; dropping the last ends and joins its threads.
#[derive(Debug, Clone)]
pub struct Manager(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    monitor: Option<JoinHandle<()>>,
    sensor: Option<JoinHandle<()>>,
}

impl Manager {
    /// Starts watching, and logs what there is and what is missing.
    ///
    /// It never fails: no driver, no device, or no threads are states like any other. It waits for the
    /// driver at most a second.
    pub fn start(config: Config) -> Self {
        let settings = Settings {
            host_ledger: config.host_ledger,
            sample_interval: config.sample_interval.max(SHORTEST_INTERVAL),
            log_interval: config.log_interval,
            answer_limit: config.answer_limit,
            device: config.device,
            device_reserve_bytes: config.device_reserve_bytes,
        };
        let shared = Arc::new(Shared::new(settings, config.history_limit));
        let sensor = config.sensor;
        let sensor = sensor.unwrap_or_else(|| Box::new(NvmlSensor::default()));
        let cuda = config.cuda;
        let sensor = spawn("orfeas-vram-sensor", &shared, move |shared| {
            monitor::run_sensor(shared, sensor, cuda);
        });
        if sensor.is_none() {
            let reason = "no thread could be started to ask it".into();
            shared.change(|state| {
                state.sensor_lives = false;
                state.gpu = GpuState::Unavailable(SensorError::Failed { reason });
            });
        }
        let monitor = spawn("orfeas-vram-monitor", &shared, monitor::run_monitor);
        if monitor.is_none() {
            let memory = host::HostReader::default().read();
            shared.change(|state| shared.record(state, memory));
        } else {
            shared.fresh_sample(START_LIMIT);
        }
        let manager = Self(Arc::new(Handle {
            shared,
            monitor,
            sensor,
        }));
        manager.announce();
        manager.start_monitoring();
        manager
    }

    fn announce(&self) {
        let (gpu, cuda) = self.0.shared.change(|state| {
            state.announced = true;
            (state.gpu.clone(), state.cuda.clone())
        });
        tracing::info!("memory manager initialised");
        monitor::log_state(&gpu);
        match cuda {
            Some(cuda) => match cuda.remedy() {
                None => tracing::info!("CUDA: {cuda}"),
                Some(remedy) => tracing::info!("CUDA: {cuda}; {remedy}"),
            },
            None => tracing::info!("CUDA: the driver has not answered yet"),
        }
        tracing::info!("statistics: {}", self.statistics());
    }

    fn state<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.0.shared.lock())
    }

    /// The figures, from the newest sample and our own accounts. It calls no driver and waits for none.
    pub fn statistics(&self) -> Statistics {
        let shared = &self.0.shared;
        let recommended = self.recommended_precision();
        let ledger = &shared.settings.host_ledger;
        self.state(|state| {
            let sample = state.history.newest();
            let reading = state.selected_reading();
            let account = state.account_of_selected().cloned().unwrap_or_default();
            let device_reserved = account.ledger.as_ref().map_or(0, Ledger::used_bytes);
            let device_allocated = device_reserved.saturating_sub(account.idle_bytes);
            let host_reserved = ledger.used_bytes();
            let precision_mode = state.precision_in_use.unwrap_or(recommended);
            // Of no GPU there is nothing; of one that does not tell, it is unknown.
            let none = state.gpu.is_without_gpu().then_some(0);
            let total = reading.map_or(none, |reading| reading.total_bytes);
            let available = reading.map_or(none, |reading| reading.free_bytes);
            Statistics {
                gpu_present: reading.is_some(),
                state: state.gpu.to_string(),
                total_vram_gb: total.map(words::gigabytes),
                allocated_gb: words::gigabytes(device_allocated),
                reserved_gb: words::gigabytes(device_reserved),
                available_gb: available.map(words::gigabytes),
                usage_percent: reading.and_then(DeviceReading::used_percent),
                total_vram_bytes: total,
                allocated_bytes: device_allocated,
                reserved_bytes: device_reserved,
                available_bytes: available,
                precision_mode,
                mixed_precision_enabled: matches!(precision_mode, Precision::F16 | Precision::Bf16),
                quantization_enabled: precision_mode == Precision::Int8,
                gradient_checkpointing: false,
                device_name: reading.map(DeviceReading::title),
                driver_version: state.driver.clone(),
                temperature_celsius: reading.and_then(|reading| reading.temperature_celsius),
                load_percent: reading.and_then(|reading| reading.load_percent),
                power_watts: reading.and_then(|reading| reading.power_watts),
                host: HostStatistics {
                    total_bytes: sample.host.total_bytes,
                    available_bytes: sample.host.available_bytes,
                    usage_percent: sample.host.used_percent(),
                    budget_bytes: Some(ledger.budget_bytes()).filter(|&bytes| bytes != u64::MAX),
                    reserved_bytes: host_reserved,
                    allocated_bytes: host_reserved.saturating_sub(state.host_idle_bytes),
                    process_bytes: sample.host.resident_bytes,
                    process_peak_bytes: host::peak_memory_bytes(),
                },
                history_of: sample.watched(),
                history: state.history.summary(sample.watched()),
            }
        })
    }

    /// The newest sample.
    pub fn sample(&self) -> Sample {
        self.state(|state| state.history.newest())
    }

    /// The samples that are kept, oldest first.
    pub fn history(&self) -> Vec<Sample> {
        self.state(|state| state.history.samples())
    }

    /// The marks that are kept, oldest first.
    pub fn marks(&self) -> Vec<Mark> {
        self.state(|state| state.history.marks())
    }

    /// Marks this moment in the history, and has a sample taken without waiting for it.
    pub fn mark(&self, label: impl Into<Cow<'static, str>>) {
        let mark = Mark {
            seconds: self.0.shared.started.elapsed().as_secs_f64(),
            label: label.into(),
        };
        self.0.shared.change(|state| {
            state.history.mark(mark);
            state.asked += 1;
        });
    }

    /// The state of driver and devices; its `Display` says it in words.
    pub fn gpu_state(&self) -> GpuState {
        self.state(|state| state.gpu.clone())
    }

    /// What CUDA offers; `None` while the driver has not answered.
    pub fn cuda(&self) -> Option<CudaProbe> {
        self.state(|state| state.cuda.clone())
    }

    /// Every GPU as last read; none where the driver is missing, failed or does not answer.
    pub fn devices(&self) -> Vec<DeviceReading> {
        self.state(|state| state.readings.clone())
    }

    /// The GPU that is watched, as last read.
    pub fn selected(&self) -> Option<DeviceReading> {
        self.state(|state| state.selected_reading().cloned())
    }

    /// Stops sampling at an interval. A sample is still taken when one is asked for.
    pub fn stop_monitoring(&self) {
        let was = self
            .0
            .shared
            .change(|state| std::mem::replace(&mut state.monitoring, false));
        if was {
            tracing::info!("monitoring stopped");
        }
    }

    /// Samples at an interval, as it does from the start.
    pub fn start_monitoring(&self) {
        if self.0.monitor.is_none() {
            tracing::warn!("memory is not monitored: no thread could be started");
            return;
        }
        let was = self
            .0
            .shared
            .change(|state| std::mem::replace(&mut state.monitoring, true));
        if !was {
            let seconds = self.0.shared.settings.log_interval.as_secs_f64();
            tracing::info!("monitoring started ({seconds}s interval)");
        }
    }

    /// Whether samples are taken at an interval.
    pub fn is_monitoring(&self) -> bool {
        self.state(|state| state.monitoring)
    }

    /// Begins to watch a generation: takes a sample, within a quarter of a second, and logs it.
    pub fn begin_generation(&self) -> Generation {
        Generation::begin(self.clone(), Arc::clone(&self.0.shared))
    }

    /// What there is to plan with, from the newest sample. It calls no driver and waits for none.
    pub fn memory_as_sampled(&self) -> Memory {
        self.memory_in(&self.0.shared.lock())
    }

    /// What there is to plan with, sampled anew.
    ///
    /// Where the driver has not answered since the start it waits for it, at most until 5 s after the
    /// start; hence not for a thread that draws.
    pub fn memory(&self) -> Memory {
        let shared = &self.0.shared;
        shared.fresh_sample(FRESH_SAMPLE_LIMIT);
        let deadline = shared.started + FIRST_ANSWER_LIMIT;
        let state = shared.wait_until(shared.lock(), Some(deadline), |state| {
            state.gpu != GpuState::Waiting && state.cuda.is_some() || !state.sensor_lives
        });
        self.memory_in(&state)
    }

    fn memory_in(&self, state: &State) -> Memory {
        let shared = &self.0.shared;
        let host = state.history.newest().host;
        let cuda_devices = state.cuda.as_ref().map_or(&[][..], CudaProbe::devices);
        let devices: Vec<_> = cuda_devices
            .iter()
            .filter_map(|device| self.share(state, device))
            .collect();
        let unusable = || state.accounts.values().find_map(|one| one.unusable.clone());
        let no_device = devices.is_empty().then(|| match &state.cuda {
            Some(cuda) if !cuda.devices().is_empty() && unusable().is_some() => {
                unusable().unwrap_or_default()
            }
            Some(cuda) if cuda.devices().is_empty() => cuda.to_string(),
            Some(_) => state.gpu.to_string(),
            None => GpuState::Waiting.to_string(),
        });
        Memory {
            host: HostShare {
                total_bytes: host.total_bytes,
                available_bytes: host.available_bytes,
                account: Account {
                    // What is idle makes way for the job that is planned.
                    used_bytes: shared
                        .settings
                        .host_ledger
                        .used_bytes()
                        .saturating_sub(state.host_idle_bytes),
                    ..Account::from(&shared.settings.host_ledger)
                },
            },
            devices,
            no_device,
        }
    }

    fn share(&self, state: &State, device: &CudaDevice) -> Option<DeviceShare> {
        let reading = state.reading_of(device.uuid.as_deref());
        if reading.is_some_and(|reading| reading.partition == Partition::Undivided) {
            return None;
        }
        let account = state
            .accounts
            .get(&device.ordinal)
            .cloned()
            .unwrap_or_default();
        if account.unusable.is_some() {
            return None;
        }
        // What is idle makes way for the job that is planned.
        let with_idle = |bytes: u64| bytes.saturating_add(account.idle_bytes);
        let own = account.ledger.as_ref().map(|ledger| Account {
            used_bytes: ledger.used_bytes().saturating_sub(account.idle_bytes),
            ..Account::from(ledger)
        });
        Some(DeviceShare {
            ordinal: device.ordinal,
            name: device.name.clone(),
            compute_capability: device.compute_capability,
            total_bytes: device.total_bytes,
            free_bytes: reading
                .and_then(|reading| reading.free_bytes)
                .map(with_idle),
            cuda_free_bytes: account.context_free_bytes.map(with_idle),
            reserve_bytes: self.0.shared.settings.device_reserve_bytes,
            account: own.unwrap_or(Account::UNLIMITED),
        })
    }

    /// The account of a CUDA device's memory, once there is one.
    pub fn attach_device(&self, ordinal: u32, ledger: Ledger) {
        self.change_account(ordinal, |account| account.ledger = Some(ledger));
    }

    /// What CUDA itself calls free of a device's memory, told by the thread that owns the context; `None`
    /// when there is no context any more.
    pub fn report_context(&self, ordinal: u32, free_bytes: Option<u64>) {
        self.change_account(ordinal, |account| account.context_free_bytes = free_bytes);
    }

    /// How many of our reserved bytes are idle: kept between jobs because the next may use them.
    pub fn report_idle(&self, device: Device, bytes: u64) {
        match device {
            Device::Cpu => self.0.shared.change(|state| state.host_idle_bytes = bytes),
            Device::Cuda(ordinal) => {
                self.change_account(ordinal, |account| account.idle_bytes = bytes);
            }
        }
    }

    /// A CUDA device that is not to be used any more while the program runs, and why.
    pub fn report_unusable(&self, ordinal: u32, reason: String) {
        self.change_account(ordinal, |account| {
            *account = DeviceAccount {
                unusable: Some(reason),
                ..DeviceAccount::default()
            };
        });
    }

    fn change_account(&self, ordinal: u32, change: impl FnOnce(&mut DeviceAccount)) {
        self.0
            .shared
            .change(|state| change(state.accounts.entry(ordinal).or_default()));
    }

    /// The precision that the running or last job computes in, for the statistics.
    pub fn report_precision(&self, precision: Precision) {
        self.0
            .shared
            .change(|state| state.precision_in_use = Some(precision));
    }

    /// The precision that suits the free memory of the GPU, without knowing a model's cost.
    ///
    /// Without a GPU it is fp32 whatever the memory: the processor computes in 32 bits anyway, and
    /// nothing would be faster for less. Where the GPU does not tell its free memory it is int8, which
    /// needs the least.
    pub fn recommended_precision(&self) -> Precision {
        self.state(|state| match state.selected_reading() {
            None => Precision::F32,
            Some(reading) => recommend::recommended_precision(reading.free_bytes.unwrap_or(0)),
        })
    }

    /// How many samples to compute at once in the free memory of the GPU, of the host where there is no
    /// GPU.
    pub fn optimal_batch_size(&self, request: &BatchRequest) -> u32 {
        let shared = &self.0.shared;
        let free_bytes = self.state(|state| match state.selected_reading() {
            Some(reading) => reading.free_bytes.unwrap_or(0),
            None => HostShare {
                total_bytes: None,
                available_bytes: Some(state.history.newest().host.available_bytes.unwrap_or(0)),
                account: Account::from(&shared.settings.host_ledger),
            }
            .free_bytes(),
        });
        recommend::optimal_batch_size(free_bytes, request)
    }

    /// What is watched now.
    pub fn watched(&self) -> Watched {
        self.sample().watched()
    }
}

fn spawn(
    name: &str,
    shared: &Arc<Shared>,
    run: impl FnOnce(&Shared) + Send + 'static,
) -> Option<JoinHandle<()>> {
    let shared = Arc::clone(shared);
    // The threads log to where the one that starts them does.
    let log = tracing::dispatcher::get_default(Clone::clone);
    let run = move || tracing::dispatcher::with_default(&log, || run(&shared));
    match std::thread::Builder::new().name(name.into()).spawn(run) {
        Ok(thread) => Some(thread),
        Err(error) => {
            tracing::warn!("the thread {name} could not be started: {error}");
            None
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.change(|state| state.ending = true);
        join(self.monitor.take());
        // A thread inside a driver that hangs cannot be ended, only left behind.
        let deadline = Instant::now() + END_LIMIT;
        let state = self
            .shared
            .wait_until(self.shared.lock(), Some(deadline), |state| {
                !state.sensor_lives
            });
        let has_ended = !state.sensor_lives;
        drop(state);
        if has_ended {
            join(self.sensor.take());
        } else {
            tracing::warn!("the NVIDIA driver does not answer; its thread is left behind");
        }
    }
}

fn join(thread: Option<JoinHandle<()>>) {
    if let Some(thread) = thread
        && thread.join().is_err()
    {
        tracing::error!("a thread that watches memory panicked");
    }
}
