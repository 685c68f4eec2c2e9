//! The samples of a latent field and the surface among them: on the job's CUDA device where it has one, where both
//! stay until the surface is whole; else on the processor. The samples and the mesh are the same either way.

use std::sync::Arc;

use super::super::failure::Stop;
use super::super::settings::Settings;
use super::surface::{parts_of, rules};
use crate::compute::ops::isosurface::{Request, Surface, extract_blocks};
use crate::compute::{Cancel, Context, Gpu, GpuError, Ledger, Number, OpError, Reservation};
use crate::field::{Evaluate, Field, Hierarchy, Region, SparseGrid};
use crate::mesh::isosurface::{self, IsosurfaceError};
use crate::mesh::{Mesh, floaters};
use crate::models::triposg::{Config, LatentField};
use crate::models::vecset::{
    CHECK_EXTENT, LatticeSampling, SamplesOnDevice, check_sampling_once, lattice_of, sample_check,
};

/// How a field is evaluated: everywhere up to so many cells along the longest side.
const HIERARCHY: Hierarchy = Hierarchy {
    dense_cells: 96,
    near: Config::NEAR,
};
/// A part with less than this share of all faces is a floater.
const LEAST_SHARE: f64 = 0.01;
/// The box that the field lies in.
const EXTENT: Region = Region {
    min: [-Config::RADIUS; 3],
    max: [Config::RADIUS; 3],
};
/// What the check of the surface's kernels is called.
const CHECK: &str = "the surface of samples";
/// The level of that check.
const CHECK_LEVEL: u32 = 16;
/// How far a device's vertices may be from the processor's in the check, in cells.
const CHECK_TOLERANCE: f32 = 1e-4;

/// A field as far as it was evaluated, wherever that was.
pub(super) enum Evaluated {
    OnProcessor {
        samples: SparseGrid,
        _memory: Vec<Reservation>,
    },
    OnDevice(SamplesOnDevice),
}

/// A latent field being evaluated by the processor under a job's ledger.
struct Decoding<'a> {
    field: &'a LatentField,
    /// The value where the surface lies.
    threshold: f32,
    context: &'a Context,
    memory: Vec<Reservation>,
}

impl Evaluate for Decoding<'_> {
    type Error = Stop;

    fn values(&mut self, points: &[[f32; 3]], values: &mut [f32]) -> Result<(), Stop> {
        self.field.values(points, values, self.context)?;
        if self.threshold != 0.0 {
            values.iter_mut().for_each(|value| *value -= self.threshold);
        }
        Ok(())
    }

    fn hold(&mut self, size_bytes: u64) -> Result<(), Stop> {
        let memory = self
            .context
            .ledger
            .reserve(size_bytes, "the field's samples")?;
        self.memory.push(memory);
        Ok(())
    }
}

/// How a field's values are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    /// The value where the surface lies.
    threshold: f32,
}

impl Reading {
    /// As the settings ask.
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            threshold: settings.flow.threshold,
        }
    }

    /// The samples of a field for one level.
    pub(super) fn evaluate(
        self,
        field: &LatentField,
        level: u32,
        before: Option<&Evaluated>,
        context: &Context,
    ) -> Result<Evaluated, Stop> {
        let lattice = isosurface::samples(&EXTENT, level)?;
        if let Some(gpu) = &context.gpu {
            let sampling = LatticeSampling {
                hierarchy: HIERARCHY,
                extent: EXTENT,
                lattice,
                from: match before {
                    Some(Evaluated::OnDevice(samples)) => Some(samples),
                    Some(Evaluated::OnProcessor { .. }) | None => None,
                },
                threshold: self.threshold,
            };
            let samples = field.sample_on_device(gpu, &sampling, context)?;
            return Ok(Evaluated::OnDevice(samples));
        }
        let mut decoding = Decoding {
            field,
            threshold: self.threshold,
            context,
            memory: Vec::new(),
        };
        let from = match before {
            Some(Evaluated::OnProcessor { samples, .. }) => Some(samples),
            Some(Evaluated::OnDevice(_)) | None => None,
        };
        let samples = HIERARCHY.evaluate(EXTENT, lattice, from, &mut decoding)?;
        // What coarser lattices took is free again.
        decoding.memory.clear();
        decoding.hold(samples.size_bytes())?;
        Ok(Evaluated::OnProcessor {
            samples,
            _memory: decoding.memory,
        })
    }
}

impl Evaluated {
    /// Whether these samples save any of those of a level.
    pub(super) fn leads_to(&self, level: u32) -> bool {
        let from = match self {
            Self::OnProcessor { samples, .. } => *samples.lattice(),
            Self::OnDevice(samples) => lattice_of(samples),
        };
        let lattice = isosurface::samples(&EXTENT, level);
        lattice.is_ok_and(|lattice| HIERARCHY.leads(&from, &lattice))
    }

    /// The surface among the samples of a level, without what floats about it.
    pub(super) fn mesh(
        &self,
        level: u32,
        context: &Context,
    ) -> Result<(Mesh, floaters::Removed), Stop> {
        let cancelled = || context.cancel.is_cancelled();
        let (mut mesh, _memory) = match self {
            Self::OnProcessor { samples, .. } => {
                let field: &dyn Field = samples;
                let survey = isosurface::survey(field, level, &cancelled)?;
                let memory = context.ledger.reserve(survey.bytes(), "the surface")?;
                (isosurface::extract(field, &survey, &cancelled)?, memory)
            }
            Self::OnDevice(samples) => {
                let gpu = samples.gpu();
                check(gpu)?;
                let (surface, memory) = extracted(gpu, &context.cancel, samples, &context.ledger)?;
                let mesh = isosurface::assemble(parts_of(surface), &cancelled)?;
                (mesh, memory)
            }
        };
        let removed = floaters::remove_floaters(&mut mesh, LEAST_SHARE);
        Ok((mesh, removed))
    }
}

/// Checks the kernels that sample a field and extract its surface before their first use.
///
/// # Errors
///
/// [`GpuError::WrongAnswer`] where they do not give known answers; else whatever happened to the device.
pub(super) fn check(gpu: &Arc<Gpu>) -> Result<(), GpuError> {
    check_sampling_once(gpu)?;
    gpu.checked(CHECK, || makes_the_processors_mesh(gpu))
}

/// The surface among samples on a device, and the memory that its parts take of the host.
fn extracted(
    gpu: &Arc<Gpu>,
    cancel: &Cancel,
    samples: &SamplesOnDevice,
    host: &Ledger,
) -> Result<(Surface, Reservation), OpError> {
    let cases = isosurface::packed_cases();
    let request = Request {
        gpu,
        cancel,
        rules: rules(&cases),
        lattice: samples.cells(),
    };
    extract_blocks(&request, samples, host)
}

/// Compares the mesh that a device makes of the samples of a formula with the processor's: the same faces, and
/// vertices in the same places.
fn makes_the_processors_mesh(gpu: &Arc<Gpu>) -> Result<(), GpuError> {
    let never = || false;
    let wrong = |what: &str| GpuError::WrongAnswer {
        device: gpu.device(),
        kernel: format!("{CHECK} ({what})"),
    };
    let not_meshed = |error: IsosurfaceError| wrong(&error.to_string());
    let lattice = isosurface::samples(&CHECK_EXTENT, CHECK_LEVEL).map_err(not_meshed)?;
    let (here, there) = sample_check(gpu, (lattice, Number::F32), None)?;
    let survey = isosurface::survey(&here, CHECK_LEVEL, &never).map_err(not_meshed)?;
    let expected = isosurface::extract(&here, &survey, &never).map_err(not_meshed)?;
    // Not to be cancelled: it takes no time, and its answer is kept.
    let made = extracted(gpu, &Cancel::default(), &there, &Ledger::unlimited());
    let (surface, _) = made.map_err(OpError::of_check)?;
    let found = isosurface::assemble(parts_of(surface), &never).map_err(not_meshed)?;
    if found.triangles != expected.triangles || found.positions.len() != expected.positions.len() {
        return Err(wrong("other faces"));
    }
    let allowed = CHECK_TOLERANCE * lattice.step;
    let mut pairs = (found.positions.as_flattened().iter()).zip(expected.positions.as_flattened());
    // A NaN is not near.
    if pairs.all(|(a, b)| (a - b).abs() <= allowed) {
        Ok(())
    } else {
        Err(wrong("vertices elsewhere"))
    }
}
