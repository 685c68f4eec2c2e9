//! PNG, WebP, GIF and BMP through the `image` crate.

use super::budget::{Budget, check_size};
use super::{DecodeError, Format, Limits, Raster, Samples, Warning, container};
use image::codecs::{bmp::BmpDecoder, gif::GifDecoder, png::PngDecoder, webp::WebPDecoder};
use image::metadata::Orientation;
use image::{ColorType, ImageDecoder, ImageError};
use std::error::Error;
use std::io::{self, Cursor};

/// What every decoder may take for its rows, tables and windows.
pub(super) const WORKING_BYTES: u64 = 2 << 20;

/// Decodes a file of `format`, one of this module's four.
pub(super) fn decode(
    bytes: &[u8],
    format: Format,
    limits: &Limits,
    mut budget: Budget,
) -> Result<Raster, DecodeError> {
    budget.take(WORKING_BYTES, format)?;
    let stream = Cursor::new(bytes);
    let failed = move |error| describe(error, format, &budget);
    match format {
        Format::Gif => {
            let frames = container::check_gif(bytes)?;
            // The decoder unpacks a frame's indices beside its colours, which are in its own account.
            budget.take(frames.first_pixels, format)?;
            let decoder = GifDecoder::new(stream).map_err(failed)?;
            read(decoder, format, limits, budget, 0, frames.animated)
        }
        Format::Bmp => {
            let decoder = BmpDecoder::new(stream).map_err(failed)?;
            read(decoder, format, limits, budget, 0, false)
        }
        Format::WebP => {
            let most_pixels = container::check_webp(bytes)?;
            // The lossy decoder copies each of its partitions, the last one twice.
            budget.take(2 * bytes.len() as u64, format)?;
            let decoder = WebPDecoder::new(stream).map_err(failed)?;
            let animated = decoder.has_animation();
            // Planes of brightness and colour, 1.5 bytes a pixel; otherwise up to a canvas and a frame.
            let inner_bytes = if container::is_simple_lossy_webp(bytes) {
                2
            } else {
                9
            };
            // A frame is decoded before it is found not to fit the canvas.
            let (width, height) = decoder.dimensions();
            let excess = most_pixels.saturating_sub(u64::from(width) * u64::from(height));
            budget.take(inner_bytes * excess, format)?;
            read(decoder, format, limits, budget, inner_bytes, animated)
        }
        _ => {
            let (width, height) = container::check_png(bytes)?;
            check_size(width, height, format, limits)?;
            let mut inner = image::Limits::no_limits();
            inner.max_alloc = Some(budget.left_bytes());
            let decoder = PngDecoder::with_limits(stream, inner).map_err(failed)?;
            let animated = decoder.is_apng().map_err(failed)?;
            read(decoder, format, limits, budget, 0, animated)
        }
    }
}

/// Reads the pixels; `inner_bytes` is what the decoder itself holds for each of them.
fn read<D: ImageDecoder>(
    mut decoder: D,
    format: Format,
    limits: &Limits,
    mut budget: Budget,
    inner_bytes: u64,
    animated: bool,
) -> Result<Raster, DecodeError> {
    let (width, height) = decoder.dimensions();
    let pixels = check_size(width, height, format, limits)?;
    let colour = decoder.color_type();
    let is_direct = matches!(colour, ColorType::Rgba8 | ColorType::Rgba16);
    let deep = colour.bytes_per_pixel() / colour.channel_count() > 1;
    let own_bytes = match (is_direct, deep) {
        (true, false) => 0,
        (false, true) => 12,
        (true, true) | (false, false) => 4,
    };
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let peak_bytes = u64::from(colour.bytes_per_pixel()) + inner_bytes + own_bytes;
    budget.take(pixels * peak_bytes.max(upright_bytes(orientation)), format)?;
    let failed = move |error| describe(error, format, &budget);
    let profile = decoder.icc_profile().unwrap_or_default();
    let mut inner = image::Limits::no_limits();
    inner.max_alloc = Some(budget.left_bytes());
    decoder.set_limits(inner).map_err(failed)?;
    let samples =
        read_samples(decoder, colour, pixels as usize, format).map_err(|unread| match unread {
            Unread::Failed(error) => failed(error),
            Unread::Unknown(error) => error,
        })?;
    Ok(Raster {
        width,
        height,
        samples,
        grey: !colour.has_color(),
        orientation,
        profile,
        warnings: if animated {
            vec![Warning::FirstFrameOnly]
        } else {
            Vec::new()
        },
    })
}

/// The bytes a pixel takes while it is turned upright: twice its size where rows become columns.
pub(super) fn upright_bytes(orientation: Orientation) -> u64 {
    match orientation {
        Orientation::Rotate90
        | Orientation::Rotate270
        | Orientation::Rotate90FlipH
        | Orientation::Rotate270FlipH => 8,
        _ => 4,
    }
}

enum Unread {
    Failed(ImageError),
    Unknown(DecodeError),
}

fn read_samples<D: ImageDecoder>(
    decoder: D,
    colour: ColorType,
    pixels: usize,
    format: Format,
) -> Result<Samples, Unread> {
    const OPAQUE: u8 = u8::MAX;
    const OPAQUE_16: u16 = u16::MAX;
    Ok(match colour {
        ColorType::Rgba8 => Samples::Rgba8(fill(decoder, vec![[0_u8; 4]; pixels])?),
        ColorType::Rgb8 => Samples::Rgba8(map(
            &fill(decoder, vec![[0_u8; 3]; pixels])?,
            |[red, green, blue]| [red, green, blue, OPAQUE],
        )),
        ColorType::La8 => Samples::Rgba8(map(
            &fill(decoder, vec![[0_u8; 2]; pixels])?,
            |[grey, alpha]| [grey, grey, grey, alpha],
        )),
        ColorType::L8 => Samples::Rgba8(map(&fill(decoder, vec![[0_u8; 1]; pixels])?, |[grey]| {
            [grey, grey, grey, OPAQUE]
        })),
        ColorType::Rgba16 => Samples::Rgba16(fill(decoder, vec![[0_u16; 4]; pixels])?),
        ColorType::Rgb16 => Samples::Rgba16(map(
            &fill(decoder, vec![[0_u16; 3]; pixels])?,
            |[red, green, blue]| [red, green, blue, OPAQUE_16],
        )),
        ColorType::La16 => Samples::Rgba16(map(
            &fill(decoder, vec![[0_u16; 2]; pixels])?,
            |[grey, alpha]| [grey, grey, grey, alpha],
        )),
        ColorType::L16 => {
            Samples::Rgba16(map(&fill(decoder, vec![[0_u16; 1]; pixels])?, |[grey]| {
                [grey, grey, grey, OPAQUE_16]
            }))
        }
        other => {
            return Err(Unread::Unknown(DecodeError::Unsupported {
                format,
                feature: format!("pixels of the kind {other:?}"),
            }));
        }
    })
}

fn fill<D: ImageDecoder, T: bytemuck::Pod>(
    decoder: D,
    mut buffer: Vec<T>,
) -> Result<Vec<T>, Unread> {
    decoder
        .read_image(bytemuck::cast_slice_mut(&mut buffer))
        .map_err(Unread::Failed)?;
    Ok(buffer)
}

fn map<T: Copy, U>(from: &[T], to: impl Fn(T) -> U) -> Vec<U> {
    from.iter().map(|pixel| to(*pixel)).collect()
}

/// Tells a short file from a damaged one, and both from one this crate does not know.
fn describe(error: ImageError, format: Format, budget: &Budget) -> DecodeError {
    if ends_early(&error) {
        return DecodeError::Truncated { format };
    }
    match error {
        ImageError::Limits(_) => budget.exceeded(format),
        ImageError::Unsupported(error) => DecodeError::Unsupported {
            format,
            feature: error.to_string(),
        },
        other => DecodeError::Damaged {
            format,
            reason: other.to_string(),
        },
    }
}

/// Whether an error says that the data ended too soon.
pub(super) fn ends_early(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            if io.kind() == io::ErrorKind::UnexpectedEof {
                return true;
            }
            // An I/O error hides the error it carries from `source`.
            if let Some(inner) = io.get_ref()
                && ends_early(inner)
            {
                return true;
            }
        }
        cause = error.source();
    }
    false
}
