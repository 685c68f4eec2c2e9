//! The server as its clients meet it: every route, every refusal, shared jobs and streams.

use orfeas::server::Limits;
use serde_json::Value;

use crate::pictures;
use crate::server_client::{Form, Wish, id_of};

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
    assert_eq!(job["result"]["device"], "cpu");
    assert!(job["memory"]["before_percent"].is_number(), "{job}");
    assert!(job["memory"]["after_percent"].is_number());
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
    let stats = server.get("/api/v1/gpu/stats").json();
    assert!(["ok", "no_gpu"].contains(&stats["status"].as_str().unwrap()));
    assert_eq!(stats["gpu"]["gradient_checkpointing"], false);
    assert_eq!(stats["queue_depth"], 0);
    assert!((1..=32).contains(&stats["optimal_batch_size"].as_u64().unwrap()));
    let precision = stats["recommended_precision"].as_str().unwrap();
    assert!(["fp32", "fp16", "int8"].contains(&precision));
    assert!(
        stats["gpu"]["host"]["total_bytes"].as_u64() > Some(0),
        "{stats}"
    );
    let cache = server.get("/api/v1/cache/stats").json();
    assert_eq!(cache["enabled"], false);
    let models = server.get("/api/v1/models").json();
    assert_eq!(models["models"][0]["name"], "inflate");
    assert_eq!(models["models"][1]["name"], "triposr");
    assert_eq!(models["models"][1]["available"], false);
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
        "/api/v1/jobs/{id}/keep",
        "/api/v1/jobs/{id}/events",
        "/api/v1/jobs/{id}/mesh",
        "/api/v1/gpu/stats",
        "/api/v1/cache/stats",
        "/api/v1/cache/clear",
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

#[test]
fn a_progressive_answer_tells_every_stage_and_ends_with_the_end() {
    let server = Wish::default().start();
    let form = Form::default()
        .file("image", "disc.png", &pictures::disc_png(64))
        .text("resolution", "128");
    let lines = server.progress(&form);
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
    let last = server.progress(&form).pop().unwrap();
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
        (form("device", "cuda:x"), 422, "invalid_value"),
        (form("device", "cuda:99"), 400, "device_unavailable"),
        (form("precision", "fp64"), 422, "invalid_value"),
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
