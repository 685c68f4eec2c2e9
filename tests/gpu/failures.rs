//! What goes wrong in the middle of a model's run: memory that is refused by the ledger or by the driver at
//! every place in turn, a device that is lost, and a job that is cancelled. Each ends in an error in words,
//! and leaves nothing behind.

use std::sync::Arc;
use std::time::{Duration, Instant};

use orfeas::compute::{Context, Device, Gpu, GpuError, OutOfMemory, Precision};
use orfeas::models::triposr::TripoSrError;
use orfeas::vram::Residency;

use crate::device::gpu;
use crate::emulated::{self, Settings};
use crate::operators::contexts;
use crate::triposr_reference::Reference;

pub(crate) const TESTS: &[crate::Test] = &[
    ("failure_of_every_reservation", every_reservation),
    ("failure_of_every_allocation", every_allocation),
    ("failure_of_the_device_in_the_middle", lost_in_the_middle),
    ("cancelled_in_the_middle", cancelled),
];

/// The whole way from weights to a field and a few values of it.
fn run(reference: &Reference, residency: Residency, context: &Context) -> Result<(), TripoSrError> {
    let (config, weights) = (reference.config.clone(), Arc::clone(&reference.weights));
    let precision = Precision::Int8;
    let load = orfeas::models::triposr::TripoSr::load;
    let model = load(config, weights, precision, residency, context)?.with_chunk(4096);
    let tokens = model.encode(&reference.image(), context)?;
    let planes = model.planes(&tokens, context)?;
    let planes = model.upsample(&planes, context)?;
    let scene = model.field(&planes, context)?;
    scene.log_densities(&reference.points());
    Ok(scene.failure()?)
}

/// Nothing is held of the device, by its account and by the driver's.
#[track_caller]
fn assert_nothing_left(gpu: &Gpu, free_before: u64) {
    assert_eq!(gpu.ledger().used_bytes(), 0);
    assert!(gpu.ledger().by_purpose().is_empty());
    gpu.wait().unwrap();
    gpu.trim().unwrap();
    let (free, _) = gpu.free_and_total_bytes().unwrap();
    // Others may use a real device meanwhile.
    if emulated::is_here() {
        assert_eq!(free, free_before, "the driver has all its memory back");
    }
}

fn every_reservation() {
    let reference = Reference::read();
    let gpu = gpu();
    let residency = Residency::Streamed;
    let [context, _] = contexts(&gpu);
    let (free_before, _) = gpu.free_and_total_bytes().unwrap();
    run(&reference, residency, &context).unwrap();
    // The check of the kernels is over: only the run itself is repeated.
    let first = gpu.ledger().reservations();
    run(&reference, residency, &context).unwrap();
    let all = gpu.ledger().reservations() - first;
    assert!(all > 100, "{all} reservations");
    for number in 0..all {
        gpu.ledger()
            .refuse_reservation(gpu.ledger().reservations() + number);
        let error = run(&reference, residency, &context).unwrap_err();
        let TripoSrError::OutOfMemory(OutOfMemory { device, .. }) = error else {
            panic!("reservation {number}: {error}");
        };
        assert_eq!(device, Device::Cuda(0));
        assert_eq!(context.ledger.used_bytes(), 0);
        assert_eq!(gpu.ledger().used_bytes(), 0);
    }
    assert_nothing_left(&gpu, free_before);
}

fn every_allocation() {
    let reference = Reference::read();
    // The checks of the kernels included; it ends with the first run that needs no more allocations.
    for number in (0..).step_by(13) {
        let Some(_settings) = Settings::set(&[("FAIL_ALLOCATION", number)]) else {
            return;
        };
        let gpu = gpu();
        let (free_before, _) = gpu.free_and_total_bytes().unwrap();
        let [context, _] = contexts(&gpu);
        let ended = run(&reference, Residency::Resident, &context);
        assert_eq!(context.ledger.used_bytes(), 0);
        assert_nothing_left(&gpu, free_before);
        match ended {
            Ok(()) => {
                assert!(number > 100, "only {number} allocations");
                return;
            }
            Err(TripoSrError::OutOfMemory(error)) => {
                assert!(error.to_string().contains("not enough memory"), "{error}");
            }
            Err(error) => panic!("allocation {number}: {error}"),
        }
    }
}

fn lost_in_the_middle() {
    let reference = Reference::read();
    for launch in [0, 20, 50, 100] {
        let Some(_settings) = Settings::set(&[("FAIL_LAUNCH", launch)]) else {
            return;
        };
        let gpu = gpu();
        let [context, _] = contexts(&gpu);
        let error = run(&reference, Residency::Streamed, &context).unwrap_err();
        assert!(
            matches!(error, TripoSrError::Gpu(GpuError::Lost { .. })),
            "{error}"
        );
        assert!(
            error.to_string().contains("illegal memory access"),
            "{error}"
        );
        assert!(gpu.lost().is_some());
        assert_eq!(gpu.ledger().used_bytes(), 0);
        assert_eq!(context.ledger.used_bytes(), 0);
    }
}

fn cancelled() {
    let reference = Reference::read();
    let gpu = gpu();
    let [whole, _] = contexts(&gpu);
    run(&reference, Residency::Streamed, &whole).unwrap();
    for purpose in ["weights", "queries, keys and values", "the field"] {
        let [context, _] = contexts(&gpu);
        let ended = std::thread::scope(|scope| {
            let running = scope.spawn(|| {
                let ended = run(&reference, Residency::Streamed, &context);
                (ended, Instant::now())
            });
            while !gpu.ledger().by_purpose().contains_key(purpose) && !running.is_finished() {
                std::thread::yield_now();
            }
            context.cancel.cancel();
            let asked = Instant::now();
            let (ended, at) = running.join().unwrap();
            // The limit is 200 ms; a machine that tests may be busy.
            let late = at.saturating_duration_since(asked);
            assert!(late < Duration::from_secs(5), "{purpose}: {late:?}");
            ended
        });
        assert!(
            matches!(ended, Err(TripoSrError::Cancelled)),
            "{purpose}: {ended:?}"
        );
        assert_eq!(gpu.ledger().used_bytes(), 0);
        assert_eq!(context.ledger.used_bytes(), 0);
    }
    // The device is as good as before.
    run(&reference, Residency::Streamed, &whole).unwrap();
}
