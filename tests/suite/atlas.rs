//! The front and back colours of a cut-out.

use orfeas::photo::{Atlas, BackColours, Cutout, atlas, quick_atlas};

const SIDE: usize = 200;
const MAGENTA: [f32; 3] = [255.0, 0.0, 255.0];
const GREEN: [f32; 3] = [60.0, 160.0, 50.0];

/// A subject of the given coverage and colour by place (in `-1..1`, y down), its edges blended with the
/// background as anti-aliasing over it leaves them.
fn over(
    background: [f32; 3],
    alpha: impl Fn(f32, f32) -> f32,
    colour: impl Fn(f32, f32) -> [f32; 3],
) -> Cutout {
    let mut cutout = Cutout {
        side: SIDE,
        pixels: Vec::new(),
        alpha: Vec::new(),
        full_frame: false,
    };
    for pixel in 0..SIDE * SIDE {
        let centred = |at: usize| 2.0 * (at as f32 + 0.5) / SIDE as f32 - 1.0;
        let (x, y) = (centred(pixel % SIDE), centred(pixel / SIDE));
        let (coverage, own) = (alpha(x, y).clamp(0.0, 1.0), colour(x, y));
        cutout.alpha.push(coverage);
        cutout.pixels.push(
            [0, 1, 2].map(|k| (background[k] + coverage * (own[k] - background[k])).round() as u8),
        );
    }
    cutout
}

fn disc(x: f32, y: f32) -> f32 {
    (0.8 - x.hypot(y)) * SIDE as f32 / 2.0 + 0.5
}

/// A green face with a white eye.
fn face(x: f32, y: f32) -> [f32; 3] {
    if (x - 0.2).hypot(y + 0.2) < 0.12 {
        [250.0; 3]
    } else {
        GREEN
    }
}

fn made(cutout: &Cutout, back: BackColours) -> Atlas {
    atlas(cutout, back, &|| false).expect("never cancelled")
}

fn front(atlas: &Atlas, column: usize, row: usize) -> [u8; 3] {
    atlas.pixels[row * atlas.width + column]
}

fn back(atlas: &Atlas, column: usize, row: usize) -> [u8; 3] {
    atlas.pixels[row * atlas.width + atlas.width - 1 - column]
}

fn difference(a: [u8; 3], b: [u8; 3]) -> u8 {
    (0..3).map(|k| a[k].abs_diff(b[k])).max().unwrap_or(0)
}

#[test]
fn no_background_is_left_anywhere() {
    let cutout = over(MAGENTA, disc, face);
    for atlas in [made(&cutout, BackColours::Smoothed), quick_atlas(&cutout)] {
        for &[red, green, blue] in &atlas.pixels {
            assert!(
                red.min(blue) <= green.saturating_add(3),
                "{red} {green} {blue}"
            );
        }
    }
}

#[test]
fn a_blurred_outline_is_not_taken_for_the_subject() {
    // A matte half a percent of the side too wide, over a blurred edge.
    let soft = |x: f32, y: f32| 0.5 + (disc(x, y) - 0.5) / 5.0;
    let mut cutout = over([255.0; 3], soft, |_, _| GREEN);
    cutout.alpha = over([0.0; 3], |x, y| disc(x, y) + 1.0, |_, _| GREEN).alpha;
    let atlas = made(&cutout, BackColours::Smoothed);
    let worst = (0..SIDE).map(|column| difference(front(&atlas, column, SIDE / 2), [60, 160, 50]));
    assert!(worst.max() < Some(24));
}

#[test]
fn an_outline_over_empty_black_stays() {
    let outlined = |x: f32, y: f32| {
        if x.hypot(y) > 0.755 {
            [20.0, 16.0, 24.0]
        } else {
            GREEN
        }
    };
    let mut cutout = over([0.0; 3], disc, outlined);
    for (pixel, &alpha) in cutout.pixels.iter_mut().zip(&cutout.alpha) {
        if alpha > 0.0 && alpha < 1.0 {
            *pixel = [20, 16, 24];
        }
    }
    let atlas = made(&cutout, BackColours::Smoothed);
    let rim = (0.785 * SIDE as f32 / 2.0) as usize + SIDE / 2;
    assert!(difference(front(&atlas, rim, SIDE / 2), [20, 16, 24]) < 20);
}

#[test]
fn thin_strokes_keep_their_colour() {
    let strokes = |x: f32, y: f32| {
        if y.abs() < 0.006 && x.abs() < 0.8 {
            1.0
        } else {
            0.0
        }
    };
    let atlas = made(
        &over([255.0; 3], strokes, |_, _| GREEN),
        BackColours::Smoothed,
    );
    assert!(difference(front(&atlas, SIDE / 2, SIDE / 2), [60, 160, 50]) < 4);
}

#[test]
fn the_back_has_no_features_and_meets_the_front_at_the_rim() {
    let atlas = made(&over(MAGENTA, disc, face), BackColours::Smoothed);
    let eye = (SIDE * 6 / 10, SIDE * 4 / 10);
    assert!(front(&atlas, eye.0, eye.1)[0] > 240);
    assert!(back(&atlas, eye.0, eye.1)[0] < 90);
    let shaded = |x: f32, y: f32| [120.0 + 100.0 * x, 120.0 + 100.0 * (9.0 * y).sin(), 40.0];
    let cutout = over(MAGENTA, disc, shaded);
    let atlas = made(&cutout, BackColours::Smoothed);
    for pixel in (0..SIDE * SIDE).filter(|&pixel| cutout.alpha[pixel] < 1.0) {
        let (column, row) = (pixel % SIDE, pixel / SIDE);
        assert!(difference(front(&atlas, column, row), back(&atlas, column, row)) < 12);
    }
}

#[test]
fn a_mirrored_back_has_the_fronts_colours() {
    let atlas = made(&over(MAGENTA, disc, face), BackColours::Mirrored);
    assert_eq!((atlas.width, atlas.height), (2 * SIDE, SIDE));
    for row in 0..SIDE {
        for column in 0..SIDE {
            assert_eq!(front(&atlas, column, row), back(&atlas, column, row));
        }
    }
}

#[test]
fn a_full_frame_is_its_own_front() {
    let mut cutout = over(
        [0.0; 3],
        |_, _| 1.0,
        |x, y| [200.0 * x.abs(), 99.0, 200.0 * y.abs()],
    );
    cutout.full_frame = true;
    let atlas = made(&cutout, BackColours::Smoothed);
    for (row, pixels) in cutout.pixels.chunks(SIDE).enumerate() {
        assert_eq!(&atlas.pixels[row * 2 * SIDE..][..SIDE], pixels);
    }
}

#[test]
fn any_size_and_an_empty_subject_are_served() {
    for side in [1, 2, 3, 7, 129] {
        for alpha in [0.0, 0.3, 1.0] {
            let cutout = Cutout {
                side,
                pixels: vec![[9, 8, 7]; side * side],
                alpha: vec![alpha; side * side],
                full_frame: false,
            };
            let atlas = made(&cutout, BackColours::Smoothed);
            assert_eq!(atlas.pixels.len(), 2 * side * side);
            assert_eq!(quick_atlas(&cutout).height, side);
        }
    }
}

#[test]
fn a_quick_atlas_is_small() {
    let mut cutout = over(MAGENTA, disc, face);
    cutout.side = 600;
    cutout.pixels = vec![[1, 2, 3]; 360_000];
    cutout.alpha = vec![1.0; 360_000];
    let atlas = quick_atlas(&cutout);
    assert_eq!((atlas.width, atlas.height), (512, 256));
    assert!(atlas.pixels.iter().all(|&pixel| pixel == [1, 2, 3]));
}

#[test]
fn cancelling_ends_it() {
    let cutout = over(MAGENTA, disc, face);
    assert_eq!(atlas(&cutout, BackColours::Smoothed, &|| true), None);
}

#[test]
fn colours_do_not_depend_on_threads() {
    let cutout = over(MAGENTA, disc, |x, y| {
        [120.0 + 99.0 * (20.0 * x).sin(), 99.0, 90.0 * y.abs()]
    });
    let [one, three] = crate::with_threads([1, 3], || made(&cutout, BackColours::Smoothed));
    assert_eq!(one, three);
}
