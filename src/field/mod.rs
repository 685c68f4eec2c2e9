//! Fields: scalar functions of space whose zero set is the surface of a shape.
//!
//! Inside is positive, the surface is at 0, outside is negative; every shape source converts its own
//! convention once. The isosurface sees nothing of a source but the [`Field`] trait. This module never
//! knows where a field comes from, and touches neither files nor devices.

mod analytic;
mod grid;
mod hierarchy;
mod near;
mod sparse;

pub use analytic::Analytic;
pub use grid::{DenseGrid, GridError};
pub use hierarchy::{Evaluate, Hierarchy, Lattices};
pub use near::fill_coarse_first;
pub use sparse::SparseGrid;

/// An axis-aligned box in the field frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Region {
    /// The least corner.
    pub min: [f32; 3],
    /// The greatest corner.
    pub max: [f32; 3],
}

/// An interval that contains every value a field takes in some region.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// No value is below this.
    pub min: f32,
    /// No value is above this.
    pub max: f32,
}

impl Bounds {
    /// The least that contains some values; NaN where one of them is.
    pub fn of(values: &[f32]) -> Self {
        let nothing = Self {
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
        };
        let chosen = |is_further: bool, value: f32, bound: f32| {
            if is_further || value.is_nan() {
                value
            } else {
                bound
            }
        };
        values.iter().fold(nothing, |bounds, &value| Self {
            min: chosen(value < bounds.min, value, bounds.min),
            max: chosen(value > bounds.max, value, bounds.max),
        })
    }

    /// As far again on either side as the bounds are apart: what lies between samples may be, as a rule.
    #[must_use]
    pub fn widened(self) -> Self {
        let spread = self.max - self.min;
        Self {
            min: self.min - spread,
            max: self.max + spread,
        }
    }

    /// Whether the surface, where the value is 0, may pass through the region.
    pub fn straddles_surface(&self) -> bool {
        // A bound of NaN is not evidence of absence.
        !(self.min > 0.0 || self.max < 0.0)
    }
}

/// A regular block of sample points: `origin + step * (i, j, k)`, with `i` below `samples[0]`, and so on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Brick {
    /// The first sample point.
    pub origin: [f32; 3],
    /// The distance between neighbouring samples, the same along every axis.
    pub step: f32,
    /// The number of samples along x, y and z.
    pub samples: [usize; 3],
}

impl Brick {
    /// The number of samples in the brick.
    pub fn len(&self) -> usize {
        self.samples.iter().product()
    }

    /// Whether the brick holds no sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The indices along x, y and z of the sample at a place, x fastest.
    pub fn index(&self, place: usize) -> [usize; 3] {
        let [columns, rows, _] = self.samples;
        [
            place % columns,
            place / columns % rows,
            place / (columns * rows),
        ]
    }

    /// The position of the sample at a place, x fastest.
    pub fn point(&self, place: usize) -> [f32; 3] {
        let at = self.index(place);
        std::array::from_fn(|axis| self.origin[axis] + self.step * at[axis] as f32)
    }
}

/// A scalar function of space: positive inside, 0 on the surface, negative outside.
pub trait Field: Sync {
    /// A box that contains the whole surface with some room on every side.
    fn extent(&self) -> Region;

    /// Writes the field's value at every sample of `brick` into `values`, x fastest, z slowest.
    ///
    /// NaN means "not evaluated": the isosurface leaves such cells out.
    fn fill(&self, brick: &Brick, values: &mut [f32]);

    /// Writes the field's values at every sample of several bricks, one brick after another.
    fn fill_all(&self, bricks: &[Brick], values: &mut [f32]) {
        let mut rest = values;
        for brick in bricks {
            let (own, others) = rest.split_at_mut(brick.len());
            self.fill(brick, own);
            rest = others;
        }
    }

    /// As [`Field::fill_all`], but a brick that the surface does not pass needs no more than samples of the right
    /// sign: a field whose every value is dear leaves out what it can.
    fn fill_near_surface(&self, bricks: &[Brick], values: &mut [f32]) {
        self.fill_all(bricks, values);
    }

    /// How many samples are best asked for at once with [`Field::fill_all`]; many where they are computed
    /// on a device.
    fn batch(&self) -> usize {
        1
    }

    /// An interval containing every value in `region`; it may be wider than necessary, never narrower.
    fn bounds(&self, region: &Region) -> Bounds;

    /// The value and its gradient at one point, or `None` where the field cannot tell.
    fn value_and_gradient(&self, point: [f32; 3]) -> Option<(f32, [f32; 3])>;
}
