//! A device and everything that is asked of it.

use std::collections::HashMap;
use std::ffi::{CString, c_void};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use cudarc::driver::{DriverError, result, sys};

use super::GpuError;
use super::cublaslt::CublasLt;
use super::driver::{Event, Pool, Stream, is_for_ever};
use super::pace::Pace;
use crate::compute::kernels::{Binary, File, Launch};
use crate::compute::probe::{NEEDED, driver_version, is_library_present, words};
use crate::compute::{Device, Ledger};

/// The oldest devices that there are kernels for.
const OLDEST: (u32, u32) = (7, 5);

/// A queue of work. Memory is allocated and freed in the order of [`Lane::Work`]; before the preview lane
/// reads what the work lane wrote, and before what it read is freed, they are put in order with
/// [`Gpu::order`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// What the job is for.
    Work,
    /// What is shown meanwhile; it goes first where both have something to do.
    Preview,
}

/// A CUDA device in use.
#[derive(Debug)]
pub struct Gpu {
    ordinal: u32,
    raw: sys::CUdevice,
    context: sys::CUcontext,
    capability: (u32, u32),
    multiprocessors: u32,
    clock_kilohertz: u32,
    ledger: Ledger,
    pub(super) pool: Option<Pool>,
    pub(super) work: Stream,
    preview: Stream,
    marks: Mutex<Marks>,
    loaded: Mutex<Loaded>,
    /// `None` where no cuBLASLt was found; empty before it was looked for.
    pub(super) library: OnceLock<Option<CublasLt>>,
    lost: OnceLock<GpuError>,
    checked: Mutex<HashMap<&'static str, Result<(), GpuError>>>,
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

#[derive(Debug, Default)]
struct Loaded {
    modules: HashMap<File, sys::CUmodule>,
    functions: HashMap<String, sys::CUfunction>,
}

#[expect(unsafe_code, reason = "the driver's handles are pointers")]
// SAFETY: the driver's handles, and cuBLASLt's, may be used from any thread that the context is current on,
// which `call` sees to.
unsafe impl Send for Gpu {}
#[expect(unsafe_code, reason = "the driver's handles are pointers")]
// SAFETY: the driver's functions may be called from several threads at once, and so may cuBLASLt's where they
// share a handle; what it described is used under a lock.
unsafe impl Sync for Gpu {}

pub(super) fn enter<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No statement under these locks leaves anything half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks the driver. One that lacks a function makes the bindings panic.
fn attempt<T>(work: impl FnOnce() -> Result<T, DriverError>) -> Result<T, Option<DriverError>> {
    std::panic::catch_unwind(AssertUnwindSafe(work))
        .map_err(|_panic| None)?
        .map_err(Some)
}

fn message(error: Option<DriverError>) -> String {
    error.map_or_else(
        || "the driver lacks a function that every driver of its version has".into(),
        words,
    )
}

impl Gpu {
    /// Begins to use the device with this ordinal.
    ///
    /// # Errors
    ///
    /// [`GpuError::Unavailable`] where there is no driver, no such device, or none that there are kernels
    /// for.
    pub fn open(ordinal: u32) -> Result<Arc<Self>, GpuError> {
        let device = Device::Cuda(ordinal);
        let unavailable = |reason: String| GpuError::Unavailable { device, reason };
        if !is_library_present() {
            return Err(unavailable("there is no CUDA driver".into()));
        }
        let found = attempt(driver_version).map_err(|error| unavailable(message(error)))?;
        if found < NEEDED {
            let reason = format!("the driver offers CUDA {found}, and {NEEDED} is needed");
            return Err(unavailable(reason));
        }
        let gpu = attempt(|| Self::begin(ordinal)).map_err(|error| unavailable(message(error)))?;
        if gpu.capability < OLDEST {
            let ((major, minor), (needed_major, needed_minor)) = (gpu.capability, OLDEST);
            return Err(unavailable(format!(
                "its compute capability is {major}.{minor}, and {needed_major}.{needed_minor} is needed"
            )));
        }
        Ok(Arc::new(gpu))
    }

    #[expect(unsafe_code, reason = "the bindings have no safe form of these calls")]
    fn begin(ordinal: u32) -> Result<Self, DriverError> {
        use sys::CUdevice_attribute::{
            CU_DEVICE_ATTRIBUTE_CLOCK_RATE as CLOCK,
            CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR as MAJOR,
            CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR as MINOR,
            CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT as MULTIPROCESSORS,
        };
        result::init()?;
        let raw = result::device::get(i32::try_from(ordinal).unwrap_or(i32::MAX))?;
        // SAFETY: `raw` comes from `get`.
        let attribute = |which| unsafe { result::device::get_attribute(raw, which) };
        let number = |which| attribute(which).map(i32::unsigned_abs);
        let capability = (number(MAJOR)?, number(MINOR)?);
        let multiprocessors = number(MULTIPROCESSORS)?;
        // Only told to users; a driver may not tell it.
        let clock_kilohertz = number(CLOCK).unwrap_or(0);
        // SAFETY: as above; the context is given back by `Retained` or by the device's own `drop`.
        let context = unsafe { result::primary_ctx::retain(raw)? };
        let retained = Retained(raw);
        // SAFETY: the context was made a moment ago.
        unsafe { result::ctx::set_current(context)? };
        let gpu = Self {
            ordinal,
            raw,
            context,
            capability,
            multiprocessors,
            clock_kilohertz,
            ledger: Ledger::of_device(Device::Cuda(ordinal), u64::MAX),
            pool: Pool::of(raw)?,
            work: Stream::new(false)?,
            preview: Stream::new(true)?,
            marks: Mutex::new(Marks {
                pace: Pace::default(),
                events: [Event::new()?, Event::new()?],
                open: None,
            }),
            loaded: Mutex::default(),
            library: OnceLock::new(),
            lost: OnceLock::new(),
            checked: Mutex::default(),
        };
        std::mem::forget(retained);
        Ok(gpu)
    }

    /// Asks the driver with the context current, unless the device is lost.
    pub(super) fn call<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce() -> Result<T, DriverError>,
    ) -> Result<T, GpuError> {
        if let Some(error) = self.lost.get() {
            return Err(error.clone());
        }
        self.ask(work).map_err(|error| self.judge(doing, error))
    }

    #[expect(unsafe_code, reason = "the bindings have no safe form of this call")]
    pub(super) fn ask<T>(
        &self,
        work: impl FnOnce() -> Result<T, DriverError>,
    ) -> Result<T, Option<DriverError>> {
        attempt(|| {
            // SAFETY: the context lives as long as the device.
            unsafe { result::ctx::set_current(self.context)? };
            work()
        })
    }

    pub(super) fn judge(&self, doing: &'static str, error: Option<DriverError>) -> GpuError {
        let device = self.device();
        let message = message(error);
        if !error.is_some_and(|error| is_for_ever(error.0)) {
            return GpuError::Refused {
                device,
                doing,
                message,
            };
        }
        let lost = GpuError::Lost {
            device,
            doing,
            message,
        };
        tracing::error!("{lost}");
        self.lost.get_or_init(|| lost).clone()
    }

    /// The device.
    pub fn device(&self) -> Device {
        Device::Cuda(self.ordinal)
    }

    /// Its compute capability, major and minor.
    pub fn compute_capability(&self) -> (u32, u32) {
        self.capability
    }

    /// How many multiprocessors it has.
    pub fn multiprocessors(&self) -> u32 {
        self.multiprocessors
    }

    /// Its greatest clock rate in kHz; 0 where the driver does not tell.
    pub fn clock_kilohertz(&self) -> u32 {
        self.clock_kilohertz
    }

    /// The account of its memory.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The error that it does not recover from, once there is one.
    pub fn lost(&self) -> Option<&GpuError> {
        self.lost.get()
    }

    /// What of its memory is free, and all of it, in bytes.
    ///
    /// # Errors
    ///
    /// Whatever happened to the device.
    pub fn free_and_total_bytes(&self) -> Result<(u64, u64), GpuError> {
        let (free, total) = self.call("to tell its memory", result::mem_get_info)?;
        Ok((free as u64, total as u64))
    }

    /// Gives memory back to the system that is kept for the next buffers and not in use by queued work. It
    /// waits for nothing.
    ///
    /// # Errors
    ///
    /// Whatever happened to the device.
    pub fn trim(&self) -> Result<(), GpuError> {
        match &self.pool {
            Some(pool) => self.call("to give memory back", || pool.trim()),
            None => Ok(()),
        }
    }

    /// Waits until all work is done.
    ///
    /// # Errors
    ///
    /// Whatever happened to the device during that work.
    pub fn wait(&self) -> Result<(), GpuError> {
        let mut marks = enter(&self.marks);
        self.call("to finish its work", || {
            self.work.wait()?;
            self.preview.wait()
        })?;
        marks.rest();
        Ok(())
    }

    /// Notes that all work of the work lane is done.
    pub(super) fn rest(&self) {
        enter(&self.marks).rest();
    }

    /// Has what `after` is asked for from now on wait for what `before` was asked for so far.
    ///
    /// # Errors
    ///
    /// Whatever happened to the device.
    pub fn order(&self, before: Lane, after: Lane) -> Result<(), GpuError> {
        self.call("to order its work", || {
            let event = Event::new()?;
            let ordered = event
                .record(self.stream(before))
                .and_then(|()| event.hold(self.stream(after)));
            // It is gone only after both streams have passed it.
            event.destroy()?;
            ordered
        })
    }

    fn stream(&self, lane: Lane) -> &Stream {
        match lane {
            Lane::Work => &self.work,
            Lane::Preview => &self.preview,
        }
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
    pub fn launch(&self, lane: Lane, launch: &Launch) -> Result<(), GpuError> {
        if launch.is_empty() {
            return Ok(());
        }
        let function = self.function(launch.file, &launch.kernel)?;
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
        let stream = self.stream(lane).0;
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
            marks.events[next].record(&self.work)?;
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
        if let Some(known) = enter(&self.checked).get(kernels) {
            return known.clone();
        }
        let answer = check();
        // What ran out of memory was not checked.
        if !matches!(answer, Err(GpuError::OutOfMemory(_))) {
            enter(&self.checked).insert(kernels, answer.clone());
        }
        answer
    }

    /// Whether the device's kernels of this name were checked and gave their known answers.
    pub fn has_passed(&self, kernels: &str) -> bool {
        enter(&self.checked).get(kernels).is_some_and(Result::is_ok)
    }

    fn function(&self, file: File, name: &str) -> Result<sys::CUfunction, GpuError> {
        let mut loaded = enter(&self.loaded);
        if let Some(function) = loaded.functions.get(name) {
            return Ok(*function);
        }
        let module = match loaded.modules.get(&file) {
            Some(module) => *module,
            None => {
                let module = self.load(file)?;
                loaded.modules.insert(file, module);
                module
            }
        };
        let function = self.find(module, name)?;
        loaded.functions.insert(name.to_owned(), function);
        Ok(function)
    }

    #[expect(unsafe_code, reason = "the bindings have no safe form of this call")]
    fn find(&self, module: sys::CUmodule, name: &str) -> Result<sys::CUfunction, GpuError> {
        let name = CString::new(name).unwrap_or_default();
        // SAFETY: the module is loaded.
        self.call("a kernel that it should have", || unsafe {
            result::module::get_function(module, name)
        })
    }

    /// Loads a file of kernels: machine code, or else PTX for the driver to compile.
    #[expect(unsafe_code, reason = "the bindings have no safe form of this call")]
    fn load(&self, file: File) -> Result<sys::CUmodule, GpuError> {
        let refused = |message: String| GpuError::Refused {
            device: self.device(),
            doing: "to load its kernels",
            message,
        };
        let mut last = refused("there are none for its compute capability".into());
        for binary in Binary::in_order(file, self.capability) {
            let mut image = binary
                .content()
                .map_err(|error| refused(format!("{}: {error}", binary.name)))?;
            // PTX is a text that ends with 0.
            image.push(0);
            // SAFETY: the image is whole, as its compression checked, and ends as it has to.
            let loaded = self.call("to load its kernels", || unsafe {
                result::module::load_data(image.as_ptr().cast())
            });
            match loaded {
                Err(error @ GpuError::Refused { .. }) => {
                    tracing::warn!("{}: {error}", binary.name);
                    last = error;
                }
                other => return other,
            }
        }
        Err(last)
    }
}

/// A context that nothing was built on yet.
struct Retained(sys::CUdevice);

impl Drop for Retained {
    fn drop(&mut self) {
        release_context(self.0);
    }
}

#[expect(unsafe_code, reason = "the bindings have no safe form of this call")]
fn release_context(device: sys::CUdevice) {
    // SAFETY: the context was retained once and is released once.
    if let Err(error) = attempt(|| unsafe { result::primary_ctx::release(device) }) {
        tracing::warn!("a CUDA context could not be released: {}", message(error));
    }
}

impl Drop for Gpu {
    #[expect(unsafe_code, reason = "the bindings have no safe form of these calls")]
    fn drop(&mut self) {
        // Of a lost device nothing can be given back but the context itself.
        if self.lost.get().is_none() {
            let loaded = std::mem::take(&mut *enter(&self.loaded));
            let library = self.library.take().flatten();
            let events = &enter(&self.marks).events;
            let ended = self.ask(|| {
                self.work.wait()?;
                self.preview.wait()?;
                library.into_iter().for_each(CublasLt::close);
                events.iter().try_for_each(Event::destroy)?;
                for module in loaded.modules.into_values() {
                    // SAFETY: loaded once, unloaded once, and nothing runs any more.
                    unsafe { result::module::unload(module)? };
                }
                self.work.destroy()?;
                self.preview.destroy()?;
                self.pool.as_ref().map_or(Ok(()), Pool::trim)
            });
            if let Err(error) = ended {
                tracing::warn!(
                    "{} was not left in order: {}",
                    self.device(),
                    message(error)
                );
            }
        }
        release_context(self.raw);
    }
}
