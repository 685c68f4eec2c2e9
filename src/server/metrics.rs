//! Counters of a server, as Prometheus reads them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;

use super::app::App;

/// Upper bounds of the histogram of response times, in seconds.
const BOUNDS: [f64; 9] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

/// What is counted apart: method, route and status. Their number is bounded by the routes.
type Label = (&'static str, String, u16);

/// The times of one route.
#[derive(Debug, Default, Clone)]
struct Times {
    count: u64,
    seconds: f64,
    /// How many took at most as long as each bound.
    within: [u64; BOUNDS.len()],
}

/// What a server counts.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    requests: Mutex<BTreeMap<Label, u64>>,
    times: Mutex<BTreeMap<String, Times>>,
    pub(super) connections: AtomicU64,
    pub(super) connections_refused: AtomicU64,
}

impl Metrics {
    fn count(&self, method: &Method, route: &str, status: u16, started: Instant) {
        let label = (known(method), route.to_owned(), status);
        *self
            .requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(label)
            .or_default() += 1;
        let seconds = started.elapsed().as_secs_f64();
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let times = times.entry(route.to_owned()).or_default();
        times.count += 1;
        times.seconds += seconds;
        for (within, bound) in times.within.iter_mut().zip(BOUNDS) {
            *within += u64::from(seconds <= bound);
        }
    }
}

/// Counts a request by its route, never by its path, which a client chooses.
pub(super) async fn count(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let response = next.run(request).await;
    let status = response.status();
    app.metrics.count(&method, &route, status.as_u16(), started);
    tracing::debug!(%method, route, status = status.as_u16(), seconds = started.elapsed().as_secs_f64(), "answered");
    response
}

fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// The text form, version 0.0.4.
pub(super) struct Text(String);

impl Text {
    pub(super) fn new() -> Self {
        Self(String::new())
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        writeln!(self.0, "{line}").ok();
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str, value: impl std::fmt::Display) {
        self.head(name, "gauge", help);
        self.line(format_args!("{name} {value}"));
    }

    pub(super) fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, "counter", help);
        self.line(format_args!("{name} {value}"));
    }

    pub(super) fn by_label(&mut self, name: &str, help: &str, label: &str, values: &[(&str, u64)]) {
        self.head(name, "counter", help);
        for (of, value) in values {
            self.line(format_args!("{name}{{{label}=\"{of}\"}} {value}"));
        }
    }

    pub(super) fn requests(&mut self, metrics: &Metrics) {
        let name = "orfeas_http_requests_total";
        self.head(name, "counter", "Requests by method, route and status.");
        let requests = metrics
            .requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for ((method, route, status), count) in &requests {
            self.line(format_args!(
                "{name}{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}} {count}"
            ));
        }
        let name = "orfeas_http_request_seconds";
        self.head(name, "histogram", "Time until a response began, by route.");
        let times = metrics
            .times
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for (route, times) in &times {
            for (bound, within) in BOUNDS.iter().zip(times.within) {
                self.line(format_args!(
                    "{name}_bucket{{route=\"{route}\",le=\"{bound}\"}} {within}"
                ));
            }
            let count = times.count;
            self.line(format_args!(
                "{name}_bucket{{route=\"{route}\",le=\"+Inf\"}} {count}"
            ));
            self.line(format_args!(
                "{name}_sum{{route=\"{route}\"}} {}",
                times.seconds
            ));
            self.line(format_args!("{name}_count{{route=\"{route}\"}} {count}"));
        }
        self.gauge(
            "orfeas_http_connections",
            "Connections that are open.",
            metrics.connections.load(Ordering::Relaxed),
        );
        self.counter(
            "orfeas_http_connections_refused_total",
            "Connections that were refused because too many were open.",
            metrics.connections_refused.load(Ordering::Relaxed),
        );
    }
}
