//! What can be done with a file that was written: show it in the system's file manager, or copy it, to be
//! pasted into a folder, a message or another program.
//!
//! Dragging a file out of the window is not offered: winit, which makes the window, can take files and has
//! no way to hand them out. Copying does the same on every system.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::PoisonError;

use super::app::App;
use super::desk::{Inbox, LaneOf, Message, Problem};

impl App {
    /// Shows a file in the system's file manager, selected where that can be asked for.
    pub(super) fn reveal(&self, file: PathBuf) {
        self.ask_system(file, reveal);
    }

    /// Opens a folder in the system's file manager.
    pub(super) fn show_folder(&self, folder: PathBuf) {
        self.ask_system(folder, |folder| {
            start(Command::new(OPENER).arg(folder), OPENER)
        });
    }

    fn ask_system(&self, path: PathBuf, ask: fn(&Path) -> Result<(), String>) {
        let inbox = self.desk.inbox.clone();
        // A thread of its own: a file manager that starts may answer late, or never.
        let thread = std::thread::Builder::new()
            .name("orfeas-reveal".into())
            .spawn(move || {
                if let Err(reason) = ask(&path) {
                    send_problem(&inbox, "The folder could not be opened", &reason, &path);
                }
            });
        if let Err(error) = thread {
            tracing::warn!(%error, "no thread to open a folder on");
        }
    }

    /// Puts a file on the clipboard.
    pub(super) fn copy_file(&self, file: PathBuf) {
        let clipboard = self.clipboard.clone();
        self.desk.run(LaneOf::Files, move |inbox| {
            let mut clipboard = clipboard.lock().unwrap_or_else(PoisonError::into_inner);
            let copied = match &mut *clipboard {
                Some(clipboard) => clipboard.set().file_list(&[&file]),
                none => arboard::Clipboard::new()
                    .and_then(|fresh| none.insert(fresh).set().file_list(&[&file])),
            };
            if let Err(error) = copied {
                send_problem(
                    inbox,
                    "The file could not be copied",
                    &error.to_string(),
                    &file,
                );
            }
        });
    }
}

/// The program that opens a folder.
const OPENER: &str = if cfg!(target_os = "windows") {
    "explorer"
} else if cfg!(target_os = "macos") {
    "open"
} else {
    "xdg-open"
};

fn send_problem(inbox: &Inbox, headline: &str, reason: &str, file: &Path) {
    inbox.send(Message::Notice(Problem::new(
        headline,
        format!("{reason}: {}", file.display()),
    )));
}

#[cfg(target_os = "windows")]
fn reveal(file: &Path) -> Result<(), String> {
    use std::os::windows::process::CommandExt;
    // Explorer parses its command line itself: the quotes belong around the path alone.
    let argument = format!("/select,\"{}\"", file.display());
    start(Command::new("explorer").raw_arg(argument), "explorer")
}

#[cfg(target_os = "macos")]
fn reveal(file: &Path) -> Result<(), String> {
    start(Command::new("open").arg("-R").arg(file), "open")
}

/// Asks the desktop's file manager to select the file; where there is none that can, the folder is opened.
#[cfg(not(any(target_os = "windows", target_os = "macos")))]
fn reveal(file: &Path) -> Result<(), String> {
    if let Err(error) = pollster::block_on(select(file)) {
        tracing::debug!(%error, "no file manager selects the file; its folder is opened");
        let folder = file.parent().unwrap_or(file);
        return start(Command::new(OPENER).arg(folder), OPENER);
    }
    Ok(())
}

#[cfg(not(any(target_os = "windows", target_os = "macos")))]
async fn select(file: &Path) -> zbus::Result<()> {
    let uris = vec![file_uri(file)];
    zbus::Connection::session()
        .await?
        .call_method(
            Some("org.freedesktop.FileManager1"),
            "/org/freedesktop/FileManager1",
            Some("org.freedesktop.FileManager1"),
            "ShowItems",
            &(uris, ""),
        )
        .await?;
    Ok(())
}

/// A path as RFC 8089 writes it.
#[cfg(not(any(target_os = "windows", target_os = "macos")))]
fn file_uri(file: &Path) -> String {
    use std::fmt::Write;
    let bytes = file.as_os_str().as_encoded_bytes();
    let mut uri = "file://".to_owned();
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            // Writing into a string does not fail.
            write!(uri, "%{byte:02X}").ok();
        }
    }
    uri
}

/// Starts a program and leaves it alone, its ending too: file managers stay open.
fn start(command: &mut Command, name: &str) -> Result<(), String> {
    let mut child = command
        .spawn()
        .map_err(|error| format!("{name} did not start ({error})"))?;
    // This thread has nothing else to do, and a child that nobody waits for would stay as a zombie.
    child.wait().ok();
    Ok(())
}
