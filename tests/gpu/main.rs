//! The tests that take a GPU. Where there is one they run on it; elsewhere this program compiles the
//! emulated driver of `tests/cuda_emulator` and runs itself again with that in the driver's place: once as
//! a device of compute capability 8.6, and once as one of 7.5, where tests of jobs and memory are left out.
//!
//! Usage: `gpu [--exact] [FILTER…]`. It needs no window and no network; on a machine without a GPU and
//! without a C++ compiler it says so and tests nothing, unless `CI` is set.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod blas;
mod device;
mod emulated;
mod engine;
mod failures;
mod hierarchy;
mod latents;
mod model;
mod operators;
#[expect(dead_code, reason = "it serves the suite too")]
#[path = "../suite/pictures.rs"]
mod pictures;
#[expect(dead_code, reason = "it serves the suite too")]
#[path = "../suite/random.rs"]
mod random;
mod surfaces;
mod triposg;
#[path = "../suite/triposg_folder.rs"]
mod triposg_folder;
#[expect(dead_code, reason = "it serves the suite too")]
#[path = "../suite/triposg_reference.rs"]
mod triposg_reference;
#[path = "../suite/triposr_folder.rs"]
mod triposr_folder;
#[expect(dead_code, reason = "it serves the suite too")]
#[path = "../suite/triposr_reference.rs"]
mod triposr_reference;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::Instant;

use orfeas::compute::{CudaProbe, probe};

/// A test by name.
pub(crate) type Test = (&'static str, fn());

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        all().iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    if emulated::is_here() {
        return run(&arguments);
    }
    match probe() {
        CudaProbe::Devices { devices, .. } => {
            println!("on {}", devices[0].name);
            run(&arguments)
        }
        state => {
            println!("{state}: with the emulated driver");
            emulated::run_again(&arguments)
        }
    }
}

fn all() -> Vec<Test> {
    [
        device::TESTS,
        operators::TESTS,
        blas::TESTS,
        latents::TESTS,
        model::TESTS,
        triposg::TESTS,
        failures::TESTS,
        surfaces::TESTS,
        hierarchy::TESTS,
        engine::TESTS,
    ]
    .concat()
}

/// Whether a test asks what jobs do, or what memory is taken: not which kernels there are for a kind of device. An
/// emulated device takes minutes for them.
fn is_the_same_on_every_kind(name: &str) -> bool {
    name.starts_with("engine_") || name.contains("_takes_the_memory_")
}

/// Runs the tests whose names contain one of the filters, or are one of them with `--exact`.
fn run(arguments: &[String]) -> ExitCode {
    let exact = arguments.iter().any(|argument| argument == "--exact");
    let filters: Vec<_> = (arguments.iter())
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let is_chosen = |name: &str| {
        let fits = |filter: &&String| {
            if exact {
                name == **filter
            } else {
                name.contains(filter.as_str())
            }
        };
        filters.is_empty() || filters.iter().any(fits)
    };
    let mut failed = Vec::new();
    let mut chosen = all();
    chosen.retain(|(name, _)| is_chosen(name));
    if emulated::is_further_kind() && filters.is_empty() {
        let of_all_kinds = chosen.len();
        chosen.retain(|(name, _)| !is_the_same_on_every_kind(name));
        let left_out = of_all_kinds - chosen.len();
        println!("left out {left_out} tests of jobs and memory, which depend on no kind of device");
    }
    for (name, test) in &chosen {
        let started = Instant::now();
        let passed = std::panic::catch_unwind(AssertUnwindSafe(test)).is_ok();
        let seconds = started.elapsed().as_secs_f64();
        println!(
            "test {name} … {} ({seconds:.1} s)",
            if passed { "ok" } else { "FAILED" }
        );
        if !passed {
            failed.push(*name);
        }
    }
    println!(
        "{} passed, {} failed",
        chosen.len() - failed.len(),
        failed.len()
    );
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        println!("failed: {}", failed.join(", "));
        ExitCode::FAILURE
    }
}
