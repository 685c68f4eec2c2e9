//! Jobs on the device: a mesh from the whole story, memory that runs out, and a device that is lost.

use std::sync::Arc;
use std::time::Duration;

use orfeas::engine::{
    Config, Device, Engine, Event, Failure, Outcome, Published, Request, Settings, Source, State,
    Submission,
};
use orfeas::vram::{DeviceWish, Precision};

use crate::emulated;
use crate::pictures;
use crate::triposr_folder::folder;

pub(crate) const TESTS: &[crate::Test] = &[
    ("engine_makes_a_mesh_on_the_device", makes_a_mesh),
    ("engine_steps_down_when_the_device_is_full", steps_down),
    ("engine_goes_on_without_a_lost_device", goes_on_without),
    (
        "engine_does_not_use_a_device_that_computes_wrong",
        wrong_answers,
    ),
    (
        "engine_plans_with_what_the_device_has_free",
        plans_with_what_is_free,
    ),
];

/// An engine, and the weights of the reference model.
struct Place {
    engine: Engine,
    weights: Arc<Published>,
    _folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let weights = Arc::new(
            Published::open(&orfeas::engine::catalogue::TRIPOSR, &folder(place.path())).unwrap(),
        );
        Self {
            engine: Engine::start(Config::default()).unwrap(),
            weights,
            _folder: place,
        }
    }

    fn run(&self, device: DeviceWish, precision: Option<Precision>) -> Submission {
        let settings = Settings {
            source: Source::TripoSr,
            resolution: 32,
            weights: Some(Arc::clone(&self.weights)),
            device,
            precision,
            ..Settings::default()
        };
        let request = Request {
            image: pictures::disc_png(96).into(),
            name: "disc".into(),
            settings,
            keep_every_level: false,
            cache: false,
            history: false,
        };
        let submission = self.engine.submit(request).unwrap();
        let mut cursor = Default::default();
        while matches!(submission.state(), State::Queued | State::Running) {
            submission
                .events
                .wait(&mut cursor, Duration::from_millis(50));
        }
        submission
    }

    /// Everything is given back.
    #[track_caller]
    fn assert_empty(&self) {
        self.engine.free_memory();
        assert_eq!(self.engine.ledger().used_bytes(), 0);
        let memory = self.engine.vram().memory();
        for device in &memory.devices {
            assert_eq!(device.account.used_bytes, 0, "{}", device.name);
        }
    }
}

#[track_caller]
fn made(submission: &Submission) -> Arc<Outcome> {
    match submission.result() {
        Some(Ok(outcome)) => Arc::clone(outcome),
        Some(Err(failure)) => panic!("{failure}"),
        None => panic!("cancelled"),
    }
}

fn only_the_device() -> DeviceWish {
    DeviceWish::Only(Device::Cuda(0))
}

fn makes_a_mesh() {
    let place = Place::new();
    let on_processor = made(&place.run(DeviceWish::Only(Device::Cpu), None));
    for (wish, precision, near) in [
        (only_the_device(), Some(Precision::F32), 1e-4),
        (DeviceWish::Auto, None, 0.05),
    ] {
        let outcome = made(&place.run(wish, precision));
        let summary = &outcome.summary;
        assert_eq!(summary.device, "cuda:0");
        assert_eq!(
            summary.precision,
            if precision.is_some() { "fp32" } else { "fp16" }
        );
        assert!(summary.shape.closed && summary.shape.manifold);
        assert!(summary.warnings.is_empty(), "{:?}", summary.warnings);
        let [ours, expected] = [summary.shape.volume, on_processor.summary.shape.volume];
        assert!((ours / expected - 1.0).abs() < near, "{ours} {expected}");
        assert!(summary.peak_ledger_bytes > 0);
        // The weights stay for the next job, and are told as idle.
        let memory = place.engine.vram().memory();
        assert_eq!(memory.devices[0].account.used_bytes, 0);
    }
    place.assert_empty();
}

fn steps_down() {
    // While the kernels are checked, and while the model is loaded and run.
    let mut stepped_down = 0;
    for allocation in [20, 90, 130, 170] {
        let settings = [("FAIL_ALLOCATION", allocation)];
        let Some(_settings) = emulated::Settings::set(&settings) else {
            return;
        };
        let place = Place::new();
        let outcome = made(&place.run(DeviceWish::Auto, Some(Precision::F16)));
        assert!(outcome.summary.shape.closed);
        let warnings = outcome.summary.warnings.join("\n");
        stepped_down += usize::from(warnings.contains("ran out"));
        place.assert_empty();
    }
    assert!(
        stepped_down >= 3,
        "only {stepped_down} jobs ran out of memory"
    );
}

fn goes_on_without() {
    let Some(_settings) = emulated::Settings::set(&[("FAIL_LAUNCH", 60)]) else {
        return;
    };
    // Left to us, the processor takes over, with a warning.
    let place = Place::new();
    let submission = place.run(DeviceWish::Auto, None);
    let outcome = made(&submission);
    assert_eq!(outcome.summary.device, "cpu");
    let warnings = outcome.summary.warnings.join("\n");
    for part in [
        "cuda:0 stopped working",
        "illegal memory access",
        "on the processor instead",
    ] {
        assert!(warnings.contains(part), "{warnings}");
    }
    let events = submission.events.read(&mut Default::default());
    let warned = |event: &Event| matches!(event, Event::Warning { message } if message.contains("stopped working"));
    assert!(events.iter().any(|stamped| warned(&stamped.event)));
    // It stays so while the program runs, and a job that wants that device alone is told why.
    let again = made(&place.run(DeviceWish::Auto, None));
    assert_eq!(again.summary.device, "cpu");
    assert!(again.summary.warnings.is_empty());
    let refused = place.run(only_the_device(), None);
    let Some(Err(failure)) = refused.result() else {
        panic!("a lost device was used");
    };
    assert!(failure.to_string().contains("stopped working"), "{failure}");
    place.assert_empty();
    drop(place);
    // Asked for by name, it fails in words.
    let place = Place::new();
    let failed = place.run(only_the_device(), None);
    let Some(Err(failure)) = failed.result() else {
        panic!("a lost device made a mesh");
    };
    assert!(matches!(failure, Failure::Gpu(_)), "{failure}");
    assert!(failure.to_string().contains("stopped working"), "{failure}");
    place.assert_empty();
}

fn wrong_answers() {
    let Some(_settings) = emulated::Settings::set(&[("WRONG_LAUNCH", 1)]) else {
        return;
    };
    let place = Place::new();
    let outcome = made(&place.run(DeviceWish::Auto, None));
    assert_eq!(outcome.summary.device, "cpu");
    let warnings = outcome.summary.warnings.join("\n");
    for part in ["cuda:0 computes gemm", "wrong", "on the processor instead"] {
        assert!(warnings.contains(part), "{warnings}");
    }
    place.assert_empty();
}

fn plans_with_what_is_free() {
    // Half a GB is kept for the viewport; the model needs 2 MB at least, and 16 MB at its fastest.
    let free = |bytes: i64| emulated::Settings::set(&[("TOTAL_BYTES", 500_000_000 + bytes)]);
    let Some(settings) = free(5_000_000) else {
        return;
    };
    let place = Place::new();
    let outcome = made(&place.run(only_the_device(), None));
    assert_eq!(outcome.summary.device, "cuda:0");
    place.assert_empty();
    drop((place, settings));
    let _settings = free(1_000_000);
    let place = Place::new();
    let outcome = made(&place.run(DeviceWish::Auto, None));
    assert_eq!(outcome.summary.device, "cpu");
    let refused = place.run(only_the_device(), None);
    let Some(Err(failure)) = refused.result() else {
        panic!("a device was used that is too small");
    };
    let (required, free) = failure.required_and_free_bytes().unwrap();
    assert!(required > free && free <= 1_000_000, "{failure}");
    assert!(failure.to_string().contains("cuda:0"), "{failure}");
    place.assert_empty();
}
