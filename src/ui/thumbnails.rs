//! Pictures of finished meshes for the strip. They are drawn once, on a lane of their own and only while
//! nothing is being computed, and kept in the cache folder; until then, and where a mesh cannot be drawn,
//! the picture of the input stands in.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use eframe::egui::{ColorImage, TextureHandle};

use super::app::App;
use super::desk::{LaneOf, Message};
use super::project::{Project, ProjectId, Shown};
use super::{pixels, results};
use crate::engine::panic_message;
use crate::mesh::Mesh;
use crate::store::{RecordId, Store};
use crate::view::offscreen::{PictureOptions, RgbaPicture, Studio};
use crate::view::{Camera, Chunk, DeviceWatch, GpuMesh, Overlays, Prepared, Preset, Renderer};

/// The side of a picture, in pixels: sharp on a screen of twice the density.
const SIDE: u32 = 128;
/// The same of one that is compared with others, which is shown larger.
const LARGE_SIDE: u32 = 256;
/// How much larger it is drawn before it is averaged down: there may be one sample a pixel only.
const FINER: u32 = 3;

/// What a picture is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// A result of the history.
    Record(RecordId),
    /// A mesh that was opened from a file. Its picture is not kept.
    File(ProjectId),
    /// One of the coarse shapes of a project, by its seed. Its picture is not kept.
    Shape(ProjectId, u64),
}

/// What is known of the pictures.
#[derive(Default)]
pub(super) struct Thumbnails {
    textures: BTreeMap<Subject, TextureHandle>,
    asked: BTreeSet<Subject>,
    /// Not drawn so far: records are shown by their input, files by nothing.
    waiting: VecDeque<Subject>,
    drawing: Option<Subject>,
}

/// What a lane found for a subject.
pub(super) enum Found {
    /// The picture of its mesh.
    Drawn(ColorImage),
    /// The picture of its input; its mesh is to be drawn.
    Input(Option<ColorImage>),
    /// Its mesh cannot be drawn.
    Undrawable,
}

impl App {
    /// The picture of a record, once there is one. Whoever shows it asks in every frame.
    pub(super) fn thumbnail(&mut self, record: RecordId) -> Option<&TextureHandle> {
        let subject = Subject::Record(record);
        if self.thumbnails.asked.insert(subject)
            && let Some(store) = self.store()
        {
            self.desk.run(LaneOf::Files, move |inbox| {
                let found = match store
                    .thumbnails()
                    .get(record)
                    .and_then(|png| pixels::from_png(&png))
                {
                    Some(picture) => Found::Drawn(picture),
                    None => Found::Input(input(&store, record)),
                };
                inbox.send(Message::Thumbnail { subject, found });
            });
        }
        self.thumbnails.textures.get(&subject)
    }

    /// The picture of a mesh from a file, once there is one. Whoever shows it asks in every frame.
    fn thumbnail_of_file(&mut self, project: ProjectId) -> Option<&TextureHandle> {
        let subject = Subject::File(project);
        if self.thumbnails.asked.insert(subject) {
            self.thumbnails.waiting.push_back(subject);
        }
        self.thumbnails.textures.get(&subject)
    }

    /// The picture of one of the coarse shapes of a project, once there is one. Whoever shows it asks in every
    /// frame.
    pub(super) fn thumbnail_of_shape(
        &mut self,
        project: ProjectId,
        seed: u64,
    ) -> Option<&TextureHandle> {
        let subject = Subject::Shape(project, seed);
        if self.thumbnails.asked.insert(subject) {
            self.thumbnails.waiting.push_back(subject);
        }
        self.thumbnails.textures.get(&subject)
    }

    /// What stands for a project in the strip: its finished mesh, or else its input.
    pub(super) fn tile_picture(&mut self, place: usize) -> Option<TextureHandle> {
        let project = self.projects.get(place)?;
        let (id, is_finished) = (project.id, project.is_finished());
        let record = project.record.filter(|_| is_finished);
        let is_file = is_finished && project.is_mesh_file && project.result.is_some();
        let input = project.picture.clone();
        let drawn = match record {
            Some(record) => self.thumbnail(record).cloned(),
            None if is_file => self.thumbnail_of_file(id).cloned(),
            None => None,
        };
        drawn.or(input)
    }

    /// Takes what was found for a subject.
    pub(super) fn take_thumbnail(&mut self, subject: Subject, found: Found) {
        // A picture that was kept comes while another is drawn.
        self.thumbnails.drawing.take_if(|drawn| *drawn == subject);
        // Forgotten while it was drawn.
        if !self.thumbnails.asked.contains(&subject) {
            return;
        }
        let picture = match found {
            Found::Drawn(picture) => Some(picture),
            Found::Input(picture) => {
                self.thumbnails.waiting.push_back(subject);
                picture
            }
            Found::Undrawable => None,
        };
        if let Some(picture) = picture {
            let texture = self.texture(format!("thumbnail {subject:?}"), picture);
            self.thumbnails.textures.insert(subject, texture);
        }
    }

    /// Has the next mesh drawn, while there is nothing better to do.
    pub(super) fn draw_thumbnails(&mut self) {
        if self.thumbnails.drawing.is_some()
            || self.thumbnails.waiting.is_empty()
            || self.projects.iter().any(Project::is_working)
        {
            return;
        }
        let Some((renderer, watch)) = self.viewport.studio() else {
            return;
        };
        let Some(subject) = self.thumbnails.waiting.pop_front() else {
            return;
        };
        let mesh = match subject {
            Subject::Record(record) => match self.store() {
                Some(store) => ToDraw::Kept(store, record),
                None => return,
            },
            Subject::File(project) => {
                match self.project(project).and_then(|open| open.result.as_ref()) {
                    Some(result) => ToDraw::Shown(result.shown.clone()),
                    None => return,
                }
            }
            Subject::Shape(project, seed) => {
                let sheet = self.project(project).and_then(|open| open.sheet.as_ref());
                let mut shapes = sheet.iter().flat_map(|sheet| &sheet.shapes);
                match shapes.find(|shape| shape.seed == seed) {
                    Some(shape) => ToDraw::Shown(Shown::Mesh(Arc::clone(&shape.mesh))),
                    None => return,
                }
            }
        };
        let side_px = match subject {
            Subject::Shape(..) => LARGE_SIDE,
            Subject::Record(_) | Subject::File(_) => SIDE,
        };
        self.thumbnails.drawing = Some(subject);
        self.desk.run(LaneOf::Pictures, move |inbox| {
            let found = draw(&mesh, side_px, renderer, watch);
            inbox.send(Message::Thumbnail { subject, found });
        });
    }

    /// Forgets the pictures of records that are gone: replaced, or older than there is room for.
    pub(super) fn forget_thumbnails_of_gone(&mut self) {
        let kept: BTreeSet<RecordId> = self.history.iter().map(|record| record.id).collect();
        let asked = self.thumbnails.asked.iter();
        let gone: Vec<RecordId> = asked
            .filter_map(|subject| match subject {
                Subject::Record(record) => Some(*record),
                Subject::File(_) | Subject::Shape(..) => None,
            })
            .filter(|record| !kept.contains(record))
            .collect();
        for record in gone {
            self.forget_thumbnail(record);
        }
    }

    /// Forgets the picture of a record that is gone.
    pub(super) fn forget_thumbnail(&mut self, record: RecordId) {
        self.thumbnails.forget(Subject::Record(record));
        let Some(store) = self.store() else {
            return;
        };
        self.desk.run(LaneOf::Files, move |_| {
            if let Err(error) = store.thumbnails().remove(record) {
                tracing::debug!(%record, %error, "a thumbnail stays");
            }
        });
    }

    /// Forgets the pictures of a project's coarse shapes: there are others now, or it was closed.
    pub(super) fn forget_thumbnails_of_sheet(&mut self, project: ProjectId) {
        let asked = self.thumbnails.asked.iter().copied();
        let of_sheet =
            asked.filter(|subject| matches!(subject, Subject::Shape(of, _) if *of == project));
        for subject in of_sheet.collect::<Vec<_>>() {
            self.thumbnails.forget(subject);
        }
    }

    /// Forgets the picture of a file that was closed.
    pub(super) fn forget_thumbnail_of_file(&mut self, project: ProjectId) {
        self.thumbnails.forget(Subject::File(project));
    }
}

impl Thumbnails {
    /// Forgets a picture. What it is of may be brought back, and is asked for again then.
    fn forget(&mut self, subject: Subject) {
        self.textures.remove(&subject);
        self.asked.remove(&subject);
        self.waiting.retain(|waiting| *waiting != subject);
    }
}

/// Where a mesh to draw is.
enum ToDraw {
    Kept(Store, RecordId),
    Shown(Shown),
}

fn input(store: &Store, record: RecordId) -> Option<ColorImage> {
    match store.history().image(record) {
        Ok(image) => results::thumbnail(&image),
        Err(error) => {
            tracing::warn!(%record, %error, "a record has no picture");
            None
        }
    }
}

fn draw(mesh: &ToDraw, side_px: u32, renderer: Arc<Renderer>, watch: DeviceWatch) -> Found {
    let attempt = AssertUnwindSafe(|| match mesh {
        ToDraw::Kept(store, record) => {
            let mesh = store.history().mesh(*record);
            let mesh = mesh.map_err(|error| error.to_string())?;
            render(&mesh, side_px, renderer, watch)
        }
        ToDraw::Shown(shown) => render(shown.mesh(), side_px, renderer, watch),
    });
    let rendered = std::panic::catch_unwind(attempt)
        .unwrap_or_else(|payload| Err(panic_message(payload.as_ref())));
    match rendered {
        Ok(picture) => {
            if let ToDraw::Kept(store, record) = mesh {
                keep(store, *record, &picture);
            }
            Found::Drawn(colours(&picture))
        }
        Err(error) => {
            tracing::warn!(error, "a mesh was not drawn for the strip");
            Found::Undrawable
        }
    }
}

/// Keeps a picture, unless its record was deleted while it was drawn.
fn keep(store: &Store, record: RecordId, picture: &RgbaPicture) {
    let rgba = picture.pixels.as_flattened();
    let kept = pixels::png(rgba, picture.width, picture.height)
        .map_err(|error| error.to_string())
        .and_then(|png| {
            let put = store.thumbnails().put(record, &png);
            put.map_err(|error| error.to_string())
        });
    if let Err(error) = kept {
        tracing::warn!(%record, error, "a thumbnail is not kept");
    }
    if store.history().get(record).is_err()
        && let Err(error) = store.thumbnails().remove(record)
    {
        tracing::debug!(%record, %error, "a thumbnail stays");
    }
}

/// The mesh at a three-quarter angle, without a background.
fn render(
    mesh: &Mesh,
    side_px: u32,
    renderer: Arc<Renderer>,
    watch: DeviceWatch,
) -> Result<RgbaPicture, String> {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let prepared = Prepared::new(mesh).map_err(|error| told(&error))?;
    let camera = close_up(&prepared);
    let mesh = GpuMesh::new(&renderer, Arc::new(prepared));
    let options = PictureOptions {
        size_px: [side_px * FINER; 2],
        transparent: true,
        camera: Some(camera),
        overlays: Overlays {
            wireframe: false,
            grid: false,
            axes: false,
            shadow: true,
        },
        ..PictureOptions::default()
    };
    let picture = Studio::sharing(renderer, watch)
        .picture_of(&mesh, &options)
        .map_err(|error| told(&error))?;
    Ok(averaged(&picture))
}

/// As near as the object allows: nobody turns a thumbnail.
fn close_up(mesh: &Prepared) -> Camera {
    let mut camera = Camera::framing(&mesh.bounds(), Preset::ThreeQuarter, 1.0);
    // Every so-many-th vertex tells the outline well enough.
    let total: usize = mesh.chunks().iter().map(Chunk::vertex_count).sum();
    let step = total.div_ceil(20_000).max(1);
    let seen = mesh.chunks().iter().enumerate().flat_map(|(chunk, part)| {
        (0..part.vertex_count())
            .step_by(step)
            .filter_map(move |vertex| camera.project(mesh.position(chunk, vertex).into(), 1.0))
    });
    let (min, max) = seen.fold(
        (glam::Vec2::INFINITY, glam::Vec2::NEG_INFINITY),
        |(min, max), ndc| (min.min(ndc), max.max(ndc)),
    );
    let reach = (max - min).max_element() / 2.0;
    if reach.is_finite() && reach > 0.1 {
        let middle = (min + max) / 2.0;
        camera.focus = camera.point_on_focal_plane(middle, 1.0);
        camera.distance *= (reach / 0.9).min(1.0);
    }
    camera
}

fn averaged(picture: &RgbaPicture) -> RgbaPicture {
    let (width, height) = (picture.width / FINER, picture.height / FINER);
    let from = [picture.width, picture.height].map(|side| side as usize);
    let to = [width, height].map(|side| side as usize);
    RgbaPicture {
        width,
        height,
        pixels: pixels::averaged(&picture.pixels, from, to),
    }
}

fn colours(picture: &RgbaPicture) -> ColorImage {
    let size = [picture.width as usize, picture.height as usize];
    ColorImage::from_rgba_unmultiplied(size, picture.pixels.as_flattened())
}
