//! Cuts the subject out of a photo: a square around it, padded, at most
//! [`Cutout::MAX_SIDE_PX`] wide.
//!
//! Pixels are copied where nothing must shrink, so that the outline stays where the matte has it to a
//! fraction of a pixel. Where the subject is larger, every pixel of the cut-out is the mean over exactly
//! the area it covers, of colours weighted by their coverage: what is transparent has no colour to give.

use super::{Cutout, Matte, MatteKind, Photo};
use rayon::prelude::*;
use std::borrow::Cow;

/// The least number of pixels that show a subject.
pub const MIN_SUBJECT_PX: usize = 16;

/// Coverage from which a pixel belongs to the subject.
const INSIDE: f32 = 0.5;

/// Why no subject was cut out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CutoutError {
    /// No pixel belongs to the subject.
    #[error(
        "the image shows no subject: no pixel of it is at least half opaque; use an image with something in it, or choose the full frame"
    )]
    Empty,
    /// Too few pixels belong to the subject.
    #[error(
        "the subject covers only {pixels} pixels, and at least {MIN_SUBJECT_PX} are needed to shape it; use a larger version, or choose the full frame"
    )]
    TooSmall {
        /// The pixels that belong to the subject.
        pixels: usize,
    },
    /// A photo or matte whose samples do not fit its stated size.
    #[error("the {what} states {width} × {height} pixels and holds {held}; make it anew")]
    SizeMismatch {
        /// Which of the two.
        what: &'static str,
        /// The stated width.
        width: usize,
        /// The stated height.
        height: usize,
        /// The samples it holds.
        held: usize,
    },
}

/// Where a cut-out lies in its photo: `photo = origin + scale · cutout` for positions in pixels whose
/// integers are pixel corners, columns to the right and rows down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placement {
    /// Width and height of the cut-out, in its own pixels.
    pub side: usize,
    /// The photo column of the cut-out's left edge.
    pub origin_x: f64,
    /// The photo row of the cut-out's top edge.
    pub origin_y: f64,
    /// Photo pixels for each pixel of the cut-out; 1 where pixels are copied.
    pub scale: f64,
}

impl Placement {
    /// Where [`cut_out`] would cut.
    ///
    /// # Errors
    ///
    /// As [`cut_out`].
    pub fn of(photo: &Photo, matte: &Matte) -> Result<Self, CutoutError> {
        let alpha = coverage(photo, matte)?;
        Ok(Self::around(&Bounds::of_subject(&alpha, photo.width)?))
    }

    fn around(bounds: &Bounds) -> Self {
        let longest = (bounds.right - bounds.left).max(bounds.bottom - bounds.top) as f64;
        let square = longest / f64::from(Cutout::FILL);
        let centre_x = (bounds.left + bounds.right) as f64 / 2.0;
        let centre_y = (bounds.top + bounds.bottom) as f64 / 2.0;
        // A subject of a few pixels still has a clear pixel on every side.
        let side = square.round().max(longest + 2.0);
        if side <= Cutout::MAX_SIDE_PX as f64 {
            return Self {
                side: side as usize,
                origin_x: (centre_x - side / 2.0).floor(),
                origin_y: (centre_y - side / 2.0).floor(),
                scale: 1.0,
            };
        }
        Self {
            side: Cutout::MAX_SIDE_PX,
            origin_x: centre_x - square / 2.0,
            origin_y: centre_y - square / 2.0,
            scale: square / Cutout::MAX_SIDE_PX as f64,
        }
    }
}

/// Cuts the subject out of `photo` as `matte` tells it.
///
/// A matte of another size than the photo's is interpolated bilinearly. The square is centred on the
/// bounding box of what is at least half covered, whose longest side takes [`Cutout::FILL`] of it (less
/// where that would leave no clear border, below 8 pixels); the anti-aliased fringe is kept. With [`MatteKind::Full`] the subject is the frame itself. Where a photo
/// with an alpha channel is cut by any other matte than that channel, it is laid on white first. Means
/// are taken over sRGB values.
///
/// # Errors
///
/// [`CutoutError`] when there is no subject of at least [`MIN_SUBJECT_PX`] pixels, or when the samples of
/// the photo or matte do not fit their stated sizes.
pub fn cut_out(photo: &Photo, matte: &Matte) -> Result<Cutout, CutoutError> {
    let alpha = coverage(photo, matte)?;
    let placement = Placement::around(&Bounds::of_subject(&alpha, photo.width)?);
    let source = Source {
        photo,
        alpha: &alpha,
        on_white: matte.kind != MatteKind::Alpha && !photo.is_opaque(),
    };
    let side = placement.side;
    let mut pixels = vec![[0; 3]; side * side];
    let mut coverage = vec![0.0; side * side];
    let rows = pixels
        .par_chunks_mut(side)
        .zip(coverage.par_chunks_mut(side));
    if placement.scale == 1.0 {
        rows.enumerate().for_each(|(row, (pixels, coverage))| {
            source.copy_row(&placement, row, pixels, coverage)
        });
    } else {
        let columns = Spans::new(placement.origin_x, &placement, photo.width);
        let lines = Spans::new(placement.origin_y, &placement, photo.height);
        rows.enumerate()
            .for_each_init(Vec::new, |sums, (row, (pixels, coverage))| {
                source.mean_row(lines.of(row), &columns, sums, pixels, coverage);
            });
    }
    Ok(Cutout {
        side,
        pixels,
        alpha: coverage,
        full_frame: matte.kind == MatteKind::Full,
    })
}

/// The coverage of every pixel of the photo, in `0..=1`.
fn coverage<'a>(photo: &Photo, matte: &'a Matte) -> Result<Cow<'a, [f32]>, CutoutError> {
    check_size("photo", photo.width, photo.height, photo.pixels.len())?;
    let count = photo.width * photo.height;
    if matte.kind == MatteKind::Full {
        return Ok(Cow::Owned(vec![1.0; count]));
    }
    check_size("matte", matte.width, matte.height, matte.alpha.len())?;
    if (matte.width, matte.height) == (photo.width, photo.height) {
        return Ok(Cow::Borrowed(&matte.alpha));
    }
    let columns: Vec<_> = (0..photo.width)
        .map(|column| Tap::new(column, photo.width, matte.width))
        .collect();
    let mut alpha = vec![0.0; count];
    alpha
        .par_chunks_mut(photo.width)
        .enumerate()
        .for_each(|(row, alpha)| {
            let tap = Tap::new(row, photo.height, matte.height);
            let above = &matte.alpha[tap.first * matte.width..][..matte.width];
            let below = &matte.alpha[tap.second * matte.width..][..matte.width];
            for (alpha, column) in alpha.iter_mut().zip(&columns) {
                *alpha = tap.mix(column.of(above), column.of(below));
            }
        });
    Ok(Cow::Owned(alpha))
}

fn check_size(
    what: &'static str,
    width: usize,
    height: usize,
    held: usize,
) -> Result<(), CutoutError> {
    if width > 0 && height > 0 && width.checked_mul(height) == Some(held) {
        return Ok(());
    }
    Err(CutoutError::SizeMismatch {
        what,
        width,
        height,
        held,
    })
}

/// Two neighbours and the weight of the second.
struct Tap {
    first: usize,
    second: usize,
    weight: f32,
}

impl Tap {
    /// The neighbours of the centre of pixel `at` of `length`, among `from` pixels over the same extent.
    fn new(at: usize, length: usize, from: usize) -> Self {
        let position = (at as f64 + 0.5) * from as f64 / length as f64 - 0.5;
        let position = position.clamp(0.0, (from - 1) as f64);
        let first = position as usize;
        Self {
            first,
            second: (first + 1).min(from - 1),
            weight: (position - first as f64) as f32,
        }
    }

    fn of(&self, line: &[f32]) -> f32 {
        self.mix(line[self.first], line[self.second])
    }

    fn mix(&self, first: f32, second: f32) -> f32 {
        first + (second - first) * self.weight
    }
}

/// A box of pixels; `right` and `bottom` are just outside.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    left: usize,
    top: usize,
    right: usize,
    bottom: usize,
    pixels: usize,
}

impl Bounds {
    const NONE: Self = Self {
        left: usize::MAX,
        top: usize::MAX,
        right: 0,
        bottom: 0,
        pixels: 0,
    };

    fn of_subject(alpha: &[f32], width: usize) -> Result<Self, CutoutError> {
        let rows = alpha.par_chunks(width).enumerate();
        let bounds = rows
            .map(|(row, alpha)| Self::of_row(row, alpha))
            .reduce(|| Self::NONE, Self::union);
        match bounds.pixels {
            0 => Err(CutoutError::Empty),
            pixels if pixels < MIN_SUBJECT_PX => Err(CutoutError::TooSmall { pixels }),
            _ => Ok(bounds),
        }
    }

    fn of_row(row: usize, alpha: &[f32]) -> Self {
        let pixels = alpha.iter().filter(|alpha| **alpha >= INSIDE).count();
        let first = alpha.iter().position(|alpha| *alpha >= INSIDE);
        let last = alpha.iter().rposition(|alpha| *alpha >= INSIDE);
        match (first, last) {
            (Some(first), Some(last)) => Self {
                left: first,
                top: row,
                right: last + 1,
                bottom: row + 1,
                pixels,
            },
            _ => Self::NONE,
        }
    }

    /// Exact whatever the order: only least, greatest and whole sums.
    fn union(self, other: Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
            pixels: self.pixels + other.pixels,
        }
    }
}

/// A run of source pixels and how much of its first and last it covers.
#[derive(Debug, Clone, Copy)]
struct Span {
    first: usize,
    /// Just after the last; equal to `first` where nothing is covered.
    end: usize,
    first_weight: f32,
    last_weight: f32,
}

impl Span {
    fn weight(&self, at: usize) -> f32 {
        if at == self.first {
            self.first_weight
        } else if at + 1 == self.end {
            self.last_weight
        } else {
            1.0
        }
    }
}

/// The spans of source pixels that the rows or columns of a cut-out cover.
struct Spans {
    spans: Vec<Span>,
    /// The mean's weight of one whole source pixel.
    share: f32,
}

impl Spans {
    fn new(origin: f64, placement: &Placement, length: usize) -> Self {
        let edge = |at: usize| (origin + at as f64 * placement.scale).clamp(0.0, length as f64);
        let span = |at: usize| {
            let (start, end) = (edge(at), edge(at + 1));
            let (first, last) = (start.floor() as usize, end.ceil() as usize);
            if end <= start {
                return Span {
                    first,
                    end: first,
                    first_weight: 0.0,
                    last_weight: 0.0,
                };
            }
            let first_end = (first as f64 + 1.0).min(end);
            Span {
                first,
                end: last,
                first_weight: (first_end - start) as f32,
                last_weight: (end - (last as f64 - 1.0)) as f32,
            }
        };
        Self {
            spans: (0..placement.side).map(span).collect(),
            share: (1.0 / placement.scale) as f32,
        }
    }

    fn of(&self, at: usize) -> Span {
        self.spans[at]
    }

    /// The source pixels that all spans together cover, the last exclusive.
    fn extent(&self) -> (usize, usize) {
        let first = self.spans.first().map_or(0, |span| span.first);
        (first, self.spans.last().map_or(first, |span| span.end))
    }
}

/// What is cut out of.
struct Source<'a> {
    photo: &'a Photo,
    alpha: &'a [f32],
    on_white: bool,
}

impl Source<'_> {
    fn colour(&self, [red, green, blue, alpha]: [u8; 4]) -> [u8; 3] {
        if self.on_white && alpha < u8::MAX {
            let alpha = u16::from(alpha);
            return [red, green, blue].map(|colour| {
                ((u16::from(colour) * alpha + 255 * (255 - alpha) + 127) / 255) as u8
            });
        }
        [red, green, blue]
    }

    fn copy_row(
        &self,
        placement: &Placement,
        row: usize,
        pixels: &mut [[u8; 3]],
        alpha: &mut [f32],
    ) {
        let source_row = placement.origin_y as i64 + row as i64;
        if source_row < 0 || source_row >= self.photo.height as i64 {
            return;
        }
        let start = source_row as usize * self.photo.width;
        let origin = placement.origin_x as i64;
        let first = (-origin).max(0);
        let end = (self.photo.width as i64 - origin).min(placement.side as i64);
        for column in first..end {
            let at = start + (origin + column) as usize;
            pixels[column as usize] = self.colour(self.photo.pixels[at]);
            alpha[column as usize] = within_unit(self.alpha[at]);
        }
    }

    /// Fills a row with means: first down the lines it covers, then along them.
    fn mean_row(
        &self,
        lines: Span,
        columns: &Spans,
        sums: &mut Vec<[f32; 4]>,
        pixels: &mut [[u8; 3]],
        alpha: &mut [f32],
    ) {
        let width = self.photo.width;
        let (first, end) = columns.extent();
        sums.clear();
        sums.resize(width, [0.0; 4]);
        for line in lines.first..lines.end {
            let weight = lines.weight(line);
            let reach = line * width + first..line * width + end;
            let source = self.photo.pixels[reach.clone()]
                .iter()
                .zip(&self.alpha[reach]);
            for (sum, (pixel, alpha)) in sums[first..end].iter_mut().zip(source) {
                let covered = weight * within_unit(*alpha);
                let [red, green, blue] = self.colour(*pixel);
                sum[0] += covered * f32::from(red);
                sum[1] += covered * f32::from(green);
                sum[2] += covered * f32::from(blue);
                sum[3] += covered;
            }
        }
        let share = columns.share * columns.share;
        for ((pixel, alpha), span) in pixels.iter_mut().zip(alpha).zip(&columns.spans) {
            let mut total = [0.0_f32; 4];
            for (at, sums) in (span.first..).zip(&sums[span.first..span.end]) {
                let weight = span.weight(at);
                for (total, sum) in total.iter_mut().zip(sums) {
                    *total += weight * sum;
                }
            }
            let [red, green, blue, covered] = total;
            if covered > 0.0 {
                *pixel = [red, green, blue].map(|colour| (colour / covered).round() as u8);
                *alpha = within_unit(covered * share);
            }
        }
    }
}

/// Clamps to `0..=1`; what is not a number is 0.
fn within_unit(alpha: f32) -> f32 {
    if alpha.is_nan() {
        0.0
    } else {
        alpha.clamp(0.0, 1.0)
    }
}
