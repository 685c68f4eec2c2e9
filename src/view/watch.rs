//! Keeps what a graphics device reports by itself: errors nobody asked for, and its loss.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most errors kept: a broken driver repeats itself.
const KEPT: usize = 32;

/// Called once, when a device is lost.
type Wake = Box<dyn FnOnce() + Send>;

/// Something small to ask a device for. One that is lost refuses it long before its loss is reported.
struct Probe {
    queue: wgpu::Queue,
    buffer: wgpu::Buffer,
}

impl Probe {
    fn is_refused(&self) -> bool {
        let size = wgpu::BufferSize::MIN.saturating_add(wgpu::COPY_BUFFER_ALIGNMENT - 1);
        self.queue
            .write_buffer_with(&self.buffer, 0, size)
            .is_none()
    }
}

#[derive(Default)]
struct Reports {
    lost: Option<String>,
    probe: Option<Probe>,
    wake: Option<Wake>,
    new: Vec<String>,
    known: BTreeSet<String>,
}

/// Listens to a device. Without a listener wgpu ends the process at the first error.
#[derive(Clone, Default)]
pub struct DeviceWatch(Arc<Mutex<Reports>>);

impl DeviceWatch {
    /// Begins to listen, in place of whoever listened before.
    pub fn on(device: &wgpu::Device) -> Self {
        let watch = Self::default();
        let errors = watch.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            errors.report(error.to_string());
        }));
        let losses = watch.clone();
        device.set_device_lost_callback(move |reason, message| {
            // A device that was destroyed draws as little as one that its driver gave up.
            let reason = match (reason, message.is_empty()) {
                (wgpu::DeviceLostReason::Destroyed, true) => "it was destroyed".to_owned(),
                (_, true) => "the driver gave no reason".to_owned(),
                (_, false) => message,
            };
            let wake = {
                let mut reports = losses.reports();
                reports.lost = Some(reason);
                reports.wake.take()
            };
            if let Some(wake) = wake {
                wake();
            }
        });
        watch
    }

    /// Has [`Self::ask`] ask the device itself, which `queue` belongs to.
    pub fn ask_through(&self, device: &wgpu::Device, queue: &wgpu::Queue) {
        let buffer = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("probe"),
            size: wgpu::COPY_BUFFER_ALIGNMENT,
            usage: wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.reports().probe = Some(Probe {
            queue: queue.clone(),
            buffer,
        });
    }

    /// As [`Self::lost`], of a device that is asked whether it still does anything: a small buffer each
    /// time, hence once a frame at most.
    pub fn ask(&self) -> Option<String> {
        // Not under the lock: the device may report while it is asked.
        let probe = match &mut *self.reports() {
            Reports {
                lost: Some(reason), ..
            } => return Some(reason.clone()),
            reports => reports.probe.take(),
        };
        let refused = probe.as_ref().is_some_and(Probe::is_refused);
        let mut reports = self.reports();
        reports.probe = probe;
        let wake = if refused && reports.lost.is_none() {
            reports.lost = Some("it refuses everything".to_owned());
            reports.wake.take()
        } else {
            None
        };
        let lost = reports.lost.clone();
        drop(reports);
        if let Some(wake) = wake {
            wake();
        }
        lost
    }

    /// Has something done when the device is lost, on whichever thread notices.
    pub fn when_lost(&self, wake: impl FnOnce() + Send + 'static) {
        self.reports().wake = Some(Box::new(wake));
    }

    /// Why the device is gone, once it is: make a new one, and everything that was made with it.
    pub fn lost(&self) -> Option<String> {
        self.reports().lost.clone()
    }

    /// The errors since the last call, each of them once in the life of the device.
    pub fn take_errors(&self) -> Vec<String> {
        std::mem::take(&mut self.reports().new)
    }

    fn report(&self, error: String) {
        let mut reports = self.reports();
        if reports.known.len() < KEPT && reports.known.insert(error.clone()) {
            reports.new.push(error);
        }
    }

    fn reports(&self) -> MutexGuard<'_, Reports> {
        // A panic elsewhere leaves the lists as good as they were.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
