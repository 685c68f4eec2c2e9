//! Many clients at once: every request is answered, no job is lost or doubled, memory stays flat.
//!
//! `ORFEAS_LOAD_SECONDS=60` runs it as long as its figure says.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::pictures;
use crate::server_client::{Answer, Form, Running, Wish, id_of};

const CLIENTS: usize = 64;

/// The program's memory now, in bytes, where the system tells.
fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

/// Pictures of a few kinds, so that some requests are identical and most are not.
fn form(image: &[u8], number: usize) -> Form {
    Form::default()
        .file("image", "disc.png", image)
        .text("resolution", "32")
        .text("thickness", &format!("1.{:04}", number % 5000))
        .text(
            "wait",
            if number.is_multiple_of(2) {
                "true"
            } else {
                "false"
            },
        )
}

/// What one client saw: how often each status, and the jobs that were accepted.
type Seen = (BTreeMap<u16, usize>, Vec<String>);

fn client(server: &Running, image: &[u8], first: usize, stop: &AtomicBool) -> Seen {
    let mut statuses = BTreeMap::new();
    let mut ids = Vec::new();
    let mut number = first;
    while !stop.load(Ordering::Relaxed) {
        // Every eighth request is one that others send too.
        let kind = if number.is_multiple_of(8) { 0 } else { number };
        let answer = server.post("/api/v1/generate", &form(image, kind));
        *statuses.entry(answer.status).or_default() += 1;
        match answer.status {
            200 | 202 => ids.push(id_of(&answer.json())),
            503 => assert_eq!(answer.refusal().1, "queue_full"),
            _ => panic!("{}: {}", answer.status, answer.text()),
        }
        number += CLIENTS + 1;
    }
    (statuses, ids)
}

fn listed(server: &Running) -> Vec<(String, String)> {
    let mut jobs = Vec::new();
    let mut next = Some("/api/v1/jobs?limit=1000".to_owned());
    while let Some(path) = next {
        let page: serde_json::Value = Answer::json(&server.get(&path));
        for job in page["jobs"].as_array().unwrap() {
            jobs.push((id_of(job), job["status"].as_str().unwrap().to_owned()));
        }
        next = page["next_url"].as_str().map(str::to_owned);
    }
    jobs
}

#[test]
fn many_clients_at_once_lose_and_double_nothing() {
    let seconds = std::env::var("ORFEAS_LOAD_SECONDS")
        .ok()
        .and_then(|seconds| seconds.parse().ok())
        .unwrap_or(3);
    let server = Wish {
        queue_limit: Some(32),
        ..Wish::default()
    }
    .start();
    let image = pictures::disc_png(40);
    let stop = AtomicBool::new(false);
    let mut memory = Vec::new();
    let seen: Vec<Seen> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|at| {
                let (server, image, stop) = (&server, image.as_slice(), &stop);
                scope.spawn(move || client(server, image, at, stop))
            })
            .collect();
        let end = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < end {
            std::thread::sleep(Duration::from_secs(seconds) / 10);
            memory.extend(resident_bytes());
        }
        stop.store(true, Ordering::Relaxed);
        clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .collect()
    });
    let mut statuses = BTreeMap::new();
    for (of_client, _) in &seen {
        for (status, count) in of_client {
            *statuses.entry(*status).or_insert(0) += count;
        }
    }
    let accepted: Vec<_> = seen.into_iter().flat_map(|(_, ids)| ids).collect();
    let distinct: HashSet<_> = accepted.iter().collect();
    assert_eq!(distinct.len(), accepted.len(), "an id was given twice");
    assert!(!accepted.is_empty());

    let deadline = Instant::now() + Duration::from_secs(120);
    while !server
        .get("/metrics")
        .text()
        .contains("orfeas_jobs_live 0\n")
    {
        assert!(Instant::now() < deadline, "some jobs never ended");
        std::thread::sleep(Duration::from_millis(20));
    }
    let jobs = listed(&server);
    eprintln!("{statuses:?}, {} jobs, memory {memory:?}", jobs.len());
    assert_eq!(jobs.len(), accepted.len().min(10_000));
    for (id, status) in &jobs {
        assert!(distinct.contains(id), "{id} was never answered");
        assert_eq!(status, "completed", "{id}");
    }
    // The first tenths warm the program up. What is kept after them is bounded: meshes by their limit of
    // bytes, records by their number.
    if let [_, _, warm, .., last] = memory[..] {
        let grown = last.saturating_sub(warm);
        assert!(
            grown < 400_000_000,
            "memory grew by {grown} bytes: {memory:?}"
        );
    }
}
