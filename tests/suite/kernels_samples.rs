//! Sampling from coarse to fine and the surface of sparse blocks as kernels, against the processor's: the same
//! samples and the same mesh to the last bit.

use std::convert::Infallible;
use std::rc::Rc;

use orfeas::compute::kernels::{
    Launch, LaunchError, MISSING_BRICK, Number, SamplesParams, SamplesStep as Step, ScanParams,
};
use orfeas::field::{Brick, Evaluate, Hierarchy, Lattices, Region, SparseGrid};
use orfeas::mesh::isosurface;

use crate::kernels_emulator::{Build, Memory, decode, encode};
use crate::kernels_isosurface::{Extraction, assert_same, int3, never};

const EXTENT: Region = Region {
    min: [-1.0, -0.6, -0.4],
    max: [1.0, 0.7, 0.35],
};
const HIERARCHY: Hierarchy = Hierarchy {
    dense_cells: 12,
    near: 0.01,
};
const LEVEL: u32 = 20;
const SIGN: f32 = -1.0;
const THRESHOLD: f32 = 0.25;

/// A ball that leaves the box, a rod between the samples of the coarser lattice, which has to be followed, and a
/// corner where nothing is known.
fn answer(number: Number, [x, y, z]: [f32; 3]) -> f32 {
    let ball = 0.5 - (x * x + y * y + z * z).sqrt();
    let rod = 0.05 - (y - 0.1).abs().max((z - 0.1).abs());
    let value = if x > 0.8 && y > 0.3 {
        f32::NAN
    } else {
        ball.max(rod)
    };
    decode(number, &encode(number, &[SIGN * (value + THRESHOLD)]))[0]
}

struct OnProcessor(Number);

impl Evaluate for OnProcessor {
    type Error = Infallible;

    fn values(&mut self, points: &[[f32; 3]], values: &mut [f32]) -> Result<(), Infallible> {
        for (value, point) in values.iter_mut().zip(points) {
            *value = SIGN * answer(self.0, *point) - THRESHOLD;
        }
        Ok(())
    }

    fn hold(&mut self, _: u64) -> Result<(), Infallible> {
        Ok(())
    }
}

/// What the kernels left of a lattice.
struct Sampled {
    lattice: Brick,
    blocks: [usize; 3],
    directory: Vec<u32>,
    places: Vec<[u16; 4]>,
    values: Vec<[f32; 512]>,
    /// Times that the surface led on.
    followed: usize,
}

struct OnEmulator {
    number: Number,
    build: Build,
}

/// A lattice being sampled, with room for all of its blocks.
struct Growing {
    memory: Memory,
    params: SamplesParams,
    build: Build,
    number: Number,
    held: usize,
    marked: [u64; 2],
}

impl Growing {
    fn new(on: &OnEmulator, lattice: &Brick, coarser: Option<&Sampled>) -> Self {
        let blocks = lattice.samples.map(|samples| samples.div_ceil(8));
        let all: usize = blocks.iter().product();
        let mut memory = Memory::default();
        let mut params = SamplesParams {
            blocks: int3(blocks),
            samples: int3(lattice.samples),
            origin: lattice.origin,
            step: lattice.step,
            least: EXTENT.min,
            most: EXTENT.max,
            near: HIERARCHY.near,
            sign: SIGN,
            threshold: THRESHOLD,
            which: SamplesParams::EVERYWHERE,
            ..bytemuck::Zeroable::zeroed()
        };
        params.values = memory.put_numbers(Number::F32, &vec![f32::NAN; 512 * all]);
        params.wanted = memory.put(&vec![0xee; 64 * all]);
        params.directory = memory.put(bytemuck::cast_slice(&vec![MISSING_BRICK; all]));
        params.places = memory.put(&vec![0xee; 8 * all]);
        params.marks = memory.put(&vec![0xee; all]);
        if let Some(coarser) = coarser {
            params.coarse_values = memory.put(bytemuck::cast_slice(&coarser.values));
            params.coarse_directory = memory.put(bytemuck::cast_slice(&coarser.directory));
            params.coarse_blocks = int3(coarser.blocks);
            params.coarse_samples = int3(coarser.lattice.samples);
            let first =
                |lattice: &Brick, axis: usize| (lattice.origin[axis] / lattice.step).round() as i32;
            params.shift = std::array::from_fn(|axis| {
                2 * first(&coarser.lattice, axis) - first(lattice, axis)
            });
        }
        let cubes = params.cubes().unwrap();
        let counts = memory.put(&vec![0xee; 8 * cubes as usize]);
        let sums = memory.put(&vec![0xee; 8 * (cubes as usize + 1)]);
        Self {
            memory,
            params,
            build: on.build,
            number: on.number,
            held: 0,
            marked: [counts, sums],
        }
    }

    fn run(&mut self, launch: Result<Launch, LaunchError>) {
        self.memory.advance(&launch.unwrap(), self.build);
    }

    fn step(&mut self, step: Step, first: usize, count: usize) {
        self.params.first = first as i64;
        self.params.count = count as i64;
        self.run(self.params.launch(step));
    }

    fn scan(&mut self, [x, y]: [u64; 2], count: u64, rows: u32) {
        let count = count as i64;
        self.run(ScanParams { x, y, count }.launch(rows));
    }

    /// Whether there was anything new.
    fn hold(&mut self) -> bool {
        self.step(Step::Mark, 0, 0);
        [self.params.counts, self.params.offsets] = self.marked;
        self.step(Step::CountMarks, 0, 0);
        let cubes = self.params.cubes().unwrap();
        self.scan(self.marked, cubes, 2);
        let sums = self.memory.get::<u32>(self.params.offsets);
        let new = sums[cubes as usize] as usize;
        if new > 0 {
            self.step(Step::Number, self.held, 0);
            self.step(Step::Want, self.held, new);
            self.held += new;
        }
        new as u32 + sums[2 * cubes as usize + 1] > 0
    }

    fn evaluate(&mut self) {
        let held = self.held;
        self.params.counts = self.memory.put(&vec![0xee; 4 * held]);
        self.params.offsets = self.memory.put(&vec![0xee; 4 * (held + 1)]);
        self.step(Step::TakeKnown, 0, held);
        self.scan([self.params.counts, self.params.offsets], held as u64, 1);
        let sums = self.memory.get::<u32>(self.params.offsets);
        // The blocks in two parts, each part's samples in two.
        for (first, end) in [(0, held / 2), (held / 2, held)] {
            let listed = (sums[end] - sums[first]) as usize;
            if listed == 0 {
                continue;
            }
            self.params.list = self.memory.put(&vec![0xee; 4 * listed]);
            self.step(Step::List, first, end - first);
            for (start, count) in [(0, listed / 2), (listed / 2, listed - listed / 2)] {
                if count > 0 {
                    self.ask(start, count);
                }
            }
        }
    }

    fn ask(&mut self, start: usize, count: usize) {
        self.params.points = self.memory.put(&vec![0xee; 12 * count]);
        self.step(Step::Points, start, count);
        let points = self.memory.get::<[f32; 3]>(self.params.points);
        let answers: Vec<f32> = (points.iter())
            .map(|point| answer(self.number, *point))
            .collect();
        self.params.answers = self.memory.put_numbers(self.number, &answers);
        self.run(self.params.launch_putting(self.number));
    }
}

impl OnEmulator {
    fn sample(&self, lattice: &Brick, coarser: Option<&Sampled>, which: i32) -> Rc<Sampled> {
        let mut growing = Growing::new(self, lattice, coarser);
        growing.params.which = which;
        growing.hold();
        growing.evaluate();
        growing.params.which = SamplesParams::FOLLOWING;
        growing.params.coarse_directory = 0;
        let mut followed = 0;
        while growing.hold() {
            followed += 1;
            growing.evaluate();
        }
        let Growing {
            memory,
            params,
            held,
            ..
        } = growing;
        let mut places = memory.get(params.places);
        let mut values = memory.get(params.values);
        places.truncate(held);
        values.truncate(held);
        Rc::new(Sampled {
            lattice: *lattice,
            blocks: lattice.samples.map(|samples| samples.div_ceil(8)),
            directory: memory.get(params.directory),
            places,
            values,
            followed,
        })
    }
}

impl Lattices for OnEmulator {
    type Samples = Rc<Sampled>;
    type Error = Infallible;

    fn lattice(samples: &Rc<Sampled>) -> Brick {
        samples.lattice
    }

    fn again(&mut self, samples: &Rc<Sampled>) -> Result<Rc<Sampled>, Infallible> {
        Ok(Rc::clone(samples))
    }

    fn everywhere(
        &mut self,
        lattice: &Brick,
        coarser: Option<&Rc<Sampled>>,
    ) -> Result<Rc<Sampled>, Infallible> {
        let coarser = coarser.map(|samples| &**samples);
        Ok(self.sample(lattice, coarser, SamplesParams::EVERYWHERE))
    }

    fn near_surface(
        &mut self,
        lattice: &Brick,
        coarser: &Rc<Sampled>,
        _near: f32,
    ) -> Result<Rc<Sampled>, Infallible> {
        Ok(self.sample(lattice, Some(coarser), SamplesParams::NEAR_SURFACE))
    }
}

fn assert_same_samples(what: &str, found: &Sampled, expected: &SparseGrid) {
    let mut known = 0;
    for (place, values) in found.places.iter().zip(&found.values) {
        for (at, value) in values.iter().enumerate() {
            let within = [at % 8, at / 8 % 8, at / 64];
            let index = std::array::from_fn(|axis| 8 * usize::from(place[axis]) + within[axis]);
            let expected = expected.value(index);
            let is_unknown = value.is_nan() && expected.is_nan();
            assert!(
                is_unknown || value.to_bits() == expected.to_bits(),
                "{what} at {index:?}: {value}, {expected}"
            );
            known += usize::from(!value.is_nan());
        }
    }
    assert_eq!(known, expected.evaluated(), "{what}");
}

/// The mesh of sampled blocks, by the kernels.
fn extract_blocks(sampled: &Sampled, build: Build) -> orfeas::mesh::Mesh {
    let lattice = isosurface::Lattice {
        origin: sampled.lattice.origin,
        step: sampled.lattice.step,
        cells: sampled.lattice.samples.map(|samples| samples - 1),
    };
    let all: usize = lattice.bricks().iter().product();
    let mut device = Extraction::new(&lattice, build);
    let mut params = SamplesParams {
        values: device.memory.put(bytemuck::cast_slice(&sampled.values)),
        directory: device.memory.put(bytemuck::cast_slice(&sampled.directory)),
        marks: device.room(all),
        blocks: int3(sampled.blocks),
        samples: int3(sampled.lattice.samples),
        count: all as i64,
        ..bytemuck::Zeroable::zeroed()
    };
    device.run(&params.launch(Step::MarkMixed).unwrap());
    let mut bricks = SamplesParams {
        directory: device
            .memory
            .put(bytemuck::cast_slice(&vec![MISSING_BRICK; all])),
        places: device.room(8 * all),
        blocks: int3(lattice.bricks()),
        ..params
    };
    let cubes = bricks.cubes().unwrap() as usize;
    bricks.counts = device.room(8 * cubes);
    bricks.offsets = device.room(8 * (cubes + 1));
    device.run(&bricks.launch(Step::CountMarks).unwrap());
    device.scan(bricks.counts, bricks.offsets, cubes, 2);
    let kept = device.memory.get::<u32>(bricks.offsets)[cubes] as usize;
    device.run(&bricks.launch(Step::Number).unwrap());
    device.params.directory = bricks.directory;
    device.params.numbered = bricks.places;
    device.params.values = device.room(4 * 729 * kept);
    device.params.slots = device.room(4 * kept);
    device.params.count = kept as i64;
    params.places = bricks.places;
    params.bricks = device.params.values;
    params.slots = device.params.slots;
    params.count = kept as i64;
    device.run(&params.launch(Step::CopyToBricks).unwrap());
    let [vertices, faces, open, _] = device.count(kept);
    device.room_for_mesh(vertices, faces);
    let placing = device.params.launch_placing_on_interpolation();
    device.run(&placing.unwrap());
    device.step(orfeas::compute::kernels::IsosurfaceStep::Faces);
    device.mesh(open).unwrap()
}

#[test]
fn a_field_is_sampled_and_meshed_as_by_the_processor() {
    let lattice = isosurface::samples(&EXTENT, LEVEL).unwrap();
    for (number, build) in [
        (Number::F32, Build::Ampere),
        (Number::F16, Build::Sanitized),
        (Number::Bf16, Build::Sanitized),
    ] {
        let what = format!("{number:?} {build:?}");
        let Ok(expected) = HIERARCHY.evaluate(EXTENT, lattice, None, &mut OnProcessor(number));
        let Ok(found) = HIERARCHY.refine(lattice, None, &mut OnEmulator { number, build });
        assert_same_samples(&what, &found, &expected);
        assert!(found.followed > 0, "{what}: nothing was to be followed");
        let survey = isosurface::survey(&expected, LEVEL, &never).unwrap();
        let mesh = isosurface::extract(&expected, &survey, &never).unwrap();
        assert_same(&what, &extract_blocks(&found, build), &mesh);
    }
}

#[test]
fn lattices_that_cannot_be_numbered_are_refused() {
    let params: SamplesParams = bytemuck::Zeroable::zeroed();
    for blocks in [[0, 1, 1], [1, 1025, 1], [1, 1, -1], [i32::MAX; 3]] {
        let params = SamplesParams { blocks, ..params };
        for step in [Step::Mark, Step::CountMarks, Step::Number] {
            assert!(params.launch(step).is_err(), "{blocks:?}");
        }
    }
    let negative = SamplesParams {
        count: -1,
        ..params
    };
    assert!(negative.launch(Step::TakeKnown).is_err());
    assert!(negative.launch_putting(Number::F32).is_err());
    let whole = SamplesParams {
        blocks: [129, 3, 65],
        ..params
    };
    assert_eq!(whole.cubes().unwrap(), 32 * 32 * 32);
    assert_eq!(whole.launch(Step::Mark).unwrap().grid, [129 * 3 * 65, 1]);
}
