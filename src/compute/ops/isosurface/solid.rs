//! The solid of `inflate` on a device: filled and its vertices placed by kernels of its own.

use std::sync::Arc;

use super::super::OpError;
use super::super::device::count;
use super::cuda::{DeviceField, Extraction, extract};
use super::{BrickPlace, Request, Surface};
use crate::compute::cuda::Buffer;
use crate::compute::kernels::{SolidFillParams, SolidMaps, SolidShape, SolidVerticesParams};
use crate::compute::{Gpu, GpuError};

/// Samples along the side of a brick.
const SIDE_SAMPLES: i32 = 9;

/// The solid of `inflate` on a device.
#[derive(Debug)]
pub struct SolidField {
    shape: SolidShape,
    squared_height: Buffer,
    inverse_diameter: Buffer,
    raised: Option<Buffer>,
}

impl SolidField {
    /// Takes a solid's numbers and maps: `stride` rows and columns of spline coefficients each.
    ///
    /// # Errors
    ///
    /// [`GpuError::OutOfMemory`]; else whatever happened to the device.
    ///
    /// # Panics
    ///
    /// When a map has another size.
    pub fn new(
        gpu: &Arc<Gpu>,
        shape: SolidShape,
        squared_height: &[f32],
        inverse_diameter: &[f32],
        raised: Option<&[f32]>,
    ) -> Result<Self, GpuError> {
        let side = usize::try_from(shape.stride).unwrap_or(0);
        let put = |map: &[f32]| {
            assert_eq!(map.len(), side * side, "a map of the solid's stride");
            Buffer::of_bytes(gpu, bytemuck::cast_slice(map), "the solid's maps")
        };
        Ok(Self {
            shape,
            squared_height: put(squared_height)?,
            inverse_diameter: put(inverse_diameter)?,
            raised: raised.map(put).transpose()?,
        })
    }

    fn maps(&self) -> SolidMaps {
        SolidMaps {
            squared_height: self.squared_height.at(0),
            inverse_diameter: self.inverse_diameter.at(0),
            raised: self.raised.as_ref().map_or(0, |raised| raised.at(0)),
        }
    }
}

impl DeviceField for SolidField {
    fn fill(&self, extraction: &Extraction<'_>, bricks: usize) -> Result<(), OpError> {
        let params = &extraction.params;
        let fill = SolidFillParams {
            values: params.values,
            places: params.places,
            maps: self.maps(),
            solid: self.shape,
            origin: params.origin,
            step: params.step,
            samples: [SIDE_SAMPLES; 3],
            padding: 0,
        };
        let bricks = count("fill_solid", "the bricks", bricks)?;
        extraction.run(fill.launch(bricks.unsigned_abs()))
    }

    fn place(&self, extraction: &mut Extraction<'_>, _vertices: u64) -> Result<(), OpError> {
        let place = SolidVerticesParams {
            maps: self.maps(),
            surface: extraction.params,
            solid: self.shape,
        };
        extraction.run(place.launch())
    }
}

/// The surface of a solid in the bricks at `places`: their coordinates and 0.
///
/// # Errors
///
/// [`OpError`] when cancelled, out of memory, or when the device failed.
pub fn extract_solid(
    request: &Request<'_>,
    places: Vec<BrickPlace>,
    solid: &SolidField,
) -> Result<Surface, OpError> {
    extract(request, places, solid)
}
