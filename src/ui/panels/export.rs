//! Writing the mesh to a file: format, size, faces, and where to.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use eframe::egui::{self, Align2, DragValue, Key, Role, TextEdit, Ui, WidgetInfo, vec2};

use super::super::app::App;
use super::super::desk::{LaneOf, Message, Problem};
use super::super::project::Shown;
use super::super::{theme, widgets};
use crate::engine::{Engine, Export, ImageReference};
use crate::formats::{Format, Saved, WriteOptions};
use crate::mesh::{Mesh, simplify};

/// What is being chosen.
pub(in super::super) struct ExportDialog {
    format: Format,
    size_mm: f64,
    reduces: bool,
    target_faces: usize,
    faces: usize,
    /// The whole path, as it is typed.
    path: String,
    /// Whether the field was given the focus.
    shown: bool,
}

impl ExportDialog {
    /// Takes the answer of the system's dialog.
    pub(in super::super) fn choose(&mut self, path: &Path) {
        if let Ok(format) = Format::from_path(path) {
            self.format = format;
            self.path = path.display().to_string();
        } else {
            self.path = path
                .with_extension(self.format.extension())
                .display()
                .to_string();
        }
    }

    fn set_format(&mut self, format: Format) {
        let path = Path::new(&self.path);
        if Format::from_path(path).is_ok() {
            self.path = path
                .with_extension(format.extension())
                .display()
                .to_string();
        }
        self.format = format;
    }
}

const FORMATS: [(Format, &str, &str); 5] = [
    (Format::Stl, "STL", "For printing: shape only"),
    (
        Format::ThreeMf,
        "3MF",
        "For printing, with units and colour where slicers read it",
    ),
    (
        Format::Glb,
        "GLB",
        "For screens, games and the web, with colour; Orfeas can open it with its settings",
    ),
    (
        Format::Obj,
        "OBJ",
        "For other 3D programs, with colour in files beside it",
    ),
    (
        Format::Ply,
        "PLY",
        "For measuring and scanning programs, with colour in the vertices",
    ),
];

impl App {
    /// Opens the dialog, where there is something to export.
    pub(in super::super) fn begin_export(&mut self) {
        let Some(project) = self.active_project() else {
            return;
        };
        let Some(result) = &project.result else {
            return;
        };
        if !project.is_finished() {
            self.notices.add(Problem::new(
                "The mesh is still being made",
                "export it when it is finished, or press Keep to take what is on screen",
            ));
            return;
        }
        let faces = result.shown.mesh().triangles.len();
        let format = Format::from_extension(&self.preferences.export_format).unwrap_or(Format::Stl);
        let path = self
            .export_folder()
            .join(format!("{}.{}", project.stem(), format.extension()));
        self.export = Some(ExportDialog {
            format,
            size_mm: project
                .file_size_mm
                .unwrap_or(self.preferences.export_size_mm),
            reduces: self.preferences.export_reduces && faces > self.preferences.export_faces,
            target_faces: self.preferences.export_faces,
            faces,
            path: path.display().to_string(),
            shown: false,
        });
    }

    /// Where files go: where the last ones went, or else to the user's documents.
    pub(in super::super) fn export_folder(&self) -> PathBuf {
        self.preferences
            .export_folder
            .clone()
            .filter(|folder| folder.is_absolute())
            .or_else(documents)
            .unwrap_or_default()
    }

    fn export(&mut self, dialog: &ExportDialog) {
        let (Some(engine), Some(project)) = (self.engine.clone(), self.active_project()) else {
            return;
        };
        let Some(result) = &project.result else {
            return;
        };
        let Shown::Mesh(mesh) = &result.shown else {
            return;
        };
        let settings = result.wishes.as_ref();
        let settings = settings.map(|wishes| result.settings(wishes));
        let image = match (&project.image, &project.missing) {
            (Some(image), _) => Some(MadeFrom::Image(project.name.clone(), Arc::clone(image))),
            (None, Some(missing)) => missing.reference.clone().map(MadeFrom::Known),
            (None, None) => None,
        };
        let task = Task {
            made_from: image.filter(|_| settings.is_some()),
            mesh: Arc::clone(mesh),
            path: PathBuf::from(&dialog.path),
            format: dialog.format,
            target_faces: dialog.reduces.then_some(dialog.target_faces),
            options: WriteOptions {
                longest_side_mm: dialog.size_mm,
                settings: settings.unwrap_or_default(),
                name: project.stem().to_owned(),
            },
        };
        let of_file = project.is_mesh_file;
        self.preferences.export_format = dialog.format.extension().to_owned();
        if !of_file {
            self.preferences.export_size_mm = dialog.size_mm;
        }
        if dialog.faces > dialog.target_faces {
            self.preferences.export_reduces = dialog.reduces;
        }
        self.preferences.export_faces = dialog.target_faces;
        self.preferences.export_folder = task.path.parent().map(Path::to_owned);
        self.save_preferences();
        self.exporting = true;
        self.desk.run(LaneOf::Exports, move |inbox| {
            inbox.send(Message::Exported(task.run(&engine)));
        });
    }

    pub(in super::super) fn exported(&mut self, result: Result<Saved, Problem>) {
        self.exporting = false;
        match result {
            Ok(saved) => {
                let Some(file) = saved.files.last() else {
                    return;
                };
                let name = file_name(file);
                let headline = format!("Saved {name} · {}", widgets::bytes(saved.bytes));
                self.notices.saved(headline, file);
            }
            Err(problem) => self.notices.add(problem),
        }
    }

    /// Opens a folder in the system's file manager.
    pub(in super::super) fn show_folder(&self, folder: PathBuf) {
        self.desk.run(LaneOf::Files, move |inbox| {
            let program = if cfg!(target_os = "windows") {
                "explorer"
            } else if cfg!(target_os = "macos") {
                "open"
            } else {
                "xdg-open"
            };
            // It is not waited for: file managers stay open.
            if let Err(error) = std::process::Command::new(program).arg(&folder).spawn() {
                inbox.send(Message::Notice(Problem::new(
                    "The folder could not be opened",
                    format!("{program}: {error}: {}", folder.display()),
                )));
            }
        });
    }
}

/// The last part of a path, for messages.
pub(in super::super) fn file_name(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// The image that a file refers to.
enum MadeFrom {
    /// Its name, and the image itself, of which the lane takes the hash.
    Image(String, Arc<[u8]>),
    /// It is not here.
    Known(ImageReference),
}

/// A mesh to write, on a lane.
struct Task {
    made_from: Option<MadeFrom>,
    mesh: Arc<Mesh>,
    path: PathBuf,
    format: Format,
    target_faces: Option<usize>,
    options: WriteOptions,
}

impl Task {
    fn run(self, engine: &Engine) -> Result<Saved, Problem> {
        let failed = |error: &dyn std::fmt::Display| {
            Problem::new("The mesh was not exported", error.to_string())
        };
        if !self.path.is_absolute() {
            return Err(failed(
                &"the path does not begin at a root or drive; choose a folder",
            ));
        }
        let mesh = match self.target_faces {
            Some(target) if self.mesh.triangles.len() > target => {
                Arc::new(simplify(&self.mesh, target, &|| false).map_err(|error| failed(&error))?)
            }
            _ => self.mesh,
        };
        let mut options = self.options;
        match self.made_from {
            Some(MadeFrom::Image(name, image)) => {
                ImageReference::of(&name, &image).add_to(&mut options.settings);
            }
            Some(MadeFrom::Known(reference)) => reference.add_to(&mut options.settings),
            None => {}
        }
        let ticket = engine
            .export(Export {
                mesh,
                path: self.path,
                format: self.format,
                options,
            })
            .map_err(|error| failed(&error))?;
        ticket.wait().map_err(|error| failed(&error))
    }
}

fn documents() -> Option<PathBuf> {
    let folders = directories::UserDirs::new()?;
    let documents = folders.document_dir().filter(|folder| folder.is_dir());
    Some(documents.unwrap_or_else(|| folders.home_dir()).to_owned())
}

pub(super) fn show(app: &mut App, ctx: &egui::Context) {
    let Some(mut dialog) = app.export.take() else {
        return;
    };
    let mut open = true;
    let mut pressed = Pressed::Nothing;
    egui::Window::new("Export the mesh")
        .anchor(Align2::CENTER_CENTER, vec2(0.0, -24.0))
        .title_bar(false)
        .resizable(false)
        .show(ctx, |ui| {
            ui.set_width(376.0);
            open = !widgets::window_header(ui, "Export the mesh");
            pressed = fields(&mut dialog, ui, app.exporting);
        });
    match pressed {
        Pressed::Choose => {
            let path = PathBuf::from(&dialog.path);
            app.export = Some(dialog);
            app.ask_where_to_save(&path);
        }
        Pressed::Export => app.export(&dialog),
        Pressed::Nothing if open => app.export = Some(dialog),
        Pressed::Nothing => {}
    }
}

enum Pressed {
    Nothing,
    Choose,
    Export,
}

fn fields(dialog: &mut ExportDialog, ui: &mut Ui, busy: bool) -> Pressed {
    let mut pressed = Pressed::Nothing;
    ui.label("Format");
    let mut format = dialog.format;
    if widgets::segments(ui, "Format", &FORMATS, &mut format) {
        dialog.set_format(format);
    }
    let about = FORMATS
        .iter()
        .find(|(format, ..)| *format == dialog.format)
        .map_or("", |(_, _, about)| about);
    widgets::note(ui, about);
    ui.add_space(4.0);
    egui::Grid::new("export")
        .num_columns(2)
        .spacing(vec2(16.0, 8.0))
        .min_col_width(96.0)
        .show(ui, |ui| {
            ui.label("Longest side");
            let size = DragValue::new(&mut dialog.size_mm)
                .range(0.1..=100_000.0)
                .speed(0.5)
                .max_decimals(1)
                .suffix(" mm");
            let response = ui.add(size);
            response.widget_info(|| {
                WidgetInfo::labeled(Role::SpinButton, true, "Longest side in millimetres")
            });
            response.on_hover_text("The size of the object as written; drag, or click and type");
            ui.end_row();
            ui.label("Reduce");
            ui.horizontal(|ui| {
                ui.checkbox(&mut dialog.reduces, "to at most")
                    .on_hover_text("Fewer triangles, the same shape (simplify)");
                ui.add_enabled_ui(dialog.reduces, |ui| {
                    let faces = DragValue::new(&mut dialog.target_faces)
                        .range(4..=100_000_000)
                        .speed(1000)
                        .custom_formatter(|faces, _| widgets::grouped(faces as usize))
                        .custom_parser(|text| text.replace([',', ' '], "").parse().ok())
                        .suffix(" faces");
                    let response = ui.add(faces);
                    response.widget_info(|| {
                        WidgetInfo::labeled(Role::SpinButton, true, "Faces at most")
                    });
                    response.on_hover_text("The most triangles in the file");
                });
            });
            ui.end_row();
        });
    let written = match dialog.reduces {
        true => dialog.faces.min(dialog.target_faces),
        false => dialog.faces,
    };
    widgets::note(
        ui,
        format!(
            "{} of {} faces are written",
            widgets::grouped(written),
            widgets::grouped(dialog.faces)
        ),
    );
    ui.add_space(4.0);
    ui.label("File");
    ui.horizontal(|ui| {
        let width = ui.available_width() - 92.0;
        let edit = TextEdit::singleline(&mut dialog.path)
            .desired_width(width)
            .margin(egui::Margin::symmetric(8, 6));
        let response = ui.add(edit);
        let path = dialog.path.clone();
        response.widget_info(|| WidgetInfo {
            label: Some("File to write".to_owned()),
            ..WidgetInfo::text_edit(true, &path, &path, "")
        });
        if response.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter)) {
            pressed = Pressed::Export;
        }
        response.on_hover_text("The whole path of the file");
        if widgets::secondary(ui, "Choose…", theme::CONTROL_HEIGHT, true)
            .on_hover_text("Choose with the system's dialog")
            .clicked()
        {
            pressed = Pressed::Choose;
        }
    });
    let named = Format::from_path(Path::new(&dialog.path));
    match &named {
        Ok(named) if *named != dialog.format => dialog.format = *named,
        Ok(_) => {}
        Err(error) => {
            let colour = theme::palette(ui).error;
            ui.colored_label(colour, error.to_string());
        }
    }
    ui.add_space(4.0);
    let ready = named.is_ok() && !busy;
    let text = if busy { "Exporting…" } else { "Export" };
    let response = widgets::primary(ui, text, ready).on_hover_text("Write the file (Enter)");
    if !dialog.shown {
        dialog.shown = true;
        response.request_focus();
    }
    if response.clicked() {
        pressed = Pressed::Export;
    }
    if matches!(pressed, Pressed::Export) && !ready {
        pressed = Pressed::Nothing;
    }
    pressed
}
