//! The matte: how much of each pixel belongs to the subject, and how far that can be trusted.
//!
//! A photo's own alpha channel or an image of the user's is taken as it is. An opaque photo's subject is
//! told from its background without any learned weights: what differs from the frame's colours and
//! cannot be reached from the frame without crossing an edge is a first guess; random walks over alike
//! colours, with mixtures of Gaussians fitted anew to both sides, turn it into a mask; the mask is
//! carried back to the photo's size along its edges. Where the result cannot be trusted, the matte is
//! the whole frame and says so. This module never crops, and never changes a colour.

use std::sync::Arc;

use super::{Matte, MatteKind, Photo};

mod barrier;
mod blur;
mod border_model;
mod clean;
mod colour;
mod confidence;
mod estimate;
mod gaussian;
mod given;
mod mixtures;
mod outline;
mod random_walker;
mod saliency;
mod shadow;
mod strokes;
mod working_image;

use estimate::estimate;
pub use strokes::Stroke;
use working_image::WorkingImage;

/// Below this confidence an estimate is not used unless the user has drawn strokes.
pub const LEAST_CONFIDENCE: f32 = 0.7;

/// The share of pixels that must be transparent for an alpha channel to be taken for a matte.
const LEAST_TRANSPARENT: f64 = 0.02;
/// The shortest side, in pixels at the working size, on which an estimate is tried.
const LEAST_SIDE_PX: usize = 8;

/// What the user wants as a matte.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MatteRequest {
    /// Where the matte comes from.
    pub wish: MatteWish,
    /// Brush strokes that overrule it, in the order they were drawn.
    ///
    /// An estimate takes them for certain, learns from them, and is then used whatever its confidence.
    /// Any other matte, the whole frame included, is painted over.
    pub strokes: Vec<Stroke>,
}

/// Where a matte is to come from.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum MatteWish {
    /// The alpha channel if more than 2 % of it is transparent, else an estimate, else the whole frame.
    #[default]
    Auto,
    /// The alpha channel.
    Alpha,
    /// The whole frame.
    Full,
    /// An image of any size whose alpha, if it has any, or else brightness is the matte. Shared, since
    /// drafts that follow a control are asked for many times a second.
    User(Arc<Photo>),
}

/// Why there is no matte.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatteError {
    /// The photo has no pixels, or not as many as its size says.
    #[error(
        "the image has {pixels} pixels where {width} × {height} were expected; \
         use an image of at least one pixel"
    )]
    BadPhoto {
        /// Its width in pixels.
        width: usize,
        /// Its height in pixels.
        height: usize,
        /// The number of pixels it holds.
        pixels: usize,
    },
    /// No pixel of the photo is at least half opaque.
    #[error(
        "nothing is visible: no pixel of the image is at least half opaque; \
         use an image with a visible subject"
    )]
    NothingVisible,
    /// The alpha channel was asked for and has no transparent pixel.
    #[error(
        "the image has no transparency to use as its matte; \
         use an image with a transparent background, or another matte setting"
    )]
    NoAlpha,
    /// No pixel of the user's matte is at least half bright or half opaque.
    #[error(
        "the matte image is empty: no part of it is at least half bright (or half opaque); \
         paint the subject white on black"
    )]
    EmptyUserMatte,
    /// The strokes leave nothing of the subject.
    #[error("the brush strokes leave nothing of the subject; remove or shorten some that exclude")]
    NothingLeft,
    /// The work was asked to stop, and did.
    #[error("cancelled")]
    Cancelled,
}

/// Makes the matte of `photo`.
///
/// The matte has the photo's proportions. Its longest side is the photo's, but at most 1024 px where
/// estimated and 4096 px otherwise. An alpha channel that is fully opaque counts as none.
///
/// # Errors
///
/// When the photo or the user's matte is empty or shows nothing, when an alpha channel is asked for and
/// there is none, when strokes leave nothing, or when `cancelled` says so.
pub fn matte(
    photo: &Photo,
    request: &MatteRequest,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Matte, MatteError> {
    check_size(photo)?;
    let transparency = Transparency::measure(photo);
    if transparency.faint == photo.pixels.len() {
        return Err(MatteError::NothingVisible);
    }
    let mut matte = match &request.wish {
        MatteWish::Auto => {
            let share = transparency.faint as f64 / photo.pixels.len() as f64;
            if share > LEAST_TRANSPARENT {
                from_coverage(given::alpha_channel(photo, cancelled)?, MatteKind::Alpha)
            } else {
                return estimated(photo, &request.strokes, LEAST_CONFIDENCE, cancelled);
            }
        }
        MatteWish::Alpha if !transparency.any => return Err(MatteError::NoAlpha),
        MatteWish::Alpha => {
            from_coverage(given::alpha_channel(photo, cancelled)?, MatteKind::Alpha)
        }
        MatteWish::Full => full(photo, 1.0),
        MatteWish::User(image) => {
            check_size(image)?;
            let coverage = given::user_matte(photo, image, cancelled)?;
            from_coverage(coverage, MatteKind::User)
        }
    };
    paint(photo, &request.strokes, &mut matte, cancelled)?;
    Ok(matte)
}

fn check_size(photo: &Photo) -> Result<(), MatteError> {
    let expected = photo.width.checked_mul(photo.height);
    if photo.pixels.is_empty() || expected != Some(photo.pixels.len()) {
        return Err(MatteError::BadPhoto {
            width: photo.width,
            height: photo.height,
            pixels: photo.pixels.len(),
        });
    }
    Ok(())
}

struct Transparency {
    /// Pixels with an alpha below one half.
    faint: usize,
    /// Whether any pixel is not fully opaque.
    any: bool,
}

impl Transparency {
    fn measure(photo: &Photo) -> Self {
        use rayon::prelude::*;
        let (faint, any) = photo
            .pixels
            .par_chunks(1 << 16)
            .map(|pixels| {
                let faint = pixels.iter().filter(|pixel| pixel[3] < 128).count();
                (faint, pixels.iter().any(|pixel| pixel[3] < 255))
            })
            .reduce(|| (0, false), |a, b| (a.0 + b.0, a.1 | b.1));
        Self { faint, any }
    }
}

fn from_coverage(coverage: given::Coverage, kind: MatteKind) -> Matte {
    Matte {
        width: coverage.width,
        height: coverage.height,
        alpha: coverage.alpha,
        kind,
        confidence: 1.0,
    }
}

fn full(photo: &Photo, confidence: f32) -> Matte {
    let (width, height) = working_image::fit_within(photo.width, photo.height, 4096);
    Matte {
        width,
        height,
        alpha: vec![1.0; width * height],
        kind: MatteKind::Full,
        confidence,
    }
}

fn paint(
    photo: &Photo,
    strokes: &[Stroke],
    matte: &mut Matte,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<(), MatteError> {
    let size = [matte.width, matte.height];
    strokes::paint(strokes, photo, size, &mut matte.alpha, cancelled)?;
    if !strokes.is_empty() && matte.alpha.iter().all(|alpha| *alpha < 0.5) {
        return Err(MatteError::NothingLeft);
    }
    Ok(())
}

/// Tells the subject of `photo` from its background, however little the result can be trusted.
///
/// [`matte`] uses this where it should; on its own it serves to show an estimate that was refused.
/// Strokes are taken for certain, and raise the confidence to at least [`LEAST_CONFIDENCE`]. An image
/// too narrow for an estimate gives the whole frame.
///
/// # Errors
///
/// As [`matte`].
pub fn estimated_matte(
    photo: &Photo,
    strokes: &[Stroke],
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Matte, MatteError> {
    check_size(photo)?;
    if Transparency::measure(photo).faint == photo.pixels.len() {
        return Err(MatteError::NothingVisible);
    }
    estimated(photo, strokes, 0.0, cancelled)
}

/// The estimate, or the whole frame where its confidence is below `least` and there are no strokes.
fn estimated(
    photo: &Photo,
    strokes: &[Stroke],
    least: f32,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Matte, MatteError> {
    let image = WorkingImage::new(photo, cancelled)?;
    let size = [image.width, image.height];
    if size[0].min(size[1]) < LEAST_SIDE_PX {
        let mut matte = full(photo, 0.0);
        paint(photo, strokes, &mut matte, cancelled)?;
        return Ok(matte);
    }
    let seeds = strokes::seeds(strokes, photo, size, cancelled)?;
    let guided = seeds.iter().any(Option::is_some);
    let estimate = estimate(&image, &seeds, cancelled)?;
    if !guided && estimate.confidence < least {
        return Ok(full(photo, estimate.confidence));
    }
    let outline = outline::outline(photo, &image, &estimate.mask, cancelled)?;
    let confidence = if guided {
        LEAST_CONFIDENCE + (1.0 - LEAST_CONFIDENCE) * estimate.confidence
    } else {
        estimate.confidence
    };
    let mut matte = Matte {
        width: outline.width,
        height: outline.height,
        alpha: outline.alpha,
        kind: MatteKind::Estimated,
        confidence,
    };
    paint(photo, strokes, &mut matte, cancelled)?;
    Ok(matte)
}
