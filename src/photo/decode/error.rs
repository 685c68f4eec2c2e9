//! What can keep an image from being decoded, and what is left out of one that could be.

use super::Format;

/// Why an image was not decoded. Every message says what, why and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// There are no bytes.
    #[error(
        "the image file is empty: it was probably not copied or downloaded whole; get it again"
    )]
    Empty,

    /// The file passes [`Limits::max_file_bytes`](crate::photo::Limits::max_file_bytes).
    #[error(
        "the image file has {size_bytes} bytes, more than the {max_bytes} allowed; export it smaller"
    )]
    FileTooLarge {
        /// The size of the file.
        size_bytes: u64,
        /// The limit.
        max_bytes: u64,
    },

    /// The content is of no format this program reads.
    #[error(
        "this is not an image that can be read{}; supported are PNG, JPEG, WebP, BMP, GIF, TIFF and SVG: export it as one of these",
        found(.content)
    )]
    UnknownFormat {
        /// What the content looks like, where that can be told.
        content: Option<&'static str>,
    },

    /// HEIC, HEIF or AVIF, whose codecs this program does not carry.
    #[error("{name} images cannot be read: export it as JPEG or PNG and open that")]
    Heif {
        /// The format's name.
        name: &'static str,
    },

    /// The image has no pixels.
    #[error(
        "the {format} image declares a size of {width} × {height}: it has no pixels; export it again"
    )]
    ZeroSize {
        /// The format.
        format: Format,
        /// The declared width.
        width: u32,
        /// The declared height.
        height: u32,
    },

    /// A side is below [`Limits::min_side_px`](crate::photo::Limits::min_side_px).
    #[error(
        "the image is {width} × {height} pixels, too small to show a shape: both sides must be at least {min_side_px}; use a larger version"
    )]
    TooSmall {
        /// The width in pixels.
        width: u32,
        /// The height in pixels.
        height: u32,
        /// The limit.
        min_side_px: u32,
    },

    /// A side passes [`Limits::max_side_px`](crate::photo::Limits::max_side_px).
    #[error(
        "the image declares {width} × {height} pixels, more than the {max_side_px} allowed for a side; scale it down"
    )]
    TooLarge {
        /// The declared width in pixels.
        width: u32,
        /// The declared height in pixels.
        height: u32,
        /// The limit.
        max_side_px: u32,
    },

    /// The image passes [`Limits::max_pixels`](crate::photo::Limits::max_pixels).
    #[error(
        "the image declares {width} × {height} pixels, more than the {max_pixels} allowed in all; scale it down"
    )]
    TooManyPixels {
        /// The declared width in pixels.
        width: u32,
        /// The declared height in pixels.
        height: u32,
        /// The limit.
        max_pixels: u64,
    },

    /// Decoding would pass
    /// [`Limits::max_decoder_bytes`](crate::photo::Limits::max_decoder_bytes).
    #[error(
        "decoding the {format} image takes more than the {max_bytes} bytes of memory allowed; scale it down, or save it with 8 bits a channel"
    )]
    NotEnoughMemory {
        /// The format.
        format: Format,
        /// The bytes that it takes at least.
        required_bytes: u64,
        /// The limit.
        max_bytes: u64,
    },

    /// The file ends before its picture does.
    #[error(
        "the {format} file is cut short: its picture is incomplete, probably since it was not copied or downloaded whole; get it again"
    )]
    Truncated {
        /// The format.
        format: Format,
    },

    /// The file breaks its format's rules.
    #[error(
        "the {format} file is damaged ({reason}); get it again, or open it in an image editor and export it"
    )]
    Damaged {
        /// The format.
        format: Format,
        /// What the decoder found.
        reason: String,
    },

    /// The decoder gave up on a state it thought impossible.
    #[error(
        "the {format} file defeats its decoder: it is damaged, or states values no program would; open it in an image editor and export it as PNG"
    )]
    DecoderFailed {
        /// The format.
        format: Format,
    },

    /// The file is valid and uses something no decoder here knows.
    #[error(
        "this kind of {format} file cannot be read ({feature}); export it as PNG or JPEG with 8 bits a channel"
    )]
    Unsupported {
        /// The format.
        format: Format,
        /// What is not known.
        feature: String,
    },

    /// An SVG that expands to more than is reasonable to draw.
    #[error("the SVG drawing is too complex ({reason}); simplify it, or export it as PNG")]
    TooComplex {
        /// Which bound it passes.
        reason: &'static str,
    },
}

fn found(content: &Option<&'static str>) -> String {
    content.map_or_else(String::new, |content| format!(": it looks like {content}"))
}

/// What of an image was left out or could not be honoured; the image was decoded nevertheless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// An animation: only its first frame was taken.
    #[error("the image is animated: only its first frame is used")]
    FirstFrameOnly,
    /// A TIFF of several pages: only the first was taken.
    #[error("the TIFF file has several pages: only the first is used")]
    FirstPageOnly,
    /// The colour profile cannot be read or applied.
    #[error(
        "the image's colour profile is damaged or of an unknown kind, and was ignored: colours may be off"
    )]
    BrokenProfile,
    /// The colour profile is for another kind of image than it is embedded in.
    #[error(
        "the image's colour profile does not fit its channels, and was ignored: colours may be off"
    )]
    MismatchedProfile,
    /// Inks were converted without a profile.
    #[error("the image is in inks (CMYK) without a colour profile: its colours are an estimate")]
    InksWithoutProfile,
    /// An SVG has text and no fonts were found.
    #[error(
        "the SVG drawing has text, but no fonts were found on this computer: the text is left out"
    )]
    NoFonts,
    /// An SVG refers to files, addresses or images that are not loaded.
    #[error(
        "the SVG drawing refers to images outside itself or of an unknown kind: they are left out"
    )]
    LinksLeftOut,
}
