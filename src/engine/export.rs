//! The export thread: writing and keeping meshes, so that neither waits behind a long job.

use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use crate::formats::{self, Format, SaveError, Saved, Watch, WriteOptions};
use crate::mesh::Mesh;

/// A mesh to write.
#[derive(Debug, Clone)]
pub struct Export {
    /// What to write.
    pub mesh: Arc<Mesh>,
    /// Where to.
    pub path: PathBuf,
    /// In which format.
    pub format: Format,
    /// Size, name and settings.
    pub options: WriteOptions,
}

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The file could not be written.
    #[error(transparent)]
    Save(SaveError),
    /// Too many exports wait.
    #[error("too many exports wait; try again when one of them has ended")]
    Busy,
    /// The export panicked. Always a defect of this program.
    #[error("an internal error stopped the export ({0}); this is a defect of Orfeas")]
    Panicked(String),
    /// The export thread has ended.
    #[error("the program is closing, nothing was written")]
    Closed,
}

/// The most exports that may wait.
const WAITING_LIMIT: usize = 64;

type Task = Box<dyn FnOnce() + Send>;

/// A running export.
#[derive(Debug)]
pub struct Ticket(Receiver<Result<Saved, ExportError>>);

impl Ticket {
    /// Waits for the end of the export.
    ///
    /// # Errors
    ///
    /// Why nothing was written.
    pub fn wait(self) -> Result<Saved, ExportError> {
        self.0.recv().unwrap_or(Err(ExportError::Closed))
    }

    /// The end of the export, once it is there, after at most `timeout`.
    pub fn wait_for(&self, timeout: Duration) -> Option<Result<Saved, ExportError>> {
        match self.0.recv_timeout(timeout) {
            Ok(result) => Some(result),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Err(ExportError::Closed)),
        }
    }
}

/// The thread's inbox. Dropping it lets the thread finish what waits, and ends it.
#[derive(Debug)]
pub(super) struct Exporter {
    inbox: Option<SyncSender<Task>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Exporter {
    pub(super) fn start() -> std::io::Result<Self> {
        let (inbox, tasks) = sync_channel::<Task>(WAITING_LIMIT);
        let thread = std::thread::Builder::new()
            .name("orfeas-export".into())
            .spawn(move || {
                for task in tasks {
                    let attempt = std::panic::catch_unwind(std::panic::AssertUnwindSafe(task));
                    if let Err(payload) = attempt {
                        let message = panic_message(payload.as_ref());
                        tracing::error!(message, "a task of the export thread panicked");
                    }
                }
            })?;
        Ok(Self {
            inbox: Some(inbox),
            thread: Some(thread),
        })
    }

    pub(super) fn export(&self, export: Export, watch: Arc<Watch>) -> Result<Ticket, ExportError> {
        let (reply, answer) = sync_channel(1);
        self.run(move || {
            // Nobody may be waiting for the reply any more; the file is written all the same.
            drop(reply.send(save(&export, &watch)));
        })?;
        Ok(Ticket(answer))
    }

    /// Runs a task behind those that wait.
    pub(super) fn run(&self, task: impl FnOnce() + Send + 'static) -> Result<(), ExportError> {
        let inbox = self.inbox.as_ref().ok_or(ExportError::Closed)?;
        match inbox.try_send(Box::new(task)) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => Err(ExportError::Busy),
            Err(TrySendError::Disconnected(_)) => Err(ExportError::Closed),
        }
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.inbox = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the export thread panicked");
        }
    }
}

fn save(export: &Export, watch: &Watch) -> Result<Saved, ExportError> {
    let _span =
        tracing::info_span!("export", format = %export.format, path = %export.path.display())
            .entered();
    let attempt = std::panic::AssertUnwindSafe(|| {
        formats::save_watched(
            &export.mesh,
            &export.path,
            export.format,
            &export.options,
            watch,
        )
    });
    match std::panic::catch_unwind(attempt) {
        Ok(saved) => saved.map_err(ExportError::Save),
        Err(payload) => Err(ExportError::Panicked(panic_message(payload.as_ref()))),
    }
}

/// What a panic said.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "an internal error without a message".to_owned())
}
