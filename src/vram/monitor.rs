//! The two threads that watch memory. The monitor takes samples at an interval and when asked; the
//! sensor thread talks to the driver, so that a driver that hangs stops nobody else.
//!
//! Both wait on a condition and never spin. Neither decides anything about jobs.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use super::select::{GpuState, select, state_of};
use super::sensor::{Sensor, SensorError};
use super::shared::{Answer, Exchange, Shared, State};
use super::statistics;
use crate::compute::CudaProbe;
use crate::compute::host::HostReader;

/// The longest pause between attempts to reach a driver that failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The sensor thread's life: the probe of CUDA, then an answer to each question.
pub(super) fn run_sensor(shared: &Shared, mut sensor: Box<dyn Sensor>, cuda: Option<CudaProbe>) {
    let cuda = cuda.unwrap_or_else(crate::compute::probe);
    shared.change(|state| state.cuda = Some(cuda));
    loop {
        let state = shared.wait_until(shared.lock(), None, |state| {
            state.ending || matches!(state.exchange, Exchange::Asked { .. })
        });
        if state.ending {
            break;
        }
        drop(state);
        let answer = ask(sensor.as_mut());
        shared.change(|state| state.exchange = Exchange::Answered(answer));
    }
    drop(sensor);
    shared.change(|state| state.sensor_lives = false);
}

fn ask(sensor: &mut dyn Sensor) -> Answer {
    // A sensor starts afresh after a panic; that is its contract.
    let attempt = AssertUnwindSafe(|| (sensor.read(), sensor.driver_version()));
    match std::panic::catch_unwind(attempt) {
        Ok((Ok(readings), driver)) => Answer::Read { readings, driver },
        Ok((Err(error), _)) => Answer::Refused(error),
        Err(payload) => {
            let text = payload
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| payload.downcast_ref::<String>().cloned());
            Answer::Panicked(text.unwrap_or_else(|| "a panic without words".into()))
        }
    }
}

/// The monitor's life: a sample whenever one is due.
pub(super) fn run_monitor(shared: &Shared) {
    let mut host = HostReader::default();
    let mut driver = Driver::default();
    let mut next_sample = Instant::now();
    let mut next_log = later(next_sample, shared.settings.log_interval);
    while let Some(ticket) = wait_for_turn(shared, next_sample) {
        driver.question(shared);
        let memory = host.read();
        let (sample, is_monitoring) = shared.change(|state| {
            driver.take_answer(shared, state);
            state.served = ticket;
            (shared.record(state, memory), state.monitoring)
        });
        let now = Instant::now();
        // A sample that took longer than the interval is not made up for.
        next_sample = later(next_sample, shared.settings.sample_interval).max(now);
        if is_monitoring && now >= next_log {
            tracing::info!("{}", statistics::line(&sample));
            next_log = later(now, shared.settings.log_interval);
        }
    }
}

fn later(instant: Instant, by: Duration) -> Instant {
    // A wait that no clock can hold is as good as the longest that one surely can.
    instant
        .checked_add(by)
        .unwrap_or_else(|| instant + Duration::from_secs(365 * 24 * 3600))
}

/// Waits until a sample is due or asked for. `None` when the thread is to end, else the number of
/// requests that the sample answers.
fn wait_for_turn(shared: &Shared, next_sample: Instant) -> Option<u64> {
    let mut state = shared.lock();
    loop {
        if state.ending {
            return None;
        }
        let is_due = state.monitoring && Instant::now() >= next_sample;
        if is_due || state.asked > state.served {
            return Some(state.asked);
        }
        let was_monitoring = state.monitoring;
        let deadline = was_monitoring.then_some(next_sample);
        state = shared.wait_until(state, deadline, |state| {
            state.ending || state.asked > state.served || state.monitoring != was_monitoring
        });
    }
}

/// The monitor's side of the conversation with the sensor thread.
#[derive(Debug, Default)]
struct Driver {
    failures: u32,
    retry_at: Option<Instant>,
    has_answered: bool,
}

impl Driver {
    /// Asks, unless a question is still open or the driver failed a moment ago, and waits a limited time
    /// for the answer.
    fn question(&mut self, shared: &Shared) {
        let now = Instant::now();
        let may_ask = self.retry_at.is_none_or(|retry_at| now >= retry_at);
        let asked_at = shared.change(|state| {
            if matches!(state.exchange, Exchange::Idle) && may_ask && state.sensor_lives {
                state.exchange = Exchange::Asked { at: now };
            }
            match state.exchange {
                Exchange::Asked { at } => Some(at),
                Exchange::Idle | Exchange::Answered(_) => None,
            }
        });
        let Some(asked_at) = asked_at else { return };
        let deadline = later(asked_at, shared.settings.answer_limit);
        drop(shared.wait_until(shared.lock(), Some(deadline), |state| {
            state.ending || !matches!(state.exchange, Exchange::Asked { .. })
        }));
    }

    /// Takes over what the driver answered, or that it did not.
    fn take_answer(&mut self, shared: &Shared, state: &mut State) {
        let gpu = match std::mem::replace(&mut state.exchange, Exchange::Idle) {
            // A pause after a failure: what was known stays known.
            Exchange::Idle => return,
            Exchange::Asked { at } => {
                state.exchange = Exchange::Asked { at };
                let is_overdue = at.elapsed() >= shared.settings.answer_limit;
                match (is_overdue, self.has_answered) {
                    (false, _) => return,
                    (true, false) => GpuState::Waiting,
                    (true, true) => GpuState::Silent,
                }
            }
            Exchange::Answered(Answer::Read { readings, driver }) => {
                self.succeed();
                let choice = &shared.settings.device;
                let selected = select(&readings, choice, state.identity.as_ref());
                state.driver.clone_from(&driver);
                state.take_readings(readings, selected);
                let gpu = state_of(&state.readings, driver, choice, selected);
                announce(state, gpu);
                return;
            }
            Exchange::Answered(Answer::Refused(error)) => {
                self.fail(shared);
                GpuState::Unavailable(error)
            }
            Exchange::Answered(Answer::Panicked(message)) => {
                self.fail(shared);
                GpuState::Panicked { message }
            }
        };
        // An old reading is no reading.
        state.readings.clear();
        state.selected = None;
        announce(state, gpu);
    }

    fn succeed(&mut self) {
        *self = Self {
            has_answered: true,
            ..Self::default()
        };
    }

    fn fail(&mut self, shared: &Shared) {
        self.has_answered = true;
        let doubled = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = (self.failures + 1).min(31);
        let pause = shared.settings.sample_interval.saturating_mul(doubled);
        self.retry_at = Some(later(Instant::now(), pause.min(LONGEST_PAUSE)));
    }
}

/// Sets the state, and logs it where it is another than before.
fn announce(state: &mut State, gpu: GpuState) {
    if state.announced && state.gpu != gpu {
        log_state(&gpu);
    }
    state.gpu = gpu;
}

/// Logs a state: what is normal as information, what is not as a warning.
pub(super) fn log_state(gpu: &GpuState) {
    match gpu {
        GpuState::Present { .. }
        | GpuState::NoDevice { .. }
        | GpuState::Unavailable(SensorError::NoDriver { .. })
        | GpuState::Waiting => tracing::info!("GPU: {gpu}"),
        GpuState::Unavailable(SensorError::Failed { .. })
        | GpuState::Panicked { .. }
        | GpuState::Silent => tracing::warn!("GPU: {gpu}; host memory is watched meanwhile"),
    }
}
