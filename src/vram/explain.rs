//! The reasons for a plan, in words for the user.

use super::cost::{Choice, Cost, Need, Residency};
use super::memory::{Memory, Pool};
use super::plan::{DeviceWish, Refused, Shortage, Suggestion, Wishes, closest, offer, precisions};
use super::words;
use crate::compute::{Device, Precision};

/// Why this choice: one sentence a decision, the last one what it takes.
pub(super) fn reasons(
    cost: &dyn Cost,
    memory: &Memory,
    wishes: &Wishes,
    choice: &Choice,
    need: &Need,
    refused: &[Refused],
) -> Vec<String> {
    let here: Vec<_> = refused
        .iter()
        .filter(|refused| refused.choice.device == choice.device)
        .copied()
        .collect();
    let mut reasons = vec![device(cost, memory, wishes, choice, refused)];
    reasons.push(precision(cost, memory, wishes, choice, &here));
    reasons.extend(level(wishes, choice, &here));
    reasons.extend(residency(cost, choice, &here));
    reasons.extend(chunk(cost, choice, &here));
    reasons.push(total(memory, choice, need));
    reasons
}

fn device(
    cost: &dyn Cost,
    memory: &Memory,
    wishes: &Wishes,
    choice: &Choice,
    refused: &[Refused],
) -> String {
    let name = cost.source();
    if wishes.device != DeviceWish::Auto {
        return format!("on {}, as asked for", device_words(memory, choice.device));
    }
    if let Some(share) = memory.of(choice.device) {
        return format!(
            "on {}: {} are free there, {} kept back for the display",
            device_words(memory, choice.device),
            words::bytes(share.free_bytes()),
            words::bytes(share.reserve_bytes)
        );
    }
    let runs_on_a_device = memory
        .devices
        .iter()
        .any(|share| offer(cost, memory, share.device()).is_some());
    match closest(
        refused
            .iter()
            .filter(|refused| refused.choice.device != Device::Cpu),
    ) {
        Some(closest) => format!(
            "on the processor: on {} {}",
            device_words(memory, closest.choice.device),
            lacks(closest)
        ),
        None if memory.devices.is_empty() => {
            format!("on the processor: {}", missing_device(memory))
        }
        None if runs_on_a_device => "on the processor".into(),
        None => format!(
            "on the processor: {name} does not run on {}",
            plural(memory)
        ),
    }
}

fn plural(memory: &Memory) -> String {
    match memory.devices.as_slice() {
        [only] => device_words(memory, only.device()),
        _ => "the GPUs of this machine".into(),
    }
}

fn device_words(memory: &Memory, device: Device) -> String {
    match memory.of(device) {
        Some(share) => format!("{device} ({})", share.name),
        None => "the processor".into(),
    }
}

/// Why a device is not there.
pub(super) fn missing_device(memory: &Memory) -> String {
    match (&memory.no_device, memory.devices.as_slice()) {
        (Some(reason), []) => reason.clone(),
        (None, []) => "there is no CUDA device".into(),
        (_, shares) => {
            let names: Vec<_> = shares
                .iter()
                .map(|share| device_words(memory, share.device()))
                .collect();
            format!("there is {}", names.join(" and "))
        }
    }
}

/// What a refused way lacks, as in `level 512 in fp16 needs 9.1 GB, and 4.0 GB are free`.
fn lacks(refused: &Refused) -> String {
    format!(
        "even level {} in {} needs {} of {}, and {} are free",
        refused.choice.level,
        refused.choice.precision,
        words::bytes(refused.lack.required_bytes),
        pool(&refused.choice, refused.lack.pool),
        words::bytes(refused.lack.free_bytes)
    )
}

fn precision(
    cost: &dyn Cost,
    memory: &Memory,
    wishes: &Wishes,
    choice: &Choice,
    refused: &[Refused],
) -> String {
    let (name, chosen) = (cost.source(), choice.precision);
    let Some(offer) = offer(cost, memory, choice.device) else {
        return format!("{chosen}");
    };
    let place = place(choice.device);
    if let Some(wished) = wishes.precision {
        if wished == chosen {
            return format!("{chosen}, as asked for");
        }
        let offered: Vec<_> = offer.precisions.iter().map(|one| one.name()).collect();
        return format!(
            "{chosen}: {wished} was asked for, and {name} has {} {place}",
            match offered.as_slice() {
                [only] => format!("only {only}"),
                several => several.join(", "),
            }
        );
    }
    if offer.precisions.len() == 1 {
        return format!("{chosen}, the only precision that {name} has {place}");
    }
    let preferred = precisions(cost, &offer, wishes)[0];
    if chosen == preferred {
        return match chosen {
            Precision::F16 | Precision::Bf16 if choice.device != Device::Cpu => {
                format!("{chosen}: {} has tensor cores", choice.device)
            }
            Precision::F32 if choice.device != Device::Cpu => {
                format!("{chosen}: {} has no tensor cores", choice.device)
            }
            _ => format!("{chosen}, what {name} prefers {place}"),
        };
    }
    let wider = refused.iter().filter(|refused| {
        refused.choice.level == choice.level && refused.choice.precision == preferred
    });
    instead(&precision_words(chosen), preferred.name(), closest(wider))
}

fn precision_words(precision: Precision) -> String {
    match precision {
        Precision::Int8 => "int8 weights".into(),
        precision => precision.to_string(),
    }
}

fn place(device: Device) -> String {
    match device {
        Device::Cpu => "on the processor".into(),
        device => format!("on {device}"),
    }
}

fn level(wishes: &Wishes, choice: &Choice, refused: &[Refused]) -> Option<String> {
    let finest = wishes.finest_level;
    let finer = refused
        .iter()
        .filter(|refused| refused.choice.level == finest);
    (choice.level != finest).then(|| {
        instead(
            &format!("level {}", choice.level),
            &finest.to_string(),
            closest(finer),
        )
    })
}

fn residency(cost: &dyn Cost, choice: &Choice, refused: &[Refused]) -> Option<String> {
    let preferred = cost.residencies().into_iter().min()?;
    let heavier = refused.iter().filter(|refused| {
        refused.choice.residency == preferred
            && refused.choice.precision == choice.precision
            && refused.choice.level == choice.level
    });
    (choice.device != Device::Cpu && choice.residency != preferred).then(|| {
        instead(
            &residency_words(choice.residency),
            &preferred.to_string(),
            closest(heavier),
        )
    })
}

fn residency_words(residency: Residency) -> String {
    match residency {
        Residency::Resident => "weights resident".into(),
        Residency::Staged => "weights loaded stage by stage".into(),
        Residency::Streamed => "weights streamed from host memory".into(),
    }
}

fn chunk(cost: &dyn Cost, choice: &Choice, refused: &[Refused]) -> Option<String> {
    let largest = cost.chunks().into_iter().max()?;
    let larger = refused.iter().filter(|refused| {
        refused.choice
            == Choice {
                chunk: largest,
                ..*choice
            }
    });
    (choice.chunk != largest).then(|| {
        instead(
            &format!("chunks of {}", choice.chunk),
            &largest.to_string(),
            closest(larger),
        )
    })
}

/// `A instead of B, which needs so much …`.
fn instead(chosen: &str, preferred: &str, refused: Option<&Refused>) -> String {
    match refused {
        Some(refused) => format!(
            "{chosen} instead of {preferred}, which needs at least {} of {}, and {} are free",
            words::bytes(refused.lack.required_bytes),
            pool(&refused.choice, refused.lack.pool),
            words::bytes(refused.lack.free_bytes)
        ),
        None => format!("{chosen} instead of {preferred}"),
    }
}

/// What a choice takes of what is free.
pub(super) fn total(memory: &Memory, choice: &Choice, need: &Need) -> String {
    let mut total = format!(
        "takes {} of host memory, {} free",
        words::bytes(need.host_bytes),
        words::bytes(memory.host.free_bytes())
    );
    if let Some(share) = memory.of(choice.device) {
        total.push_str(&format!(
            ", and {} of {}, {} free",
            words::bytes(need.device_bytes),
            choice.device,
            words::bytes(share.free_bytes())
        ));
    }
    total
}

/// The pool's name for users.
pub(super) fn pool(choice: &Choice, pool: Pool) -> String {
    match pool {
        Pool::Host => "host memory".into(),
        Pool::Device => format!("the memory of {}", choice.device),
    }
}

/// What to do about too little memory.
pub(super) fn remedy(pool: Pool, suggestion: &Suggestion) -> String {
    let quality = suggestion
        .level
        .map(|level| format!("choose a lower quality (level {level} fits)"));
    let device = suggestion
        .device
        .map(|device| format!("compute with --device {device}"));
    let pools: &[&str] = match pool {
        Pool::Host => &["close other programs", "allow more with --memory"],
        Pool::Device => &["close other programs that use the GPU"],
    };
    let pools = pools.iter().map(|&remedy| remedy.to_owned());
    let mut remedies: Vec<_> = quality.into_iter().chain(device).chain(pools).collect();
    if let [_, .., last] = remedies.as_mut_slice() {
        last.insert_str(0, "or ");
    }
    remedies.join(", ")
}

/// What a step down gives up, and why.
pub(super) fn given_up(was: &Choice, is: &Choice, after: &Shortage) -> String {
    let step = if is.device != was.device {
        format!(
            "the processor in {} instead of {}",
            is.precision, was.device
        )
    } else if is.level != was.level {
        format!("level {} instead of {}", is.level, was.level)
    } else if is.precision != was.precision {
        format!(
            "{} instead of {}",
            precision_words(is.precision),
            was.precision
        )
    } else if is.residency != was.residency {
        format!(
            "{} instead of {}",
            residency_words(is.residency),
            was.residency
        )
    } else {
        format!("chunks of {} instead of {}", is.chunk, was.chunk)
    };
    let error = &after.error;
    format!(
        "{step}: {} ran out for {}, {} required and {} free",
        pool(was, after.pool),
        error.what,
        words::bytes(error.required_bytes),
        words::bytes(error.free_bytes)
    )
}
