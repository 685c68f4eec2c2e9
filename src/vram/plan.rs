//! Which way to run a source in the memory there is: a pure decision, explained in words.
//!
//! Ways are tried in the order in which they are given up: smaller chunks, fewer resident weights, a
//! lower precision, a lower level, the processor. The first that fits is the plan. No clock, no device
//! and no allocation: the same cost, memory and wishes give the same plan.

use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::cost::{Choice, Cost, DeviceKind, Need, Residency};
use super::explain;
use super::memory::{Lack, Memory, Pool};
use super::words;
use crate::compute::device::UnknownDevice;
use crate::compute::{Device, OutOfMemory, Precision};

/// The device a user asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DeviceWish {
    /// The CUDA device with the most free memory where the source runs on one and fits, else the
    /// processor.
    #[default]
    Auto,
    /// This one and no other.
    Only(Device),
}

impl fmt::Display for DeviceWish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Only(device) => device.fmt(f),
        }
    }
}

impl FromStr for DeviceWish {
    type Err = UnknownDevice;

    fn from_str(text: &str) -> Result<Self, UnknownDevice> {
        match text {
            "auto" => Ok(Self::Auto),
            _ => text.parse().map(Self::Only),
        }
    }
}

/// What a user asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wishes {
    /// Where to compute.
    pub device: DeviceWish,
    /// In what precision; `None` for the best that fits.
    pub precision: Option<Precision>,
    /// The resolution of the finest level.
    pub finest_level: u32,
    /// The lowest resolution that will do where the finest does not fit.
    pub coarsest_level: u32,
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// How to run the source.
    pub choice: Choice,
    /// The memory that it takes.
    pub need: Need,
    /// Why, in words for the user, one sentence each.
    pub reasons: Vec<String>,
}

/// Wishes that could be met in place of those that cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Suggestion {
    /// The finest level that fits, coarser than was acceptable.
    pub level: Option<u32>,
    /// Another device that the wished level fits on.
    pub device: Option<Device>,
}

/// There is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPlan {
    /// Every way takes more memory than there is.
    #[error(
        "{name} needs more memory than there is: at least {required} of {} for level {} on {}, and {free} are free; {}",
        explain::pool(choice, *pool), choice.level, choice.device,
        explain::remedy(*pool, suggestion),
        required = words::bytes(*required_bytes),
        free = words::bytes(*free_bytes)
    )]
    TooLittle {
        /// The source.
        name: String,
        /// The way that came closest.
        choice: Choice,
        /// Where memory lacks.
        pool: Pool,
        /// What that way needs of it, in bytes.
        required_bytes: u64,
        /// What is free of it, in bytes.
        free_bytes: u64,
        /// Other wishes that can be met.
        suggestion: Suggestion,
    },
    /// Memory ran out, and there is no smaller way.
    #[error(
        "{name} ran out of memory on its smallest way to run: {error}; {}",
        explain::remedy(*pool, suggestion)
    )]
    NothingSmaller {
        /// The source.
        name: String,
        /// Where memory ran out.
        pool: Pool,
        /// What was refused.
        error: OutOfMemory,
        /// Other wishes that can be met.
        suggestion: Suggestion,
    },
    /// The device that was asked for is not there.
    #[error(
        "{device} was asked for and cannot be used: {reason}; choose another with --device, or auto"
    )]
    NoSuchDevice {
        /// What was asked for.
        device: Device,
        /// Why it is not there.
        reason: String,
    },
    /// The source does not run on the device that was asked for.
    #[error("{name} does not run on {device}; choose --device auto")]
    NotThere {
        /// The source.
        name: String,
        /// What was asked for.
        device: Device,
    },
}

impl NoPlan {
    /// The bytes required and the bytes free, where memory is what lacks.
    pub fn required_and_free_bytes(&self) -> Option<(u64, u64)> {
        match self {
            Self::TooLittle {
                required_bytes,
                free_bytes,
                ..
            } => Some((*required_bytes, *free_bytes)),
            Self::NothingSmaller { error, .. } => Some((error.required_bytes, error.free_bytes)),
            Self::NoSuchDevice { .. } | Self::NotThere { .. } => None,
        }
    }
}

/// A reservation that was refused, and the pool it was asked of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    /// Where memory ran out.
    pub pool: Pool,
    /// What was refused.
    pub error: OutOfMemory,
}

impl Shortage {
    /// The host's memory ran out.
    pub fn of_host(error: OutOfMemory) -> Self {
        Self {
            pool: Pool::Host,
            error,
        }
    }

    /// The device's memory ran out.
    pub fn of_device(error: OutOfMemory) -> Self {
        Self {
            pool: Pool::Device,
            error,
        }
    }
}

/// Chooses how to run a source.
///
/// # Errors
///
/// [`NoPlan`] when nothing that was asked for is there or fits.
pub fn plan(cost: &dyn Cost, memory: &Memory, wishes: &Wishes) -> Result<Plan, NoPlan> {
    let devices = devices(cost, memory, wishes)?;
    let mut refused = Vec::new();
    for device in devices {
        for choice in ways(cost, &device, wishes) {
            let need = cost.need(&choice);
            match memory.lack(choice.device, &need) {
                Some(lack) => refused.push(Refused { choice, lack }),
                None => {
                    let reasons = explain::reasons(cost, memory, wishes, &choice, &need, &refused);
                    return Ok(Plan {
                        choice,
                        need,
                        reasons,
                    });
                }
            }
        }
    }
    Err(too_little(cost, memory, wishes, &refused))
}

/// A way that does not fit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refused {
    pub(super) choice: Choice,
    pub(super) lack: Lack,
}

/// Of the ways that do not fit, the one that comes closest.
pub(super) fn closest<'a>(refused: impl IntoIterator<Item = &'a Refused>) -> Option<&'a Refused> {
    refused
        .into_iter()
        .min_by_key(|refused| refused.lack.missing_bytes())
}

fn too_little(cost: &dyn Cost, memory: &Memory, wishes: &Wishes, refused: &[Refused]) -> NoPlan {
    let Some(Refused { choice, lack }) = closest(refused) else {
        // Only a source that runs nowhere has no way at all.
        return NoPlan::NotThere {
            name: cost.source().into(),
            device: Device::Cpu,
        };
    };
    NoPlan::TooLittle {
        name: cost.source().into(),
        choice: *choice,
        pool: lack.pool,
        required_bytes: lack.required_bytes,
        free_bytes: lack.free_bytes,
        suggestion: suggest(cost, memory, wishes),
    }
}

/// The wishes nearest to these that can be met. Each further attempt asks for less than the one before,
/// so that they end.
fn suggest(cost: &dyn Cost, memory: &Memory, wishes: &Wishes) -> Suggestion {
    let attempt = |wishes: Wishes| plan(cost, memory, &wishes).ok();
    let coarser = (wishes.coarsest_level > 0).then_some(Wishes {
        coarsest_level: 0,
        ..*wishes
    });
    let on_processor = match wishes.device {
        DeviceWish::Only(Device::Cuda(_)) => Some(Wishes {
            device: DeviceWish::Only(Device::Cpu),
            ..*wishes
        }),
        DeviceWish::Auto | DeviceWish::Only(Device::Cpu) => None,
    };
    Suggestion {
        level: coarser.and_then(attempt).map(|plan| plan.choice.level),
        device: on_processor
            .and_then(attempt)
            .map(|plan| plan.choice.device),
    }
}

/// A device and what it offers a source.
#[derive(Debug, Clone)]
pub(super) struct Offer {
    device: Device,
    kind: DeviceKind,
    /// What the source has there, preferred first; never empty.
    pub(super) precisions: Vec<Precision>,
}

/// What a source offers on a device; `None` where it does not run there.
pub(super) fn offer(cost: &dyn Cost, memory: &Memory, device: Device) -> Option<Offer> {
    let kind = match device {
        Device::Cpu => DeviceKind::Cpu,
        Device::Cuda(_) => memory.of(device)?.kind(),
    };
    let mut precisions = cost.precisions(&kind);
    if device != Device::Cpu && !kind.has_bf16() {
        precisions.retain(|&precision| precision != Precision::Bf16);
    }
    (!precisions.is_empty()).then_some(Offer {
        device,
        kind,
        precisions,
    })
}

/// The devices to try, in order: of several CUDA devices the one with the most free memory first, the
/// processor last.
fn devices(cost: &dyn Cost, memory: &Memory, wishes: &Wishes) -> Result<Vec<Offer>, NoPlan> {
    match wishes.device {
        DeviceWish::Auto => {
            let mut shares: Vec<_> = memory.devices.iter().collect();
            shares.sort_by_key(|share| Reverse(share.free_bytes()));
            let devices = shares.into_iter().map(|share| share.device());
            Ok(devices
                .chain([Device::Cpu])
                .filter_map(|device| offer(cost, memory, device))
                .collect())
        }
        DeviceWish::Only(device) => {
            if device != Device::Cpu && memory.of(device).is_none() {
                let reason = explain::missing_device(memory);
                return Err(NoPlan::NoSuchDevice { device, reason });
            }
            match offer(cost, memory, device) {
                Some(offer) => Ok(vec![offer]),
                None => Err(NoPlan::NotThere {
                    name: cost.source().into(),
                    device,
                }),
            }
        }
    }
}

/// The precisions to try on a device, in order.
///
/// With weights and tensor cores: 16 bits, then 8-bit weights; 32 bits only on request or where the
/// source has nothing else. Elsewhere the source's own order. A precision that was asked for is the only
/// one to try, where the source has it.
pub(super) fn precisions(cost: &dyn Cost, offer: &Offer, wishes: &Wishes) -> Vec<Precision> {
    if let Some(wished) = wishes.precision
        && offer.precisions.contains(&wished)
    {
        return vec![wished];
    }
    let mut precisions = offer.precisions.clone();
    if cost.has_weights() && offer.kind.has_tensor_cores() {
        precisions.retain(|&precision| precision != Precision::F32);
        if precisions.is_empty() {
            return offer.precisions.clone();
        }
    }
    precisions.sort_by_key(|&precision| width_rank(precision));
    precisions
}

/// The narrower, the later.
fn width_rank(precision: Precision) -> Reverse<u64> {
    Reverse(precision.weight_bytes())
}

/// The levels to try, finest first.
fn levels(cost: &dyn Cost, wishes: &Wishes) -> Vec<u32> {
    let finest = wishes.finest_level;
    let mut lower = cost.levels();
    lower.retain(|&level| level < finest && level >= wishes.coarsest_level);
    lower.sort_by_key(|&level| Reverse(level));
    lower.dedup();
    [finest].into_iter().chain(lower).collect()
}

/// Every way to run a source on a device, in the order in which they are tried.
fn ways(cost: &dyn Cost, offer: &Offer, wishes: &Wishes) -> Vec<Choice> {
    let device = offer.device;
    let precisions = precisions(cost, offer, wishes);
    let mut residencies = match device {
        // What is on the host already has nowhere else to be.
        Device::Cpu => vec![Residency::Resident],
        Device::Cuda(_) => cost.residencies(),
    };
    residencies.sort_unstable();
    let mut chunks = cost.chunks();
    chunks.sort_by_key(|&chunk| Reverse(chunk));
    let mut ways = Vec::new();
    for level in levels(cost, wishes) {
        for &precision in &precisions {
            for &residency in &residencies {
                ways.extend(chunks.iter().map(|&chunk| Choice {
                    device,
                    precision,
                    chunk,
                    residency,
                    level,
                }));
            }
        }
    }
    ways
}

/// Where a way stands in the order of giving up; the greater, the more is given up. It depends on
/// nothing but the way itself, so that stepping along it ends whatever happens to the memory meanwhile.
fn rank(choice: &Choice) -> (bool, Reverse<u32>, Reverse<u64>, Residency, Reverse<u32>) {
    (
        choice.device == Device::Cpu,
        Reverse(choice.level),
        width_rank(choice.precision),
        choice.residency,
        Reverse(choice.chunk),
    )
}

impl Plan {
    /// The next smaller plan after memory ran out, and what was given up, in words.
    ///
    /// It takes less of what ran out, and stands later in the order of giving up, so that stepping down
    /// again and again ends. `memory` is what there is after the failed attempt gave its own back. The
    /// processor follows a CUDA device only where the device was left to us; another CUDA device never
    /// does.
    ///
    /// # Errors
    ///
    /// [`NoPlan::NothingSmaller`] when there is no smaller plan that fits.
    pub fn step_down(
        &self,
        cost: &dyn Cost,
        memory: &Memory,
        wishes: &Wishes,
        after: &Shortage,
    ) -> Result<(Self, String), NoPlan> {
        let Some((choice, need)) = self.next_down(cost, memory, wishes, after.pool) else {
            let any_level = Wishes {
                coarsest_level: 0,
                ..*wishes
            };
            let coarser = self.next_down(cost, memory, &any_level, after.pool);
            return Err(NoPlan::NothingSmaller {
                name: cost.source().into(),
                pool: after.pool,
                error: after.error.clone(),
                suggestion: Suggestion {
                    level: coarser.map(|(choice, _)| choice.level),
                    device: None,
                },
            });
        };
        let given_up = explain::given_up(&self.choice, &choice, after);
        let mut reasons = self.reasons.clone();
        // The last reason is the old plan's need.
        reasons.pop();
        reasons.push(given_up.clone());
        reasons.push(explain::total(memory, &choice, &need));
        let plan = Self {
            choice,
            need,
            reasons,
        };
        Ok((plan, given_up))
    }

    /// The first way that gives up more than this plan, takes less of what ran out, and fits.
    fn next_down(
        &self,
        cost: &dyn Cost,
        memory: &Memory,
        wishes: &Wishes,
        pool: Pool,
    ) -> Option<(Choice, Need)> {
        let mut devices = vec![self.choice.device];
        if wishes.device == DeviceWish::Auto && self.choice.device != Device::Cpu {
            devices.push(Device::Cpu);
        }
        let in_pool = |need: &Need| match pool {
            Pool::Host => need.host_bytes,
            Pool::Device => need.device_bytes,
        };
        let takes_less = |choice: &Choice, need: &Need| {
            let leaves = pool == Pool::Device
                && choice.device == Device::Cpu
                && self.choice.device != Device::Cpu;
            leaves || in_pool(need) < in_pool(&self.need)
        };
        devices
            .into_iter()
            .filter_map(|device| offer(cost, memory, device))
            .flat_map(|offer| ways(cost, &offer, wishes))
            .filter(|choice| rank(choice) > rank(&self.choice))
            .map(|choice| (choice, cost.need(&choice)))
            .find(|(choice, need)| {
                takes_less(choice, need) && memory.lack(choice.device, need).is_none()
            })
    }
}
