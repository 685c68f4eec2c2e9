//! Memory before, during and after one generation.

use std::sync::Arc;

use serde::Serialize;

use super::history::{Sample, Watched};
use super::manager::{FRESH_SAMPLE_LIMIT, Manager};
use super::shared::{Shared, Tracked};
use super::words;

/// The used share of the watched memory around a generation, in percent; `None` where it was not told.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Usage {
    /// Whose memory it is.
    pub watched: Watched,
    /// Before.
    pub before_percent: Option<f64>,
    /// After.
    pub after_percent: Option<f64>,
    /// The most in between, both ends included.
    pub peak_percent: Option<f64>,
}

/// A generation that is being watched. Dropping it ends it too.
#[derive(Debug)]
pub struct Generation {
    /// Keeps the threads alive.
    _manager: Manager,
    shared: Arc<Shared>,
    id: u64,
    watched: Watched,
    before_percent: Option<f64>,
    /// Why it is not a GPU's memory that is watched.
    absence: &'static str,
    is_over: bool,
}

impl Generation {
    pub(super) fn begin(manager: Manager, shared: Arc<Shared>) -> Self {
        let sample = shared.fresh_sample(FRESH_SAMPLE_LIMIT);
        let watched = sample.watched();
        let before_percent = sample.used_percent(watched);
        let absence = shared.lock().gpu.absence().unwrap_or("no GPU before");
        tracing::info!(
            "BEFORE - {}",
            line(watched, before_percent, absence, &sample)
        );
        let id = shared.change(|state| {
            let id = state.next_generation;
            state.next_generation += 1;
            state.generations.push(Tracked {
                id,
                watched,
                peak_percent: before_percent,
            });
            id
        });
        Self {
            _manager: manager,
            shared,
            id,
            watched,
            before_percent,
            absence,
            is_over: false,
        }
    }

    /// Whose memory is watched, and its used share before, in percent.
    pub fn before(&self) -> (Watched, Option<f64>) {
        (self.watched, self.before_percent)
    }

    /// Ends it: takes a sample, within a quarter of a second, and logs it.
    pub fn end(mut self) -> Usage {
        self.finish()
    }

    fn finish(&mut self) -> Usage {
        self.is_over = true;
        let peak_percent = self.shared.change(|state| {
            let place = state.generations.iter().position(|one| one.id == self.id)?;
            state.generations.swap_remove(place).peak_percent
        });
        let sample = self.shared.fresh_sample(FRESH_SAMPLE_LIMIT);
        let after_percent = sample.used_percent(self.watched);
        tracing::info!(
            "AFTER - {}",
            line(self.watched, after_percent, self.absence, &sample)
        );
        Usage {
            watched: self.watched,
            before_percent: self.before_percent,
            after_percent,
            peak_percent: [peak_percent, after_percent]
                .into_iter()
                .flatten()
                .reduce(f64::max),
        }
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        if !self.is_over {
            self.finish();
        }
    }
}

fn line(watched: Watched, percent: Option<f64>, absence: &str, sample: &Sample) -> String {
    let percent = words::percent(percent);
    match (watched, sample.watched()) {
        (Watched::Gpu, Watched::Gpu) => {
            let ours = sample.gpu.map_or(0, |gpu| gpu.reserved_bytes);
            match ours {
                0 => format!("GPU: {percent}"),
                ours => format!("GPU: {percent}, {} of it ours", words::bytes(ours)),
            }
        }
        (Watched::Gpu, Watched::Host) => format!("GPU: {percent} (it cannot be read any more)"),
        (Watched::Host, _) => format!("host memory: {percent} ({absence})"),
    }
}
