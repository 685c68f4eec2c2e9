//! Submitting a job, and waiting for its end or following it line by line.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Parameters;
use crate::server::app::App;
use crate::server::documents::{GenerateForm, JobDocument, Status, job_json, job_url, json};
use crate::server::events::{self, EventDocument, Framing};
use crate::server::fields;
use crate::server::refusal::{ErrorDocument, Refusal};
use crate::server::registry::{Ended, Found, Live};
use crate::server::upload::Upload;

/// What may be said outside of the form too.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WaitQuery {
    /// Answer when the job ended; with false at once, with 202. The form may say it instead.
    #[param(value_type = bool, required = false)]
    wait: Option<String>,
}

/// Gives a job up when the connection that waits for it is closed.
struct Leash {
    app: Arc<App>,
    live: Arc<Live>,
    cancels: bool,
}

impl Drop for Leash {
    fn drop(&mut self) {
        if self.cancels {
            // Without effect on a job that has ended.
            self.app.engine.cancel(&self.live.submission);
        }
    }
}

/// Submit a job
///
/// Waits for the job's end and answers with everything about it; with wait=false answers at once.
#[utoipa::path(
    post,
    path = "/api/v1/generate",
    tag = "jobs",
    params(WaitQuery),
    request_body(content = GenerateForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "The job completed", body = JobDocument),
        (status = 202, description = "The job waits for its turn", body = JobDocument),
        (status = 400, description = "The form, the image or the matte cannot be used", body = ErrorDocument),
        (status = 401, description = "The token is missing or wrong", body = ErrorDocument),
        (status = 403, description = "The request comes from a foreign web page", body = ErrorDocument),
        (status = 408, description = "The request came too slowly", body = ErrorDocument),
        (status = 409, description = "The job was cancelled by another request", body = ErrorDocument),
        (status = 413, description = "The request is too large", body = ErrorDocument),
        (status = 415, description = "The request is no form, or the image of no supported format", body = ErrorDocument),
        (status = 422, description = "A setting is out of its range", body = ErrorDocument),
        (status = 429, description = "The address asks too often", body = ErrorDocument),
        (status = 500, description = "A defect of Orfeas", body = ErrorDocument),
        (status = 503, description = "The queue is full", body = ErrorDocument),
        (status = 507, description = "The memory does not suffice", body = ErrorDocument),
    )
)]
pub(super) async fn generate(
    State(app): State<Arc<App>>,
    Parameters(query): Parameters<WaitQuery>,
    request: Request,
) -> Result<Response, Refusal> {
    let said = query
        .wait
        .map(|text| fields::flag("wait", &text))
        .transpose()?;
    let upload = Upload::read(&app, request).await?;
    let wait = said.unwrap_or(upload.wait);
    let cancels = upload.cancel_on_disconnect;
    let live = app.submit(upload, false).await?;
    if !wait {
        let location = [(LOCATION, job_url(live.submission.id))];
        let document = json(JobDocument::of(&live).to_json());
        return Ok((StatusCode::ACCEPTED, location, document).into_response());
    }
    let mut leash = Leash {
        app: Arc::clone(&app),
        live: Arc::clone(&live),
        cancels,
    };
    let ended = app.ended(&live).await;
    leash.cancels = false;
    answer(&app, ended)
}

/// What a client that waited is told.
fn answer(app: &App, ended: Arc<Ended>) -> Result<Response, Refusal> {
    match (ended.status, &ended.refusal) {
        (Status::Completed, _) => Ok(job_json(&Found::Ended(ended))),
        (_, Some(refusal)) => Err(refusal.clone()),
        _ if app.registry.is_closed() => Err(Refusal::shutting_down().of(ended.id)),
        _ => Err(Refusal::new(
            StatusCode::CONFLICT,
            "job_cancelled",
            "the job was cancelled by another request before it ended",
        )
        .of(ended.id)),
    }
}

/// Submit a job and follow it
///
/// Answers at once with a line of JSON for everything that happens; the status of the last line is completed, failed
/// or cancelled. Empty lines may come between, to keep the connection alive.
#[utoipa::path(
    post,
    path = "/api/v1/generate-progressive",
    tag = "jobs",
    request_body(content = GenerateForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "What happens, one JSON object a line", body = EventDocument,
            content_type = "application/x-ndjson"),
        (status = 400, description = "The form or the matte cannot be used", body = ErrorDocument),
        (status = 401, description = "The token is missing or wrong", body = ErrorDocument),
        (status = 403, description = "The request comes from a foreign web page", body = ErrorDocument),
        (status = 408, description = "The request came too slowly", body = ErrorDocument),
        (status = 413, description = "The request is too large", body = ErrorDocument),
        (status = 415, description = "The request is no form", body = ErrorDocument),
        (status = 422, description = "A setting is out of its range", body = ErrorDocument),
        (status = 429, description = "The address asks too often", body = ErrorDocument),
        (status = 500, description = "A defect of Orfeas", body = ErrorDocument),
        (status = 503, description = "The queue is full", body = ErrorDocument),
    )
)]
pub(super) async fn generate_progressive(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Refusal> {
    let upload = Upload::read(&app, request).await?;
    let cancels = upload.cancel_on_disconnect;
    let live = app.submit(upload, true).await?;
    let leash = Leash {
        app: Arc::clone(&app),
        live: Arc::clone(&live),
        cancels,
    };
    let location = [(LOCATION, job_url(live.submission.id))];
    let stream = events::stream(&app, Found::Live(live), Framing::Lines, 0, leash);
    Ok((location, stream).into_response())
}
