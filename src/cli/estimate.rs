//! `orfeas generate --estimate`: how images would be computed, and why, without doing it.

use serde_json::json;

use super::exit::{ExitCode, Failed};
use super::generate::print_line;
use super::report;
use super::startup::{self, Resources};
use crate::engine::{self, Settings};

/// Prints how images with these settings would be computed on these resources, and why.
pub(super) fn run(settings: &Settings, resources: &Resources, as_json: bool) -> Result<(), Failed> {
    let mut settings = settings.clone();
    let manager = resources.start().manager;
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let machine = engine::Machine {
        library: &startup::library(),
        vram: &manager,
        paces: &startup::paces(),
        threads: resources.threads.unwrap_or_else(cores),
    };
    let reason = engine::choose(&mut settings, machine).map(|chosen| chosen.reason);
    let plan = engine::plan(&settings, &manager).map_err(|no_plan| {
        let code = match no_plan.required_and_free_bytes() {
            Some(_) => ExitCode::OutOfMemory,
            None => ExitCode::Usage,
        };
        Failed::new(code, no_plan)
    })?;
    if as_json {
        let mut object = json!(plan);
        object["source"] = json!(settings.source);
        object["source_reason"] = json!(reason);
        return print_line(&object.to_string());
    }
    print_line(&format!(
        "{} · {} · {}³ · {} of memory",
        plan.choice.device,
        plan.choice.precision,
        plan.choice.level,
        report::bytes(plan.need.host_bytes + plan.need.device_bytes)
    ))?;
    let mut reasons = reason.iter().chain(&plan.reasons);
    reasons.try_for_each(|reason| print_line(reason))
}
