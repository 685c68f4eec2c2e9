//! The density of a perceptron over planes on a device: points are written there, answered there and become samples
//! and vertices there.

use super::super::OpError;
use super::super::device::count;
use super::super::triplane::{OnDevice, Triplane};
use super::cuda::{DeviceField, Extraction, extract};
use super::{BrickPlace, Request, Surface};
use crate::compute::kernels::{
    BRICK_SAMPLES, IsosurfaceParams, IsosurfaceStep as Step, PointwiseParams,
};

/// Bytes of the coordinates of a brick.
const PLACE_BYTES: u64 = size_of::<BrickPlace>() as u64;

/// A perceptron on a device, and which axis of the field each axis of its points is.
struct PlanesField<'a> {
    planes: &'a OnDevice,
    axes: [i32; 3],
}

impl DeviceField for PlanesField<'_> {
    fn fill(&self, extraction: &Extraction<'_>, bricks: usize) -> Result<(), OpError> {
        let each = BRICK_SAMPLES as usize;
        let to = extraction.params.values;
        self.planes
            .fill(bricks * each, each, to, |points, samples| {
                let params = IsosurfaceParams {
                    points,
                    places: extraction.params.places + PLACE_BYTES * (samples.start / each) as u64,
                    count: (samples.len() / each) as i64,
                    axes: self.axes,
                    ..extraction.params
                };
                extraction.run(params.launch(Step::Points))
            })
    }

    fn place(&self, extraction: &mut Extraction<'_>, vertices: u64) -> Result<(), OpError> {
        let points = extraction.room(12 * vertices)?;
        let answers = [
            extraction.room(16 * vertices)?,
            extraction.room(16 * vertices)?,
        ];
        let mut params = PointwiseParams {
            first: 0,
            second: 0,
            surface: IsosurfaceParams {
                points,
                axes: self.axes,
                ..extraction.params
            },
            shift: self.planes.shift(),
            padding: 0,
        };
        for (step, to) in answers.into_iter().enumerate() {
            extraction.run(params.launch_asking())?;
            self.planes
                .answer(points, vertices as usize, to, extraction.cancel)?;
            *[&mut params.first, &mut params.second][step] = to;
        }
        extraction.run(params.launch_placing())
    }
}

/// The surface where the first output of a perceptron over planes is 0, in the bricks at `places`: their coordinates
/// and 0. `axes` tells which axis of the lattice each axis of the planes' points is.
///
/// # Errors
///
/// [`OpError`] when cancelled, out of memory, or when the device failed.
///
/// # Panics
///
/// When the planes are not on the device, or take fewer points together than a brick has.
pub fn extract_planes(
    request: &Request<'_>,
    places: Vec<BrickPlace>,
    (planes, axes): (&Triplane, [usize; 3]),
) -> Result<Surface, OpError> {
    let axis = |axis: usize| count("brick_points", "an axis", axes[axis]);
    let field = PlanesField {
        planes: planes.on_device().expect("planes on the device"),
        axes: [axis(0)?, axis(1)?, axis(2)?],
    };
    extract(request, places, &field)
}
