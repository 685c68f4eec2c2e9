//! Jobs on the device: a mesh from the whole story, memory that runs out, and a device that is lost.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use orfeas::engine::{
    Config, Cursor, Device, Engine, Event, Failure, Flow, Library, Outcome, Paces, Published,
    Request, Settings, Source, State, Submission, catalogue,
};
use orfeas::vram::{DeviceWish, Precision};

use crate::emulated;
use crate::pictures;
use crate::triposg_folder;
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
    ("engine_makes_triposg_on_the_device", makes_triposg),
    (
        "engine_steps_down_when_triposg_fills_the_device",
        steps_triposg_down,
    ),
    (
        "engine_goes_on_with_triposg_without_a_lost_device",
        goes_on_with_triposg,
    ),
    (
        "engine_does_not_begin_on_the_processor_what_takes_hours",
        does_not_begin_for_hours,
    ),
];

/// An engine, and the weights of a reference model.
struct Place {
    engine: Engine,
    source: Source,
    resolution: u32,
    steps: u32,
    /// The share of the time that goes into looks on the way.
    preview_share: f64,
    weights: Arc<Published>,
    _folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self::of(Source::TripoSr, &catalogue::TRIPOSR, folder)
    }

    fn with_triposg() -> Self {
        // A latent field costs an emulated device much a sample: few of them.
        Self {
            resolution: 16,
            ..Self::of(Source::TripoSg, &catalogue::TRIPOSG, triposg_folder::folder)
        }
    }

    fn of(source: Source, model: &'static catalogue::Model, folder: fn(&Path) -> PathBuf) -> Self {
        let place = tempfile::tempdir().unwrap();
        let weights = Arc::new(Published::open(model, &folder(place.path())).unwrap());
        Self {
            engine: Engine::start(Config::default()).unwrap(),
            source,
            resolution: 32,
            // Two thousand latents look at one another in every look: one is enough.
            steps: 1,
            preview_share: 0.0,
            weights,
            _folder: place,
        }
    }

    fn run(&self, device: DeviceWish, precision: Option<Precision>) -> Submission {
        let submission = self.submit(device, precision);
        wait(&submission);
        submission
    }

    fn submit(&self, device: DeviceWish, precision: Option<Precision>) -> Submission {
        let settings = Settings {
            source: self.source,
            resolution: self.resolution,
            // Who leaves the source open leaves the weights open too.
            weights: (self.source != Source::Auto).then(|| Arc::clone(&self.weights)),
            device,
            precision,
            flow: Flow {
                steps: self.steps,
                guidance: 1.0,
                seed: 5,
                preview_share: self.preview_share,
                ..Flow::default()
            },
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
        self.engine.submit(request).unwrap()
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

fn wait(submission: &Submission) {
    let mut cursor = Default::default();
    while matches!(submission.state(), State::Queued | State::Running) {
        submission
            .events
            .wait(&mut cursor, Duration::from_millis(50));
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

/// What a job of TripoSG told, and its mesh.
#[track_caller]
fn assert_near_the_processors(found: &Outcome, expected: &Outcome, most: f64) {
    let [found_shape, expected_shape] = [&found.summary.shape, &expected.summary.shape];
    assert!(found_shape.closed && found_shape.manifold);
    let [ours, expected] = [found_shape.volume, expected_shape.volume];
    assert!((ours / expected - 1.0).abs() < most, "{ours} {expected}");
}

fn makes_triposg() {
    let mut place = Place::with_triposg();
    place.steps = 2;
    let on_processor = made(&place.run(DeviceWish::Only(Device::Cpu), None));
    let expected = on_processor.mesh.load().unwrap();
    // With a look at it after the first step, beside the second.
    place.preview_share = 0.9;
    let submission = place.run(only_the_device(), Some(Precision::F32));
    let on_device = made(&submission);
    let told = submission.events.read(&mut Cursor::default());
    let levels = (told.iter()).filter(|told| matches!(told.event, Event::Level { .. }));
    assert_eq!(levels.count(), 2, "a look, and the only level");
    assert_eq!(on_device.summary.device, "cuda:0");
    assert_eq!(on_device.summary.precision, "fp32");
    assert_eq!(
        on_device.summary.warnings, on_processor.summary.warnings,
        "the same is told"
    );
    // The same seed makes the same shape: its vertices lie where the processor's do.
    let found = on_device.mesh.load().unwrap();
    assert_eq!(found.triangles.len(), expected.triangles.len());
    assert_eq!(found.positions.len(), expected.positions.len());
    let pairs = found
        .positions
        .as_flattened()
        .iter()
        .zip(expected.positions.as_flattened());
    let apart = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("vertices at most {apart:.1e} apart");
    assert!(apart < 1e-3, "{apart}");
    assert_near_the_processors(&on_device, &on_processor, 1e-3);
    // Left to us, in 16 bits; an emulated device would take minutes.
    if !emulated::is_here() {
        let left_to_us = made(&place.run(DeviceWish::Auto, None));
        assert_eq!(left_to_us.summary.device, "cuda:0");
        assert_eq!(left_to_us.summary.precision, "fp16");
        assert_near_the_processors(&left_to_us, &on_processor, 0.05);
    }
    place.assert_empty();
}

fn does_not_begin_for_hours() {
    let Some(_settings) = emulated::Settings::set(&[("FAIL_LAUNCH", 150)]) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let library = Library {
        list: Some(folder.path().join("models.json")),
        ..Library::default()
    };
    let weights = triposg_folder::folder(folder.path());
    library.choose(&catalogue::TRIPOSG, &weights).unwrap();
    let paces = folder.path().join("paces.json");
    // So slow a processor that it is not to take its place.
    let known = r#"{"triposg, 2 threads, fp32, resident": 1e6}"#;
    std::fs::write(&paces, known).unwrap();
    let engine = Engine::start(Config {
        library,
        paces: Paces::in_file(paces),
        threads: Some(2),
        ..Config::default()
    });
    let mut place = Place {
        engine: engine.unwrap(),
        source: Source::Auto,
        ..Place::with_triposg()
    };
    let first = place.submit(DeviceWish::Auto, None);
    // Chosen while the device is there, and begun when it is not.
    place.steps = 2;
    let second = place.submit(DeviceWish::Auto, None);
    for (submission, because) in [(first, "stopped working"), (second, "cannot be used now")] {
        let reason = &submission.chosen.as_ref().unwrap().reason;
        assert!(reason.contains("TripoSG was chosen"), "{reason}");
        wait(&submission);
        let Some(Err(failure)) = submission.result() else {
            panic!("it went on without the device");
        };
        let words = failure.to_string();
        for part in ["cuda:0", because, "h on cpu", "Generate again"] {
            assert!(words.contains(part), "{words}");
        }
    }
    place.assert_empty();
    // And so it does.
    let submission = place.run(DeviceWish::Auto, None);
    assert_eq!(made(&submission).summary.source, Source::Inflate);
    place.assert_empty();
}

fn steps_triposg_down() {
    // In the middle of the denoiser; and there is no room for looks on a queue of their own, which costs nothing
    // but them.
    let settings = [("FAIL_ALLOCATION", 300), ("STREAMS", 1)];
    let Some(_settings) = emulated::Settings::set(&settings) else {
        return;
    };
    let mut place = Place::with_triposg();
    place.preview_share = 0.9;
    let outcome = made(&place.run(DeviceWish::Auto, Some(Precision::F32)));
    assert_eq!(outcome.summary.device, "cuda:0");
    assert!(outcome.summary.shape.closed);
    let warnings = outcome.summary.warnings.join("\n");
    assert!(warnings.contains("ran out"), "{warnings}");
    place.assert_empty();
}

fn goes_on_with_triposg() {
    // In the middle of a step.
    let Some(_settings) = emulated::Settings::set(&[("FAIL_LAUNCH", 280)]) else {
        return;
    };
    let place = Place::with_triposg();
    let outcome = made(&place.run(DeviceWish::Auto, None));
    assert_eq!(outcome.summary.device, "cpu");
    assert!(outcome.summary.shape.closed);
    let warnings = outcome.summary.warnings.join("\n");
    for part in ["cuda:0 stopped working", "on the processor instead"] {
        assert!(warnings.contains(part), "{warnings}");
    }
    let refused = place.run(only_the_device(), None);
    let Some(Err(failure)) = refused.result() else {
        panic!("a lost device was used");
    };
    assert!(failure.to_string().contains("stopped working"), "{failure}");
    place.assert_empty();
}
