//! The colours along the frame, taken for the background's.

use super::gaussian::{Gaussian, clusters};
use super::working_image::WorkingImage;

/// How far every pixel's colour is from those along the frame, in standard deviations of the nearest.
///
/// The frame's colours are cut into at most 4 clusters; a cluster with less than 8 % of them may be the
/// subject's, where it touches the frame, and is dropped. `frame` says which pixels are the frame's.
pub(super) fn distance_from_border(
    image: &WorkingImage,
    lab: &[[f32; 3]],
    frame: &[bool],
) -> Vec<f32> {
    let samples: Vec<([f32; 3], f32)> = (0..lab.len())
        .filter(|&i| frame[i] && image.alpha[i] >= 0.5)
        .map(|i| (lab[i], 1.0))
        .collect();
    let background: Vec<Gaussian> = clusters(&samples, 4)
        .iter()
        .filter(|cluster| cluster.weight >= 0.08 * samples.len() as f64)
        .map(|cluster| Gaussian::new(cluster, [6.0, 3.0, 3.0]))
        .collect();
    lab.iter()
        .map(|&colour| {
            background
                .iter()
                .map(|gaussian| gaussian.squared_distance(colour))
                .fold(f32::INFINITY, f32::min)
                .min(1e6)
                .sqrt()
        })
        .collect()
}
