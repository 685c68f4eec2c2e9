//! JPEG through `zune-jpeg`, which gives inks as they are stored.
//!
//! Decoders take what is missing at the end of a JPEG for grey. The walk here finds the end-of-image
//! marker first, and the decoder runs in its strict mode, so that half a picture is an error.

use super::budget::{Budget, check_size};
use super::raster::{WORKING_BYTES, upright_bytes};
use super::{DecodeError, Format, Limits, Raster, Samples};
use image::metadata::Orientation;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

const FORMAT: Format = Format::Jpeg;
const TRUNCATED: DecodeError = DecodeError::Truncated { format: FORMAT };

/// Decodes a JPEG file.
pub(super) fn decode(
    bytes: &[u8],
    limits: &Limits,
    mut budget: Budget,
) -> Result<Raster, DecodeError> {
    let structure = Structure::read(bytes)?;
    let (width, height) = (u32::from(structure.width), u32::from(structure.height));
    let pixels = check_size(width, height, FORMAT, limits)?;
    budget.take(WORKING_BYTES, FORMAT)?;
    budget.take(structure.decoder_bytes(), FORMAT)?;

    // The decoder picks its conversion from YCbCr while it reads the headers, and keeps it.
    let options = DecoderOptions::default()
        .jpeg_set_out_colorspace(ColorSpace::RGBA)
        .set_strict_mode(false)
        .set_max_width(usize::from(structure.width))
        .set_max_height(usize::from(structure.height));
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(describe)?;
    if decoder.dimensions() != Some((usize::from(structure.width), usize::from(structure.height))) {
        return Err(damaged("its headers contradict one another"));
    }
    let orientation = decoder
        .exif()
        .and_then(|exif| Orientation::from_exif_chunk(exif))
        .unwrap_or(Orientation::NoTransforms);
    let profile = decoder.icc_profile();
    let planes = Planes::of(&structure, decoder.input_colorspace())?;
    budget.take(
        pixels * planes.own_bytes().max(upright_bytes(orientation)),
        FORMAT,
    )?;
    // Stray bytes between headers are harmless and common; within the picture's data they are not.
    decoder.set_options(
        options
            .set_strict_mode(true)
            .jpeg_set_out_colorspace(planes.output()),
    );
    let samples = planes.read(&mut decoder, pixels as usize)?;
    Ok(Raster {
        width,
        height,
        samples,
        grey: matches!(planes, Planes::Grey),
        orientation,
        profile,
        warnings: Vec::new(),
    })
}

fn damaged(reason: &str) -> DecodeError {
    DecodeError::Damaged {
        format: FORMAT,
        reason: reason.to_owned(),
    }
}

fn describe(error: DecodeErrors) -> DecodeError {
    match error {
        DecodeErrors::Unsupported(scheme) => DecodeError::Unsupported {
            format: FORMAT,
            feature: format!("{scheme:?}"),
        },
        DecodeErrors::ExhaustedData | DecodeErrors::IoErrors(_) => TRUNCATED,
        other => DecodeError::Damaged {
            format: FORMAT,
            reason: other.to_string(),
        },
    }
}

/// The kinds of colour planes in a file, and how each is asked for.
#[derive(Debug, Clone, Copy)]
enum Planes {
    Grey,
    Rgb,
    YCbCr,
    Cmyk { inverted: bool },
    Ycck { inverted: bool },
}

impl Planes {
    fn of(structure: &Structure, declared: Option<ColorSpace>) -> Result<Self, DecodeError> {
        // Adobe's programs store inks inverted, and say who they are.
        let inverted = structure.adobe;
        match (structure.components, declared) {
            (1, _) => Ok(Self::Grey),
            (3, Some(ColorSpace::RGB | ColorSpace::CMYK)) => Ok(Self::Rgb),
            (3, _) => Ok(Self::YCbCr),
            (4, Some(ColorSpace::YCCK)) => Ok(Self::Ycck { inverted }),
            (4, Some(ColorSpace::CMYK)) => Ok(Self::Cmyk { inverted }),
            (components, _) => Err(DecodeError::Unsupported {
                format: FORMAT,
                feature: format!("{components} colour components"),
            }),
        }
    }

    fn output(self) -> ColorSpace {
        match self {
            Self::Grey => ColorSpace::Luma,
            Self::Rgb => ColorSpace::RGB,
            Self::YCbCr => ColorSpace::RGBA,
            Self::Cmyk { .. } => ColorSpace::CMYK,
            Self::Ycck { .. } => ColorSpace::YCCK,
        }
    }

    /// The bytes held for each pixel: what the decoder fills, and the pixels made of it.
    fn own_bytes(self) -> u64 {
        match self {
            Self::Grey => 1 + 4,
            Self::Rgb => 3 + 4,
            Self::YCbCr | Self::Cmyk { .. } | Self::Ycck { .. } => 4,
        }
    }

    fn read(
        self,
        decoder: &mut JpegDecoder<ZCursor<&[u8]>>,
        pixels: usize,
    ) -> Result<Samples, DecodeError> {
        let mut fill = |buffer: &mut [u8]| decoder.decode_into(buffer).map_err(describe);
        match self {
            Self::Grey => {
                let mut levels = vec![0; pixels];
                fill(&mut levels)?;
                let pixels = levels.iter().map(|level| [*level, *level, *level, u8::MAX]);
                Ok(Samples::Rgba8(pixels.collect()))
            }
            Self::Rgb => {
                let mut pixels = vec![[0; 3]; pixels];
                fill(pixels.as_flattened_mut())?;
                let pixels = pixels
                    .iter()
                    .map(|[red, green, blue]| [*red, *green, *blue, u8::MAX]);
                Ok(Samples::Rgba8(pixels.collect()))
            }
            Self::YCbCr => {
                let mut pixels = vec![[0; 4]; pixels];
                fill(pixels.as_flattened_mut())?;
                Ok(Samples::Rgba8(pixels))
            }
            Self::Cmyk { inverted } => {
                let mut inks = vec![[0; 4]; pixels];
                fill(inks.as_flattened_mut())?;
                if inverted {
                    inks.as_flattened_mut()
                        .iter_mut()
                        .for_each(|ink| *ink = u8::MAX - *ink);
                }
                Ok(Samples::Cmyk8(inks))
            }
            Self::Ycck { inverted } => {
                let mut inks = vec![[0; 4]; pixels];
                fill(inks.as_flattened_mut())?;
                for ink in &mut inks {
                    *ink = inks_from_ycck(*ink, inverted);
                }
                Ok(Samples::Cmyk8(inks))
            }
        }
    }
}

/// YCCK is CMYK whose first three inks, inverted, were taken for RGB and turned into YCbCr (Adobe
/// technical note 5116).
fn inks_from_ycck([luma, blue, red, black]: [u8; 4], inverted: bool) -> [u8; 4] {
    let (luma, blue, red) = (
        f32::from(luma),
        f32::from(blue) - 128.0,
        f32::from(red) - 128.0,
    );
    // A conversion from floating point saturates, which is the clamp wanted here.
    let stored = [
        255 - (luma + 1.402 * red).round() as u8,
        255 - (luma - 0.344_136 * blue - 0.714_136 * red).round() as u8,
        255 - (luma + 1.772 * blue).round() as u8,
        black,
    ];
    if inverted {
        stored.map(|ink| 255 - ink)
    } else {
        stored
    }
}

/// What a walk over the markers of a JPEG file tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Structure {
    pub(super) width: u16,
    pub(super) height: u16,
    pub(super) components: u8,
    /// The greatest sampling factors of any component.
    horizontal: u8,
    vertical: u8,
    /// Whether the decoder must hold all coefficients until the last scan.
    buffered: bool,
    adobe: bool,
}

impl Structure {
    /// Walks a whole file, to its end-of-image marker (ITU-T T.81, annex B).
    pub(super) fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut found: Option<Self> = None;
        let (mut adobe, mut progressive, mut scans) = (false, false, 0_u32);
        let mut at = 2;
        loop {
            let marker = next_marker(bytes, &mut at).ok_or(TRUNCATED)?;
            match marker {
                END_OF_IMAGE => break,
                0x01 | 0xd0..=0xd8 => continue,
                _ => {}
            }
            let length = bytes.get(at..at + 2).ok_or(TRUNCATED)?;
            let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
            let segment = bytes.get(at + 2..at + length.max(2)).ok_or(TRUNCATED)?;
            at += length.max(2);
            match marker {
                0xee => adobe |= segment.starts_with(b"Adobe"),
                0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                    if found.is_some() {
                        return Err(damaged("it declares its size twice"));
                    }
                    progressive = marker == 0xc2;
                    found = Some(Self::from_frame_header(segment)?);
                }
                0xda => {
                    let frame = found
                        .as_mut()
                        .ok_or_else(|| damaged("it declares no size"))?;
                    scans += 1;
                    let in_scan = segment.first().copied().unwrap_or(0);
                    frame.buffered |= progressive || scans > 1 || in_scan < frame.components;
                }
                _ => {}
            }
        }
        let mut structure = found.ok_or_else(|| damaged("it declares no size"))?;
        if scans == 0 {
            return Err(TRUNCATED);
        }
        structure.adobe = adobe;
        Ok(structure)
    }

    fn from_frame_header(segment: &[u8]) -> Result<Self, DecodeError> {
        let [
            _,
            height_high,
            height_low,
            width_high,
            width_low,
            components,
            planes @ ..,
        ] = segment
        else {
            return Err(TRUNCATED);
        };
        let factors = planes.chunks_exact(3).map(|plane| plane[1]);
        Ok(Self {
            width: u16::from_be_bytes([*width_high, *width_low]),
            height: u16::from_be_bytes([*height_high, *height_low]),
            components: *components,
            horizontal: factors
                .clone()
                .map(|factor| factor >> 4)
                .max()
                .unwrap_or(1)
                .max(1),
            vertical: factors.map(|factor| factor & 15).max().unwrap_or(1).max(1),
            buffered: false,
            adobe: false,
        })
    }

    /// What the decoder holds besides its output: coefficients, and rows of them.
    fn decoder_bytes(&self) -> u64 {
        const BYTES_OF_COEFFICIENT: u64 = 2;
        let block = |side: u16, factor: u8| {
            let block = 8 * u64::from(factor);
            u64::from(side).div_ceil(block) * block
        };
        let width = block(self.width, self.horizontal);
        let components = u64::from(self.components);
        let coefficients = if self.buffered {
            width * block(self.height, self.vertical) * components * BYTES_OF_COEFFICIENT
        } else {
            0
        };
        // Rows of blocks before and after upsampling, with their neighbours.
        let rows = 8 * u64::from(self.vertical) * width * components * BYTES_OF_COEFFICIENT * 4;
        coefficients + rows
    }
}

const END_OF_IMAGE: u8 = 0xd9;

/// Advances `at` past the next marker, over compressed data or stray bytes.
fn next_marker(bytes: &[u8], at: &mut usize) -> Option<u8> {
    loop {
        *at += bytes.get(*at..)?.iter().position(|byte| *byte == 0xff)? + 1;
        match *bytes.get(*at)? {
            // A stuffed zero, or a fill byte before the marker itself.
            0x00 => *at += 1,
            0xff => {}
            marker => {
                *at += 1;
                return Some(marker);
            }
        }
    }
}
