//! What the operating system tells about this process.

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
