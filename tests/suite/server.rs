//! The server as its clients meet it: every route, every refusal, shared jobs, streams and stopping.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use orfeas::engine::{self, Engine};
use orfeas::server::{self, Config, ConfigError, Limits, ServerError};
use serde_json::Value;

use crate::pictures;
use crate::server_client::{Answer, Form, PATIENCE, Wish, id_of, read_answer};

const GENERATE: &str = "/api/v1/generate";

#[test]
fn an_image_becomes_a_mesh_that_others_can_read() {
    let server = Wish::default().start();
    let answer = server.post(
        GENERATE,
        &Form::small().text("size", "50").text("thickness", "1.5"),
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
    let job = answer.json();
    assert_eq!(job["status"], "completed");
    assert_eq!(job["origin"], "computed");
    assert_eq!(job["image"], "disc.png");
    assert_eq!(job["settings"]["thickness"], 1.5);
    assert_eq!(job["result"]["closed"], true);
    let sizes = job["result"]["bounds_mm"]["size"].as_array().unwrap();
    let longest = sizes.iter().filter_map(Value::as_f64).fold(0.0, f64::max);
    assert!((longest - 50.0).abs() < 0.1, "{longest} mm");
    assert!(job["timings"]["seconds"].as_f64().unwrap() > 0.0);
    assert!(job["timings"]["first_mesh_seconds"].as_f64() <= job["timings"]["seconds"].as_f64());

    let mesh = server.get(job["mesh_url"].as_str().unwrap());
    assert_eq!(mesh.header("content-type"), Some("model/gltf-binary"));
    let (document, buffers, _) = gltf::import_slice(&mesh.body).unwrap();
    let primitive = document.meshes().next().unwrap().primitives().next();
    let primitive = primitive.unwrap();
    let reader = primitive.reader(|buffer| Some(&buffers[buffer.index()]));
    let indices = reader.read_indices().unwrap().into_u32().count();
    assert_eq!(indices as u64 / 3, job["result"]["faces"].as_u64().unwrap());

    let id = id_of(&job);
    for (format, start) in [
        ("glb", b"glTF".as_slice()),
        ("obj", b"#"),
        ("ply", b"ply"),
        ("3mf", b"PK"),
        ("stl", b""),
    ] {
        let mesh = server.get(&format!("/api/v1/jobs/{id}/mesh?format={format}"));
        assert_eq!(mesh.status, 200, "{format}");
        assert!(mesh.body.starts_with(start), "{format}");
        let length = mesh.header("content-length").unwrap();
        assert_eq!(length, mesh.body.len().to_string());
        let disposition = mesh.header("content-disposition").unwrap();
        assert_eq!(
            disposition,
            format!("attachment; filename=\"orfeas-{id}.{format}\"")
        );
    }
}

#[test]
fn the_machine_tells_about_itself() {
    let server = Wish::default().start();
    let id = id_of(&server.post(GENERATE, &Form::small()).json());
    let health = server.get("/health").json();
    assert_eq!(health["status"], "ok");
    assert_eq!(health["queue_limit"], 64);
    let models = server.get("/api/v1/models").json();
    assert_eq!(models["models"][0]["name"], "inflate");
    let metrics = server.get("/metrics");
    assert!(
        metrics
            .header("content-type")
            .unwrap()
            .starts_with("text/plain; version=0.0.4")
    );
    let metrics = metrics.text();
    for line in [
        "orfeas_jobs_submitted_total 1",
        "orfeas_jobs_ended_total{status=\"completed\"} 1",
        "orfeas_upload_bytes 0",
        "orfeas_http_requests_total{method=\"POST\",route=\"/api/v1/generate\",status=\"200\"} 1",
    ] {
        assert!(metrics.lines().any(|other| other == line), "no {line}");
    }
    assert!(!metrics.contains(&id), "an id in a label grows for ever");
    let description = server.get("/api/v1/openapi.json").json();
    assert_eq!(description["openapi"], "3.1.0");
    for path in [
        "/api/v1/generate",
        "/api/v1/generate-progressive",
        "/api/v1/jobs",
        "/api/v1/jobs/{id}",
        "/api/v1/jobs/{id}/events",
        "/api/v1/jobs/{id}/mesh",
        "/api/v1/models",
        "/health",
        "/metrics",
    ] {
        assert!(description["paths"][path].is_object(), "no {path}");
    }
    let head = server.raw(b"HEAD /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[test]
fn jobs_are_listed_newest_first_page_by_page() {
    let server = Wish::default().start();
    let form = |thickness: usize| Form::small().text("thickness", &format!("1.{thickness}"));
    let ids: Vec<_> = (0..5)
        .map(|at| id_of(&server.post(GENERATE, &form(at)).json()))
        .collect();
    let mut seen = Vec::new();
    let mut next = Some("/api/v1/jobs?limit=2".to_owned());
    while let Some(path) = next {
        let page = server.get(&path).json();
        assert_eq!(page["total"], 5);
        seen.extend(page["jobs"].as_array().unwrap().iter().map(id_of));
        next = page["next_url"].as_str().map(str::to_owned);
    }
    seen.reverse();
    assert_eq!(seen, ids);
}

/// The lines of a progressive answer, those that only keep the connection alive left out.
fn lines(answer: &Answer) -> Vec<Value> {
    let text = answer.text();
    let lines = text.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_progressive_answer_tells_every_stage_and_ends_with_the_end() {
    let server = Wish::default().start();
    let form = Form::default()
        .file("image", "disc.png", &pictures::disc_png(64))
        .text("resolution", "128");
    let answer = server.post("/api/v1/generate-progressive", &form);
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let lines = lines(&answer);
    let progress: Vec<_> = lines
        .iter()
        .map(|line| line["progress"].as_f64().unwrap())
        .collect();
    assert!(progress.is_sorted(), "{progress:?}");
    let levels: Vec<_> = lines
        .iter()
        .filter_map(|line| line["level"].as_u64())
        .collect();
    assert_eq!(levels, [32, 64, 128]);
    for line in lines.iter().filter(|line| line["level"].is_u64()) {
        let mesh = server.get(line["mesh_url"].as_str().unwrap());
        assert_eq!(mesh.status, 200, "{line}");
    }
    let last = lines.last().unwrap();
    assert_eq!(last["status"], "completed");
    assert_eq!(last["progress"], 1.0);

    let form = Form::default().file("image", "no.png", b"no image");
    let answer = server.post("/api/v1/generate-progressive", &form);
    let last = self::lines(&answer).pop().unwrap();
    assert_eq!(last["status"], "failed");
    assert_eq!(last["error"]["code"], "unsupported_image");
}

/// The events of a stream as (id, name, data).
fn server_sent(text: &str) -> Vec<(u64, String, Value)> {
    let field = |block: &str, name: &str| {
        block
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            .map(str::to_owned)
    };
    text.split("\n\n")
        .filter(|block| block.contains("data: "))
        .map(|block| {
            (
                field(block, "id").unwrap().parse().unwrap(),
                field(block, "event").unwrap(),
                serde_json::from_str(&field(block, "data").unwrap()).unwrap(),
            )
        })
        .collect()
}

#[test]
fn events_are_replayed_after_the_last_one_that_was_read() {
    let server = Wish::default().start();
    let id = server.submit(Form::small());
    let path = format!("/api/v1/jobs/{id}/events");
    // Read while the job runs or just after, whichever it is.
    let all = server_sent(&server.get(&path).text());
    let ids: Vec<_> = all.iter().map(|(id, ..)| *id).collect();
    assert_eq!(ids, (1..=all.len() as u64).collect::<Vec<_>>());
    assert_eq!(all[0].1, "queued");
    assert_eq!(all.last().unwrap().1, "completed");
    assert!(all.iter().all(|(_, _, data)| data["job"] == id.as_str()));

    let rest = server_sent(&server.get_with(&path, "Last-Event-ID", "3").text());
    assert_eq!(rest.len(), all.len() - 3);
    assert_eq!(rest[0], all[3]);
    let nothing = server.get_with(&path, "Last-Event-ID", "999");
    assert_eq!((nothing.status, nothing.text().as_str()), (200, ""));
    let bad = server.get_with(&path, "Last-Event-ID", "three");
    assert_eq!(bad.refusal(), (400, "bad_event_id".into()));
}

#[test]
fn identical_requests_share_a_job_and_one_caller_lets_go_alone() {
    let server = Wish::default().start();
    let blocker = server.submit(Form::long());
    let first = server.submit(Form::small());
    let second = server.submit(Form::small());
    assert_ne!(first, second);
    let origin = |id: &str| server.get(&format!("/api/v1/jobs/{id}")).json()["origin"].clone();
    assert_eq!(origin(&first), "computed");
    assert_eq!(origin(&second), "joined");

    let cancelled = server.delete(&format!("/api/v1/jobs/{first}"));
    assert_eq!(cancelled.status, 200, "{}", cancelled.text());
    assert_eq!(cancelled.json()["status"], "cancelled");
    let again = server.delete(&format!("/api/v1/jobs/{first}"));
    assert_eq!(again.refusal(), (409, "job_ended".into()));
    assert_eq!(
        server.delete(&format!("/api/v1/jobs/{blocker}")).status,
        200
    );

    let job = server.wait_for(&second, &["completed", "failed", "cancelled"]);
    assert_eq!(job["status"], "completed");
    let mesh = |id: &str| server.get(&format!("/api/v1/jobs/{id}/mesh"));
    assert_eq!(mesh(&second).status, 200);
    assert_eq!(mesh(&first).refusal(), (409, "job_cancelled".into()));
    assert_eq!(
        server.wait_for(&first, &["cancelled"])["result"],
        Value::Null
    );
}

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
fn each_refusal_has_its_status_and_code() {
    let server = Wish::default().start();
    let id = id_of(&server.post(GENERATE, &Form::small()).json());
    let failed = server.submit(Form::default().file("image", "a.png", b"no image"));
    server.wait_for(&failed, &["failed"]);
    let image = pictures::disc_png(32);
    let form = |name: &str, value: &str| server.post(GENERATE, &Form::small().text(name, value));
    let nobody = "00000000-0000-4000-8000-000000000000";
    let cases = [
        (
            server.post(GENERATE, &Form::default()),
            400,
            "missing_image",
        ),
        (form("colour", "red"), 400, "unknown_field"),
        (form("resolution", "64"), 400, "duplicate_field"),
        (form("thickness", "NaN"), 422, "invalid_value"),
        (form("quality", "11"), 422, "invalid_value"),
        (form("back", "front"), 422, "invalid_value"),
        (form("wait", "maybe"), 422, "invalid_value"),
        (
            server.post(
                GENERATE,
                &Form::small()
                    .text("matte", "alpha")
                    .file("matte_image", "m.png", &image),
            ),
            400,
            "contradiction",
        ),
        (
            server.post(GENERATE, &Form::small().file("matte_image", "m.png", b"no")),
            400,
            "bad_matte",
        ),
        (
            server.post(
                GENERATE,
                &Form::default().file("image", "a.png", &image[..image.len() / 2]),
            ),
            400,
            "bad_image",
        ),
        (
            server.post(
                GENERATE,
                &Form::default().file("image", "a.zip", b"PK\x03\x04"),
            ),
            415,
            "unsupported_image",
        ),
        (server.get("/api/v2"), 404, "not_found"),
        (server.delete("/health"), 405, "method_not_allowed"),
        (
            server.get(&format!("/api/v1/jobs/{nobody}")),
            404,
            "no_such_job",
        ),
        (server.get("/api/v1/jobs/me"), 400, "bad_id"),
        (server.get("/api/v1/jobs?limit=0"), 422, "invalid_value"),
        (server.get("/api/v1/jobs?page=2"), 400, "bad_query"),
        (
            server.get(&format!("/api/v1/jobs/{id}/mesh?level=64")),
            404,
            "no_such_level",
        ),
        (
            server.get(&format!("/api/v1/jobs/{id}/mesh?format=step")),
            422,
            "invalid_value",
        ),
        (
            server.get(&format!("/api/v1/jobs/{failed}/mesh")),
            409,
            "job_failed",
        ),
        (
            server.raw(
                b"POST /api/v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n\
                Content-Length: 3\r\nConnection: close\r\n\r\nabc",
            ),
            415,
            "unsupported_media_type",
        ),
    ];
    for (at, (answer, status, code)) in cases.iter().enumerate() {
        assert_eq!(answer.refusal(), (*status, (*code).into()), "case {at}");
    }
    let allowed = server.delete("/health");
    assert_eq!(allowed.header("allow"), Some("GET,HEAD"));
}

#[test]
fn a_matte_of_ones_own_is_used() {
    let server = Wish::default().start();
    let matte = pictures::rgba_png(48, 48, |x, _| {
        let grey = if (8..40).contains(&x) { 255 } else { 0 };
        [grey, grey, grey, 255]
    });
    let form = Form::small().file("matte_image", "m.png", &matte);
    let job = server.post(GENERATE, &form).json();
    assert_eq!(job["result"]["matte"]["kind"], "user", "{job}");
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
fn only_the_newest_meshes_stay_in_memory() {
    let wish = Wish {
        limits: Limits {
            kept_mesh_bytes: 1,
            ended_submissions: 2,
            ..Limits::default()
        },
        ..Wish::default()
    };
    let server = wish.start();
    let ids: Vec<_> = ["1", "2", "3"]
        .map(|thickness| {
            let form = Form::small().text("thickness", thickness);
            id_of(&server.post(GENERATE, &form).json())
        })
        .into();
    let mesh = |id: &str| server.get(&format!("/api/v1/jobs/{id}/mesh"));
    assert_eq!(mesh(&ids[0]).refusal(), (404, "no_such_job".into()));
    assert_eq!(mesh(&ids[1]).refusal(), (410, "mesh_gone".into()));
    assert_eq!(mesh(&ids[2]).status, 200);
    assert_eq!(server.get("/api/v1/jobs").json()["total"], 2);
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
fn a_client_that_goes_away_cancels_only_where_it_said_so() {
    let server = Wish::default().start();
    for (cancels, status) in [("true", "cancelled"), ("false", "completed")] {
        let form = Form::default()
            .file("image", "a.png", &pictures::disc_png(300))
            .text("resolution", "200")
            .text("cancel_on_disconnect", cancels);
        let mut stream = server.connect();
        stream.write_all(&form.request(GENERATE, "")).unwrap();
        let newest = || server.get("/api/v1/jobs?limit=1").json()["jobs"][0].clone();
        let deadline = std::time::Instant::now() + PATIENCE;
        while newest()["status"] != "running" && newest()["status"] != "queued" {
            assert!(std::time::Instant::now() < deadline);
        }
        drop(stream);
        let id = id_of(&newest());
        let job = server.wait_for(&id, &["completed", "failed", "cancelled"]);
        assert_eq!(job["status"], status, "cancel_on_disconnect={cancels}");
    }
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

#[test]
fn stopping_lets_the_running_job_end_and_answers_who_waits() {
    let server = Wish::default().start();
    let running = Form::default()
        .file("image", "a.png", &pictures::disc_png(200))
        .text("resolution", "150");
    let waiting = Form::small();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| server.post(GENERATE, &running));
        let id = loop {
            let jobs = server.get("/api/v1/jobs").json();
            if let Some(job) = jobs["jobs"].get(0) {
                break id_of(job);
            }
        };
        server.wait_for(&id, &["running", "completed"]);
        let second = scope.spawn(|| server.post(GENERATE, &waiting));
        while server.get("/api/v1/jobs").json()["total"] != 2 {}
        server.begin_stop(PATIENCE);
        let first = first.join().unwrap();
        assert_eq!(first.status, 200, "{}", first.text());
        assert_eq!(first.json()["status"], "completed");
        let second = second.join().unwrap();
        // It may have had its turn before the stop.
        if second.status != 200 {
            assert_eq!(second.refusal(), (503, "shutting_down".into()));
        }
    });
    let address = server.address;
    server.stop(Duration::ZERO);
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn stopping_at_once_cancels_the_running_job() {
    let server = Wish::default().start();
    let form = Form::long();
    let engine = Arc::clone(&server.engine);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| server.post("/api/v1/generate-progressive", &form));
        while server.get("/api/v1/jobs").json()["total"] != 1 {}
        server.begin_stop(Duration::ZERO);
        let lines = lines(&waiting.join().unwrap());
        assert_eq!(lines.last().unwrap()["status"], "cancelled");
    });
    server.stop(Duration::ZERO);
    assert_eq!(engine.queue_depth(), 0);
}

#[cfg(unix)]
#[test]
fn the_program_serves_until_it_is_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Command::new(assert_cmd::cargo::cargo_bin("orfeas"))
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("XDG_STATE_HOME", folder.path())
        .env("HOME", folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(program.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    let url = line.trim_end().to_owned();
    let health = ureq::get(format!("{url}/health")).call().unwrap();
    assert_eq!(health.status(), 200);
    let id = program.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(program.wait().unwrap().code(), Some(0));
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "", "one line on standard output");
}
