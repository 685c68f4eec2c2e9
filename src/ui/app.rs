//! The window's state, and what one frame does with it: take messages, move projects on, lay panels out.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use eframe::egui;

use super::desk::{Desk, LaneOf, Message, PrecisionPlan, Problem};
use super::editor::Editor;
use super::exporting::Exporting;
use super::facts::KnownFacts;
use super::input::Dialog;
use super::log::{LogSource, LogView};
use super::names::file_name;
use super::panels::export::ExportDialog;
use super::panels::memory::MemoryView;
use super::panels::notices::Notices;
use super::preferences::{Preferences, ThemeChoice};
use super::project::{Project, ProjectId, Result3d, Shown, Wishes};
use super::refine::Refine;
use super::results::PlaceInHistory;
use super::serving::{Serving, StartServer};
use super::sources::Sources;
use super::textures::Textures;
use super::thumbnails::Thumbnails;
use super::undo::Undo;
use super::viewport::Viewport;
use super::{motion, panels, pixels, results, samples, theme};
use crate::engine::{Config, Engine, Ledger, Library, Paces};
use crate::store::{Folders, HistoryRecord, Limits, Store};
use crate::vram::{self, Manager};

/// Where the engine comes from.
pub enum Backend {
    /// It is started, with the user's own history and cache, while the window opens.
    Start,
    /// It runs already.
    Running(Arc<Engine>),
}

/// How to open the window.
pub struct Setup {
    /// Images and meshes to begin with.
    pub images: Vec<PathBuf>,
    /// Where the engine comes from.
    pub backend: Backend,
    /// Where settings are kept; `None` for nowhere.
    pub config_folder: Option<PathBuf>,
    /// What starts a server over the engine; `None` for no such switch.
    pub start_server: Option<StartServer>,
    /// What the log is shown from; `None` for no log.
    pub log: Option<LogSource>,
    /// What durations are logged from.
    pub process_start: Instant,
}

/// The window.
pub struct App {
    pub(super) ctx: egui::Context,
    /// Before the desk, which waits for its tasks when it is dropped: a download ends first.
    pub(super) sources: Sources,
    pub(super) desk: Desk,
    pub(super) engine: Option<Arc<Engine>>,
    pub(super) engine_problem: Option<String>,
    pub(super) projects: Vec<Project>,
    pub(super) active: Option<ProjectId>,
    pub(super) next_project: u64,
    pub(super) tickets: u64,
    /// Counts the meshes that were shown.
    pub(super) revision: u64,
    /// What is being loaded and checked, and the wishes that it was made with.
    pub(super) finishing: BTreeMap<ProjectId, (u64, Wishes)>,
    pub(super) preferences: Preferences,
    saved_preferences: Preferences,
    config_folder: Option<PathBuf>,
    pub(super) viewport: Viewport,
    /// Newest first; shared, so that what is drawn from it need not copy it.
    pub(super) history: Arc<[HistoryRecord]>,
    pub(super) history_read: bool,
    pub(super) thumbnails: Thumbnails,
    pub(super) samples: Vec<egui::TextureHandle>,
    pub(super) notices: Notices,
    pub(super) undo: Undo,
    /// The outline's editor, while it is open.
    pub(super) editor: Option<Editor>,
    pub(super) refine: Refine,
    pub(super) dialog: Option<Dialog>,
    pub(super) export: Option<ExportDialog>,
    pub(super) exporting: Option<Exporting>,
    /// Whether the window closes once the export has ended.
    pub(super) closing: bool,
    /// Kept for as long as the window is open: on X11 a copied file is handed out by the one who copied it.
    pub(super) clipboard: Arc<Mutex<Option<arboard::Clipboard>>>,
    pub(super) title: String,
    pub(super) memory: MemoryView,
    pub(super) plans: Vec<PrecisionPlan>,
    /// Why the source is what it is, where that is left open.
    pub(super) chosen: Option<String>,
    /// The wishes that were last planned.
    pub(super) planned_for: Option<(Wishes, Instant)>,
    pub(super) control_is_held: bool,
    pub(super) help_open: bool,
    pub(super) settings_open: bool,
    pub(super) facts: KnownFacts,
    pub(super) stages_open: bool,
    pub(super) log: LogView,
    pub(super) log_source: Option<LogSource>,
    pub(super) system_reduces_motion: bool,
    pub(super) pasted_text: Option<String>,
    pub(super) start_server: Option<StartServer>,
    pub(super) serving: Serving,
    pub(super) closes_for_loss: bool,
    process_start: Instant,
    shown_before: bool,
}

impl App {
    /// Sets the window up. What takes long goes on elsewhere.
    ///
    /// # Errors
    ///
    /// When the system gives no more threads.
    pub fn new(cc: &eframe::CreationContext<'_>, setup: Setup) -> std::io::Result<Self> {
        let ctx = cc.egui_ctx.clone();
        theme::install(&ctx);
        ctx.add_plugin(Textures::default());
        let desk = Desk::start(ctx.clone())?;
        let mut notices = Notices::default();
        let mut preferences = Preferences::default();
        if let Some(folder) = &setup.config_folder {
            let (loaded, problem) = Preferences::load(folder);
            preferences = loaded;
            notices.extend(problem);
        }
        let mut app = Self {
            viewport: Viewport::new(cc, &desk),
            engine: None,
            engine_problem: None,
            projects: Vec::new(),
            active: None,
            next_project: 0,
            tickets: 0,
            revision: 0,
            finishing: BTreeMap::new(),
            saved_preferences: preferences.clone(),
            preferences,
            config_folder: setup.config_folder,
            history: Arc::default(),
            history_read: false,
            thumbnails: Thumbnails::default(),
            samples: sample_textures(&ctx),
            notices,
            undo: Undo::default(),
            editor: None,
            refine: Refine::default(),
            dialog: None,
            export: None,
            exporting: None,
            closing: false,
            clipboard: Arc::default(),
            title: String::new(),
            memory: MemoryView::default(),
            plans: Vec::new(),
            chosen: None,
            planned_for: None,
            control_is_held: false,
            help_open: false,
            settings_open: false,
            facts: KnownFacts::default(),
            stages_open: false,
            log: LogView::default(),
            log_source: setup.log,
            system_reduces_motion: false,
            pasted_text: None,
            start_server: setup.start_server,
            serving: Serving::default(),
            sources: Sources::default(),
            closes_for_loss: false,
            process_start: setup.process_start,
            shown_before: false,
            desk,
            ctx,
        };
        app.apply_theme();
        app.apply_motion();
        app.apply_log_level();
        motion::ask(app.desk.inbox.clone());
        app.watch_textures();
        match setup.backend {
            Backend::Start => {
                let (limits, memory) = (app.preferences.limits(), app.preferences.memory_bytes);
                app.desk.run(LaneOf::Jobs, move |inbox| {
                    inbox.send(Message::Started(start(limits, memory)));
                });
            }
            Backend::Running(engine) => app.started(Ok(engine)),
        }
        app.open_files(setup.images);
        Ok(app)
    }

    fn started(&mut self, engine: Result<Arc<Engine>, String>) {
        match engine {
            Ok(engine) => {
                let inbox = self.desk.inbox.clone();
                engine.on_change(move |_| inbox.wake());
                if let Some(store) = engine.store().cloned() {
                    self.desk.run(LaneOf::Files, move |inbox| {
                        results::send_history(inbox, &store)
                    });
                } else {
                    self.history_read = true;
                }
                self.engine = Some(engine);
                self.look_for_models();
                self.seek_images();
            }
            Err(reason) => {
                self.notices.add(Problem::new(
                    "Orfeas cannot compute anything on this system",
                    reason.clone(),
                ));
                self.engine_problem = Some(reason);
            }
        }
    }

    pub(super) fn store(&self) -> Option<Store> {
        self.engine.as_ref()?.store().cloned()
    }

    /// Shows the theme that was chosen.
    pub(super) fn apply_theme(&self) {
        self.ctx.set_theme(match self.preferences.theme {
            ThemeChoice::System => egui::ThemePreference::System,
            ThemeChoice::Dark => egui::ThemePreference::Dark,
            ThemeChoice::Light => egui::ThemePreference::Light,
        });
    }

    pub(super) fn toggle_memory(&mut self) {
        self.preferences.memory_open = !self.preferences.memory_open;
        self.save_preferences();
    }

    /// Writes the settings where they changed, elsewhere.
    pub(super) fn save_preferences(&mut self) {
        if self.preferences == self.saved_preferences {
            return;
        }
        self.saved_preferences = self.preferences.clone();
        if let Some(folder) = self.config_folder.clone() {
            let preferences = self.preferences.clone();
            self.desk.run(LaneOf::Files, move |inbox| {
                if let Err(problem) = preferences.save(&folder) {
                    inbox.send(Message::Notice(problem));
                }
            });
        }
    }

    fn take_messages(&mut self) {
        self.take_model_folder();
        for problem in self.viewport.complaints() {
            self.notices.add(problem);
        }
        for message in self.desk.inbox.take() {
            self.take(message);
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Started(engine) => self.started(engine),
            Message::Facts(facts) => self.facts.facts = Some(facts),
            Message::Served(served) => self.served(served),
            Message::Read { project, image } => {
                if let Some(project) = self.project_mut(project) {
                    project.image = Some(image);
                    project.begin();
                }
            }
            Message::Picture {
                project,
                picture,
                pixels,
            } => {
                let texture = self.texture(format!("input {}", project.0), picture);
                if let Some(project) = self.project_mut(project) {
                    project.picture = Some(texture);
                    project.pixels = Some(pixels);
                }
            }
            Message::Outline { project, drawn } => self.outlined(project, drawn),
            Message::ForOutline { project, came } => self.outline_came(project, came),
            Message::Given { project, given } => self.given(project, given),
            Message::Refined(result) => self.refined(result),
            Message::Unusable { project, problem } => {
                self.unusable(project, problem);
            }
            Message::ReducedMotion(reduced) => {
                self.system_reduces_motion = reduced;
                self.apply_motion();
            }
            Message::Pasted(Ok(image)) => self.open_image("Pasted image.png".into(), image),
            Message::Pasted(Err(problem)) | Message::Notice(problem) => self.notices.add(problem),
            Message::PastedText(text) => self.pasted_text = Some(text),
            Message::Submitted {
                project,
                ticket,
                submission,
            } => self.submitted(project, ticket, submission),
            Message::Finished {
                project,
                ticket,
                result,
            } => self.finished(project, ticket, result),
            Message::Sheet {
                project,
                wishes,
                result,
            } => self.take_sheet(project, wishes, result),
            Message::Planned { plans, chosen } => {
                self.plans = plans;
                self.chosen = chosen;
            }
            Message::Models(folders) => self.sources.folders = folders,
            Message::Got { model, got } => self.got(&model, got),
            Message::History(Ok(records)) => {
                self.history = records.into();
                self.history_read = true;
                self.forget_thumbnails_of_gone();
            }
            Message::History(Err(reason)) => {
                self.history_read = true;
                self.notices
                    .add(Problem::new("The history could not be read", reason));
            }
            Message::Thumbnail { subject, found } => self.take_thumbnail(subject, found),
            Message::Recorded { project, record } => {
                if let Some(project) = self.project_mut(project) {
                    project.record = Some(record);
                }
            }
            Message::Loaded { project, result } => self.loaded(project, result),
            Message::Reopened { project, result } => self.reopened(project, result),
            Message::View(message) => self.viewport.receive(message),
            Message::Pictured(file) => {
                let headline = format!("Saved {}", file_name(&file));
                self.notices.saved(headline, &file);
            }
            Message::Exported(result) => self.exported(result),
        }
    }

    fn finished(
        &mut self,
        id: ProjectId,
        ticket: u64,
        result: Result<super::desk::Finished, Problem>,
    ) {
        let Some((_, wishes)) = self
            .finishing
            .get(&id)
            .filter(|(expected, _)| *expected == ticket)
            .cloned()
        else {
            return;
        };
        self.finishing.remove(&id);
        self.undo.forget_meshes(id);
        self.revision += 1;
        let revision = self.revision;
        let Some(project) = self.project_mut(id) else {
            return;
        };
        let finished = match result {
            Ok(finished) => finished,
            Err(problem) => {
                project.problem = Some(problem);
                return;
            }
        };
        if let Some(outcome) = &finished.outcome {
            let summary = &outcome.summary.matte;
            let before = project.matte.take();
            project.matte = Some(super::project::MatteShown {
                made_for: before.as_ref().and_then(|matte| matte.made_for.clone()),
                overlay: before.and_then(|matte| matte.overlay),
                summary: summary.clone(),
            });
        }
        // The same surface as the last level that was shown: nothing is drawn anew for it.
        let same = project.result.as_ref().is_some_and(|old| {
            old.wishes.as_ref() == Some(&wishes)
                && old.edits.is_empty()
                && old.resolution == finished.resolution
                && old.shown.mesh().triangles.len() == finished.mesh.triangles.len()
        });
        let revision = match &project.result {
            Some(old) if same => old.revision,
            _ => revision,
        };
        project.result = Some(Result3d {
            shown: Shown::Mesh(Arc::clone(&finished.mesh)),
            resolution: finished.resolution,
            wishes: Some(wishes),
            shape: Some(finished.shape),
            revision,
            edits: Vec::new(),
        });
        let kept_early = finished.outcome.is_none();
        if project.finished.take().is_some() && kept_early {
            // What was stopped early takes the place of nothing that was finished.
            project.place_in_history = PlaceInHistory::default();
        }
        self.record(id, finished.outcome.as_deref());
        self.ask_for_outline(id);
    }

    /// A file could not be used: told where it is shown, or else in a message with all others.
    pub(super) fn unusable(&mut self, id: ProjectId, problem: Problem) {
        let is_shown = self.active == Some(id);
        let Some(project) = self.project_mut(id) else {
            return;
        };
        let name = project.name.clone();
        project.problem = Some(problem.clone());
        if !is_shown {
            self.notices.failed(&name, &problem.details);
        }
    }

    pub(super) fn texture(&self, name: String, image: egui::ColorImage) -> egui::TextureHandle {
        self.ctx
            .load_texture(name, image, egui::TextureOptions::LINEAR)
    }
}

impl eframe::App for App {
    fn raw_input_hook(&mut self, ctx: &egui::Context, input: &mut egui::RawInput) {
        self.clipboard_keys(ctx, input);
    }

    fn logic(&mut self, ctx: &egui::Context, _frame: &mut eframe::Frame) {
        self.take_drops(ctx);
        self.poll_dialog();
        self.take_messages();
        self.look_at_device(ctx);
        self.guard_close(ctx);
        self.drive();
        self.tell_title(ctx);
        self.plan_precisions();
        self.draw_thumbnails();
    }

    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        if !self.shown_before {
            self.shown_before = true;
            let seconds = self.process_start.elapsed().as_secs_f64();
            tracing::info!(seconds, "first frame");
            self.come_into_sight(ui.ctx());
        }
        let ctx = ui.ctx().clone();
        self.take_keys(&ctx);
        self.note_place(&ctx);
        // What is held this frame decides in the next whether a full job may begin.
        self.control_is_held = false;
        panels::show(self, ui);
    }

    fn clear_color(&self, visuals: &egui::Visuals) -> [f32; 4] {
        visuals.panel_fill.to_normalized_gamma_f32()
    }

    fn on_exit(&mut self) {
        // Nobody waits for what these make; a window that only lost its device goes on with them.
        if !self.closes_for_loss {
            self.stop_refining();
            self.export = None;
        }
        self.save_preferences();
    }
}

/// Starts what computes: the memory manager, the store, the engine.
fn start(limits: Limits, memory_bytes: Option<u64>) -> Result<Arc<Engine>, String> {
    let ledger = Ledger::with_budget(memory_bytes.unwrap_or(u64::MAX));
    let manager = Manager::start(vram::Config {
        host_ledger: ledger.clone(),
        ..vram::Config::default()
    });
    let folders = Folders::of_platform();
    let data = folders.as_ref().map(|folders| folders.data.as_path());
    let (library, paces) = (Library::of_user(data), Paces::of_user(data));
    let store = folders.and_then(|folders| {
        Store::open(&folders, limits)
            .map_err(|error| tracing::warn!("no result is kept on disk: {error}"))
            .ok()
    });
    Engine::start(Config {
        ledger,
        vram: Some(manager),
        store,
        library,
        paces,
        ..Config::default()
    })
    .map(Arc::new)
    .map_err(|error| error.to_string())
}

fn sample_textures(ctx: &egui::Context) -> Vec<egui::TextureHandle> {
    samples::SAMPLES
        .iter()
        .filter_map(|sample| {
            let image = pixels::from_png(sample.thumbnail)?;
            Some(ctx.load_texture(sample.file_name, image, egui::TextureOptions::LINEAR))
        })
        .collect()
}
