//! Textures as image files: encoding, decoding under limits.

use std::io::Cursor;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::imageops;
use image::{ExtendedColorType, ImageDecoder, ImageEncoder, ImageFormat, ImageReader, RgbImage};

use super::{Damage, SaveError};
use crate::mesh::{self, Mesh, Texture};

/// Decoded bytes allowed for each encoded byte: what deflate can reach, so that no real PNG is refused.
const MAX_EXPANSION: u64 = 1032;
/// The most decoded bytes of one texture: 8192 × 8192 pixels of RGBA.
const MAX_DECODED_BYTES: u64 = 8192 * 8192 * 4;

/// Encodes a texture as PNG, fast rather than small, its longer side at most `side_px`.
pub(super) fn encode_png(texture: &Texture, side_px: Option<usize>) -> Result<Vec<u8>, SaveError> {
    let pixels = texture.pixels.as_flattened();
    let longer = texture.width.max(texture.height);
    if let Some(side) = side_px
        && side < longer
    {
        let scaled = |length: usize| (length * side / longer).max(1) as u32;
        let (width, height) = (scaled(texture.width), scaled(texture.height));
        let image =
            RgbImage::from_raw(texture.width as u32, texture.height as u32, pixels.to_vec())
                .ok_or(super::Unwritable::Texture)?;
        let small = imageops::resize(&image, width, height, imageops::FilterType::Triangle);
        return encode(
            width as usize,
            height as usize,
            small.as_raw(),
            ExtendedColorType::Rgb8,
        );
    }
    encode(
        texture.width,
        texture.height,
        pixels,
        ExtendedColorType::Rgb8,
    )
}

/// Encodes rows of grey pixels as PNG.
pub(super) fn encode_grey_png(
    width: usize,
    height: usize,
    grey: &[u8],
) -> Result<Vec<u8>, SaveError> {
    if width.checked_mul(height) != Some(grey.len()) || grey.is_empty() {
        return Err(super::Unwritable::Texture.into());
    }
    encode(width, height, grey, ExtendedColorType::L8)
}

fn encode(
    width: usize,
    height: usize,
    pixels: &[u8],
    colour: ExtendedColorType,
) -> Result<Vec<u8>, SaveError> {
    let size = |side: usize| u32::try_from(side).map_err(|_error| super::Unwritable::Texture);
    let (width, height) = (size(width)?, size(height)?);
    let mut png = Vec::new();
    PngEncoder::new_with_quality(&mut png, CompressionType::Fast, FilterType::Adaptive)
        .write_image(pixels, width, height, colour)
        .map_err(SaveError::Texture)?;
    Ok(png)
}

/// Decodes a PNG or JPEG. Its size is checked against the limits before anything is allocated.
pub(super) fn decode(bytes: &[u8]) -> Result<Texture, Damage> {
    let format = match image::guess_format(bytes) {
        Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg)) => format,
        _ => return Err(Damage::TextureFormat),
    };
    let mut limits = image::Limits::no_limits();
    limits.max_alloc = Some(
        (bytes.len() as u64)
            .saturating_mul(MAX_EXPANSION)
            .min(MAX_DECODED_BYTES),
    );
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits.clone());
    let decoder = reader.into_decoder().map_err(Damage::Texture)?;
    if Some(decoder.total_bytes()) > limits.max_alloc {
        return Err(Damage::TextureTooLarge);
    }
    let decoded = image::DynamicImage::from_decoder(decoder)
        .map_err(Damage::Texture)?
        .into_rgb8();
    Ok(Texture {
        width: decoded.width() as usize,
        height: decoded.height() as usize,
        pixels: decoded.pixels().map(|pixel| pixel.0).collect(),
    })
}

/// The colour of each vertex: its own, or else the texture's at its coordinates; none when the mesh has
/// neither.
pub(super) fn vertex_colours(mesh: &Mesh) -> Option<Vec<[u8; 4]>> {
    let colours = if mesh.colours.is_empty() {
        mesh::vertex_colours(mesh)
    } else {
        mesh.colours.clone()
    };
    (!colours.is_empty()).then_some(colours)
}
