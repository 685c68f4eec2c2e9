//! The shape that one pass made, as a field.

use std::sync::OnceLock;

use rayon::prelude::*;

use super::TripoSrError;
use crate::compute::ops::Triplane;
use crate::compute::ops::math::sigmoid;
use crate::compute::ops::triplane::Layer;
use crate::compute::{GpuError, Ops, Reservation};
use crate::field::{Bounds, Brick, Field, Region, fill_coarse_first};

/// The density at the surface, after its exponential.
const SURFACE_DENSITY: f32 = 25.0;
/// Points of a chunk of work.
const CHUNK: usize = 4096;
/// Cells along a side that the field is sampled for its bounds in, or more: a texel each of the published
/// planes, and several a texel of coarser ones.
const LEAST_CELLS: usize = 64;

/// The shape that one pass made: a [`Field`] within `±radius` on every axis.
///
/// The model's own frame has +X towards the camera, +Y to the right and +Z up; a field's has +X to the
/// right, +Y up and +Z to the viewer. The value is the logarithm of the density over that of the surface:
/// the published threshold has the same zero set, and this is near linear where the density is exponential.
///
/// # What culling may miss
///
/// A perceptron has no useful proven bounds, so [`Field::bounds`] are taken from samples, at least one a texel
/// of the planes and 64 along each side, widened by as much as neighbouring samples differ. Between texels
/// the features are bilinear and vary slowly. A speck smaller than the distance of samples (1/64 of the box)
/// that touches nothing else may be missed; a surface that any brick sees is followed wherever it goes. In
/// bricks that are as fine as that or finer, every second sample decides likewise whether the others are evaluated.
///
/// # When the device fails
///
/// A field has no errors: what could not be evaluated is NaN, and [`Scene::failure`] tells why. Ask it
/// after the field was used and before its surface is.
#[derive(Debug)]
pub struct Scene {
    triplane: Triplane,
    radius: f32,
    /// Cells along a side.
    side: usize,
    /// Intervals of the cells between the samples, x fastest.
    cells: Vec<Bounds>,
    failure: OnceLock<GpuError>,
    _cells_memory: Reservation,
}

/// Has a decoder tell how much its density and this bias are above the surface's, in logarithms.
pub(super) fn put_surface_at_zero(decoder: &mut [Layer], density_bias: f32) {
    // There are no numbers in a run without arithmetic.
    if let Some(density) = decoder.last_mut().and_then(|last| last.bias.first_mut()) {
        *density += density_bias - SURFACE_DENSITY.ln();
    }
}

impl Scene {
    /// The scene of planes and a decoder whose surface is at 0.
    pub(super) fn new(
        triplane: Triplane,
        radius: f32,
        ops: &Ops<'_>,
    ) -> Result<Self, TripoSrError> {
        let side = triplane.side() * LEAST_CELLS.div_ceil(triplane.side().max(1));
        let samples_bytes = 4 * (side as u64 + 1).pow(3);
        let cells_bytes = size_of::<Bounds>() as u64 * (side as u64).pow(3);
        let cells_memory = ops.reserve(cells_bytes, "the field's bounds")?;
        let _samples_memory = ops.reserve(samples_bytes, "the field's samples")?;
        let mut scene = Self {
            triplane,
            radius,
            side,
            cells: Vec::new(),
            failure: OnceLock::new(),
            _cells_memory: cells_memory,
        };
        if !ops.is_shapes_only() {
            scene.sample_bounds(ops)?;
            scene.failure()?;
        }
        Ok(scene)
    }

    /// What happened to the device while the field was evaluated.
    ///
    /// # Errors
    ///
    /// The first error of the device.
    pub fn failure(&self) -> Result<(), GpuError> {
        self.failure.get().cloned().map_or(Ok(()), Err)
    }

    fn sample_bounds(&mut self, ops: &Ops<'_>) -> Result<(), TripoSrError> {
        let side = self.side;
        let samples = side + 1;
        let step = 2.0 * self.radius / side as f32;
        let mut values = vec![0.0; samples.pow(3)];
        values
            .par_chunks_mut(samples * samples)
            .enumerate()
            .try_for_each(|(plane, values)| {
                ops.context().cancel.checkpoint()?;
                let brick = Brick {
                    origin: [
                        -self.radius,
                        -self.radius,
                        step * plane as f32 - self.radius,
                    ],
                    step,
                    samples: [samples, samples, 1],
                };
                self.fill(&brick, values);
                Ok::<_, TripoSrError>(())
            })?;
        let cell = |cell: usize| {
            let at = [cell % side, cell / side % side, cell / (side * side)];
            let corners: [f32; 8] = std::array::from_fn(|corner| {
                let [x, y, z]: [usize; 3] =
                    std::array::from_fn(|axis| at[axis] + (corner >> axis & 1));
                values[(z * samples + y) * samples + x]
            });
            Bounds::of(&corners).widened()
        };
        self.cells = (0..side.pow(3)).into_par_iter().map(cell).collect();
        Ok(())
    }

    /// The logarithms of the densities at points of the field's frame: what the exponential is taken of,
    /// the published bias included.
    pub fn log_densities(&self, points: &[[f32; 3]]) -> Vec<f32> {
        let mut values = vec![0.0; points.len()];
        self.values(points, &mut values);
        values
            .iter()
            .map(|value| value + SURFACE_DENSITY.ln())
            .collect()
    }

    /// The colours (sRGB, `0..=1`) at points of the field's frame; `None` once cancelled, or when the device
    /// failed.
    pub fn colours(
        &self,
        points: &[[f32; 3]],
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Option<Vec<[f32; 3]>> {
        let mut colours = vec![[0.0; 3]; points.len()];
        let chunk = CHUNK.max(self.triplane.batch());
        points
            .par_chunks(chunk)
            .zip(colours.par_chunks_mut(chunk))
            .try_for_each(|(points, colours)| {
                (!cancelled()).then_some(())?;
                let points: Vec<_> = points.iter().copied().map(model_from_field).collect();
                let mut decoded = vec![[0.0; 4]; points.len()];
                if let Err(error) = self.triplane.decode(&points, &mut decoded) {
                    self.failure.get_or_init(|| error);
                    return None;
                }
                for (colour, [_, red, green, blue]) in colours.iter_mut().zip(decoded) {
                    *colour = [red, green, blue].map(sigmoid);
                }
                Some(())
            })?;
        Some(colours)
    }

    /// What a device extracts the surface from: the planes, and which axis of the field each axis of their points is.
    pub fn planes(&self) -> (&Triplane, [usize; 3]) {
        (&self.triplane, MODEL_AXES)
    }

    fn values(&self, points: &[[f32; 3]], values: &mut [f32]) {
        let points: Vec<_> = points.iter().copied().map(model_from_field).collect();
        if let Err(error) = self.triplane.densities(&points, values) {
            self.failure.get_or_init(|| error);
            values.fill(f32::NAN);
        }
    }

    /// The values at all samples of some bricks, one after another, so many together as suits.
    fn fill_bricks(&self, bricks: &[Brick], values: &mut [f32]) {
        let most = CHUNK.max(self.triplane.batch());
        let mut points = Vec::with_capacity(most.min(values.len()));
        let mut samples = bricks
            .iter()
            .flat_map(|brick| (0..brick.len()).map(|place| brick.point(place)));
        for values in values.chunks_mut(most) {
            points.clear();
            points.extend(samples.by_ref().take(values.len()));
            self.values(&points, values);
        }
    }
}

/// Which axis of the field each axis of the model is.
const MODEL_AXES: [usize; 3] = [2, 0, 1];

/// From right, up, viewer to the model's viewer, right, up.
fn model_from_field(point: [f32; 3]) -> [f32; 3] {
    MODEL_AXES.map(|axis| point[axis])
}

fn field_from_model([x, y, z]: [f32; 3]) -> [f32; 3] {
    [y, z, x]
}

impl Field for Scene {
    fn extent(&self) -> Region {
        Region {
            min: [-self.radius; 3],
            max: [self.radius; 3],
        }
    }

    fn fill(&self, brick: &Brick, values: &mut [f32]) {
        self.fill_bricks(std::slice::from_ref(brick), values);
    }

    fn fill_all(&self, bricks: &[Brick], values: &mut [f32]) {
        self.fill_bricks(bricks, values);
    }

    /// On the processor, bricks as fine as the samples that the bounds are taken from, or finer, are filled from
    /// coarse to fine. On a device a brick is done before it would be known what to leave out.
    fn fill_near_surface(&self, bricks: &[Brick], values: &mut [f32]) {
        let cell = 2.0 * self.radius / self.side as f32;
        if self.triplane.batch() > 1 || bricks.iter().any(|brick| 2.0 * brick.step > 1.01 * cell) {
            return self.fill_all(bricks, values);
        }
        let mut rest = values;
        for brick in bricks {
            let (own, others) = rest.split_at_mut(brick.len());
            fill_coarse_first(brick, own, |points, values| self.values(points, values));
            rest = others;
        }
    }

    fn batch(&self) -> usize {
        self.triplane.batch()
    }

    fn bounds(&self, region: &Region) -> Bounds {
        let side = self.side;
        let scale = side as f32 / (2.0 * self.radius);
        // `as` saturates. A region that ends on a sample takes the cells on either side of it.
        let range = |axis: usize| {
            let first = ((region.min[axis] + self.radius) * scale) as usize;
            let last = ((region.max[axis] + self.radius) * scale) as usize;
            first.min(side - 1)..(last + 1).clamp(1, side)
        };
        let mut bounds = Bounds {
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
        };
        for z in range(2) {
            for y in range(1) {
                for cell in &self.cells[(z * side + y) * side..][range(0)] {
                    bounds.min = bounds.min.min(cell.min);
                    bounds.max = bounds.max.max(cell.max);
                }
            }
        }
        bounds
    }

    fn value_and_gradient(&self, point: [f32; 3]) -> Option<(f32, [f32; 3])> {
        let (density, gradient) = self.triplane.density_and_gradient(model_from_field(point));
        Some((density, field_from_model(gradient)))
    }
}
