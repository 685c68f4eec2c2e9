//! Drivers that behave as a test says, and a log that a test can read.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use orfeas::vram::{
    Config, CudaDevice, CudaProbe, DeviceReading, Ledger, Manager, Sensor, SensorError,
};
use tracing_subscriber::fmt::MakeWriter;

pub(crate) const GB: u64 = 1_000_000_000;

/// What the driver does when it is asked.
#[derive(Clone)]
pub(crate) enum Behaviour {
    Tell(Vec<DeviceReading>),
    Refuse(SensorError),
    Panic,
    /// Answers nothing until it behaves otherwise.
    Hang,
}

/// A driver in a test's hand. Clones are the same driver.
#[derive(Clone)]
pub(crate) struct Script {
    behaviour: Arc<(Mutex<Behaviour>, Condvar)>,
    reads: Arc<AtomicUsize>,
    dropped: Arc<AtomicBool>,
}

impl Script {
    pub(crate) fn new(behaviour: Behaviour) -> Self {
        Self {
            behaviour: Arc::new((Mutex::new(behaviour), Condvar::new())),
            reads: Arc::default(),
            dropped: Arc::default(),
        }
    }

    pub(crate) fn set(&self, behaviour: Behaviour) {
        *self.behaviour.0.lock().unwrap() = behaviour;
        self.behaviour.1.notify_all();
    }

    /// How often the driver was asked.
    pub(crate) fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    /// Whether the sensor was dropped.
    pub(crate) fn is_dropped(&self) -> bool {
        self.dropped.load(Ordering::SeqCst)
    }

    pub(crate) fn sensor(&self) -> Box<dyn Sensor> {
        Box::new(Scripted(self.clone()))
    }
}

struct Scripted(Script);

impl Sensor for Scripted {
    fn read(&mut self) -> Result<Vec<DeviceReading>, SensorError> {
        self.0.reads.fetch_add(1, Ordering::SeqCst);
        let (behaviour, changed) = &*self.0.behaviour;
        let hangs = |behaviour: &mut Behaviour| matches!(behaviour, Behaviour::Hang);
        let behaviour = changed.wait_while(behaviour.lock().unwrap(), hangs);
        let behaviour = behaviour.unwrap().clone();
        match behaviour {
            Behaviour::Tell(readings) => Ok(readings),
            Behaviour::Refuse(error) => Err(error),
            Behaviour::Panic => panic!("the sensor of a test panics"),
            Behaviour::Hang => unreachable!("waited for its end"),
        }
    }

    fn driver_version(&self) -> Option<String> {
        Some("550.1".into())
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.0.dropped.store(true, Ordering::SeqCst);
    }
}

pub(crate) fn no_driver() -> SensorError {
    SensorError::NoDriver {
        reason: "its management library is not installed".into(),
    }
}

/// A GPU of which everything can be read.
pub(crate) fn gpu(index: u32, name: &str, total_gb: u64, free_gb: u64) -> DeviceReading {
    DeviceReading {
        index,
        name: Some(name.into()),
        uuid: Some(format!("GPU-{}", uuid(index))),
        total_bytes: Some(total_gb * GB),
        used_bytes: Some((total_gb - free_gb) * GB),
        free_bytes: Some(free_gb * GB),
        temperature_celsius: Some(45),
        load_percent: Some(10),
        power_watts: Some(30.5),
        compute_capability: Some((8, 6)),
        processes: Some(Vec::new()),
        ..DeviceReading::default()
    }
}

pub(crate) fn uuid(index: u32) -> String {
    format!("0000000{index}-0000-0000-0000-00000000000a")
}

/// The CUDA device at `ordinal` that is the GPU at `index`.
pub(crate) fn cuda(ordinal: u32, index: u32, name: &str, total_gb: u64) -> CudaDevice {
    CudaDevice {
        ordinal,
        name: name.into(),
        uuid: Some(uuid(index)),
        compute_capability: (8, 6),
        total_bytes: total_gb * GB,
    }
}

/// A manager's set-up with that driver, no CUDA and an interval short enough for a test.
pub(crate) fn config(script: &Script) -> Config {
    Config {
        host_ledger: Ledger::unlimited(),
        sample_interval: Duration::from_millis(3),
        sensor: Some(script.sensor()),
        cuda: Some(CudaProbe::NoLibrary),
        ..Config::default()
    }
}

pub(crate) fn start(script: &Script) -> Manager {
    Manager::start(config(script))
}

/// Waits for a condition that another thread brings about.
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The lines logged by `work` and the threads it starts, without time and module.
pub(crate) fn logged(work: impl FnOnce(&Log)) -> Vec<String> {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(log.clone())
        .with_ansi(false)
        .with_target(false)
        .without_time()
        .finish();
    tracing::subscriber::with_default(subscriber, || work(&log));
    log.lines()
}

#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }

    pub(crate) fn count(&self, part: &str) -> usize {
        self.lines()
            .iter()
            .filter(|line| line.contains(part))
            .count()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
