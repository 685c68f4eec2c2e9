//! What a server takes of a machine, and whom it lets in.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use orfeas::engine::{self, Engine};
use orfeas::server::{self, Config, ConfigError, Limits, ServerError};

use crate::pictures;
use crate::server_client::{Form, Wish, read_answer};

const GENERATE: &str = "/api/v1/generate";

#[test]
fn a_full_queue_says_when_to_come_again() {
    let wish = Wish {
        queue_limit: Some(1),
        ..Wish::default()
    };
    let server = wish.start();
    let running = server.submit(Form::long());
    server.wait_for(&running, &["running"]);
    let waiting = server.submit(Form::long().text("thickness", "1.1"));
    let full = server.post(GENERATE, &Form::long().text("thickness", "1.2"));
    assert_eq!(full.refusal(), (503, "queue_full".into()));
    let seconds: u64 = full.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds));
    let mesh = server.get(&format!("/api/v1/jobs/{waiting}/mesh"));
    assert_eq!(mesh.refusal(), (409, "not_finished".into()));
    for id in [waiting, running] {
        assert_eq!(server.delete(&format!("/api/v1/jobs/{id}")).status, 200);
    }
}

#[test]
fn too_much_is_refused_before_and_while_it_is_read() {
    let wish = Wish {
        limits: Limits {
            body_bytes: 100_000,
            ..Limits::default()
        },
        ..Wish::default()
    };
    let server = wish.start();
    // The body is announced and never sent: the answer comes all the same.
    let answer = server.raw(
        b"POST /api/v1/generate HTTP/1.1\r\nHost: localhost\r\n\
        Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 100001\r\n\r\n",
    );
    assert_eq!(answer.refusal(), (413, "too_large".into()));
    // The length is not announced.
    let mut stream = server.connect();
    let (content_type, _) = Form::default().encode();
    let head = format!(
        "POST /api/v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\n\
         Transfer-Encoding: chunked\r\n\r\n60\r\n--orfeas-test-boundary\r\n\
         Content-Disposition: form-data; name=\"image\"; filename=\"a.png\"\r\n\r\n"
    );
    let start = head.rfind("60\r\n").unwrap() + 4;
    let head = head.replacen("60\r\n", &format!("{:x}\r\n", head.len() - start), 1);
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(b"\r\n").unwrap();
    let chunk = [b"4000\r\n".as_slice(), &[7; 0x4000], b"\r\n"].concat();
    for _ in 0..20 {
        // The server may close before all of it is sent.
        stream.write_all(&chunk).ok();
    }
    assert_eq!(
        read_answer(&mut stream).refusal(),
        (413, "too_large".into())
    );
}

#[test]
fn memory_for_images_is_shared_and_given_back() {
    let wish = Wish {
        limits: Limits {
            upload_bytes: 300_000,
            ..Limits::default()
        },
        ..Wish::default()
    };
    let server = wish.start();
    let mut large = pictures::disc_png(48);
    // Bytes after a PNG's end are of no account.
    large.resize(200_000, 0);
    let form = Form::default()
        .file("image", "a.png", &large)
        .text("resolution", "512");
    let first = server.submit(form.clone());
    let refused = server.post(GENERATE, &form.text("thickness", "2"));
    assert_eq!(refused.refusal(), (503, "busy".into()));
    server.delete(&format!("/api/v1/jobs/{first}"));
    let after = server.post(GENERATE, &Form::small());
    assert_eq!(after.status, 200, "{}", after.text());
}

#[test]
fn slow_clients_are_let_go() {
    let wish = Wish {
        limits: Limits {
            header_timeout: Duration::from_millis(300),
            body_pause: Duration::from_millis(300),
            ..Limits::default()
        },
        ..Wish::default()
    };
    let server = wish.start();
    let mut stalled_head = server.connect();
    stalled_head
        .write_all(b"GET /health HTTP/1.1\r\nHos")
        .unwrap();
    let mut stalled_body = server.connect();
    let request = Form::small().request(GENERATE, "");
    stalled_body
        .write_all(&request[..request.len() / 2])
        .unwrap();
    assert_eq!(
        read_answer(&mut stalled_body).refusal(),
        (408, "too_slow".into())
    );
    assert_eq!(read_answer(&mut stalled_head).status, 0);
    assert_eq!(server.get("/health").status, 200);
}

#[test]
fn a_connection_too_many_is_told_so() {
    let wish = Wish {
        limits: Limits {
            connections: 2,
            ..Limits::default()
        },
        ..Wish::default()
    };
    let server = wish.start();
    // The first answer shows that the connection has been counted.
    let held: Vec<_> = (0..2)
        .map(|_| {
            let mut stream = server.connect();
            stream
                .write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                .unwrap();
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            stream
        })
        .collect();
    let mut third = server.connect();
    let answer = read_answer(&mut third);
    assert_eq!(answer.refusal(), (503, "too_many_connections".into()));
    let length: usize = answer.header("content-length").unwrap().parse().unwrap();
    assert_eq!(answer.body.len(), length);
    drop(held);
}

#[test]
fn too_little_memory_names_what_is_missing_and_what_to_ask_for() {
    let wish = Wish {
        memory_bytes: Some(1_000_000),
        ..Wish::default()
    };
    let server = wish.start();
    let form = Form::default()
        .file("image", "a.png", &pictures::disc_png(256))
        .text("quality", "10");
    let answer = server.post(GENERATE, &form);
    assert_eq!(answer.refusal(), (507, "out_of_memory".into()));
    let error = &answer.json()["error"];
    assert!(error["required_bytes"].as_u64() > error["free_bytes"].as_u64());
    assert!(error["suggestion"]["resolution"].as_u64() < Some(512));
}

#[test]
fn without_its_token_a_server_tells_only_that_it_lives() {
    let wish = Wish {
        token: Some("a-token-of-some-length"),
        ..Wish::default()
    };
    let server = wish.start();
    assert_eq!(server.get("/health").status, 200);
    for path in [
        "/api/v1/jobs",
        "/metrics",
        "/api/v1/openapi.json",
        "/nothing",
    ] {
        let answer = server.get(path);
        assert_eq!(answer.refusal(), (401, "token_required".into()), "{path}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    let with = |value: &str| {
        server
            .get_with("/api/v1/jobs", "Authorization", value)
            .status
    };
    assert_eq!(with("Bearer a-token-of-some-length"), 200);
    assert_eq!(with("bearer a-token-of-some-length"), 200);
    for wrong in [
        "a-token-of-some-length",
        "Bearer",
        "Bearer ",
        "Bearer a-token-of-some-lengt",
        "Bearer a-token-of-some-length1",
        "Basic YTpi",
    ] {
        assert_eq!(with(wrong), 401, "{wrong}");
    }
}

#[test]
fn a_listed_web_page_may_ask_and_no_other() {
    let wish = Wish {
        cors_origins: vec!["https://listed.example"],
        token: Some("a-token-of-some-length"),
        ..Wish::default()
    };
    let server = wish.start();
    let preflight = |origin: &str| {
        server.raw(
            format!(
                "OPTIONS /api/v1/generate HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}\r\nConnection: close\r\n\
                 Access-Control-Request-Method: POST\r\n\r\n"
            )
            .as_bytes(),
        )
    };
    let allowed = preflight("https://listed.example");
    assert_eq!(allowed.status, 204);
    let allow = "access-control-allow-origin";
    assert_eq!(allowed.header(allow), Some("https://listed.example"));
    let other = preflight("https://other.example");
    assert_eq!((other.status, other.header(allow)), (401, None));
    let post = |origin: &str| {
        let headers = format!(
            "Origin: {origin}\r\nSec-Fetch-Site: cross-site\r\nAuthorization: Bearer a-token-of-some-length\r\n"
        );
        server.raw(&Form::small().request(GENERATE, &headers))
    };
    let answer = post("https://listed.example");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header(allow), Some("https://listed.example"));
    assert_eq!(
        post("https://other.example").refusal(),
        (403, "foreign_origin".into())
    );
}

#[test]
fn an_address_that_asks_too_often_is_told_to_wait() {
    let wish = Wish {
        requests_per_minute: Some(5),
        ..Wish::default()
    };
    let server = wish.start();
    let answers: Vec<_> = (0..7).map(|_| server.get("/health")).collect();
    assert!(answers[..5].iter().all(|answer| answer.status == 200));
    let last = &answers[6];
    assert_eq!(last.refusal(), (429, "too_many_requests".into()));
    let seconds: u64 = last.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
}

#[test]
fn what_would_be_unsafe_or_cannot_work_is_refused_at_start() {
    let engine = Arc::new(Engine::start(engine::Config::default()).unwrap());
    let everywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let start = |config: Config| server::start(Arc::clone(&engine), config).map(drop);
    let open = start(Config {
        listen: everywhere,
        ..Config::default()
    });
    assert!(matches!(
        open,
        Err(ServerError::Config(ConfigError::TokenRequired { .. }))
    ));
    let guessable = start(Config {
        listen: everywhere,
        token: Some("secret".into()),
        ..Config::default()
    });
    assert!(matches!(
        guessable,
        Err(ServerError::Config(ConfigError::TokenTooShort { bytes: 6 }))
    ));
    let origin = start(Config {
        cors_origins: vec!["*".into()],
        ..Config::default()
    });
    assert!(matches!(
        origin,
        Err(ServerError::Config(ConfigError::Origin { .. }))
    ));
    let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let in_use = start(Config {
        listen: taken.local_addr().unwrap(),
        ..Config::default()
    });
    let message = in_use.unwrap_err().to_string();
    assert!(message.contains("--listen"), "{message}");
}
