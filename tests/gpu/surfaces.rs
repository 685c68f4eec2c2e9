//! The embedded source's surfaces on a device, and its noise: what the processor makes, there.

use std::sync::Arc;
use std::time::Duration;

use orfeas::compute::cuda::Buffer;
use orfeas::compute::ops::isosurface::{
    Lattice, Request as Extraction, Rules, SolidField, Surface, extract_grid, extract_solid,
};
use orfeas::compute::ops::noise::standard_normal;
use orfeas::compute::ops::{OpError, Ops, Seed};
use orfeas::compute::{Activations, Cancel, Context, Gpu, Ledger};
use orfeas::engine::{
    Config, Device, Engine, Outcome, Request, Settings as JobSettings, Source, State,
};
use orfeas::field::{Brick, DenseGrid};
use orfeas::inflate::{Controls, Inflate, Solid};
use orfeas::mesh::Mesh;
use orfeas::mesh::isosurface::{self, IsosurfaceError, Parts, Survey};
use orfeas::photo::{self, Limits, MatteRequest};
use orfeas::vram::DeviceWish;

use crate::device::gpu;
use crate::emulated::Settings;
use crate::random::Random;

pub(crate) const TESTS: &[crate::Test] = &[
    ("surface_of_every_sample_is_the_processors", samples),
    ("surface_is_followed_into_bricks_left_out", left_out),
    ("surface_of_a_grid_is_the_processors", grids),
    ("surface_that_is_cancelled_leaves_nothing", cancelled),
    ("surface_meets_every_failed_allocation", failed_allocations),
    ("noise_is_the_processors", noise),
    (
        "engine_meshes_the_embedded_source_on_the_device",
        engine_job,
    ),
];

/// How far a vertex may be from the processor's, in frame sides.
const TOLERANCE: f32 = 1e-5;

macro_rules! sample {
    ($name:literal) => {
        (
            $name,
            include_bytes!(concat!("../../assets/samples/", $name)).as_slice(),
        )
    };
}

const SAMPLES: [(&str, &[u8]); 8] = [
    sample!("ampersand.png"),
    sample!("dragon.png"),
    sample!("duck.png"),
    sample!("key.webp"),
    sample!("lyre.svg"),
    sample!("pebbles.jpg"),
    sample!("teapot.jpg"),
    sample!("vase.png"),
];

fn never() -> bool {
    false
}

fn context(gpu: Option<Arc<Gpu>>) -> Context {
    Context {
        gpu,
        ledger: Ledger::unlimited(),
        cancel: Cancel::default(),
    }
}

fn source(image: &[u8]) -> Inflate {
    let photo = photo::decode(image, &Limits::default()).unwrap();
    let matte = photo::matte(&photo, &MatteRequest::default(), &never).unwrap();
    Inflate::new(Arc::new(photo::cut_out(&photo, &matte).unwrap()))
}

fn solid(source: &mut Inflate, level: u32) -> Solid {
    let controls = Controls::default();
    source.solid(&controls, level, &context(None)).unwrap()
}

/// What a surface is extracted with on a lattice, by the processor's rules.
pub(crate) fn request<'a>(
    gpu: &'a Arc<Gpu>,
    cancel: &'a Cancel,
    cases: &'a [u16],
    lattice: &isosurface::Lattice,
) -> Extraction<'a> {
    Extraction {
        gpu,
        cancel,
        rules: Rules {
            cases,
            missed: isosurface::missed_places,
        },
        lattice: Lattice {
            origin: lattice.origin,
            step: lattice.step,
            cells: lattice.cells,
            bricks: lattice.bricks(),
        },
    }
}

pub(crate) fn assembled(surface: Surface) -> Result<Mesh, IsosurfaceError> {
    let parts = Parts {
        positions: surface.positions,
        normals: surface.normals,
        triangles: surface.triangles,
        disagreeing: surface.disagreeing,
        is_open: surface.is_open,
    };
    isosurface::assemble(parts, &never)
}

/// The surface of a solid in some of the bricks of its survey.
fn extract(
    gpu: &Arc<Gpu>,
    cancel: &Cancel,
    solid: &Solid,
    survey: &Survey,
    is_filled: impl Fn(usize) -> bool,
) -> Result<Surface, OpError> {
    let form = solid.description();
    let field = SolidField::new(
        gpu,
        form.shape,
        form.squared_height,
        form.inverse_diameter,
        form.raised,
    )?;
    let cases = isosurface::packed_cases();
    let request = request(gpu, cancel, &cases, survey.lattice());
    let places = (survey.places().iter().enumerate())
        .filter(|(place, _)| is_filled(*place))
        .map(|(_, &[x, y, z])| [x, y, z, 0]);
    extract_solid(&request, places.collect(), &field)
}

#[track_caller]
fn assert_same(what: &str, found: &Mesh, expected: &Mesh) {
    assert!(found.triangles == expected.triangles, "{what}: other faces");
    for (which, found, expected, allowed) in [
        ("vertices", &found.positions, &expected.positions, TOLERANCE),
        ("normals", &found.normals, &expected.normals, 1e-3),
    ] {
        assert_eq!(found.len(), expected.len(), "{what}: {which}");
        let mut pairs = found.as_flattened().iter().zip(expected.as_flattened());
        // A NaN is not near.
        assert!(
            pairs.all(|(a, b)| (a - b).abs() <= allowed),
            "{what}: {which} elsewhere"
        );
    }
}

fn samples() {
    let gpu = gpu();
    for (name, image) in SAMPLES {
        let mut source = source(image);
        for level in [32, 64] {
            let solid = solid(&mut source, level);
            let survey = isosurface::survey(&solid, level, &never).unwrap();
            let expected = isosurface::extract(&solid, &survey, &never).unwrap();
            let found = extract(&gpu, &Cancel::default(), &solid, &survey, |_| true).unwrap();
            assert!(!found.is_open);
            assert_same(name, &assembled(found).unwrap(), &expected);
        }
    }
    assert_eq!(gpu.ledger().used_bytes(), 0);
}

fn left_out() {
    let gpu = gpu();
    let solid = solid(&mut source(SAMPLES[2].1), 32);
    let survey = isosurface::survey(&solid, 32, &never).unwrap();
    let all = extract(&gpu, &Cancel::default(), &solid, &survey, |_| true).unwrap();
    let some = extract(&gpu, &Cancel::default(), &solid, &survey, |place| {
        place % 3 != 1
    })
    .unwrap();
    assert!(!some.is_open);
    let sorted = |surface: &Surface| {
        let mut positions: Vec<_> = surface
            .positions
            .iter()
            .map(|at| at.map(f32::to_bits))
            .collect();
        positions.sort_unstable();
        positions
    };
    assert!(
        sorted(&all) == sorted(&some),
        "the same vertices in another order"
    );
    assert_eq!(all.triangles.len(), some.triangles.len());
    assert_eq!(gpu.ledger().used_bytes(), 0);
}

/// The surface of a grid that is on the device.
fn extract_dense(gpu: &Arc<Gpu>, grid: &DenseGrid) -> Result<Mesh, IsosurfaceError> {
    let lattice = isosurface::grid_lattice(grid)?;
    let (cases, cancel) = (isosurface::packed_cases(), Cancel::default());
    let request = request(gpu, &cancel, &cases, &lattice);
    let samples = Buffer::of_bytes(gpu, bytemuck::cast_slice(grid.values()), "a grid").unwrap();
    let surface = extract_grid(&request, grid.brick().samples, &samples);
    assembled(surface.unwrap())
}

fn grids() {
    let gpu = gpu();
    for (samples, chance_unknown) in [([40, 33, 25], 0), ([21, 40, 17], 5), ([1, 2, 3], 0)] {
        let mut random = Random(samples[0] as u64);
        let brick = Brick {
            origin: [-0.5; 3],
            step: 1.0 / 40.0,
            samples,
        };
        let values = (0..brick.len())
            .map(|at| {
                if random.chance(chance_unknown) {
                    return f32::NAN;
                }
                let wave = |part: usize, scale: f32| (part as f32 * scale).sin();
                let rough = 0.4 * random.uniform(-1.0, 1.0);
                wave(at % samples[0], 0.31) + wave(at / samples[0] % samples[1], 0.27)
                    - wave(at / samples[0] / samples[1], 0.4)
                    + rough
            })
            .collect();
        let grid = DenseGrid::new(brick, values).unwrap();
        let expected = isosurface::extract_dense(&grid, &never).unwrap();
        assert_same("grid", &extract_dense(&gpu, &grid).unwrap(), &expected);
    }
    let brick = Brick {
        origin: [0.0; 3],
        step: 1.0,
        samples: [9; 3],
    };
    let nothing = DenseGrid::new(brick, vec![-1.0; 729]).unwrap();
    assert_eq!(
        extract_dense(&gpu, &nothing).unwrap_err(),
        IsosurfaceError::Empty
    );
    assert_eq!(gpu.ledger().used_bytes(), 0);
}

fn cancelled() {
    let gpu = gpu();
    let solid = solid(&mut source(SAMPLES[2].1), 32);
    let survey = isosurface::survey(&solid, 32, &never).unwrap();
    let cancel = Cancel::default();
    cancel.cancel();
    let ended = extract(&gpu, &cancel, &solid, &survey, |_| true);
    assert_eq!(ended.unwrap_err(), OpError::Cancelled);
    assert_eq!(gpu.ledger().used_bytes(), 0);
}

fn failed_allocations() {
    let solid = solid(&mut source(SAMPLES[2].1), 32);
    let survey = isosurface::survey(&solid, 32, &never).unwrap();
    for number in 0.. {
        let Some(_settings) = Settings::set(&[("FAIL_ALLOCATION", number)]) else {
            return;
        };
        let gpu = gpu();
        let ended = extract(&gpu, &Cancel::default(), &solid, &survey, |_| true);
        assert_eq!(gpu.ledger().used_bytes(), 0);
        match ended {
            Err(OpError::OutOfMemory(error)) => assert_eq!(error.device, gpu.device()),
            Err(error) => panic!("{error}"),
            // There was no such allocation any more.
            Ok(_) => return assert!(number > 15, "{number}"),
        }
    }
}

fn noise() {
    let gpu = gpu();
    let context = context(Some(gpu.clone()));
    let seed = Seed {
        seed: 11,
        stream: 1 << 40,
    };
    let (rows, columns) = (301, 67);
    let mut expected = vec![0.0; rows * columns];
    standard_normal(seed, 0, &mut expected);
    for activations in Activations::ALL {
        let mut expected = expected.clone();
        activations.round(&mut expected);
        let noise = Ops::new(&context, activations).noise(rows, columns, seed, "noise");
        assert!(
            noise.unwrap().to_host().unwrap() == expected,
            "{activations:?}"
        );
    }
    assert_eq!(gpu.ledger().used_bytes(), 0);
}

/// A job of the embedded source, and what it was told.
fn job(device: DeviceWish, image: &[u8]) -> Result<Arc<Outcome>, String> {
    let engine = Engine::start(Config::default()).unwrap();
    let settings = JobSettings {
        source: Source::Inflate,
        resolution: 64,
        device,
        ..JobSettings::default()
    };
    let request = Request {
        image: image.into(),
        name: "sample".into(),
        settings,
        keep_every_level: false,
        cache: false,
        history: false,
    };
    let submission = engine.submit(request).unwrap();
    let mut cursor = Default::default();
    while matches!(submission.state(), State::Queued | State::Running) {
        submission
            .events
            .wait(&mut cursor, Duration::from_millis(50));
    }
    let ended = match submission.result().unwrap() {
        Ok(outcome) => Ok(Arc::clone(outcome)),
        Err(failure) => Err(failure.to_string()),
    };
    engine.free_memory();
    assert_eq!(engine.ledger().used_bytes(), 0);
    for device in &engine.vram().memory().devices {
        assert_eq!(device.account.used_bytes, 0, "{}", device.name);
    }
    ended
}

fn engine_job() {
    let on_device = DeviceWish::Only(Device::Cuda(0));
    let image = SAMPLES[6].1;
    let expected = job(DeviceWish::Only(Device::Cpu), image).unwrap();
    assert_eq!(expected.summary.device, "cpu");
    for wish in [on_device, DeviceWish::Auto] {
        let made = job(wish, image).unwrap();
        assert_eq!(made.summary.device, "cuda:0");
        assert!(made.summary.warnings == expected.summary.warnings);
        assert_same(
            "a job",
            &made.mesh.load().unwrap(),
            &expected.mesh.load().unwrap(),
        );
    }
    // A device that computes something else is not used: the processor is, where the choice was ours.
    let Some(_settings) = Settings::set(&[("WRONG_LAUNCH", 9)]) else {
        return;
    };
    let made = job(DeviceWish::Auto, image).unwrap();
    assert_eq!(made.summary.device, "cpu");
    assert_same(
        "after a wrong answer",
        &made.mesh.load().unwrap(),
        &expected.mesh.load().unwrap(),
    );
    let warnings = made.summary.warnings.join("\n");
    assert!(warnings.contains("computes the surface"), "{warnings}");
    let error = job(on_device, image).unwrap_err();
    assert!(error.contains("computes the surface"), "{error}");
}
