//! The machine: health, memory, cache, models, counters.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::engine::catalogue::{TRIPOSG, TRIPOSR};
use crate::engine::{self, Precision};
use crate::server::app::App;
use crate::server::metrics::Text;
use crate::server::refusal::{ErrorDocument, Refusal};
use crate::store::CacheStatistics;
use crate::vram::{BatchRequest, Statistics};

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
pub(super) async fn models(State(app): State<Arc<App>>) -> Json<ModelList> {
    let library = app.engine.library().clone();
    // A disk may keep one waiting.
    let located = tokio::task::spawn_blocking(move || {
        [&TRIPOSR, &TRIPOSG].map(|model| library.locate(model).is_some())
    });
    let [has_triposr, has_triposg] = located.await.unwrap_or_default();
    let embedded = ModelDocument {
        name: "inflate",
        description: "The embedded source: outline and shading, no weights",
        available: true,
        weights_bytes: 0,
        precisions: vec!["fp32"],
        devices: vec!["cpu"],
    };
    let triposr = ModelDocument {
        name: TRIPOSR.name,
        description: "A neural model that sees the whole object in one pass; its weights have to be on this machine",
        available: has_triposr,
        weights_bytes: TRIPOSR.size_bytes(),
        precisions: vec!["fp32", "int8"],
        devices: vec!["cpu"],
    };
    let triposg = ModelDocument {
        name: TRIPOSG.name,
        description: "A neural model that refines a shape from noise; its weights have to be on this machine",
        available: has_triposg,
        weights_bytes: TRIPOSG.size_bytes(),
        precisions: vec!["fp32", "int8"],
        devices: vec!["cpu"],
    };
    Json(ModelList {
        models: vec![embedded, triposr, triposg],
    })
}

/// Memory, and what it is good for.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GpuDocument {
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    /// `ok`, or `no_gpu`: everything works without one.
    status: &'static str,
    gpu: Statistics,
    /// How many jobs wait, of all front ends.
    queue_depth: usize,
    /// What suits the free memory, without knowing a model.
    #[schema(value_type = String)]
    recommended_precision: Precision,
    /// How many samples of 50 MB to compute at once with a model of 6 GB and the queue as it is.
    optimal_batch_size: u32,
}

/// The GPU's memory, and the host's
///
/// From the newest sample: no driver is asked, and no job delays the answer. 200 without a GPU too.
#[utoipa::path(
    get,
    path = "/api/v1/gpu/stats",
    tag = "machine",
    responses((status = 200, description = "The statistics", body = GpuDocument))
)]
pub(super) async fn gpu_statistics(State(app): State<Arc<App>>) -> Json<GpuDocument> {
    let manager = app.engine.vram();
    let gpu = manager.statistics();
    let queue_depth = app.engine.queue_depth();
    Json(GpuDocument {
        timestamp: Timestamp::now(),
        status: if gpu.gpu_present { "ok" } else { "no_gpu" },
        gpu,
        queue_depth,
        recommended_precision: manager.recommended_precision(),
        optimal_batch_size: manager.optimal_batch_size(&BatchRequest {
            model_size_gb: 6.0,
            model_resident: false,
            queue_depth,
            sample_size_mb: 50.0,
        }),
    })
}

/// The cache of results on disk, and the meshes in memory.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CacheDocument {
    /// Whether results are kept on disk.
    enabled: bool,
    /// Results on disk, and latents of shapes.
    entries: u64,
    /// What they take.
    bytes: u64,
    /// What they may take.
    limit_bytes: u64,
    /// Times a result was found since the program started.
    hits: u64,
    /// Times none was found.
    misses: u64,
    /// Results that made room for others.
    evictions: u64,
    /// Results that were dropped because they were damaged.
    repaired: u64,
    /// What the history takes on disk.
    history_bytes: u64,
    /// What it may take.
    history_limit_bytes: u64,
    /// What the meshes of ended jobs take in memory.
    memory_bytes: u64,
}

/// The cache
#[utoipa::path(
    get,
    path = "/api/v1/cache/stats",
    tag = "machine",
    responses(
        (status = 200, description = "What is in it", body = CacheDocument),
        (status = 500, description = "A defect of Orfeas", body = ErrorDocument),
    )
)]
pub(super) async fn cache_statistics(
    State(app): State<Arc<App>>,
) -> Result<Json<CacheDocument>, Refusal> {
    let memory_bytes = app.registry.kept_bytes();
    // The folder is looked at where another process changed it.
    let on_disk = tokio::task::spawn_blocking(move || {
        app.engine.store().map(|store| {
            let history = store.history();
            (
                store.cache().statistics(),
                history.bytes(),
                history.limit_bytes(),
            )
        })
    });
    let on_disk = on_disk.await.map_err(|_panicked| Refusal::internal())?;
    let cache = on_disk.as_ref().map(|(cache, ..)| cache);
    let of = |value: fn(&CacheStatistics) -> u64| cache.map_or(0, value);
    Ok(Json(CacheDocument {
        enabled: on_disk.is_some(),
        entries: of(|cache| cache.entries),
        bytes: of(|cache| cache.bytes),
        limit_bytes: of(|cache| cache.limit_bytes),
        hits: of(|cache| cache.hits),
        misses: of(|cache| cache.misses),
        evictions: of(|cache| cache.evictions),
        repaired: of(|cache| cache.repaired),
        history_bytes: on_disk.as_ref().map_or(0, |(_, bytes, _)| *bytes),
        history_limit_bytes: on_disk.as_ref().map_or(0, |(.., limit)| *limit),
        memory_bytes,
    }))
}

/// What was given up.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ClearedDocument {
    /// Results that were removed from disk.
    entries: u64,
    /// What they took.
    bytes: u64,
    /// What was freed in memory.
    memory_bytes: u64,
}

/// Clear the cache
///
/// Removes the cached results from disk, and gives up everything in memory that no job uses. The history stays.
#[utoipa::path(
    post,
    path = "/api/v1/cache/clear",
    tag = "machine",
    responses(
        (status = 200, description = "What was given up", body = ClearedDocument),
        (status = 401, description = "The token is missing or wrong", body = ErrorDocument),
        (status = 403, description = "The request comes from a foreign web page", body = ErrorDocument),
        (status = 500, description = "A file could not be removed, or a defect of Orfeas", body = ErrorDocument),
    )
)]
pub(super) async fn clear_cache(
    State(app): State<Arc<App>>,
) -> Result<Json<ClearedDocument>, Refusal> {
    let cleared = tokio::task::spawn_blocking(move || {
        let memory_bytes = app.registry.drop_meshes() + app.engine.free_memory();
        let freed = app.engine.store().map(|store| store.cache().clear());
        freed.transpose().map(|freed| ClearedDocument {
            entries: freed.map_or(0, |freed| freed.entries),
            bytes: freed.map_or(0, |freed| freed.bytes),
            memory_bytes,
        })
    });
    let cleared = cleared.await.map_err(|_panicked| Refusal::internal())?;
    cleared.map(Json).map_err(|error| {
        // The error names a path, which is nobody's business.
        tracing::error!("the cache could not be cleared: {error}");
        Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "cache_not_cleared",
            "some cached results could not be removed; the server's log tells why",
        )
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
    let gpu = app.engine.vram().statistics();
    let of_gpu = [
        (
            "orfeas_gpu_total_bytes",
            "The GPU's memory.",
            gpu.total_vram_bytes,
        ),
        (
            "orfeas_gpu_available_bytes",
            "What is free of it.",
            gpu.available_bytes,
        ),
    ];
    for (name, help, bytes) in of_gpu {
        if let Some(bytes) = bytes {
            text.gauge(name, help, bytes);
        }
    }
    text.requests(&app.metrics);
    let content_type = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (content_type, text.into_string()).into_response()
}
