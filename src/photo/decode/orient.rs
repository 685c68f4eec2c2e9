//! Turns a picture upright, as its metadata asks.

use crate::photo::Photo;
use image::metadata::Orientation;
use rayon::prelude::*;

/// Applies an EXIF orientation.
pub(super) fn upright(mut photo: Photo, orientation: Orientation) -> Photo {
    let width = photo.width;
    match orientation {
        Orientation::NoTransforms => photo,
        Orientation::Rotate180 => {
            photo.pixels.reverse();
            photo
        }
        Orientation::FlipHorizontal => {
            photo.pixels.par_chunks_mut(width).for_each(<[_]>::reverse);
            photo
        }
        Orientation::FlipVertical => {
            photo.pixels.reverse();
            photo.pixels.par_chunks_mut(width).for_each(<[_]>::reverse);
            photo
        }
        Orientation::Rotate90 => transposed(&photo, false, true),
        Orientation::Rotate270 => transposed(&photo, true, false),
        Orientation::Rotate90FlipH => transposed(&photo, false, false),
        Orientation::Rotate270FlipH => transposed(&photo, true, true),
    }
}

/// Swaps rows and columns; reads columns from the right, or rows from the bottom.
fn transposed(photo: &Photo, from_right: bool, from_bottom: bool) -> Photo {
    // Bands of source columns as wide as a cache line, so that each line fetched is used whole.
    const BAND: usize = 16;
    let (width, height) = (photo.width, photo.height);
    let mut pixels = vec![[0; 4]; photo.pixels.len()];
    pixels
        .par_chunks_mut(height * BAND)
        .enumerate()
        .for_each(|(band, rows)| {
            for column in 0..height {
                let source_row = if from_bottom {
                    height - 1 - column
                } else {
                    column
                };
                let source = &photo.pixels[source_row * width..][..width];
                for (index, row) in rows.chunks_exact_mut(height).enumerate() {
                    let column_of_source = band * BAND + index;
                    row[column] = source[if from_right {
                        width - 1 - column_of_source
                    } else {
                        column_of_source
                    }];
                }
            }
        });
    Photo {
        width: height,
        height: width,
        pixels,
    }
}
