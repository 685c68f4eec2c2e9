//! Which source `auto` comes to: the best one whose weights are here, that fits into memory and is
//! foretold to be done in time.
//!
//! A time is foretold from what such jobs took on this machine, by their arithmetic, so that other steps and
//! other resolutions tell as much; before the first one, from a pace that machines of its kind exceed.

use std::sync::Arc;

use super::super::paces::Paces;
use super::super::settings::{Settings, Source};
use super::super::summary::StageTime;
use super::{wishes, with_cost};
use crate::compute::{Device, Precision};
use crate::inflate::Controls;
use crate::models::library::Library;
use crate::models::published::{Published, Sizes};
use crate::models::triposg::Sampling;
use crate::vram::{Choice, Manager, NoPlan, Residency};

/// The longest that a job of a source may be foretold to take.
const PATIENCE_SECONDS: f64 = 120.0;
/// The neural sources, best first.
const PREFERRED: [Source; 2] = [Source::TripoSg, Source::TripoSr];
/// The stages that any source has, whose time depends on the image.
const OF_THE_IMAGE: [&str; 3] = ["decode", "matte", "cut_out"];

/// Operations in a second that a thread of any processor does, as far as is known of those in use.
const THREAD_PACE: f64 = 5e9;
/// The same of a GPU that there are kernels for, in 16 bits or less, and in 32.
const GPU_PACE: f64 = 1e13;
const GPU_PACE_F32: f64 = 1e12;
/// Bytes in a second that weights are read at.
const READING_PACE: f64 = 5e8;

/// The source that `auto` came to, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// The source.
    pub source: Source,
    /// Where its time was foretold; `None` for the quick shape, which takes none to speak of.
    pub device: Option<Device>,
    /// Why, in words for the user.
    pub reason: String,
}

/// What the choice is made from.
#[derive(Clone, Copy)]
pub struct Machine<'a> {
    /// The models on this machine.
    pub library: &'a Library,
    /// The memory that there is.
    pub vram: &'a Manager,
    /// How fast it computes.
    pub paces: &'a Paces,
    /// Threads that compute.
    pub threads: usize,
}

/// What a job of a source is foretold to take.
struct Foretold {
    seconds: f64,
    is_measured: bool,
    device: Device,
}

/// Why a source is not the one.
enum Unfit {
    NotHere,
    Because(String),
}

/// Has settings that leave the source open name one, and tells why that one; leaves other settings alone.
pub fn choose(settings: &mut Settings, machine: Machine<'_>) -> Option<Chosen> {
    if settings.source != Source::Auto {
        return None;
    }
    let chosen = chosen(settings, machine);
    settings.source = chosen.source;
    Some(chosen)
}

/// What a job that is run in this way is foretold to take, where that is longer than anyone should wait who left
/// the source to us; in words for the user.
pub(in super::super) fn too_long(
    settings: &Settings,
    choice: &Choice,
    machine: Machine<'_>,
) -> Option<String> {
    let weights = settings.weights.as_ref()?;
    let foretold = Foretold::of(settings, weights.sizes(), choice, machine);
    (foretold.seconds > PATIENCE_SECONDS).then(|| foretold.words())
}

fn chosen(settings: &mut Settings, machine: Machine<'_>) -> Chosen {
    let quick = |because: &str| Chosen {
        source: Source::Inflate,
        device: None,
        reason: format!("the quick shape (inflate) was chosen: {because}"),
    };
    if settings.controls != Controls::default() {
        return quick("no other source has a thickness, detail, back or relief to set");
    }
    let mut others = Vec::new();
    for source in PREFERRED {
        let Some(model) = source.model() else {
            continue;
        };
        match foretell(source, settings, machine) {
            Ok((foretold, weights)) => {
                settings.weights = Some(weights);
                let because = format!("it {}", foretold.words());
                let because: Vec<_> = [because].into_iter().chain(others).collect();
                return Chosen {
                    source,
                    device: Some(foretold.device),
                    reason: format!("{} was chosen: {}", model.title, because.join("; ")),
                };
            }
            Err(Unfit::NotHere) => {}
            Err(Unfit::Because(reason)) => others.push(format!("{} {reason}", model.title)),
        }
    }
    if others.is_empty() {
        return quick("no neural model's weights are on this machine");
    }
    quick(&others.join("; "))
}

/// What a job of a source is foretold to take, with the weights that it was foretold for.
fn foretell(
    source: Source,
    settings: &Settings,
    machine: Machine<'_>,
) -> Result<(Foretold, Arc<Published>), Unfit> {
    let model = source.model().ok_or(Unfit::NotHere)?;
    if machine.library.locate(model).is_none() {
        return Err(Unfit::NotHere);
    }
    let weights = machine.library.open(model, None);
    let weights = weights
        .map_err(|error| Unfit::Because(format!("has weights that cannot be used: {error}")))?;
    let settings = Settings {
        source,
        weights: Some(Arc::clone(&weights)),
        ..settings.clone()
    };
    let memory = machine.vram.memory_as_sampled();
    let plan = with_cost(&settings, |cost| {
        crate::vram::plan(cost, &memory, &wishes(&settings))
    });
    let plan = plan.map_err(|error| Unfit::Because(does_not_fit(&error)))?;
    let level = plan.choice.level;
    if level < settings.resolution {
        return Err(Unfit::Because(format!(
            "fits into memory with {level} cells along the longest side only"
        )));
    }
    let foretold = Foretold::of(&settings, weights.sizes(), &plan.choice, machine);
    if foretold.seconds > PATIENCE_SECONDS {
        let words = foretold.words();
        return Err(Unfit::Because(format!("{words}, which is more than 2 min")));
    }
    Ok((foretold, weights))
}

fn does_not_fit(error: &NoPlan) -> String {
    match error.required_and_free_bytes() {
        Some((required_bytes, free_bytes)) => format!(
            "does not fit into memory: it needs {:.1} GB, and {:.1} GB are free",
            required_bytes as f64 / 1e9,
            free_bytes as f64 / 1e9
        ),
        None => format!("cannot be run: {error}"),
    }
}

impl Foretold {
    fn of(settings: &Settings, sizes: &Sizes, choice: &Choice, machine: Machine<'_>) -> Self {
        let operations = operations(settings, sizes, choice.level);
        let kind = kind(settings.source, choice, machine.threads);
        let measured = machine.paces.operations_per_second(&kind);
        let seconds = match measured {
            Some(pace) => operations / pace,
            None => {
                let pace = match (choice.device, choice.precision) {
                    (Device::Cpu, _) => THREAD_PACE * machine.threads as f64,
                    (Device::Cuda(_), Precision::F32) => GPU_PACE_F32,
                    (Device::Cuda(_), _) => GPU_PACE,
                };
                operations / pace + reading_seconds(settings, choice)
            }
        };
        Self {
            seconds,
            is_measured: measured.is_some(),
            device: choice.device,
        }
    }

    /// What it takes, and how that is known.
    fn words(&self) -> String {
        let time = match self.seconds {
            seconds if seconds < 90.0 => format!("{seconds:.0} s"),
            seconds if seconds < 5400.0 => format!("{:.0} min", seconds / 60.0),
            seconds => format!("{:.0} h", seconds / 3600.0),
        };
        let basis = if self.is_measured {
            "as measured on this machine"
        } else {
            "by its arithmetic, for none was measured here yet"
        };
        format!("takes about {time} on {}, {basis}", self.device)
    }
}

/// What reading the weights takes: once, or for every step where they do not stay in memory.
fn reading_seconds(settings: &Settings, choice: &Choice) -> f64 {
    let bytes = settings
        .source
        .model()
        .map_or(0, |model| model.size_bytes());
    let is_streamed = choice.residency == Residency::Streamed;
    let times = match settings.source {
        Source::TripoSg if is_streamed => f64::from(settings.flow.steps),
        _ => 1.0,
    };
    times * bytes as f64 / READING_PACE
}

/// The multiplications and additions of a job.
fn operations(settings: &Settings, sizes: &Sizes, level: u32) -> f64 {
    match sizes {
        Sizes::TripoSr(config) => config.operations(level),
        Sizes::TripoSg(config) => {
            let flow = settings.flow;
            // What cannot be sampled fails in words of its own.
            let sampling = Sampling::new(flow.steps, flow.guidance).unwrap_or_default();
            config.operations(level, sampling) / (1.0 - flow.preview_share).max(0.1)
        }
    }
}

/// What jobs have in common that go at one pace.
fn kind(source: Source, choice: &Choice, threads: usize) -> String {
    let name = source.model().map_or("inflate", |model| model.name);
    let device = match choice.device {
        Device::Cpu => format!("{threads} threads"),
        device @ Device::Cuda(_) => device.to_string(),
    };
    let residency = match choice.residency {
        Residency::Resident => "resident",
        Residency::Staged => "staged",
        Residency::Streamed => "streamed",
    };
    format!("{name}, {device}, {}, {residency}", choice.precision)
}

/// Learns this machine's pace from the stages of a job that was computed in this way to its end.
pub(in super::super) fn learn(
    paces: &Paces,
    settings: &Settings,
    choice: &Choice,
    threads: usize,
    stages: &[StageTime],
) {
    let Some(weights) = &settings.weights else {
        return;
    };
    let own = stages
        .iter()
        .filter(|stage| !OF_THE_IMAGE.contains(&stage.name.as_str()));
    let seconds = own.map(|stage| stage.seconds).sum();
    let operations = operations(settings, weights.sizes(), choice.level);
    paces.learn(&kind(settings.source, choice, threads), operations, seconds);
}
