//! Matrix products by NVIDIA's cuBLASLt, where that library is found on the user's machine; nothing needs
//! it. It is looked for once a device, when it is first asked for.
//!
//! It never decides whether the library's answers are to be trusted: the operators check them first.

mod api;
mod plan;
pub mod search;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::path::{Path, PathBuf};
use std::ptr::null_mut;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use self::api::{Api, Handle, SUCCESS, Status};
use self::plan::{Key, Plan};
use self::search::{Places, VARIABLE, Wish};
use super::opened::enter;
use super::{Gpu, GpuError};
use crate::compute::Number;
use crate::compute::probe::{DriverVersion, driver_version, is_library_present};

pub use self::api::LibraryVersion;

/// Shapes whose plans are kept at most: a model has some tens.
const MOST_PLANS: usize = 512;

/// What is asked for when it fails.
const DOING: &str = "to multiply matrices by cuBLASLt";

/// A cuBLASLt that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FoundLibrary {
    /// Its version.
    pub version: LibraryVersion,
    /// Its file.
    pub path: PathBuf,
}

impl fmt::Display for FoundLibrary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cuBLASLt {}: {}", self.version, self.path.display())
    }
}

/// What a search for cuBLASLt comes to. Each of these is a normal state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LibrarySearch {
    /// The user wants none.
    Off,
    /// There is none that can be used.
    None {
        /// Why files that were found, and values of variables, are of no use.
        passed_over: Vec<String>,
    },
    /// There is one.
    Found(FoundLibrary),
}

/// Looks for the library as a device does, without using it.
pub fn find_library() -> LibrarySearch {
    // A driver that lacks a function the bindings expect makes them panic.
    let driver = std::panic::catch_unwind(|| {
        is_library_present()
            .then(driver_version)
            .and_then(Result::ok)
    });
    let Ok(Some(driver)) = driver else {
        let passed_over = vec!["there is no CUDA driver".into()];
        return LibrarySearch::None { passed_over };
    };
    let places = Places::of_machine();
    if places.wish == Wish::Off && places.refused.is_empty() {
        return LibrarySearch::Off;
    }
    let mut passed_over = places.refused.clone();
    for path in places.candidates() {
        match Api::load(&path, driver) {
            Ok(Api { version, .. }) => {
                return LibrarySearch::Found(FoundLibrary { version, path });
            }
            Err(reason) => passed_over.push(format!("{reason}: {}", path.display())),
        }
    }
    LibrarySearch::None { passed_over }
}

/// `c = a · weightsᵀ`, and the bias where there is one, and what c was where it is added to. The rows of
/// all of them are contiguous. Addresses are those of the device.
#[derive(Debug, Clone, Copy)]
pub struct LibraryProduct {
    /// The format of all numbers, bias included.
    pub number: Number,
    /// Rows of a and c.
    pub rows: usize,
    /// Rows of the weights, columns of c.
    pub outputs: usize,
    /// Columns of a and of the weights.
    pub inputs: usize,
    /// The rows that go in.
    pub a: u64,
    /// The weights.
    pub weights: u64,
    /// One number an output, or 0.
    pub bias: u64,
    /// The result.
    pub c: u64,
    /// Whether the result is added to what c holds.
    pub is_added: bool,
}

impl LibraryProduct {
    fn is_empty(&self) -> bool {
        self.rows == 0 || self.outputs == 0 || self.inputs == 0
    }
}

/// The library in use by a device.
#[derive(Debug)]
pub(super) struct CublasLt {
    found: FoundLibrary,
    api: Api,
    handle: Handle,
    /// `None` for what it has no algorithm for.
    plans: Mutex<HashMap<Key, Option<Plan>>>,
    /// How many products it was asked for.
    products: AtomicU64,
}

impl CublasLt {
    /// Looks for a library that can be used with the device, and says in the log what came of it.
    fn find(gpu: &Gpu) -> Option<Self> {
        let device = gpu.device();
        let driver = gpu.opened.ask(driver_version).ok()?;
        let places = Places::of_machine();
        for refused in &places.refused {
            tracing::warn!("{device}: {refused}");
        }
        if places.wish == Wish::Off {
            tracing::info!("{device}: cuBLASLt is not used, as {VARIABLE} says");
            return None;
        }
        for path in places.candidates() {
            match Self::open(gpu, driver, &path) {
                Ok(library) => {
                    tracing::info!("{device}: found {}", library.found);
                    return Some(library);
                }
                Err(reason) => tracing::warn!(
                    "{device}: a cuBLASLt is passed over, as {reason}: {}",
                    path.display()
                ),
            }
        }
        tracing::info!(
            "{device}: there is no cuBLASLt to be used, so the program's own kernels multiply"
        );
        None
    }

    #[expect(unsafe_code, reason = "the library's functions are foreign")]
    fn open(gpu: &Gpu, driver: DriverVersion, path: &Path) -> Result<Self, String> {
        let api = Api::load(path, driver)?;
        let mut handle = null_mut();
        // SAFETY: the pointer is valid for one handle, and the device's context is current.
        let created = ask(gpu, || unsafe { (api.create)(&raw mut handle) });
        created.map_err(|error| error.to_string())?;
        Ok(Self {
            found: FoundLibrary {
                version: api.version,
                path: path.to_path_buf(),
            },
            api,
            handle,
            plans: Mutex::default(),
            products: AtomicU64::new(0),
        })
    }

    /// Queues a product, unless it has no algorithm for it.
    fn multiply(&self, gpu: &Gpu, product: &LibraryProduct) -> Result<bool, GpuError> {
        let key = Key::of(product);
        let mut plans = enter(&self.plans);
        if plans.len() >= MOST_PLANS && !plans.contains_key(&key) {
            plans.clear();
        }
        // Locked until it is queued: where the bias is, is a part of the plan.
        let plan = match plans.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let plan = Plan::new(&self.api, self.handle, gpu, key, product.bias)?;
                entry.insert(plan)
            }
        };
        let Some(plan) = plan else {
            return Ok(false);
        };
        plan.run(&self.api, self.handle, gpu, product)?;
        self.products.fetch_add(1, Ordering::Relaxed);
        Ok(true)
    }

    /// Gives back what it holds of the device, whose context is current.
    #[expect(unsafe_code, reason = "the library's functions are foreign")]
    pub(super) fn close(self) {
        // SAFETY: created once, destroyed once, and nothing that was asked of it runs any more.
        let status = unsafe { (self.api.destroy)(self.handle) };
        if status != SUCCESS {
            tracing::warn!("cuBLASLt was not left in order: {}", api::name(status));
        }
    }
}

/// Asks the library with the device's context current, unless the device is lost.
fn ask(gpu: &Gpu, work: impl FnOnce() -> Status) -> Result<(), GpuError> {
    let status = gpu.call(DOING, || Ok(work()))?;
    if status == SUCCESS {
        return Ok(());
    }
    // What a device does not recover from, the driver tells whoever asks it next.
    gpu.call(DOING, || gpu.stream.wait())?;
    Err(GpuError::Refused {
        device: gpu.device(),
        doing: DOING,
        message: format!("{} (code {status})", api::name(status)),
    })
}

impl Gpu {
    fn library(&self) -> Option<&CublasLt> {
        let library = self.opened.library.get_or_init(|| CublasLt::find(self));
        library.as_ref()
    }

    /// The cuBLASLt that can multiply matrices here; it is looked for when it is first asked for.
    pub fn found_library(&self) -> Option<&FoundLibrary> {
        self.library().map(|library| &library.found)
    }

    /// How many products cuBLASLt has computed here.
    pub fn products_by_library(&self) -> u64 {
        let library = self.opened.library.get().and_then(Option::as_ref);
        library.map_or(0, |library| library.products.load(Ordering::Relaxed))
    }

    /// Queues a product by cuBLASLt; false where there is none, or it has no algorithm for a product of this
    /// shape. The addresses are those of buffers that are dropped after it was queued.
    ///
    /// # Errors
    ///
    /// [`GpuError::Refused`] with the library's status where it failed; else whatever happened to the
    /// device, also during earlier work.
    pub fn multiply(&self, product: &LibraryProduct) -> Result<bool, GpuError> {
        match self.library() {
            Some(library) if !product.is_empty() => library.multiply(self, product),
            _ => Ok(false),
        }
    }
}
