//! Choosing how the mesh is written: format, size, faces, which way is up, texture, and where to.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use eframe::egui::{self, DragValue, Key, Role, TextEdit, Ui, WidgetInfo, vec2};

use super::super::app::App;
use super::super::desk::Problem;
use super::super::exporting::{MadeFrom, Reduction, Task};
use super::super::project::Shown;
use super::super::{theme, widgets};
use crate::formats::{Format, Up, WriteOptions};
use crate::mesh::Mesh;

/// How long the number of faces rests before they are counted.
const RESTS: Duration = Duration::from_millis(250);
/// The smallest texture that is offered, in pixels.
const LEAST_TEXTURE_PX: usize = 128;

/// What is being chosen.
pub(in super::super) struct ExportDialog {
    mesh: Arc<Mesh>,
    /// What the mesh was made with, for formats that keep it.
    settings: serde_json::Value,
    /// The image that the file refers to.
    made_from: Option<MadeFrom>,
    /// The name of the object.
    name: String,
    /// Whether the mesh came from a file, with a size of its own.
    is_mesh_file: bool,
    format: Format,
    size_mm: f64,
    reduces: bool,
    target_faces: usize,
    /// When the number of faces was last changed.
    changed: Option<Instant>,
    reduction: Option<Reduction>,
    /// Which way is up, and in which format that was chosen.
    up: (Format, Up),
    texture_side_px: Option<usize>,
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

    fn faces(&self) -> usize {
        self.mesh.triangles.len()
    }

    /// To how many faces the mesh is reduced, where it is.
    fn target(&self) -> Option<usize> {
        (self.reduces && self.target_faces < self.faces()).then_some(self.target_faces)
    }

    /// The longer side of the texture, where there is one.
    fn texture_px(&self) -> Option<usize> {
        let texture = self.mesh.texture.as_ref()?;
        (!self.mesh.uvs.is_empty()).then_some(texture.width.max(texture.height))
    }

    /// How many faces there will be, as far as that is known.
    fn told_faces(&self) -> String {
        let all = widgets::grouped(self.faces());
        let Some(target) = self.target() else {
            return format!("All {all} faces are written");
        };
        let counted = self
            .reduction
            .as_ref()
            .filter(|reduction| reduction.target_faces == target)
            .and_then(Reduction::faces);
        match counted {
            None => format!("Counting… at most {} of {all}", widgets::grouped(target)),
            Some(Ok(faces)) if faces > target => {
                format!(
                    "{} of {all} faces; fewer would break the surface",
                    widgets::grouped(faces)
                )
            }
            Some(Ok(faces)) => format!("{} of {all} faces are written", widgets::grouped(faces)),
            Some(Err(reason)) => widgets::sentence(reason),
        }
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
        let Shown::Mesh(mesh) = &result.shown else {
            return;
        };
        let mesh = Arc::clone(mesh);
        let faces = mesh.triangles.len();
        let format = Format::from_extension(&self.preferences.export_format).unwrap_or(Format::Stl);
        let path = self
            .export_folder()
            .join(format!("{}.{}", project.stem(), format.extension()));
        let up = self.up_of(format);
        let settings = result.wishes.as_ref();
        let settings = settings.map(|wishes| result.settings(wishes));
        let image = match (&project.image, &project.missing) {
            (Some(image), _) => Some(MadeFrom::Image(project.name.clone(), Arc::clone(image))),
            (None, Some(missing)) => missing.reference.clone().map(MadeFrom::Known),
            (None, None) => None,
        };
        self.export = Some(ExportDialog {
            mesh,
            made_from: image.filter(|_| settings.is_some()),
            settings: settings.unwrap_or_default(),
            name: project.stem().to_owned(),
            is_mesh_file: project.is_mesh_file,
            format,
            size_mm: project
                .file_size_mm
                .unwrap_or(self.preferences.export_size_mm),
            reduces: self.preferences.export_reduces && faces > self.preferences.export_faces,
            target_faces: self.preferences.export_faces,
            changed: None,
            reduction: None,
            up,
            texture_side_px: self.preferences.export_texture_px,
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

    /// Which way was up when the format was written last.
    fn up_of(&self, format: Format) -> (Format, Up) {
        let ups = &self.preferences.export_up;
        let up = ups.get(format.extension()).copied();
        (format, up.unwrap_or(format.up()))
    }

    /// Has the faces counted, once their number rests.
    fn count_faces(&mut self, dialog: &mut ExportDialog) {
        let Some(target) = dialog.target() else {
            dialog.reduction = None;
            return;
        };
        let is_counted = |reduction: &Reduction| reduction.target_faces == target;
        if dialog.reduction.as_ref().is_some_and(is_counted) || self.exporting.is_some() {
            return;
        }
        dialog.reduction = None;
        let rested = dialog.changed.map_or(RESTS, |changed| changed.elapsed());
        if rested < RESTS {
            self.ctx.request_repaint_after(RESTS - rested);
            return;
        }
        let mesh = Arc::clone(&dialog.mesh);
        dialog.reduction = Some(Reduction::start(&self.desk, mesh, target));
    }

    fn export(&mut self, dialog: ExportDialog) {
        let Some(engine) = self.engine.clone() else {
            return;
        };
        let (_, up) = dialog.up;
        let target_faces = dialog.target();
        let task = Task {
            made_from: dialog.made_from,
            mesh: Arc::clone(&dialog.mesh),
            path: PathBuf::from(&dialog.path),
            format: dialog.format,
            target_faces,
            reduction: None,
            options: WriteOptions {
                longest_side_mm: dialog.size_mm,
                settings: dialog.settings,
                name: dialog.name,
                up: Some(up),
                texture_side_px: dialog.texture_side_px,
            },
        };
        self.preferences.export_format = dialog.format.extension().to_owned();
        if !dialog.is_mesh_file {
            self.preferences.export_size_mm = dialog.size_mm;
        }
        if task.mesh.triangles.len() > dialog.target_faces {
            self.preferences.export_reduces = dialog.reduces;
        }
        self.preferences.export_faces = dialog.target_faces;
        self.preferences.export_folder = task.path.parent().map(Path::to_owned);
        if dialog.format.leaves_up_open() {
            let format = dialog.format.extension().to_owned();
            self.preferences.export_up.insert(format, up);
        }
        self.preferences.export_texture_px = dialog.texture_side_px;
        self.save_preferences();
        let reduction = dialog.reduction;
        self.start_export(engine, Task { reduction, ..task });
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
    app.count_faces(&mut dialog);
    // The format may have been chosen in the system's dialog.
    if dialog.up.0 != dialog.format {
        dialog.up = app.up_of(dialog.format);
    }
    let mut pressed = Pressed::Nothing;
    let title = "Export the mesh";
    let open = widgets::dialog(ctx, title, title, 376.0, |ui| {
        pressed = fields(&mut dialog, ui, app.exporting.is_some());
    });
    match pressed {
        Pressed::Choose => {
            let path = PathBuf::from(&dialog.path);
            app.export = Some(dialog);
            app.ask_where_to_save(&path);
        }
        Pressed::Export => app.export(dialog),
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
    ui.label("Format");
    let mut format = dialog.format;
    if widgets::segments(ui, "Format", &FORMATS, &mut format) {
        dialog.set_format(format);
    }
    let about = FORMATS
        .iter()
        .find(|(format, ..)| *format == dialog.format)
        .map_or("", |(_, _, about)| about);
    widgets::short_note(ui, about);
    ui.add_space(4.0);
    egui::Grid::new("export")
        .num_columns(2)
        .spacing(vec2(16.0, 8.0))
        .min_col_width(LABELS)
        .show(ui, |ui| {
            size(dialog, ui);
            ui.end_row();
            reduce(dialog, ui);
            ui.end_row();
            ui.label("");
            widgets::short_note(ui, dialog.told_faces());
            ui.end_row();
            up(dialog, ui);
            ui.end_row();
            texture(dialog, ui);
            ui.end_row();
        });
    ui.add_space(4.0);
    file(dialog, ui, busy)
}

/// The width of the names of the fields.
const LABELS: f32 = 84.0;

fn size(dialog: &mut ExportDialog, ui: &mut Ui) {
    ui.label("Longest side");
    let size = DragValue::new(&mut dialog.size_mm)
        .range(0.1..=100_000.0)
        .speed(0.5)
        .max_decimals(1)
        .suffix(" mm");
    let response = ui.add(size);
    response
        .widget_info(|| WidgetInfo::labeled(Role::SpinButton, true, "Longest side in millimetres"));
    response.on_hover_text("The size of the object as written; drag, or click and type");
}

fn reduce(dialog: &mut ExportDialog, ui: &mut Ui) {
    ui.label("Faces");
    ui.horizontal(|ui| {
        ui.checkbox(&mut dialog.reduces, "at most")
            .on_hover_text("Fewer triangles, the same shape (simplify)");
        ui.add_enabled_ui(dialog.reduces, |ui| {
            let faces = DragValue::new(&mut dialog.target_faces)
                .range(4..=100_000_000)
                .speed(1000)
                .custom_formatter(|faces, _| widgets::grouped(faces as usize))
                .custom_parser(|text| text.replace([',', ' '], "").parse().ok());
            let response = ui.add(faces);
            response.widget_info(|| WidgetInfo::labeled(Role::SpinButton, true, "Faces at most"));
            if response.changed() {
                dialog.changed = Some(Instant::now());
            }
            response.on_hover_text("The most triangles in the file");
        });
    });
}

fn up(dialog: &mut ExportDialog, ui: &mut Ui) {
    ui.label("Up");
    let format = dialog.format;
    if !format.leaves_up_open() {
        return fixed(ui, format!("{}, as {format} demands", format.up()));
    }
    let usual = |up| if format.up() == up { " (usual)" } else { "" };
    let choices = [Up::Z, Up::Y].map(|up| (up, format!("{up}{}", usual(up))));
    let tooltips = [
        "Z points up, the front looks along −Y: slicers, CAD, Blender",
        "Y points up, the front looks along +Z: games, Maya, the web",
    ];
    let choices: Vec<_> = choices
        .iter()
        .zip(tooltips)
        .map(|((up, label), tooltip)| (*up, label.as_str(), tooltip))
        .collect();
    widgets::segments(ui, "Up", &choices, &mut dialog.up.1);
}

fn texture(dialog: &mut ExportDialog, ui: &mut Ui) {
    ui.label("Texture");
    let format = dialog.format;
    let Some(full) = dialog.texture_px() else {
        return fixed(ui, "none: this mesh has no texture".to_owned());
    };
    if !format.keeps_texture() {
        let told = match format {
            Format::Stl => "none: STL has no colour",
            _ => "as colours of the mesh itself",
        };
        return fixed(ui, told.to_owned());
    }
    let sides: Vec<_> = [full, full / 2, full / 4]
        .into_iter()
        .filter(|&side| side == full || side >= LEAST_TEXTURE_PX)
        .map(|side| (side, format!("{side} px")))
        .collect();
    let choices: Vec<_> = sides
        .iter()
        .map(|(side, label)| {
            let tooltip = if *side == full {
                "The texture as it was made"
            } else {
                "A smaller image and file, less fine"
            };
            (*side, label.as_str(), tooltip)
        })
        .collect();
    let wished = dialog.texture_side_px.unwrap_or(full);
    let mut side = sides
        .iter()
        .map(|(side, _)| *side)
        .find(|&side| side <= wished)
        .unwrap_or(full);
    if widgets::segments(ui, "Texture", &choices, &mut side) {
        dialog.texture_side_px = (side < full).then_some(side);
    }
}

/// What cannot be chosen, in the room that a choice would take, so that nothing jumps.
fn fixed(ui: &mut Ui, text: String) {
    ui.allocate_ui(vec2(ui.available_width(), theme::CONTROL_HEIGHT), |ui| {
        ui.set_height(theme::CONTROL_HEIGHT);
        ui.horizontal_centered(|ui| widgets::note(ui, text));
    });
}

fn file(dialog: &mut ExportDialog, ui: &mut Ui, busy: bool) -> Pressed {
    let mut pressed = Pressed::Nothing;
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
