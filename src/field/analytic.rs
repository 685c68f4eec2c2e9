//! Fields given by a formula.

use super::{Bounds, Brick, Field, Region};

/// A field given by a formula that changes by no more than `lipschitz` a unit of distance.
///
/// The bound on its slope is all that is needed for culling, so that any signed distance function, and
/// any union, intersection or offset of some, can be meshed without further work (Hart 1996, "Sphere
/// tracing").
#[derive(Debug, Clone, Copy)]
pub struct Analytic<F> {
    extent: Region,
    lipschitz: f32,
    value: F,
}

impl<F: Fn([f32; 3]) -> f32 + Sync> Analytic<F> {
    /// The field of `value` (positive inside) within `extent`; `lipschitz` is 1 for a signed distance.
    pub fn new(extent: Region, lipschitz: f32, value: F) -> Self {
        Self {
            extent,
            lipschitz,
            value,
        }
    }
}

impl<F: Fn([f32; 3]) -> f32 + Sync> Field for Analytic<F> {
    fn extent(&self) -> Region {
        self.extent
    }

    fn fill(&self, brick: &Brick, values: &mut [f32]) {
        let [columns, rows, _] = brick.samples;
        if brick.is_empty() {
            return;
        }
        for (index, line) in values.chunks_exact_mut(columns).enumerate() {
            let y = brick.origin[1] + brick.step * (index % rows) as f32;
            let z = brick.origin[2] + brick.step * (index / rows) as f32;
            for (column, value) in line.iter_mut().enumerate() {
                *value = (self.value)([brick.origin[0] + brick.step * column as f32, y, z]);
            }
        }
    }

    fn bounds(&self, region: &Region) -> Bounds {
        let centre = std::array::from_fn(|axis| 0.5 * (region.min[axis] + region.max[axis]));
        let diagonal = (0..3)
            .map(|axis| (region.max[axis] - region.min[axis]).powi(2))
            .sum::<f32>()
            .sqrt();
        let value = (self.value)(centre);
        let reach = 0.5 * self.lipschitz * diagonal;
        Bounds {
            min: value - reach,
            max: value + reach,
        }
    }

    fn value_and_gradient(&self, point: [f32; 3]) -> Option<(f32, [f32; 3])> {
        let side = (0..3).fold(0.0_f32, |side, axis| {
            side.max(self.extent.max[axis] - self.extent.min[axis])
        });
        // About the cube root of f32's precision: the best step for a central difference.
        let step = 2.0e-3 * side;
        let mut gradient = [0.0; 3];
        for (axis, slope) in gradient.iter_mut().enumerate() {
            let (mut before, mut after) = (point, point);
            before[axis] -= step;
            after[axis] += step;
            *slope = ((self.value)(after) - (self.value)(before)) / (after[axis] - before[axis]);
        }
        Some(((self.value)(point), gradient))
    }
}
