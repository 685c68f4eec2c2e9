//! Image files into upright sRGB pixels: every format, colour kind and profile, and every bad input.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use image::codecs::{
    bmp::BmpEncoder, gif::GifEncoder, jpeg::JpegEncoder, png::PngEncoder, tiff::TiffEncoder,
    webp::WebPEncoder,
};
use image::{ExtendedColorType, ImageEncoder};
use moxcms::ColorProfile;
use orfeas::photo::decode::{Format, Warning};
use orfeas::photo::{DecodeError, Limits, Photo, decode, decode_with_warnings};
use proptest::prelude::*;

const WIDTH: usize = 24;
const HEIGHT: usize = 18;

/// A stored file of `tests/data/photo`.
macro_rules! stored {
    ($name:literal) => {
        include_bytes!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/data/photo/",
            $name
        ))
        .as_slice()
    };
}

fn open(bytes: &[u8]) -> Photo {
    decode(bytes, &Limits::default()).expect("a valid image")
}

fn open_warned(bytes: &[u8]) -> (Photo, Vec<Warning>) {
    decode_with_warnings(bytes, &Limits::default()).expect("a valid image")
}

fn refusal(bytes: &[u8]) -> DecodeError {
    decode(bytes, &Limits::default()).expect_err("an invalid image")
}

fn pixel(photo: &Photo, column: usize, row: usize) -> [u8; 4] {
    photo.pixels[row * photo.width + column]
}

#[track_caller]
fn assert_near(actual: [u8; 4], expected: [u8; 4], tolerance: u8) {
    let near = actual
        .iter()
        .zip(expected)
        .all(|(a, b)| a.abs_diff(b) <= tolerance);
    assert!(near, "{actual:?} is not within {tolerance} of {expected:?}");
}

/// A picture in which every pixel differs, with every alpha from clear to opaque.
fn rgba() -> Vec<[u8; 4]> {
    let pixels = (0..WIDTH * HEIGHT).map(|at| {
        let (column, row) = (at % WIDTH, at / WIDTH);
        [
            column * 10,
            row * 14,
            200 - at % 200,
            at * 255 / (WIDTH * HEIGHT - 1),
        ]
        .map(|value| value as u8)
    });
    pixels.collect()
}

fn encode(encoder: impl ImageEncoder, pixels: &[u8], colour: ExtendedColorType) {
    encoder
        .write_image(pixels, WIDTH as u32, HEIGHT as u32, colour)
        .expect("an encoded image");
}

fn png(pixels: &[u8], colour: ExtendedColorType) -> Vec<u8> {
    let mut file = Vec::new();
    encode(PngEncoder::new(&mut file), pixels, colour);
    file
}

fn png_with_profile(pixels: &[u8], colour: ExtendedColorType, profile: Vec<u8>) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = PngEncoder::new(&mut file);
    encoder
        .set_icc_profile(profile)
        .expect("PNG holds profiles");
    encode(encoder, pixels, colour);
    file
}

pub(crate) fn rgba_png() -> Vec<u8> {
    png(rgba().as_flattened(), ExtendedColorType::Rgba8)
}

fn rgb() -> Vec<u8> {
    rgba()
        .iter()
        .flat_map(|[red, green, blue, _]| [*red, *green, *blue])
        .collect()
}

pub(crate) fn jpeg() -> Vec<u8> {
    let mut file = Vec::new();
    encode(
        JpegEncoder::new_with_quality(&mut file, 95),
        &rgb(),
        ExtendedColorType::Rgb8,
    );
    file
}

/// One small valid file of every kind, for mutation.
pub(crate) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let pixels = rgba();
    let pixels = pixels.as_flattened();
    let colour = ExtendedColorType::Rgba8;
    let write = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut file = Vec::new();
        write(&mut file);
        file
    };
    let p3 = ColorProfile::new_display_p3().encode().expect("a profile");
    let wide: Vec<u8> = pixels
        .iter()
        .flat_map(|sample| [*sample, *sample])
        .collect();
    let levels: Vec<u8> = rgba().iter().map(|[red, ..]| *red).collect();
    vec![
        ("png", rgba_png()),
        ("png with profile", png_with_profile(pixels, colour, p3)),
        ("png of 16 bits", png(&wide, ExtendedColorType::Rgba16)),
        ("palette png", palette_png()),
        ("interlaced png", stored!("interlaced.png").to_vec()),
        ("jpeg", jpeg()),
        ("progressive jpeg", stored!("progressive.jpg").to_vec()),
        ("grey jpeg", stored!("grey.jpg").to_vec()),
        (
            "cmyk jpeg with profile",
            stored!("cmyk_profile.jpg").to_vec(),
        ),
        ("ycck jpeg", stored!("ycck_adobe.jpg").to_vec()),
        (
            "webp",
            write(&|file| encode(WebPEncoder::new_lossless(file), pixels, colour)),
        ),
        ("lossy webp", stored!("lossy.webp").to_vec()),
        (
            "lossy webp with alpha",
            stored!("lossy_alpha.webp").to_vec(),
        ),
        ("animated webp", stored!("animated.webp").to_vec()),
        (
            "bmp",
            write(&|file| encode(BmpEncoder::new(file), pixels, colour)),
        ),
        (
            "grey bmp",
            write(&|file| encode(BmpEncoder::new(file), &levels, ExtendedColorType::L8)),
        ),
        ("gif", write(&|file| animation(file, 2))),
        (
            "tiff",
            write(&|file| encode(TiffEncoder::new(std::io::Cursor::new(file)), pixels, colour)),
        ),
        ("palette tiff", stored!("palette.tif").to_vec()),
        ("fax tiff", stored!("bilevel.tif").to_vec()),
        ("cmyk tiff", stored!("cmyk.tif").to_vec()),
        ("jpeg tiff", stored!("jpeg.tif").to_vec()),
        ("tiled tiff", stored!("tiled.tif").to_vec()),
        ("svg", DRAWING.as_bytes().to_vec()),
        ("svgz", gzip(DRAWING.as_bytes())),
    ]
}

fn animation(file: &mut Vec<u8>, frames: usize) {
    let mut encoder = GifEncoder::new(file);
    for frame in 0..frames {
        let colour = image::Rgba([255 - 100 * frame as u8, 0, 0, 255]);
        let picture = image::RgbaImage::from_pixel(WIDTH as u32, HEIGHT as u32, colour);
        encoder
            .encode_frame(image::Frame::new(picture))
            .expect("a frame");
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("compressed bytes");
    encoder.finish().expect("compressed bytes")
}

fn palette_png() -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 32, 16);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Two);
    encoder.set_palette(vec![255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 8, 7]);
    encoder.set_trns(vec![255, 128, 0]);
    let mut writer = encoder.write_header().expect("a header");
    // Indices 0, 1, 2, 3 over and over.
    writer
        .write_image_data(&[0b0001_1011; 32 / 4 * 16])
        .expect("pixels");
    writer.finish().expect("a file");
    file
}

/// Uses what a drawing program writes: a view box alone, gradients, uses, clips, masks, filters, patterns.
pub(crate) const DRAWING: &str = r##"<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 200 100">
<style>.a{fill:#00f;opacity:.5}</style>
<defs><linearGradient id="g"><stop offset="0" stop-color="red"/><stop offset="1" stop-color="#0f0" stop-opacity=".5"/></linearGradient>
<clipPath id="c"><circle cx="50" cy="50" r="40"/></clipPath><mask id="m"><rect width="90" height="90" fill="#888"/></mask>
<pattern id="p" width="10" height="10" patternUnits="userSpaceOnUse"><rect width="5" height="5"/></pattern>
<filter id="f"><feGaussianBlur stdDeviation="2"/><feOffset dx="2"/></filter><g id="s"><path d="M10 10h20v20z"/></g></defs>
<rect x="100" width="100" height="100" fill="#ff0000"/><rect width="60" height="60" fill="url(#g)" clip-path="url(#c)"/>
<use href="#s" x="5" class="a"/><rect x="10" y="60" width="30" height="30" fill="url(#p)" mask="url(#m)" stroke="#123" stroke-dasharray="3 1"/>
<ellipse cx="60" cy="80" rx="9" ry="5" filter="url(#f)" transform="rotate(20)"/></svg>"##;

#[test]
fn lossless_formats_keep_every_pixel() {
    let expected = rgba();
    for (name, file) in seeds() {
        if matches!(name, "png" | "webp" | "tiff" | "bmp") {
            let photo = open(&file);
            assert_eq!((photo.width, photo.height), (WIDTH, HEIGHT), "{name}");
            assert_eq!(photo.pixels, expected, "{name}");
            assert!(!photo.is_opaque(), "{name}");
        }
    }
}

#[test]
fn every_seed_decodes() {
    for (name, file) in seeds() {
        let decoded = decode(&file, &Limits::default());
        assert!(decoded.is_ok(), "{name}: {:?}", decoded.err());
    }
}

#[test]
fn a_jpeg_comes_close_to_its_picture() {
    // Widths that are no multiple of a block, nor of what is converted at a time.
    for width in [16_usize, 17, 24, 31, 33, 40, 47] {
        let pixels: Vec<[u8; 3]> = (0..width * 20)
            .map(|at| [at % width * 5, at / width * 12, 100].map(|value| value as u8))
            .collect();
        let mut file = Vec::new();
        JpegEncoder::new_with_quality(&mut file, 98)
            .write_image(
                pixels.as_flattened(),
                width as u32,
                20,
                ExtendedColorType::Rgb8,
            )
            .expect("an encoded image");
        let photo = open(&file);
        for ([red, green, blue], actual) in pixels.iter().zip(&photo.pixels) {
            assert_near(*actual, [*red, *green, *blue, 255], 8);
        }
    }
    for file in [stored!("progressive.jpg"), stored!("lossy.webp")] {
        let photo = open(file);
        for (column, row) in [(3, 3), (16, 12), (30, 20)] {
            let expected = [column as u8 * 8, row as u8 * 10, 128, 255];
            assert_near(pixel(&photo, column, row), expected, 12);
        }
    }
}

#[test]
fn an_opaque_alpha_channel_is_no_alpha() {
    let pixels: Vec<u8> = rgb()
        .chunks(3)
        .flat_map(|colour| [colour[0], colour[1], colour[2], 255])
        .collect();
    assert!(open(&png(&pixels, ExtendedColorType::Rgba8)).is_opaque());
    assert!(open(&png(&rgb(), ExtendedColorType::Rgb8)).is_opaque());
}

#[test]
fn greys_become_three_equal_colours() {
    let levels: Vec<u8> = (0..WIDTH * HEIGHT).map(|at| (at % 256) as u8).collect();
    let photo = open(&png(&levels, ExtendedColorType::L8));
    assert_eq!(pixel(&photo, 9, 1), [33, 33, 33, 255]);

    let with_alpha: Vec<u8> = levels
        .iter()
        .flat_map(|level| [*level, 255 - *level])
        .collect();
    let photo = open(&png(&with_alpha, ExtendedColorType::La8));
    assert_eq!(pixel(&photo, 9, 1), [33, 33, 33, 222]);
}

#[test]
fn sixteen_bits_round_to_the_nearest_eight() {
    let samples: Vec<u16> = (0..WIDTH * HEIGHT).map(|at| (at * 151) as u16).collect();
    let bytes: Vec<u8> = samples
        .iter()
        .flat_map(|sample| sample.to_ne_bytes())
        .collect();
    let photo = open(&png(&bytes, ExtendedColorType::L16));
    for (sample, [grey, ..]) in samples.iter().zip(&photo.pixels) {
        let nearest = (f64::from(*sample) / 257.0).round() as u8;
        assert_eq!(*grey, nearest, "{sample}");
    }
    assert_eq!(
        open(&png(&[0x7f; WIDTH * HEIGHT * 8], ExtendedColorType::Rgba16)).pixels[0],
        [127; 4]
    );
}

#[test]
fn a_palette_with_transparency_is_expanded() {
    let photo = open(&palette_png());
    let expected = [
        [255, 0, 0, 255],
        [0, 255, 0, 128],
        [0, 0, 255, 0],
        [9, 8, 7, 255],
    ];
    for (column, expected) in expected.into_iter().enumerate() {
        assert_eq!(pixel(&photo, column, 3), expected);
    }
}

#[test]
fn tiff_of_every_kind() {
    let palette = open(stored!("palette.tif"));
    assert_eq!(pixel(&palette, 0, 0), [24, 20, 128, 255]);
    assert_eq!(pixel(&palette, 31, 23), [216, 200, 128, 255]);

    let bilevel = open(stored!("bilevel.tif"));
    assert_eq!((bilevel.width, bilevel.height), (33, 24));
    for row in 0..24 {
        for column in 0..33 {
            let level = if (row + column) / 5 % 2 == 1 { 255 } else { 0 };
            assert_eq!(pixel(&bilevel, column, row), [level, level, level, 255]);
        }
    }

    let float = open(stored!("float.tif"));
    assert_eq!(pixel(&float, 0, 0)[0], 0);
    assert_eq!(pixel(&float, 31, 23)[0], 255);
    assert_near(pixel(&float, 0, 12), [128, 128, 128, 255], 1);

    let (pages, warnings) = open_warned(stored!("pages.tif"));
    assert_eq!(pixel(&pages, 3, 3), [40, 40, 40, 255]);
    assert_eq!(warnings, [Warning::FirstPageOnly]);

    let tiled = open(stored!("tiled.tif"));
    assert_eq!(pixel(&tiled, 31, 20), [31 * 8, 200, 128, 255]);
    let planar = open(stored!("planar.tif"));
    assert_eq!(planar.pixels, tiled.pixels);
}

#[test]
fn colours_multiplied_by_alpha_are_divided_again() {
    // Red at half alpha, once multiplied (extra sample 1), once straight (2): the same picture.
    let multiplied = open(stored!("associated.tif"));
    assert_near(pixel(&multiplied, 5, 5), [255, 100, 0, 128], 1);
    assert_eq!(pixel(&multiplied, 15, 15), [0, 0, 0, 0]);
}

#[test]
fn display_p3_becomes_srgb() {
    let profile = ColorProfile::new_display_p3().encode().expect("a profile");
    let colours = [
        [200, 100, 50],
        [60, 130, 90],
        [128, 128, 128],
        [90, 60, 200],
    ];
    let pixels: Vec<u8> = (0..WIDTH * HEIGHT).flat_map(|at| colours[at % 4]).collect();
    let file = png_with_profile(&pixels, ExtendedColorType::Rgb8, profile.clone());
    let (photo, warnings) = open_warned(&file);
    assert_eq!(warnings, []);
    for (at, colour) in colours.into_iter().enumerate() {
        assert_near(photo.pixels[at], srgb_from_p3(colour), 1);
    }

    let deep: Vec<u8> = pixels
        .iter()
        .flat_map(|sample| (u16::from(*sample) * 257).to_ne_bytes())
        .collect();
    let photo = open(&png_with_profile(&deep, ExtendedColorType::Rgb16, profile));
    for (at, colour) in colours.into_iter().enumerate() {
        assert_near(photo.pixels[at], srgb_from_p3(colour), 1);
    }
}

/// CSS Color 4, section 10.9, with the matrices multiplied.
fn srgb_from_p3(colour: [u8; 3]) -> [u8; 4] {
    let linear = colour.map(|value| {
        let value = f64::from(value) / 255.0;
        if value <= 0.04045 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    });
    let rows = [
        [1.224_940_2, -0.224_940_2, 0.0],
        [-0.042_056_9, 1.042_056_9, 0.0],
        [-0.019_637_6, -0.078_636_1, 1.098_273_6],
    ];
    let encoded = rows.map(|row| {
        let value: f64 = row
            .iter()
            .zip(linear)
            .map(|(weight, value)| weight * value)
            .sum();
        let value = if value <= 0.003_130_8 {
            12.92 * value
        } else {
            1.055 * value.powf(1.0 / 2.4) - 0.055
        };
        (255.0 * value).round() as u8
    });
    [encoded[0], encoded[1], encoded[2], 255]
}

#[test]
fn an_embedded_srgb_profile_changes_nothing() {
    let profile = ColorProfile::new_srgb().encode().expect("a profile");
    let file = png_with_profile(rgba().as_flattened(), ExtendedColorType::Rgba8, profile);
    assert_eq!(open(&file).pixels, rgba());
}

#[test]
fn a_grey_profile_is_applied() {
    let linear = ColorProfile::new_gray_with_gamma(1.0)
        .encode()
        .expect("a profile");
    let levels = vec![128; WIDTH * HEIGHT];
    let photo = open(&png_with_profile(&levels, ExtendedColorType::L8, linear));
    assert_near(photo.pixels[0], [188, 188, 188, 255], 1);
}

#[test]
fn a_profile_that_cannot_be_used_is_ignored_with_a_note() {
    let mut broken = ColorProfile::new_display_p3().encode().expect("a profile");
    broken.truncate(150);
    let file = png_with_profile(rgba().as_flattened(), ExtendedColorType::Rgba8, broken);
    let (photo, warnings) = open_warned(&file);
    assert_eq!(photo.pixels, rgba());
    assert_eq!(warnings, [Warning::BrokenProfile]);

    let grey = ColorProfile::new_gray_with_gamma(2.2)
        .encode()
        .expect("a profile");
    let file = png_with_profile(rgba().as_flattened(), ExtendedColorType::Rgba8, grey);
    let (photo, warnings) = open_warned(&file);
    assert_eq!(photo.pixels, rgba());
    assert_eq!(warnings, [Warning::MismatchedProfile]);
}

/// The centres of the four blocks of the stored files in inks.
const BLOCKS: [(usize, usize); 4] = [(8, 8), (24, 8), (8, 24), (24, 24)];

#[test]
fn inks_without_a_profile_are_estimated() {
    // Cyan, magenta, black, and (64, 32, 16, 8).
    let expected = [
        [0, 255, 255, 255],
        [255, 0, 255, 255],
        [0, 0, 0, 255],
        [185, 216, 232, 255],
    ];
    for file in [
        stored!("cmyk_adobe.jpg"),
        stored!("ycck_adobe.jpg"),
        stored!("cmyk.tif"),
    ] {
        let (photo, warnings) = open_warned(file);
        assert_eq!(warnings, [Warning::InksWithoutProfile]);
        for ((column, row), expected) in BLOCKS.into_iter().zip(expected) {
            assert_near(pixel(&photo, column, row), expected, 4);
        }
    }
}

#[test]
fn inks_go_through_their_profile() {
    let (photo, warnings) = open_warned(stored!("cmyk_profile.jpg"));
    assert_eq!(warnings, []);
    // As LittleCMS converts it, perceptually.
    let expected = [
        [57, 130, 201, 255],
        [199, 69, 119, 255],
        [35, 37, 36, 255],
        [201, 199, 218, 255],
    ];
    for ((column, row), expected) in BLOCKS.into_iter().zip(expected) {
        assert_near(pixel(&photo, column, row), expected, 8);
    }
}

#[test]
fn each_orientation_is_turned_upright() {
    // Where the stored corners come to lie: first its top left, then its top right.
    let corners = [
        ((0, 0), (1, 0)),
        ((1, 0), (0, 0)),
        ((1, 1), (0, 1)),
        ((0, 1), (1, 1)),
        ((0, 0), (0, 1)),
        ((1, 0), (1, 1)),
        ((1, 1), (1, 0)),
        ((0, 1), (0, 0)),
    ];
    let mut pixels = vec![[0_u8, 0, 0]; WIDTH * HEIGHT];
    // Blocks of 8 survive JPEG.
    for row in 0..8 {
        pixels[row * WIDTH..][..8].fill([255; 3]);
        pixels[row * WIDTH + WIDTH - 8..][..8].fill([128; 3]);
    }
    for (value, (first, second)) in (1_u8..).zip(corners) {
        let mut exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
        exif.extend([value, 0, 0, 0, 0, 0, 0, 0]);
        let mut files = [Vec::new(), Vec::new(), Vec::new()];
        let [png, jpeg, webp] = &mut files;
        let mut encoder = PngEncoder::new(png);
        encoder
            .set_exif_metadata(exif.clone())
            .expect("PNG holds EXIF");
        encode(encoder, pixels.as_flattened(), ExtendedColorType::Rgb8);
        let mut encoder = JpegEncoder::new_with_quality(jpeg, 95);
        encoder
            .set_exif_metadata(exif.clone())
            .expect("JPEG holds EXIF");
        encode(encoder, pixels.as_flattened(), ExtendedColorType::Rgb8);
        let mut encoder = WebPEncoder::new_lossless(webp);
        encoder.set_exif_metadata(exif).expect("WebP holds EXIF");
        encode(encoder, pixels.as_flattened(), ExtendedColorType::Rgb8);
        for (name, file) in ["PNG", "JPEG", "WebP"].into_iter().zip(files) {
            let photo = open(&file);
            let size = if value > 4 {
                (HEIGHT, WIDTH)
            } else {
                (WIDTH, HEIGHT)
            };
            assert_eq!(
                (photo.width, photo.height),
                size,
                "{name}, orientation {value}"
            );
            let level = |(x, y): (usize, usize)| {
                let column = if x == 1 { photo.width - 3 } else { 2 };
                let row = if y == 1 { photo.height - 3 } else { 2 };
                pixel(&photo, column, row)[0]
            };
            let levels = (level(first), level(second));
            let right = levels.0 > 230 && (100..160).contains(&levels.1);
            assert!(right, "{name}, orientation {value}: {levels:?}");
        }
    }
}

#[test]
fn animations_give_their_first_frame() {
    for (name, file) in seeds() {
        if matches!(name, "gif" | "animated webp") {
            let (photo, warnings) = open_warned(&file);
            assert_near(photo.pixels[0], [255, 0, 0, 255], 2);
            assert_eq!(warnings, [Warning::FirstFrameOnly], "{name}");
        }
    }
    let mut still = Vec::new();
    animation(&mut still, 1);
    assert_eq!(open_warned(&still).1, []);
}

#[test]
fn a_drawing_with_a_view_box_alone_is_rendered_at_the_work_size() {
    for file in [DRAWING.as_bytes().to_vec(), gzip(DRAWING.as_bytes())] {
        let (photo, warnings) = open_warned(&file);
        assert_eq!((photo.width, photo.height), (1024, 512));
        assert_eq!(warnings, []);
        assert_eq!(pixel(&photo, 900, 300), [255, 0, 0, 255]);
        assert_eq!(pixel(&photo, 5, 5)[3], 0);
    }
}

#[test]
fn a_half_transparent_drawing_has_straight_colours() {
    let photo = open(
        br##"<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20"><rect width="20" height="20" fill="#c86432" fill-opacity=".5"/></svg>"##,
    );
    assert_near(pixel(&photo, 500, 500), [200, 100, 50, 128], 1);
}

#[test]
fn a_drawing_opens_nothing_outside_itself() {
    let secret = tempfile::NamedTempFile::with_suffix(".png").expect("a file");
    std::fs::write(secret.path(), rgba_png()).expect("a written file");
    let drawing = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20"><image href="{}" width="20" height="20"/></svg>"#,
        secret.path().display()
    );
    let (photo, warnings) = open_warned(drawing.as_bytes());
    assert!(photo.pixels.iter().all(|pixel| pixel[3] == 0));
    assert_eq!(warnings, [Warning::LinksLeftOut]);
}

#[test]
fn a_drawing_shows_the_image_it_holds() {
    let drawing = |data: &[u8]| {
        let data: String = data.iter().map(|byte| format!("%{byte:02x}")).collect();
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="24" height="18"><image href="data:image/png,{data}" width="24" height="18"/></svg>"#
        )
    };
    let mut pixels = rgba();
    pixels.fill([10, 200, 30, 255]);
    let (photo, warnings) =
        open_warned(drawing(&png(pixels.as_flattened(), ExtendedColorType::Rgba8)).as_bytes());
    assert_near(pixel(&photo, 512, 384), [10, 200, 30, 255], 1);
    assert_eq!(warnings, []);

    let (photo, warnings) = open_warned(drawing(&png_header(60_000, 60_000)).as_bytes());
    assert_eq!(pixel(&photo, 512, 384)[3], 0);
    assert_eq!(warnings, [Warning::LinksLeftOut]);
}

#[test]
fn text_without_fonts_or_with_them_never_fails() {
    let (_, warnings) = open_warned(
        br#"<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><text y="15">A</text></svg>"#,
    );
    assert!(warnings.is_empty() || warnings == [Warning::NoFonts]);
}

#[test]
fn drawings_that_expand_without_end_are_refused() {
    let wrap = |body: &str| {
        format!(r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10">{body}</svg>"#)
    };
    let nested = format!("{}<path/>{}", "<g>".repeat(100_000), "</g>".repeat(100_000));
    let mut uses = String::from(r#"<g id="a0"><path d="M0 0h9v9z"/></g>"#);
    for level in 1..30 {
        let previous = level - 1;
        uses += &format!(
            r##"<g id="a{level}"><use href="#a{previous}"/><use href="#a{previous}"/></g>"##
        );
    }
    let mut chain = String::from(r#"<g id="a0"/>"#);
    for level in 1..2000 {
        chain += &format!(r##"<g id="a{level}"><use href="#a{}"/></g>"##, level - 1);
    }
    let layers = format!(
        r#"{}<rect x="-99" y="-99" width="999" height="999"/>{}"#,
        r#"<g opacity=".5">"#.repeat(80),
        "</g>".repeat(80)
    );
    let pattern = r##"<pattern id="p" width="99999" height="99999" patternUnits="userSpaceOnUse"><rect width="9" height="9"/></pattern><rect width="9" height="9" fill="url(#p)"/>"##;
    let filtered = |step: &str| {
        format!(
            r##"<filter id="f">{step}</filter><rect width="10" height="10" filter="url(#f)"/>"##
        )
    };
    let noise = filtered(r#"<feTurbulence baseFrequency=".1" numOctaves="1000000"/>"#);
    let growth = filtered(r#"<feMorphology operator="dilate" radius="9"/>"#);
    let entities = format!(
        r#"<!DOCTYPE svg [<!ENTITY a "{}"><!ENTITY b "{}"><!ENTITY c "{}"><!ENTITY d "{}">]>{}"#,
        "x".repeat(1000),
        "&a;".repeat(200),
        "&b;".repeat(200),
        "&c;".repeat(200),
        wrap("<desc>&d;</desc><rect width='9' height='9'/>")
    );
    for (name, drawing) in [
        ("nested groups", wrap(&nested)),
        ("doubling uses", wrap(&uses)),
        ("a chain of uses", wrap(&chain)),
        ("nested layers", wrap(&layers)),
        ("a huge pattern", wrap(pattern)),
        ("an arc of millions", wrap(r#"<ellipse rx="1e38" ry="5"/>"#)),
        (
            "an arc of millions in a path",
            wrap(r#"<path d="M0 0A9e37 5 0 1 1 9 9"/>"#),
        ),
        ("endless noise", wrap(&noise)),
        ("endless growth", wrap(&growth)),
        ("doubling entities", entities),
    ] {
        let error = refusal(drawing.as_bytes());
        let expected = matches!(
            error,
            DecodeError::TooComplex { .. }
                | DecodeError::NotEnoughMemory { .. }
                | DecodeError::Damaged { .. }
        );
        assert!(expected, "{name}: {error}");
    }
    let zeros = vec![b' '; 200_000_000];
    assert!(matches!(
        refusal(&gzip(&zeros)),
        DecodeError::NotEnoughMemory {
            format: Format::Svg,
            ..
        }
    ));
}

/// Guards against a converter that recursed until its stack was spent.
#[test]
fn a_pattern_that_inherits_itself_is_drawn_or_refused() {
    let pattern = r#"<pattern id="p" width="9" height="9" patternUnits="userSpaceOnUse"><rect width="5" height="5"/></pattern>"#;
    let marker = r#"<marker id="k" markerWidth="3" markerHeight="3"><path d="M0 0h2v2"/></marker>"#;
    let bodies = [
        format!(r#"<g fill="url(#p)">{pattern}<rect width="9" height="9"/></g>"#),
        format!(r#"<g style="stroke:url(#p)">{pattern}<rect width="9" height="9"/></g>"#),
        format!(r#"<style>svg{{fill:url(#p)}}</style>{pattern}<rect width="9" height="9"/>"#),
        format!(r#"<style>*{{fill:url(#p)}}</style>{pattern}<rect width="9" height="9"/>"#),
        format!(r#"<g marker-mid="url(#k)">{marker}<path d="M0 0h5v5h3"/></g>"#),
        format!(r#"<style>*{{marker:url(#k)}}</style>{marker}<path d="M0 0h5v5h3"/>"#),
        r#"<style>*{mask:url(#m);clip-path:url(#m);filter:url(#m)}</style><mask id="m"><rect width="5" height="5"/></mask><rect width="9" height="9"/>"#.to_owned(),
    ];
    for body in bodies {
        let drawing =
            format!(r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10">{body}</svg>"#);
        if let Ok(photo) = decode(drawing.as_bytes(), &Limits::default()) {
            assert_eq!(photo.width, 1024);
        }
    }
}

#[test]
fn a_drawing_as_deep_as_allowed_fits_the_stack() {
    let wrap = |body: &str| {
        let drawing =
            format!(r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10">{body}</svg>"#);
        open(drawing.as_bytes())
    };
    let groups = format!(
        r#"{}<rect width="10" height="10"/>{}"#,
        r#"<g transform="rotate(0)">"#.repeat(90),
        "</g>".repeat(90)
    );
    assert_eq!(pixel(&wrap(&groups), 500, 500), [0, 0, 0, 255]);
    let mut uses = String::from(r#"<rect id="a0" width="10" height="10"/>"#);
    let mut patterns = String::from(r#"<rect id="p0" width="10" height="10"/>"#);
    for level in 1..30 {
        let below = level - 1;
        uses += &format!(r##"<g id="a{level}"><use href="#a{below}"/></g>"##);
        patterns += &format!(
            r##"<pattern id="p{level}" width="1" height="1"><rect width="9" height="9" fill="url(#p{below})"/></pattern>"##
        );
    }
    let used = format!(r##"<defs>{uses}</defs><use href="#a29"/>"##);
    assert_eq!(pixel(&wrap(&used), 500, 500), [0, 0, 0, 255]);
    let painted =
        format!(r#"<defs>{patterns}</defs><rect width="10" height="10" fill="url(#p29)"/>"#);
    assert_eq!(wrap(&painted).width, 1024);
}

#[test]
fn an_empty_file() {
    assert_eq!(refusal(b""), DecodeError::Empty);
}

#[test]
fn a_text_with_an_image_s_name() {
    let text = DecodeError::UnknownFormat {
        content: Some("a text file"),
    };
    assert_eq!(refusal(b"Just some notes, saved as picture.png\n"), text);
    assert_eq!(refusal(b"BM stands for bitmap, and this is a text\n"), text);
    let message = text.to_string();
    for part in ["a text file", "PNG", "JPEG", "SVG", "export"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn foreign_formats_are_named() {
    let heic = b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic\0\0\0\0";
    assert_eq!(refusal(heic), DecodeError::Heif { name: "HEIC" });
    assert_eq!(
        refusal(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"),
        DecodeError::Heif { name: "HEIC" }
    );
    assert_eq!(
        refusal(b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf"),
        DecodeError::Heif { name: "AVIF" }
    );
    assert_eq!(
        refusal(b"\0\0\0\x14ftypmif1\0\0\0\0mif1"),
        DecodeError::Heif { name: "HEIF" }
    );
    assert!(
        refusal(heic)
            .to_string()
            .contains("export it as JPEG or PNG")
    );
    for (bytes, content) in [
        (b"%PDF-1.7".as_slice(), "a PDF document"),
        (b"8BPS\0\x01", "a Photoshop document"),
        (b"\0\0\0\x18ftypcrx \0\0\0\x01", "a camera raw file"),
        (b"II*\0\x10\0\0\0CR\x02\0", "a camera raw file"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"PK\x03\x04", "a ZIP archive"),
    ] {
        assert_eq!(
            refusal(bytes),
            DecodeError::UnknownFormat {
                content: Some(content)
            }
        );
    }
    assert_eq!(
        refusal(b"\x01\x02\x03\xff\xfe"),
        DecodeError::UnknownFormat { content: None }
    );
}

#[test]
fn a_truncated_file_is_an_error_and_not_half_a_picture() {
    for (name, file) in seeds() {
        // A stored picture ends before these: closing chunks, padding, the second frame.
        let spare = match name {
            "gif" | "animated webp" => file.len() / 2,
            // The rows of the last tiles that lie below the picture.
            "tiled tiff" => 390,
            // These keep their directory, or a second page, at the end.
            _ => 3,
        };
        for share in 1..20 {
            let length = (file.len() - spare) * share / 20;
            let result = decode(&file[..length], &Limits::default());
            assert!(
                result.is_err(),
                "{name} cut to {length} of {} bytes",
                file.len()
            );
        }
    }
    let png = rgba_png();
    assert_eq!(
        refusal(&png[..png.len() / 2]),
        DecodeError::Truncated {
            format: Format::Png
        }
    );
    let jpeg = jpeg();
    for length in [
        jpeg.len() / 2,
        jpeg.len() - 40,
        jpeg.len() - 2,
        jpeg.len() - 1,
    ] {
        assert_eq!(
            refusal(&jpeg[..length]),
            DecodeError::Truncated {
                format: Format::Jpeg
            }
        );
    }
}

fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut file = rgba_png();
    file[16..20].copy_from_slice(&width.to_be_bytes());
    file[20..24].copy_from_slice(&height.to_be_bytes());
    let checksum = {
        let mut crc = flate2::Crc::new();
        crc.update(&file[12..29]);
        crc.sum()
    };
    file[29..33].copy_from_slice(&checksum.to_be_bytes());
    file
}

#[test]
fn sizes_are_checked_before_anything_is_allocated() {
    let mut jpeg = jpeg();
    let frame = jpeg
        .windows(2)
        .position(|marker| marker == [0xff, 0xc0])
        .expect("a frame header");
    jpeg[frame + 5..frame + 9].fill(0xff);
    let mut gif = Vec::new();
    animation(&mut gif, 1);
    gif[6..10].fill(0xff);
    let seed = |wanted: &str| {
        seeds()
            .into_iter()
            .find(|(name, _)| *name == wanted)
            .expect("a seed")
            .1
    };
    let mut bmp = seed("bmp");
    bmp[18..22].copy_from_slice(&60_000_u32.to_le_bytes());
    bmp[22..26].copy_from_slice(&60_000_u32.to_le_bytes());
    let mut webp = seed("webp");
    webp[21..25].copy_from_slice(&[0xfe, 0xff, 0xff, 0x07]);
    let mut result = Ok(());
    for (name, file) in [
        ("png", png_header(60_000, 60_000)),
        ("jpeg", jpeg),
        ("gif", gif),
        ("bmp", bmp),
        ("webp", webp),
    ] {
        let allocated = allocation_counter::measure(|| {
            result = decode(&file, &Limits::default()).map(|_| ());
        });
        let error = result.clone().expect_err(name);
        assert!(
            matches!(
                error,
                DecodeError::TooLarge { .. } | DecodeError::TooManyPixels { .. }
            ),
            "{name}: {error}"
        );
        assert!(
            allocated.bytes_max < 1 << 20,
            "{name}: {} bytes",
            allocated.bytes_max
        );
    }
}

#[test]
fn each_limit_has_its_own_error() {
    let refused = |file: &[u8], limits: Limits| decode(file, &limits).expect_err("a limit");
    let limits = Limits::default();
    let png = rgba_png();
    assert!(matches!(
        refusal(&png_header(0, 5)),
        DecodeError::ZeroSize { .. }
    ));
    assert!(matches!(
        refusal(&png_header(1, 1)),
        DecodeError::TooSmall {
            width: 1,
            height: 1,
            min_side_px: 16
        }
    ));
    assert!(matches!(
        refusal(&png_header(16_385, 20)),
        DecodeError::TooLarge { .. }
    ));
    assert!(matches!(
        refusal(&png_header(16_384, 16_384)),
        DecodeError::TooManyPixels { .. }
    ));
    assert!(matches!(
        refused(
            &png,
            Limits {
                max_file_bytes: 100,
                ..limits
            }
        ),
        DecodeError::FileTooLarge { max_bytes: 100, .. }
    ));
    for (name, file) in seeds() {
        let limits = Limits {
            max_decoder_bytes: 2000,
            ..limits
        };
        let error = refused(&file, limits);
        assert!(
            matches!(error, DecodeError::NotEnoughMemory { .. }),
            "{name}: {error}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_corrupted_file_never_panics(
        seed in 0_usize..25,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut file = seeds().swap_remove(seed).1;
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        let limits = Limits { max_decoder_bytes: 64 << 20, ..Limits::default() };
        if let Ok(photo) = decode(&file, &limits) {
            prop_assert_eq!(photo.pixels.len(), photo.width * photo.height);
            prop_assert!(photo.width.min(photo.height) >= 16);
        }
    }

    #[test]
    fn any_picture_survives_png(
        width in 16_u32..40,
        height in 16_u32..40,
        bytes in prop::collection::vec(any::<u8>(), 40 * 40 * 4),
    ) {
        let pixels = &bytes[..(width * height * 4) as usize];
        let mut file = Vec::new();
        PngEncoder::new(&mut file).write_image(pixels, width, height, ExtendedColorType::Rgba8).expect("a file");
        let photo = open(&file);
        prop_assert_eq!(photo.pixels.as_flattened(), pixels);
    }
}
