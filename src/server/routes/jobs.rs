//! Jobs: listing, looking, following, fetching, cancelling.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::{JobPath, Parameters};
use crate::engine::Settings;
use crate::formats::Format;
use crate::server::app::App;
use crate::server::documents::{JobDocument, JobLine, JobList, Status, job_json};
use crate::server::events::{self, Framing, ServerSentEvent};
use crate::server::fields;
use crate::server::meshes::{self, Wish};
use crate::server::refusal::{ErrorDocument, Refusal};
use crate::server::registry::Found;

/// Jobs on a page where nothing else is asked.
const PAGE: usize = 100;

/// The most jobs on a page.
const LONGEST_PAGE: usize = 1000;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// How many jobs at most.
    #[param(value_type = u32, required = false, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<String>,
    /// Only jobs that were submitted before the one with this id.
    #[param(value_type = Uuid, required = false)]
    before: Option<String>,
}

fn find(app: &App, id: Uuid) -> Result<Found, Refusal> {
    app.registry.find(id).ok_or_else(Refusal::no_such_job)
}

fn ended_already(id: Uuid) -> Refusal {
    Refusal::new(
        StatusCode::CONFLICT,
        "job_ended",
        "the job has ended already, which never changes",
    )
    .of(id)
}

/// List jobs, newest first
#[utoipa::path(
    get,
    path = "/api/v1/jobs",
    tag = "jobs",
    params(ListQuery),
    responses(
        (status = 200, description = "A page of jobs", body = JobList),
        (status = 400, description = "The parameters cannot be read", body = ErrorDocument),
        (status = 404, description = "There is no job with the id given as before", body = ErrorDocument),
        (status = 422, description = "A parameter is out of its range", body = ErrorDocument),
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Json<JobList>, Refusal> {
    let limit = match &query.limit {
        Some(text) => fields::number("limit", text, &(1..=LONGEST_PAGE))?,
        None => PAGE,
    };
    let before = match &query.before {
        Some(text) => {
            let id = Uuid::parse_str(text)
                .map_err(|_not_one| Refusal::invalid("before", "before takes the id of a job"))?;
            Some(id)
        }
        None => None,
    };
    let (page, total) = app
        .registry
        .list(before, limit)
        .ok_or_else(Refusal::no_such_job)?;
    let jobs: Vec<_> = page.iter().map(JobLine::of).collect();
    let next_url = match jobs.last() {
        Some(last) if jobs.len() == limit => Some(last.next_page(limit)),
        _ => None,
    };
    Ok(Json(JobList {
        jobs,
        total,
        next_url,
    }))
}

/// A job as it is now
#[utoipa::path(
    get,
    path = "/api/v1/jobs/{id}",
    tag = "jobs",
    params(("id" = Uuid, Path, description = "The job")),
    responses(
        (status = 200, description = "The job", body = JobDocument),
        (status = 400, description = "This is not an id", body = ErrorDocument),
        (status = 404, description = "There is no such job", body = ErrorDocument),
    )
)]
pub(super) async fn job(
    State(app): State<Arc<App>>,
    JobPath(id): JobPath,
) -> Result<Response, Refusal> {
    find(&app, id).map(|found| job_json(&found))
}

/// Cancel a job
///
/// It ends within 200 ms, unless an identical request of somebody else shares it: then only this one ends.
#[utoipa::path(
    delete,
    path = "/api/v1/jobs/{id}",
    tag = "jobs",
    params(("id" = Uuid, Path, description = "The job")),
    responses(
        (status = 200, description = "The job, cancelled", body = JobDocument),
        (status = 400, description = "This is not an id", body = ErrorDocument),
        (status = 401, description = "The token is missing or wrong", body = ErrorDocument),
        (status = 403, description = "The request comes from a foreign web page", body = ErrorDocument),
        (status = 404, description = "There is no such job", body = ErrorDocument),
        (status = 409, description = "The job has ended already", body = ErrorDocument),
    )
)]
pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    JobPath(id): JobPath,
) -> Result<Response, Refusal> {
    let Found::Live(live) = find(&app, id)? else {
        return Err(ended_already(id));
    };
    app.engine.cancel(&live.submission);
    let ended = app.registry.settle(&live);
    // It may have ended by itself in between.
    match ended.status {
        Status::Cancelled => Ok(job_json(&Found::Ended(ended))),
        _ => Err(ended_already(id)),
    }
}

/// Keep a job's shape as it is predicted by now
///
/// For a job whose source refines its shape from noise, while it does: it takes no more steps, finishes the shape as
/// it is predicted, and completes with a warning that says after how many steps. An identical request of somebody
/// else that shares the job gets the same shape. No level of a mesh is left out.
#[utoipa::path(
    post,
    path = "/api/v1/jobs/{id}/keep",
    tag = "jobs",
    params(("id" = Uuid, Path, description = "The job")),
    responses(
        (status = 202, description = "The job, which is about to finish its shape", body = JobDocument),
        (status = 400, description = "This is not an id", body = ErrorDocument),
        (status = 401, description = "The token is missing or wrong", body = ErrorDocument),
        (status = 403, description = "The request comes from a foreign web page", body = ErrorDocument),
        (status = 404, description = "There is no such job", body = ErrorDocument),
        (status = 409, description = "The job has ended already, or refines no shape now", body = ErrorDocument),
    )
)]
pub(super) async fn keep(
    State(app): State<Arc<App>>,
    JobPath(id): JobPath,
) -> Result<Response, Refusal> {
    let live = match find(&app, id)? {
        Found::Live(live) => live,
        Found::Ended(_) => return Err(ended_already(id)),
    };
    if !live.submission.is_refining() {
        return Err(Refusal::new(
            StatusCode::CONFLICT,
            "not_refining",
            "nothing is predicted yet that could be kept, or no more; keep works while the source triposg takes its \
             steps, which the job's stage `shape` tells",
        )
        .of(id));
    }
    app.engine.keep_prediction(&live.submission);
    let mut response = job_json(&Found::Live(live));
    *response.status_mut() = StatusCode::ACCEPTED;
    Ok(response)
}

/// Follow a job
///
/// Server-sent events, from the start of the job or after Last-Event-ID to its end. The data of each is an event as
/// JSON.
#[utoipa::path(
    get,
    path = "/api/v1/jobs/{id}/events",
    tag = "jobs",
    params(
        ("id" = Uuid, Path, description = "The job"),
        ("Last-Event-ID" = Option<u32>, Header, nullable = false, description = "The last event that was read"),
    ),
    responses(
        (status = 200, description = "What happens", body = ServerSentEvent, content_type = "text/event-stream"),
        (status = 400, description = "This is not an id", body = ErrorDocument),
        (status = 404, description = "There is no such job", body = ErrorDocument),
    )
)]
pub(super) async fn events(
    State(app): State<Arc<App>>,
    JobPath(id): JobPath,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let found = find(&app, id)?;
    let skip = events::last_event_id(&headers)?;
    Ok(events::stream(&app, found, Framing::ServerSent, skip, ()))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct MeshQuery {
    /// The file format: glb, obj, stl, ply or 3mf.
    #[param(value_type = FormatName, required = false, inline)]
    format: Option<String>,
    /// The mesh of this many cells along the longest side instead of the finished one.
    #[param(value_type = u32, required = false, minimum = 16, maximum = 512)]
    level: Option<String>,
    /// Which shape, where the job made several: its seed. The first one where it is left out.
    #[param(value_type = u64, required = false, minimum = 0, maximum = 9_007_199_254_740_991_u64)]
    seed: Option<String>,
    /// The longest side in millimetres, if other than the job's.
    #[param(value_type = f64, required = false, minimum = 0.1, maximum = 100000.0)]
    size: Option<String>,
}

#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "only described")]
enum FormatName {
    #[schema(rename = "glb")]
    Glb,
    #[schema(rename = "obj")]
    Obj,
    #[schema(rename = "stl")]
    Stl,
    #[schema(rename = "ply")]
    Ply,
    #[schema(rename = "3mf")]
    ThreeMf,
}

/// A job's mesh as a file
#[utoipa::path(
    get,
    path = "/api/v1/jobs/{id}/mesh",
    tag = "jobs",
    params(("id" = Uuid, Path, description = "The job"), MeshQuery),
    responses(
        (status = 200, description = "The mesh", body = Vec<u8>, content_type = "model/gltf-binary"),
        (status = 400, description = "This is not an id, or the parameters cannot be read", body = ErrorDocument),
        (status = 404, description = "There is no such job, level or shape", body = ErrorDocument),
        (status = 409, description = "The job failed, was cancelled or has not ended", body = ErrorDocument),
        (status = 410, description = "The mesh had to make room", body = ErrorDocument),
        (status = 422, description = "A parameter is out of its range", body = ErrorDocument),
        (status = 503, description = "Too many meshes are being sent", body = ErrorDocument),
    )
)]
pub(super) async fn mesh(
    State(app): State<Arc<App>>,
    JobPath(id): JobPath,
    Parameters(query): Parameters<MeshQuery>,
) -> Result<Response, Refusal> {
    let wish = Wish {
        format: match &query.format {
            Some(text) => fields::format("format", text)?,
            None => Format::Glb,
        },
        level: query
            .level
            .map(|text| fields::number("level", &text, &Settings::RESOLUTIONS))
            .transpose()?,
        seed: query
            .seed
            .map(|text| fields::number("seed", &text, &Settings::SEEDS))
            .transpose()?,
        size_mm: query
            .size
            .map(|text| fields::number("size", &text, &Settings::SIZES_MM))
            .transpose()?,
    };
    let found = find(&app, id)?;
    meshes::serve(&app, &found, wish).await
}
