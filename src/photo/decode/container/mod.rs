//! Walks the outer structure of a file: whether it is whole, how many frames it has, what its header
//! declares. Never looks into compressed pixels.
//!
//! Decoders trust the sizes that a container declares and allocate by them, or take what is missing for
//! the end of the picture; a walk beforehand tells a short file from a whole one.

pub(super) mod tiff;

use super::{DecodeError, Format};

/// Checks that a PNG has every chunk to its end, and returns the size that its header declares.
pub(super) fn check_png(bytes: &[u8]) -> Result<(u32, u32), DecodeError> {
    const TRUNCATED: DecodeError = DecodeError::Truncated {
        format: Format::Png,
    };
    const SIGNATURE_BYTES: usize = 8;
    let mut rest = bytes.get(SIGNATURE_BYTES..).ok_or(TRUNCATED)?;
    let mut size = None;
    loop {
        let (header, body) = rest.split_at_checked(8).ok_or(TRUNCATED)?;
        let length = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let chunk = body.get(..length).ok_or(TRUNCATED)?;
        let kind = &header[4..];
        if let (None, [a, b, c, d, e, f, g, h, ..]) = (size, chunk)
            && kind == b"IHDR"
        {
            size = Some((
                u32::from_be_bytes([*a, *b, *c, *d]),
                u32::from_be_bytes([*e, *f, *g, *h]),
            ));
        }
        // Entries are of three bytes; the decoder takes it for granted.
        if kind == b"PLTE" && (length == 0 || !length.is_multiple_of(3)) {
            return Err(DecodeError::Damaged {
                format: Format::Png,
                reason: "its palette ends within a colour".to_owned(),
            });
        }
        if kind == b"IEND" {
            return size.ok_or_else(|| DecodeError::Damaged {
                format: Format::Png,
                reason: "it has no header".to_owned(),
            });
        }
        // Each chunk ends with a checksum.
        rest = body.get(length + 4..).ok_or(TRUNCATED)?;
    }
}

/// Whether a WebP file is one lossy picture without an alpha channel.
pub(super) fn is_simple_lossy_webp(bytes: &[u8]) -> bool {
    bytes.get(12..16) == Some(b"VP8 ")
}

/// Checks that a WebP file holds every byte that its container declares, and returns the most pixels that one of
/// its frames declares, which may be more than the picture has.
pub(super) fn check_webp(bytes: &[u8]) -> Result<u64, DecodeError> {
    let declared = bytes.get(4..8).and_then(|size| size.try_into().ok());
    let declared = declared.map_or(0, u32::from_le_bytes) as usize;
    // An odd last chunk is padded, and some writers leave the padding out.
    if declared < 12 || bytes.len().saturating_add(1) < declared.saturating_add(8) {
        return Err(DecodeError::Truncated {
            format: Format::WebP,
        });
    }
    check_chunks(&bytes[12..], 0)
}

/// Checks the chunks of a RIFF list; those of an animation frame hold chunks of their own.
/// Returns the most pixels that one of the frames declares.
fn check_chunks(mut rest: &[u8], depth: u32) -> Result<u64, DecodeError> {
    const FRAME_HEADER_BYTES: usize = 16;
    let mut most_pixels = 0;
    while let Some((header, body)) = rest.split_at_checked(8) {
        let size = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
        let chunk = body.get(..size).ok_or(DecodeError::Truncated {
            format: Format::WebP,
        })?;
        let pixels = match &header[..4] {
            b"ANMF" if depth == 0 => {
                check_chunks(chunk.get(FRAME_HEADER_BYTES..).unwrap_or_default(), 1)?
            }
            b"VP8 " => check_lossy(chunk)?,
            b"VP8L" => lossless_pixels(chunk),
            _ => 0,
        };
        most_pixels = most_pixels.max(pixels);
        rest = body.get(size + size % 2..).unwrap_or_default();
    }
    Ok(most_pixels)
}

/// The pixels that a lossless frame declares: a signature, then two sides less 1 of 14 bits each.
fn lossless_pixels(chunk: &[u8]) -> u64 {
    chunk.get(1..5).map_or(0, |sides| {
        let sides = u64::from(u32::from_le_bytes([sides[0], sides[1], sides[2], sides[3]]));
        ((sides & 0x3fff) + 1) * ((sides >> 14 & 0x3fff) + 1)
    })
}

/// Checks the first partition of a VP8 key frame (RFC 6386, 9.1), whose length the decoder allocates, and
/// returns the pixels that the frame declares.
fn check_lossy(chunk: &[u8]) -> Result<u64, DecodeError> {
    const KEY_FRAME_HEADER_BYTES: usize = 10;
    let tag = chunk
        .get(..3)
        .map_or(0, |tag| u32::from_le_bytes([tag[0], tag[1], tag[2], 0]));
    let first_partition = (tag >> 5) as usize;
    if chunk.len() < KEY_FRAME_HEADER_BYTES + first_partition {
        return Err(DecodeError::Truncated {
            format: Format::WebP,
        });
    }
    // The sides follow the tag and a start code; their two highest bits are a scale.
    let side = |at: usize| u64::from(u16::from_le_bytes([chunk[at], chunk[at + 1]]) & 0x3fff);
    Ok(side(6) * side(8))
}

/// What a GIF's blocks say of its frames.
pub(super) struct GifFrames {
    /// The pixels of the first frame, which may be larger than the picture.
    pub(super) first_pixels: u64,
    /// Whether another frame follows.
    pub(super) animated: bool,
}

/// Checks that a GIF's first frame is whole.
pub(super) fn check_gif(bytes: &[u8]) -> Result<GifFrames, DecodeError> {
    const TRUNCATED: DecodeError = DecodeError::Truncated {
        format: Format::Gif,
    };
    const LOGICAL_SCREEN_END: usize = 13;
    let flags = *bytes.get(10).ok_or(TRUNCATED)?;
    let mut at = LOGICAL_SCREEN_END + colour_table_bytes(flags);
    let mut first_pixels = None;
    let frames = |first_pixels, animated| GifFrames {
        first_pixels,
        animated,
    };
    loop {
        match bytes.get(at) {
            // An extension: its label, then blocks.
            Some(0x21) => at = skip_blocks(bytes, at + 2).ok_or(TRUNCATED)?,
            // A frame: its mark, place, size and flags, its colour table, the code size, then blocks.
            Some(0x2c) => {
                if let Some(pixels) = first_pixels {
                    return Ok(frames(pixels, true));
                }
                let header = bytes.get(at..at + 10).ok_or(TRUNCATED)?;
                let side = |low: u8, high: u8| u64::from(u16::from_le_bytes([low, high]));
                first_pixels = Some(side(header[5], header[6]) * side(header[7], header[8]));
                let table_bytes = colour_table_bytes(header[9]);
                at = skip_blocks(bytes, at + 11 + table_bytes).ok_or(TRUNCATED)?;
            }
            // Anything else ends the file, the trailer included; what follows a whole first frame may
            // be cut off without loss.
            other => {
                return match (first_pixels, other) {
                    (Some(pixels), _) => Ok(frames(pixels, false)),
                    (None, Some(_)) => Ok(frames(0, false)),
                    (None, None) => Err(TRUNCATED),
                };
            }
        }
    }
}

fn colour_table_bytes(flags: u8) -> usize {
    if flags & 0x80 == 0 {
        0
    } else {
        3 << ((flags & 7) + 1)
    }
}

/// The offset after a sequence of length-prefixed blocks and its empty last block.
fn skip_blocks(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let size = usize::from(*bytes.get(at)?);
        at += 1 + size;
        if size == 0 {
            return Some(at);
        }
    }
}
