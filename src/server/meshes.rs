//! Meshes as files, made in memory on a blocking thread and sent in slices.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use uuid::Uuid;

use super::app::App;
use super::body::Held;
use super::documents::{Status, mesh_url};
use super::refusal::Refusal;
use super::registry::{Found, Meshes};
use crate::engine::{Job, LevelMesh, Outcome, Seen};
use crate::formats::{self, Format, SaveError, WriteOptions};
use crate::mesh::Mesh;
use crate::store::{Entry, StoreError};

/// Bytes of a slice that is handed to the connection at once.
const SLICE_BYTES: usize = 256 * 1024;

/// What a client wants of a job's mesh.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    pub(super) format: Format,
    pub(super) level: Option<u32>,
    /// Which shape; `None` for the first.
    pub(super) seed: Option<u64>,
    /// The longest side in millimetres, if other than what the job was asked for.
    pub(super) size_mm: Option<f64>,
}

/// A mesh, of a level or the finished one.
enum Chosen {
    /// One of the shapes, counted from 0.
    Finished(Arc<Outcome>, usize),
    Level(Arc<LevelMesh>),
    Stored(Entry),
}

/// Why there are no bytes.
enum Unwritten {
    Store(StoreError),
    Save(SaveError),
}

impl Chosen {
    /// The mesh as a file; reads it from disk where it is no longer in memory.
    fn encode(&self, format: Format, options: &WriteOptions) -> Result<Bytes, Unwritten> {
        let loaded = match self {
            Self::Finished(outcome, place) => outcome.shape(*place).map(|shape| shape.mesh.load()),
            Self::Stored(entry) => Some(entry.mesh().map(Arc::new)),
            Self::Level(_) => None,
        };
        let loaded = loaded.transpose().map_err(Unwritten::Store)?;
        let mesh: &Mesh = match (self, &loaded) {
            (Self::Level(level), _) => &level.mesh,
            (_, Some(mesh)) => mesh,
            (_, None) => return Err(Unwritten::Store(StoreError::Gone)),
        };
        let mut bytes = Vec::new();
        formats::write(mesh, format, options, &mut bytes).map_err(Unwritten::Save)?;
        Ok(bytes.into())
    }
}

/// Answers with a mesh file.
pub(super) async fn serve(app: &Arc<App>, found: &Found, wish: Wish) -> Result<Response, Refusal> {
    let (id, status, size_mm, seeds, meshes) = match found {
        Found::Live(live) => (
            live.submission.id,
            live.submission.state().into(),
            live.size_mm,
            live.submission.job.request.settings.seeds(),
            Some(Meshes::InMemory(Arc::clone(&live.submission.job))),
        ),
        Found::Ended(ended) => (
            ended.id,
            ended.status,
            ended.size_mm,
            Some(ended.seeds.clone()),
            app.registry.meshes(ended.job),
        ),
    };
    let seeds = seeds.unwrap_or_default();
    let place = place_of(id, &seeds, wish.seed)?;
    refuse_without_mesh(id, status, wish.level)?;
    let chosen = match meshes.ok_or_else(|| gone(id))? {
        Meshes::InMemory(job) => choose(&job, id, status, wish.level, place)?,
        Meshes::Stored(mut entries) if wish.level.is_none() && place < entries.len() => {
            Chosen::Stored(entries.swap_remove(place))
        }
        Meshes::Stored(_) => return Err(gone(id)),
    };
    let mut settings = settings_of(found);
    if let (Some(seed), Some(settings)) = (seeds.get(place), settings.as_object_mut()) {
        // Those of this shape alone.
        settings.insert("seed".to_owned(), (*seed).into());
        settings.remove("shapes");
    }
    settings["size_mm"] = wish.size_mm.unwrap_or(size_mm).into();
    let options = WriteOptions {
        longest_side_mm: wish.size_mm.unwrap_or(size_mm),
        settings,
        name: "Orfeas".to_owned(),
        ..WriteOptions::default()
    };
    let bytes = encode(app, id, chosen, wish.format, options).await?;
    let held = app
        .downloads
        .take(bytes.len() as u64)
        .ok_or_else(|| Refusal::busy("as many meshes are being sent as may be; try again soon"))?;
    Ok(file(id, wish.format, bytes, held))
}

/// The settings that the file carries.
fn settings_of(found: &Found) -> Value {
    match found {
        Found::Live(live) => live.submission.job.request.settings.to_json(),
        Found::Ended(ended) => serde_json::from_slice::<Value>(&ended.document)
            .map(|mut document| document["settings"].take())
            .unwrap_or_default(),
    }
}

/// Which of the shapes has this seed, counted from 0.
fn place_of(id: Uuid, seeds: &[u64], seed: Option<u64>) -> Result<usize, Refusal> {
    let Some(seed) = seed else {
        return Ok(0);
    };
    let place = seeds.iter().position(|&other| other == seed);
    place.ok_or_else(|| {
        let there = match (seeds.first(), seeds.last()) {
            (Some(first), Some(last)) if first < last => {
                format!("there are those of the seeds {first} to {last}")
            }
            (Some(only), _) => format!("there is that of seed {only}"),
            (None, _) => "its source has no seeds; leave the seed out".to_owned(),
        };
        Refusal::new(
            StatusCode::NOT_FOUND,
            "no_such_shape",
            format!("the job has no shape of seed {seed}; {there}"),
        )
        .about("seed")
        .of(id)
    })
}

/// A job that failed or was cancelled has no mesh, and one that runs has levels only.
fn refuse_without_mesh(id: Uuid, status: Status, level: Option<u32>) -> Result<(), Refusal> {
    let conflict =
        |code: &str, message: &str| Err(Refusal::new(StatusCode::CONFLICT, code, message).of(id));
    match status {
        Status::Failed => conflict(
            "job_failed",
            "the job failed, so it has no mesh; the job tells why",
        ),
        Status::Cancelled => conflict("job_cancelled", "the job was cancelled, so it has no mesh"),
        Status::Queued | Status::Running if level.is_none() => conflict(
            "not_finished",
            "the job has not ended yet; wait for it, or ask for one of its levels with level=32 and so on",
        ),
        _ => Ok(()),
    }
}

fn gone(id: Uuid) -> Refusal {
    Refusal::new(
        StatusCode::GONE,
        "mesh_gone",
        "the mesh had to make room for newer ones; send the same request again to make it anew",
    )
    .of(id)
}

fn choose(
    job: &Job,
    id: Uuid,
    status: Status,
    level: Option<u32>,
    place: usize,
) -> Result<Chosen, Refusal> {
    let finished = match job.result() {
        Some(Ok(outcome)) if status == Status::Completed => Some(Arc::clone(outcome)),
        _ => None,
    };
    let resolution = match (level, finished) {
        (None, Some(outcome)) => return Ok(Chosen::Finished(outcome, place)),
        (None, None) => return Err(gone(id)),
        (Some(level), Some(outcome))
            if (outcome.shape(place)).is_some_and(|shape| shape.summary.resolution == level) =>
        {
            return Ok(Chosen::Finished(outcome, place));
        }
        (Some(level), _) => level,
    };
    let mut levels = job.levels();
    levels.extend(job.mesh.newer_than(&mut Seen::default()));
    levels.retain(|level| level.shape == place);
    let found = levels
        .iter()
        .find(|level| level.resolution == resolution)
        .map(|level| Chosen::Level(Arc::clone(level)));
    found.ok_or_else(|| {
        let there: Vec<_> = levels
            .iter()
            .map(|level| level.resolution.to_string())
            .collect();
        let there = if there.is_empty() {
            "none is there yet".to_owned()
        } else {
            format!("there are {}", there.join(", "))
        };
        Refusal::new(
            StatusCode::NOT_FOUND,
            "no_such_level",
            format!(
                "the job has no mesh of level {resolution}; {there}, and the finished mesh is {}",
                mesh_url(id, None, None)
            ),
        )
        .about("level")
        .of(id)
    })
}

/// Writes the mesh into memory when its turn has come.
async fn encode(
    app: &Arc<App>,
    id: Uuid,
    chosen: Chosen,
    format: Format,
    options: WriteOptions,
) -> Result<Bytes, Refusal> {
    let turn = Arc::clone(&app.encoding)
        .acquire_owned()
        .await
        .map_err(|_closed| Refusal::shutting_down())?;
    let written = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        chosen.encode(format, &options)
    });
    let written = written.await.map_err(|_panicked| Refusal::internal())?;
    written.map_err(|error| match error {
        Unwritten::Store(error) => {
            tracing::warn!(job = %id, "a mesh is no longer kept: {error}");
            gone(id)
        }
        Unwritten::Save(error) => {
            tracing::error!(job = %id, "a mesh could not be written: {error}");
            Refusal::internal()
        }
    })
}

fn file(id: Uuid, format: Format, bytes: Bytes, held: Held) -> Response {
    let content_type = match format {
        Format::Glb => "model/gltf-binary",
        Format::Obj => "model/obj",
        Format::Stl => "model/stl",
        Format::Ply => "application/octet-stream",
        Format::ThreeMf => "model/3mf",
    };
    let disposition = format!(
        "attachment; filename=\"orfeas-{id}.{}\"",
        format.extension()
    );
    let length = bytes.len();
    // The memory is given back when the last slice was taken, or the client went away.
    let slices = (0..length).step_by(SLICE_BYTES).map(move |start| {
        let _held = &held;
        let end = (start + SLICE_BYTES).min(length);
        Ok::<_, std::convert::Infallible>(bytes.slice(start..end))
    });
    let headers = [
        (CONTENT_TYPE, content_type.to_owned()),
        (CONTENT_DISPOSITION, disposition),
        (CONTENT_LENGTH, length.to_string()),
    ];
    (headers, Body::from_stream(tokio_stream::iter(slices))).into_response()
}
