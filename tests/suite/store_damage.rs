//! The store's files damaged in every way, and disks that take nothing more: entries are dropped, others
//! are not touched, nothing panics.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail their test")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use orfeas::store::{Damage, Store, StoreError};

use crate::store::{AMPLE, add, bytes_below, files_below, has, key, mesh_of, open, put};

type Harm = (&'static str, fn(&Path));

/// Ways to damage a file.
const HARMS: [Harm; 11] = [
    ("removed", |file| fs::remove_file(file).unwrap()),
    ("emptied", |file| fs::write(file, "").unwrap()),
    ("halved", |file| {
        let half = file.metadata().unwrap().len() / 2;
        resize(file, half);
    }),
    ("short of its last byte", |file| {
        resize(file, file.metadata().unwrap().len() - 1);
    }),
    ("longer by a byte", |file| {
        resize(file, file.metadata().unwrap().len() + 1);
    }),
    ("sparse and huge", |file| resize(file, 1 << 40)),
    ("garbage of the same length", |file| {
        let length = file.metadata().unwrap().len() as usize;
        fs::write(file, vec![0xA5; length]).unwrap();
    }),
    ("one bit flipped", |file| {
        let mut bytes = fs::read(file).unwrap();
        // In the middle of a texture, or of a record's body.
        let at = bytes.len() * 3 / 4;
        bytes[at] ^= 1;
        fs::write(file, bytes).unwrap();
    }),
    ("the first byte changed", |file| {
        let mut bytes = fs::read(file).unwrap();
        bytes[0] ^= 1;
        fs::write(file, bytes).unwrap();
    }),
    ("an empty folder", |file| {
        fs::remove_file(file).unwrap();
        fs::create_dir(file).unwrap();
    }),
    ("a full folder", |file| {
        fs::remove_file(file).unwrap();
        fs::create_dir(file).unwrap();
        fs::write(file.join("a"), "a").unwrap();
    }),
];

#[cfg(unix)]
const HARMS_OF_UNIX: [Harm; 2] = [
    ("a link to an endless device", |file| {
        fs::remove_file(file).unwrap();
        std::os::unix::fs::symlink("/dev/zero", file).unwrap();
    }),
    ("a pipe that nobody writes to", |file| {
        fs::remove_file(file).unwrap();
        let made = std::process::Command::new("mkfifo")
            .arg(file)
            .status()
            .unwrap();
        assert!(made.success());
    }),
];

#[cfg(not(unix))]
const HARMS_OF_UNIX: [Harm; 0] = [];

fn resize(file: &Path, bytes: u64) {
    let file = File::options().write(true).open(file).unwrap();
    file.set_len(bytes).unwrap();
}

/// The entry's file with this extension; the entry whose name is in the path, when there are several.
fn file_of(root: &Path, name: &str, extension: &str) -> PathBuf {
    let matches = |file: &PathBuf| {
        let file_name = file.file_name().unwrap().to_str().unwrap();
        file_name.starts_with(name) && file_name.ends_with(extension)
    };
    files_below(root).into_iter().find(matches).unwrap()
}

/// Harms an entry of the cache and looks at it as a user would. `reopen` opens the store anew first.
fn harm_cache(extension: &str, (name, harm): Harm, reopen: bool) {
    let context = format!("{extension} {name}, reopened: {reopen}");
    let root = tempfile::tempdir().unwrap();
    let mut store = open(root.path(), AMPLE);
    // The harmed one is used last, so that it would be the last to make room.
    put(&store, 2).unwrap();
    put(&store, 1).unwrap();
    harm(&file_of(root.path(), &key(1).to_string(), extension));
    if reopen {
        store = open(root.path(), AMPLE);
    }
    if let Some(entry) = store.cache().get(&key(1)) {
        assert_eq!(extension, ".glb", "{context}");
        assert!(
            matches!(entry.glb(), Err(StoreError::Damaged { .. })),
            "{context}"
        );
        assert!(matches!(entry.mesh(), Err(StoreError::Gone)), "{context}");
    }
    assert!(!has(&store, 1), "{context}");
    assert!(has(&store, 2), "{context}");
    let statistics = store.cache().statistics();
    assert_eq!(statistics.entries, 1, "{context}");
    // A record that is gone is no damage: the entry is not there.
    let gone = (extension, name) == (".json", "removed");
    assert_eq!(statistics.repaired, u64::from(!gone), "{context}");

    let again = put(&store, 1).unwrap();
    assert!(again.mesh().unwrap() == mesh_of(1), "{context}");
    let store = open(root.path(), AMPLE);
    assert_eq!(store.cache().get(&key(1)).unwrap().summary()["number"], 1);
    assert_eq!(files_below(root.path()).len(), 4, "{context}");
    let statistics = store.cache().statistics();
    assert_eq!(statistics.bytes, bytes_below(root.path()), "{context}");
    assert_eq!((statistics.entries, statistics.repaired), (2, 0));
}

#[test]
fn a_damaged_result_is_a_miss_and_is_made_anew() {
    for harm in HARMS.into_iter().chain(HARMS_OF_UNIX) {
        for extension in [".json", ".glb"] {
            for reopen in [false, true] {
                harm_cache(extension, harm, reopen);
            }
        }
    }
}

#[test]
fn a_damaged_record_of_the_history_is_dropped() {
    for (name, harm) in HARMS.into_iter().chain(HARMS_OF_UNIX) {
        for extension in [".json", ".glb", ".image"] {
            let context = format!("{extension} {name}");
            let root = tempfile::tempdir().unwrap();
            let store = open(root.path(), AMPLE);
            let ids = [1, 2].map(|number| add(&store, number).unwrap());
            harm(&file_of(root.path(), &ids[0].to_string(), extension));
            let history = store.history();
            let read = match extension {
                ".json" => history.get(ids[0]).map(drop),
                ".glb" => history.mesh(ids[0]).map(drop),
                _ => history.image(ids[0]).map(drop),
            };
            let dropped = matches!(read, Err(StoreError::Damaged { .. }));
            let gone = matches!(read, Err(StoreError::Gone));
            assert!(
                dropped || (gone && name == "removed"),
                "{context}: {read:?}"
            );
            let listed: Vec<_> = history.list().unwrap().iter().map(|r| r.id).collect();
            assert_eq!(listed, [ids[1]], "{context}");
            assert!(history.mesh(ids[1]).unwrap() == mesh_of(2), "{context}");
            let store = open(root.path(), AMPLE);
            assert_eq!(files_below(root.path()).len(), 3, "{context}");
            assert_eq!(store.history().bytes(), bytes_below(root.path()));
        }
    }
}

#[test]
fn a_record_under_another_name_is_no_hit() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path(), AMPLE);
    put(&store, 1).unwrap();
    let record = file_of(root.path(), "", ".json");
    fs::copy(&record, record.with_file_name(format!("{}.json", key(2)))).unwrap();
    assert!(!has(&store, 2));
    assert_eq!(store.cache().statistics().repaired, 1);
    assert!(has(&store, 1));
}

#[test]
fn a_record_in_the_form_of_another_version_is_dropped() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path(), AMPLE);
    put(&store, 1).unwrap();
    let file = file_of(root.path(), "", ".json");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("orfeas record 1", "orfeas record 2")).unwrap();
    assert!(!has(&store, 1));
    assert_eq!(files_below(root.path()), Vec::<PathBuf>::new());
}

#[test]
fn leftovers_of_a_killed_process_are_cleared_away() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path(), AMPLE);
    put(&store, 1).unwrap();
    let whole = files_below(root.path());
    let glb = file_of(root.path(), "", ".glb");
    let generation = uuid::Uuid::new_v4().simple();
    let leftover =
        |number, kind| glb.with_file_name(format!("{}.{generation}.{kind}", key(number)));
    for file in [
        leftover(1, "glb"),
        leftover(1, "part"),
        leftover(2, "glb"),
        leftover(2, "part"),
    ] {
        fs::write(file, "half").unwrap();
    }
    drop(store);
    let store = open(root.path(), AMPLE);
    assert_eq!(files_below(root.path()), whole);
    assert!(has(&store, 1));
    assert_eq!(store.cache().statistics().repaired, 0);
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("cache");
    fs::write(&file, "a file").unwrap();
    let error = Store::open(&crate::store::folders(root.path()), AMPLE).unwrap_err();
    assert!(
        error.to_string().contains(file.to_str().unwrap()),
        "{error}"
    );
}

#[test]
fn a_folder_that_vanishes_is_made_again() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path(), AMPLE);
    put(&store, 1).unwrap();
    let id = add(&store, 1).unwrap();
    fs::remove_dir_all(root.path().join("cache")).unwrap();
    fs::remove_dir_all(root.path().join("data")).unwrap();
    assert!(!has(&store, 1));
    assert!(matches!(store.history().get(id), Err(StoreError::Gone)));
    put(&store, 2).unwrap();
    add(&store, 2).unwrap();
    assert!(has(&store, 2) && !has(&store, 1));
    assert_eq!(store.cache().statistics().entries, 1);
    assert_eq!(store.history().list().unwrap().len(), 1);
}

/// What a user without rights meets; a superuser meets no such thing.
#[cfg(unix)]
#[test]
fn a_folder_that_can_only_be_read_serves_what_it_has() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path(), AMPLE);
    put(&store, 1).unwrap();
    let id = add(&store, 1).unwrap();
    drop(store);
    let set = |folder_mode, file_mode| {
        for file in files_below(root.path()) {
            let folder = file.parent().unwrap();
            let lock = folder.join("lock");
            for path in [&file, &lock] {
                fs::set_permissions(path, fs::Permissions::from_mode(file_mode)).unwrap();
            }
            fs::set_permissions(folder, fs::Permissions::from_mode(folder_mode)).unwrap();
        }
    };
    set(0o500, 0o400);
    let lock = file_of(root.path(), "", ".glb").with_file_name("lock");
    if File::options().write(true).open(lock).is_ok() {
        eprintln!("skipped: this user may write everywhere");
        return;
    }
    let store = open(root.path(), AMPLE);
    let entry = store.cache().get(&key(1)).unwrap();
    assert!(entry.mesh().unwrap() == mesh_of(1));
    assert!(store.history().mesh(id).unwrap() == mesh_of(1));
    assert_eq!(store.cache().statistics().entries, 1);
    for error in [put(&store, 2).map(drop), add(&store, 2).map(drop)] {
        let error = error.unwrap_err();
        assert!(
            matches!(error, StoreError::PermissionDenied { .. }),
            "{error}"
        );
    }
    assert!(has(&store, 1));
    set(0o700, 0o600);
}

#[test]
fn damage_is_told_in_words() {
    let error = StoreError::Damaged {
        file: "glb",
        damage: Damage::Checksum,
    };
    assert_eq!(
        error.to_string(),
        "the kept glb file is damaged (a file has not the checksum of what was written); generate it again"
    );
}
