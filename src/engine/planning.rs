//! Which source makes a job's shape, what that takes, and which way it is run in the memory there is.

mod auto;

use std::cell::RefCell;
use std::collections::HashMap;

pub use auto::{Chosen, Machine, choose};
pub(super) use auto::{learn, too_long};

use super::identity::Computed;
use super::run::FIRST_LEVEL;
use super::settings::{Flow, Settings, Source};
use crate::compute::{Device, Precision};
use crate::field::SparseGrid;
use crate::inflate;
use crate::mesh::isosurface;
use crate::models::catalogue::{TRIPOSG, TRIPOSR};
use crate::models::published::Sizes;
use crate::models::triposg::{self, Draw, LatentField, Sampling};
use crate::models::triposr::{self, Memory, MemoryOnDevice};
use crate::vram::{
    Choice, Cost, DeviceKind, DeviceWish, Manager, Need, NoPlan, Plan, Residency, Shortage, Wishes,
};

/// The coarsest level that is still a result.
const COARSEST_LEVEL: u32 = 32;
/// The compute capability of the oldest CUDA devices that there are kernels for.
const OLDEST: (u32, u32) = (7, 5);

/// The embedded source and the surface made of its field, as the planner sees them.
struct Embedded;

impl Cost for Embedded {
    fn source(&self) -> &str {
        "inflate"
    }

    fn precisions(&self, device: &DeviceKind) -> Vec<Precision> {
        match device {
            DeviceKind::Cuda { compute_capability } if *compute_capability < OLDEST => Vec::new(),
            DeviceKind::Cpu | DeviceKind::Cuda { .. } => vec![Precision::F32],
        }
    }

    fn need(&self, choice: &Choice) -> Need {
        let level = choice.level;
        // A device evaluates the solid and extracts its surface; the solid is made on the host.
        let device_bytes = match choice.device {
            Device::Cpu => 0,
            Device::Cuda(_) => {
                inflate::device_bytes(level) + isosurface::typical_device_bytes(level)
            }
        };
        Need {
            host_bytes: inflate::cost_bytes(level) + isosurface::typical_bytes(level),
            device_bytes,
        }
    }
}

/// A neural model and the surface made of its field.
struct Neural<'a> {
    sizes: &'a Sizes,
    flow: Flow,
    /// What was found out already, and what a chunk of points takes of a device; the level changes nothing of
    /// it.
    known: RefCell<HashMap<Choice, (MemoryOnDevice, u64)>>,
}

impl<'a> Neural<'a> {
    fn new(sizes: &'a Sizes, flow: Flow) -> Self {
        Self {
            sizes,
            flow,
            known: RefCell::default(),
        }
    }

    /// How many steps there are changes nothing; where they cannot be, the job says so.
    fn sampling(&self) -> Sampling {
        Sampling::new(1, self.flow.guidance).unwrap_or_default()
    }

    /// What the model takes of the host and of the device, of the processor's nothing; and what a chunk of points
    /// takes of a device where a latent field is sampled.
    fn memory(&self, choice: &Choice) -> (MemoryOnDevice, u64) {
        let Choice {
            precision,
            residency,
            chunk,
            ..
        } = *choice;
        let on_host = |host| {
            let device = Memory::default();
            (MemoryOnDevice { host, device }, 0)
        };
        let find_out = || match (self.sizes, choice.device) {
            (Sizes::TripoSr(config), Device::Cpu) => {
                on_host(triposr::memory(config, precision, residency))
            }
            (Sizes::TripoSr(config), Device::Cuda(_)) => {
                let memory = triposr::memory_on_device(config, precision, residency, chunk);
                (memory, 0)
            }
            (Sizes::TripoSg(config), device) => {
                let draw = Draw {
                    sampling: self.sampling(),
                    together: chunk > 1,
                    looks: self.flow.preview_share > 0.0,
                };
                let shapes = shapes_at_once(chunk, draw.sampling);
                match device {
                    Device::Cpu => {
                        on_host(triposg::memory(config, precision, residency, draw, shapes))
                    }
                    Device::Cuda(_) => (
                        triposg::memory_on_device(config, precision, residency, draw, shapes),
                        triposg::chunk_bytes_on_device(config, precision),
                    ),
                }
            }
        };
        let key = Choice {
            level: 0,
            ..*choice
        };
        *self.known.borrow_mut().entry(key).or_insert_with(find_out)
    }
}

impl Cost for Neural<'_> {
    fn source(&self) -> &str {
        match self.sizes {
            Sizes::TripoSr(_) => TRIPOSR.title,
            Sizes::TripoSg(_) => TRIPOSG.title,
        }
    }

    fn has_weights(&self) -> bool {
        true
    }

    fn precisions(&self, device: &DeviceKind) -> Vec<Precision> {
        match device {
            DeviceKind::Cpu => vec![Precision::F32, Precision::Int8],
            DeviceKind::Cuda { compute_capability } if *compute_capability < OLDEST => Vec::new(),
            DeviceKind::Cuda { .. } => {
                vec![
                    Precision::F16,
                    Precision::Bf16,
                    Precision::Int8,
                    Precision::F32,
                ]
            }
        }
    }

    fn residencies(&self) -> Vec<Residency> {
        match self.sizes {
            Sizes::TripoSr(_) => vec![Residency::Resident, Residency::Streamed],
            Sizes::TripoSg(_) => vec![Residency::Resident, Residency::Staged, Residency::Streamed],
        }
    }

    fn chunks(&self) -> Vec<u32> {
        match self.sizes {
            Sizes::TripoSr(_) => triposr::CHUNKS.to_vec(),
            Sizes::TripoSg(_) => looks_at_once(self.flow.shapes, self.sampling()),
        }
    }

    fn need(&self, choice: &Choice) -> Need {
        let (MemoryOnDevice { host, device }, chunk_bytes) = self.memory(choice);
        let latents_bytes = match self.sizes {
            Sizes::TripoSr(_) => 0,
            // Those of every shape stay from the time they are made to the end.
            Sizes::TripoSg(config) => {
                u64::from(self.flow.shapes) * 4 * config.latent_numbers() as u64
            }
        };
        let (samples_bytes, device_bytes) = match (self.sizes, choice.device) {
            (Sizes::TripoSr(_), Device::Cpu) => (0, 0),
            // A device extracts the surface of the planes that it holds.
            (Sizes::TripoSr(_), Device::Cuda(_)) => {
                let surface_bytes = isosurface::typical_device_bytes_of_points(choice.level);
                let extracted_bytes = device.kept_bytes + surface_bytes;
                (0, device.peak_bytes.max(extracted_bytes))
            }
            (Sizes::TripoSg(_), Device::Cpu) => (SparseGrid::typical_bytes(choice.level), 0),
            // Samples are on the device, and so is the surface among them.
            (Sizes::TripoSg(_), Device::Cuda(_)) => {
                let meshed_bytes = sampled_and_meshed_bytes(choice.level, chunk_bytes);
                // Looks on the way come on top of everything else where the weights stay.
                let looks = self.flow.preview_share > 0.0;
                let looked_at_bytes = match choice.residency {
                    Residency::Resident if looks => LatentField::typical_sample_bytes(FIRST_LEVEL),
                    _ => 0,
                };
                let refined_bytes = device.peak_bytes + looked_at_bytes;
                (0, refined_bytes.max(device.kept_bytes + meshed_bytes))
            }
        };
        let surface_bytes = isosurface::typical_bytes(choice.level);
        let with_surface = host.kept_bytes + samples_bytes + surface_bytes;
        Need {
            host_bytes: host.peak_bytes.max(with_surface) + latents_bytes,
            device_bytes,
        }
    }
}

/// What sampling a latent field at a level takes of a device, and meshing it there.
fn sampled_and_meshed_bytes(level: u32, chunk_bytes: u64) -> u64 {
    let samples_bytes = LatentField::typical_sample_bytes(level);
    samples_bytes + chunk_bytes.max(isosurface::typical_device_bytes(level))
}

/// The looks that can go through the denoiser at once, most first: those of all shapes, of half of them and
/// so on, and one at a time.
fn looks_at_once(shapes: u32, sampling: Sampling) -> Vec<u32> {
    let halved = std::iter::successors(Some(shapes.max(1)), |&shapes| {
        (shapes > 1).then(|| shapes.div_ceil(2))
    });
    let mut looks: Vec<_> = halved
        .map(|shapes| shapes * sampling.looks() as u32)
        .chain([1])
        .collect();
    looks.dedup();
    looks
}

/// The shapes that take their steps together where so many looks go through the denoiser at once.
pub(super) fn shapes_at_once(looks: u32, sampling: Sampling) -> usize {
    (looks as usize / sampling.looks()).max(1)
}

/// Answers a question about the cost of what the settings ask for.
fn with_cost<T>(settings: &Settings, answer: impl FnOnce(&dyn Cost) -> T) -> T {
    match (settings.source, &settings.weights) {
        (Source::Auto | Source::Inflate, _) => answer(&Embedded),
        (_, Some(weights)) => answer(&Neural::new(weights.sizes(), settings.flow)),
        (Source::TripoSr, None) => {
            let published = Sizes::TripoSr(triposr::Config::published());
            answer(&Neural::new(&published, settings.flow))
        }
        (Source::TripoSg, None) => {
            let published = Sizes::TripoSg(triposg::Config::published());
            answer(&Neural::new(&published, settings.flow))
        }
    }
}

fn wishes(settings: &Settings) -> Wishes {
    Wishes {
        device: settings.device,
        precision: settings.precision,
        finest_level: settings.resolution,
        coarsest_level: COARSEST_LEVEL.min(settings.resolution),
    }
}

/// How a job with these settings would be run now, and why.
///
/// # Errors
///
/// [`NoPlan`] when nothing that was asked for is there or fits.
pub fn plan(settings: &Settings, vram: &Manager) -> Result<Plan, NoPlan> {
    with_cost(settings, |cost| {
        crate::vram::plan(cost, &vram.memory(), &wishes(settings))
    })
}

/// How a job with these settings would be run on the processor, whatever they wish for.
pub(super) fn plan_on_processor(settings: &Settings, vram: &Manager) -> Result<Plan, NoPlan> {
    let wishes = Wishes {
        device: DeviceWish::Only(Device::Cpu),
        precision: None,
        ..wishes(settings)
    };
    with_cost(settings, |cost| {
        crate::vram::plan(cost, &vram.memory(), &wishes)
    })
}

/// The next smaller plan after memory ran out, and what was given up, in words.
pub(super) fn step_down(
    plan: &Plan,
    settings: &Settings,
    vram: &Manager,
    shortage: &Shortage,
) -> Result<(Plan, String), NoPlan> {
    with_cost(settings, |cost| {
        plan.step_down(cost, &vram.memory(), &wishes(settings), shortage)
    })
}

/// What a result would be computed with now; `None` where the job would fail for want of a plan.
pub(super) fn expected(settings: &Settings, vram: &Manager) -> Option<Computed> {
    let plan = with_cost(settings, |cost| {
        crate::vram::plan(cost, &vram.memory_as_sampled(), &wishes(settings))
    });
    let plan = plan.ok()?;
    Some(Computed::from(&plan.choice))
}

/// What the user gets less of than was asked for, in words.
pub(super) fn less_than_asked(settings: &Settings, plan: &Plan) -> Vec<String> {
    let level = plan.choice.level;
    (level < settings.resolution)
        .then(|| {
            format!(
                "{level} cells along the longest side are the most that fit into the memory there is; {} were asked for",
                settings.resolution
            )
        })
        .into_iter()
        .collect()
}
