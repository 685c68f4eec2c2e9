//! From the bytes of an image file to a square cut-out of its subject.
//!
//! Pure CPU work over bytes and pixels. This module never opens a file, never asks a device, and never
//! decodes more than its [`Limits`] allow.

pub mod atlas;
pub mod cutout;
pub mod decode;
pub mod matte;

pub use atlas::{Atlas, BackColours, atlas, quick_atlas};
pub use cutout::{CutoutError, Placement, cut_out};
pub use decode::{DecodeError, decode, decode_with_warnings};
pub use matte::{
    LEAST_CONFIDENCE, MatteError, MatteRequest, MatteWish, Stroke, estimated_matte, matte,
};

/// A decoded image: 8-bit sRGB with straight alpha, upright (orientation applied).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Photo {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Red, green, blue, alpha; rows from the top.
    pub pixels: Vec<[u8; 4]>,
}

impl Photo {
    /// Whether every pixel is fully opaque: an alpha channel that is, says nothing.
    pub fn is_opaque(&self) -> bool {
        self.pixels.iter().all(|pixel| pixel[3] == u8::MAX)
    }

    /// The photo as a PNG file, from which the same pixels are decoded again.
    ///
    /// # Errors
    ///
    /// Where the photo has no pixels, not as many as its size says, or more than the format holds.
    pub fn to_png(&self) -> Result<Vec<u8>, image::ImageError> {
        let side = |length: usize| u32::try_from(length).ok().filter(|length| *length > 0);
        let size = side(self.width).zip(side(self.height));
        let (width, height) = size
            .filter(|_| self.width.checked_mul(self.height) == Some(self.pixels.len()))
            .ok_or_else(|| {
                let mismatch = image::error::ParameterErrorKind::DimensionMismatch;
                image::ImageError::Parameter(image::error::ParameterError::from_kind(mismatch))
            })?;
        let mut png = Vec::new();
        image::ImageEncoder::write_image(
            image::codecs::png::PngEncoder::new(&mut png),
            self.pixels.as_flattened(),
            width,
            height,
            image::ExtendedColorType::Rgba8,
        )?;
        Ok(png)
    }
}

/// What an image may measure, checked before its pixels are decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The least width and height, in pixels.
    pub min_side_px: u32,
    /// The greatest width and height, in pixels.
    pub max_side_px: u32,
    /// The greatest number of pixels.
    pub max_pixels: u64,
    /// The greatest size of the encoded file.
    pub max_file_bytes: u64,
    /// What a decoder may allocate.
    pub max_decoder_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            min_side_px: 16,
            max_side_px: 16384,
            max_pixels: 100_000_000,
            max_file_bytes: 100_000_000,
            max_decoder_bytes: 1_000_000_000,
        }
    }
}

/// Where a matte comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatteKind {
    /// The image's own alpha channel.
    Alpha,
    /// Estimated from the colours of an opaque image.
    Estimated,
    /// The whole frame: no subject was told from its background.
    Full,
    /// Given by the user as an image of its own.
    User,
}

/// How much of each pixel belongs to the subject.
#[derive(Debug, Clone, PartialEq)]
pub struct Matte {
    /// Width in pixels: the photo's, or less where the matte was estimated at a working size.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Coverage in `0..=1`, rows from the top.
    pub alpha: Vec<f32>,
    /// Where it comes from.
    pub kind: MatteKind,
    /// How far the matte can be trusted, in `0..=1`; 1 for alpha, user and full-frame mattes.
    pub confidence: f32,
}

/// The subject of a photo, cropped and padded to a square.
///
/// The subject's longest side fills [`Cutout::FILL`] of the square, centred.
#[derive(Debug, Clone, PartialEq)]
pub struct Cutout {
    /// Width and height in pixels.
    pub side: usize,
    /// sRGB colours, straight (not premultiplied); rows from the top.
    pub pixels: Vec<[u8; 3]>,
    /// Coverage in `0..=1`; anti-aliased, the outline is where it passes 0.5.
    pub alpha: Vec<f32>,
    /// Whether the subject is the whole frame, to be shaped as a relief.
    pub full_frame: bool,
}

impl Cutout {
    /// The share of the square that the subject's longest side takes.
    pub const FILL: f32 = 0.84;
    /// The greatest side of a cut-out, in pixels.
    pub const MAX_SIDE_PX: usize = 1024;
}
