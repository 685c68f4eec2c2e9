//! What a client is told when it does not get what it asked for: one JSON form for every error.
//!
//! `{ "error": { "code": "snake_case", "message": "what, why, what to do", … } }`. Nothing internal, no
//! path and no cause that a client cannot act on, is ever told.

use std::time::Duration;

use axum::Json;
use axum::http::header::{CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::engine::{Failure, FailureKind, Settings};
use crate::photo::DecodeError;
use crate::vram::NoPlan;

/// An error, wrapped as it is sent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorDocument {
    pub(super) error: ErrorDetail,
}

/// What went wrong and what can be done.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct ErrorDetail {
    /// Names the kind of error for programs.
    #[schema(example = "queue_full")]
    pub(super) code: String,
    /// What, why and what to do, for people.
    pub(super) message: String,
    /// The job that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) job: Option<Uuid>,
    /// The field of the form, or the parameter, that cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) field: Option<String>,
    /// Memory: what was required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) required_bytes: Option<u64>,
    /// Memory: what was free.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) free_bytes: Option<u64>,
    /// Memory: settings that take less.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) suggestion: Option<Suggestion>,
    /// Seconds after which another try makes sense.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retry_after_seconds: Option<u64>,
}

/// Settings that take less memory.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(super) struct Suggestion {
    /// Cells along the longest side.
    pub(super) resolution: u32,
}

/// An error with its status.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    status: StatusCode,
    // Boxed, so that every `Result` stays small.
    detail: Box<ErrorDetail>,
    closes: bool,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        let detail = ErrorDetail {
            code: code.to_owned(),
            message: message.into(),
            job: None,
            field: None,
            required_bytes: None,
            free_bytes: None,
            suggestion: None,
            retry_after_seconds: None,
        };
        Self {
            status,
            detail: Box::new(detail),
            closes: false,
        }
    }

    /// Names the field or parameter.
    pub(super) fn about(mut self, field: &str) -> Self {
        self.detail.field = Some(field.to_owned());
        self
    }

    /// Names the job.
    pub(super) fn of(mut self, job: Uuid) -> Self {
        self.detail.job = Some(job);
        self
    }

    /// Says when another try makes sense.
    pub(super) fn retry_after(mut self, wait: Duration) -> Self {
        // Rounded up: a client that comes too early is refused again.
        self.detail.retry_after_seconds = Some(wait.as_secs_f64().ceil().max(1.0) as u64);
        self
    }

    /// Closes the connection, because its body was not read.
    pub(super) fn closing(mut self) -> Self {
        self.closes = true;
        self
    }

    pub(super) fn detail(&self) -> &ErrorDetail {
        &self.detail
    }

    pub(super) fn bad_request(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(super) fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_value", message).about(field)
    }

    pub(super) fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "there is nothing at this address; /api/v1/openapi.json lists what there is",
        )
    }

    pub(super) fn no_such_job() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "no_such_job",
            "there is no job with this id, or it ended so long ago that it was forgotten; /api/v1/jobs lists them",
        )
    }

    pub(super) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "an internal error stopped the request; this is a defect of Orfeas, its log tells more",
        )
    }

    pub(super) fn shutting_down() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "shutting_down",
            "the server is shutting down; try again when it was started again",
        )
        .retry_after(Duration::from_secs(10))
    }

    pub(super) fn busy(what: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", what).retry_after(Duration::from_secs(2))
    }

    /// What is told of a job that failed.
    pub(super) fn failed(failure: &Failure, resolution: u32) -> Self {
        match failure {
            Failure::Decode(
                error @ (DecodeError::UnknownFormat { .. } | DecodeError::Heif { .. }),
            ) => Self::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_image",
                error.to_string(),
            ),
            Failure::NoPlan(NoPlan::NoSuchDevice { device, reason }) => Self::unavailable(format!(
                "{device} was asked for and cannot be used: {reason}; choose another device, or auto"
            )),
            Failure::NoPlan(NoPlan::NotThere { name, device }) => Self::unavailable(format!(
                "{name} does not run on {device}; choose another device, or auto"
            )),
            _ if failure.kind() == FailureKind::OutOfMemory => {
                let (required_bytes, free_bytes) =
                    failure.required_and_free_bytes().unwrap_or_default();
                let message = format!(
                    "the memory does not suffice: {required_bytes} bytes are required, {free_bytes} are free; choose a \
                     lower quality, or give the server more"
                );
                Self::out_of_memory(message, required_bytes, free_bytes, resolution)
            }
            _ if failure.kind() == FailureKind::BadInput => {
                Self::bad_request("bad_image", failure.to_string())
            }
            // The message of a panic may name anything.
            Failure::Panicked { .. } => Self::internal(),
            _ => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                failure.to_string(),
            ),
        }
    }

    fn unavailable(message: String) -> Self {
        Self::bad_request("device_unavailable", message).about("device")
    }

    fn out_of_memory(
        message: String,
        required_bytes: u64,
        free_bytes: u64,
        resolution: u32,
    ) -> Self {
        let mut refusal = Self::new(StatusCode::INSUFFICIENT_STORAGE, "out_of_memory", message);
        refusal.detail.required_bytes = Some(required_bytes);
        refusal.detail.free_bytes = Some(free_bytes);
        refusal.detail.suggestion = [8, 5, 3, 1]
            .map(Settings::resolution_of_quality)
            .into_iter()
            .find(|&lower| lower < resolution)
            .map(|resolution| Suggestion { resolution });
        refusal
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let retry_after = self.detail.retry_after_seconds;
        let document = ErrorDocument {
            error: *self.detail,
        };
        let mut response = (self.status, Json(document)).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.closes {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// The answer to a method that a route does not know. The router adds the header that lists those it does.
pub(super) async fn method_not_allowed() -> Refusal {
    Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "this address does not take this method; the header Allow lists those that it takes",
    )
}
