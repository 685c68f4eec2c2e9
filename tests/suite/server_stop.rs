//! Ends: of a server, of the program, and of a client that goes away. No finished result is lost.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::pictures;
use crate::server_client::{Form, PATIENCE, Wish, id_of};

const GENERATE: &str = "/api/v1/generate";

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
        let deadline = Instant::now() + PATIENCE;
        while newest()["status"] != "running" && newest()["status"] != "queued" {
            assert!(Instant::now() < deadline);
        }
        drop(stream);
        let id = id_of(&newest());
        let job = server.wait_for(&id, &["completed", "failed", "cancelled"]);
        assert_eq!(job["status"], status, "cancel_on_disconnect={cancels}");
    }
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
        let waiting = scope.spawn(|| server.progress(&form));
        while server.get("/api/v1/jobs").json()["total"] != 1 {}
        server.begin_stop(Duration::ZERO);
        let lines = waiting.join().unwrap();
        assert_eq!(lines.last().unwrap()["status"], "cancelled");
    });
    server.stop(Duration::ZERO);
    assert_eq!(engine.queue_depth(), 0);
}

#[cfg(unix)]
#[test]
fn the_program_serves_until_it_is_interrupted() {
    use std::io::{BufRead, BufReader, Read};
    use std::process::{Command, Stdio};

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
