//! What the operating system tells about the host's memory and this process's share of it.

use std::path::Path;

use serde::Serialize;
use sysinfo::{MemoryRefreshKind, Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// Has the allocator give every large buffer back to the system as soon as it is freed. GNU's raises the size from
/// which it does so with every such buffer, up to 32 MB, and keeps what is smaller: 0.1 GB of the 1.9 GB of a run of
/// TripoSR. Call it before any other thread is started.
pub fn give_large_buffers_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// From which size on a buffer is mapped by itself.
        const LARGE_BYTES: libc::c_int = 1 << 20;
        #[expect(unsafe_code, reason = "the C library has no safe form of this call")]
        // SAFETY: it changes nothing but a number that later allocations are compared with.
        let is_set = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BYTES) };
        if is_set == 0 {
            tracing::debug!("the allocator keeps its own threshold of large buffers");
        }
    }
}

/// The host's memory at one moment, in bytes. What the system does not tell is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct HostMemory {
    /// What is installed, or what this process's container may use of it.
    pub total_bytes: Option<u64>,
    /// What can be had without swapping.
    pub available_bytes: Option<u64>,
    /// What this process holds now.
    pub resident_bytes: Option<u64>,
}

impl HostMemory {
    /// The share that is not available, in percent.
    pub fn used_percent(&self) -> Option<f64> {
        let (total, available) = (self.total_bytes?, self.available_bytes?);
        (total > 0).then(|| 100.0 * total.saturating_sub(available) as f64 / total as f64)
    }
}

/// Reads the host's memory, and nothing else of the system.
#[derive(Debug)]
pub struct HostReader {
    /// `None` on a platform that is not supported.
    system: Option<System>,
}

impl Default for HostReader {
    fn default() -> Self {
        Self {
            system: System::new().ok(),
        }
    }
}

impl HostReader {
    /// Reads. It takes some 0.1 ms.
    pub fn read(&mut self) -> HostMemory {
        let Some(system) = &mut self.system else {
            return HostMemory::default();
        };
        system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        let known = |bytes: u64| (bytes > 0).then_some(bytes);
        let mut memory = HostMemory {
            total_bytes: known(system.total_memory()),
            available_bytes: known(system.available_memory()),
            resident_bytes: None,
        };
        if let Some(limits) = system.cgroup_limits() {
            // Of a container's own, the page cache can be had back; what is resident cannot.
            let available = limits.total_memory.saturating_sub(limits.rss);
            memory.total_bytes = memory
                .total_bytes
                .map(|bytes| bytes.min(limits.total_memory));
            memory.available_bytes = memory.available_bytes.map(|bytes| bytes.min(available));
        }
        let ours = Pid::from_u32(std::process::id());
        system.refresh_processes_specifics(
            ProcessesToUpdate::Some(&[ours]),
            false,
            ProcessRefreshKind::nothing().with_memory(),
        );
        memory.resident_bytes = system
            .process(ours)
            .and_then(|process| known(process.memory()));
        memory
    }
}

/// What a user may still write to the disk that holds `folder`, or will hold it, in bytes; `None` where
/// the system does not tell. Also of network shares and of disks in memory.
pub fn free_disk_bytes(folder: &Path) -> Option<u64> {
    let there = folder.ancestors().find(|folder| folder.exists());
    free_bytes_at(match there {
        // Of a relative path nothing is left.
        None => Path::new("."),
        Some(there) if there.as_os_str().is_empty() => Path::new("."),
        Some(there) => there,
    })
}

#[cfg(unix)]
#[expect(
    unsafe_code,
    reason = "statvfs has no safe form in the standard library"
)]
fn free_bytes_at(folder: &Path) -> Option<u64> {
    use std::os::unix::ffi::OsStrExt;

    let path = std::ffi::CString::new(folder.as_os_str().as_bytes()).ok()?;
    let mut disk = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: the path ends in a zero, and the pointer is valid for one `statvfs`, which the call fills.
    let status = unsafe { libc::statvfs(path.as_ptr(), disk.as_mut_ptr()) };
    if status != 0 {
        return None;
    }
    // SAFETY: zeroed at first and filled by the successful call; every bit pattern is valid.
    let disk = unsafe { disk.assume_init() };
    wide(disk.f_bavail).checked_mul(wide(disk.f_frsize))
}

/// A count as the system gives it, which is narrower on some.
#[cfg(unix)]
fn wide(number: impl Into<u64>) -> u64 {
    number.into()
}

#[cfg(windows)]
#[expect(
    unsafe_code,
    reason = "GetDiskFreeSpaceEx has no safe form in the standard library"
)]
fn free_bytes_at(folder: &Path) -> Option<u64> {
    use std::os::windows::ffi::OsStrExt;

    let path: Vec<u16> = folder.as_os_str().encode_wide().chain([0]).collect();
    let mut free_bytes = 0;
    // SAFETY: the path ends in a zero; the first pointer is valid for one number, and the call allows the
    // others to be null.
    let status = unsafe {
        windows_sys::Win32::Storage::FileSystem::GetDiskFreeSpaceExW(
            path.as_ptr(),
            &mut free_bytes,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
        )
    };
    (status != 0).then_some(free_bytes)
}

#[cfg(not(any(unix, windows)))]
fn free_bytes_at(_: &Path) -> Option<u64> {
    None
}

/// The most physical memory this process has held so far, in bytes; `None` where the system does not
/// tell.
#[cfg(unix)]
#[expect(
    unsafe_code,
    reason = "getrusage has no safe form in the standard library"
)]
pub fn peak_memory_bytes() -> Option<u64> {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is valid for one `rusage`, which the call fills.
    let status = unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) };
    if status != 0 {
        return None;
    }
    // SAFETY: zeroed at first and filled by the successful call; every bit pattern is valid.
    let peak = u64::try_from(unsafe { usage.assume_init() }.ru_maxrss).ok()?;
    // Linux and the BSDs count in KiB, macOS in bytes.
    Some(if cfg!(target_os = "macos") {
        peak
    } else {
        peak * 1024
    })
}

/// The most physical memory this process has held so far, in bytes; `None` where the system does not
/// tell.
#[cfg(not(unix))]
pub fn peak_memory_bytes() -> Option<u64> {
    None
}

/// Has a write beyond a limit of file size (`ulimit -f`) fail as one on a full disk does, instead of ending
/// the process in the middle of it. For the start of the program.
#[cfg(unix)]
#[expect(
    unsafe_code,
    reason = "signal has no safe form in the standard library"
)]
pub fn outlive_file_size_limit() {
    // SAFETY: ignoring a signal installs no handler, so nothing runs that could break an invariant.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// Nothing: this platform knows no such limit.
#[cfg(not(unix))]
pub fn outlive_file_size_limit() {}
