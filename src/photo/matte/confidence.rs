//! How far an estimated matte can be trusted.

use super::working_image::WorkingImage;

/// What speaks for and against an estimate; every figure in `0.0..=1.0`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Evidence {
    /// The overlap of the first walk with the final mask.
    pub(super) first_agreement: f32,
    /// How sharp the contour is against the background's own edges.
    pub(super) contrast: f32,
    /// The share of the outermost pixels that belong to the mask.
    pub(super) border: f32,
    /// The share of all pixels that belong to the mask.
    pub(super) area: f32,
}

impl Evidence {
    pub(super) fn gather(
        image: &WorkingImage,
        lab: &[[f32; 3]],
        mask: &[bool],
        first: &[f32],
    ) -> Self {
        let (width, height) = (image.width, image.height);
        let inside = mask.iter().filter(|inside| **inside).count();
        if inside == 0 || inside == mask.len() {
            return Self::default();
        }
        let outermost = image.frame(1);
        let count =
            |chosen: &dyn Fn(usize) -> bool| (0..mask.len()).filter(|&i| chosen(i)).count() as f32;
        let border = count(&|i| outermost[i] && mask[i]) / count(&|i| outermost[i]).max(1.0);
        let gradient = gradient(lab, width, height);
        let contour: Vec<bool> = (0..mask.len())
            .map(|i| mask[i] && neighbours(i, width, height).any(|j| !mask[j]))
            .collect();
        let near = grow(mask, width, height, 4);
        let mean = |chosen: &dyn Fn(usize) -> bool, value: &dyn Fn(usize) -> f32| {
            let (mut sum, mut n) = (0.0_f64, 0.0_f64);
            for i in (0..mask.len()).filter(|&i| chosen(i)) {
                sum += f64::from(value(i));
                n += 1.0;
            }
            if n > 0.0 { (sum / n) as f32 } else { 0.0 }
        };
        let edge = mean(&|i| contour[i], &|i| {
            neighbours(i, width, height)
                .map(|j| gradient[j])
                .fold(gradient[i], f32::max)
        });
        let clutter = if near.iter().all(|near| *near) {
            edge
        } else {
            mean(&|i| !near[i], &|i| gradient[i])
        };
        let contrast = ((edge / (clutter + 0.6) - 1.0) / 6.0).clamp(0.0, 1.0);
        Self {
            first_agreement: overlap(mask, |i| first[i] > 0.5),
            contrast,
            border,
            area: inside as f32 / mask.len() as f32,
        }
    }
}

/// The confidence that the evidence supports.
pub(super) fn confidence(evidence: &Evidence) -> f32 {
    let gates =
        (evidence.area / 0.02).clamp(0.0, 1.0) * ((0.95 - evidence.area) / 0.1).clamp(0.0, 1.0);
    (0.5 * evidence.first_agreement + 0.5 * evidence.contrast) * (1.0 - evidence.border) * gates
}

/// Intersection over union of two masks.
fn overlap(mask: &[bool], other: impl Fn(usize) -> bool) -> f32 {
    let (mut both, mut either) = (0_usize, 0_usize);
    for (i, &inside) in mask.iter().enumerate() {
        both += usize::from(inside && other(i));
        either += usize::from(inside || other(i));
    }
    if either == 0 {
        0.0
    } else {
        both as f32 / either as f32
    }
}

/// The length of the colour gradient, in Lab units a pixel.
pub(super) fn gradient(lab: &[[f32; 3]], width: usize, height: usize) -> Vec<f32> {
    (0..lab.len())
        .map(|i| {
            let (x, y) = (i % width, i / width);
            let left = lab[i - usize::from(x > 0)];
            let right = lab[i + usize::from(x + 1 < width)];
            let up = lab[if y > 0 { i - width } else { i }];
            let down = lab[if y + 1 < height { i + width } else { i }];
            (0..3)
                .map(|c| {
                    let (dx, dy) = (0.5 * (right[c] - left[c]), 0.5 * (down[c] - up[c]));
                    dx * dx + dy * dy
                })
                .sum::<f32>()
                .sqrt()
        })
        .collect()
}

fn neighbours(i: usize, width: usize, height: usize) -> impl Iterator<Item = usize> {
    let (x, y) = (i % width, i / width);
    [
        (x > 0).then(|| i.wrapping_sub(1)),
        (x + 1 < width).then_some(i + 1),
        (y > 0).then(|| i.wrapping_sub(width)),
        (y + 1 < height).then_some(i + width),
    ]
    .into_iter()
    .flatten()
}

fn grow(mask: &[bool], width: usize, height: usize, steps: usize) -> Vec<bool> {
    let mut grown = mask.to_vec();
    for _ in 0..steps {
        let before = grown.clone();
        for i in 0..mask.len() {
            grown[i] = before[i] || neighbours(i, width, height).any(|j| before[j]);
        }
    }
    grown
}
