//! A queue of a device's work, and everything that is asked of it.

use std::ffi::c_void;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use cudarc::driver::{DriverError, sys};

use super::GpuError;
use super::driver::{Event, Stream};
use super::opened::{Opened, enter};
use super::pace::Pace;
use crate::compute::kernels::Launch;
use crate::compute::{Device, Ledger};

/// A CUDA device in use, and a queue of its work.
///
/// Work is done in the order in which it was queued, and a buffer's memory is allocated and freed in the order
/// of the queue that the buffer was made with. Nothing orders two queues of one device: before one reads what
/// another wrote, the other is waited for, and before what it reads is dropped, it is waited for itself.
#[derive(Debug)]
pub struct Gpu {
    pub(super) opened: Arc<Opened>,
    pub(super) stream: Stream,
    marks: Mutex<Marks>,
}

/// Ends of chunks of work.
#[derive(Debug)]
struct Marks {
    pace: Pace,
    events: [Event; 2],
    /// The one of them that was set last and not waited for.
    open: Option<usize>,
}

impl Marks {
    /// All work is done.
    fn rest(&mut self) {
        self.open = None;
        self.pace.rest();
    }
}

#[expect(unsafe_code, reason = "the driver's handles are pointers")]
// SAFETY: as those of the device.
unsafe impl Send for Gpu {}
#[expect(unsafe_code, reason = "the driver's handles are pointers")]
// SAFETY: as those of the device; events are used under a lock.
unsafe impl Sync for Gpu {}

impl Gpu {
    /// Begins to use the device with this ordinal.
    ///
    /// # Errors
    ///
    /// [`GpuError::Unavailable`] where there is no driver, no such device, none that there are kernels for, or
    /// no room on it for a queue.
    pub fn open(ordinal: u32) -> Result<Arc<Self>, GpuError> {
        let opened = Arc::new(Opened::open(ordinal)?);
        Self::queue_of(opened, false).map_err(|error| GpuError::Unavailable {
            device: Device::Cuda(ordinal),
            reason: error.to_string(),
        })
    }

    /// Another queue of the same device: its work goes first where both have something to do.
    ///
    /// # Errors
    ///
    /// [`GpuError::Refused`] where the device has no room for it; else whatever happened to the device.
    pub fn urgent_queue(&self) -> Result<Arc<Self>, GpuError> {
        Self::queue_of(Arc::clone(&self.opened), true)
    }

    fn queue_of(opened: Arc<Opened>, is_urgent: bool) -> Result<Arc<Self>, GpuError> {
        let begin = || {
            let stream = Stream::new(is_urgent)?;
            let marks = Marks {
                pace: Pace::default(),
                events: [Event::new()?, Event::new()?],
                open: None,
            };
            Ok((stream, Mutex::new(marks)))
        };
        let (stream, marks) = opened.call("to begin a queue of work", begin)?;
        Ok(Arc::new(Self {
            opened,
            stream,
            marks,
        }))
    }

    /// The device.
    pub fn device(&self) -> Device {
        self.opened.device()
    }

    /// Its compute capability, major and minor.
    pub fn compute_capability(&self) -> (u32, u32) {
        self.opened.capability
    }

    /// How many multiprocessors it has.
    pub fn multiprocessors(&self) -> u32 {
        self.opened.multiprocessors
    }

    /// Its greatest clock rate in kHz; 0 where the driver does not tell.
    pub fn clock_kilohertz(&self) -> u32 {
        self.opened.clock_kilohertz
    }

    /// The account of its memory, whichever queue it is used by.
    pub fn ledger(&self) -> &Ledger {
        &self.opened.ledger
    }

    /// The error that it does not recover from, once there is one.
    pub fn lost(&self) -> Option<&GpuError> {
        self.opened.lost()
    }

    /// What of its memory is free, and all of it, in bytes.
    ///
    /// # Errors
    ///
    /// Whatever happened to the device.
    pub fn free_and_total_bytes(&self) -> Result<(u64, u64), GpuError> {
        self.opened.free_and_total_bytes()
    }

    /// Gives memory back to the system that is kept for the next buffers and not in use by queued work. It
    /// waits for nothing.
    ///
    /// # Errors
    ///
    /// Whatever happened to the device.
    pub fn trim(&self) -> Result<(), GpuError> {
        self.opened.trim()
    }

    /// Waits until all work of this queue is done.
    ///
    /// # Errors
    ///
    /// Whatever happened to the device during that work.
    pub fn wait(&self) -> Result<(), GpuError> {
        let mut marks = enter(&self.marks);
        self.call("to finish its work", || self.stream.wait())?;
        marks.rest();
        Ok(())
    }

    /// Notes that all work of this queue is done.
    pub(super) fn rest(&self) {
        enter(&self.marks).rest();
    }

    /// Asks the driver with the context current, unless the device is lost.
    pub(super) fn call<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce() -> Result<T, DriverError>,
    ) -> Result<T, GpuError> {
        self.opened.call(doing, work)
    }

    /// Queues a kernel. Its addresses are those of buffers that are dropped after it was queued.
    ///
    /// # Errors
    ///
    /// [`GpuError::Refused`] where the kernel is not there for this device or does not take these
    /// parameters; else whatever happened to the device, also during earlier work.
    #[expect(
        unsafe_code,
        reason = "the bindings have no form that takes the parameters' size"
    )]
    pub fn launch(&self, launch: &Launch) -> Result<(), GpuError> {
        if launch.is_empty() {
            return Ok(());
        }
        let function = self.opened.function(launch.file, &launch.kernel)?;
        let mut size = launch.params.len();
        let marker = |number: u32| std::ptr::without_provenance_mut::<c_void>(number as usize);
        let mut extra = [
            marker(sys::CU_LAUNCH_PARAM_BUFFER_POINTER_AS_INT),
            launch.params.as_ptr().cast_mut().cast(),
            marker(sys::CU_LAUNCH_PARAM_BUFFER_SIZE_AS_INT),
            (&raw mut size).cast(),
            marker(sys::CU_LAUNCH_PARAM_END_AS_INT),
        ];
        let [across, down] = launch.grid;
        let stream = self.stream.0;
        // SAFETY: the function is of a module that is loaded as long as the device is used; the driver
        // copies the parameters before it returns. What the kernel reads and writes is up to its `Launch`,
        // made from the addresses of buffers, whose memory is freed in the order of the stream.
        self.call("to run a kernel", || unsafe {
            let (no_params, extra) = (std::ptr::null_mut(), extra.as_mut_ptr());
            sys::cuLaunchKernel(
                function,
                across,
                down,
                1,
                launch.threads,
                1,
                1,
                0,
                stream,
                no_params,
                extra,
            )
            .result()
        })
    }

    /// Counts work that was queued, and waits for earlier work where there is much: after it returns no
    /// more is queued than some 100 ms take.
    ///
    /// # Errors
    ///
    /// Whatever happened to the device during that work.
    pub fn pace(&self, operations: f64) -> Result<(), GpuError> {
        let mut marks = enter(&self.marks);
        if !marks.pace.count(operations) {
            return Ok(());
        }
        let next = marks.open.map_or(0, |open| 1 - open);
        let before = marks.open.replace(next);
        self.call("to finish its work", || {
            marks.events[next].record(&self.stream)?;
            before.map_or(Ok(()), |before| marks.events[before].wait())
        })?;
        if before.is_some() {
            marks.pace.done(Instant::now());
        }
        Ok(())
    }

    /// Whether the device's kernels of this name gave their known answers; `check` is asked once.
    ///
    /// # Errors
    ///
    /// What `check` returned, now or the first time.
    pub fn checked(
        &self,
        kernels: &'static str,
        check: impl FnOnce() -> Result<(), GpuError>,
    ) -> Result<(), GpuError> {
        if let Some(known) = enter(&self.opened.checked).get(kernels) {
            return known.clone();
        }
        let answer = check();
        // What ran out of memory was not checked.
        if !matches!(answer, Err(GpuError::OutOfMemory(_))) {
            enter(&self.opened.checked).insert(kernels, answer.clone());
        }
        answer
    }

    /// Whether the device's kernels of this name were checked and gave their known answers.
    pub fn has_passed(&self, kernels: &str) -> bool {
        enter(&self.opened.checked)
            .get(kernels)
            .is_some_and(Result::is_ok)
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        // Of a lost device nothing can be given back but the context itself.
        if self.lost().is_some() {
            return;
        }
        let events = &enter(&self.marks).events;
        let ended = self.opened.ask(|| {
            self.stream.wait()?;
            events.iter().try_for_each(Event::destroy)?;
            self.stream.destroy()
        });
        if let Err(error) = ended {
            self.opened.warn_of_disorder(error);
        }
    }
}
