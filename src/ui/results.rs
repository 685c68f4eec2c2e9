//! What is made of a result before it is shown: measures, pictures, a place in the history. All of it
//! runs on a lane.

use std::sync::{Arc, Mutex, PoisonError};

use eframe::egui::{Color32, ColorImage};

use super::desk::{Finished, Inbox, Message, Problem, Reopened};
use super::editor::Came;
use super::outline::Outline;
use super::pixels;
use super::project::ProjectId;
use super::restore::own_matte;
use crate::engine::{LevelMesh, MatteSummary, Outcome, Shape};
use crate::mesh::{Mesh, checks};
use crate::photo::{self, Limits, Matte, MatteKind, Photo};
use crate::store::{NewRecord, RecordId, Store};

/// The longest side of a picture in the panel, in pixels: sharp on a screen of twice the density.
const PICTURE_SIDE: usize = 560;
/// The longest side of the picture in the outline's editor.
const LARGE_PICTURE_SIDE: usize = 2048;
/// The longest side of the outline there: what an estimate is made at.
const LARGE_OUTLINE_SIDE: usize = 1024;
/// The longest side of a picture in the strip.
const THUMBNAIL_SIDE: usize = 128;

/// The mesh of a finished job, read from disk where it is not in memory.
pub(super) fn finished(outcome: &Arc<Outcome>) -> Result<Finished, Problem> {
    let mesh = outcome
        .mesh
        .load()
        .map_err(|error| Problem::new("The finished mesh could not be read", error))?;
    Ok(Finished {
        mesh,
        shape: outcome.summary.shape,
        resolution: Some(outcome.summary.resolution),
        outcome: Some(Arc::clone(outcome)),
    })
}

/// A level's mesh as a result of its own: checked like any other.
pub(super) fn kept(level: &LevelMesh) -> Result<Finished, Problem> {
    Ok(Finished {
        shape: shape_of(&level.mesh)?,
        mesh: Arc::new(level.mesh.clone()),
        resolution: Some(level.resolution),
        outcome: None,
    })
}

/// What a mesh measures.
pub(super) fn shape_of(mesh: &Mesh) -> Result<Shape, Problem> {
    checks::quick(mesh)
        .map(|report| Shape::from(&report))
        .map_err(|error| Problem::new("The mesh could not be checked", error))
}

/// Decodes an image and sends a picture of it.
pub(super) fn send_picture(inbox: &Inbox, project: ProjectId, image: &[u8]) {
    match photo::decode(image, &Limits::default()) {
        Ok(photo) => inbox.send(Message::Picture {
            project,
            picture: picture(&photo, PICTURE_SIDE),
            pixels: photo.pixels.len() as u64,
        }),
        // The job tells the same reason, and is the one that is listened to.
        Err(error) => tracing::debug!(%error, "no picture of the input"),
    }
}

/// A picture for the strip from an image file; `None` where it cannot be decoded.
pub(super) fn thumbnail(image: &[u8]) -> Option<ColorImage> {
    photo::decode(image, &Limits::default())
        .ok()
        .map(|photo| picture(&photo, THUMBNAIL_SIDE))
}

/// Averages a photo down until it fits.
fn picture(photo: &Photo, side: usize) -> ColorImage {
    let (width, height) = fit(photo.width, photo.height, side);
    let (from, to) = ([photo.width, photo.height], [width, height]);
    let averages = pixels::averaged(&photo.pixels, from, to);
    ColorImage::from_rgba_unmultiplied(to, averages.as_flattened())
}

/// Proportions kept, longest side at most `side`.
fn fit(width: usize, height: usize, side: usize) -> (usize, usize) {
    let longest = width.max(height).max(1);
    if longest <= side {
        return (width.max(1), height.max(1));
    }
    let scaled = |length: usize| (length * side).div_ceil(longest).max(1);
    (scaled(width), scaled(height))
}

/// A matte as it is drawn over the image.
pub(super) struct Drawn {
    /// Over the picture in the panel.
    pub(super) overlay: ColorImage,
    /// Over the picture in the editor, where it is open.
    pub(super) large: Option<ColorImage>,
    pub(super) summary: MatteSummary,
    /// What was asked for.
    pub(super) made_for: Outline,
}

/// Draws a matte as what lies over the picture: the ground dimmed, and a line along the edge.
pub(super) fn send_outline(
    inbox: &Inbox,
    project: ProjectId,
    matte: &Matte,
    made_for: Outline,
    is_edited: bool,
) {
    inbox.send(Message::Outline {
        project,
        drawn: Drawn {
            overlay: outline(matte, PICTURE_SIDE),
            large: is_edited.then(|| outline(matte, LARGE_OUTLINE_SIDE)),
            summary: matte.into(),
            made_for,
        },
    });
}

/// Makes the matte that no job is going to make, and draws it.
pub(super) fn send_made_outline(
    inbox: &Inbox,
    project: ProjectId,
    image: &[u8],
    made_for: &Outline,
    is_edited: bool,
) {
    if let Ok(photo) = photo::decode(image, &Limits::default()) {
        make_outline(inbox, project, &photo, made_for, is_edited);
    }
}

/// Sends a picture to look into, then the outline over it.
pub(super) fn send_for_editor(inbox: &Inbox, project: ProjectId, image: &[u8], made_for: &Outline) {
    match photo::decode(image, &Limits::default()) {
        Ok(photo) => {
            inbox.send(Message::ForOutline {
                project,
                came: Came::Picture {
                    picture: picture(&photo, LARGE_PICTURE_SIDE),
                    size_px: [photo.width, photo.height],
                },
            });
            make_outline(inbox, project, &photo, made_for, true);
        }
        Err(error) => inbox.send(Message::Notice(Problem::new(
            "This image cannot be shown",
            error,
        ))),
    }
}

fn make_outline(
    inbox: &Inbox,
    project: ProjectId,
    photo: &Photo,
    made_for: &Outline,
    is_edited: bool,
) {
    match photo::matte(photo, &made_for.request(), &|| false) {
        Ok(matte) => send_outline(inbox, project, &matte, made_for.clone(), is_edited),
        // A job for the same fails for the same reason, and is the one that is listened to.
        Err(error) => tracing::debug!(%error, "no outline"),
    }
}

fn outline(matte: &Matte, side: usize) -> ColorImage {
    let (width, height) = fit(matte.width, matte.height, side);
    let coverage = |x: usize, y: usize| {
        let (x, y) = (x * matte.width / width, y * matte.height / height);
        matte.alpha.get(y * matte.width + x).copied().unwrap_or(0.0)
    };
    let mut pixels = vec![Color32::TRANSPARENT; width * height];
    if matte.kind != MatteKind::Full {
        for y in 0..height {
            for x in 0..width {
                let inside = coverage(x, y) >= 0.5;
                // Two pixels wide, so that it is one point where the picture is shown at half its size.
                let near = [(2, 0), (0, 2), (1, 1)].iter().any(|&(right, down)| {
                    let other = coverage((x + right).min(width - 1), (y + down).min(height - 1));
                    (other >= 0.5) != inside
                });
                pixels[y * width + x] = match (near, inside) {
                    (true, _) => Color32::from_rgb(0xe8, 0xa0, 0x4a),
                    (false, true) => Color32::TRANSPARENT,
                    (false, false) => Color32::from_black_alpha(110),
                };
            }
        }
    }
    ColorImage::new([width, height], pixels)
}

/// Where a project's result is in the history. Lanes share it, so that each result takes the place of the
/// one before it, however fast they follow.
pub(super) type PlaceInHistory = Arc<Mutex<Option<RecordId>>>;

/// What is told of a result in the history.
pub(super) enum Told {
    /// What its job told.
    Whole(serde_json::Value),
    /// What was told of the result before it, with other measures.
    AsBefore,
    /// Its measures alone.
    Measures,
}

/// What a record of the history is made from.
pub(super) struct ToRecord {
    pub(super) project: ProjectId,
    pub(super) name: String,
    pub(super) image: Arc<[u8]>,
    pub(super) matte_image: Option<Arc<[u8]>>,
    pub(super) settings: serde_json::Value,
    pub(super) told: Told,
    pub(super) shape: Shape,
    pub(super) mesh: Arc<Mesh>,
    pub(super) place: PlaceInHistory,
}

impl ToRecord {
    fn summary(&self, store: &Store, replaces: Option<RecordId>) -> serde_json::Value {
        let measures = serde_json::to_value(self.shape).unwrap_or_default();
        let mut summary = match &self.told {
            Told::Whole(summary) => return summary.clone(),
            Told::Measures => return measures,
            Told::AsBefore => replaces
                .and_then(|record| store.history().get(record).ok())
                .map_or_else(serde_json::Value::default, |record| record.summary),
        };
        match (summary.as_object_mut(), measures) {
            (Some(summary), serde_json::Value::Object(measures)) => summary.extend(measures),
            (_, measures) => return measures,
        }
        summary
    }
}

/// Keeps a result in the history, in the place of an earlier one of the same project.
pub(super) fn record(inbox: &Inbox, store: &Store, result: &ToRecord) {
    let mut place = result.place.lock().unwrap_or_else(PoisonError::into_inner);
    let new = NewRecord {
        image: &result.image,
        image_name: &result.name,
        matte_image: result.matte_image.as_deref(),
        settings: &result.settings,
        summary: &result.summary(store, *place),
        mesh: &result.mesh,
    };
    let history = store.history();
    match history.add(&new) {
        Ok(record) => {
            if let Some(old) = place.replace(record)
                && let Err(error) = history.remove(old)
            {
                tracing::warn!("an earlier result stays in the history: {error}");
            }
            inbox.send(Message::Recorded {
                project: result.project,
                record,
            });
            send_history(inbox, store);
        }
        Err(error) => inbox.send(Message::Notice(Problem::new(
            "This result is not kept in the history",
            error,
        ))),
    }
}

/// Lists the history.
pub(super) fn send_history(inbox: &Inbox, store: &Store) {
    let list = store.history().list().map_err(|error| error.to_string());
    inbox.send(Message::History(list));
}

/// Reads a record with its image and mesh.
pub(super) fn reopen(store: &Store, record: RecordId) -> Result<Reopened, Problem> {
    let history = store.history();
    let open = || {
        Ok::<_, crate::store::StoreError>(Reopened {
            record: history.get(record)?,
            image: history.image(record)?.into(),
            own_matte: history.matte_image(record)?.and_then(own_matte),
            mesh: Arc::new(history.mesh(record)?),
        })
    };
    open().map_err(|error| Problem::new("This result could not be opened again", error))
}
