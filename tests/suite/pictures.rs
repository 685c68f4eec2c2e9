//! Small pictures that tests make for themselves.

use image::{ExtendedColorType, ImageEncoder};

/// A PNG with straight alpha from a function of column and row.
pub(crate) fn rgba_png(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; 4]) -> Vec<u8> {
    let pixels: Vec<u8> = (0..height)
        .flat_map(|y| (0..width).map(move |x| (x, y)))
        .flat_map(|(x, y)| pixel(x, y))
        .collect();
    let mut png = Vec::new();
    image::codecs::png::PngEncoder::new(&mut png)
        .write_image(&pixels, width, height, ExtendedColorType::Rgba8)
        .unwrap();
    png
}

/// An anti-aliased, shaded disc on a transparent ground.
pub(crate) fn disc_png(side: u32) -> Vec<u8> {
    let centre = side as f32 / 2.0;
    let radius = side as f32 * 0.4;
    rgba_png(side, side, |x, y| {
        let [dx, dy] = [x, y].map(|at| (at as f32 + 0.5 - centre) / radius);
        let distance = dx.hypot(dy);
        let coverage = ((1.0 - distance) * radius + 0.5).clamp(0.0, 1.0);
        let height = (1.0 - distance * distance).max(0.0).sqrt();
        let light = (0.25 + 0.75 * (-0.4 * dx - 0.5 * dy + 0.75 * height).max(0.0)).min(1.0);
        [
            (230.0 * light) as u8,
            (120.0 * light) as u8,
            (60.0 * light) as u8,
            (coverage * 255.0).round() as u8,
        ]
    })
}

/// A PNG of a few bytes that declares 60,000 × 60,000 pixels.
pub(crate) fn bomb_png() -> Vec<u8> {
    let mut png = rgba_png(16, 16, |_, _| [1, 2, 3, 255]);
    // The header chunk: length, name, width, height, …, and its check sum over name and contents.
    png[16..20].copy_from_slice(&60_000u32.to_be_bytes());
    png[20..24].copy_from_slice(&60_000u32.to_be_bytes());
    let check_sum = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&check_sum.to_be_bytes());
    png
}

/// The check sum of PNG chunks (ISO 3309).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 }
        })
    })
}
