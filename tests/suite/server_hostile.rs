//! What nobody should send: every case is answered with a refusal or nothing, and the server lives.

use std::io::Write;
use std::time::Duration;

use orfeas::server::Limits;

use crate::pictures;
use crate::server_client::{Answer, BOUNDARY, Form, Running, Wish, raw, read_answer};

/// A request and the statuses that are right for it; 0 for a connection that is closed without answer.
struct Case {
    name: String,
    request: Vec<u8>,
    right: &'static [u16],
}

fn case(name: impl Into<String>, request: impl Into<Vec<u8>>, right: &'static [u16]) -> Case {
    Case {
        name: name.into(),
        request: request.into(),
        right,
    }
}

fn get(path: &str) -> Vec<u8> {
    request("GET", path, "")
}

fn request(method: &str, path: &str, headers: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n")
        .into_bytes()
}

const GENERATE: &str = "/api/v1/generate";

fn post(form: &Form) -> Vec<u8> {
    form.request(GENERATE, "")
}

/// A body of its own under the usual headers.
fn post_body(body: &[u8]) -> Vec<u8> {
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

fn forms() -> Vec<Case> {
    let image = pictures::disc_png(32);
    let whole = Form::small().encode().1;
    let part = |header: &str, value: &[u8]| {
        let head = format!("--{BOUNDARY}\r\n{header}\r\n\r\n");
        [
            head.as_bytes(),
            value,
            format!("\r\n--{BOUNDARY}--\r\n").as_bytes(),
        ]
        .concat()
    };
    let named = "Content-Disposition: form-data; name=";
    let mut many = Form::default();
    for _ in 0..1000 {
        many = many.text("quality", "7");
    }
    let distinct: Vec<u8> = (0..1000)
        .flat_map(|at| format!("--{BOUNDARY}\r\n{named}\"f{at}\"\r\n\r\n1\r\n").into_bytes())
        .collect();
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        ("no body", Vec::new()),
        ("garbage", b"garbage".to_vec()),
        ("zeros", vec![0; 10_000]),
        (
            "only the last boundary",
            format!("--{BOUNDARY}--\r\n").into_bytes(),
        ),
        (
            "a boundary without end",
            format!("--{BOUNDARY}").into_bytes(),
        ),
        ("another boundary", whole.replace_all(BOUNDARY, "other")),
        ("no last boundary", whole[..whole.len() - 60].to_vec()),
        ("ends in a header", whole[..70].to_vec()),
        ("bare line feeds", whole.replace_all("\r\n", "\n")),
        ("no disposition", part("Content-Type: image/png", &image)),
        ("no name", part("Content-Disposition: form-data", &image)),
        (
            "an attachment",
            part("Content-Disposition: attachment; filename=\"a\"", &image),
        ),
        (
            "a header without colon",
            part("Content-Disposition", &image),
        ),
        (
            "zeros in a name",
            part(&format!("{named}\"im\0age\""), &image),
        ),
        (
            "a thousand headers",
            part(
                &format!("{}{named}\"image\"", "X: y\r\n".repeat(1000)),
                &image,
            ),
        ),
        (
            "an empty image",
            part(&format!("{named}\"image\"; filename=\"a.png\""), b""),
        ),
        (
            "a form in a form",
            part(
                &format!("{named}\"image\"\r\nContent-Type: multipart/mixed; boundary=x"),
                b"--x\r\n\r\n--x--",
            ),
        ),
        (
            "text that is not UTF-8",
            part(&format!("{named}\"back\""), b"\xff\xfe\xfd"),
        ),
        ("a thousand equal fields", many.encode().1),
        ("a thousand fields", distinct),
        (
            "two images",
            Form::small().file("image", "b.png", &image).encode().1,
        ),
    ];
    let mut cases: Vec<_> = bodies
        .into_iter()
        .map(|(name, body)| case(name, post_body(&body), &[400, 415, 422]))
        .collect();
    for content_type in [
        "",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/mixed; boundary=x",
        "application/json",
        "application/x-www-form-urlencoded",
        "text/plain",
        "multipart/form-data; boundary=\"unclosed",
        "multipart/form-data; charset=x",
        "\u{1}",
    ] {
        let head = format!("Content-Type: {content_type}\r\nContent-Length: 4\r\n");
        let request = [request("POST", GENERATE, &head), b"{}{}".to_vec()].concat();
        cases.push(case(
            format!("content type {content_type:?}"),
            request,
            &[400, 415],
        ));
    }
    let boundary = "b".repeat(20_000);
    let head =
        format!("Content-Type: multipart/form-data; boundary={boundary}\r\nContent-Length: 0\r\n");
    cases.push(case(
        "a boundary of 20,000 letters",
        request("POST", GENERATE, &head),
        &[400],
    ));
    // Strange, and still a form.
    let header = format!("X: {}\r\n{named}\"image\"", "a".repeat(100_000));
    let body = part(&header, &image);
    cases.push(case(
        "a header of 100,000 letters",
        post_body(&body),
        &[200, 400],
    ));
    for encoding in ["gzip", "br", "deflate, gzip", "nonsense"] {
        let headers = format!("Content-Encoding: {encoding}\r\n");
        let request = Form::small().request(GENERATE, &headers);
        cases.push(case(
            format!("content encoding {encoding}"),
            request,
            &[415],
        ));
    }
    cases
}

trait ReplaceAll {
    fn replace_all(&self, from: &str, to: &str) -> Vec<u8>;
}

impl ReplaceAll for [u8] {
    fn replace_all(&self, from: &str, to: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = self;
        while let Some(at) = rest
            .windows(from.len())
            .position(|window| window == from.as_bytes())
        {
            out.extend_from_slice(&rest[..at]);
            out.extend_from_slice(to.as_bytes());
            rest = &rest[at + from.len()..];
        }
        out.extend_from_slice(rest);
        out
    }
}

fn images() -> Vec<Case> {
    let png = pictures::disc_png(64);
    let laughs = {
        let mut svg = String::from("<!DOCTYPE svg [<!ENTITY a0 \"ha\">");
        for at in 1..12 {
            let before = format!("&a{};", at - 1).repeat(10);
            svg += &format!("<!ENTITY a{at} \"{before}\">");
        }
        svg + "]><svg xmlns='http://www.w3.org/2000/svg' width='64' height='64'><text>&a11;</text></svg>"
    };
    let outside = "<svg xmlns='http://www.w3.org/2000/svg' xmlns:xlink='http://www.w3.org/1999/xlink' width='64' \
        height='64'><image xlink:href='file:///etc/passwd' width='64' height='64'/></svg>";
    let mut lying_gif = b"GIF89a\xff\xff\xff\xff\x00\x00\x00".to_vec();
    lying_gif.extend([0x2c; 64]);
    let mut lying_bmp = b"BM".to_vec();
    lying_bmp.extend([0xff; 100]);
    let images: Vec<(&str, Vec<u8>)> = vec![
        ("a bomb", pictures::bomb_png()),
        ("half an image", png[..png.len() / 2].to_vec()),
        ("an image's head", png[..33].to_vec()),
        ("eight bytes", png[..8].to_vec()),
        ("one byte", vec![0x89]),
        ("spaces", vec![b' '; 5000]),
        ("a page", b"<html><body>hello</body></html>".to_vec()),
        ("a program", b"\x7fELF\x02\x01\x01\x00".repeat(100)),
        ("an archive", b"PK\x03\x04".repeat(100)),
        ("a script", b"#!/bin/sh\nrm -rf /\n".to_vec()),
        ("laughs", laughs.into_bytes()),
        ("a file outside", outside.into()),
        ("a lying GIF", lying_gif),
        ("a lying BMP", lying_bmp),
        ("a TIFF's head", b"II*\x00\xff\xff\xff\xff".to_vec()),
        (
            "a JPEG's head",
            b"\xff\xd8\xff\xe0\x00\x10JFIF\x00".to_vec(),
        ),
        ("a WebP's head", b"RIFF\xff\xff\xff\xffWEBPVP8X".to_vec()),
        (
            "a HEIC's head",
            b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00".to_vec(),
        ),
        (
            "nothing to be seen",
            pictures::rgba_png(64, 64, |_, _| [0; 4]),
        ),
        (
            "two by two",
            pictures::rgba_png(2, 2, |_, _| [9, 9, 9, 255]),
        ),
    ];
    let mut cases = Vec::new();
    for (name, image) in images {
        let form = Form::default()
            .file("image", "../../../etc/cron.d/x", &image)
            .text("resolution", "16");
        cases.push(case(name, post(&form), &[400, 415, 507]));
        let form = Form::small().file("matte_image", "m.png", &image);
        // Whatever is readable may be a matte, also one that leaves nothing.
        cases.push(case(format!("as a matte: {name}"), post(&form), &[400]));
    }
    cases
}

fn wire() -> Vec<Case> {
    let mut cases = Vec::new();
    for host in [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example:7878",
        "localhost@evil.example",
        "localhost:99999",
        "localhost:port",
        "10.0.0.1",
        "0.0.0.0",
        "[::]",
        "[::1",
        "[fe80::1]",
        "2130706433",
        "0x7f000001",
        "127.1",
        "localhost.",
        "",
        ":7878",
        " ",
        "localhost, evil.example",
    ] {
        let request = format!("GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        cases.push(case(format!("host {host:?}"), request, &[400, 403]));
    }
    for origin in [
        "null",
        "http://evil.example",
        "https://evil.example",
        "http://localhost:3000",
        "http://localhost.evil.example",
        "http://127.0.0.1",
        "file://",
        "moz-extension://1234",
        "localhost",
        "",
        "http://localhost http://evil.example",
    ] {
        let headers = format!("Origin: {origin}\r\n");
        let request = Form::small().request(GENERATE, &headers);
        cases.push(case(format!("origin {origin:?}"), request, &[403]));
        let nobody = "/api/v1/jobs/00000000-0000-4000-8000-000000000000";
        let request = self::request("DELETE", nobody, &headers);
        cases.push(case(format!("DELETE from {origin:?}"), request, &[403]));
    }
    for site in ["cross-site", "same-site", "CROSS-SITE", "", "unknown"] {
        let request = Form::small().request(GENERATE, &format!("Sec-Fetch-Site: {site}\r\n"));
        cases.push(case(format!("site {site:?}"), request, &[403]));
    }
    for method in [
        "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "GET", "get", "FOO",
    ] {
        cases.push(case(
            format!("{method} {GENERATE}"),
            request(method, GENERATE, ""),
            &[400, 403, 404, 405],
        ));
    }
    let head = "POST /api/v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n\
        Connection: close\r\n";
    let requests: Vec<(&str, Vec<u8>, &'static [u16])> = vec![
        ("no host", b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n".into(), &[400]),
        ("two hosts", b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n".into(), &[400]),
        ("HTTP/1.0 without host", b"GET /health HTTP/1.0\r\n\r\n".into(), &[400]),
        ("a foreign address in the request line", b"GET http://evil.example/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".into(), &[403]),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), &[0, 400, 505]),
        ("HTTP/9.9", b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n".into(), &[0, 400, 505]),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".into(), &[0, 400]),
        ("garbage", b"\x00\x01\x02\xff\xfe\r\n\r\n".into(), &[0, 400]),
        ("nothing but line ends", b"\r\n\r\n\r\n\r\n".into(), &[0, 400, 408]),
        ("no version", b"GET /\r\n\r\n".into(), &[0, 400]),
        ("a zero in a header", b"GET /health HTTP/1.1\r\nHost: local\0host\r\n\r\n".into(), &[0, 400]),
        ("a folded header", b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n".into(), &[0, 400]),
        ("a blank before the colon", b"GET /health HTTP/1.1\r\nHost : localhost\r\n\r\n".into(), &[0, 400]),
        ("a header of 64 KB", request("GET", "/health", &format!("X: {}\r\n", "a".repeat(65_536))), &[0, 431]),
        ("200 headers", request("GET", "/health", &"X: y\r\n".repeat(200)), &[0, 400, 431]),
        ("both lengths", format!("{head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").into(), &[0, 400]),
        ("two lengths", format!("{head}Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef").into(), &[0, 400]),
        ("a negative length", format!("{head}Content-Length: -1\r\n\r\n").into(), &[0, 400]),
        ("a length in words", format!("{head}Content-Length: five\r\n\r\nabcde").into(), &[0, 400]),
        ("a length with a sign", format!("{head}Content-Length: +5\r\n\r\nabcde").into(), &[0, 400]),
        ("the greatest length", format!("{head}Content-Length: 18446744073709551615\r\n\r\n").into(), &[0, 400, 413, 431]),
        ("a length beyond the greatest", format!("{head}Content-Length: 18446744073709551616\r\n\r\n").into(), &[0, 400, 413]),
        ("a terabyte", format!("{head}Content-Length: 1000000000000\r\n\r\n").into(), &[413]),
        ("a bad chunk size", format!("{head}Transfer-Encoding: chunked\r\n\r\nxyz\r\n").into(), &[0, 400]),
        ("a chunk size that overflows", format!("{head}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n").into(), &[0, 400]),
        ("the greatest chunk", format!("{head}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nab").into(), &[0, 400, 408]),
        ("a chunk without line end", format!("{head}Transfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n").into(), &[0, 400]),
        ("an endless chunk extension", format!("{head}Transfer-Encoding: chunked\r\n\r\n3;{}\r\n", "a".repeat(100_000)).into(), &[0, 400, 408]),
        ("another transfer encoding", format!("{head}Transfer-Encoding: gzip\r\n\r\n").into(), &[0, 400, 501]),
        ("chunked twice", format!("{head}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n").into(), &[0, 400]),
        ("a body that stops", format!("{head}Content-Length: 1000\r\n\r\n--x\r\n").into(), &[400, 408]),
        ("an expectation that cannot be met", format!("{head}Expect: the-impossible\r\nContent-Length: 0\r\n\r\n").into(), &[400, 417]),
        ("an upgrade", request("GET", "/health/none", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"), &[404]),
        ("a foreign preflight", request("OPTIONS", GENERATE, "Origin: http://evil.example\r\nAccess-Control-Request-Method: POST\r\n"), &[403, 405]),
        ("any resource", b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".into(), &[400, 404, 405]),
    ];
    cases.extend(
        requests
            .into_iter()
            .map(|(name, request, right)| case(name, request, right)),
    );
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
