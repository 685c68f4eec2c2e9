//! Sines and cosines of points on the processor.

use rayon::prelude::*;

use super::super::{BLOCK_ROWS, Matrix};
use crate::compute::{Activations, Cancel, Cancelled};

/// The system's sine in 64 bits, rounded to 32, is the same everywhere but where it lies within the former's
/// error of the middle between two numbers: one place in a hundred million.
pub(super) fn fourier(
    points: &[[f32; 3]],
    frequencies: usize,
    rows: &mut Matrix,
    activations: Activations,
    cancel: &Cancel,
) -> Result<(), Cancelled> {
    let columns = rows.columns();
    rows.values_mut()
        .par_chunks_mut(BLOCK_ROWS * columns)
        .zip(points.par_chunks(BLOCK_ROWS))
        .try_for_each(|(rows, points)| {
            cancel.checkpoint()?;
            for (row, point) in rows.chunks_exact_mut(columns).zip(points) {
                row[..3].copy_from_slice(point);
                let (sines, cosines) = row[3..].split_at_mut(3 * frequencies);
                for (axis, coordinate) in point.iter().enumerate() {
                    let mut angle = *coordinate;
                    for frequency in 0..frequencies {
                        let (sine, cosine) = f64::from(angle).sin_cos();
                        sines[axis * frequencies + frequency] = sine as f32;
                        cosines[axis * frequencies + frequency] = cosine as f32;
                        angle *= 2.0;
                    }
                }
            }
            activations.round(rows);
            Ok(())
        })
}
