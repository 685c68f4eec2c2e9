//! Keeping a shape that is refined, over HTTP.

use std::time::Instant;

use orfeas::engine::Library;
use orfeas::engine::catalogue::TRIPOSG;

use crate::pictures;
use crate::server_client::{Form, PATIENCE, Running, Wish};
use crate::triposg_folder::folder;

fn with_triposg(place: &tempfile::TempDir) -> Running {
    let library = Library {
        list: Some(place.path().join("models.json")),
        ..Library::default()
    };
    library.choose(&TRIPOSG, &folder(place.path())).unwrap();
    let wish = Wish {
        library,
        ..Wish::default()
    };
    wish.start()
}

fn form(steps: &str) -> Form {
    Form::default()
        .file("image", "disc.png", &pictures::disc_png(96))
        .text("resolution", "32")
        .text("source", "triposg")
        .text("steps", steps)
        .text("preview_share", "0")
}

fn keep(id: &str) -> String {
    format!("/api/v1/jobs/{id}/keep")
}

#[test]
fn what_is_predicted_is_kept_and_finished() {
    let place = tempfile::tempdir().unwrap();
    let server = with_triposg(&place);
    let id = server.submit(form("1000"));
    // Before its first step there is nothing to keep; it says so, and asking again is right.
    let asked = Instant::now();
    let kept = loop {
        let answer = server.act(&keep(&id));
        if answer.status == 202 {
            break answer.json();
        }
        assert_eq!(answer.refusal(), (409, "not_refining".to_owned()));
        assert!(asked.elapsed() < PATIENCE, "nothing is refined");
    };
    assert_eq!(kept["id"], id.as_str());
    assert_eq!(kept["status"], "running");
    let job = server.wait_for(&id, &["completed", "failed"]);
    assert_eq!(job["status"], "completed", "{job}");
    assert_eq!(job["result"]["resolution"], 32);
    assert_eq!(job["result"]["closed"], true);
    let warnings = job["result"]["warnings"].to_string();
    assert!(warnings.contains("of 1000 steps"), "{warnings}");
    assert_eq!(job["source_reason"], serde_json::Value::Null);
    // It has ended, which never changes.
    assert_eq!(
        server.act(&keep(&id)).refusal(),
        (409, "job_ended".to_owned())
    );
}

#[test]
fn what_refines_nothing_is_not_kept() {
    let place = tempfile::tempdir().unwrap();
    let server = with_triposg(&place);
    let quick = server.submit(Form::long().text("source", "inflate"));
    server.wait_for(&quick, &["running"]);
    let refused = server.act(&keep(&quick));
    assert_eq!(refused.refusal(), (409, "not_refining".to_owned()));
    assert!(refused.text().contains("triposg"), "{}", refused.text());
    // Behind it one waits, which has taken no step.
    let waiting = server.submit(form("1000"));
    let refused = server.act(&keep(&waiting));
    assert_eq!(refused.refusal(), (409, "not_refining".to_owned()));
    for id in [&quick, &waiting] {
        assert_eq!(server.delete(&format!("/api/v1/jobs/{id}")).status, 200);
    }
    // Who gave a job up has no say any more.
    assert_eq!(
        server.act(&keep(&waiting)).refusal(),
        (409, "job_ended".to_owned())
    );
    let nobody = "00000000-0000-4000-8000-000000000000";
    assert_eq!(server.act(&keep(nobody)).status, 404);
    assert_eq!(server.act(&keep("x")).status, 400);
    assert_eq!(server.get(&keep(nobody)).status, 405);
}

#[test]
fn what_the_source_was_chosen_for_is_told() {
    let place = tempfile::tempdir().unwrap();
    let server = with_triposg(&place);
    let form = Form::small().text("steps", "1").text("source", "auto");
    let job = server.post("/api/v1/generate", &form).json();
    assert_eq!(job["result"]["source"], "triposg", "{job}");
    assert_eq!(job["settings"]["source"], "triposg");
    let reason = job["source_reason"].as_str().unwrap();
    assert!(reason.contains("TripoSG was chosen"), "{reason}");
}
