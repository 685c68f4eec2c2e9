//! Pixels in memory: averaged down, as PNG files, and as what egui draws. Colours are encoded, and alpha is
//! not multiplied into them.

use std::ops::Range;

use eframe::egui::ColorImage;

/// Averages an image down, each pixel counting as much as it covers. A side of `to` that is longer than
/// that of `from` repeats pixels. `pixels` are rows from the top, as many as `from` says.
pub(super) fn averaged(pixels: &[[u8; 4]], from: [usize; 2], to: [usize; 2]) -> Vec<[u8; 4]> {
    let mut averages = Vec::with_capacity(to[0] * to[1]);
    for row in 0..to[1] {
        let rows = span(row, to[1], from[1]);
        for column in 0..to[0] {
            let columns = span(column, to[0], from[0]);
            let lines = rows
                .clone()
                .map(|y| &pixels[y * from[0]..][columns.clone()]);
            averages.push(average(lines.flatten()));
        }
    }
    averages
}

fn average<'a>(pixels: impl Iterator<Item = &'a [u8; 4]>) -> [u8; 4] {
    let mut sum = [0_u64; 4];
    let mut count = 0_u64;
    for pixel in pixels {
        let [red, green, blue, alpha] = pixel.map(u64::from);
        for (sum, part) in sum.iter_mut().zip([red, green, blue]) {
            *sum += part * alpha;
        }
        sum[3] += alpha;
        count += 1;
    }
    let rounded = |sum: u64, weight: u64| (sum + weight / 2).checked_div(weight).unwrap_or(0) as u8;
    let [red, green, blue, alpha] = sum;
    [
        rounded(red, alpha),
        rounded(green, alpha),
        rounded(blue, alpha),
        rounded(alpha, count),
    ]
}

/// The pixels of `from` that one of `to` covers; never none.
fn span(place: usize, to: usize, from: usize) -> Range<usize> {
    let start = place * from / to;
    let end = ((place + 1) * from).div_ceil(to).min(from);
    start..end.max(start + 1).min(from)
}

/// An image as a PNG file.
///
/// # Errors
///
/// Where there are no pixels.
///
/// # Panics
///
/// Unless `rgba` holds four bytes for every pixel.
pub(super) fn png(rgba: &[u8], width: u32, height: u32) -> Result<Vec<u8>, image::ImageError> {
    let mut png = Vec::new();
    image::ImageEncoder::write_image(
        image::codecs::png::PngEncoder::new(&mut png),
        rgba,
        width,
        height,
        image::ExtendedColorType::Rgba8,
    )?;
    Ok(png)
}

/// A PNG file that the program made itself, for drawing; `None` where it is none.
pub(super) fn from_png(png: &[u8]) -> Option<ColorImage> {
    let image = image::load_from_memory_with_format(png, image::ImageFormat::Png).ok()?;
    let image = image.into_rgba8();
    let size = [image.width() as usize, image.height() as usize];
    Some(ColorImage::from_rgba_unmultiplied(size, image.as_raw()))
}
