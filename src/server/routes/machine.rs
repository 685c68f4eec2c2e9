//! The machine: health, models, counters.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::engine;
use crate::server::app::App;
use crate::server::metrics::Text;

/// Whether the server can do its work.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HealthDocument {
    /// `ok` or `shutting_down`.
    status: &'static str,
    version: &'static str,
    uptime_seconds: f64,
    /// How many jobs wait.
    queue_depth: usize,
    /// The most jobs that may wait.
    queue_limit: usize,
}

/// Whether the server can do its work; needs no token
#[utoipa::path(
    get,
    path = "/health",
    tag = "machine",
    responses(
        (status = 200, description = "It can", body = HealthDocument),
        (status = 503, description = "It is shutting down", body = HealthDocument),
    )
)]
pub(super) async fn health(State(app): State<Arc<App>>) -> Response {
    let closed = app.registry.is_closed();
    let document = HealthDocument {
        status: if closed { "shutting_down" } else { "ok" },
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: app.started.elapsed().as_secs_f64(),
        queue_depth: app.engine.queue_depth(),
        queue_limit: app.engine.queue_limit(),
    };
    let status = if closed {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    (status, Json(document)).into_response()
}

/// A shape source.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelDocument {
    /// What to send as `source`.
    name: &'static str,
    description: &'static str,
    /// Whether it can run here, now.
    available: bool,
    /// The bytes of its weights; 0 for a source without any.
    weights_bytes: u64,
    /// The precisions that it computes in.
    precisions: Vec<&'static str>,
    /// The devices that it computes on.
    devices: Vec<&'static str>,
}

/// The shape sources, the one first that auto takes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelList {
    models: Vec<ModelDocument>,
}

/// The shape sources
#[utoipa::path(
    get,
    path = "/api/v1/models",
    tag = "machine",
    responses((status = 200, description = "The sources", body = ModelList))
)]
pub(super) async fn models() -> Json<ModelList> {
    Json(ModelList {
        models: vec![ModelDocument {
            name: "inflate",
            description: "The embedded source: outline and shading, no weights",
            available: true,
            weights_bytes: 0,
            precisions: vec!["fp32"],
            devices: vec!["cpu"],
        }],
    })
}

/// Counters for Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "machine",
    responses((status = 200, description = "Counters as text, version 0.0.4", body = String, content_type = "text/plain"))
)]
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let mut text = Text::new();
    let totals = app.registry.totals();
    text.counter(
        "orfeas_jobs_submitted_total",
        "Jobs that clients submitted.",
        totals.submitted,
    );
    text.by_label(
        "orfeas_jobs_ended_total",
        "Jobs by how they ended.",
        "status",
        &[
            ("completed", totals.completed),
            ("failed", totals.failed),
            ("cancelled", totals.cancelled),
        ],
    );
    text.gauge(
        "orfeas_jobs_live",
        "Jobs that have not ended.",
        app.registry.live(),
    );
    text.gauge(
        "orfeas_queue_depth",
        "Jobs that wait for the worker, of all front ends.",
        app.engine.queue_depth(),
    );
    text.gauge(
        "orfeas_queue_limit",
        "The most jobs that may wait.",
        app.engine.queue_limit(),
    );
    text.gauge(
        "orfeas_kept_mesh_bytes",
        "Bytes of ended jobs whose meshes are in memory.",
        app.registry.kept_bytes(),
    );
    let limits = &app.config.limits;
    text.gauge(
        "orfeas_upload_bytes",
        "Bytes of images in memory.",
        limits.upload_bytes.saturating_sub(app.uploads.free_bytes()),
    );
    text.gauge(
        "orfeas_download_bytes",
        "Bytes of meshes being sent.",
        limits
            .download_bytes
            .saturating_sub(app.downloads.free_bytes()),
    );
    text.gauge(
        "orfeas_ledger_bytes",
        "Bytes of host memory that jobs have reserved.",
        app.engine.ledger().used_bytes(),
    );
    if let Some(bytes) = engine::peak_memory_bytes() {
        text.gauge(
            "orfeas_peak_memory_bytes",
            "The most memory that the program ever had.",
            bytes,
        );
    }
    text.requests(&app.metrics);
    let content_type = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (content_type, text.into_string()).into_response()
}
