//! Who may speak to the server at all: the checks that come before every route.
//!
//! In this order: the name that the server was called by (against DNS rebinding), the web page that asks
//! (against forged requests from a browser), how often an address asks, the token, and the announced
//! length of the body. Nothing here reads a body.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, CACHE_CONTROL,
    CONTENT_LENGTH, HOST, ORIGIN, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::app::App;
use super::config::{Config, is_loopback};
use super::refusal::Refusal;

/// Requests a minute and address where nothing else is said.
const REQUESTS_PER_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(599);

/// The address that a request comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

/// The checks with what they know.
pub(super) struct Gate {
    listens_to_loopback_only: bool,
    host_names: Vec<String>,
    cors_origins: Vec<String>,
    /// The token's hash, since comparing hashes takes the same time whatever they are.
    token: Option<blake3::Hash>,
    limiter: DefaultKeyedRateLimiter<IpAddr>,
    limits_loopback: bool,
    body_bytes: u64,
}

impl Gate {
    pub(super) fn new(config: &Config, address: SocketAddr) -> Self {
        let per_minute = config.requests_per_minute.unwrap_or(REQUESTS_PER_MINUTE);
        Self {
            listens_to_loopback_only: is_loopback(address.ip()),
            host_names: config
                .host_names
                .iter()
                .map(|name| name.to_ascii_lowercase())
                .collect(),
            cors_origins: config.cors_origins.clone(),
            token: config
                .token
                .as_ref()
                .map(|token| blake3::hash(token.as_bytes())),
            limiter: RateLimiter::keyed(Quota::per_minute(per_minute)),
            limits_loopback: config.requests_per_minute.is_some(),
            body_bytes: config.limits.body_bytes,
        }
    }

    /// Forgets addresses that have not asked for a while.
    pub(super) fn forget_addresses(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }

    fn check(&self, request: &Request) -> Result<(), Refusal> {
        self.check_origin(request)?;
        self.check_rate(request)?;
        self.check_token(request)?;
        self.check_length(request.headers())
    }

    /// A page that let its own name point to this machine still calls the server by that name.
    fn check_host(&self, request: &Request) -> Result<(), Refusal> {
        let mut hosts = request.headers().get_all(HOST).iter();
        let host = match (hosts.next(), hosts.next()) {
            (Some(host), None) => host.to_str().unwrap_or_default(),
            _ => {
                return Err(Refusal::bad_request(
                    "bad_host",
                    "the request needs one header Host",
                ));
            }
        };
        let authority = request
            .uri()
            .authority()
            .map(|authority| authority.as_str());
        if [Some(host), authority]
            .into_iter()
            .flatten()
            .all(|name| self.is_own_name(name))
        {
            return Ok(());
        }
        Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "foreign_host",
            "the server is not known by the name in the header Host; use its address or localhost, or start it with \
             --allow-host and that name",
        ))
    }

    fn is_own_name(&self, host: &str) -> bool {
        let Some(name) = without_port(host) else {
            return false;
        };
        let name = name.to_ascii_lowercase();
        // No name service answers for a plain address.
        if let Some(address) = plain_address(&name) {
            return is_loopback(address)
                || (!self.listens_to_loopback_only && !address.is_unspecified());
        }
        name == "localhost" || self.host_names.contains(&name)
    }

    /// A browser says which page a request comes from; other clients say nothing.
    fn check_origin(&self, request: &Request) -> Result<(), Refusal> {
        let safe = [Method::GET, Method::HEAD, Method::OPTIONS];
        if safe.contains(request.method()) {
            return Ok(());
        }
        let headers = request.headers();
        let own_or_listed = headers
            .get_all(ORIGIN)
            .iter()
            .all(|origin| self.is_listed(origin) || is_same_origin(origin, headers.get(HOST)));
        // Another port of this machine is the same site to a browser, and still a foreign page.
        let site = headers.get("sec-fetch-site");
        let asked_for = headers
            .get(ORIGIN)
            .is_some_and(|origin| self.is_listed(origin));
        let from_here = site.is_none_or(|site| site == "same-origin" || site == "none");
        if own_or_listed && (from_here || asked_for) {
            return Ok(());
        }
        Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "foreign_origin",
            "a web page from elsewhere may change nothing here; start the server with --cors-origin and the page's \
             origin to allow it",
        )
        .closing())
    }

    fn is_listed(&self, origin: &HeaderValue) -> bool {
        self.cors_origins
            .iter()
            .any(|listed| listed.as_bytes() == origin.as_bytes())
    }

    fn check_rate(&self, request: &Request) -> Result<(), Refusal> {
        let Some(Peer(peer)) = request.extensions().get::<Peer>() else {
            return Ok(());
        };
        let address = peer.ip().to_canonical();
        if is_loopback(address) && !self.limits_loopback {
            return Ok(());
        }
        self.limiter
            .check_key(&network(address))
            .map_err(|not_until| {
                let wait = not_until.wait_time_from(DefaultClock::default().now());
                Refusal::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "too_many_requests",
                    "this address asks too often; try again later",
                )
                .retry_after(wait.max(Duration::from_secs(1)))
                .closing()
            })
    }

    fn check_token(&self, request: &Request) -> Result<(), Refusal> {
        let Some(token) = &self.token else {
            return Ok(());
        };
        // Whether the server lives is no secret, and what watches over it may not know the token.
        if request.uri().path() == "/health" {
            return Ok(());
        }
        let shown = request
            .headers()
            .get(AUTHORIZATION)
            .and_then(|value| value.as_bytes().split_at_checked(7))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "))
            .map(|(_, shown)| blake3::hash(shown.trim_ascii()));
        if shown.is_some_and(|shown| shown == *token) {
            return Ok(());
        }
        Err(Refusal::new(
            StatusCode::UNAUTHORIZED,
            "token_required",
            "the server asks for its token; send it as the header Authorization: Bearer …",
        )
        .closing())
    }

    fn check_length(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let announced = headers
            .get(CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        match announced {
            Some(bytes) if bytes > self.body_bytes => Err(super::body::Fault::TooLarge {
                limit_bytes: self.body_bytes,
            }
            .refusal()),
            _ => Ok(()),
        }
    }

    /// What a listed page is allowed before its request, and after.
    fn allow_origin(&self, origin: Option<&HeaderValue>, response: &mut Response) {
        if self.cors_origins.is_empty() {
            return;
        }
        let headers = response.headers_mut();
        headers.append(VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = origin.filter(|origin| self.is_listed(origin)) {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        }
    }

    /// The answer to a browser that asks whether a listed page may ask.
    fn preflight(&self, request: &Request) -> Option<Response> {
        let headers = request.headers();
        let origin = headers.get(ORIGIN)?;
        if request.method() != Method::OPTIONS
            || !headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
            || !self.is_listed(origin)
        {
            return None;
        }
        let allow = [
            (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, DELETE"),
            (
                ACCESS_CONTROL_ALLOW_HEADERS,
                "Authorization, Content-Type, Last-Event-ID",
            ),
            (ACCESS_CONTROL_MAX_AGE, "600"),
        ];
        Some((StatusCode::NO_CONTENT, allow).into_response())
    }
}

/// Runs the checks, and adds to every response what a browser needs to know of it.
pub(super) async fn pass(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(ORIGIN).cloned();
    let mut response = match app.gate.check_host(&request) {
        // A browser asks beforehand without the token.
        Ok(()) => match app.gate.preflight(&request) {
            Some(response) => response,
            None => match app.gate.check(&request) {
                Ok(()) => next.run(request).await,
                Err(refusal) => refusal.into_response(),
            },
        },
        Err(refusal) => refusal.into_response(),
    };
    app.gate.allow_origin(origin.as_ref(), &mut response);
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    if app.gate.cors_origins.is_empty() {
        headers.insert(
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("same-origin"),
        );
    }
    response
}

/// The host of `host[:port]`; `None` where it is not that.
fn without_port(host: &str) -> Option<&str> {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let end = rest.find(']')?;
            (&host[..end + 2], &rest[end + 1..])
        }
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let port_is_fine = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|port| port.is_empty() || port.parse::<u16>().is_ok());
    (port_is_fine && !name.is_empty()).then_some(name)
}

fn plain_address(name: &str) -> Option<IpAddr> {
    match name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(v6) => v6.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => name.parse().ok(),
    }
}

fn is_same_origin(origin: &HeaderValue, host: Option<&HeaderValue>) -> bool {
    // Behind a proxy that speaks TLS, the page's own address has the other scheme.
    let origin = origin.as_bytes();
    let authority = origin
        .strip_prefix(b"http://")
        .or_else(|| origin.strip_prefix(b"https://"));
    match (authority, host) {
        (Some(authority), Some(host)) => authority.eq_ignore_ascii_case(host.as_bytes()),
        _ => false,
    }
}

/// What counts as one address: with IPv6, a household has 2⁶⁴ of them.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) & !u128::from(u64::MAX)).into(),
    }
}
