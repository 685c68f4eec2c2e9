//! SVG through `resvg`.
//!
//! No file and no address that a drawing names is ever opened. What it holds itself is bounded before it
//! is drawn: the size of its text, its depth and number of elements with every reference followed
//! ([`svg_cost`](super::svg_cost)), its layers, its embedded images.

use super::budget::{Budget, check_size};
use super::svg_references::{NO_INHERITANCE, References};
use super::{DecodeError, Format, Limits, Raster, SVG_SIDE_PX, Samples, Warning, svg_cost};
use flate2::read::GzDecoder;
use image::ImageEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::metadata::Orientation;
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{self, ImageHrefResolver, ImageKind, Options, Tree, fontdb, roxmltree};
use std::borrow::Cow;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const FORMAT: Format = Format::Svg;

/// The memory that one byte of SVG text may come to take as elements, attributes and shapes.
const PARSED_BYTES_PER_BYTE: u64 = 24;

/// Renders an SVG file, plain or compressed.
pub(super) fn decode(
    bytes: &[u8],
    limits: &Limits,
    mut budget: Budget,
) -> Result<Raster, DecodeError> {
    let text = unpacked(bytes, &mut budget)?;
    let text = std::str::from_utf8(&text)
        .map_err(|error| damaged(format!("its text is not UTF-8: {error}")))?;
    let document = parse(text)?;
    let depth = svg_cost::depth_of(&document)?;
    let references = References::of(&document, depth)?;
    svg_cost::check_document(&document, &references, &mut budget)?;

    let images = EmbeddedImages::new(limits, &budget);
    let has_text = document
        .descendants()
        .any(|node| node.has_tag_name(SVG_TEXT));
    let fonts = if has_text {
        system_fonts()
    } else {
        fontdb::Database::new()
    };
    let no_fonts = has_text && fonts.is_empty();
    let options = Options {
        image_href_resolver: images.resolver(),
        fontdb: Arc::new(fonts),
        style_sheet: references.are_passed_on.then(|| NO_INHERITANCE.to_owned()),
        ..Options::default()
    };
    let tree = Tree::from_xmltree(&document, &options).map_err(describe)?;
    drop(options);

    let size = tree.size();
    let side = SVG_SIDE_PX.min(limits.max_side_px);
    let scale = side as f32 / size.width().max(size.height());
    // A conversion from floating point saturates; a sliver still has one pixel, and is then too small.
    let pixels = |length: f32| ((length * scale).round() as u32).clamp(1, side);
    let (width, height) = (pixels(size.width()), pixels(size.height()));
    let count = check_size(width, height, FORMAT, limits)?;
    budget.take(8 * count, FORMAT)?;
    let transform =
        Transform::from_scale(width as f32 / size.width(), height as f32 / size.height());
    svg_cost::check_drawing(&tree, transform, (width, height), &mut budget)?;
    let mut pixmap = Pixmap::new(width, height).ok_or_else(|| budget.exceeded(FORMAT))?;
    resvg::render(&tree, transform, &mut pixmap.as_mut());

    let mut warnings = Vec::new();
    if no_fonts {
        warnings.push(Warning::NoFonts);
    }
    if images.left_out.load(Ordering::Relaxed) {
        warnings.push(Warning::LinksLeftOut);
    }
    let straight = pixmap.pixels().iter().map(|pixel| {
        let pixel = pixel.demultiply();
        [pixel.red(), pixel.green(), pixel.blue(), pixel.alpha()]
    });
    Ok(Raster {
        width,
        height,
        samples: Samples::Rgba8(straight.collect()),
        grey: false,
        orientation: Orientation::NoTransforms,
        profile: None,
        warnings,
    })
}

const SVG_TEXT: (&str, &str) = ("http://www.w3.org/2000/svg", "text");

fn damaged(reason: impl Into<String>) -> DecodeError {
    DecodeError::Damaged {
        format: FORMAT,
        reason: reason.into(),
    }
}

fn describe(error: usvg::Error) -> DecodeError {
    match error {
        usvg::Error::ElementsLimitReached => DecodeError::TooComplex {
            reason: "it has too many elements",
        },
        usvg::Error::InvalidSize => {
            damaged("it states no size: it needs a width and height, or a viewBox")
        }
        other => damaged(other.to_string()),
    }
}

/// The text of a drawing, unpacked within the budget where it is compressed.
fn unpacked<'a>(bytes: &'a [u8], budget: &mut Budget) -> Result<Cow<'a, [u8]>, DecodeError> {
    const GZIP: &[u8] = &[0x1f, 0x8b];
    let text = if bytes.starts_with(GZIP) {
        let most = budget.left_bytes() / (PARSED_BYTES_PER_BYTE + 2);
        let mut text = Vec::new();
        GzDecoder::new(bytes)
            .take(most + 1)
            .read_to_end(&mut text)
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::UnexpectedEof => DecodeError::Truncated { format: FORMAT },
                _ => damaged(error.to_string()),
            })?;
        if text.len() as u64 > most {
            return Err(budget.exceeded(FORMAT));
        }
        // A vector grows by doubling.
        budget.take(2 * text.len() as u64, FORMAT)?;
        if !text
            .windows(4)
            .any(|window| window == b"<svg" || window == b":svg")
        {
            return Err(DecodeError::UnknownFormat {
                content: Some("a gzip archive"),
            });
        }
        Cow::Owned(text)
    } else {
        Cow::Borrowed(bytes)
    };
    budget.take(text.len() as u64 * PARSED_BYTES_PER_BYTE, FORMAT)?;
    Ok(text)
}

fn parse(text: &str) -> Result<roxmltree::Document<'_>, DecodeError> {
    let options = roxmltree::ParsingOptions {
        // Drawing programs write harmless entities; none outside the file is ever resolved.
        allow_dtd: true,
        nodes_limit: svg_cost::MAX_NODES,
        ..roxmltree::ParsingOptions::default()
    };
    roxmltree::Document::parse_with_options(text, options).map_err(|error| match error {
        roxmltree::Error::NodesLimitReached => DecodeError::TooComplex {
            reason: "it has too many elements",
        },
        roxmltree::Error::UnclosedRootNode | roxmltree::Error::UnexpectedEndOfStream => {
            DecodeError::Truncated { format: FORMAT }
        }
        other => damaged(other.to_string()),
    })
}

fn system_fonts() -> fontdb::Database {
    let mut fonts = fontdb::Database::new();
    fonts.load_system_fonts();
    fonts
}

/// The images a drawing holds, decoded by this module under its own limits.
struct EmbeddedImages {
    limits: Limits,
    /// What all images together may still take.
    left_bytes: AtomicU64,
    left_out: AtomicBool,
}

impl EmbeddedImages {
    fn new(limits: &Limits, budget: &Budget) -> Self {
        Self {
            limits: Limits {
                min_side_px: 1,
                ..*limits
            },
            left_bytes: AtomicU64::new(budget.left_bytes() / 4),
            left_out: AtomicBool::new(false),
        }
    }

    fn resolver(&self) -> ImageHrefResolver<'_> {
        ImageHrefResolver {
            resolve_data: Box::new(|_, data, _| {
                let image = self.resolve(&data);
                self.left_out.fetch_or(image.is_none(), Ordering::Relaxed);
                image
            }),
            resolve_string: Box::new(|_, _| {
                self.left_out.store(true, Ordering::Relaxed);
                None
            }),
        }
    }

    /// Decodes an image here and hands it on as plain PNG, for the renderer's own decoders know no limits.
    fn resolve(&self, data: &[u8]) -> Option<ImageKind> {
        if super::format::sniff(data).ok()? == Format::Svg {
            return None;
        }
        let limits = Limits {
            max_decoder_bytes: self.left_bytes.load(Ordering::Relaxed),
            ..self.limits
        };
        let photo = super::decode(data, &limits).ok()?;
        let mut png = Vec::new();
        PngEncoder::new_with_quality(&mut png, CompressionType::Fast, FilterType::NoFilter)
            .write_image(
                photo.pixels.as_flattened(),
                photo.width as u32,
                photo.height as u32,
                image::ExtendedColorType::Rgba8,
            )
            .ok()?;
        let taken = (photo.pixels.len() * 8 + png.capacity()) as u64;
        let left = limits.max_decoder_bytes.checked_sub(taken)?;
        self.left_bytes.store(left, Ordering::Relaxed);
        Some(ImageKind::PNG(Arc::new(png)))
    }
}
