//! Sampling from coarse to fine and the surface among the samples on the device, against the processor's.

use std::sync::Arc;

use orfeas::compute::ops::fourier::PointsOnDevice;
use orfeas::compute::ops::hierarchy::SparseSamples;
use orfeas::compute::ops::isosurface::{Surface, extract_blocks};
use orfeas::compute::ops::{OpError, Ops};
use orfeas::compute::{Cancel, Context, Gpu, Ledger, Matrix, Number};
use orfeas::field::{Brick, Evaluate, Hierarchy, Region, SparseGrid};
use orfeas::mesh::isosurface::{self, IsosurfaceError};

use orfeas::models::triposg::LatentField;
use orfeas::models::vecset::{
    CHECK_EXTENT, LatticeSampling, SamplesOnDevice, check_sampling, sample_check, sample_on_device,
};

use crate::device::gpu;
use crate::emulated::Settings;
use crate::surfaces::{assembled, request};

pub(crate) const TESTS: &[crate::Test] = &[
    ("hierarchy_has_the_processors_samples_and_surface", shapes),
    ("hierarchy_follows_the_surface", follows),
    ("hierarchy_goes_on_from_a_coarser_level", goes_on),
    (
        "hierarchy_lists_more_samples_than_go_into_a_list",
        lists_in_parts,
    ),
    ("hierarchy_of_unknown_values_ends", unknown),
    ("hierarchy_that_is_cancelled_leaves_nothing", cancelled),
    (
        "hierarchy_meets_every_failed_allocation",
        failed_allocations,
    ),
    ("hierarchy_refuses_lattices_that_are_too_large", too_large),
    ("hierarchy_that_gives_wrong_answers_is_found", wrong_answers),
    (
        "hierarchy_takes_no_more_than_is_stated",
        takes_what_is_stated,
    ),
];

/// A box with sides of three lengths.
const EXTENT: Region = Region {
    min: [-1.0, -0.8, -0.45],
    max: [1.0, 0.7, 0.5],
};

const HIERARCHY: Hierarchy = Hierarchy {
    dense_cells: 12,
    near: 0.02,
};

/// What makes a formula's value an answer of a field that is negative inside, and back.
const SIGN: f32 = -1.0;
const THRESHOLD: f32 = 0.0625;

type Formula = fn([f32; 3]) -> f32;

fn length(v: [f32; 3]) -> f32 {
    v.iter().map(|x| x * x).sum::<f32>().sqrt()
}

fn ball([x, y, z]: [f32; 3]) -> f32 {
    0.4 - length([x - 0.05, y + 0.02, z])
}

/// A ball with a rod that lies between the samples of the coarser lattice, from which it is followed.
fn ball_on_a_rod(point: [f32; 3]) -> f32 {
    let ball = 0.3 - length([point[0] + 0.5, point[1], point[2]]);
    let along = point[0].clamp(-0.5, 1.5);
    let rod = 0.04 - length([point[0] - along, point[1] - 0.0625, point[2] - 0.0625]);
    ball.max(rod)
}

/// A wave that leaves the box on every side.
fn wave([x, y, z]: [f32; 3]) -> f32 {
    0.2 * ((4.0 * x).sin() * (4.0 * y).cos() + (4.0 * y).sin() * (4.0 * z).cos())
}

/// A ball of which nothing is known beyond a plane.
fn half_known(point: [f32; 3]) -> f32 {
    if point[0] > 0.11 {
        f32::NAN
    } else {
        ball(point)
    }
}

/// What a field answers at a point.
fn answer(formula: Formula, point: [f32; 3]) -> f32 {
    SIGN * (formula(point) + THRESHOLD)
}

struct OnProcessor(Formula, u64);

impl Evaluate for OnProcessor {
    type Error = OpError;

    fn values(&mut self, points: &[[f32; 3]], values: &mut [f32]) -> Result<(), OpError> {
        self.1 += points.len() as u64;
        for (value, point) in values.iter_mut().zip(points) {
            *value = SIGN * answer(self.0, *point) - THRESHOLD;
        }
        Ok(())
    }

    fn hold(&mut self, _: u64) -> Result<(), OpError> {
        Ok(())
    }
}

/// A formula that is sampled on the device.
struct OnDevice {
    formula: Formula,
    /// Raises the flag after so many chunks.
    cancel_after: Option<usize>,
    points_at_once: usize,
    asked: u64,
    chunks: usize,
}

impl OnDevice {
    fn new(formula: Formula) -> Self {
        Self {
            formula,
            cancel_after: None,
            points_at_once: 300,
            asked: 0,
            chunks: 0,
        }
    }

    fn sample(
        &mut self,
        gpu: &Arc<Gpu>,
        (hierarchy, lattice): (Hierarchy, Brick),
        from: Option<&SamplesOnDevice>,
    ) -> Result<SamplesOnDevice, OpError> {
        let context = Context {
            gpu: Some(gpu.clone()),
            ledger: Ledger::unlimited(),
            cancel: Cancel::default(),
        };
        let sampling = LatticeSampling {
            hierarchy,
            extent: EXTENT,
            lattice,
            from,
            threshold: THRESHOLD,
        };
        let mut decode = |points: &PointsOnDevice| -> Result<Matrix, OpError> {
            if self.cancel_after == Some(self.chunks) {
                context.cancel.cancel();
            }
            self.chunks += 1;
            self.asked += points.count() as u64;
            let points = points.to_host()?;
            let answers = points.iter().map(|&point| answer(self.formula, point));
            let answers = answers.collect::<Vec<_>>();
            let ops = Ops::new(&context, Number::F32);
            ops.filled(answers.len(), 1, "answers", || Ok::<_, OpError>(answers))
        };
        let device = (gpu, &context.cancel);
        let how = (SIGN, self.points_at_once);
        sample_on_device(device, &sampling, how, &mut decode)
    }
}

/// The samples at a level in both places, made of those at a coarser one where there are any.
fn both(
    gpu: &Arc<Gpu>,
    formula: Formula,
    level: u32,
    from: Option<&(SparseGrid, SamplesOnDevice)>,
) -> (SparseGrid, SamplesOnDevice) {
    both_by(HIERARCHY, gpu, formula, level, from)
}

fn both_by(
    hierarchy: Hierarchy,
    gpu: &Arc<Gpu>,
    formula: Formula,
    level: u32,
    from: Option<&(SparseGrid, SamplesOnDevice)>,
) -> (SparseGrid, SamplesOnDevice) {
    let lattice = isosurface::samples(&EXTENT, level).unwrap();
    let mut here = OnProcessor(formula, 0);
    let grid = hierarchy.evaluate(EXTENT, lattice, from.map(|from| &from.0), &mut here);
    let mut there = OnDevice::new(formula);
    let samples = there.sample(gpu, (hierarchy, lattice), from.map(|from| &from.1));
    assert_eq!(there.asked, here.1, "points that were asked for");
    (grid.unwrap(), samples.unwrap())
}

/// The same samples, with the same bits.
fn assert_same_samples(name: &str, grid: &SparseGrid, samples: &SparseSamples) {
    let (places, blocks) = samples.to_host().unwrap();
    let [columns, rows, planes] = grid.lattice().samples;
    let mut known = 0;
    for (place, values) in places.iter().zip(&blocks) {
        for (at, value) in values.iter().enumerate() {
            let within = [at % 8, at / 8 % 8, at / 64];
            let index = std::array::from_fn(|axis| 8 * usize::from(place[axis]) + within[axis]);
            let expected = grid.value(index);
            let is_same = value.to_bits() == expected.to_bits();
            assert!(
                is_same || value.is_nan() && expected.is_nan(),
                "{name} at {index:?} of {columns} {rows} {planes}: {value}, {expected}"
            );
            known += usize::from(!value.is_nan());
        }
    }
    assert_eq!(known, grid.evaluated(), "{name}");
}

fn surface(gpu: &Arc<Gpu>, samples: &SparseSamples) -> Result<Surface, OpError> {
    let (cases, cancel) = (isosurface::packed_cases(), Cancel::default());
    let lattice = samples.cells();
    let lattice = isosurface::Lattice {
        origin: lattice.origin,
        step: lattice.step,
        cells: lattice.cells,
    };
    let host = Ledger::unlimited();
    let request = request(gpu, &cancel, &cases, &lattice);
    let (surface, memory) = extract_blocks(&request, samples, &host)?;
    let held = |bytes: usize| bytes as u64;
    assert_eq!(
        memory.bytes(),
        held(size_of_val(&*surface.positions))
            + held(size_of_val(&*surface.normals))
            + held(size_of_val(&*surface.triangles))
            + held(size_of_val(&*surface.disagreeing)),
        "what the parts take"
    );
    Ok(surface)
}

fn assert_same_surface(
    name: &str,
    gpu: &Arc<Gpu>,
    grid: &SparseGrid,
    samples: &SparseSamples,
    level: u32,
) {
    let never = || false;
    let survey = isosurface::survey(grid, level, &never).unwrap();
    let expected = isosurface::extract(grid, &survey, &never).unwrap();
    let found = assembled(surface(gpu, samples).unwrap()).unwrap();
    println!("{name}: {} triangles", found.triangles.len());
    assert!(found.triangles == expected.triangles, "{name}: other faces");
    for (found, expected, allowed) in [
        (&found.positions, &expected.positions, 1e-6),
        (&found.normals, &expected.normals, 1e-4),
    ] {
        assert_eq!(found.len(), expected.len(), "{name}");
        let mut pairs = found.as_flattened().iter().zip(expected.as_flattened());
        // A NaN is not near.
        assert!(
            pairs.all(|(a, b)| (a - b).abs() <= allowed),
            "{name}: elsewhere"
        );
    }
}

fn shapes() {
    let gpu = gpu();
    let formulas: [(&str, Formula, u32); 4] = [
        ("ball", ball, 33),
        ("ball on a rod", ball_on_a_rod, 32),
        ("wave", wave, 20),
        ("ball of which a part is unknown", half_known, 24),
    ];
    for (name, formula, level) in formulas {
        let (grid, samples) = both(&gpu, formula, level, None);
        assert_same_samples(name, &grid, &samples);
        assert_same_surface(name, &gpu, &grid, &samples, level);
    }
    assert_eq!(gpu.ledger().used_bytes(), 0);
}

fn follows() {
    let gpu = gpu();
    let (_, samples) = both(&gpu, ball_on_a_rod, 32, None);
    assert!(samples.followed() > 0);
    // So does the check of the kernels.
    let step = 0.125;
    let lattice = Brick {
        origin: CHECK_EXTENT.min.map(|min| min - step),
        step,
        samples: std::array::from_fn(|axis| {
            ((CHECK_EXTENT.max[axis] - CHECK_EXTENT.min[axis]) / step) as usize + 3
        }),
    };
    let (_, samples) = sample_check(&gpu, (lattice, Number::F32), None).unwrap();
    assert!(samples.followed() > 0);
    drop(samples);
}

fn lists_in_parts() {
    let gpu = gpu();
    let everywhere = Hierarchy {
        dense_cells: 128,
        ..HIERARCHY
    };
    let lattice = isosurface::samples(&EXTENT, 128).unwrap();
    assert!(lattice.len() > 1 << 19);
    let mut here = OnProcessor(ball_on_a_rod, 0);
    let grid = everywhere
        .evaluate(EXTENT, lattice, None, &mut here)
        .unwrap();
    let mut there = OnDevice {
        points_at_once: 1 << 18,
        ..OnDevice::new(ball_on_a_rod)
    };
    let samples = there.sample(&gpu, (everywhere, lattice), None).unwrap();
    assert_same_samples("everywhere", &grid, &samples);
}

fn goes_on() {
    let gpu = gpu();
    let coarse = both(&gpu, ball_on_a_rod, 16, None);
    let fine = both(&gpu, ball_on_a_rod, 32, Some(&coarse));
    assert_same_samples("after a coarser level", &fine.0, &fine.1);
    let again = both(&gpu, ball_on_a_rod, 32, Some(&fine));
    assert!(Arc::ptr_eq(&again.1, &fine.1));
    // Everywhere, but for what a coarser lattice knows.
    let everywhere = Hierarchy {
        dense_cells: 20,
        ..HIERARCHY
    };
    let all = both_by(everywhere, &gpu, wave, 8, None);
    let finer = both_by(everywhere, &gpu, wave, 16, Some(&all));
    assert_same_samples("everywhere", &finer.0, &finer.1);
    let samples = finer.1.lattice().samples.iter().product::<usize>() as u64;
    let asked = finer.1.asked() - all.1.asked();
    assert!(0 < asked && asked < samples, "{asked} of {samples}");
    drop((coarse, fine, again, all, finer));
    assert_eq!(gpu.ledger().used_bytes(), 0);
}

fn unknown() {
    let gpu = gpu();
    let nothing: [Formula; 2] = [|_| f32::NAN, |_| -1.0];
    for formula in nothing {
        let (_, coarse) = both(&gpu, formula, 8, None);
        assert!(coarse.held() > 0);
        let (grid, samples) = both(&gpu, formula, 16, None);
        assert_same_samples("no surface", &grid, &samples);
        assert_eq!(samples.held(), 0, "no value is near");
        let mesh = assembled(surface(&gpu, &samples).unwrap());
        assert_eq!(mesh.unwrap_err(), IsosurfaceError::Empty);
    }
    assert_eq!(gpu.ledger().used_bytes(), 0);
}

fn cancelled() {
    let gpu = gpu();
    let lattice = isosurface::samples(&EXTENT, 16).unwrap();
    for chunk in [0, 2] {
        let mut there = OnDevice::new(ball);
        there.cancel_after = Some(chunk);
        let ended = there.sample(&gpu, (HIERARCHY, lattice), None);
        assert_eq!(ended.unwrap_err(), OpError::Cancelled);
        assert!(there.chunks <= chunk + 1, "{} chunks", there.chunks);
        assert_eq!(gpu.ledger().used_bytes(), 0);
    }
}

fn failed_allocations() {
    let lattice = isosurface::samples(&EXTENT, 12).unwrap();
    for number in 0.. {
        let Some(_settings) = Settings::set(&[("FAIL_ALLOCATION", number)]) else {
            return;
        };
        let gpu = gpu();
        let samples = OnDevice::new(ball).sample(&gpu, (HIERARCHY, lattice), None);
        let ended = samples.and_then(|samples| surface(&gpu, &samples));
        assert_eq!(gpu.ledger().used_bytes(), 0);
        match ended {
            Err(OpError::OutOfMemory(error)) => assert_eq!(error.device, gpu.device()),
            Err(error) => panic!("{error}"),
            // There was no such allocation any more.
            Ok(_) => return assert!(number > 40, "{number}"),
        }
    }
}

fn too_large() {
    let gpu = gpu();
    for samples in [[9000, 9, 9], [9, 1 << 40, 9]] {
        let lattice = Brick {
            origin: [0.0; 3],
            step: 1.0,
            samples,
        };
        let everywhere = Hierarchy {
            dense_cells: usize::MAX,
            ..HIERARCHY
        };
        let ended = OnDevice::new(ball).sample(&gpu, (everywhere, lattice), None);
        assert!(matches!(ended.unwrap_err(), OpError::Gpu(_)), "{samples:?}");
    }
    assert_eq!(gpu.ledger().used_bytes(), 0);
}

fn wrong_answers() {
    // Each launch of the check is left out in turn. Some do not matter here: those that write what an emulated
    // device's memory begins with, those that find nothing more to follow, and chunks that are asked for again when
    // the surface is followed.
    let (mut found, mut missed) = (0, 0);
    for launch in 0..60 {
        let Some(_settings) = Settings::set(&[("WRONG_LAUNCH", launch)]) else {
            return;
        };
        let gpu = gpu();
        match check_sampling(&gpu) {
            Ok(()) => missed += 1,
            Err(error) => {
                assert!(error.to_string().contains("wrong"), "{error}");
                found += 1;
            }
        }
        assert_eq!(gpu.ledger().used_bytes(), 0);
    }
    assert!(found >= 30, "{found} found, {missed} missed");
}

fn takes_what_is_stated() {
    let gpu = gpu();
    let everywhere = Hierarchy {
        dense_cells: usize::MAX,
        ..HIERARCHY
    };
    for (hierarchy, level) in [(everywhere, 40), (HIERARCHY, 48)] {
        let lattice = isosurface::samples(&EXTENT, level).unwrap();
        gpu.ledger().reset_peak();
        let samples = OnDevice::new(ball)
            .sample(&gpu, (hierarchy, lattice), None)
            .unwrap();
        let sampled = gpu.ledger().peak_bytes();
        gpu.ledger().reset_peak();
        surface(&gpu, &samples).unwrap();
        let meshed = gpu.ledger().peak_bytes();
        let stated = LatentField::typical_sample_bytes(level);
        println!("{sampled} and {meshed} bytes of {stated} at {level}");
        assert!(sampled <= stated);
        assert!(meshed <= stated + isosurface::typical_device_bytes(level));
    }
}
