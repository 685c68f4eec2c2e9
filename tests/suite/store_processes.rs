//! One store under several threads and processes, some of which are killed at random moments.
//!
//! A child is this test binary run again for the test named in [`child`]. `ORFEAS_STORE_KILLS` sets how
//! many children are killed.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail their test")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use orfeas::mesh::Mesh;
use orfeas::store::{
    CACHE_FOLDER_VARIABLE, DATA_FOLDER_VARIABLE, Folders, HistoryRecord, Limits, NewRecord, Store,
    StoreError,
};
use serde_json::json;

use crate::random::Random;
use crate::store::{AMPLE, add, bytes_below, files_below, folders, has, key, mesh_of, open, put};

const DEFAULT_KILLS: u64 = 15;
/// The keys that children put under.
const KEYS: u64 = 6;
/// A few entries, so that they make room all the time.
const TIGHT: Limits = Limits {
    cache_bytes: 50_000,
    history_bytes: 50_000,
};

const FOLDER: &str = "ORFEAS_STORE_CHILD_FOLDER";
const SEED: &str = "ORFEAS_STORE_CHILD_SEED";

/// This binary, set to run one of the tests below as a child.
fn child(test: &str, root: &Path, seed: u64) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", &format!("store_processes::{test}")])
        .args(["--nocapture", "--test-threads=1"])
        .env(FOLDER, root)
        .env(SEED, seed.to_string());
    command
}

/// The store and the seed of a child; none when this is no child.
fn as_child(limits: Limits) -> Option<(Store, u64)> {
    let root = std::env::var_os(FOLDER)?;
    let seed = std::env::var(SEED).unwrap().parse().unwrap();
    Some((open(Path::new(&root), limits), seed))
}

#[test]
fn threads_with_stores_of_their_own_share_the_folders() {
    let root = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let root = root.path();
            scope.spawn(move || {
                let store = open(root, AMPLE);
                for number in 0..6 {
                    put(&store, number).unwrap();
                    add(&store, thread * 10 + number).unwrap();
                    if let Some(entry) = store.cache().get(&key(number)) {
                        whole_or_gone(entry.mesh(), number);
                    }
                }
            });
        }
    });
    let store = open(root.path(), AMPLE);
    assert!((0..6).all(|number| has(&store, number)));
    let listed = store.history().list().unwrap();
    let numbers: BTreeSet<_> = listed.iter().map(number_of).collect();
    assert_eq!((listed.len(), numbers.len()), (24, 24));
    check_files(&store, root.path());
}

#[test]
fn puts_and_adds_as_child() {
    let Some((store, seed)) = as_child(AMPLE) else {
        return;
    };
    for number in 0..20 {
        put(&store, (number + seed) % KEYS).unwrap();
        add(&store, seed * 100 + number).unwrap();
    }
}

#[test]
fn processes_share_the_folders() {
    let root = tempfile::tempdir().unwrap();
    let mut children: Vec<_> = (0..2)
        .map(|seed| {
            let mut command = child("puts_and_adds_as_child", root.path(), seed);
            command.stdout(Stdio::null()).spawn().unwrap()
        })
        .collect();
    let store = open(root.path(), AMPLE);
    let mut running = true;
    while running {
        running = children
            .iter_mut()
            .any(|child| child.try_wait().unwrap().is_none());
        look_at(&store);
    }
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert!((0..KEYS).all(|number| has(&store, number)));
    let listed = store.history().list().unwrap();
    let numbers: BTreeSet<_> = listed.iter().map(number_of).collect();
    assert_eq!((listed.len(), numbers.len()), (40, 40));
    assert!(listed.windows(2).all(|pair| pair[0].id > pair[1].id));
    check_files(&store, root.path());
}

fn number_of(record: &HistoryRecord) -> u64 {
    record.summary["number"].as_u64().unwrap()
}

fn whole_or_gone(mesh: Result<Mesh, StoreError>, number: u64) {
    match mesh {
        Ok(mesh) => assert!(mesh == mesh_of(number), "{number} is another mesh"),
        Err(StoreError::Gone) => {}
        Err(error) => panic!("{number}: {error}"),
    }
}

/// Reads everything while others may change it: it is whole, or not there.
fn look_at(store: &Store) {
    for place in 0..KEYS {
        if let Some(entry) = store.cache().get(&key(place)) {
            whole_or_gone(entry.mesh(), entry.summary()["number"].as_u64().unwrap());
        }
    }
    for record in store.history().list().unwrap() {
        let number = number_of(&record);
        whole_or_gone(store.history().mesh(record.id), number);
        match store.history().image(record.id) {
            Ok(image) => assert_eq!(image, format!("image {number}").as_bytes()),
            Err(StoreError::Gone) => {}
            Err(error) => panic!("{number}: {error}"),
        }
    }
}

/// Nobody else is at work: nothing was damaged, nothing lies about, every byte is accounted for.
fn check_files(store: &Store, root: &Path) {
    let folders = folders(root);
    let statistics = store.cache().statistics();
    assert_eq!(statistics.repaired, 0);
    assert_eq!(statistics.bytes, bytes_below(&folders.cache));
    assert_eq!(store.history().bytes(), bytes_below(&folders.data));
    let files = files_below(&folders.cache);
    assert_eq!(files.len() as u64, statistics.entries * 2, "{files:#?}");
    let files = files_below(&folders.data);
    let records = store.history().list().unwrap().len();
    assert_eq!(files.len(), records * 3, "{files:#?}");
}

/// Puts, adds, removes and opens anew until it is killed.
#[test]
fn changes_everything_as_child() {
    let Some((mut store, seed)) = as_child(TIGHT) else {
        return;
    };
    let mut random = Random(seed);
    let root = std::env::var_os(FOLDER).unwrap();
    println!("\nstarted");
    loop {
        let number = random.next() % 1000;
        match random.next() % 16 {
            0 => store = open(Path::new(&root), TIGHT),
            1 => {
                if let Some(record) = store.history().list().unwrap().last() {
                    store.history().remove(record.id).unwrap();
                }
            }
            2 if number.is_multiple_of(8) => {
                store.cache().clear().unwrap();
            }
            3..=7 => {
                add(&store, number).unwrap();
            }
            _ => {
                let summary = json!({ "number": number });
                let key = key(number % KEYS);
                store.cache().put(&key, &summary, &mesh_of(number)).unwrap();
            }
        }
    }
}

/// A child that changes everything, once it has begun.
fn start(root: &Path, seed: u64) -> Child {
    let mut child = child("changes_everything_as_child", root, seed)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let started = lines.any(|line| line.unwrap() == "started");
    if !started {
        panic!("{}", failure_of(child));
    }
    child
}

/// What a child said that ended by itself.
fn failure_of(mut child: Child) -> String {
    let mut said = String::new();
    let mut stderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    format!("the child ended ({}): {said}", child.wait().unwrap())
}

fn kill(mut child: Child) {
    if child.try_wait().unwrap().is_some() {
        panic!("{}", failure_of(child));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn nothing_is_half_there_after_kills_at_random_moments() {
    let kills = std::env::var("ORFEAS_STORE_KILLS").map_or(DEFAULT_KILLS, |text| {
        text.parse().expect("ORFEAS_STORE_KILLS is a number")
    });
    let root = tempfile::tempdir().unwrap();
    let mut random = Random(kills);
    let (mut killed, mut swept, mut seen) = (0, 0, 0);
    while killed < kills {
        // Every third time there are two, of which one goes on for a while.
        let survivor = (killed % 3 == 2).then(|| start(root.path(), random.next()));
        let victim = start(root.path(), random.next());
        // There is nothing to wait for: the moment is to be a random one.
        std::thread::sleep(Duration::from_micros(random.next() % 40_000));
        kill(victim);
        killed += 1;
        if let Some(survivor) = survivor {
            look_at(&open(root.path(), TIGHT));
            kill(survivor);
            killed += 1;
        }
        let before = files_below(root.path()).len();
        let store = open(root.path(), TIGHT);
        swept += before - files_below(root.path()).len();
        look_at(&store);
        check_files(&store, root.path());
        let statistics = store.cache().statistics();
        assert!(statistics.bytes <= TIGHT.cache_bytes, "{statistics:?}");
        seen += statistics.entries + store.history().list().unwrap().len() as u64;
    }
    assert!(seen > 0);
    eprintln!("{killed} kills: {swept} leftover files swept, {seen} whole entries seen");
}

#[test]
fn finds_its_folders_as_child() {
    let Some(root) = std::env::var_os(FOLDER) else {
        return;
    };
    let found = Folders::of_platform().unwrap();
    assert_eq!(found.cache, Path::new(&root).join("set"));
    if cfg!(target_os = "linux") {
        assert_eq!(found.data, Path::new(&root).join("data/orfeas"));
    }
}

/// An empty variable is as good as none.
#[test]
fn the_environment_overrides_the_platforms_folders() {
    let root = tempfile::tempdir().unwrap();
    let output = child("finds_its_folders_as_child", root.path(), 0)
        .env(CACHE_FOLDER_VARIABLE, root.path().join("set"))
        .env(DATA_FOLDER_VARIABLE, "")
        .env("XDG_DATA_HOME", root.path().join("data"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

/// Under a limit on the size of files, which fails a write as a full disk does.
#[test]
fn meets_a_full_disk_as_child() {
    let Some((store, _)) = as_child(AMPLE) else {
        return;
    };
    let small = put(&store, 1).unwrap();
    let id = add(&store, 1).unwrap();
    let mut large = mesh_of(2);
    large.texture = mesh_with_large_texture().texture;
    let failures = [
        store.cache().put(&key(1), &json!(2), &large).map(drop),
        store
            .history()
            .add(&NewRecord {
                image: b"image",
                image_name: "a.png",
                matte_image: None,
                settings: &json!(null),
                summary: &json!(null),
                mesh: &large,
            })
            .map(drop),
    ];
    for failure in failures {
        let error = failure.unwrap_err();
        assert!(matches!(error, StoreError::DiskFull { .. }), "{error}");
    }
    assert!(small.mesh().unwrap() == mesh_of(1));
    assert_eq!(store.cache().get(&key(1)).unwrap().summary()["number"], 1);
    assert!(store.history().mesh(id).unwrap() == mesh_of(1));
    put(&store, 3).unwrap();
}

/// Some 300 kB as GLB, for no two pixels are related.
fn mesh_with_large_texture() -> Mesh {
    let mut mesh = mesh_of(0);
    let mut random = Random(0);
    let pixels = (0..400 * 250).map(|_| {
        let [red, green, blue, ..] = random.next().to_le_bytes();
        [red, green, blue]
    });
    mesh.texture = Some(std::sync::Arc::new(orfeas::mesh::Texture {
        width: 400,
        height: 250,
        pixels: pixels.collect(),
    }));
    mesh
}

#[cfg(unix)]
#[test]
fn a_full_disk_loses_nothing_that_is_kept() {
    let root = tempfile::tempdir().unwrap();
    let inner = child("meets_a_full_disk_as_child", root.path(), 0);
    // 100 kB; without the trap, the signal would end the child before the write failed.
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 200 && exec \"$0\" \"$@\""])
        .arg(inner.get_program())
        .args(inner.get_args())
        .envs(
            inner
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let store = open(root.path(), AMPLE);
    check_files(&store, root.path());
    assert_eq!(store.cache().statistics().entries, 2);
    assert_eq!(store.history().list().unwrap().len(), 1);
}
