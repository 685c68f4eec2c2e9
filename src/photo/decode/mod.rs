//! From the bytes of an image file to upright 8-bit sRGB with straight alpha.
//!
//! The format is told from the content, never from a name. Size and memory are checked against
//! [`Limits`] from the header alone, before any pixel is decoded; what cannot be decoded whole is an
//! error, never half a picture. This module opens no image file and follows no link out of one: an SVG
//! sees its own bytes and, where it has text, the system's fonts.

mod budget;
mod colour;
mod container;
mod error;
mod format;
mod jpeg;
mod orient;
mod raster;
mod svg;
mod svg_cost;
mod svg_references;
mod tiff;

pub use error::{DecodeError, Warning};
pub use format::Format;

use super::{Limits, Photo};
use budget::Budget;
use image::metadata::Orientation;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The side that an SVG's longest side is rendered at, in pixels.
pub const SVG_SIDE_PX: u32 = 1024;

/// Decodes an image file: PNG, JPEG, WebP, BMP, GIF, TIFF or SVG.
///
/// The result is upright (orientation applied) and in sRGB: colour profiles are applied, inks (CMYK) and
/// greys converted, 16-bit and floating-point samples rounded to 8 bits (floating-point samples without a
/// profile are read as sRGB in `0..=1`). Of an animation the first frame is taken, of a TIFF the first
/// page. An SVG is rendered on a transparent ground, its longest side at [`SVG_SIDE_PX`].
///
/// # Errors
///
/// Everything that keeps the file from being decoded whole within `limits`: see [`DecodeError`].
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Photo, DecodeError> {
    decode_with_warnings(bytes, limits).map(|(photo, _)| photo)
}

/// Decodes as [`decode`] does, and tells what of the file was left out.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_with_warnings(
    bytes: &[u8],
    limits: &Limits,
) -> Result<(Photo, Vec<Warning>), DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    let size_bytes = bytes.len() as u64;
    if size_bytes > limits.max_file_bytes {
        return Err(DecodeError::FileTooLarge {
            size_bytes,
            max_bytes: limits.max_file_bytes,
        });
    }
    let format = format::sniff(bytes)?;
    contained(format, || {
        let budget = Budget::new(limits);
        let raster = match format {
            Format::Svg => svg::decode(bytes, limits, budget)?,
            Format::Jpeg => jpeg::decode(bytes, limits, budget)?,
            Format::Tiff => tiff::decode(bytes, limits, budget)?,
            Format::Png | Format::WebP | Format::Gif | Format::Bmp => {
                raster::decode(bytes, format, limits, budget)?
            }
        };
        Ok(finish(raster))
    })
}

/// Turns a panic in a decoder into an error about the file.
///
/// The decoders are foreign code, and the renderer of drawings asserts what extreme coordinates break.
/// Nothing they work on outlives the call, so that no state can be left half changed.
fn contained<T>(
    format: Format,
    decode: impl FnOnce() -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    catch_unwind(AssertUnwindSafe(decode))
        .unwrap_or_else(|_| Err(DecodeError::DecoderFailed { format }))
}

/// What a format's decoder hands over: samples as they lie in the file, and how to read them.
struct Raster {
    width: u32,
    height: u32,
    samples: Samples,
    /// Whether the red, green and blue samples are three copies of one grey.
    grey: bool,
    orientation: Orientation,
    profile: Option<Vec<u8>>,
    warnings: Vec<Warning>,
}

/// The samples of a [`Raster`], rows from the top.
enum Samples {
    /// Red, green, blue, alpha; 8 bits.
    Rgba8(Vec<[u8; 4]>),
    /// Red, green, blue, alpha; 16 bits.
    Rgba16(Vec<[u16; 4]>),
    /// Cyan, magenta, yellow, black; 255 is full ink.
    Cmyk8(Vec<[u8; 4]>),
}

fn finish(raster: Raster) -> (Photo, Vec<Warning>) {
    let mut warnings = raster.warnings;
    let profile = raster.profile.as_deref();
    let (pixels, warning) = colour::to_srgb(raster.samples, raster.grey, profile);
    warnings.extend(warning);
    let photo = Photo {
        width: raster.width as usize,
        height: raster.height as usize,
        pixels,
    };
    (orient::upright(photo, raster.orientation), warnings)
}
