//! A CUDA device that was opened: its context, and what all of its queues share. It queues nothing itself.

use std::collections::HashMap;
use std::ffi::CString;
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use cudarc::driver::{DriverError, result, sys};

use super::GpuError;
use super::cublaslt::CublasLt;
use super::driver::{Pool, is_for_ever};
use crate::compute::kernels::{Binary, File};
use crate::compute::probe::{NEEDED, driver_version, is_library_present, words};
use crate::compute::{Device, Ledger};

/// The oldest devices that there are kernels for.
const OLDEST: (u32, u32) = (7, 5);

/// A device in use.
#[derive(Debug)]
pub(super) struct Opened {
    ordinal: u32,
    raw: sys::CUdevice,
    context: sys::CUcontext,
    pub(super) capability: (u32, u32),
    pub(super) multiprocessors: u32,
    pub(super) clock_kilohertz: u32,
    pub(super) ledger: Ledger,
    pub(super) pool: Option<Pool>,
    loaded: Mutex<Loaded>,
    /// `None` where no cuBLASLt was found; empty before it was looked for.
    pub(super) library: OnceLock<Option<CublasLt>>,
    lost: OnceLock<GpuError>,
    pub(super) checked: Mutex<HashMap<&'static str, Result<(), GpuError>>>,
}

#[derive(Debug, Default)]
struct Loaded {
    modules: HashMap<File, sys::CUmodule>,
    functions: HashMap<String, sys::CUfunction>,
}

#[expect(unsafe_code, reason = "the driver's handles are pointers")]
// SAFETY: the driver's handles, and cuBLASLt's, may be used from any thread that the context is current on,
// which `call` sees to.
unsafe impl Send for Opened {}
#[expect(unsafe_code, reason = "the driver's handles are pointers")]
// SAFETY: the driver's functions may be called from several threads at once, and so may cuBLASLt's where they
// share a handle; what it described is used under a lock.
unsafe impl Sync for Opened {}

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

impl Opened {
    /// Begins to use the device with this ordinal.
    ///
    /// # Errors
    ///
    /// [`GpuError::Unavailable`] where there is no driver, no such device, or none that there are kernels
    /// for.
    pub(super) fn open(ordinal: u32) -> Result<Self, GpuError> {
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
        let opened = attempt(|| Self::begin(ordinal));
        let opened = opened.map_err(|error| unavailable(message(error)))?;
        if opened.capability < OLDEST {
            let ((major, minor), (needed_major, needed_minor)) = (opened.capability, OLDEST);
            return Err(unavailable(format!(
                "its compute capability is {major}.{minor}, and {needed_major}.{needed_minor} is needed"
            )));
        }
        Ok(opened)
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
        let opened = Self {
            ordinal,
            raw,
            context,
            capability,
            multiprocessors,
            clock_kilohertz,
            ledger: Ledger::of_device(Device::Cuda(ordinal), u64::MAX),
            pool: Pool::of(raw)?,
            loaded: Mutex::default(),
            library: OnceLock::new(),
            lost: OnceLock::new(),
            checked: Mutex::default(),
        };
        std::mem::forget(retained);
        Ok(opened)
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

    /// Tells the log that something could not be given back.
    pub(super) fn warn_of_disorder(&self, error: Option<DriverError>) {
        let message = message(error);
        tracing::warn!("{} was not left in order: {message}", self.device());
    }

    /// The device.
    pub(super) fn device(&self) -> Device {
        Device::Cuda(self.ordinal)
    }

    /// The error that it does not recover from, once there is one.
    pub(super) fn lost(&self) -> Option<&GpuError> {
        self.lost.get()
    }

    /// What of its memory is free, and all of it, in bytes.
    pub(super) fn free_and_total_bytes(&self) -> Result<(u64, u64), GpuError> {
        let (free, total) = self.call("to tell its memory", result::mem_get_info)?;
        Ok((free as u64, total as u64))
    }

    /// Gives memory back to the system that is kept for the next buffers and not in use by queued work.
    pub(super) fn trim(&self) -> Result<(), GpuError> {
        match &self.pool {
            Some(pool) => self.call("to give memory back", || pool.trim()),
            None => Ok(()),
        }
    }

    /// Waits until the work of every queue is done.
    pub(super) fn wait(&self) -> Result<(), GpuError> {
        self.call("to finish its work", result::ctx::synchronize)
    }

    /// A kernel by its name, whose file is loaded with the first one of it.
    pub(super) fn function(&self, file: File, name: &str) -> Result<sys::CUfunction, GpuError> {
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

impl Drop for Opened {
    #[expect(unsafe_code, reason = "the bindings have no safe form of this call")]
    fn drop(&mut self) {
        // Of a lost device nothing can be given back but the context itself.
        if self.lost.get().is_none() {
            let loaded = std::mem::take(&mut *enter(&self.loaded));
            let library = self.library.take().flatten();
            // No queue is left, and each waited for its work.
            let ended = self.ask(|| {
                library.into_iter().for_each(CublasLt::close);
                for module in loaded.modules.into_values() {
                    // SAFETY: loaded once, unloaded once, and nothing runs any more.
                    unsafe { result::module::unload(module)? };
                }
                self.pool.as_ref().map_or(Ok(()), Pool::trim)
            });
            if let Err(error) = ended {
                self.warn_of_disorder(error);
            }
        }
        release_context(self.raw);
    }
}
