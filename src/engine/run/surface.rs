//! The surface of the embedded source's solid: on the job's CUDA device where it has one, else on the
//! processor, with the same mesh either way.

use std::sync::Arc;

use super::super::failure::Stop;
use super::Run;
use crate::compute::ops::isosurface::{Lattice, Rules, SolidField, Surface, extract_solid};
use crate::compute::{Cancel, Gpu, GpuError, OpError};
use crate::inflate::Solid;
use crate::mesh::Mesh;
use crate::mesh::isosurface::{self, IsosurfaceError, Parts, Survey};

/// The level at which a device shows that it makes the processor's mesh, before it is first used.
const CHECK_LEVEL: u32 = 16;
/// How far a vertex may be from the processor's, in frame sides.
const TOLERANCE: f32 = 1e-5;

impl Run<'_> {
    /// The surface of a solid in the bricks of its survey.
    pub(super) fn extract(&self, solid: &Solid, survey: &Survey) -> Result<Mesh, Stop> {
        let cancel = &self.context.cancel;
        let cancelled = || cancel.is_cancelled();
        let Some(gpu) = &self.context.gpu else {
            return Ok(isosurface::extract(solid, survey, &cancelled)?);
        };
        gpu.checked("isosurface", || makes_the_processors_mesh(gpu, solid))?;
        let parts = parts(gpu, cancel, solid, survey)?;
        Ok(isosurface::assemble(parts, &cancelled)?)
    }
}

/// What a device makes of a solid.
fn parts(
    gpu: &Arc<Gpu>,
    cancel: &Cancel,
    solid: &Solid,
    survey: &Survey,
) -> Result<Parts, OpError> {
    let form = solid.description();
    let field = SolidField::new(
        gpu,
        form.shape,
        form.squared_height,
        form.inverse_diameter,
        form.raised,
    )?;
    let lattice = survey.lattice();
    let described = Lattice {
        origin: lattice.origin,
        step: lattice.step,
        cells: lattice.cells,
        bricks: lattice.bricks(),
    };
    let rules = Rules {
        cases: &isosurface::packed_cases(),
        missed: isosurface::missed_places,
    };
    let places = survey.places().iter().map(|&[x, y, z]| [x, y, z, 0]);
    let made = extract_solid(gpu, cancel, rules, &described, places.collect(), &field)?;
    let Surface {
        positions,
        normals,
        triangles,
        disagreeing,
        is_open,
    } = made;
    Ok(Parts {
        positions,
        normals,
        triangles,
        disagreeing,
        is_open,
    })
}

/// Compares a device's coarse mesh of a solid with the processor's: the same faces, vertices in the same
/// places.
fn makes_the_processors_mesh(gpu: &Arc<Gpu>, solid: &Solid) -> Result<(), GpuError> {
    let never = || false;
    let wrong = |what: &str| GpuError::WrongAnswer {
        device: gpu.device(),
        kernel: format!("the surface ({what})"),
    };
    // Not to be cancelled: it takes no time, and its answer is kept.
    let survey = isosurface::survey(solid, CHECK_LEVEL, &never);
    let expected = survey.and_then(|survey| {
        let mesh = isosurface::extract(solid, &survey, &never)?;
        Ok((survey, mesh))
    });
    let (survey, expected) = match expected {
        Ok(expected) => expected,
        // Too thin for so few cells: there is nothing to compare.
        Err(IsosurfaceError::Empty) => return Ok(()),
        Err(error) => return Err(wrong(&error.to_string())),
    };
    let parts = match parts(gpu, &Cancel::default(), solid, &survey) {
        Ok(parts) => parts,
        Err(OpError::Gpu(error)) => return Err(error),
        Err(OpError::OutOfMemory(error)) => return Err(error.into()),
        Err(OpError::Cancelled) => unreachable!("nobody cancels a check"),
    };
    let found = isosurface::assemble(parts, &never).map_err(|error| wrong(&error.to_string()))?;
    if found.triangles != expected.triangles || found.positions.len() != expected.positions.len() {
        return Err(wrong("other faces"));
    }
    let mut pairs = (found.positions.as_flattened().iter()).zip(expected.positions.as_flattened());
    // A NaN is not near.
    if pairs.all(|(a, b)| (a - b).abs() <= TOLERANCE) {
        Ok(())
    } else {
        Err(wrong("vertices elsewhere"))
    }
}
