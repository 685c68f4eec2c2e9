//! Requests that are wrong before any route reads them: names, origins, methods, and the protocol itself.

use crate::server_client::Form;
use crate::server_hostile::{Case, GENERATE, case, request};

pub(crate) fn wire() -> Vec<Case> {
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
