//! The subject of a photo, cut out into a square.

use orfeas::photo::{Cutout, CutoutError, Matte, MatteKind, Photo, Placement, cut_out};
use proptest::prelude::*;

fn photo(width: usize, height: usize, colour: impl Fn(usize, usize) -> [u8; 4]) -> Photo {
    let pixels = (0..width * height).map(|at| colour(at % width, at / width));
    Photo {
        width,
        height,
        pixels: pixels.collect(),
    }
}

fn matte(width: usize, height: usize, alpha: impl Fn(usize, usize) -> f32) -> Matte {
    let alpha = (0..width * height).map(|at| alpha(at % width, at / width));
    Matte {
        width,
        height,
        alpha: alpha.collect(),
        kind: MatteKind::Alpha,
        confidence: 1.0,
    }
}

/// The coverage of a pixel by a disc, from 8 × 8 samples.
fn disc(column: usize, row: usize, centre: (f64, f64), radius: f64) -> f32 {
    let samples = (0..64).filter(|at| {
        let x = column as f64 + (f64::from(at % 8) + 0.5) / 8.0 - centre.0;
        let y = row as f64 + (f64::from(at / 8) + 0.5) / 8.0 - centre.1;
        x * x + y * y <= radius * radius
    });
    samples.count() as f32 / 64.0
}

fn at(cutout: &Cutout, column: usize, row: usize) -> ([u8; 3], f32) {
    let at = row * cutout.side + column;
    (cutout.pixels[at], cutout.alpha[at])
}

#[test]
fn what_need_not_shrink_is_copied_exactly() {
    let photo = photo(120, 90, |x, y| [x as u8, y as u8, (x * y) as u8, 255]);
    let matte = matte(120, 90, |x, y| disc(x, y, (63.0, 41.0), 30.0));
    let cutout = cut_out(&photo, &matte).expect("a subject");
    assert_eq!(cutout.side, (60.0 / Cutout::FILL).round() as usize);
    let placement = Placement::of(&photo, &matte).expect("a subject");
    assert_eq!((placement.side, placement.scale), (cutout.side, 1.0));
    // 33 to 93 and 11 to 71 are centred on 63 and 41; the side is odd.
    assert_eq!((placement.origin_x, placement.origin_y), (27.0, 5.0));
    for row in 0..cutout.side {
        for column in 0..cutout.side {
            let source = (row + 5) * 120 + column + 27;
            let [red, green, blue, _] = photo.pixels[source];
            assert_eq!(
                at(&cutout, column, row),
                ([red, green, blue], matte.alpha[source])
            );
        }
    }
}

#[test]
fn a_subject_at_the_edge_is_padded_with_nothing() {
    let photo = photo(40, 40, |_, _| [9, 9, 9, 255]);
    let matte = matte(40, 40, |x, y| if x < 20 && y < 20 { 1.0 } else { 0.0 });
    let cutout = cut_out(&photo, &matte).expect("a subject");
    assert_eq!(cutout.side, 24);
    for row in 0..24 {
        for column in 0..24 {
            let inside = (2..22).contains(&row) && (2..22).contains(&column);
            let expected = if inside { 1.0 } else { 0.0 };
            assert_eq!(at(&cutout, column, row).1, expected, "{column}, {row}");
        }
    }
}

#[test]
fn a_large_subject_shrinks_to_the_greatest_side_and_keeps_its_size_and_place() {
    let (width, height, centre, radius) = (1600, 1500, (820.3, 760.8), 650.4);
    let photo = photo(width, height, |x, _| [(x / 8) as u8, 100, 50, 255]);
    let matte = matte(width, height, |x, y| {
        let distance = (x as f64 + 0.5 - centre.0).hypot(y as f64 + 0.5 - centre.1);
        (radius - distance + 0.5).clamp(0.0, 1.0) as f32
    });
    let cutout = cut_out(&photo, &matte).expect("a subject");
    let placement = Placement::of(&photo, &matte).expect("a subject");
    assert_eq!(cutout.side, Cutout::MAX_SIDE_PX);
    let scale = placement.scale;
    let area: f64 = cutout
        .alpha
        .iter()
        .map(|alpha| f64::from(*alpha))
        .sum::<f64>()
        * scale
        * scale;
    let expected = std::f64::consts::PI * radius * radius;
    assert!(
        (area / expected - 1.0).abs() < 1e-5,
        "{area} against {expected}"
    );
    // The centre of gravity, mapped back to the photo.
    let mean = |position: &dyn Fn(usize) -> usize| {
        let moments = cutout.alpha.iter().enumerate();
        let moment: f64 = moments
            .map(|(at, alpha)| f64::from(*alpha) * (position(at) as f64 + 0.5))
            .sum();
        moment * scale * scale / area * scale
    };
    let x = placement.origin_x + mean(&|at| at % cutout.side);
    let y = placement.origin_y + mean(&|at| at / cutout.side);
    assert!(
        (x - centre.0).abs() < 0.01 && (y - centre.1).abs() < 0.01,
        "{x}, {y}"
    );
}

#[test]
fn colours_of_transparent_pixels_do_not_bleed() {
    let inside = |x: usize, y: usize| (100..1400).contains(&x) && (100..1400).contains(&y);
    let photo = photo(1500, 1500, |x, y| {
        if inside(x, y) {
            [200, 40, 10, 255]
        } else {
            [0, 255, 255, 0]
        }
    });
    let matte = matte(1500, 1500, |x, y| if inside(x, y) { 1.0 } else { 0.0 });
    let cutout = cut_out(&photo, &matte).expect("a subject");
    let covered = cutout
        .alpha
        .iter()
        .zip(&cutout.pixels)
        .filter(|(alpha, _)| **alpha > 0.0);
    let mut partial = 0;
    for (alpha, pixel) in covered {
        assert_eq!(*pixel, [200, 40, 10]);
        partial += usize::from(*alpha < 1.0);
    }
    assert!(partial > 0, "the edges are anti-aliased");
}

#[test]
fn a_full_frame_is_a_rectangle_with_exact_edges() {
    let photo = photo(64, 48, |x, y| [x as u8, y as u8, 7, 255]);
    let mut full = matte(16, 12, |_, _| 0.0);
    full.kind = MatteKind::Full;
    let cutout = cut_out(&photo, &full).expect("a frame");
    assert!(cutout.full_frame);
    assert_eq!(cutout.side, 76);
    for row in 0..76 {
        for column in 0..76 {
            let inside = (6..70).contains(&column) && (14..62).contains(&row);
            let (pixel, alpha) = at(&cutout, column, row);
            assert_eq!(alpha, if inside { 1.0 } else { 0.0 });
            if inside {
                assert_eq!(pixel, [column as u8 - 6, row as u8 - 14, 7]);
            }
        }
    }
}

#[test]
fn a_smaller_matte_is_interpolated() {
    let photo = photo(200, 160, |_, _| [1, 2, 3, 255]);
    // A vertical edge at column 12 of 20, hence at 120 of 200.
    let mut coarse = matte(20, 16, |x, _| if x < 12 { 1.0 } else { 0.0 });
    coarse.kind = MatteKind::Estimated;
    let cutout = cut_out(&photo, &coarse).expect("a subject");
    let placement = Placement::of(&photo, &coarse).expect("a subject");
    let row = cutout.side / 2;
    let edge = (1..cutout.side)
        .find(|column| at(&cutout, column - 1, row).1 >= 0.5 && at(&cutout, *column, row).1 < 0.5);
    assert_eq!(placement.origin_x + edge.expect("an edge") as f64, 120.0);
}

#[test]
fn hidden_pixels_of_a_photo_with_alpha_are_laid_on_white() {
    let photo = photo(32, 32, |_, _| [200, 0, 0, 51]);
    let mut user = matte(32, 32, |_, _| 1.0);
    user.kind = MatteKind::User;
    let cutout = cut_out(&photo, &user).expect("a subject");
    assert_eq!(at(&cutout, 19, 19).0, [244, 204, 204]);
}

#[test]
fn a_tiny_image_is_cut_out() {
    let photo = photo(16, 16, |_, _| [5, 6, 7, 255]);
    let cutout = cut_out(&photo, &matte(16, 16, |_, _| 1.0)).expect("a subject");
    assert_eq!(cutout.side, 19);
    assert_eq!(
        cutout.alpha.iter().filter(|alpha| **alpha == 1.0).count(),
        256
    );
}

#[test]
fn no_subject_is_a_named_error() {
    let photo = photo(30, 30, |_, _| [0; 4]);
    let error = cut_out(&photo, &matte(30, 30, |_, _| 0.49)).expect_err("nothing");
    assert_eq!(error, CutoutError::Empty);
    assert!(error.to_string().contains("use an image"));
    let few = matte(30, 30, |x, y| if x < 5 && y < 3 { 1.0 } else { 0.0 });
    assert_eq!(
        cut_out(&photo, &few),
        Err(CutoutError::TooSmall { pixels: 15 })
    );
    let undefined = matte(30, 30, |_, _| f32::NAN);
    assert_eq!(cut_out(&photo, &undefined), Err(CutoutError::Empty));
    let mut short = matte(30, 30, |_, _| 1.0);
    short.alpha.pop();
    assert!(matches!(
        cut_out(&photo, &short),
        Err(CutoutError::SizeMismatch {
            what: "matte",
            held: 899,
            ..
        })
    ));
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let photo = photo(1300, 1250, |x, y| [x as u8, y as u8, (x ^ y) as u8, 255]);
    let matte = matte(130, 125, |x, y| disc(x, y, (61.0, 60.0), 58.3));
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("threads");
        pool.install(|| cut_out(&photo, &matte)).expect("a subject")
    };
    assert_eq!(with(1), with(3));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_matte_gives_a_sound_cutout_or_an_error(
        width in 16_usize..80,
        height in 16_usize..80,
        matte_width in 1_usize..80,
        matte_height in 1_usize..80,
        left in -0.2..1.0_f32,
        top in -0.2..1.0_f32,
        size in 0.0..1.2_f32,
        alpha in prop_oneof![Just(1.0_f32), Just(0.5), Just(f32::NAN), Just(-3.0), Just(7.0), 0.0..1.0_f32],
    ) {
        let photo = photo(width, height, |x, y| [x as u8, y as u8, 0, 255]);
        let matte = matte(matte_width, matte_height, |x, y| {
            let inside = |at: usize, length: usize, from: f32| {
                let at = (at as f32 + 0.5) / length as f32;
                at >= from && at < from + size
            };
            if inside(x, matte_width, left) && inside(y, matte_height, top) { alpha } else { 0.0 }
        });
        if let Ok(cutout) = cut_out(&photo, &matte) {
            prop_assert_eq!(cutout.alpha.len(), cutout.side * cutout.side);
            prop_assert_eq!(cutout.pixels.len(), cutout.side * cutout.side);
            prop_assert!(cutout.alpha.iter().all(|alpha| (0.0..=1.0).contains(alpha)));
            // What is inside keeps clear of the border.
            let last = cutout.side - 1;
            for at in 0..cutout.side {
                for (column, row) in [(at, 0), (at, last), (0, at), (last, at)] {
                    prop_assert!(cutout.alpha[row * cutout.side + column] < 0.5);
                }
            }
        }
    }
}
