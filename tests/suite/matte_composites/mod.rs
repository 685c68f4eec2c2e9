//! The matte's figures on composites: fourteen kinds of subjects before fifteen kinds of backgrounds.

mod backgrounds;
mod canvas;
mod subjects;

use std::fmt::Write as _;

use backgrounds::{BACKGROUNDS, Background, without_subject};
use canvas::{Colour, Picture, mix, seeded};
use orfeas::photo::{LEAST_CONFIDENCE, MatteKind, MatteRequest, Photo, estimated_matte, matte};
use rayon::prelude::*;
use subjects::{Palette, SUBJECTS};

use crate::random::Random;

const SIDE_PX: usize = 224;

struct Composite {
    subject: &'static str,
    background: Background,
    photo: Photo,
    /// The true matte.
    coverage: Vec<f32>,
}

/// Every subject before six of the backgrounds, so that each background has about as many subjects.
fn composites() -> Vec<Composite> {
    (0..SUBJECTS.len() * 6)
        .into_par_iter()
        .map(|i| {
            let background = BACKGROUNDS[(i * 7 + i / BACKGROUNDS.len()) % BACKGROUNDS.len()];
            composite(i % SUBJECTS.len(), background, i as u64)
        })
        .collect()
}

fn composite(subject: usize, background: Background, seed: u64) -> Composite {
    let mut random = seeded(seed);
    let tone = background.tone(&mut random);
    // A subject of the background's own colour cannot be told from it by anyone.
    let main = loop {
        let colour = random.colour(15.0, 240.0);
        let apart: f32 = (0..3).map(|c| (colour[c] - tone[c]).powi(2)).sum();
        if apart > 70.0 * 70.0 {
            break colour;
        }
    };
    let palette = Palette::new(&mut random, main);
    let (name, paint) = SUBJECTS[subject];
    let size = random.uniform(0.26, 0.42);
    let centre = [random.uniform(0.46, 0.54), random.uniform(0.46, 0.54)];
    let mut coverage = vec![0.0; SIDE_PX * SIDE_PX];
    let mut colours = vec![[0.0; 3]; SIDE_PX * SIDE_PX];
    for i in 0..coverage.len() {
        let (sum, hits) = supersample(i, |x, y| {
            paint((x - centre[0]) / size, (y - centre[1]) / size, &palette)
        });
        coverage[i] = hits / 9.0;
        colours[i] = sum.map(|channel| channel / hits.max(1.0));
    }
    let behind = background.paint(tone, &coverage, SIDE_PX, &mut random);
    let pixels = (0..coverage.len())
        .map(|i| mix(behind.pixels[i], colours[i], coverage[i]))
        .collect();
    let picture = Picture {
        side: SIDE_PX,
        pixels,
    };
    let photo = photographed(&picture, &mut random, seed % 3);
    Composite {
        subject: name,
        background,
        photo,
        coverage,
    }
}

/// The sum of the colours hit by 3 × 3 samples of a pixel, and their number.
fn supersample(pixel: usize, paint: impl Fn(f32, f32) -> Option<Colour>) -> (Colour, f32) {
    let (mut sum, mut hits) = ([0.0; 3], 0.0);
    for sample in 0..9 {
        let x = (pixel % SIDE_PX) as f32 + ((sample % 3) as f32 + 0.5) / 3.0;
        let y = (pixel / SIDE_PX) as f32 + ((sample / 3) as f32 + 0.5) / 3.0;
        if let Some(colour) = paint(x / SIDE_PX as f32, y / SIDE_PX as f32) {
            (0..3).for_each(|c| sum[c] += colour[c]);
            hits += 1.0;
        }
    }
    (sum, hits)
}

/// Noise of a sensor, and for two cases of three the losses of a JPEG file.
fn photographed(picture: &Picture, random: &mut Random, compression: u64) -> Photo {
    let noise = random.uniform(0.0, 4.0);
    let bytes: Vec<u8> = picture
        .pixels
        .iter()
        .flat_map(|colour| {
            colour.map(|c| (c + noise * random.normal()).round().clamp(0.0, 255.0) as u8)
        })
        .collect();
    let side = picture.side as u32;
    let mut rgb = image::RgbImage::from_raw(side, side, bytes).expect("as many bytes as pixels");
    if compression > 0 {
        let quality = if compression == 1 { 88 } else { 60 };
        let mut file = Vec::new();
        image::codecs::jpeg::JpegEncoder::new_with_quality(&mut file, quality)
            .encode_image(&rgb)
            .expect("a small image is encoded");
        rgb = image::load_from_memory(&file)
            .expect("our own file is read")
            .into_rgb8();
    }
    Photo {
        width: picture.side,
        height: picture.side,
        pixels: rgb.pixels().map(|p| [p[0], p[1], p[2], 255]).collect(),
    }
}

fn overlap(alpha: &[f32], coverage: &[f32]) -> f64 {
    let (mut both, mut either) = (0, 0);
    for (a, b) in alpha.iter().zip(coverage) {
        both += usize::from(*a > 0.5 && *b > 0.5);
        either += usize::from(*a > 0.5 || *b > 0.5);
    }
    f64::from(both as u32) / f64::from(either.max(1) as u32)
}

/// Intersection over union and confidence of every composite, in order.
struct Outcome {
    subject: &'static str,
    background: Background,
    overlap: f64,
    confidence: f32,
}

fn outcomes() -> Vec<Outcome> {
    composites()
        .par_iter()
        .map(|case| {
            let estimate = estimated_matte(&case.photo, &[], &|| false).expect("an estimate");
            assert_eq!((estimate.width, estimate.height), (SIDE_PX, SIDE_PX));
            Outcome {
                subject: case.subject,
                background: case.background,
                overlap: overlap(&estimate.alpha, &case.coverage),
                confidence: estimate.confidence,
            }
        })
        .collect()
}

fn table(outcomes: &[Outcome]) -> String {
    let mut text = String::from("background       cases  mean IoU  least  accepted\n");
    for background in BACKGROUNDS {
        let rows: Vec<&Outcome> = outcomes
            .iter()
            .filter(|o| o.background == background)
            .collect();
        let mean = rows.iter().map(|o| o.overlap).sum::<f64>() / rows.len() as f64;
        let least = rows.iter().map(|o| o.overlap).fold(1.0, f64::min);
        let accepted = rows
            .iter()
            .filter(|o| o.confidence >= LEAST_CONFIDENCE)
            .count();
        let name = format!("{background:?}");
        writeln!(
            text,
            "{name:16} {:5}  {mean:8.3}  {least:5.3}  {accepted:8}",
            rows.len()
        )
        .expect("a string takes all text");
    }
    for outcome in outcomes
        .iter()
        .filter(|o| o.overlap < 0.9 || o.confidence < LEAST_CONFIDENCE)
    {
        writeln!(
            text,
            "{} before {:?}: IoU {:.3}, confidence {:.2}",
            outcome.subject, outcome.background, outcome.overlap, outcome.confidence
        )
        .expect("a string takes all text");
    }
    text
}

#[test]
fn composites_reach_the_figures() {
    let outcomes = outcomes();
    assert!(outcomes.len() >= 40);
    let table = table(&outcomes);
    println!("{table}");
    let mean = outcomes.iter().map(|o| o.overlap).sum::<f64>() / outcomes.len() as f64;
    assert!(mean >= 0.95, "mean IoU {mean:.3}\n{table}");
    let accepted: Vec<&Outcome> = outcomes
        .iter()
        .filter(|o| o.confidence >= LEAST_CONFIDENCE)
        .collect();
    let wrong = accepted.iter().filter(|o| o.overlap < 0.7).count();
    assert!(
        wrong * 50 <= accepted.len(),
        "{wrong} of {} accepted are wrong\n{table}",
        accepted.len()
    );
    // A confidence that refuses everything would pass the line above.
    assert!(
        accepted.len() * 10 >= outcomes.len() * 9,
        "{} accepted\n{table}",
        accepted.len()
    );
}

#[test]
fn pictures_without_a_subject_are_not_trusted() {
    let trusted: Vec<String> = without_subject(SIDE_PX)
        .par_iter()
        .filter_map(|(name, picture)| {
            let photo = photographed(picture, &mut seeded(5), 0);
            let matte = matte(&photo, &MatteRequest::default(), &|| false).expect("a matte");
            let refused = matte.kind == MatteKind::Full
                && matte.confidence < LEAST_CONFIDENCE
                && matte.alpha.iter().all(|alpha| *alpha == 1.0);
            (!refused).then(|| format!("{name}: {:?} {:.2}", matte.kind, matte.confidence))
        })
        .collect();
    assert!(trusted.is_empty(), "{trusted:#?}");
}
