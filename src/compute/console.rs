//! The console that Windows gives a program which is started without one. It never prints.

/// Lets go of the console when this process is the only one on it: it was made for a program that was
/// started from the desktop, and would stand behind its window, empty. One that the program shares with the
/// shell it was started from stays, so that what it prints there is read. Does nothing on other systems.
#[cfg(windows)]
#[expect(unsafe_code, reason = "the system's calls have no safe form")]
pub fn release_own() {
    use windows_sys::Win32::System::Console::{FreeConsole, GetConsoleProcessList};

    let mut processes = [0_u32; 2];
    // SAFETY: the pointer is valid for as many numbers as the call is told of.
    let count = unsafe { GetConsoleProcessList(processes.as_mut_ptr(), processes.len() as u32) };
    if count == 1 {
        // SAFETY: it has no preconditions. Afterwards what is printed goes nowhere, which the standard
        // library takes for success.
        let freed = unsafe { FreeConsole() };
        if freed == 0 {
            tracing::warn!("the console stays: {}", std::io::Error::last_os_error());
        }
    }
}

/// Does nothing: this system opens no console of its own accord.
#[cfg(not(windows))]
pub fn release_own() {}
