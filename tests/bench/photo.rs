//! Decoding and cutting out, at the size of a usual picture.

use std::sync::OnceLock;

use divan::Bencher;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use orfeas::photo::{Limits, Matte, MatteKind, Photo, cut_out, decode};

const SIDE: usize = 1024;

/// Smooth shading with a little grain, within a soft disc: what a cut-out looks like to a compressor.
fn picture(side: usize) -> Photo {
    let pixels = (0..side * side).map(|at| {
        let (x, y) = (
            (at % side) as f32 / side as f32 - 0.5,
            (at / side) as f32 / side as f32 - 0.5,
        );
        let grain = (at.wrapping_mul(0x9E37_79B9) >> 13 & 7) as f32;
        let alpha = ((0.42 - x.hypot(y)) * side as f32 + 0.5).clamp(0.0, 1.0);
        let shade = 120.0 + 200.0 * x * y + grain;
        [shade + 60.0 * x, shade, shade - 60.0 * y, 255.0 * alpha].map(|value| value as u8)
    });
    Photo {
        width: side,
        height: side,
        pixels: pixels.collect(),
    }
}

fn matte(photo: &Photo) -> Matte {
    Matte {
        width: photo.width,
        height: photo.height,
        alpha: photo
            .pixels
            .iter()
            .map(|pixel| f32::from(pixel[3]) / 255.0)
            .collect(),
        kind: MatteKind::Alpha,
        confidence: 1.0,
    }
}

fn png(profile: Option<Vec<u8>>) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = PngEncoder::new(&mut file);
    if let Some(profile) = profile {
        encoder
            .set_icc_profile(profile)
            .expect("PNG holds profiles");
    }
    let photo = picture(SIDE);
    encoder
        .write_image(
            photo.pixels.as_flattened(),
            SIDE as u32,
            SIDE as u32,
            ExtendedColorType::Rgba8,
        )
        .expect("a PNG");
    file
}

/// The bare PNG decoder, to compare with.
#[divan::bench]
fn png_by_the_image_crate(bencher: Bencher) {
    let file = png(None);
    bencher.bench(|| image::load_from_memory(&file).expect("a picture"));
}

#[divan::bench]
fn decode_png(bencher: Bencher) {
    let file = png(None);
    bencher.bench(|| decode(&file, &Limits::default()).expect("a picture"));
}

#[divan::bench]
fn decode_png_in_display_p3(bencher: Bencher) {
    let file = png(moxcms::ColorProfile::new_display_p3().encode().ok());
    bencher.bench(|| decode(&file, &Limits::default()).expect("a picture"));
}

#[divan::bench]
fn decode_jpeg(bencher: Bencher) {
    let rgb: Vec<u8> = picture(SIDE)
        .pixels
        .iter()
        .flat_map(|[r, g, b, _]| [*r, *g, *b])
        .collect();
    let mut file = Vec::new();
    JpegEncoder::new_with_quality(&mut file, 90)
        .write_image(&rgb, SIDE as u32, SIDE as u32, ExtendedColorType::Rgb8)
        .expect("a JPEG");
    bencher.bench(|| decode(&file, &Limits::default()).expect("a picture"));
}

#[divan::bench(args = [1024, 2048])]
fn cut_out_of(bencher: Bencher, side: usize) {
    static PHOTOS: OnceLock<[Photo; 2]> = OnceLock::new();
    let photos = PHOTOS.get_or_init(|| [picture(1024), picture(2048)]);
    let photo = &photos[usize::from(side > 1024)];
    let matte = matte(photo);
    bencher.bench(|| cut_out(photo, &matte).expect("a subject"));
}
