//! What CUDA offers on this machine, found out without creating a context and without ever panicking.

use std::ffi::CStr;
use std::fmt;
use std::mem::MaybeUninit;

use cudarc::driver::{DriverError, result, sys};
use serde::Serialize;

/// The oldest CUDA version of a driver that has every function this program calls: 12.0, which came
/// with driver 525.
pub(super) const NEEDED: DriverVersion = DriverVersion {
    major: 12,
    minor: 0,
};

/// The newest version of CUDA that a driver knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct DriverVersion {
    /// The number before the point.
    pub major: u32,
    /// The number after it.
    pub minor: u32,
}

impl fmt::Display for DriverVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A device that CUDA can compute on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CudaDevice {
    /// Its place in CUDA's own order, as in `cuda:0`.
    pub ordinal: u32,
    /// The maker's name.
    pub name: String,
    /// Its identifier without prefix, 32 hexadecimal digits in five groups; of a part of a device where
    /// that is what CUDA uses. The same as the driver's management library tells.
    pub uuid: Option<String>,
    /// Its compute capability, major and minor.
    pub compute_capability: (u32, u32),
    /// Its memory in bytes.
    pub total_bytes: u64,
}

impl CudaDevice {
    /// Whether it multiplies matrices of 16-bit numbers in hardware.
    pub fn has_tensor_cores(&self) -> bool {
        self.compute_capability >= (7, 0)
    }

    /// Whether it computes in bfloat16.
    pub fn has_bf16(&self) -> bool {
        self.compute_capability >= (8, 0)
    }
}

/// What CUDA offers here. Each of these is a normal state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CudaProbe {
    /// There is no CUDA driver.
    NoLibrary,
    /// The driver knows only an older CUDA than this program needs.
    DriverTooOld {
        /// What the driver knows.
        found: DriverVersion,
    },
    /// There is a driver and no device it could use.
    NoDevice,
    /// The driver refused.
    Failed {
        /// What it said.
        message: String,
    },
    /// There are devices.
    Devices {
        /// The newest CUDA the driver knows.
        version: DriverVersion,
        /// In CUDA's own order; never empty.
        devices: Vec<CudaDevice>,
    },
}

impl CudaProbe {
    /// The devices, in CUDA's own order; empty where there are none.
    pub fn devices(&self) -> &[CudaDevice] {
        match self {
            Self::Devices { devices, .. } => devices,
            _ => &[],
        }
    }

    /// What the user can do about it; `None` where CUDA works.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::NoLibrary => Some(
                "on a machine with an NVIDIA GPU install NVIDIA's driver, version 525 or newer; \
                 without one everything runs on the processor",
            ),
            Self::DriverTooOld { .. } => Some("install NVIDIA's driver, version 525 or newer"),
            Self::NoDevice => Some(
                "check that the GPU is enabled, that this user or container may use it, and that \
                 CUDA_VISIBLE_DEVICES does not hide it",
            ),
            Self::Failed { .. } => {
                Some("restart the machine after an update of the driver, or install it again")
            }
            Self::Devices { .. } => None,
        }
    }
}

impl fmt::Display for CudaProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLibrary => f.write_str("there is no CUDA driver"),
            Self::DriverTooOld { found } => {
                write!(f, "the driver offers CUDA {found}, and {NEEDED} is needed")
            }
            Self::NoDevice => f.write_str("there is a CUDA driver and no device it can use"),
            Self::Failed { message } => write!(f, "the CUDA driver cannot be used: {message}"),
            Self::Devices { version, devices } => {
                write!(f, "CUDA {version}: ")?;
                for (place, device) in devices.iter().enumerate() {
                    let separator = if place == 0 { "" } else { ", " };
                    let (major, minor) = device.compute_capability;
                    write!(
                        f,
                        "{separator}cuda:{} {} (compute capability {major}.{minor}, {:.1} GB)",
                        device.ordinal,
                        device.name,
                        device.total_bytes as f64 / 1e9
                    )?;
                }
                Ok(())
            }
        }
    }
}

/// Asks the driver what there is. It may take a second where the driver first has to wake a device,
/// creates no context and never panics.
pub fn probe() -> CudaProbe {
    // A driver that lacks a function the bindings expect makes them panic.
    std::panic::catch_unwind(ask).unwrap_or_else(|_panic| CudaProbe::Failed {
        message: "it lacks a function that every driver of its version has".into(),
    })
}

fn ask() -> CudaProbe {
    if !is_library_present() {
        return CudaProbe::NoLibrary;
    }
    match driver_version() {
        Ok(found) if found < NEEDED => CudaProbe::DriverTooOld { found },
        Ok(version) => match result::init().and_then(|()| devices()) {
            Ok(devices) if devices.is_empty() => CudaProbe::NoDevice,
            Ok(devices) => CudaProbe::Devices { version, devices },
            Err(DriverError(sys::CUresult::CUDA_ERROR_NO_DEVICE)) => CudaProbe::NoDevice,
            Err(error) => failed(error),
        },
        Err(error) => failed(error),
    }
}

fn failed(error: DriverError) -> CudaProbe {
    let message = words(error);
    CudaProbe::Failed { message }
}

/// What the driver says of an error.
pub(super) fn words(error: DriverError) -> String {
    let code = error.0 as u32;
    match error.error_string() {
        Ok(text) => format!("{} (code {code})", text.to_string_lossy()),
        Err(_no_text) => format!("error {code}"),
    }
}

#[expect(unsafe_code, reason = "loading the driver's library runs its code")]
pub(super) fn is_library_present() -> bool {
    // SAFETY: the names are those of NVIDIA's driver, whose start-up code has no preconditions.
    unsafe { sys::is_culib_present() }
}

#[expect(unsafe_code, reason = "the bindings have no safe form of this call")]
pub(super) fn driver_version() -> Result<DriverVersion, DriverError> {
    let mut version = 0;
    // SAFETY: the pointer is valid for one integer; the call needs no initialisation.
    unsafe { sys::cuDriverGetVersion(&raw mut version) }.result()?;
    // 12040 is 12.4.
    let version = version.unsigned_abs();
    Ok(DriverVersion {
        major: version / 1000,
        minor: version % 1000 / 10,
    })
}

/// The devices of a driver that was initialised. One that cannot be asked is left out.
fn devices() -> Result<Vec<CudaDevice>, DriverError> {
    let count = result::device::get_count()?;
    Ok((0..count)
        .filter_map(|ordinal| match device(ordinal) {
            Ok(device) => Some(device),
            Err(error) => {
                tracing::warn!("cuda:{ordinal} is left out: {error}");
                None
            }
        })
        .collect())
}

#[expect(unsafe_code, reason = "the bindings have no safe form of these calls")]
fn device(ordinal: i32) -> Result<CudaDevice, DriverError> {
    use sys::CUdevice_attribute::{
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR as MAJOR,
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR as MINOR,
    };
    let device = result::device::get(ordinal)?;
    // SAFETY: `device` comes from `get`, which is all that the calls ask for.
    let (major, minor, total) = unsafe {
        (
            result::device::get_attribute(device, MAJOR)?,
            result::device::get_attribute(device, MINOR)?,
            result::device::total_mem(device)?,
        )
    };
    Ok(CudaDevice {
        ordinal: ordinal.unsigned_abs(),
        name: name(device)?,
        uuid: uuid(device),
        compute_capability: (major.unsigned_abs(), minor.unsigned_abs()),
        total_bytes: total as u64,
    })
}

/// The name, cut where the driver did not end it.
#[expect(unsafe_code, reason = "the safe form panics on a name without an end")]
fn name(device: sys::CUdevice) -> Result<String, DriverError> {
    let mut buffer = [0_u8; 256];
    let room = buffer.len() as i32 - 1;
    // SAFETY: the buffer is valid for `room` bytes, and its last one stays 0.
    unsafe { sys::cuDeviceGetName(buffer.as_mut_ptr().cast(), room, device) }.result()?;
    let text = CStr::from_bytes_until_nul(&buffer).unwrap_or_default();
    Ok(text.to_string_lossy().into_owned())
}

#[expect(
    unsafe_code,
    reason = "the safe form tells the whole device's identifier where CUDA uses a part of it"
)]
fn uuid(device: sys::CUdevice) -> Option<String> {
    let mut uuid = MaybeUninit::<sys::CUuuid>::zeroed();
    // SAFETY: the pointer is valid for one identifier, which the call fills.
    let status = unsafe { sys::cuDeviceGetUuid_v2(uuid.as_mut_ptr(), device) };
    status.result().ok()?;
    // SAFETY: zeroed at first and filled by the successful call; every bit pattern is valid.
    let bytes = unsafe { uuid.assume_init() }.bytes;
    let mut text = String::with_capacity(36);
    for (place, byte) in bytes.into_iter().enumerate() {
        if [4, 6, 8, 10].contains(&place) {
            text.push('-');
        }
        text.push_str(&format!("{:02x}", byte as u8));
    }
    Some(text)
}
