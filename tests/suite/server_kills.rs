//! The program killed at random moments of serving and of saving: the next start finds whole files only.
//!
//! `ORFEAS_SERVER_KILLS` sets how many times it is killed.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail their test")]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use orfeas::formats;
use orfeas::mesh::checks;
use orfeas::store::{CACHE_FOLDER_VARIABLE, DATA_FOLDER_VARIABLE, Store};

use crate::pictures;
use crate::random::Random;
use crate::server_client::open_store;

const DEFAULT_KILLS: u64 = 4;
/// Each life is at most so long after the program is ready.
const LONGEST_LIFE_MS: u64 = 600;

fn program(folder: &Path) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("orfeas"));
    command
        .current_dir(folder)
        .env(CACHE_FOLDER_VARIABLE, folder.join("store"))
        .env(DATA_FOLDER_VARIABLE, folder.join("store"))
        .env("XDG_STATE_HOME", folder.join("state"))
        .stderr(Stdio::null());
    command
}

/// A server that is ready, and where it listens.
fn serve(folder: &Path) -> (Child, SocketAddr) {
    let mut server = program(folder)
        .args(["serve", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = line.trim().strip_prefix("http://").map(str::parse);
    let address = address.unwrap_or_else(|| panic!("no start, it said {line:?}"));
    (server, address.unwrap())
}

/// Asks for results until the server is gone; each differs from those before. Counts the answers.
fn ask_until_gone(address: SocketAddr, first: u64, gone: &AtomicBool, answers: &AtomicU64) {
    let image = pictures::disc_png(48);
    for number in first.. {
        if gone.load(Ordering::Relaxed) {
            return;
        }
        let thickness = (0.5 + (number % 997) as f64 / 1000.0).to_string();
        let form = ureq::unversioned::multipart::Form::new()
            .part(
                "image",
                ureq::unversioned::multipart::Part::bytes(&image).file_name("disc.png"),
            )
            .text("resolution", "32")
            .text("thickness", &thickness);
        let answer = ureq::post(format!("http://{address}/api/v1/generate")).send(form);
        if answer.is_ok() {
            answers.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Everything that the store shows can be read, and is a sound solid.
fn check(store: &Store) -> usize {
    let records = store.history().list().unwrap();
    for record in &records {
        let mesh = store.history().mesh(record.id).unwrap();
        assert!(checks::quick(&mesh).unwrap().closed);
        assert!(!store.history().image(record.id).unwrap().is_empty());
    }
    assert_eq!(store.cache().statistics().repaired, 0);
    records.len()
}

#[test]
fn a_program_killed_while_it_serves_and_saves_leaves_whole_files_only() {
    let kills = std::env::var("ORFEAS_SERVER_KILLS")
        .map_or(DEFAULT_KILLS, |kills| kills.parse().expect("a number"));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("disc.png"), pictures::disc_png(64)).unwrap();
    let target = folder.path().join("saved.glb");
    let mut random = Random(7);
    let answers = AtomicU64::new(0);
    let mut most_records = 0;
    for kill in 0..kills {
        let (mut server, address) = serve(folder.path());
        let mut saver = program(folder.path())
            .args([
                "generate",
                "disc.png",
                "-o",
                "saved.glb",
                "--resolution",
                "48",
            ])
            .spawn()
            .unwrap();
        let gone = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for client in 0..3 {
                let (gone, answers) = (&gone, &answers);
                scope.spawn(move || {
                    ask_until_gone(address, kill * 1000 + client * 300, gone, answers)
                });
            }
            std::thread::sleep(Duration::from_millis(random.next() % LONGEST_LIFE_MS));
            // SIGKILL on Unix: no handler, no destructor.
            saver.kill().unwrap();
            server.kill().unwrap();
            gone.store(true, Ordering::Relaxed);
            saver.wait().unwrap();
            server.wait().unwrap();
        });
        most_records = most_records.max(check(&open_store(&folder.path().join("store"))));
        if target.exists() {
            let saved = formats::load(&target).unwrap().mesh;
            assert!(checks::quick(&saved).unwrap().closed);
        }
    }
    println!(
        "{kills} kills, {} answers, up to {most_records} records",
        answers.load(Ordering::Relaxed)
    );
    assert!(answers.load(Ordering::Relaxed) > 0 && most_records > 0);
}
