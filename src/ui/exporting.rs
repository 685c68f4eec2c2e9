//! An export that runs: how many faces it will have, how far it is, how it is stopped, and the window
//! that does not close before its file is whole.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use eframe::egui::{self, Align, Align2, Layout, ProgressBar, Ui, ViewportCommand, vec2};

use super::app::App;
use super::desk::{Desk, LaneOf, Message, Problem};
use super::names::file_name;
use super::{theme, widgets};
use crate::engine::{Cancel, Engine, Export, ExportError, ImageReference};
use crate::formats::{Format, SaveError, Saved, Watch, WriteOptions};
use crate::mesh::{Mesh, simplify};

/// How long an export runs before anything is told of it: most are over by then.
const UNTOLD: Duration = Duration::from_millis(300);
/// How often what is told of it is brought up to date.
const REFRESH: Duration = Duration::from_millis(100);

/// A mesh with fewer faces, made while the dialog is open, so that it can tell how many there will be.
pub(super) struct Reduction {
    pub(super) target_faces: usize,
    cancel: Cancel,
    outcome: Arc<OnceLock<Result<Arc<Mesh>, String>>>,
}

impl Reduction {
    /// Has it made, on the lane that exports go down too.
    pub(super) fn start(desk: &Desk, mesh: Arc<Mesh>, target_faces: usize) -> Self {
        let reduction = Self {
            target_faces,
            cancel: Cancel::default(),
            outcome: Arc::default(),
        };
        let (cancel, outcome) = (reduction.cancel.clone(), Arc::clone(&reduction.outcome));
        desk.run(LaneOf::Exports, move |inbox| {
            let reduced = simplify(&mesh, target_faces, &|| cancel.is_cancelled());
            let reduced = reduced.map(Arc::new).map_err(|error| error.to_string());
            outcome.get_or_init(|| reduced);
            inbox.wake();
        });
        reduction
    }

    /// The faces that there will be, once that is known, or why there is no such mesh.
    pub(super) fn faces(&self) -> Option<Result<usize, &str>> {
        self.outcome.get().map(|outcome| match outcome {
            Ok(mesh) => Ok(mesh.triangles.len()),
            Err(reason) => Err(reason.as_str()),
        })
    }
}

impl Drop for Reduction {
    /// Whoever is not interested any more need not wait for it.
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// The image that a file refers to.
pub(super) enum MadeFrom {
    /// Its name, and the image itself, of which the lane takes the hash.
    Image(String, Arc<[u8]>),
    /// It is not here.
    Known(ImageReference),
}

/// A mesh to write, on a lane.
pub(super) struct Task {
    pub(super) made_from: Option<MadeFrom>,
    pub(super) mesh: Arc<Mesh>,
    pub(super) path: PathBuf,
    pub(super) format: Format,
    pub(super) target_faces: Option<usize>,
    /// Where the dialog had the faces counted already.
    pub(super) reduction: Option<Reduction>,
    pub(super) options: WriteOptions,
}

/// What is shown of a running export.
pub(super) struct Exporting {
    name: String,
    since: Instant,
    watch: Arc<Watch>,
    /// Stops the counting that the export waits for.
    counting: Option<Cancel>,
    reducing: Arc<AtomicBool>,
}

impl Exporting {
    fn cancel(&self) {
        self.watch.cancel();
        if let Some(counting) = &self.counting {
            counting.cancel();
        }
    }

    fn words(&self) -> String {
        let written = self.watch.written_bytes();
        if self.watch.is_cancelled() {
            "Stopping…".to_owned()
        } else if self.reducing.load(Ordering::Relaxed) {
            "Reducing the faces…".to_owned()
        } else if written == 0 {
            "Preparing…".to_owned()
        } else {
            format!("Writing, {} so far", widgets::bytes(written))
        }
    }
}

impl Task {
    fn run(
        self,
        engine: &Engine,
        watch: &Arc<Watch>,
        reducing: &AtomicBool,
    ) -> Result<Saved, ExportProblem> {
        if !self.path.is_absolute() {
            return Err(ExportProblem::Other(
                "the path does not begin at a root or drive; choose a folder".to_owned(),
            ));
        }
        let mesh = self.reduced(watch)?;
        reducing.store(false, Ordering::Relaxed);
        let mut options = self.options;
        match self.made_from {
            Some(MadeFrom::Image(name, image)) => {
                ImageReference::of(&name, &image).add_to(&mut options.settings);
            }
            Some(MadeFrom::Known(reference)) => reference.add_to(&mut options.settings),
            None => {}
        }
        let export = Export {
            mesh,
            path: self.path,
            format: self.format,
            options,
        };
        let ticket = engine.export_watched(export, Arc::clone(watch))?;
        Ok(ticket.wait()?)
    }

    fn reduced(&self, watch: &Watch) -> Result<Arc<Mesh>, ExportProblem> {
        let Some(target) = self.target_faces else {
            return Ok(Arc::clone(&self.mesh));
        };
        if self.mesh.triangles.len() <= target {
            return Ok(Arc::clone(&self.mesh));
        }
        let counted = self
            .reduction
            .as_ref()
            .filter(|reduction| reduction.target_faces == target)
            .and_then(|reduction| reduction.outcome.get());
        if let Some(Ok(mesh)) = counted {
            return Ok(Arc::clone(mesh));
        }
        if watch.is_cancelled() {
            return Err(ExportProblem::Cancelled);
        }
        match simplify(&self.mesh, target, &|| watch.is_cancelled()) {
            Ok(mesh) => Ok(Arc::new(mesh)),
            Err(_) if watch.is_cancelled() => Err(ExportProblem::Cancelled),
            Err(error) => Err(ExportProblem::Other(error.to_string())),
        }
    }
}

/// Why nothing was written.
pub(super) enum ExportProblem {
    /// The user wished so.
    Cancelled,
    /// What happened, and what to do.
    Other(String),
}

impl From<ExportError> for ExportProblem {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Save(SaveError::Cancelled) => Self::Cancelled,
            other => Self::Other(other.to_string()),
        }
    }
}

impl App {
    /// Has a mesh written.
    pub(super) fn start_export(&mut self, engine: Arc<Engine>, task: Task) {
        let exporting = Exporting {
            name: file_name(&task.path),
            since: Instant::now(),
            watch: Arc::default(),
            counting: task.reduction.as_ref().map(|r| r.cancel.clone()),
            reducing: Arc::new(AtomicBool::new(task.target_faces.is_some())),
        };
        let (watch, reducing) = (
            Arc::clone(&exporting.watch),
            Arc::clone(&exporting.reducing),
        );
        self.exporting = Some(exporting);
        let inbox = self.desk.inbox.clone();
        self.desk.run(LaneOf::Exports, move |_| {
            // Its end is told whatever happens: the window waits for it.
            let attempt = std::panic::AssertUnwindSafe(|| task.run(&engine, &watch, &reducing));
            let ended = std::panic::catch_unwind(attempt).unwrap_or_else(|_panic| {
                Err(ExportProblem::Other(
                    "an internal error stopped it; the log has more".to_owned(),
                ))
            });
            inbox.send(Message::Exported(ended));
        });
    }

    /// Tells how an export ended, and closes the window where it waited for that.
    pub(super) fn exported(&mut self, result: Result<Saved, ExportProblem>) {
        let name = self.exporting.take().map(|exporting| exporting.name);
        match result {
            Ok(saved) => {
                if let Some(file) = saved.files.last() {
                    let size = widgets::bytes(saved.bytes);
                    let headline = format!("Saved {} · {size}", file_name(file));
                    self.notices.saved(headline, file);
                }
            }
            Err(ExportProblem::Cancelled) => self.notices.told(Problem::new(
                "The export was stopped",
                format!("{} was not written.", name.unwrap_or_default()),
            )),
            Err(ExportProblem::Other(reason)) => {
                self.notices
                    .add(Problem::new("The mesh was not exported", reason));
                // Whoever closed the window has to know.
                self.closing = false;
            }
        }
        if self.closing {
            self.ctx.send_viewport_cmd(ViewportCommand::Close);
        }
    }

    /// Keeps the window open while a file is being written.
    pub(super) fn guard_close(&mut self, ctx: &egui::Context) {
        // A window that lost its device is opened again, and the export goes on meanwhile.
        if self.closes_for_loss() {
            return;
        }
        if self.exporting.is_some() && ctx.input(|input| input.viewport().close_requested()) {
            ctx.send_viewport_cmd(ViewportCommand::CancelClose);
            self.closing = true;
        }
    }
}

/// The card that tells how far an export is, among the messages.
pub(super) fn card(exporting: &Exporting, ui: &mut Ui) {
    widgets::heading(ui, &format!("Exporting {}", exporting.name));
    progress(exporting, ui);
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        let stop = widgets::quiet(ui, "Stop", "Stop the export; no file is left half written");
        if stop.clicked() {
            exporting.cancel();
        }
    });
}

fn progress(exporting: &Exporting, ui: &mut Ui) {
    let palette = theme::palette(ui);
    // How long the whole takes is not known: only that it moves.
    let phase = ui.input(|input| input.time).rem_euclid(1.6) / 1.6;
    let bar = ProgressBar::new(phase as f32)
        .desired_height(4.0)
        .fill(palette.accent);
    ui.add(bar);
    widgets::note(ui, exporting.words());
    ui.ctx().request_repaint_after(REFRESH);
}

/// Whether there is something to tell of a running export yet.
pub(super) fn is_worth_telling(app: &App, ctx: &egui::Context) -> bool {
    let Some(exporting) = &app.exporting else {
        return false;
    };
    let elapsed = exporting.since.elapsed();
    if elapsed < UNTOLD {
        ctx.request_repaint_after(UNTOLD - elapsed);
    }
    elapsed >= UNTOLD && !app.closing
}

/// What is shown while the window waits for a file before it closes.
pub(super) fn show_closing(app: &mut App, ctx: &egui::Context) {
    let Some(exporting) = app.exporting.as_ref().filter(|_| app.closing) else {
        return;
    };
    let mut stays = false;
    egui::Window::new("Closing")
        .anchor(Align2::CENTER_CENTER, vec2(0.0, -24.0))
        .title_bar(false)
        .resizable(false)
        .show(ctx, |ui| {
            ui.set_width(336.0);
            widgets::heading(ui, &format!("{} is still being written", exporting.name));
            widgets::note(ui, "Orfeas closes as soon as the file is whole.");
            progress(exporting, ui);
            ui.horizontal(|ui| {
                stays =
                    widgets::small(ui, "Stay open", "Keep the window after the export").clicked();
                if widgets::small(ui, "Stop and close", "No file is left half written").clicked() {
                    exporting.cancel();
                }
            });
        });
    if stays {
        app.closing = false;
    }
}
