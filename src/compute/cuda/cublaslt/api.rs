//! The few functions of cuBLASLt that are called, taken from the library's file, and what they take and
//! give, as `cublasLt.h` declares them.

use std::ffi::{c_int, c_void};
use std::fmt;
use std::mem::{ManuallyDrop, offset_of};
use std::path::Path;

use cudarc::cublaslt::sys;
use cudarc::driver::sys::CUstream;
use serde::Serialize;

use crate::compute::probe::DriverVersion;

#[cfg(unix)]
use libloading::os::unix::Library;
#[cfg(windows)]
use libloading::os::windows::Library;

/// What a function says; 0 for success. Not the bindings' enumeration: a library may say what that does not
/// have.
pub(super) type Status = c_int;

/// A handle of the library, or something that it described.
pub(super) type Handle = *mut c_void;

pub(super) const SUCCESS: Status = sys::cublasStatus_t::CUBLAS_STATUS_SUCCESS as Status;
pub(super) const NOT_SUPPORTED: Status = sys::cublasStatus_t::CUBLAS_STATUS_NOT_SUPPORTED as Status;

/// `CUBLAS_OP_T`: rows and columns are exchanged. The bindings leave it to those of cuBLAS.
pub(super) const TURNED: c_int = 1;

/// Describes an algorithm; only the library can read it.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Algorithm([u64; 8]);

/// An algorithm that the library proposes.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Proposal {
    pub(super) algorithm: Algorithm,
    pub(super) workspace_bytes: usize,
    pub(super) status: Status,
    waves: f32,
    reserved: [c_int; 4],
}

// They are laid out as the bindings' own.
const _: () = {
    type Theirs = sys::cublasLtMatmulHeuristicResult_t;
    assert!(size_of::<Proposal>() == size_of::<Theirs>());
    assert!(offset_of!(Proposal, workspace_bytes) == offset_of!(Theirs, workspaceSize));
    assert!(offset_of!(Proposal, status) == offset_of!(Theirs, state));
};

type Create = unsafe extern "C" fn(*mut Handle) -> Status;
pub(super) type Destroy = unsafe extern "C" fn(Handle) -> Status;
type CreateOperation = unsafe extern "C" fn(*mut Handle, c_int, c_int) -> Status;
type CreateLayout = unsafe extern "C" fn(*mut Handle, c_int, u64, u64, i64) -> Status;
pub(super) type SetAttribute = unsafe extern "C" fn(Handle, c_int, *const c_void, usize) -> Status;
type Propose = unsafe extern "C" fn(
    Handle,
    Handle,
    Handle,
    Handle,
    Handle,
    Handle,
    Handle,
    c_int,
    *mut Proposal,
    *mut c_int,
) -> Status;
type Multiply = unsafe extern "C" fn(
    Handle,
    Handle,
    *const f32,
    *const c_void,
    Handle,
    *const c_void,
    Handle,
    *const f32,
    *const c_void,
    Handle,
    *mut c_void,
    Handle,
    *const Algorithm,
    *mut c_void,
    usize,
    CUstream,
) -> Status;

/// The functions. The library that they are of stays loaded until the process ends: what it registered with
/// the driver cannot be taken back safely.
#[derive(Debug)]
pub(super) struct Api {
    pub(super) version: LibraryVersion,
    pub(super) create: Create,
    pub(super) destroy: Destroy,
    pub(super) create_operation: CreateOperation,
    pub(super) destroy_operation: Destroy,
    pub(super) set_operation: SetAttribute,
    pub(super) create_layout: CreateLayout,
    pub(super) destroy_layout: Destroy,
    pub(super) create_preference: Create,
    pub(super) destroy_preference: Destroy,
    pub(super) set_preference: SetAttribute,
    pub(super) propose: Propose,
    pub(super) multiply: Multiply,
}

/// A version of cuBLASLt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LibraryVersion {
    /// The number before the first point.
    pub major: u32,
    /// The number after it.
    pub minor: u32,
    /// The last number.
    pub patch: u32,
}

/// The oldest version that is used: the first whose attributes are those that are set here.
const OLDEST: LibraryVersion = LibraryVersion {
    major: 12,
    minor: 0,
    patch: 0,
};

impl LibraryVersion {
    /// From the library's own number: 120405 is 12.4.5.
    fn of(number: usize) -> Self {
        let part = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            major: part(number / 10_000),
            minor: part(number / 100 % 100),
            patch: part(number % 100),
        }
    }
}

impl fmt::Display for LibraryVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl Api {
    /// Loads a library by its absolute path, unless it cannot be used with this driver; the error is the
    /// reason in words.
    #[expect(unsafe_code, reason = "a library's functions are called")]
    pub(super) fn load(path: &Path, driver: DriverVersion) -> Result<Self, String> {
        if !path.is_absolute() {
            return Err("it is named without its folder".into());
        }
        // Also where it turns out not to be of use: see above.
        let library = &ManuallyDrop::new(open(path)?);
        let number: unsafe extern "C" fn() -> usize = function(library, "cublasLtGetVersion")?;
        // SAFETY: takes nothing, and may be asked before anything else.
        let version = LibraryVersion::of(unsafe { number() });
        if version < OLDEST {
            return Err(format!("it is {version}, and {OLDEST} is needed"));
        }
        let made_for: unsafe extern "C" fn() -> usize =
            function(library, "cublasLtGetCudartVersion")?;
        // SAFETY: as above. 12040 is CUDA 12.4; every driver of a major version takes all of its libraries.
        let needed = unsafe { made_for() } / 1000;
        if needed > driver.major as usize {
            return Err(format!(
                "it needs a driver of CUDA {needed}, and this one offers {driver}"
            ));
        }
        Ok(Self {
            version,
            create: function(library, "cublasLtCreate")?,
            destroy: function(library, "cublasLtDestroy")?,
            create_operation: function(library, "cublasLtMatmulDescCreate")?,
            destroy_operation: function(library, "cublasLtMatmulDescDestroy")?,
            set_operation: function(library, "cublasLtMatmulDescSetAttribute")?,
            create_layout: function(library, "cublasLtMatrixLayoutCreate")?,
            destroy_layout: function(library, "cublasLtMatrixLayoutDestroy")?,
            create_preference: function(library, "cublasLtMatmulPreferenceCreate")?,
            destroy_preference: function(library, "cublasLtMatmulPreferenceDestroy")?,
            set_preference: function(library, "cublasLtMatmulPreferenceSetAttribute")?,
            propose: function(library, "cublasLtMatmulAlgoGetHeuristic")?,
            multiply: function(library, "cublasLtMatmul")?,
        })
    }
}

/// Loads a file and what it needs from its own folder and the system's, never from the working directory.
#[expect(unsafe_code, reason = "loading a library runs its code")]
fn open(path: &Path) -> Result<Library, String> {
    #[cfg(unix)]
    // SAFETY: the name and the place are those of NVIDIA's library, or the user named it; its start-up code
    // has no preconditions.
    let opened = unsafe {
        use libloading::os::unix::{RTLD_LOCAL, RTLD_NOW};
        Library::open(Some(path), RTLD_NOW | RTLD_LOCAL)
    };
    #[cfg(windows)]
    // SAFETY: as above.
    let opened = unsafe {
        use libloading::os::windows::{
            LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR, LOAD_LIBRARY_SEARCH_SYSTEM32,
        };
        Library::load_with_flags(
            path,
            LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR | LOAD_LIBRARY_SEARCH_SYSTEM32,
        )
    };
    opened.map_err(|error| error.to_string())
}

/// One of its functions; `T` is the type that `cublasLt.h` gives it.
#[expect(
    unsafe_code,
    reason = "a library does not tell the types of its functions"
)]
fn function<T: Copy>(library: &Library, name: &str) -> Result<T, String> {
    // SAFETY: the types above are those of the functions of these names in every version since 12.0.
    let found = unsafe { library.get::<T>(name) };
    found
        .map(|function| *function)
        .map_err(|_missing| format!("it lacks {name}"))
}

/// A status by its name.
pub(super) fn name(status: Status) -> String {
    let name = match status {
        0 => "CUBLAS_STATUS_SUCCESS",
        1 => "CUBLAS_STATUS_NOT_INITIALIZED",
        3 => "CUBLAS_STATUS_ALLOC_FAILED",
        7 => "CUBLAS_STATUS_INVALID_VALUE",
        8 => "CUBLAS_STATUS_ARCH_MISMATCH",
        11 => "CUBLAS_STATUS_MAPPING_ERROR",
        13 => "CUBLAS_STATUS_EXECUTION_FAILED",
        14 => "CUBLAS_STATUS_INTERNAL_ERROR",
        15 => "CUBLAS_STATUS_NOT_SUPPORTED",
        16 => "CUBLAS_STATUS_LICENSE_ERROR",
        _ => return format!("cuBLASLt's status {status}"),
    };
    name.into()
}
