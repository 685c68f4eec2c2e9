//! What a job's source takes, and which way it is run in the memory there is.

use super::identity::Computed;
use super::settings::{Flow, Settings, Source};
use crate::compute::Precision;
use crate::field::SparseGrid;
use crate::inflate;
use crate::mesh::isosurface;
use crate::models::catalogue::{TRIPOSG, TRIPOSR};
use crate::models::published::Sizes;
use crate::models::triposg::{self, Draw, Sampling};
use crate::models::triposr;
use crate::vram::{
    Choice, Cost, DeviceKind, Manager, Need, NoPlan, Plan, Residency, Shortage, Wishes,
};

/// The coarsest level that is still a result.
const COARSEST_LEVEL: u32 = 32;

/// The embedded source and the surface made of its field, as the planner sees them.
struct Embedded;

impl Cost for Embedded {
    fn source(&self) -> &str {
        "inflate"
    }

    fn precisions(&self, device: &DeviceKind) -> Vec<Precision> {
        match device {
            DeviceKind::Cpu => vec![Precision::F32],
            DeviceKind::Cuda { .. } => Vec::new(),
        }
    }

    fn need(&self, choice: &Choice) -> Need {
        Need {
            host_bytes: inflate::cost_bytes(choice.level) + isosurface::typical_bytes(choice.level),
            device_bytes: 0,
        }
    }
}

/// A neural model and the surface made of its field.
struct Neural<'a>(&'a Sizes, Flow);

impl Cost for Neural<'_> {
    fn source(&self) -> &str {
        match self.0 {
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
            DeviceKind::Cuda { .. } => Vec::new(),
        }
    }

    fn residencies(&self) -> Vec<Residency> {
        match self.0 {
            Sizes::TripoSr(_) => vec![Residency::Resident, Residency::Streamed],
            Sizes::TripoSg(_) => vec![Residency::Resident, Residency::Staged, Residency::Streamed],
        }
    }

    fn chunks(&self) -> Vec<u32> {
        match self.0 {
            Sizes::TripoSr(_) => vec![1],
            // Looks that go through the denoiser at once.
            Sizes::TripoSg(_) => vec![2, 1],
        }
    }

    fn need(&self, choice: &Choice) -> Need {
        let (precision, residency) = (choice.precision, choice.residency);
        let (model, samples_bytes) = match self.0 {
            Sizes::TripoSr(config) => (triposr::memory(config, precision, residency), 0),
            Sizes::TripoSg(config) => {
                // How many steps there are changes nothing; where they cannot be, the job says so.
                let sampling = Sampling::new(1, self.1.guidance).unwrap_or_default();
                let draw = Draw {
                    sampling,
                    together: choice.chunk > 1,
                };
                let memory = triposg::memory(config, precision, residency, draw);
                (memory, SparseGrid::typical_bytes(choice.level))
            }
        };
        let surface_bytes = isosurface::typical_bytes(choice.level);
        let with_surface = model.kept_bytes + samples_bytes + surface_bytes;
        Need {
            host_bytes: model.peak_bytes.max(with_surface),
            device_bytes: 0,
        }
    }
}

/// Answers a question about the cost of what the settings ask for.
fn with_cost<T>(settings: &Settings, answer: impl FnOnce(&dyn Cost) -> T) -> T {
    match (settings.source, &settings.weights) {
        (Source::Auto | Source::Inflate, _) => answer(&Embedded),
        (_, Some(weights)) => answer(&Neural(weights.sizes(), settings.flow)),
        (Source::TripoSr, None) => {
            let published = Sizes::TripoSr(triposr::Config::published());
            answer(&Neural(&published, settings.flow))
        }
        (Source::TripoSg, None) => {
            let published = Sizes::TripoSg(triposg::Config::published());
            answer(&Neural(&published, settings.flow))
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
