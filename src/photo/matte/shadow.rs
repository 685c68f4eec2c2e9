//! Shadows and slow changes of light: background that looks unlike the frame.
//!
//! A shadow scales a surface's linear colour. In Lab, `(L* + 16, a*, b*)` scales with the cube root of
//! that, so a shadowed colour lies between the surface's and `(-16, 0, 0)`. Such a colour alone says
//! little, since grey things exist; but a shadow also begins softly, so that the frame reaches it
//! without crossing an edge.

use super::colour::gradient;
use super::gaussian::clusters;
use super::saliency::quantile;
use super::working_image::WorkingImage;

/// The darkest and lightest a lit or shadowed surface may be, as the cube root of the share of light.
const LIGHT: std::ops::RangeInclusive<f32> = 0.45..=1.8;
/// How far from the line of its shades a colour may be, in units of Lab.
const TINT: f32 = 4.0;
/// The steepest slope of a shadow's rim, Lab units a pixel at the working size.
const SOFT: f32 = 3.0;

/// The pixels that the frame reaches through shades of its own colours without crossing an edge.
pub(super) fn lit_background(image: &WorkingImage, lab: &[[f32; 3]], frame: &[bool]) -> Vec<bool> {
    let (width, height) = (image.width, image.height);
    let samples: Vec<([f32; 3], f32)> = (0..lab.len())
        .filter(|&i| frame[i] && image.alpha[i] >= 0.5)
        .map(|i| (lab[i], 1.0))
        .collect();
    let surfaces: Vec<[f32; 3]> = clusters(&samples, 4)
        .iter()
        .filter(|cluster| cluster.weight >= 0.08 * samples.len() as f64)
        .map(|cluster| cluster.mean().map(|value| value as f32))
        .collect();
    let slope = gradient(lab, width, height);
    let on_frame: Vec<f32> = (0..lab.len())
        .filter(|&i| frame[i])
        .map(|i| slope[i])
        .collect();
    let steepest = SOFT / image.scale().clamp(0.5, 1.0) + 2.0 * quantile(&on_frame, 0.5);
    let smooth: Vec<bool> = (0..lab.len())
        .map(|i| slope[i] < steepest && surfaces.iter().any(|&surface| is_shade(lab[i], surface)))
        .collect();
    flood(&smooth, image)
}

fn is_shade(colour: [f32; 3], surface: [f32; 3]) -> bool {
    let shift = |[l, a, b]: [f32; 3]| [l + 16.0, a, b];
    let (colour, surface) = (shift(colour), shift(surface));
    let (mut along, mut length) = (0.0, 0.0);
    for c in 0..3 {
        along += colour[c] * surface[c];
        length += surface[c] * surface[c];
    }
    let light = along / length.max(1.0);
    let off: f32 = (0..3)
        .map(|c| (colour[c] - light * surface[c]).powi(2))
        .sum::<f32>();
    LIGHT.contains(&light) && off < TINT * TINT
}

/// What the outermost pixels reach through `open` pixels, by gaps at least 3 pixels wide.
fn flood(open: &[bool], image: &WorkingImage) -> Vec<bool> {
    let (width, height) = (image.width, image.height);
    let block = |i: usize| {
        let (x, y) = (i % width, i / width);
        (y.saturating_sub(1)..(y + 2).min(height)).flat_map(move |y| {
            (x.saturating_sub(1)..(x + 2).min(width)).map(move |x| y * width + x)
        })
    };
    let wide: Vec<bool> = (0..open.len()).map(|i| block(i).all(|j| open[j])).collect();
    let mut reached = image.frame(1);
    let mut queue: Vec<usize> = Vec::new();
    for i in 0..open.len() {
        reached[i] &= wide[i];
        if reached[i] {
            queue.push(i);
        }
    }
    while let Some(i) = queue.pop() {
        for j in block(i) {
            if wide[j] && !reached[j] {
                reached[j] = true;
                queue.push(j);
            }
        }
    }
    (0..open.len())
        .map(|i| open[i] && block(i).any(|j| reached[j]))
        .collect()
}
