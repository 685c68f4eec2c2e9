//! What the user draws over a matte, and what is kept of it: in settings, in files, in the history.

use std::sync::Arc;
use std::time::{Duration, Instant};

use orfeas::engine::{Config, Engine, ImageReference, Request, Settings};
use orfeas::photo::{self, Limits, MatteRequest, MatteWish, Photo, Stroke};
use orfeas::store::{Folders, Limits as StoreLimits, Store, StoreError};
use serde_json::json;

use crate::pictures;
use crate::store::{add, open};

fn grey(side: usize) -> Photo {
    Photo {
        width: side,
        height: side,
        pixels: vec![[128, 128, 128, 255]; side * side],
    }
}

/// The matte of a plain picture, all of it subject, with strokes over it.
fn painted(side: usize, strokes: Vec<Stroke>) -> Vec<f32> {
    let request = MatteRequest {
        wish: MatteWish::Full,
        strokes,
    };
    photo::matte(&grey(side), &request, &|| false)
        .unwrap()
        .alpha
}

#[test]
fn a_rectangle_covers_what_is_between_its_corners() {
    // From any corner to the opposite one.
    for (from, to) in [
        ([10.0, 4.0], [30.0, 20.0]),
        ([30.0, 20.0], [10.0, 4.0]),
        ([30.0, 4.0], [10.0, 20.0]),
    ] {
        let alpha = painted(40, vec![Stroke::rectangle(false, from, to)]);
        for y in 0..40 {
            for x in 0..40 {
                let inside = (10..30).contains(&x) && (4..20).contains(&y);
                let expected = if inside { 0.0 } else { 1.0 };
                assert_eq!(alpha[y * 40 + x], expected, "{from:?} {to:?} at {x}, {y}");
            }
        }
    }
}

#[test]
fn a_later_stroke_overrules_an_earlier_one_whatever_their_forms() {
    let dot = Stroke {
        keep: true,
        radius_px: 4.0,
        points: vec![[20.0, 20.0]],
        filled: false,
    };
    let all = Stroke::rectangle(false, [-100.0, -100.0], [30.0, 200.0]);
    let alpha = painted(40, vec![all.clone(), dot.clone()]);
    assert_eq!(alpha[20 * 40 + 20], 1.0);
    assert_eq!(alpha[20 * 40 + 10], 0.0);
    assert_eq!(alpha[20 * 40 + 35], 1.0);
    let alpha = painted(40, vec![dot, all]);
    assert_eq!(alpha[20 * 40 + 20], 0.0);
}

#[test]
fn a_filled_way_leaves_out_what_it_goes_around_twice_and_nothing_of_one_line() {
    let mut ring = Stroke::rectangle(false, [5.0, 5.0], [35.0, 35.0]);
    ring.points.push([5.0, 5.0]);
    ring.points
        .extend(Stroke::rectangle(false, [15.0, 15.0], [25.0, 25.0]).points);
    ring.points.push([15.0, 15.0]);
    let alpha = painted(40, vec![ring]);
    assert_eq!(alpha[10 * 40 + 20], 0.0);
    assert_eq!(alpha[20 * 40 + 20], 1.0);
    // Points that are not finite are left out; two that stay are a line.
    let line = Stroke {
        points: vec![[5.0, 20.0], [f32::NAN, 1.0], [35.0, 20.0]],
        radius_px: 2.0,
        ..Stroke::rectangle(false, [0.0; 2], [0.0; 2])
    };
    let alpha = painted(40, vec![line]);
    assert_eq!(alpha[20 * 40 + 20], 0.0);
    assert_eq!(alpha[30 * 40 + 20], 1.0);
}

#[test]
fn settings_hold_strokes_and_give_them_back() {
    let strokes = vec![
        Stroke::rectangle(true, [1.5, 2.25], [10.0, 12.0]),
        Stroke {
            keep: false,
            radius_px: 7.125,
            points: vec![[0.1, 0.2], [3.0, 4.0]],
            filled: false,
        },
    ];
    let mut settings = Settings::default();
    settings.matte.strokes.clone_from(&strokes);
    let text = settings.to_json().to_string();
    let json = serde_json::from_str(&text).unwrap();
    assert_eq!(Settings::strokes_from_json(&json), strokes);
}

#[test]
fn strokes_that_nobody_drew_are_left_out() {
    for settings in [
        json!(null),
        json!({}),
        json!({ "strokes": 7 }),
        json!({ "strokes": [{ "keep": true }] }),
        json!({ "strokes": [{ "keep": true, "radius_px": 1.0, "points": [[1.0]] }] }),
        json!({ "strokes": vec![json!({ "keep": true, "radius_px": 1.0, "points": [] }); 5000] }),
    ] {
        assert!(Settings::strokes_from_json(&settings).is_empty());
    }
}

#[test]
fn a_reference_to_an_image_survives_settings() {
    let reference = ImageReference::of("猫.png", b"bytes");
    let mut settings = Settings::default().to_json();
    assert_eq!(ImageReference::from_json(&settings), None);
    reference.add_to(&mut settings);
    assert_eq!(ImageReference::from_json(&settings), Some(reference));
}

#[test]
fn a_record_that_was_taken_out_comes_back_as_it_was() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path(), StoreLimits::default());
    let ids: Vec<_> = (0..3).map(|number| add(&store, number).unwrap()).collect();
    let history = store.history();
    let before = history.list().unwrap();
    let (image, glb) = (history.image(ids[1]).unwrap(), history.glb(ids[1]).unwrap());
    let taken = history.take_out(ids[1]).unwrap();
    assert!(matches!(history.get(ids[1]), Err(StoreError::Gone)));
    assert!(matches!(history.take_out(ids[1]), Err(StoreError::Gone)));
    // Another process sees it gone, too, and sees it come back.
    let other = open(root.path(), StoreLimits::default());
    assert_eq!(other.history().list().unwrap().len(), 2);
    history.put_back(&taken).unwrap();
    assert_eq!(other.history().list().unwrap(), before);
    assert_eq!(history.list().unwrap(), before);
    assert_eq!(history.image(ids[1]).unwrap(), image);
    assert_eq!(history.glb(ids[1]).unwrap(), glb);
}

#[test]
fn the_newest_record_of_an_image_is_found() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path(), StoreLimits::default());
    let ids: Vec<_> = [0, 1, 0]
        .iter()
        .map(|number| add(&store, *number).unwrap())
        .collect();
    let find = |bytes: &[u8]| store.history().find_image(&blake3::hash(bytes)).unwrap();
    assert_eq!(find(b"image 0"), Some(ids[2]));
    assert_eq!(find(b"image 1"), Some(ids[1]));
    assert_eq!(find(b"image 2"), None);
}

#[test]
fn the_history_keeps_the_matte_of_the_users_own() {
    let root = tempfile::tempdir().unwrap();
    let folders = Folders {
        cache: root.path().join("cache"),
        data: root.path().join("data"),
    };
    let store = Store::open(&folders, StoreLimits::default()).unwrap();
    let engine = Engine::start(Config {
        store: Some(store.clone()),
        ..Config::default()
    })
    .unwrap();
    let image = pictures::rgba_png(64, 64, |x, _| [x as u8 * 3, 90, 60, 255]);
    let mask = pictures::rgba_png(32, 32, |x, y| {
        let inside = x.abs_diff(16).pow(2) + y.abs_diff(16).pow(2) < 100;
        let grey = if inside { 255 } else { 0 };
        [grey, grey, grey, 255]
    });
    let matte = Arc::new(photo::decode(&mask, &Limits::default()).unwrap());
    let mut settings = Settings {
        resolution: 32,
        ..Settings::default()
    };
    settings.matte.wish = MatteWish::User(Arc::clone(&matte));
    engine
        .submit(Request {
            image: image.into(),
            name: "ramp.png".into(),
            settings,
            keep_every_level: false,
            cache: false,
            history: true,
        })
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    let record = loop {
        if let Some(record) = store.history().list().unwrap().pop() {
            break record;
        }
        assert!(Instant::now() < deadline, "nothing was kept");
        std::thread::yield_now();
    };
    let kept = store.history().matte_image(record.id).unwrap().unwrap();
    assert_eq!(photo::decode(&kept, &Limits::default()).unwrap(), *matte);
    assert_eq!(record.settings["matte"], "user");
}
