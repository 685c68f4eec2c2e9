//! The surface of a field that a device can extract itself: on the job's CUDA device where it has one, else on the
//! processor, with the same mesh either way.

use std::sync::Arc;

use super::super::failure::Stop;
use super::Run;
use crate::compute::ops::isosurface::{
    BrickPlace, Lattice, Request, Rules, SolidField, Surface, extract_planes, extract_solid,
};
use crate::compute::{Cancel, Gpu, GpuError, OpError};
use crate::field::Field;
use crate::inflate::Solid;
use crate::mesh::Mesh;
use crate::mesh::isosurface::{self, IsosurfaceError, Parts, Survey};
use crate::models::triposr::Scene;

/// The level at which a device shows that it makes the processor's mesh, before it is first used.
const CHECK_LEVEL: u32 = 16;

/// How far a device's vertices may be from the processor's.
pub(super) struct Tolerance {
    /// In cells of the check.
    cells: f32,
    /// The share of vertices that may be further away, in percent: of a field that is not the same to the last
    /// bit, some end their steps on the other side of a threshold.
    strays_percent: usize,
}

/// A field whose surface a device can extract.
pub(super) trait OnDevice: Field + Sized {
    /// What the check of its kernels is called.
    const CHECK: &'static str;
    /// What the check allows.
    const TOLERANCE: Tolerance;

    /// The surface in the bricks at `places`.
    fn surface(&self, request: &Request<'_>, places: Vec<BrickPlace>) -> Result<Surface, OpError>;

    /// What happened to the device while the processor asked for values.
    fn failure(&self) -> Result<(), GpuError> {
        Ok(())
    }
}

impl OnDevice for Solid {
    const CHECK: &'static str = "the surface of a solid";
    const TOLERANCE: Tolerance = Tolerance {
        cells: 1e-4,
        strays_percent: 0,
    };

    fn surface(&self, request: &Request<'_>, places: Vec<BrickPlace>) -> Result<Surface, OpError> {
        let form = self.description();
        let field = SolidField::new(
            request.gpu,
            form.shape,
            form.squared_height,
            form.inverse_diameter,
            form.raised,
        )?;
        extract_solid(request, places, &field)
    }
}

impl OnDevice for Scene {
    const CHECK: &'static str = "the surface of planes";
    const TOLERANCE: Tolerance = Tolerance {
        cells: 1e-2,
        strays_percent: 1,
    };

    fn surface(&self, request: &Request<'_>, places: Vec<BrickPlace>) -> Result<Surface, OpError> {
        extract_planes(request, places, self.planes())
    }

    fn failure(&self) -> Result<(), GpuError> {
        Scene::failure(self)
    }
}

impl Run<'_> {
    /// The surface of a field in the bricks of its survey.
    pub(super) fn extract<F: OnDevice>(&self, field: &F, survey: &Survey) -> Result<Mesh, Stop> {
        let cancel = &self.context.cancel;
        let cancelled = || cancel.is_cancelled();
        let Some(gpu) = &self.context.gpu else {
            return Ok(isosurface::extract(field, survey, &cancelled)?);
        };
        gpu.checked(F::CHECK, || makes_the_processors_mesh(gpu, field))?;
        let parts = parts(gpu, cancel, field, survey)?;
        Ok(isosurface::assemble(parts, &cancelled)?)
    }
}

/// What a device makes of a field.
fn parts(
    gpu: &Arc<Gpu>,
    cancel: &Cancel,
    field: &impl OnDevice,
    survey: &Survey,
) -> Result<Parts, OpError> {
    let (lattice, cases) = (survey.lattice(), isosurface::packed_cases());
    let request = Request {
        gpu,
        cancel,
        rules: rules(&cases),
        lattice: Lattice {
            origin: lattice.origin,
            step: lattice.step,
            cells: lattice.cells,
            bricks: lattice.bricks(),
        },
    };
    let places = survey.places().iter().map(|&[x, y, z]| [x, y, z, 0]);
    let made = field.surface(&request, places.collect())?;
    Ok(parts_of(made))
}

/// What the processor's isosurface tells a device, with the configurations of a cell.
pub(super) fn rules(cases: &[u16]) -> Rules<'_> {
    Rules {
        cases,
        missed: isosurface::missed_places,
    }
}

/// The parts that a mesh is assembled from.
pub(super) fn parts_of(surface: Surface) -> Parts {
    let Surface {
        positions,
        normals,
        triangles,
        disagreeing,
        is_open,
    } = surface;
    Parts {
        positions,
        normals,
        triangles,
        disagreeing,
        is_open,
    }
}

/// Compares a device's coarse mesh of a field with the processor's: the same faces, vertices in the same
/// places.
fn makes_the_processors_mesh<F: OnDevice>(gpu: &Arc<Gpu>, field: &F) -> Result<(), GpuError> {
    let never = || false;
    let wrong = |what: &str| GpuError::WrongAnswer {
        device: gpu.device(),
        kernel: format!("{} ({what})", F::CHECK),
    };
    // Not to be cancelled: it takes no time, and its answer is kept.
    let survey = isosurface::survey(field, CHECK_LEVEL, &never);
    let expected = survey.and_then(|survey| {
        let mesh = isosurface::extract(field, &survey, &never)?;
        Ok((survey, mesh))
    });
    field.failure()?;
    let (survey, expected) = match expected {
        Ok(expected) => expected,
        // Too thin for so few cells: there is nothing to compare.
        Err(IsosurfaceError::Empty) => return Ok(()),
        Err(error) => return Err(wrong(&error.to_string())),
    };
    let parts = parts(gpu, &Cancel::default(), field, &survey).map_err(OpError::of_check)?;
    let found = isosurface::assemble(parts, &never).map_err(|error| wrong(&error.to_string()))?;
    let sizes = |mesh: &Mesh| (mesh.triangles.len(), mesh.positions.len());
    if sizes(&found) != sizes(&expected) {
        return Err(wrong("other faces"));
    }
    // Two triangles make a face of four corners, which is split the other way where its vertices lie otherwise.
    let quads = found.triangles.chunks(2).zip(expected.triangles.chunks(2));
    let split = quads.filter(|(a, b)| a != b).count();
    let allowed = F::TOLERANCE.cells * survey.lattice().step;
    let pairs = found.positions.iter().zip(&expected.positions);
    // A NaN is not near.
    let is_near =
        |(a, b): &(&[f32; 3], &[f32; 3])| (0..3).all(|axis| (a[axis] - b[axis]).abs() <= allowed);
    let moved = pairs.filter(|pair| !is_near(pair)).count();
    let is_few =
        |strays: usize| 100 * strays <= F::TOLERANCE.strays_percent * found.positions.len();
    match (is_few(split), is_few(moved)) {
        (true, true) => Ok(()),
        (_, false) => Err(wrong("vertices elsewhere")),
        (false, true) => Err(wrong("other faces")),
    }
}
