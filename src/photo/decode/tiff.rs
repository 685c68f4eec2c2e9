//! The first page of a TIFF through the `tiff` crate.
//!
//! The crate allocates lists by the counts that a file declares, and tiles by what the JPEG in them
//! declares; both are checked against the file beforehand. What the crate does not give is done here:
//! palettes, packed grey, inks as they are stored, colours multiplied by their alpha.

use super::budget::{Budget, check_size};
use super::container::tiff::{Directory, tag};
use super::raster::{WORKING_BYTES, ends_early, upright_bytes};
use super::{DecodeError, Format, Limits, Raster, Samples, Warning, jpeg};
use ::tiff::decoder::{BufferLayoutPreference, Decoder, DecodingResult};
use ::tiff::{ColorType, TiffError};
use image::metadata::Orientation;
use std::borrow::Cow;
use std::io::Cursor;

const FORMAT: Format = Format::Tiff;

/// Decodes the first page of a TIFF file.
pub(super) fn decode(
    bytes: &[u8],
    limits: &Limits,
    mut budget: Budget,
) -> Result<Raster, DecodeError> {
    let directory = Directory::first(bytes)?;
    let side = |name| {
        directory
            .number(name)
            .and_then(|side| u32::try_from(side).ok())
            .unwrap_or(0)
    };
    let (width, height) = (side(tag::IMAGE_WIDTH), side(tag::IMAGE_LENGTH));
    let pixels = check_size(width, height, FORMAT, limits)?;
    if directory
        .number(tag::NEW_SUBFILE_TYPE)
        .is_some_and(|kind| kind & 1 != 0)
        || directory.has(tag::DNG_VERSION)
    {
        return Err(DecodeError::UnknownFormat {
            content: Some("a camera raw file, which holds a mere preview"),
        });
    }
    budget.take(WORKING_BYTES + directory.decoder_bytes()?, FORMAT)?;
    check_nested_jpeg(bytes, &directory)?;

    let palette = directory.number(tag::PHOTOMETRIC) == Some(PALETTE_COLOUR);
    let source = if palette {
        budget.take(bytes.len() as u64, FORMAT)?;
        Cow::Owned(directory.with_photometric(bytes, BLACK_IS_ZERO))
    } else {
        Cow::Borrowed(bytes)
    };
    let orientation = directory
        .number(tag::ORIENTATION)
        .and_then(|value| u8::try_from(value).ok())
        .and_then(Orientation::from_exif)
        .unwrap_or(Orientation::NoTransforms);
    let own_bytes = 8 + 4;
    budget.take(pixels * own_bytes.max(upright_bytes(orientation)), FORMAT)?;
    let page = Page::read(&source, &budget)?;
    let alpha = directory
        .number(tag::EXTRA_SAMPLES)
        .and_then(Alpha::from_extra_samples);
    let colour_map = if palette {
        Some(directory.colour_map()?)
    } else {
        None
    };
    let samples = page.into_samples(
        width as usize,
        height as usize,
        alpha,
        colour_map.as_deref(),
    )?;
    Ok(Raster {
        width,
        height,
        grey: samples.1,
        samples: samples.0,
        orientation,
        profile: directory.bytes(tag::ICC_PROFILE).map(<[u8]>::to_vec),
        warnings: if directory.has_next {
            vec![Warning::FirstPageOnly]
        } else {
            Vec::new()
        },
    })
}

const BLACK_IS_ZERO: u16 = 1;
const PALETTE_COLOUR: u64 = 3;
const JPEG_COMPRESSION: u64 = 7;

fn unsupported(feature: impl Into<String>) -> DecodeError {
    DecodeError::Unsupported {
        format: FORMAT,
        feature: feature.into(),
    }
}

fn damaged(reason: impl Into<String>) -> DecodeError {
    DecodeError::Damaged {
        format: FORMAT,
        reason: reason.into(),
    }
}

/// Checks that no strip or tile in JPEG declares to be greater than the page says it is.
fn check_nested_jpeg(bytes: &[u8], directory: &Directory) -> Result<(), DecodeError> {
    if directory.number(tag::COMPRESSION) != Some(JPEG_COMPRESSION) {
        return Ok(());
    }
    if directory
        .bytes(tag::JPEG_TABLES)
        .is_some_and(|tables| tables.len() < 4)
    {
        return Err(damaged("its JPEG tables are too short"));
    }
    let most = |name| directory.number(name).unwrap_or(u64::MAX);
    let (width, height, offsets, sizes) = if directory.has(tag::TILE_OFFSETS) {
        let (width, height) = (most(tag::TILE_WIDTH), most(tag::TILE_LENGTH));
        (width, height, tag::TILE_OFFSETS, tag::TILE_BYTE_COUNTS)
    } else {
        let height = most(tag::ROWS_PER_STRIP).min(most(tag::IMAGE_LENGTH));
        (
            most(tag::IMAGE_WIDTH),
            height,
            tag::STRIP_OFFSETS,
            tag::STRIP_BYTE_COUNTS,
        )
    };
    for (offset, size) in directory.numbers(offsets).zip(directory.numbers(sizes)) {
        let chunk = usize::try_from(offset)
            .ok()
            .and_then(|start| bytes.get(start..start.checked_add(usize::try_from(size).ok()?)?))
            .ok_or(DecodeError::Truncated { format: FORMAT })?;
        let inner = jpeg::Structure::read(chunk)
            .map_err(|error| damaged(format!("in a strip or tile of it, {error}")))?;
        if u64::from(inner.width) > width || u64::from(inner.height) > height {
            return Err(damaged("a strip or tile of it is greater than declared"));
        }
    }
    Ok(())
}

/// What the channel beyond the colours means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alpha {
    /// Colours are multiplied by it.
    Associated,
    /// Colours are straight.
    Unassociated,
}

impl Alpha {
    fn from_extra_samples(value: u64) -> Option<Self> {
        match value {
            1 => Some(Self::Associated),
            2 => Some(Self::Unassociated),
            _ => None,
        }
    }
}

/// A decoded page as the crate gives it.
struct Page {
    colour: ColorType,
    layout: BufferLayoutPreference,
    buffer: DecodingResult,
}

impl Page {
    fn read(source: &[u8], budget: &Budget) -> Result<Self, DecodeError> {
        let failed = |error| describe(error, budget);
        let left = usize::try_from(budget.left_bytes()).unwrap_or(usize::MAX);
        let mut inner = ::tiff::decoder::Limits::default();
        inner.decoding_buffer_size = left / 2;
        inner.intermediate_buffer_size = left / 2;
        inner.ifd_value_size = left / 2;
        let mut decoder = Decoder::new(Cursor::new(source))
            .map_err(failed)?
            .with_limits(inner);
        let colour = decoder.colortype().map_err(failed)?;
        let mut buffer = DecodingResult::U8(Vec::new());
        let layout = decoder.read_image_to_buffer(&mut buffer).map_err(failed)?;
        // The crate leaves further planes out where they pass its limits.
        if (1..layout.complete_len).contains(&byte_length(&buffer)) {
            return Err(budget.exceeded(FORMAT));
        }
        Ok(Self {
            colour,
            layout,
            buffer,
        })
    }

    /// Turns the page's samples into one of the common kinds, and tells whether they are grey.
    fn into_samples(
        self,
        width: usize,
        height: usize,
        alpha: Option<Alpha>,
        colour_map: Option<&[[u16; 3]]>,
    ) -> Result<(Samples, bool), DecodeError> {
        let (kind, channels, bits) = match self.colour {
            ColorType::Gray(bits) => (Kind::Grey, 1, bits),
            ColorType::GrayA(bits) => (Kind::Grey, 2, bits),
            ColorType::Multiband {
                bit_depth,
                num_samples: 2,
            } => (Kind::Grey, 2, bit_depth),
            ColorType::RGB(bits) => (Kind::Rgb, 3, bits),
            ColorType::RGBA(bits) => (Kind::Rgb, 4, bits),
            ColorType::CMYK(bits) => (Kind::Cmyk, 4, bits),
            other => return Err(unsupported(format!("colours of the kind {other:?}"))),
        };
        let reader = Reader::new(&self.buffer, &self.layout, width, height, channels, bits)?;
        // An alpha channel beside RGB that no tag explains is straight, as everyone writes it.
        let alpha = match (kind, channels) {
            (Kind::Grey, 2) => alpha,
            (Kind::Rgb, 4) => Some(alpha.unwrap_or(Alpha::Unassociated)),
            _ => None,
        };
        if let Some(colour_map) = colour_map {
            if kind != Kind::Grey || channels != 1 || bits > 8 {
                return Err(unsupported("a palette of more than 256 colours"));
            }
            let pixels = reader.pixels(|sample| {
                let index = sample(0) >> (16 - bits);
                let colour = colour_map.get(usize::from(index)).copied();
                let [red, green, blue] = colour.unwrap_or_default();
                [red, green, blue, u16::MAX]
            });
            // Some writers scale palettes by 256, others by 257: the high byte is right for both.
            let pixels = pixels
                .iter()
                .map(|pixel| pixel.map(|sample| (sample >> 8) as u8));
            return Ok((Samples::Rgba8(pixels.collect()), false));
        }
        let opacity = |sample: &dyn Fn(usize) -> u16, channel: usize| {
            if alpha.is_some() {
                sample(channel)
            } else {
                u16::MAX
            }
        };
        let mut pixels = match kind {
            Kind::Grey => reader.pixels(|sample| {
                let grey = widened(sample(0), bits);
                [grey, grey, grey, opacity(sample, 1)]
            }),
            Kind::Rgb => {
                reader.pixels(|sample| [sample(0), sample(1), sample(2), opacity(sample, 3)])
            }
            Kind::Cmyk => {
                let inks = reader.pixels(|sample| [sample(0), sample(1), sample(2), sample(3)]);
                let inks = inks
                    .iter()
                    .map(|pixel| pixel.map(super::colour::to_8_bits))
                    .collect();
                return Ok((Samples::Cmyk8(inks), false));
            }
        };
        if alpha == Some(Alpha::Associated) {
            pixels.iter_mut().for_each(divide_by_alpha);
        }
        let grey = kind == Kind::Grey;
        if bits <= 8 {
            let narrow = pixels
                .iter()
                .map(|pixel| pixel.map(super::colour::to_8_bits));
            return Ok((Samples::Rgba8(narrow.collect()), grey));
        }
        Ok((Samples::Rgba16(pixels), grey))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Grey,
    Rgb,
    Cmyk,
}

/// Spreads a packed sample, which lies in the top bits, over all 16.
fn widened(sample: u16, bits: u8) -> u16 {
    match bits {
        1 | 2 | 4 => {
            (u32::from(sample >> (16 - bits)) * u32::from(u16::MAX) / ((1 << bits) - 1)) as u16
        }
        _ => sample,
    }
}

fn divide_by_alpha(pixel: &mut [u16; 4]) {
    let alpha = u32::from(pixel[3]);
    for colour in &mut pixel[..3] {
        let scaled = u32::from(*colour) * u32::from(u16::MAX) + alpha / 2;
        // Nothing is left of a colour that was multiplied by 0.
        let straight = scaled.checked_div(alpha).unwrap_or(0);
        *colour = straight.min(u32::from(u16::MAX)) as u16;
    }
}

/// Reads samples of any depth and layout as 16-bit ones.
struct Reader<'a> {
    buffer: &'a DecodingResult,
    width: usize,
    height: usize,
    bits: u8,
    /// Distances in samples (in bytes where samples are packed into bytes).
    row_stride: usize,
    pixel_stride: usize,
    channel_stride: usize,
}

impl<'a> Reader<'a> {
    fn new(
        buffer: &'a DecodingResult,
        layout: &BufferLayoutPreference,
        width: usize,
        height: usize,
        channels: usize,
        bits: u8,
    ) -> Result<Self, DecodeError> {
        let sample_bytes = match (buffer, bits) {
            (DecodingResult::U8(_), 1 | 2 | 4 | 8) => 1,
            (DecodingResult::U16(_), 16) => 2,
            (DecodingResult::F32(_), 32) => 4,
            _ => return Err(unsupported(format!("samples of {bits} bits of that kind"))),
        };
        if bits < 8 && channels != 1 {
            return Err(unsupported("several channels packed into a byte"));
        }
        let row_stride = layout
            .row_stride
            .map_or(0, |stride| stride.get() / sample_bytes);
        let planar = layout.planes > 1;
        let reader = Self {
            buffer,
            width,
            height,
            bits,
            row_stride,
            pixel_stride: if planar { 1 } else { channels },
            channel_stride: match (planar, layout.plane_stride) {
                (true, Some(stride)) => stride.get() / sample_bytes,
                _ => 1,
            },
        };
        let row_samples = (width * reader.pixel_stride * usize::from(bits.min(8))).div_ceil(8);
        let last = (height - 1) * row_stride
            + row_samples
            + if planar {
                (channels - 1) * reader.channel_stride
            } else {
                0
            };
        if row_stride < row_samples || last > byte_length(buffer) / sample_bytes {
            return Err(damaged("its picture is smaller than declared"));
        }
        Ok(reader)
    }

    /// Makes pixels from their samples, given as a function of the channel.
    fn pixels(&self, pixel: impl Fn(&dyn Fn(usize) -> u16) -> [u16; 4]) -> Vec<[u16; 4]> {
        let mut pixels = Vec::with_capacity(self.width * self.height);
        for row in 0..self.height {
            for column in 0..self.width {
                pixels.push(pixel(&|channel| self.sample(row, column, channel)));
            }
        }
        pixels
    }

    fn sample(&self, row: usize, column: usize, channel: usize) -> u16 {
        let row = row * self.row_stride + channel * self.channel_stride;
        match self.buffer {
            DecodingResult::U8(samples) if self.bits < 8 => {
                let bit = column * usize::from(self.bits);
                let byte = u16::from(samples[row + bit / 8]);
                // The sample's bits in the top of the word, as the widening expects them.
                (byte << (8 + bit % 8)) >> (16 - self.bits) << (16 - self.bits)
            }
            DecodingResult::U8(samples) => {
                u16::from(samples[row + column * self.pixel_stride]) * 257
            }
            DecodingResult::U16(samples) => samples[row + column * self.pixel_stride],
            DecodingResult::F32(samples) => {
                // Saturates, and takes what is not a number for black.
                (samples[row + column * self.pixel_stride] * f32::from(u16::MAX)).round() as u16
            }
            // The constructor admits no other kind.
            _ => 0,
        }
    }
}

/// The bytes of the sample kinds that are read here; of others, none.
fn byte_length(buffer: &DecodingResult) -> usize {
    match buffer {
        DecodingResult::U8(samples) => samples.len(),
        DecodingResult::U16(samples) => 2 * samples.len(),
        DecodingResult::F32(samples) => 4 * samples.len(),
        _ => 0,
    }
}

fn describe(error: TiffError, budget: &Budget) -> DecodeError {
    if ends_early(&error) {
        return DecodeError::Truncated { format: FORMAT };
    }
    match error {
        TiffError::LimitsExceeded => budget.exceeded(FORMAT),
        TiffError::UnsupportedError(feature) => unsupported(feature.to_string()),
        other => damaged(other.to_string()),
    }
}
