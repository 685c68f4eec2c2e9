//! How long clients of the server wait: for statistics while a large job runs, and for a cached result.

use std::time::{Duration, Instant};

use crate::server_client::{Form, Running, Wish};

/// Prints what 99 of 100 requests took at most.
pub(crate) fn print_latencies() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Wish {
        store: Some(folder.path().to_owned()),
        ..Wish::default()
    }
    .start();
    let form = Form::small();
    server.post("/api/v1/generate", &form);
    while server.get("/api/v1/cache/stats").json()["entries"] != 1 {}
    let hit = || {
        let answer = server.post("/api/v1/generate", &form);
        assert_eq!(answer.json()["origin"], "cached");
    };
    print("a cache hit", time(|| false, hit));
    let statistics = || assert_eq!(server.get("/api/v1/gpu/stats").status, 200);
    print("statistics, idle", time(|| false, statistics));
    let id = large(&server, "1.5");
    print(
        "statistics while a 512³ job runs",
        time(|| ended(&server, &id), statistics),
    );
    let id = large(&server, "1.6");
    print(
        "a cache hit while a 512³ job runs",
        time(|| ended(&server, &id), hit),
    );
}

/// Starts a job that takes a while.
fn large(server: &Running, thickness: &str) -> String {
    let id = server.submit(Form::long().text("thickness", thickness));
    server.wait_for(&id, &["running"]);
    id
}

fn ended(server: &Running, id: &str) -> bool {
    server.get(&format!("/api/v1/jobs/{id}")).json()["status"] == "completed"
}

/// The times of many calls, until `stop` says so or there are enough.
fn time(stop: impl Fn() -> bool, call: impl Fn()) -> Vec<Duration> {
    const MOST: usize = 5000;
    let mut times = Vec::new();
    while times.len() < MOST && (times.is_empty() || !times.len().is_multiple_of(50) || !stop()) {
        let started = Instant::now();
        call();
        times.push(started.elapsed());
    }
    times
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let share = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1000.0;
    println!(
        "{what}: p50 {:.2} ms, p99 {:.2} ms, most {:.2} ms ({} requests)",
        share(50),
        share(99),
        share(100),
        times.len()
    );
}
