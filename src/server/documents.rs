//! The JSON documents that clients read, and what the API's description says about them.

use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::refusal::{ErrorDetail, Refusal};
use super::registry::{Found, Live};
use crate::engine::{Bounds, Cursor, Event, Measures, Origin, Outcome, State, Summary};
use crate::vram::{Usage, Watched};

/// What became of a job. The last three never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Queued,
    Running,
    Completed,
    Failed,
    Cancelled,
}

impl From<State> for Status {
    fn from(state: State) -> Self {
        match state {
            State::Queued => Self::Queued,
            State::Running => Self::Running,
            State::Completed => Self::Completed,
            State::Failed => Self::Failed,
            State::Cancelled => Self::Cancelled,
        }
    }
}

/// Where a job's result comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum OriginName {
    /// It was computed for this job.
    Computed,
    /// An identical request was under way already.
    Joined,
    /// It was in the cache.
    Cached,
}

impl From<Origin> for OriginName {
    fn from(origin: Origin) -> Self {
        match origin {
            Origin::Computed => Self::Computed,
            Origin::Joined => Self::Joined,
            Origin::Cached => Self::Cached,
        }
    }
}

/// A job and everything that is known of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JobDocument {
    pub(super) id: Uuid,
    pub(super) status: Status,
    origin: OriginName,
    /// What the client calls the image.
    image: String,
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    /// The settings as they were understood.
    #[schema(value_type = Object)]
    settings: Value,
    /// Why the source among the settings was chosen, where that was left to `auto`.
    source_reason: Option<String>,
    /// The longest side of the object, in millimetres.
    size_mm: f64,
    /// The finished mesh, once it is there.
    mesh_url: Option<String>,
    events_url: String,
    timings: Timings,
    /// Once the job was computed, not taken from the cache: memory around it.
    memory: Option<MemoryDocument>,
    /// Once the job completed.
    result: Option<ResultDocument>,
    /// Once the job failed.
    error: Option<ErrorDetail>,
}

/// The used share of memory around a job, every program's use included, in percent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MemoryDocument {
    /// Whose memory it is: `gpu`, or `host` where there is no GPU.
    #[schema(value_type = String)]
    watched: Watched,
    before_percent: Option<f64>,
    after_percent: Option<f64>,
    /// The most in between.
    peak_percent: Option<f64>,
}

impl From<&Usage> for MemoryDocument {
    fn from(usage: &Usage) -> Self {
        Self {
            watched: usage.watched,
            before_percent: usage.before_percent,
            after_percent: usage.after_percent,
            peak_percent: usage.peak_percent,
        }
    }
}

/// Where the time went, in seconds from the request on.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct Timings {
    /// Until the worker began.
    queued_seconds: Option<f64>,
    /// Until the first mesh was there.
    first_mesh_seconds: Option<f64>,
    /// Until the end.
    seconds: Option<f64>,
}

/// A finished mesh in numbers and words.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ResultDocument {
    /// The shape source.
    #[schema(value_type = String)]
    source: crate::engine::Source,
    /// The kind of solid.
    mode: String,
    /// Cells along the longest side.
    resolution: u32,
    /// Where it was computed, as in `cpu` or `cuda:0`.
    device: String,
    /// The number format it was computed in.
    precision: String,
    vertices: usize,
    faces: usize,
    closed: bool,
    manifold: bool,
    components: usize,
    euler: i64,
    volume_mm3: f64,
    area_mm2: f64,
    bounds_mm: BoundsDocument,
    matte: MatteDocument,
    stages: Vec<StageDocument>,
    warnings: Vec<String>,
    peak_ledger_bytes: u64,
    /// Where several shapes were asked for: all of them, the one that the rest of this document is about first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    shapes: Vec<ShapeDocument>,
}

/// One of several shapes of an image.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ShapeDocument {
    /// What to send as `seed` to have this shape alone.
    seed: u64,
    /// Its finished mesh.
    mesh_url: String,
    /// Cells along the longest side.
    resolution: u32,
    vertices: usize,
    faces: usize,
    closed: bool,
    manifold: bool,
    components: usize,
    euler: i64,
    volume_mm3: f64,
    area_mm2: f64,
    bounds_mm: BoundsDocument,
    warnings: Vec<String>,
}

impl ShapeDocument {
    fn of(summary: &Summary, size_mm: f64, seed: u64, job: Uuid) -> Self {
        let shape = &summary.shape;
        let measures = shape.in_mm(size_mm);
        Self {
            seed,
            mesh_url: mesh_url(job, None, Some(seed)),
            resolution: summary.resolution,
            vertices: shape.vertices,
            faces: shape.faces,
            closed: shape.closed,
            manifold: shape.manifold,
            components: shape.components,
            euler: shape.euler,
            volume_mm3: measures.volume_mm3,
            area_mm2: measures.area_mm2,
            bounds_mm: (&measures).into(),
            warnings: summary.warnings.clone(),
        }
    }
}

/// The box around the mesh, +Y up, +Z to the front.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BoundsDocument {
    min: [f64; 3],
    max: [f64; 3],
    size: [f64; 3],
}

/// The matte that was used.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MatteDocument {
    /// `alpha`, `estimated`, `full` or `user`.
    kind: String,
    /// How far it can be trusted, from 0 to 1.
    confidence: f32,
}

/// How long a stage took.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StageDocument {
    name: String,
    seconds: f64,
}

impl From<&Measures> for BoundsDocument {
    fn from(measures: &Measures) -> Self {
        let Bounds { min, max, size } = measures.bounds_mm;
        Self { min, max, size }
    }
}

/// The shapes of a result, where there are several.
fn shapes_of(outcome: &Outcome, live: &Live) -> Vec<ShapeDocument> {
    let settings = &live.submission.job.request.settings;
    let several = !outcome.further.is_empty();
    let shapes = outcome.shapes().enumerate().filter(|_| several);
    let of = |(place, shape): (usize, &Outcome)| {
        let seed = settings.seed_of(place);
        ShapeDocument::of(&shape.summary, live.size_mm, seed, live.submission.id)
    };
    shapes.map(of).collect()
}

impl ResultDocument {
    fn of(outcome: &Outcome, live: &Live) -> Self {
        let (summary, size_mm) = (&outcome.summary, live.size_mm);
        let shape = &summary.shape;
        let measures = shape.in_mm(size_mm);
        Self {
            source: summary.source,
            mode: summary.mode.clone(),
            resolution: summary.resolution,
            device: summary.device.clone(),
            precision: summary.precision.clone(),
            vertices: shape.vertices,
            faces: shape.faces,
            closed: shape.closed,
            manifold: shape.manifold,
            components: shape.components,
            euler: shape.euler,
            volume_mm3: measures.volume_mm3,
            area_mm2: measures.area_mm2,
            bounds_mm: (&measures).into(),
            matte: MatteDocument {
                kind: summary.matte.kind.clone(),
                confidence: summary.matte.confidence,
            },
            stages: summary
                .stages
                .iter()
                .map(|stage| StageDocument {
                    name: stage.name.clone(),
                    seconds: stage.seconds,
                })
                .collect(),
            warnings: summary.warnings.clone(),
            peak_ledger_bytes: summary.peak_ledger_bytes,
            shapes: shapes_of(outcome, live),
        }
    }
}

impl JobDocument {
    pub(super) fn of(live: &Live) -> Self {
        let submission = &live.submission;
        let request = &submission.job.request;
        // The state before the result, which is there before the state says so.
        let status = Status::from(submission.state());
        let result = submission
            .result()
            .filter(|_| matches!(status, Status::Completed | Status::Failed));
        let memory = match result {
            Some(Ok(outcome)) => outcome.usage.as_ref().map(MemoryDocument::from),
            _ => None,
        };
        let (result, error) = match result {
            Some(Ok(outcome)) => {
                let document = ResultDocument::of(outcome, live);
                (Some(document), None)
            }
            Some(Err(failure)) => {
                let refusal = Refusal::failed(failure, request.settings.resolution);
                (None, Some(refusal.detail().clone()))
            }
            None => (None, None),
        };
        Self {
            id: submission.id,
            status,
            origin: submission.origin.into(),
            image: live.name.clone(),
            created: live.created,
            settings: request.settings.to_json(),
            source_reason: submission
                .chosen
                .as_ref()
                .map(|chosen| chosen.reason.clone()),
            size_mm: live.size_mm,
            mesh_url: (status == Status::Completed).then(|| mesh_url(submission.id, None, None)),
            events_url: format!("{}/events", job_url(submission.id)),
            timings: Timings::of(live),
            memory,
            result,
            error,
        }
    }

    pub(super) fn to_json(&self) -> Bytes {
        // Documents hold no maps with keys that JSON could not take.
        serde_json::to_vec(self).unwrap_or_default().into()
    }
}

impl Timings {
    fn of(live: &Live) -> Self {
        let mut timings = Self::default();
        for stamped in live.submission.events.read(&mut Cursor::default()) {
            let since = stamped.at.saturating_duration_since(live.submitted);
            let seconds = Some(since.as_secs_f64());
            match stamped.event {
                Event::Queued { .. } | Event::Cached | Event::Shape { .. } => {}
                Event::Level { .. } => {
                    timings.first_mesh_seconds = timings.first_mesh_seconds.or(seconds)
                }
                event if event.is_terminal() => timings.seconds = seconds,
                _ => timings.queued_seconds = timings.queued_seconds.or(seconds),
            }
        }
        timings
    }
}

/// Where a job is found.
pub(super) fn job_url(id: Uuid) -> String {
    format!("/api/v1/jobs/{id}")
}

/// Where a job's mesh is found: of a level, or the finished one, and of which of several shapes.
pub(super) fn mesh_url(id: Uuid, level: Option<u32>, seed: Option<u64>) -> String {
    let level = level.map_or_else(String::new, |level| format!("&level={level}"));
    let seed = seed.map_or_else(String::new, |seed| format!("&seed={seed}"));
    format!("/api/v1/jobs/{id}/mesh?format=glb{level}{seed}")
}

/// A job in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JobLine {
    id: Uuid,
    status: Status,
    image: String,
    resolution: u32,
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    url: String,
}

impl JobLine {
    pub(super) fn of(found: &Found) -> Self {
        match found {
            Found::Live(live) => Self {
                id: live.submission.id,
                status: live.submission.state().into(),
                image: live.name.clone(),
                resolution: live.submission.job.request.settings.resolution,
                created: live.created,
                url: job_url(live.submission.id),
            },
            Found::Ended(ended) => Self {
                id: ended.id,
                status: ended.status,
                image: ended.name.clone(),
                resolution: ended.resolution,
                created: ended.created,
                url: job_url(ended.id),
            },
        }
    }
}

impl JobLine {
    /// Where the jobs before this one are found.
    pub(super) fn next_page(&self, limit: usize) -> String {
        format!("/api/v1/jobs?limit={limit}&before={}", self.id)
    }
}

/// A page of jobs, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JobList {
    pub(super) jobs: Vec<JobLine>,
    /// How many jobs are remembered in all.
    pub(super) total: usize,
    /// The next page, where there is one.
    pub(super) next_url: Option<String>,
}

/// A job as it is now, as a response's body.
pub(super) fn job_json(found: &Found) -> Response {
    match found {
        Found::Live(live) => json(JobDocument::of(live).to_json()),
        Found::Ended(ended) => json(ended.document.clone()),
    }
}

pub(super) fn json(bytes: Bytes) -> Response {
    ([(CONTENT_TYPE, "application/json")], bytes).into_response()
}

/// The form that a job is submitted with.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only described: the form is read field by field")]
pub(super) struct GenerateForm {
    /// The image file: PNG, JPEG, WebP, BMP, GIF, TIFF or SVG.
    #[schema(value_type = String, format = Binary)]
    image: Vec<u8>,
    /// 1-2, 3-4, 5-7 and 8-10 mean 64, 128, 256 and 512 cells along the longest side.
    #[schema(nullable = false, minimum = 1, maximum = 10, default = 7)]
    quality: Option<u8>,
    /// Cells along the longest side; overrides the quality.
    #[schema(nullable = false, minimum = 16, maximum = 512)]
    resolution: Option<u32>,
    /// The shape source; auto takes the best whose weights are here, that fits into memory and is foretold to
    /// take less than two minutes, and says why in `source_reason`.
    #[schema(value_type = SourceName, required = false)]
    source: Option<SourceName>,
    #[schema(value_type = MatteName, required = false)]
    matte: Option<MatteName>,
    /// Your own matte, instead of `matte`: white, or opaque, is the subject.
    #[schema(value_type = String, format = Binary, required = false)]
    matte_image: Option<Vec<u8>>,
    /// Scales the depth of the solid.
    #[schema(nullable = false, minimum = 0.05, maximum = 4.0, default = 1.0)]
    thickness: Option<f32>,
    /// How much of the shading becomes relief.
    #[schema(nullable = false, minimum = 0.0, maximum = 1.0)]
    detail: Option<f32>,
    #[schema(value_type = BackName, required = false)]
    back: Option<BackName>,
    /// The depth of a full-frame relief, as a share of its longest side.
    #[schema(nullable = false, minimum = 0.01, maximum = 1.0)]
    relief: Option<f32>,
    /// The longest side of the object, in millimetres.
    #[schema(nullable = false, minimum = 0.1, maximum = 100_000.0, default = 100.0)]
    size: Option<f64>,
    /// Reduce the mesh to at most this many triangles.
    #[schema(nullable = false, minimum = 4, maximum = 100_000_000)]
    simplify: Option<u32>,
    /// Where to compute: auto, cpu, cuda or cuda:N.
    #[schema(value_type = String, required = false, pattern = "^(auto|cpu|cuda(:[0-9]{1,3})?)$", default = "auto")]
    device: Option<String>,
    /// The number format to compute in, where the source has a choice.
    #[schema(value_type = PrecisionName, required = false)]
    precision: Option<PrecisionName>,
    /// Steps from noise to the shape, for the source triposg.
    #[schema(nullable = false, minimum = 1, maximum = 1000, default = 50)]
    steps: Option<u32>,
    /// How far the image is followed, for the source triposg.
    #[schema(nullable = false, minimum = 0.0, maximum = 100.0, default = 7.0)]
    guidance: Option<f32>,
    /// Which noise, for the source triposg: another seed is another shape.
    #[schema(
        nullable = false,
        minimum = 0,
        maximum = 9_007_199_254_740_991_u64,
        default = 0
    )]
    seed: Option<u64>,
    /// How many shapes, for the source triposg: of this seed and those that follow it. They are sampled together,
    /// and each comes out as its seed makes it alone; the result lists them. A later request with one of these seeds
    /// alone, of the same image and settings but another quality or threshold, only meshes that shape anew.
    #[schema(nullable = false, minimum = 1, maximum = 8, default = 1)]
    shapes: Option<u32>,
    /// Where the surface lies in the field, for the source triposg: above 0 the shape is thinner.
    #[schema(nullable = false, minimum = -0.9, maximum = 0.9, default = 0.0)]
    threshold: Option<f32>,
    /// The share of the time that goes into looks at the shape on the way, for the source triposg.
    #[schema(nullable = false, minimum = 0.0, maximum = 0.9, default = 0.1)]
    preview_share: Option<f64>,
    /// Take the result from the cache where it is there, and keep it there.
    #[schema(nullable = false, default = true)]
    cache: Option<bool>,
    /// Keep the result in the history of this machine's user.
    #[schema(nullable = false, default = true)]
    history: Option<bool>,
    /// Answer when the job ended; with false at once, with 202. Without meaning for progressive answers.
    #[schema(nullable = false, default = true)]
    wait: Option<bool>,
    /// Give the job up when the connection that waits for it is closed. Otherwise it runs on, and the same
    /// request sent again joins it or finds its result.
    #[schema(nullable = false, default = false)]
    cancel_on_disconnect: Option<bool>,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "only described")]
pub(super) enum SourceName {
    Auto,
    Inflate,
    Triposr,
    Triposg,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "only described")]
pub(super) enum PrecisionName {
    Auto,
    Fp32,
    Fp16,
    Bf16,
    Int8,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "only described")]
pub(super) enum MatteName {
    Auto,
    Alpha,
    Full,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "only described")]
pub(super) enum BackName {
    Auto,
    Plain,
    Mirror,
    Flat,
}
