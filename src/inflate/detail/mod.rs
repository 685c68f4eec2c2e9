//! Shading detail: what the light in a photo tells of a surface whose coarse shape is known.
//!
//! Shading is told from paint (`retinex`), the light is fitted to the base's normals (`light`), and a relief
//! is found that explains the shading best (`refine`). Never touches the silhouette: the relief fades to 0
//! at the rim.

mod domain;
mod light;
mod poisson;
mod refine;
mod retinex;
mod solver;

use super::Map;
use domain::Domain;
use light::{Light, fit_light};
use refine::{Target, normals, refine};
use retinex::log_shading;

/// Pixels nearer to the outline than this are no part of the fit, in pixels.
const OUTLINE_PX: f32 = 0.3;
/// The relief begins here from the outline, in pixels …
const RIM_START_PX: f32 = 1.0;
/// … and takes this many to reach its full height.
const RIM_WIDTH_PX: f32 = 3.0;
/// Shading with less contrast than this tells nothing of the shape.
const WEAKEST_LIGHT: f32 = 0.15;
/// The relief lowers the base at most by this share of its height …
const DEEPEST: f32 = 0.6;
/// … and raises it at most by this.
const HIGHEST: f32 = 1.2;
/// Squared heights below this give no normals.
const FLATTEST_SQUARED: f32 = 0.05;
/// The light is estimated this often, with the relief so far; each entry is followed by as many
/// Gauss-Newton steps.
const LIGHT_ROUNDS: [usize; 2] = [8, 6];

/// What shading adds to a base shape.
#[derive(Debug, Clone, PartialEq)]
pub struct ShadingDetail {
    /// Height to add to the front, in pixels of this map, at full strength: faded out at the rim and kept
    /// within −0.6 and 1.2 times the base's height.
    pub relief: Map,
    /// Direction of the light (x right, y up, z to the viewer), as long as `light_strength`.
    pub light: [f32; 3],
    /// How strongly log brightness follows the normal. Below 0.15 the relief is 0.
    pub light_strength: f32,
}

/// Finds the relief that explains the shading of a base shape under one distant light.
///
/// `height` is the base's half thickness and `inside` the signed distance to the outline, positive inside,
/// both in pixels; `linear_rgb` are linear colours, one for each pixel of these maps (made for 128 × 128,
/// where constants in pixels hold). `None` once cancelled.
///
/// # Panics
///
/// Where the three inputs differ in size.
pub fn shading_detail(
    height: &Map,
    inside: &Map,
    linear_rgb: &[[f32; 3]],
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Option<ShadingDetail> {
    let side = height.side;
    assert_eq!(side, inside.side, "height and distance differ in size");
    assert_eq!(side * side, linear_rgb.len(), "colours differ in size");
    let Some(domain) = Domain::new(side, |pixel| inside.values[pixel] > OUTLINE_PX) else {
        return Some(ShadingDetail::none(side, [0.0; 3], 0.0));
    };
    let shading = log_shading(&domain, side, linear_rgb, cancelled)?;
    let squared = |pixel: usize| height.values[pixel].powi(2).max(FLATTEST_SQUARED);
    let base = domain.gather(|pixel| squared(pixel).sqrt());
    let trust = domain
        .gather(|pixel| ((inside.values[pixel] - RIM_START_PX) / RIM_WIDTH_PX).clamp(0.0, 1.0));
    let target = Target {
        domain: &domain,
        base: &base,
        shading: &shading,
        trust: &trust,
    };
    let mut surface_normals = base_normals(&domain, side, squared);
    let mut relief = domain.zeros();
    let mut light = Light::default();
    for steps in LIGHT_ROUNDS {
        light = fit_light(&domain, &shading, &surface_normals);
        // False for NaN as well.
        let tells_shape = light.strength() >= WEAKEST_LIGHT;
        if !tells_shape {
            return Some(ShadingDetail::none(side, light.direction, light.strength()));
        }
        refine(&target, light, &mut relief, steps, cancelled)?;
        let surface: Vec<f32> = base.iter().zip(&relief).map(|(b, r)| b + r).collect();
        surface_normals = normals(&domain, &surface);
    }
    for (place, value) in relief.iter_mut().enumerate() {
        *value = (*value * trust[place]).clamp(-DEEPEST * base[place], HIGHEST * base[place]);
    }
    Some(ShadingDetail {
        relief: domain.scatter(&relief),
        light: light.direction,
        light_strength: light.strength(),
    })
}

impl ShadingDetail {
    fn none(side: usize, light: [f32; 3], light_strength: f32) -> Self {
        Self {
            relief: Map::filled(side, 0.0),
            light,
            light_strength,
        }
    }
}

/// Normals of the solid `squared height = z²`: unlike those of the height itself they are right up to the
/// outline, where the height's slope is unbounded.
fn base_normals(domain: &Domain, side: usize, squared: impl Fn(usize) -> f32) -> [Vec<f32>; 3] {
    let slope = |pixel: usize, place: usize, step: usize| {
        let before = if place > 0 { pixel - step } else { pixel };
        let after = if place + 1 < side {
            pixel + step
        } else {
            pixel
        };
        (squared(after) - squared(before)) / ((after - before) / step).max(1) as f32
    };
    let normal = |pixel: usize| {
        glam::Vec3::new(
            -slope(pixel, pixel % side, 1),
            slope(pixel, pixel / side, side),
            2.0 * squared(pixel).sqrt(),
        )
        .normalize_or_zero()
    };
    [0, 1, 2].map(|axis| domain.gather(|pixel| normal(pixel)[axis]))
}
