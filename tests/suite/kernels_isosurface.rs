//! The isosurface and the solid of `inflate` as kernels, against the processor's: the same mesh to the last bit.

use orfeas::compute::kernels::{
    FillParams, IsosurfaceParams, IsosurfaceStep as Step, Launch, MISSING_BRICK, PointwiseParams,
    ScanParams,
};
use orfeas::field::{Analytic, Brick, DenseGrid, Field, Region};
use orfeas::mesh::Mesh;
use orfeas::mesh::isosurface::{self, IsosurfaceError, Lattice, Parts};

use crate::kernels_emulator::{Build, Memory};
use crate::random::Random;

pub(crate) fn never() -> bool {
    false
}

/// A device under test and the workspace of an extraction on it.
pub(crate) struct Extraction {
    pub(crate) memory: Memory,
    pub(crate) params: IsosurfaceParams,
    pub(crate) build: Build,
}

pub(crate) fn int3(sizes: [usize; 3]) -> [i32; 3] {
    sizes.map(|size| size as i32)
}

impl Extraction {
    pub(crate) fn new(lattice: &Lattice, build: Build) -> Self {
        let mut memory = Memory::default();
        let cases = memory.put(bytemuck::cast_slice(&isosurface::packed_cases()));
        Self {
            params: IsosurfaceParams {
                cases,
                cells: int3(lattice.cells),
                bricks: int3(lattice.bricks()),
                axes: [0, 1, 2],
                origin: lattice.origin,
                step: lattice.step,
                ..bytemuck::Zeroable::zeroed()
            },
            memory,
            build,
        }
    }

    pub(crate) fn room(&mut self, bytes: usize) -> u64 {
        self.memory.put(&vec![0xee; bytes])
    }

    pub(crate) fn run(&mut self, launch: &Launch) {
        if !launch.is_empty() {
            self.memory.advance(launch, self.build);
        }
    }

    pub(crate) fn step(&mut self, step: Step) {
        self.run(&self.params.launch(step).unwrap());
    }

    pub(crate) fn scan(&mut self, x: u64, y: u64, count: usize, rows: u32) {
        let count = count as i64;
        self.run(&ScanParams { x, y, count }.launch(rows).unwrap());
    }

    /// Numbers the bricks whose flags `find` sets, and returns how many there are.
    pub(crate) fn keep(&mut self, filled: usize, find: Step) -> usize {
        let lattice_bricks: usize = self.params.bricks.iter().map(|n| *n as usize).product();
        self.params.count = filled as i64;
        self.params.flags = self.room(filled * 4);
        self.params.offsets = self.room((filled + 1) * 4);
        self.params.numbered = self.room(filled * 8);
        self.params.slots = self.room(filled * 4);
        self.params.directory = self.room(lattice_bricks * 4);
        let fill = FillParams {
            y: self.params.directory,
            count: lattice_bricks as i64,
            value: MISSING_BRICK,
            padding: 0,
        };
        self.run(&fill.launch().unwrap());
        self.step(find);
        self.scan(self.params.flags, self.params.offsets, filled, 1);
        self.step(Step::Number);
        let kept = self.memory.get::<u32>(self.params.offsets)[filled] as usize;
        self.params.count = kept as i64;
        kept
    }

    /// From the kept bricks' values to counts; the sums of vertices, faces, open faces and missed bricks.
    pub(crate) fn count(&mut self, kept: usize) -> [usize; 4] {
        self.params.codes = self.room(kept * 512 * 2);
        self.params.first_in_brick = self.room(kept * 512 * 2);
        self.params.missed = self.room(kept * 32);
        self.params.counts = self.room(kept * 4 * 4);
        self.params.firsts = self.room((kept + 1) * 4 * 4);
        self.step(Step::Classify);
        self.step(Step::Count);
        self.scan(self.params.counts, self.params.firsts, kept, 4);
        let firsts = self.memory.get::<u32>(self.params.firsts);
        [0, 1, 2, 3].map(|row| firsts[row * (kept + 1) + kept] as usize)
    }

    pub(crate) fn room_for_mesh(&mut self, vertices: usize, faces: usize) {
        self.params.positions = self.room(vertices * 12);
        self.params.normals = self.room(vertices * 12);
        self.params.triangles = self.room(faces * 24);
        self.params.disagreeing = self.memory.put(&vec![0; vertices]);
    }

    /// Places the vertices of a field that the processor answers for, at points whose axes are turned; between
    /// the samples where it does not know its gradient.
    fn place_on(&mut self, field: &dyn Field, vertices: usize) {
        let axes = [2, 0, 1];
        let points = self.room(vertices * 12);
        let mut params = PointwiseParams {
            first: 0,
            second: 0,
            surface: IsosurfaceParams {
                points,
                axes: int3(axes),
                ..self.params
            },
            shift: 0.0,
            padding: 0,
        };
        for step in 0..2 {
            self.run(&params.launch_asking().unwrap());
            let points = self.memory.get::<[f32; 3]>(points);
            let answer = |point: &[f32; 3]| {
                let mut place = [0.0; 3];
                (0..3).for_each(|axis| place[axes[axis]] = point[axis]);
                let (value, slope) = field.value_and_gradient(place)?;
                Some([value, slope[axes[0]], slope[axes[1]], slope[axes[2]]])
            };
            let answers: Option<Vec<[f32; 4]>> = points.iter().map(answer).collect();
            if let Some(answers) = answers {
                let answers = self.memory.put(bytemuck::cast_slice(&answers));
                *[&mut params.first, &mut params.second][step] = answers;
            }
        }
        self.run(&params.launch_placing().unwrap());
    }

    pub(crate) fn mesh(&self, open: usize) -> Result<Mesh, IsosurfaceError> {
        let parts = Parts {
            positions: self.memory.get(self.params.positions),
            normals: self.memory.get(self.params.normals),
            triangles: self.memory.get(self.params.triangles),
            disagreeing: self.memory.get(self.params.disagreeing),
            is_open: open > 0,
        };
        isosurface::assemble(parts, &never)
    }
}

/// The surface of a grid, by the kernels.
fn extract_grid(grid: &DenseGrid, build: Build) -> Result<Mesh, IsosurfaceError> {
    let lattice = isosurface::grid_lattice(grid)?;
    let mut device = Extraction::new(&lattice, build);
    device.params.samples = int3(grid.brick().samples);
    device.params.grid = device.memory.put(bytemuck::cast_slice(grid.values()));
    let kept = device.keep(lattice.bricks().iter().product(), Step::FindMixedInGrid);
    if kept == 0 {
        return Err(IsosurfaceError::Empty);
    }
    device.params.values = device.room(kept * 729 * 4);
    device.step(Step::CopyFromGrid);
    let [vertices, faces, open, missed] = device.count(kept);
    assert_eq!(missed, 0);
    if faces == 0 {
        return Err(IsosurfaceError::Empty);
    }
    device.room_for_mesh(vertices, faces);
    device.step(Step::PlaceOnSamples);
    device.step(Step::Faces);
    device.mesh(open)
}

fn bits(vectors: &[[f32; 3]]) -> Vec<[u32; 3]> {
    vectors.iter().map(|v| v.map(f32::to_bits)).collect()
}

#[track_caller]
pub(crate) fn assert_same(what: &str, found: &Mesh, expected: &Mesh) {
    assert_eq!(
        (found.positions.len(), found.triangles.len()),
        (expected.positions.len(), expected.triangles.len()),
        "{what}"
    );
    assert!(found.triangles == expected.triangles, "{what}: triangles");
    assert!(
        bits(&found.positions) == bits(&expected.positions),
        "{what}: positions"
    );
    assert!(
        bits(&found.normals) == bits(&expected.normals),
        "{what}: normals"
    );
}

fn grid(samples: [usize; 3], mut value: impl FnMut([f32; 3]) -> f32) -> DenseGrid {
    let brick = Brick {
        origin: [-0.31, 0.2, -0.7],
        step: 0.03,
        samples,
    };
    let values = (0..brick.len())
        .map(|i| {
            value([
                (i % samples[0]) as f32,
                (i / samples[0] % samples[1]) as f32,
                (i / samples[0] / samples[1]) as f32,
            ])
        })
        .collect();
    DenseGrid::new(brick, values).unwrap()
}

fn check_grid(what: &str, grid: &DenseGrid) {
    let expected = isosurface::extract_dense(grid, &never);
    for build in [Build::Ampere, Build::Sanitized] {
        let what = format!("{what} {:?} {build:?}", grid.brick().samples);
        match (&extract_grid(grid, build), &expected) {
            (Ok(found), Ok(expected)) => assert_same(&what, found, expected),
            (found, expected) => {
                assert_eq!(found.as_ref().err(), expected.as_ref().err(), "{what}")
            }
        }
    }
}

fn distance(a: [f32; 3], b: [f32; 3]) -> f32 {
    (0..3).map(|i| (a[i] - b[i]).powi(2)).sum::<f32>().sqrt()
}

#[test]
fn the_surface_of_a_grid_is_the_processors() {
    // A ball within the grid, one that is cut off by its sides, and sheets of a few cells.
    check_grid(
        "ball",
        &grid([19, 13, 22], |at| 5.3 - distance(at, [9.1, 6.0, 11.4])),
    );
    check_grid(
        "cut",
        &grid([10, 17, 8], |at| 7.9 - distance(at, [2.0, 9.0, 9.0])),
    );
    check_grid(
        "waves",
        &grid([23, 23, 9], |[x, y, z]| {
            (x * 0.9).sin() * (y * 0.8).cos() + (z * 1.1).sin() * 0.7
        }),
    );
    check_grid("nothing", &grid([9, 9, 9], |_| -1.0));
}

#[test]
fn noise_meets_every_configuration_and_ends_in_the_processors_mesh() {
    // Thin on either side too, where faces are met twice by one patch.
    for (inside, seed) in [(50, 1), (12, 2), (88, 3)] {
        let mut random = Random(seed);
        check_grid(
            "noise",
            &grid([16, 15, 10], |_| {
                let size = random.uniform(0.01, 1.0);
                if random.chance(inside) { size } else { -size }
            }),
        );
    }
}

#[test]
fn samples_that_are_no_numbers_leave_the_surface_open_as_on_the_processor() {
    let mut random = Random(9);
    check_grid(
        "holes",
        &grid([18, 12, 12], |at| {
            if random.chance(6) {
                f32::NAN
            } else if random.chance(6) {
                random.pick(&[f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 1e-40])
            } else {
                4.7 - distance(at, [8.0, 6.0, 5.5])
            }
        }),
    );
    check_grid("all unknown", &grid([8, 8, 8], |_| f32::NAN));
}

/// The surface of a field that the processor evaluates, and how often bricks were added that the survey had
/// left out.
fn extract_bricks(field: &dyn Field, level: u32, build: Build) -> (Mesh, usize) {
    let survey = isosurface::survey(field, level, &never).unwrap();
    let lattice = survey.lattice();
    let mut places: Vec<[u16; 4]> = (survey.places().iter())
        .map(|place| [place[0], place[1], place[2], 0])
        .collect();
    for added in 0.. {
        let mut device = Extraction::new(lattice, build);
        let mut values = Vec::new();
        for place in &places {
            let index = [0, 1, 2].map(|axis| f32::from(place[axis] * 8));
            let brick = Brick {
                origin: [0, 1, 2].map(|a| lattice.origin[a] + lattice.step * index[a]),
                step: lattice.step,
                samples: [9; 3],
            };
            values.extend(DenseGrid::sample(field, brick).unwrap().values());
        }
        device.params.values = device.memory.put(bytemuck::cast_slice::<f32, u8>(&values));
        device.params.places = device.memory.put(bytemuck::cast_slice(&places));
        let kept = device.keep(places.len(), Step::FindMixed);
        device.step(Step::Reconcile);
        let [vertices, faces, open, missed] = device.count(kept);
        if missed == 0 {
            device.room_for_mesh(vertices, faces);
            device.place_on(field, vertices);
            device.step(Step::Faces);
            return (device.mesh(open).unwrap(), added);
        }
        let numbered = device.memory.get::<[u16; 4]>(device.params.numbered);
        let flags = device.memory.get::<u8>(device.params.missed);
        let more = isosurface::missed_places(&numbered[..kept], &flags);
        assert!(!more.is_empty() && more.len() <= missed);
        places.extend(more);
    }
    unreachable!("it returns")
}

/// A field that cannot tell its gradient and may give bounds that are too narrow or values that differ from
/// brick to brick.
struct Odd<F> {
    ball: Analytic<F>,
    /// Bounds that know nothing of what lies beyond this x.
    blind_beyond: f32,
    /// By how much values differ.
    unsteady: f32,
}

impl<F: Fn([f32; 3]) -> f32 + Sync> Field for Odd<F> {
    fn extent(&self) -> Region {
        self.ball.extent()
    }
    fn fill(&self, brick: &Brick, values: &mut [f32]) {
        self.ball.fill(brick, values);
        let by = (brick.origin[0] * 37.0 + brick.origin[2] * 11.0).sin() * self.unsteady;
        values.iter_mut().for_each(|value| *value += by);
    }
    fn bounds(&self, region: &Region) -> orfeas::field::Bounds {
        if region.min[0] > self.blind_beyond {
            return orfeas::field::Bounds {
                min: -1.0,
                max: -0.5,
            };
        }
        self.ball.bounds(region)
    }
    fn value_and_gradient(&self, _: [f32; 3]) -> Option<(f32, [f32; 3])> {
        None
    }
}

fn odd(blind_beyond: f32, unsteady: f32) -> Odd<impl Fn([f32; 3]) -> f32 + Sync> {
    let extent = Region {
        min: [-0.5; 3],
        max: [0.5; 3],
    };
    Odd {
        ball: Analytic::new(extent, 1.0, |at| 0.46 - distance(at, [0.1, 0.0, 0.02])),
        blind_beyond,
        unsteady,
    }
}

#[test]
fn surveyed_bricks_are_closed_at_the_border_and_agree_where_they_meet() {
    // The ball leaves the extent; values may differ by a quarter of a cell between bricks.
    for unsteady in [0.0, 0.01] {
        let field = odd(f32::INFINITY, unsteady);
        let survey = isosurface::survey(&field, 24, &never).unwrap();
        let expected = isosurface::extract(&field, &survey, &never).unwrap();
        for build in [Build::Ampere, Build::Sanitized] {
            let (found, _) = extract_bricks(&field, 24, build);
            assert_same(&format!("{unsteady} {build:?}"), &found, &expected);
        }
    }
}

#[test]
fn vertices_are_placed_on_a_field_that_is_asked_at_points() {
    // The ball leaves the extent; the thin sheets put several vertices into a cell.
    let extent = Region {
        min: [-0.5; 3],
        max: [0.5; 3],
    };
    let ball = Analytic::new(extent, 1.0, |at| 0.46 - distance(at, [0.1, 0.0, 0.02]));
    let sheets = Analytic::new(extent, 40.0, |[x, y, z]: [f32; 3]| {
        (31.0 * x + 3.0 * y * z).sin() - 0.2 * (11.0 * y).cos() - 0.6
    });
    let fields: [&dyn Field; 2] = [&ball, &sheets];
    for (field, level) in fields.into_iter().zip([24, 16]) {
        let survey = isosurface::survey(field, level, &never).unwrap();
        let expected = isosurface::extract(field, &survey, &never).unwrap();
        for build in [Build::Ampere, Build::Sanitized] {
            let (found, _) = extract_bricks(field, level, build);
            assert_same(&format!("{level} {build:?}"), &found, &expected);
        }
    }
}

#[test]
fn bricks_that_bounds_left_out_are_added() {
    let field = odd(0.1, 0.0);
    let survey = isosurface::survey(&field, 24, &never).unwrap();
    let expected = isosurface::extract(&field, &survey, &never).unwrap();
    let (found, added) = extract_bricks(&field, 24, Build::Ampere);
    assert!(added > 0);
    assert_same("left out", &found, &expected);
}

#[test]
fn sums_before_each_number_go_across_blocks_of_threads() {
    for count in [0_usize, 1, 31, 2047, 2048, 2049, 5000] {
        let mut random = Random(count as u64);
        let x: Vec<u32> = (0..2 * count).map(|_| random.below(1000) as u32).collect();
        let mut memory = Memory::default();
        let params = ScanParams {
            x: if count == 0 {
                0
            } else {
                memory.put(bytemuck::cast_slice(&x))
            },
            y: memory.put(&vec![0xee; 2 * (count + 1) * 4]),
            count: count as i64,
        };
        memory.advance(&params.launch(2).unwrap(), Build::Sanitized);
        let mut expected = Vec::new();
        for row in 0..2 {
            let mut sum = 0;
            expected.push(0);
            for value in &x[row * count..][..count] {
                sum += value;
                expected.push(sum);
            }
        }
        assert_eq!(memory.get::<u32>(params.y), expected, "{count}");
    }
}
