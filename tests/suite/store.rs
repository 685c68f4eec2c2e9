//! The store: what is kept comes back to the bit, within its limits, also after it was opened again.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail their test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use orfeas::mesh::{Mesh, Texture};
use orfeas::store::{
    Entry, Folders, Freed, Key, KeyParts, Limits, NewRecord, RecordId, Store, StoreError,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::formats::textured_box;

pub(crate) const AMPLE: Limits = Limits {
    cache_bytes: 1 << 30,
    history_bytes: 1 << 30,
};

pub(crate) fn folders(root: &Path) -> Folders {
    Folders {
        cache: root.join("cache"),
        data: root.join("data"),
    }
}

pub(crate) fn open(root: &Path, limits: Limits) -> Store {
    Store::open(&folders(root), limits).unwrap()
}

/// A key for each number.
pub(crate) fn key(number: u64) -> Key {
    Key::new(&KeyParts {
        settings: &json!(number),
        ..parts(&Value::Null)
    })
}

fn parts(settings: &Value) -> KeyParts<'_> {
    KeyParts {
        image: b"image",
        settings,
        matte_image: None,
        weights_digest: None,
        precision: "fp32",
        device_class: "cpu",
        version: "1.0.0",
    }
}

/// A textured mesh for each number, some 10 kB as GLB.
pub(crate) fn mesh_of(number: u64) -> Mesh {
    let mut mesh = textured_box();
    let mut state = number;
    let pixels = (0..64 * 48)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(99);
            let [red, green, blue, ..] = (state >> 24).to_le_bytes();
            [red, green, blue]
        })
        .collect();
    mesh.texture = Some(Arc::new(Texture {
        width: 64,
        height: 48,
        pixels,
    }));
    mesh
}

pub(crate) fn put(store: &Store, number: u64) -> Result<Entry, StoreError> {
    let summary = json!({ "number": number });
    store.cache().put(&key(number), &summary, &mesh_of(number))
}

pub(crate) fn has(store: &Store, number: u64) -> bool {
    store.cache().get(&key(number)).is_some()
}

pub(crate) fn add(store: &Store, number: u64) -> Result<RecordId, StoreError> {
    store.history().add(&NewRecord {
        image: format!("image {number}").as_bytes(),
        image_name: "a.png",
        matte_image: None,
        settings: &json!({ "resolution": 64 }),
        summary: &json!({ "number": number }),
        mesh: &mesh_of(number),
    })
}

/// The files below a folder, without the locks.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            files.extend(files_below(&entry.path()));
        } else if entry.file_name() != "lock" {
            files.push(entry.path());
        }
    }
    files.sort();
    files
}

pub(crate) fn bytes_below(folder: &Path) -> u64 {
    let files = files_below(folder);
    files
        .iter()
        .map(|file| file.metadata().unwrap().len())
        .sum()
}

fn assert_same_to_the_bit(read: &Mesh, kept: &Mesh) {
    fn bits<const N: usize>(vectors: &[[f32; N]]) -> Vec<[u32; N]> {
        vectors.iter().map(|v| v.map(f32::to_bits)).collect()
    }
    assert!(bits(&read.positions) == bits(&kept.positions), "positions");
    assert!(bits(&read.normals) == bits(&kept.normals), "normals");
    assert!(bits(&read.uvs) == bits(&kept.uvs), "texture coordinates");
    assert!(read.triangles == kept.triangles, "triangles");
    assert!(read.colours == kept.colours, "colours");
    assert!(read.texture == kept.texture, "texture");
}

#[test]
fn a_result_comes_back_as_it_was_kept() {
    let root = tempfile::tempdir().unwrap();
    let summary = json!({ "faces": 12, "seconds": 0.1 + 0.2, "text": "è\n\u{0}", "none": null });
    let kept = open(root.path(), AMPLE)
        .cache()
        .put(&key(1), &summary, &mesh_of(1))
        .unwrap();
    let store = open(root.path(), AMPLE);
    let entry = store.cache().get(&key(1)).unwrap();
    for entry in [&kept, &entry] {
        assert_eq!(entry.summary(), &summary);
        assert_same_to_the_bit(&entry.mesh().unwrap(), &mesh_of(1));
        let glb = entry.glb().unwrap();
        assert!(glb.starts_with(b"glTF"));
        assert_eq!(entry.glb_bytes(), glb.len() as u64);
    }
    let statistics = store.cache().statistics();
    assert_eq!((statistics.entries, statistics.hits), (1, 1));
    assert_eq!(statistics.bytes, bytes_below(root.path()));
    assert!(!has(&store, 2));
    assert_eq!(store.cache().statistics().misses, 1);
}

#[test]
fn every_vertex_colour_comes_back() {
    let root = tempfile::tempdir().unwrap();
    let mut mesh = Mesh::default();
    for level in 0..=255_u8 {
        mesh.colours
            .push([level, 255 - level, level / 2, 255 - level]);
        mesh.positions
            .push([f32::from(level) / 255.0 - 0.5, 0.25, 0.0]);
    }
    mesh.triangles = (0..254).map(|i| [i, i + 1, i + 2]).collect();
    let store = open(root.path(), AMPLE);
    let entry = store.cache().put(&key(1), &Value::Null, &mesh).unwrap();
    assert_same_to_the_bit(&entry.mesh().unwrap(), &mesh);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Also where the longest side is not 1, as after simplifying a finished mesh.
    #[test]
    fn any_mesh_and_any_number_come_back_to_the_bit(
        corners in prop::collection::vec(prop::array::uniform3(-0.5_f32..0.5), 4..200),
        side in 0.01_f32..100.0,
        directions in prop::collection::vec(prop::array::uniform3(0.1_f32..1.0), 200),
        number in any::<f64>().prop_filter("JSON has no others", |number| number.is_finite()),
    ) {
        let vertices = corners.len() as u32;
        let mesh = Mesh {
            positions: corners.iter().map(|corner| corner.map(|c| c * side + 0.0)).collect(),
            normals: directions[..corners.len()]
                .iter()
                .map(|direction| {
                    let length = direction.iter().map(|c| c * c).sum::<f32>().sqrt();
                    direction.map(|c| c / length)
                })
                .collect(),
            uvs: directions[..corners.len()].iter().map(|[u, v, _]| [*u, *v]).collect(),
            triangles: (2..vertices).map(|last| [0, last - 1, last]).collect(),
            texture: mesh_of(3).texture,
            ..Mesh::default()
        };
        let root = tempfile::tempdir().unwrap();
        let store = open(root.path(), AMPLE);
        store.cache().put(&key(1), &json!(number), &mesh).unwrap();
        let entry = store.cache().get(&key(1)).unwrap();
        assert_same_to_the_bit(&entry.mesh().unwrap(), &mesh);
        prop_assert_eq!(entry.summary().as_f64().map(f64::to_bits), Some(number.to_bits()));
    }
}

#[test]
fn every_part_of_a_key_counts() {
    let settings = json!({ "a": 1, "b": [1, 2], "c": { "d": null } });
    let same = json!({ "c": { "d": null }, "b": [1, 2], "a": 1 });
    let base = parts(&settings);
    assert_eq!(Key::new(&base), Key::new(&parts(&same)));

    let mut keys = BTreeSet::from([Key::new(&base)]);
    let mut differs = |parts: KeyParts<'_>| {
        assert!(keys.insert(Key::new(&parts)), "{parts:?}");
    };
    #[rustfmt::skip]
    let changed: [KeyParts<'_>; 11] = [
        KeyParts { image: b"imag", ..base },
        KeyParts { image: b"imagf", ..base },
        KeyParts { matte_image: Some(b""), ..base },
        KeyParts { matte_image: Some(b"matte"), ..base },
        KeyParts { weights_digest: Some(""), ..base },
        KeyParts { weights_digest: Some("matte"), ..base },
        KeyParts { precision: "fp16", ..base },
        KeyParts { device_class: "sm_90", ..base },
        // What moves from one part into the next is another key.
        KeyParts { precision: "fp3", device_class: "2cpu", ..base },
        KeyParts { device_class: "cpu1", version: ".0.0", ..base },
        KeyParts { version: "1.0.1", ..base },
    ];
    changed.into_iter().for_each(&mut differs);
    for settings in [
        json!(null),
        json!(false),
        json!(true),
        json!(0),
        json!("0"),
        json!(""),
        json!([]),
        json!({}),
        json!([[]]),
        json!([[], []]),
        json!([[[]]]),
        json!({ "a": 1, "b": [1, 2], "c": { "d": 0 } }),
        json!({ "a": 1, "b": [2, 1], "c": { "d": null } }),
        json!({ "a": 1, "b": [1], "c": { "d": null, "e": 2 } }),
        json!({ "ab": "c" }),
        json!({ "a": "bc" }),
        json!(["a", "bc"]),
        json!(["ab", "c"]),
    ] {
        differs(parts(&settings));
    }
    for key in keys {
        assert_eq!(key.to_string().len(), 64);
        assert_eq!(key.to_string().parse::<Key>().unwrap(), key);
    }
}

/// The bytes of one entry, which is the same for all numbers of two digits.
fn entry_bytes() -> u64 {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path(), AMPLE);
    put(&store, 11).unwrap();
    store.cache().statistics().bytes
}

#[test]
fn what_was_not_used_for_longest_makes_room() {
    let root = tempfile::tempdir().unwrap();
    let limits = Limits {
        cache_bytes: entry_bytes() * 7 / 2,
        ..AMPLE
    };
    let store = open(root.path(), limits);
    for number in [11, 12, 13] {
        put(&store, number).unwrap();
    }
    assert!(has(&store, 11));
    put(&store, 14).unwrap();
    assert!(!has(&store, 12));
    // Now the order is 13, 11, 14, and it must be so after a restart.
    drop(store);
    let store = open(root.path(), limits);
    put(&store, 15).unwrap();
    assert!(!has(&store, 13));
    put(&store, 16).unwrap();
    assert!(!has(&store, 11));
    // 14 is next, unless another process uses it.
    let other = open(root.path(), limits);
    assert!(has(&other, 14));
    put(&store, 17).unwrap();
    assert!(has(&store, 14) && !has(&store, 15));
    // And 16, unless another process removes what is there.
    other.cache().clear().unwrap();
    put(&other, 18).unwrap();
    put(&store, 19).unwrap();
    assert!(has(&store, 18) && has(&store, 19) && !has(&store, 16));
    for statistics in [store.cache().statistics(), other.cache().statistics()] {
        assert_eq!((statistics.entries, statistics.repaired), (2, 0));
        assert_eq!(statistics.bytes, bytes_below(&root.path().join("cache")));
    }
    assert_eq!(store.cache().statistics().evictions, 3);
}

#[test]
fn a_lower_limit_holds_from_the_start() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path(), AMPLE);
    for number in 11..16 {
        put(&store, number).unwrap();
        add(&store, number).unwrap();
    }
    let limits = Limits {
        cache_bytes: entry_bytes() * 5 / 2,
        history_bytes: entry_bytes() * 5 / 2,
    };
    let store = open(root.path(), limits);
    let there: Vec<_> = (11..16).map(|number| has(&store, number)).collect();
    assert_eq!(there, [false, false, false, true, true]);
    let numbers: Vec<_> = store.history().list().unwrap();
    let numbers: Vec<_> = numbers
        .iter()
        .map(|r| r.summary["number"].clone())
        .collect();
    assert_eq!(numbers, [15, 14]);
}

#[test]
fn a_result_larger_than_the_cache_is_not_kept_but_a_record_is() {
    let root = tempfile::tempdir().unwrap();
    let limits = Limits {
        cache_bytes: 5000,
        history_bytes: 5000,
    };
    let store = open(root.path(), limits);
    let error = put(&store, 1).unwrap_err();
    assert!(
        matches!(error, StoreError::TooLarge { bytes, limit_bytes: 5000 } if bytes > 5000),
        "{error}"
    );
    assert_eq!(files_below(root.path()), Vec::<PathBuf>::new());
    let first = add(&store, 1).unwrap();
    let second = add(&store, 2).unwrap();
    let store = open(root.path(), limits);
    assert!(matches!(store.history().get(first), Err(StoreError::Gone)));
    assert_eq!(store.history().get(second).unwrap().id, second);
}

#[test]
fn the_same_key_is_replaced() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path(), AMPLE);
    let old = put(&store, 1).unwrap();
    let new = store
        .cache()
        .put(&key(1), &json!("new"), &mesh_of(2))
        .unwrap();
    assert!(matches!(old.glb(), Err(StoreError::Gone)));
    assert!(new.mesh().unwrap() == mesh_of(2));
    assert_eq!(store.cache().get(&key(1)).unwrap().summary(), "new");
    assert_eq!(files_below(root.path()).len(), 2);
    let statistics = store.cache().statistics();
    assert_eq!((statistics.entries, statistics.repaired), (1, 0));
    assert_eq!(statistics.bytes, bytes_below(root.path()));
}

#[test]
fn the_history_lists_the_newest_first() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path(), AMPLE);
    let ids: Vec<_> = (0..5).map(|number| add(&store, number).unwrap()).collect();
    let with_matte = store
        .history()
        .add(&NewRecord {
            image: b"image",
            image_name: "../../etc/passwd",
            matte_image: Some(b"matte"),
            settings: &json!([1]),
            summary: &json!({ "number": 5 }),
            mesh: &mesh_of(5),
        })
        .unwrap();
    let store = open(root.path(), AMPLE);
    let history = store.history();
    let listed = history.list().unwrap();
    let numbers: Vec<_> = listed.iter().map(|r| r.summary["number"].clone()).collect();
    assert_eq!(numbers, [5, 4, 3, 2, 1, 0]);
    assert!(
        listed
            .windows(2)
            .all(|pair| pair[0].created > pair[1].created)
    );
    assert_eq!(listed[0].image_name, "../../etc/passwd");
    assert_eq!(listed[0].settings, json!([1]));
    assert_eq!(history.image(with_matte).unwrap(), b"image");
    assert_eq!(
        history.matte_image(with_matte).unwrap().as_deref(),
        Some(&b"matte"[..])
    );
    assert_eq!(history.matte_image(ids[0]).unwrap(), None);
    assert_same_to_the_bit(&history.mesh(ids[3]).unwrap(), &mesh_of(3));
    assert_eq!(history.bytes(), bytes_below(root.path()));

    assert!(history.remove(ids[2]).unwrap());
    assert!(!history.remove(ids[2]).unwrap());
    assert!(matches!(history.image(ids[2]), Err(StoreError::Gone)));
    assert_eq!(history.list().unwrap().len(), 5);
    let bytes = bytes_below(root.path());
    assert_eq!(history.clear().unwrap(), Freed { entries: 5, bytes });
    assert_eq!(history.list().unwrap(), []);
    assert_eq!((history.bytes(), bytes_below(root.path())), (0, 0));
}

#[test]
fn ids_from_outside_are_uuids_or_nothing() {
    for text in ["", "..", "../x", "0", "con", "\0", "/etc/passwd", "a.json"] {
        assert!(text.parse::<RecordId>().is_err(), "{text}");
        assert!(text.parse::<Key>().is_err(), "{text}");
    }
    let foreign: RecordId = "{67E55044-10B1-426F-9247-BB680E5FE0C8}".parse().unwrap();
    assert_eq!(foreign.to_string(), "67e55044-10b1-426f-9247-bb680e5fe0c8");
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path(), AMPLE);
    assert!(matches!(
        store.history().glb(foreign),
        Err(StoreError::Gone)
    ));
    assert!(!store.history().remove(foreign).unwrap());
}

#[test]
fn what_is_not_the_stores_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path(), AMPLE);
    put(&store, 1).unwrap();
    let record = files_below(root.path()).pop().unwrap();
    let folder = record.parent().unwrap();
    let foreign = ["notes.json", "a.b.glb", "A.png"].map(|name| folder.join(name));
    for file in &foreign {
        fs::write(file, "mine").unwrap();
    }
    let store = open(root.path(), AMPLE);
    assert_eq!(store.cache().statistics().entries, 1);
    assert_eq!(store.cache().clear().unwrap().entries, 1);
    assert!(foreign.iter().all(|file| file.exists()));
}

/// `ORFEAS_STORE_ENTRIES` sets how many there are, 1000 for the figure that is promised.
#[test]
fn a_hit_is_quick_among_many() {
    let entries = std::env::var("ORFEAS_STORE_ENTRIES").map_or(30, |text| {
        text.parse().expect("ORFEAS_STORE_ENTRIES is a number")
    });
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path(), AMPLE);
    for number in 0..entries {
        put(&store, number).unwrap();
    }
    let started = Instant::now();
    let store_again = open(root.path(), AMPLE);
    let opened = started.elapsed();
    let mut times: Vec<_> = (0..entries.max(1000))
        .map(|number| {
            let started = Instant::now();
            let entry = store_again.cache().get(&key(number * 7 % entries)).unwrap();
            assert!(entry.summary().is_object());
            started.elapsed()
        })
        .collect();
    times.sort();
    let [median, p99] = [50, 99].map(|percent| times[times.len() * percent / 100]);
    eprintln!("{entries} entries: opened in {opened:?}; a hit takes {median:?}, p99 {p99:?}");
}
