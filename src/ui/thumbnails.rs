//! Pictures of finished meshes for the strip. They are drawn once, on a lane of their own and only while
//! nothing is being computed, and kept in the cache folder; until then, and where a mesh cannot be drawn,
//! the picture of the input stands in.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use eframe::egui::{ColorImage, TextureHandle};

use super::app::App;
use super::desk::{Inbox, LaneOf, Message};
use super::project::Project;
use super::{pixels, results};
use crate::store::{RecordId, Store};
use crate::view::offscreen::{PictureOptions, RgbaPicture, Studio};
use crate::view::{Camera, Chunk, DeviceWatch, GpuMesh, Overlays, Prepared, Preset, Renderer};

/// The side of a picture, in pixels: sharp on a screen of twice the density.
const SIDE: u32 = 128;
/// How much larger it is drawn before it is averaged down: there may be one sample a pixel only.
const FINER: u32 = 3;

/// What is known of the pictures of records.
#[derive(Default)]
pub(super) struct Thumbnails {
    textures: BTreeMap<RecordId, TextureHandle>,
    asked: BTreeSet<RecordId>,
    /// Shown by their input so far.
    waiting: VecDeque<RecordId>,
    drawing: Option<RecordId>,
}

/// What a lane found for a record.
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
        if self.thumbnails.asked.insert(record)
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
                inbox.send(Message::Thumbnail { record, found });
            });
        }
        self.thumbnails.textures.get(&record)
    }

    /// What stands for a project in the strip: its finished mesh, or else its input.
    pub(super) fn tile_picture(&mut self, place: usize) -> Option<TextureHandle> {
        let project = self.projects.get(place)?;
        let finished = project.record.filter(|_| project.is_finished());
        let input = project.picture.clone();
        let drawn = finished.and_then(|record| self.thumbnail(record).cloned());
        drawn.or(input)
    }

    /// Takes what was found for a record.
    pub(super) fn take_thumbnail(&mut self, record: RecordId, found: Found) {
        // A picture that was kept comes while another is drawn.
        self.thumbnails.drawing.take_if(|drawn| *drawn == record);
        let picture = match found {
            Found::Drawn(picture) => Some(picture),
            Found::Input(picture) => {
                self.thumbnails.waiting.push_back(record);
                picture
            }
            Found::Undrawable => None,
        };
        if let Some(picture) = picture {
            let texture = self.texture(format!("history {record}"), picture);
            self.thumbnails.textures.insert(record, texture);
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
        let (Some(store), Some((renderer, watch))) = (self.store(), self.viewport.studio()) else {
            return;
        };
        let Some(record) = self.thumbnails.waiting.pop_front() else {
            return;
        };
        self.thumbnails.drawing = Some(record);
        self.desk.run(LaneOf::Pictures, move |inbox| {
            draw(inbox, &store, record, renderer, watch);
        });
    }

    /// Forgets the pictures of records that are gone: replaced, or older than there is room for.
    pub(super) fn forget_thumbnails_of_gone(&mut self) {
        let kept: BTreeSet<RecordId> = self.history.iter().map(|record| record.id).collect();
        let gone: Vec<RecordId> = self.thumbnails.asked.difference(&kept).copied().collect();
        for record in gone {
            self.forget_thumbnail(record);
        }
    }

    /// Forgets the picture of a record that is gone.
    pub(super) fn forget_thumbnail(&mut self, record: RecordId) {
        self.thumbnails.textures.remove(&record);
        // It may be brought back.
        self.thumbnails.asked.remove(&record);
        self.thumbnails.waiting.retain(|waiting| *waiting != record);
        let Some(store) = self.store() else {
            return;
        };
        self.desk.run(LaneOf::Files, move |_| {
            if let Err(error) = store.thumbnails().remove(record) {
                tracing::debug!(%record, %error, "a thumbnail stays");
            }
        });
    }
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

fn draw(
    inbox: &Inbox,
    store: &Store,
    record: RecordId,
    renderer: Arc<Renderer>,
    watch: DeviceWatch,
) {
    let attempt = AssertUnwindSafe(|| render(store, record, renderer, watch));
    let rendered = std::panic::catch_unwind(attempt)
        .unwrap_or_else(|_| Err("an internal error; the log has more".to_owned()));
    let found = match rendered {
        Ok(picture) => {
            keep(store, record, &picture);
            Found::Drawn(colours(&picture))
        }
        Err(error) => {
            tracing::warn!(%record, error, "a mesh of the history was not drawn");
            Found::Undrawable
        }
    };
    inbox.send(Message::Thumbnail { record, found });
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
    store: &Store,
    record: RecordId,
    renderer: Arc<Renderer>,
    watch: DeviceWatch,
) -> Result<RgbaPicture, String> {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let mesh = store.history().mesh(record).map_err(|error| told(&error))?;
    let prepared = Prepared::new(&mesh).map_err(|error| told(&error))?;
    drop(mesh);
    let camera = close_up(&prepared);
    let mesh = GpuMesh::new(&renderer, Arc::new(prepared));
    let options = PictureOptions {
        size_px: [SIDE * FINER; 2],
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
