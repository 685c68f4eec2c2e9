//! The CUDA devices that jobs were run on. Each is opened for the first job that is planned there, and kept.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::compute::{Device, Gpu, GpuError};
use crate::vram::Manager;

/// The devices in use, by ordinal.
#[derive(Debug, Default)]
pub(super) struct Devices(Mutex<BTreeMap<u32, Arc<Gpu>>>);

impl Devices {
    fn open(&self) -> MutexGuard<'_, BTreeMap<u32, Arc<Gpu>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them, so that nobody waits at the lock while a device is asked.
    fn all(&self) -> Vec<(u32, Arc<Gpu>)> {
        let open = self.open();
        open.iter()
            .map(|(at, gpu)| (*at, Arc::clone(gpu)))
            .collect()
    }

    /// A device for a job that takes no more of its memory than the manager calls free; `None` for the
    /// processor.
    pub(super) fn take(
        &self,
        device: Device,
        vram: &Manager,
    ) -> Result<Option<Arc<Gpu>>, GpuError> {
        let Device::Cuda(ordinal) = device else {
            return Ok(None);
        };
        let known = self.open().get(&ordinal).cloned();
        let gpu = match known {
            Some(gpu) => gpu,
            None => {
                let gpu = Gpu::open(ordinal)?;
                let (major, minor) = gpu.compute_capability();
                tracing::info!("{device} opened, compute capability {major}.{minor}");
                vram.attach_device(ordinal, gpu.ledger().clone());
                self.open().insert(ordinal, Arc::clone(&gpu));
                gpu
            }
        };
        gpu.ledger().set_budget(u64::MAX);
        gpu.ledger().reset_peak();
        report(&gpu, ordinal, vram)?;
        let memory = vram.memory_as_sampled();
        if let Some(share) = memory.of(device) {
            gpu.ledger().set_budget(share.free_bytes());
        }
        // What was kept is in use again, or gone.
        vram.report_idle(device, 0);
        Ok(Some(gpu))
    }

    /// Gives memory back that no buffer holds, whatever runs, once what no job uses was given up.
    pub(super) fn trim(&self, vram: &Manager) {
        for (ordinal, gpu) in &self.all() {
            vram.report_idle(gpu.device(), 0);
            let told = gpu.trim().and_then(|()| gpu.free_and_total_bytes());
            match told {
                Ok((free_bytes, _)) => vram.report_context(*ordinal, Some(free_bytes)),
                Err(error) => tracing::warn!("{error}"),
            }
        }
    }

    /// After a job: gives back what no buffer holds, and tells the manager what is left and idle.
    pub(super) fn settle(&self, vram: &Manager) {
        for (ordinal, gpu) in &self.all() {
            gpu.ledger().set_budget(u64::MAX);
            let settled = gpu
                .wait()
                .and_then(|()| gpu.trim())
                .and_then(|()| report(gpu, *ordinal, vram));
            if let Err(error) = settled {
                tracing::warn!("{error}");
            }
        }
    }

    /// Uses a device no more that failed, and tells why.
    pub(super) fn give_up(&self, device: Device, error: &GpuError, vram: &Manager) {
        let Device::Cuda(ordinal) = device else {
            return;
        };
        if error.is_of_device() {
            drop(self.open().remove(&ordinal));
            vram.report_unusable(ordinal, error.to_string());
        }
    }

    /// What is held of all devices.
    pub(super) fn used_bytes(&self) -> u64 {
        let open = self.open();
        open.values().map(|gpu| gpu.ledger().used_bytes()).sum()
    }
}

/// Tells the manager what CUDA calls free, and what of the rest is ours and idle.
fn report(gpu: &Gpu, ordinal: u32, vram: &Manager) -> Result<(), GpuError> {
    let (free_bytes, _) = gpu.free_and_total_bytes()?;
    vram.report_context(ordinal, Some(free_bytes));
    vram.report_idle(gpu.device(), gpu.ledger().used_bytes());
    Ok(())
}
