//! A picture of the object as it is seen, without what is behind it, as a PNG file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::app::App;
use super::desk::{LaneOf, Message, Problem};
use super::pixels;
use super::project::Shown;
use super::viewport::View;
use crate::formats;
use crate::view::offscreen::{PictureOptions, Studio};
use crate::view::{DeviceWatch, Overlays, Renderer};

/// The longer side of a picture, in pixels.
const SIDE_PX: f32 = 2048.0;

impl App {
    /// Writes a picture of the object, elsewhere, to where meshes are exported to.
    pub(super) fn screenshot(&mut self) {
        let Some(project) = self.active_project() else {
            return;
        };
        let Some(result) = &project.result else {
            return;
        };
        let Some((renderer, watch, view)) = self.viewport.as_seen() else {
            return;
        };
        let folder = self.export_folder();
        let task = Task {
            shown: result.shown.clone(),
            stem: project.stem().to_owned(),
            folder,
            view,
        };
        self.desk.run(LaneOf::Views, move |inbox| {
            inbox.send(match task.run(renderer, watch) {
                Ok(file) => Message::Pictured(file),
                Err(problem) => Message::Notice(problem),
            });
        });
    }
}

struct Task {
    shown: Shown,
    stem: String,
    folder: PathBuf,
    view: View,
}

impl Task {
    fn run(self, renderer: Arc<Renderer>, watch: DeviceWatch) -> Result<PathBuf, Problem> {
        let failed = |error: &dyn std::fmt::Display| {
            Problem::new("The picture was not saved", error.to_string())
        };
        let aspect = self.view.aspect.clamp(0.1, 10.0);
        let options = PictureOptions {
            size_px: [aspect.min(1.0), (1.0 / aspect).min(1.0)]
                .map(|side| (side * SIDE_PX).round() as u32),
            shading: self.view.look.shading,
            transparent: true,
            camera: Some(self.view.camera),
            overlays: Overlays {
                wireframe: self.view.look.edges,
                grid: false,
                axes: false,
                shadow: true,
            },
            theme: self.view.theme,
        };
        let picture = Studio::sharing(renderer, watch)
            .picture(self.shown.mesh(), &options)
            .map_err(|error| failed(&error))?;
        let rgba = picture.pixels.as_flattened();
        let png =
            pixels::png(rgba, picture.width, picture.height).map_err(|error| failed(&error))?;
        let path = unused(&self.folder, &self.stem);
        formats::save_bytes(&path, &png).map_err(|error| failed(&error))?;
        Ok(path)
    }
}

/// A name that no file has yet.
fn unused(folder: &Path, stem: &str) -> PathBuf {
    let named = |number: u32| folder.join(format!("{stem} view {number}.png"));
    (1..10_000)
        .map(named)
        .find(|path| !path.exists())
        .unwrap_or_else(|| named(10_000))
}
