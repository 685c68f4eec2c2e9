//! Getting images in: dropped, opened, pasted, given on the command line, or one of the samples. A mesh
//! file opens for viewing.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use eframe::egui;
use poll_promise::Promise;

use super::app::App;
use super::desk::{Inbox, LaneOf, Loaded, Message, Problem, read_image};
use super::names::file_name;
use super::project::{Project, ProjectId, Wishes};
use super::samples::Sample;
use super::{pixels, results};
use crate::formats::{self, Format};
use crate::mesh;
use crate::store::RecordId;

/// What an open dialog offers, in lower case; the decoder tells images by their content anyway.
const IMAGE_EXTENSIONS: [&str; 9] = [
    "png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff", "svg",
];
const MESH_EXTENSIONS: [&str; 4] = ["glb", "obj", "stl", "ply"];

/// A dialog of the system that is open, and what is done with its answer.
pub(super) enum Dialog {
    Open(Promise<Option<Vec<PathBuf>>>),
    Save(Promise<Option<PathBuf>>),
    Matte(ProjectId, Promise<Option<PathBuf>>),
}

impl App {
    /// Opens files, each as a project of its own; the first is shown.
    ///
    /// An image goes to the project that is shown where that lacks its own; while the outline is corrected,
    /// it is a matte for that.
    pub(super) fn open_files(&mut self, mut paths: Vec<PathBuf>) {
        if let [path] = &paths[..]
            && !is_mesh(path)
            && let Some(editor) = self.editor()
        {
            let id = editor.project;
            self.use_own_matte(id, path.clone());
            return;
        }
        if let Some(id) = self
            .active_project()
            .filter(|open| open.missing.is_some())
            .map(|open| open.id)
            && let Some(first) = paths.iter().position(|path| !is_mesh(path))
        {
            self.give_image(id, paths.remove(first));
        }
        let mut images = Vec::new();
        for (place, path) in paths.into_iter().enumerate() {
            let id = self.add_project(file_name(&path), place == 0);
            if let Some(folder) = path.parent().filter(|folder| folder.is_absolute()) {
                self.preferences.open_folder = Some(folder.to_owned());
            }
            if is_mesh(&path) {
                if let Some(project) = self.project_mut(id) {
                    project.is_mesh_file = true;
                }
                self.desk.run(LaneOf::Files, move |inbox| {
                    inbox.send(Message::Loaded {
                        project: id,
                        result: load_mesh(&path),
                    });
                });
            } else {
                images.push((id, path));
            }
        }
        if images.is_empty() {
            return;
        }
        // One task, however many they are: a lane holds only so many.
        self.desk.run(LaneOf::Files, move |inbox| {
            for (project, path) in images {
                match read_image(&path) {
                    Ok(image) => send_image(inbox, project, &image),
                    Err(problem) => inbox.send(Message::Unusable { project, problem }),
                }
            }
        });
    }

    /// Starts with an image that is in memory.
    pub(super) fn open_image(&mut self, name: String, image: Arc<[u8]>) {
        let id = self.add_project(name, true);
        self.desk
            .run(LaneOf::Files, move |inbox| send_image(inbox, id, &image));
    }

    pub(super) fn open_sample(&mut self, sample: &'static Sample) {
        self.open_image(sample.file_name.to_owned(), sample.image.into());
    }

    /// Shows a result of the history again, with its image and settings.
    pub(super) fn open_record(&mut self, record: RecordId, name: String) {
        let open = self
            .projects
            .iter()
            .find(|project| project.record == Some(record));
        if let Some(open) = open {
            self.active = Some(open.id);
            return;
        }
        let Some(store) = self.store() else {
            return;
        };
        let id = self.add_project(name, true);
        if let Some(project) = self.project_mut(id) {
            project.record = Some(record);
            project.place_in_history = Arc::new(Mutex::new(Some(record)));
        }
        self.desk.run(LaneOf::Files, move |inbox| {
            let result = results::reopen(&store, record);
            let image = result.as_ref().ok().map(|opened| Arc::clone(&opened.image));
            inbox.send(Message::Reopened {
                project: id,
                result,
            });
            if let Some(image) = image {
                results::send_picture(inbox, id, &image);
            }
        });
    }

    /// What is asked for where nothing was turned yet.
    pub(super) fn first_wishes(&self) -> Wishes {
        Wishes::new(self.preferences.resolution, self.preferences.flow)
    }

    fn add_project(&mut self, name: String, show: bool) -> ProjectId {
        self.next_project += 1;
        let id = ProjectId(self.next_project);
        let mut wishes = self.first_wishes();
        if let Some(active) = self.active_project() {
            // The next image is most likely wanted as the last one was.
            wishes.precision = active.wishes.precision;
            wishes.resolution = active.wishes.resolution;
        }
        self.projects.push(Project::new(id, name, wishes));
        if show {
            self.active = Some(id);
        }
        id
    }

    /// Shows the system's dialog for opening files. Made here, as some systems demand, and waited for
    /// elsewhere.
    pub(super) fn ask_for_files(&mut self) {
        if self.dialog.is_some() {
            return;
        }
        let all: Vec<&str> = IMAGE_EXTENSIONS
            .into_iter()
            .chain(MESH_EXTENSIONS)
            .collect();
        let mut dialog = rfd::AsyncFileDialog::new()
            .set_title("Open images")
            .add_filter("Images and meshes", &all)
            .add_filter("Images", &IMAGE_EXTENSIONS)
            .add_filter("Meshes", &MESH_EXTENSIONS);
        if let Some(folder) = &self.preferences.open_folder {
            dialog = dialog.set_directory(folder);
        }
        let picked = dialog.pick_files();
        let inbox = self.desk.inbox.clone();
        self.dialog = Some(Dialog::Open(Promise::spawn_thread(
            "orfeas-open-dialog",
            move || {
                let files = pollster::block_on(picked);
                inbox.wake();
                files.map(|files| files.iter().map(|file| file.path().to_owned()).collect())
            },
        )));
    }

    /// Shows the system's dialog for choosing where an export goes.
    pub(super) fn ask_where_to_save(&mut self, suggestion: &Path) {
        if self.dialog.is_some() {
            return;
        }
        let mut dialog = rfd::AsyncFileDialog::new().set_title("Export the mesh");
        if let Some(folder) = suggestion.parent().filter(|folder| folder.is_dir()) {
            dialog = dialog.set_directory(folder);
        }
        if let Some(name) = suggestion.file_name() {
            dialog = dialog.set_file_name(name.to_string_lossy());
        }
        let picked = dialog.save_file();
        let inbox = self.desk.inbox.clone();
        self.dialog = Some(Dialog::Save(Promise::spawn_thread(
            "orfeas-save-dialog",
            move || {
                let file = pollster::block_on(picked);
                inbox.wake();
                file.map(|file| file.path().to_owned())
            },
        )));
    }

    /// Shows the system's dialog for choosing the matte of the image that is shown.
    pub(super) fn ask_for_matte(&mut self) {
        let Some(project) = self.active.filter(|_| self.dialog.is_none()) else {
            return;
        };
        let mut dialog = rfd::AsyncFileDialog::new()
            .set_title("Choose a matte: white, or opaque, is the subject")
            .add_filter("Images", &IMAGE_EXTENSIONS);
        if let Some(folder) = &self.preferences.open_folder {
            dialog = dialog.set_directory(folder);
        }
        let picked = dialog.pick_file();
        let inbox = self.desk.inbox.clone();
        let promise = Promise::spawn_thread("orfeas-matte-dialog", move || {
            let file = pollster::block_on(picked);
            inbox.wake();
            file.map(|file| file.path().to_owned())
        });
        self.dialog = Some(Dialog::Matte(project, promise));
    }

    /// Takes the answer of an open dialog, once it is there.
    pub(super) fn poll_dialog(&mut self) {
        match self.dialog.take() {
            Some(Dialog::Open(promise)) => match promise.try_take() {
                Ok(Some(paths)) => self.open_files(paths),
                Ok(None) => {}
                Err(promise) => self.dialog = Some(Dialog::Open(promise)),
            },
            Some(Dialog::Save(promise)) => match promise.try_take() {
                Ok(Some(path)) => {
                    if let Some(export) = &mut self.export {
                        export.choose(&path);
                    }
                }
                Ok(None) => {}
                Err(promise) => self.dialog = Some(Dialog::Save(promise)),
            },
            Some(Dialog::Matte(project, promise)) => match promise.try_take() {
                Ok(Some(path)) => self.use_own_matte(project, path),
                Ok(None) => {}
                Err(promise) => self.dialog = Some(Dialog::Matte(project, promise)),
            },
            None => {}
        }
    }

    /// Takes the image, or the files, that the clipboard holds.
    pub(super) fn paste(&mut self) {
        self.desk.run(LaneOf::Files, |inbox| {
            inbox.send(Message::Pasted(clipboard_image()));
        });
    }

    /// Takes the text that the clipboard holds, for the field that has the focus.
    pub(super) fn paste_text(&mut self) {
        self.desk.run(LaneOf::Files, |inbox| {
            let text = arboard::Clipboard::new().and_then(|mut clipboard| clipboard.get_text());
            match text {
                Ok(text) => inbox.send(Message::PastedText(text)),
                Err(error) => tracing::debug!(%error, "no text to paste"),
            }
        });
    }

    /// Takes what was dropped on the window.
    pub(super) fn take_drops(&mut self, ctx: &egui::Context) {
        let dropped = ctx.input_mut(|input| std::mem::take(&mut input.raw.dropped_files));
        if dropped.is_empty() {
            return;
        }
        let paths = dropped.iter().map(|file| file.path().to_owned()).collect();
        self.open_files(paths);
    }
}

fn send_image(inbox: &Inbox, project: ProjectId, image: &Arc<[u8]>) {
    // First, so that the job begins while the picture is made.
    inbox.send(Message::Read {
        project,
        image: Arc::clone(image),
    });
    results::send_picture(inbox, project, image);
}

fn is_mesh(path: &Path) -> bool {
    Format::from_path(path).is_ok()
}

/// Reads a mesh file and places it as a result is placed: centred, its longest side 1.
fn load_mesh(path: &Path) -> Result<Loaded, Problem> {
    let name = file_name(path);
    let failed =
        |error: &dyn ToString| Problem::new(format!("{name} cannot be opened"), error.to_string());
    let loaded = formats::load(path).map_err(|error| failed(&error))?;
    let mut mesh = loaded.mesh;
    let before = results::shape_of(&mesh)?;
    let longest = (0..3)
        .map(|axis| f64::from(before.max[axis] - before.min[axis]))
        .fold(0.0, f64::max);
    mesh::normalise(&mut mesh).map_err(|error| failed(&error))?;
    Ok(Loaded {
        shape: results::shape_of(&mesh)?,
        mesh: Arc::new(mesh),
        warnings: loaded.warnings,
        settings: loaded.settings,
        longest_side_mm: longest * loaded.mm_per_unit,
    })
}

/// The clipboard's image as a PNG file.
fn clipboard_image() -> Result<Arc<[u8]>, Problem> {
    let failed = |error: &dyn ToString| {
        Problem::new(
            "There is no image to paste",
            format!(
                "{}; copy an image first, or drop a file on the window",
                error.to_string()
            ),
        )
    };
    let image = arboard::Clipboard::new()
        .and_then(|mut clipboard| clipboard.get_image())
        .map_err(|error| failed(&error))?;
    let png = pixels::png(&image.bytes, image.width as u32, image.height as u32)
        .map_err(|error| failed(&error))?;
    Ok(png.into())
}
