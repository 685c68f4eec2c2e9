//! Tells a file's format from its first bytes.

use super::DecodeError;
use std::fmt;

/// The formats that can be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Portable Network Graphics.
    Png,
    /// JPEG: baseline and progressive, grey, YCbCr, RGB, CMYK and YCCK.
    Jpeg,
    /// WebP, lossy and lossless.
    WebP,
    /// Windows bitmap.
    Bmp,
    /// Graphics Interchange Format.
    Gif,
    /// Tagged Image File Format.
    Tiff,
    /// Scalable Vector Graphics, plain or compressed with gzip (SVGZ).
    Svg,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::WebP => "WebP",
            Self::Bmp => "BMP",
            Self::Gif => "GIF",
            Self::Tiff => "TIFF",
            Self::Svg => "SVG",
        })
    }
}

const READABLE: [(&[u8], Format); 9] = [
    (b"\x89PNG\r\n\x1a\n", Format::Png),
    (b"\xff\xd8\xff", Format::Jpeg),
    (b"GIF87a", Format::Gif),
    (b"GIF89a", Format::Gif),
    (b"II*\0", Format::Tiff),
    (b"MM\0*", Format::Tiff),
    (b"II+\0", Format::Tiff),
    (b"MM\0+", Format::Tiff),
    (b"\x1f\x8b", Format::Svg),
];

const FOREIGN: [(&[u8], &str); 22] = [
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript file"),
    (b"8BPS", "a Photoshop document"),
    (b"gimp xcf", "a GIMP document"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (b"\x76\x2f\x31\x01", "an OpenEXR image"),
    (b"#?RADIANCE", "a Radiance HDR image"),
    (b"qoif", "a QOI image"),
    (b"DDS ", "a DirectDraw texture"),
    (b"\0\0\x01\0", "a Windows icon"),
    (b"FUJIFILMCCD-RAW", "a camera raw file"),
    (b"IIU\0", "a camera raw file"),
    (b"IIRO", "a camera raw file"),
    (b"IIRS", "a camera raw file"),
    (b"MMOR", "a camera raw file"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"glTF", "a 3D model"),
    (b"ID3", "a sound file"),
    (b"OggS", "a sound or video file"),
];

const UNNAMED: DecodeError = DecodeError::UnknownFormat { content: None };

/// Tells the format of a file from its content.
pub(super) fn sniff(bytes: &[u8]) -> Result<Format, DecodeError> {
    if is_canon_raw(bytes) {
        return Err(looks_like("a camera raw file"));
    }
    if let Some((_, format)) = READABLE.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Ok(*format);
    }
    if bytes.starts_with(b"RIFF") {
        return match bytes.get(8..12) {
            Some(b"WEBP") => Ok(Format::WebP),
            _ => Err(looks_like("a sound or video file")),
        };
    }
    // Two letters alone would claim texts that begin with "BM"; the reserved field is zero in practice.
    if bytes.starts_with(b"BM") && bytes.get(6..10).is_none_or(|field| field == [0; 4]) {
        return Ok(Format::Bmp);
    }
    if bytes.get(4..8) == Some(b"ftyp") {
        return Err(iso_media(bytes));
    }
    if let Some((_, content)) = FOREIGN.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Err(looks_like(content));
    }
    sniff_text(bytes)
}

fn looks_like(content: &'static str) -> DecodeError {
    DecodeError::UnknownFormat {
        content: Some(content),
    }
}

/// Canon's CR2 is a TIFF with a mark of its own, whose first page is a mere preview.
fn is_canon_raw(bytes: &[u8]) -> bool {
    bytes.starts_with(b"II*\0") && bytes.get(8..10) == Some(b"CR")
}

/// Names a file of the ISO base media format (ISO/IEC 14496-12) by the brands it declares.
fn iso_media(bytes: &[u8]) -> DecodeError {
    let declared = bytes.get(..4).and_then(|size| size.try_into().ok());
    let end = declared.map_or(0, u32::from_be_bytes) as usize;
    let brands = bytes.get(8..end.clamp(12, 256).min(bytes.len()));
    let has = |wanted: &[&[u8; 4]]| {
        brands.is_some_and(|brands| {
            let mut brands = brands.chunks_exact(4);
            brands.any(|brand| wanted.iter().any(|wanted| brand == *wanted))
        })
    };
    if has(&[b"avif", b"avis"]) {
        DecodeError::Heif { name: "AVIF" }
    } else if has(&[
        b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs",
    ]) {
        DecodeError::Heif { name: "HEIC" }
    } else if has(&[b"mif1", b"msf1", b"mif2"]) {
        DecodeError::Heif { name: "HEIF" }
    } else if has(&[b"crx "]) {
        looks_like("a camera raw file")
    } else {
        looks_like("a video file")
    }
}

/// How far into a text its root element is looked for.
const TEXT_WINDOW_BYTES: usize = 64 * 1024;

fn sniff_text(bytes: &[u8]) -> Result<Format, DecodeError> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(looks_like("a text file in UTF-16"));
    }
    let window = &bytes[..bytes.len().min(TEXT_WINDOW_BYTES)];
    let text = match std::str::from_utf8(window) {
        Ok(text) => text,
        // The window may cut a character in two; anything else is not text.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&window[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return Err(UNNAMED),
    };
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if text.starts_with('<') {
        if text.contains("<svg") || text.contains(":svg") {
            return Ok(Format::Svg);
        }
        let head = text.get(..512).unwrap_or(text).to_ascii_lowercase();
        return Err(looks_like(
            if head.contains("<html") || head.contains("<!doctype html") {
                "a web page"
            } else {
                "an XML file"
            },
        ));
    }
    if text.contains('\0') {
        return Err(UNNAMED);
    }
    Err(looks_like("a text file"))
}
