//! The server over a store: results come back from disk, and none is lost.

use orfeas::server::Limits;
use std::time::Duration;

use crate::pictures;
use crate::server_client::{Form, Running, Wish, id_of, open_store};

const GENERATE: &str = "/api/v1/generate";

fn start(folder: &tempfile::TempDir, kept_mesh_bytes: u64) -> Running {
    let wish = Wish {
        store: Some(folder.path().to_owned()),
        limits: Limits {
            kept_mesh_bytes,
            ..Limits::default()
        },
        ..Wish::default()
    };
    wish.start()
}

/// Waits until the cache holds so many results: they are kept behind a job's end.
fn wait_for_entries(server: &Running, entries: u64) {
    let deadline = std::time::Instant::now() + crate::server_client::PATIENCE;
    while server.get("/api/v1/cache/stats").json()["entries"] != entries {
        assert!(
            std::time::Instant::now() < deadline,
            "never {entries} entries"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_identical_request_is_answered_from_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(&folder, 256_000_000);
    let first = server.post(GENERATE, &Form::small()).json();
    wait_for_entries(&server, 1);
    let first_mesh = server.get(first["mesh_url"].as_str().unwrap());
    let from_memory = server.post(GENERATE, &Form::small()).json();
    assert_eq!(from_memory["origin"], "cached");
    server.stop(Duration::ZERO);

    // Another process finds it on disk.
    let server = start(&folder, 256_000_000);
    let second = server.post(GENERATE, &Form::small()).json();
    assert_eq!(second["origin"], "cached");
    assert_eq!(second["status"], "completed");
    assert_eq!(second["result"]["faces"], first["result"]["faces"]);
    let mesh = |job: &serde_json::Value| server.get(job["mesh_url"].as_str().unwrap());
    let second_mesh = mesh(&second);
    assert_eq!((first_mesh.status, second_mesh.status), (200, 200));
    let same = first_mesh.body == second_mesh.body;
    assert!(same, "the cached mesh is not the computed one");
    let events = server.get(second["events_url"].as_str().unwrap()).text();
    assert!(events.contains("event: cached") && events.contains("event: completed"));

    let fresh = server.post(GENERATE, &Form::small().text("cache", "false"));
    assert_eq!(fresh.json()["origin"], "computed");
    let cache = server.get("/api/v1/cache/stats").json();
    assert_eq!(cache["enabled"], true);
    assert_eq!(cache["hits"], 1);

    let cleared = server.raw(
        b"POST /api/v1/cache/clear HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    );
    assert_eq!(cleared.status, 200, "{}", cleared.text());
    assert_eq!(cleared.json()["entries"], 1);
    assert_eq!(mesh(&second).refusal(), (410, "mesh_gone".into()));
    let again = server.post(GENERATE, &Form::small()).json();
    assert_eq!(again["origin"], "computed");
}

#[test]
fn a_mesh_that_left_memory_is_read_from_disk() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(&folder, 1);
    let first = id_of(&server.post(GENERATE, &Form::small()).json());
    wait_for_entries(&server, 1);
    let other = Form::small().text("thickness", "2").text("cache", "false");
    assert_eq!(server.post(GENERATE, &other).status, 200);
    let mesh = server.get(&format!("/api/v1/jobs/{first}/mesh?format=stl"));
    assert_eq!(mesh.status, 200, "{}", mesh.text());
    let level = server.get(&format!("/api/v1/jobs/{first}/mesh?level=32"));
    assert_eq!(level.refusal(), (410, "mesh_gone".into()));
}

#[test]
fn a_result_that_finished_before_the_end_is_in_the_history() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(&folder, 256_000_000);
    let form = Form::default()
        .file("image", "cup.png", &pictures::disc_png(48))
        .text("resolution", "48");
    let id = server.submit(form);
    server.wait_for(&id, &["completed"]);
    server.stop(Duration::ZERO);
    let store = open_store(folder.path());
    let records = store.history().list().unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].image_name, "cup.png");
    assert!(store.history().mesh(records[0].id).is_ok());
}
