//! What nobody should send: every case is answered with a refusal or nothing, and the server lives.

use std::io::Write;
use std::time::Duration;

use orfeas::server::Limits;

use crate::server_client::{Answer, BOUNDARY, Form, Running, Wish, raw, read_answer};
use crate::server_hostile_forms::{forms, images};
use crate::server_hostile_wire::wire;

/// A request and the statuses that are right for it; 0 for a connection that is closed without answer.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) request: Vec<u8>,
    pub(crate) right: &'static [u16],
}

pub(crate) fn case(
    name: impl Into<String>,
    request: impl Into<Vec<u8>>,
    right: &'static [u16],
) -> Case {
    Case {
        name: name.into(),
        request: request.into(),
        right,
    }
}

pub(crate) fn get(path: &str) -> Vec<u8> {
    request("GET", path, "")
}

pub(crate) fn request(method: &str, path: &str, headers: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n")
        .into_bytes()
}

pub(crate) const GENERATE: &str = "/api/v1/generate";

pub(crate) fn post(form: &Form) -> Vec<u8> {
    form.request(GENERATE, "")
}

/// A body of its own under the usual headers.
pub(crate) fn post_body(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {GENERATE} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\
         Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn paths() -> Vec<Case> {
    let paths = [
        "/../../etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/api/v1/../../../etc/passwd",
        "/api/v1/jobs/../../../etc/passwd",
        "/api/v1/jobs/..%2f..%2f..%2fetc%2fpasswd",
        "/api/v1/jobs/..%5c..%5cwindows%5cwin.ini",
        "/api/v1/jobs/%00",
        "/api/v1/jobs/%c0%ae%c0%ae%c0%af",
        "/api/v1/jobs/%ff%fe",
        "/api/v1/jobs/%",
        "/api/v1/jobs/%zz",
        "/api/v1/jobs//mesh",
        "/api/v1/jobs/./mesh",
        "/api/v1/jobs/~root/mesh",
        "/api/v1/jobs/file:%2f%2f%2fetc%2fpasswd/mesh",
        "/api/v1/jobs/C:%5cboot.ini/mesh",
        "/api/v1/jobs/$(id)/mesh",
        "/api/v1/jobs/;cat%20/etc/passwd",
        "/api/v1/jobs/%7b%7b7*7%7d%7d",
        "/api/v1/jobs/'%20or%201=1--",
        "/api/v1/jobs/<script>",
        "/api//v1//jobs",
        "//api/v1/jobs",
        "/API/V1/JOBS",
        "/api/v1/jobs/",
        "/api/v1/generate/",
        "/api/v1",
        "/.git/config",
        "/.env",
        "/favicon.ico",
        "/index.html",
        "/api/v1/cache/../../jobs",
        "/health/..",
        "/metrics%2f",
        "/api/v1/openapi.json%00.html",
    ];
    let mut cases: Vec<_> = paths
        .iter()
        .map(|path| case(format!("path {path}"), get(path), &[400, 404]))
        .collect();
    let long = format!("/{}", "a".repeat(70_000));
    cases.push(case("a path of 70,000 letters", get(&long), &[0, 414, 431]));
    let deep = "/a".repeat(2000);
    cases.push(case("a path of 2,000 folders", get(&deep), &[404]));
    cases
}

fn ids() -> Vec<Case> {
    let ids = [
        "1",
        "0",
        "-1",
        "null",
        "undefined",
        "true",
        "..",
        "00000000-0000-0000-0000-00000000000",
        "00000000-0000-0000-0000-0000000000000",
        "00000000-0000-0000-0000-00000000000g",
        "00000000000000000000000000000000",
        "%7b00000000-0000-0000-0000-000000000000%7d",
        "urn:uuid:00000000-0000-0000-0000-000000000000",
        "99999999999999999999999999999999999999999999",
        "00000000-0000-0000-0000-000000000000%20",
        "%d9%a0%d9%a1",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
    ];
    let mut cases = Vec::new();
    for id in ids {
        for (method, rest) in [
            ("GET", ""),
            ("GET", "/events"),
            ("GET", "/mesh"),
            ("DELETE", ""),
        ] {
            let path = format!("/api/v1/jobs/{id}{rest}");
            let name = format!("{method} {path}");
            cases.push(case(name, request(method, &path, ""), &[400, 404]));
        }
    }
    cases
}

/// Requests about a job that is there, with parameters that make no sense.
fn parameters(id: &str) -> Vec<Case> {
    let mesh = [
        "format=../../etc/passwd",
        "format=",
        "format=GLB",
        "format=exe",
        "format=glb&format=stl",
        "format[]=glb",
        "level=-1",
        "level=0",
        "level=513",
        "level=4294967297",
        "level=1e2",
        "level=NaN",
        "level=0x20",
        "level=%00",
        "level=32&level=64",
        "size=NaN",
        "size=inf",
        "size=-5",
        "size=0",
        "size=1e308",
        "size=%f0%9f%a6%80",
        "path=/etc/passwd",
        "%ff=%fe",
    ];
    let list = [
        "limit=0",
        "limit=-1",
        "limit=1001",
        "limit=18446744073709551616",
        "limit=ten",
        "limit=",
        "before=me",
        "before=",
        "before=00000000-0000-0000-0000-000000000000",
        "offset=1",
    ];
    let of_mesh = mesh.map(|query| format!("/api/v1/jobs/{id}/mesh?{query}"));
    let of_list = list.map(|query| format!("/api/v1/jobs?{query}"));
    let mut cases: Vec<_> = of_mesh
        .iter()
        .chain(&of_list)
        .map(|path| case(path.clone(), get(path), &[400, 404, 422]))
        .collect();
    for value in ["-1", "abc", "1.5", "99999999999999999999999", "\u{1}"] {
        let headers = format!("Last-Event-ID: {value}\r\n");
        let request = request("GET", &format!("/api/v1/jobs/{id}/events"), &headers);
        cases.push(case(format!("Last-Event-ID {value:?}"), request, &[400]));
    }
    cases
}

fn values() -> Vec<Case> {
    let numbers = [
        "",
        " ",
        "NaN",
        "nan",
        "inf",
        "-inf",
        "1e999",
        "-1",
        "0x10",
        "1,5",
        "٣",
        "5; rm -rf /",
        "5\n6",
        "999999999999999999999999999999",
        "null",
    ];
    let mut cases = Vec::new();
    for field in [
        "quality",
        "resolution",
        "thickness",
        "detail",
        "relief",
        "size",
        "simplify",
    ] {
        for value in numbers {
            let form = Form::default()
                .text(field, value)
                .file("image", "a.png", b"x");
            cases.push(case(format!("{field}={value:?}"), post(&form), &[422]));
        }
    }
    for (field, value) in [
        ("source", "triposr; drop"),
        ("source", "INFLATE"),
        ("matte", "user"),
        ("matte", "../matte.png"),
        ("back", ""),
        ("back", "auto,plain"),
        ("wait", "1"),
        ("wait", "yes"),
        ("cancel_on_disconnect", "null"),
    ] {
        let form = Form::small().text(field, value);
        cases.push(case(format!("{field}={value:?}"), post(&form), &[422]));
    }
    for name in [
        "",
        "image[]",
        "Image",
        "settings",
        "__proto__",
        "path",
        "\u{202e}egami",
    ] {
        let form = Form::small().text(name, "1");
        cases.push(case(format!("field {name:?}"), post(&form), &[400]));
    }
    let long = Form::small().text("back", &"a".repeat(100_000));
    cases.push(case("a value of 100,000 letters", post(&long), &[422]));
    let long = Form::small().text(&"n".repeat(5_000), "1");
    cases.push(case("a name of 5,000 letters", post(&long), &[400]));
    cases
}

/// Why an answer is wrong; `None` where it is right.
fn wrong(case: &Case, answer: &Answer) -> Option<String> {
    let name = &case.name;
    if !case.right.contains(&answer.status) {
        let text: String = answer.text().chars().take(200).collect();
        let right = case.right;
        return Some(format!(
            "{name}: {} instead of {right:?}: {text}",
            answer.status
        ));
    }
    // What does not parse as HTTP never reaches a route, and is refused without words.
    if !answer.body.is_empty() && answer.status >= 400 {
        let json: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
        if !json["error"]["code"].is_string() || !json["error"]["message"].is_string() {
            return Some(format!("{name}: not an error's form: {json}"));
        }
        let text = answer.text();
        if text.contains("/src/") || text.contains("panicked") || text.contains("root:") {
            return Some(format!("{name}: tells internals: {text}"));
        }
    }
    None
}

fn hardened() -> Running {
    let wish = Wish {
        limits: Limits {
            header_timeout: Duration::from_millis(500),
            body_pause: Duration::from_millis(500),
            ..Limits::default()
        },
        memory_bytes: Some(500_000_000),
        ..Wish::default()
    };
    wish.start()
}

#[test]
fn no_hostile_request_gets_through_or_stops_the_server() {
    let server = hardened();
    let job = server.post(GENERATE, &Form::small()).json();
    let id = job["id"].as_str().unwrap();
    let cases: Vec<Case> = [
        paths(),
        ids(),
        parameters(id),
        values(),
        forms(),
        images(),
        wire(),
    ]
    .into_iter()
    .flatten()
    .collect();
    assert!(cases.len() >= 200, "only {} cases", cases.len());
    let mut found = Vec::new();
    for case in &cases {
        let answer = raw(server.address, &case.request);
        found.extend(wrong(case, &answer));
    }
    assert!(
        found.is_empty(),
        "{} of {} cases:\n{}",
        found.len(),
        cases.len(),
        found.join("\n")
    );
    let metrics = server.get("/metrics").text();
    let defects: Vec<_> = metrics
        .lines()
        .filter(|line| {
            line.starts_with("orfeas_http_requests_total") && line.contains("status=\"500\"")
        })
        .collect();
    assert!(defects.is_empty(), "{defects:?}");
    assert!(
        metrics.contains("orfeas_upload_bytes 0\n"),
        "memory was not given back"
    );
    assert_eq!(server.post(GENERATE, &Form::small()).status, 200);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = hardened();
    let mut stream = server.connect();
    let mut requests = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(3);
    requests.extend(b"GET /none HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(&requests).unwrap();
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let statuses: Vec<_> = text
        .match_indices("HTTP/1.1 ")
        .map(|(at, _)| &text[at + 9..at + 12])
        .collect();
    assert_eq!(statuses, ["200", "200", "200", "404"]);
}

#[test]
fn a_request_hidden_in_a_refused_body_is_not_run() {
    let server = hardened();
    let hidden = "DELETE /api/v1/jobs/x HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut stream = server.connect();
    let request = format!(
        "POST /api/v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n\
         {hidden}",
        hidden.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let answer = read_answer(&mut stream);
    assert_eq!(answer.status, 415);
    assert_eq!(answer.text().matches("HTTP/1.1").count(), 0);
}
