//! The routes. Each handler is a few lines between what a client sent and what a module knows.

mod generate;
mod jobs;
mod machine;

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Path, Query};
use axum::http::request::Parts;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::de::DeserializeOwned;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::app::App;
use super::openapi::Description;
use super::refusal::{self, Refusal};
use super::{documents, gate, metrics};
use crate::engine::panic_message;

/// Every route behind the gate.
pub(super) fn router(app: Arc<App>) -> Router {
    let (router, description) = OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(generate::generate))
        .routes(routes!(generate::generate_progressive))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::job, jobs::cancel))
        .routes(routes!(jobs::keep))
        .routes(routes!(jobs::events))
        .routes(routes!(jobs::mesh))
        .routes(routes!(machine::gpu_statistics))
        .routes(routes!(machine::cache_statistics))
        .routes(routes!(machine::clear_cache))
        .routes(routes!(machine::models))
        .routes(routes!(machine::health))
        .routes(routes!(machine::metrics))
        .split_for_parts();
    // It never changes while the server runs.
    let description = Bytes::from(description.to_json().unwrap_or_default());
    router
        .route(
            "/api/v1/openapi.json",
            get(async move || documents::json(description.clone())),
        )
        .fallback(async || Refusal::not_found())
        .method_not_allowed_fallback(refusal::method_not_allowed)
        // Bodies have limits of their own, see `body`.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(Arc::clone(&app), metrics::count))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(Arc::clone(&app), gate::pass))
        .with_state(app)
}

fn panicked(payload: Box<dyn Any + Send>) -> Response {
    let message = panic_message(payload.as_ref());
    tracing::error!("a handler panicked: {message}");
    Refusal::internal().into_response()
}

/// The id of a job in a path.
struct JobPath(Uuid);

impl<S: Send + Sync> FromRequestParts<S> for JobPath {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        let id = text.ok().and_then(|Path(text)| {
            // The one form that this server writes.
            let id = Uuid::parse_str(&text).ok()?;
            (text.len() == 36).then_some(id)
        });
        id.map(Self).ok_or_else(|| {
            Refusal::bad_request(
                "bad_id",
                "this is not the id of a job; ids look like 00000000-0000-4000-8000-000000000000",
            )
            .about("id")
        })
    }
}

/// The parameters of a query, all of them known.
struct Parameters<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(Refusal::bad_request(
                "bad_query",
                format!("the parameters cannot be read: {}", rejection.body_text()),
            )),
        }
    }
}
