//! Isosurfaces: closed, manifold and outward as welded by position, whatever the field; accurate; the
//! same bytes whatever the threads and the culling.

use orfeas::field::{Analytic, Bounds, Brick, DenseGrid, Field, Region};
use orfeas::mesh::Mesh;
use orfeas::mesh::isosurface::{IsosurfaceError, extract, extract_dense, survey};
use proptest::prelude::*;

use crate::random::Random;
use crate::topology::{Topology, closed_manifold};

pub(crate) fn never() -> bool {
    false
}

fn mesh_of(field: &dyn Field, level: u32) -> Mesh {
    let survey = survey(field, level, &never).expect("a survey");
    extract(field, &survey, &never).expect("a surface")
}

fn volume(mesh: &Mesh) -> f64 {
    let corner = |v: u32| mesh.positions[v as usize].map(f64::from);
    let six: f64 = mesh
        .triangles
        .iter()
        .map(|t| {
            let [a, b, c] = t.map(corner);
            a[0] * (b[1] * c[2] - b[2] * c[1])
                + a[1] * (b[2] * c[0] - b[0] * c[2])
                + a[2] * (b[0] * c[1] - b[1] * c[0])
        })
        .sum();
    six / 6.0
}

/// Closed and manifold as it is, and after being centred, scaled to a unit box and to other units.
fn check(mesh: &Mesh) -> Topology {
    let topology = closed_manifold(&mesh.positions, &mesh.triangles).expect("closed and manifold");
    assert_eq!(
        topology.vertices,
        mesh.positions.len(),
        "distinct vertices share a position"
    );
    assert_eq!(topology.euler % 2, 0);
    assert!(volume(mesh) > 0.0, "faces point inwards");
    assert_eq!(mesh.normals.len(), mesh.positions.len());
    for normal in &mesh.normals {
        let length = normal.iter().map(|x| x * x).sum::<f32>().sqrt();
        assert!((length - 1.0).abs() < 1e-5, "a normal of length {length}");
    }
    let (mut min, mut max) = ([f32::INFINITY; 3], [f32::NEG_INFINITY; 3]);
    for p in &mesh.positions {
        for axis in 0..3 {
            min[axis] = min[axis].min(p[axis]);
            max[axis] = max[axis].max(p[axis]);
        }
    }
    let side = (0..3).map(|axis| max[axis] - min[axis]).fold(0.0, f32::max);
    let unit: Vec<[f32; 3]> = mesh
        .positions
        .iter()
        .map(|p| std::array::from_fn(|axis| (p[axis] - 0.5 * (min[axis] + max[axis])) / side))
        .collect();
    for (scale, lift) in [(1.0, 0.0), (0.1, 0.0), (100.0, 50.0)] {
        let moved: std::collections::HashSet<[u32; 3]> = unit
            .iter()
            .map(|p| [p[0] * scale, p[1] * scale, p[2] * scale + lift].map(|x| (x + 0.0).to_bits()))
            .collect();
        assert_eq!(
            moved.len(),
            mesh.positions.len(),
            "scaling by {scale} joins vertices"
        );
    }
    topology
}

pub(crate) fn cube(half: f32) -> Region {
    Region {
        min: [-half; 3],
        max: [half; 3],
    }
}

fn length(v: [f32; 3]) -> f32 {
    v.iter().map(|x| x * x).sum::<f32>().sqrt()
}

fn sphere_at(centre: [f32; 3], radius: f32, p: [f32; 3]) -> f32 {
    radius - length(std::array::from_fn(|axis| p[axis] - centre[axis]))
}

pub(crate) fn sphere(radius: f32) -> Analytic<impl Fn([f32; 3]) -> f32 + Sync> {
    Analytic::new(cube(0.5), 1.0, move |p| sphere_at([0.0; 3], radius, p))
}

fn torus_at(centre: [f32; 3], p: [f32; 3]) -> f32 {
    0.07 - ((p[0] - centre[0]).hypot(p[1] - centre[1]) - 0.16).hypot(p[2] - centre[2])
}

pub(crate) fn grid(samples: [usize; 3], values: Vec<f32>) -> DenseGrid {
    let brick = Brick {
        origin: [0.0; 3],
        step: 1.0,
        samples,
    };
    DenseGrid::new(brick, values).expect("a proper grid")
}

#[test]
fn every_arrangement_of_signs_is_manifold() {
    let mut random = Random(1);
    for round in 0..4000 {
        let samples: [usize; 3] = std::array::from_fn(|_| 1 + (random.next() % 5) as usize);
        // From sparse to dense: pinches and tunnels have different densities at which they abound.
        let share = 1 + round % 7;
        let values: Vec<f32> = (0..samples.iter().product())
            .map(|_| if random.next() % 8 < share { 1.0 } else { -1.0 })
            .collect();
        match extract_dense(&grid(samples, values.clone()), &never) {
            Ok(mesh) => {
                check(&mesh);
            }
            Err(error) => {
                assert_eq!(error, IsosurfaceError::Empty);
                assert!(values.iter().all(|value| *value < 0.0));
            }
        }
    }
}

#[test]
fn every_cell_between_two_bricks_is_manifold() {
    let mut random = Random(2);
    for _ in 0..6 {
        let samples = [21, 18, 19];
        let values = (0..samples.iter().product())
            .map(|_| if random.next() & 1 == 0 { 1.0 } else { -1.0 })
            .collect();
        check(&extract_dense(&grid(samples, values), &never).expect("a surface"));
    }
}

#[test]
fn uneven_values_and_zeros_are_manifold() {
    let mut random = Random(3);
    let palette = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        1e-30,
        -1e-30,
        1e30,
        -1e30,
        f32::INFINITY,
        f32::NEG_INFINITY,
        1e-7,
        -1e-7,
    ];
    for _ in 0..1500 {
        let samples = [4, 5, 4];
        let values = (0..80)
            .map(|_| palette[(random.next() % palette.len() as u64) as usize])
            .collect();
        if let Ok(mesh) = extract_dense(&grid(samples, values), &never) {
            check(&mesh);
        }
    }
}

#[test]
fn a_touching_diagonal_is_resolved_the_same_from_both_cells() {
    // Two inside samples on the diagonal of a face and nothing else near: the doubled configuration on
    // both sides of the face.
    for axis in 0..3 {
        let mut values = vec![-1.0; 64];
        let stride = [1, 4, 16];
        let first = 21;
        values[first] = 1.0;
        values[first + stride[(axis + 1) % 3] + stride[(axis + 2) % 3]] = 1.0;
        let topology = check(&extract_dense(&grid([4; 3], values), &never).expect("a surface"));
        assert_eq!(topology.components, 2);
    }
}

#[test]
fn known_shapes_have_their_topology() {
    let whole = Topology {
        vertices: 0,
        euler: 2,
        components: 1,
    };
    let topology = |field: &dyn Field, level| Topology {
        vertices: 0,
        ..check(&mesh_of(field, level))
    };
    assert_eq!(topology(&sphere(0.4), 32), whole);
    let torus = Analytic::new(cube(0.5), 1.0, |p| torus_at([0.0; 3], p));
    assert_eq!(
        topology(&torus, 64),
        Topology {
            vertices: 0,
            euler: 0,
            components: 1
        }
    );
    let double = Analytic::new(cube(0.5), 1.0, |p| {
        torus_at([-0.18, 0.0, 0.0], p).max(torus_at([0.18, 0.0, 0.0], p))
    });
    assert_eq!(
        topology(&double, 64),
        Topology {
            vertices: 0,
            euler: -2,
            components: 1
        }
    );
    let apart = Analytic::new(cube(0.5), 1.0, |p| {
        sphere_at([-0.25, 0.0, 0.0], 0.2, p).max(sphere_at([0.25, 0.0, 0.0], 0.2, p))
    });
    assert_eq!(
        topology(&apart, 64),
        Topology {
            vertices: 0,
            euler: 4,
            components: 2
        }
    );
    let touching = Analytic::new(cube(0.5), 1.0, |p| {
        sphere_at([-0.2, 0.0, 0.0], 0.2, p).max(sphere_at([0.2, 0.0, 0.0], 0.2, p))
    });
    check(&mesh_of(&touching, 64));
    for half in [0.0002, 0.003, 0.0079, 0.02] {
        let plate = Analytic::new(cube(0.5), 2.0, move |[x, y, z]: [f32; 3]| {
            (half - (0.6 * x + 0.8 * z).abs()).min(0.4 - length([x, y, z]))
        });
        match survey(&plate, 64, &never).and_then(|found| extract(&plate, &found, &never)) {
            Ok(mesh) => {
                check(&mesh);
            }
            Err(error) => assert_eq!(error, IsosurfaceError::Empty),
        }
    }
}

#[test]
fn a_surface_that_leaves_the_extent_is_closed() {
    let everywhere = Analytic::new(cube(0.5), 1.0, |_| 1.0);
    let mesh = mesh_of(&everywhere, 16);
    assert_eq!(check(&mesh).euler, 2);
    let column = Analytic::new(cube(0.5), 1.0, |[x, y, _]: [f32; 3]| 0.3 - x.hypot(y));
    let mesh = mesh_of(&column, 61);
    assert_eq!(check(&mesh).euler, 2);
    let filled = extract_dense(&grid([65, 3, 64], vec![1.0; 65 * 3 * 64]), &never).expect("a box");
    assert_eq!(check(&filled).euler, 2);
}

/// A field with other bounds, for what culling may and may not do.
struct Bounded<F, B>(F, B);

impl<F: Field, B: Fn(&F, &Region) -> Bounds + Sync> Field for Bounded<F, B> {
    fn extent(&self) -> Region {
        self.0.extent()
    }
    fn fill(&self, brick: &Brick, values: &mut [f32]) {
        self.0.fill(brick, values);
    }
    fn bounds(&self, region: &Region) -> Bounds {
        (self.1)(&self.0, region)
    }
    fn value_and_gradient(&self, point: [f32; 3]) -> Option<(f32, [f32; 3])> {
        self.0.value_and_gradient(point)
    }
}

fn unknown<F>(_: &F, _: &Region) -> Bounds {
    Bounds {
        min: f32::NEG_INFINITY,
        max: f32::INFINITY,
    }
}

#[test]
fn culling_changes_nothing() {
    for level in [8, 33, 64] {
        let shape = || {
            Analytic::new(cube(0.5), 1.0, |p| {
                torus_at([0.13, 0.0, 0.0], p).max(sphere_at([-0.3, 0.0, 0.1], 0.13, p))
            })
        };
        let culled = survey(&shape(), level, &never).expect("a survey");
        let all = survey(&Bounded(shape(), unknown), level, &never).expect("a survey");
        assert!((all.share() - 1.0).abs() < 1e-6 && culled.bricks() < all.bricks());
        assert_eq!(
            mesh_of(&shape(), level),
            mesh_of(&Bounded(shape(), unknown), level)
        );
    }
}

#[test]
fn a_surface_is_followed_into_bricks_that_bounds_deny() {
    let lying = Bounded(sphere(0.4), |field: &_, region: &Region| {
        let bounds = Field::bounds(field, region);
        let denied = region.min[0] > 0.05 && region.max[1] - region.min[1] < 0.2;
        if denied {
            Bounds {
                min: -2.0,
                max: -1.0,
            }
        } else {
            bounds
        }
    });
    let mesh = mesh_of(&lying, 64);
    assert_eq!(check(&mesh), check(&mesh_of(&sphere(0.4), 64)));
}

/// A field whose values differ a little with the brick they are asked through.
struct Jittery;

impl Field for Jittery {
    fn extent(&self) -> Region {
        cube(0.5)
    }
    fn fill(&self, brick: &Brick, values: &mut [f32]) {
        sphere(0.4).fill(brick, values);
        let mut random = Random(
            brick
                .origin
                .iter()
                .fold(7, |seed, x| seed * 31 + u64::from(x.to_bits())),
        );
        for value in values {
            *value += 0.01 * (random.next() as f32 / u64::MAX as f32 - 0.5);
        }
    }
    fn bounds(&self, region: &Region) -> Bounds {
        let bounds = sphere(0.4).bounds(region);
        Bounds {
            min: bounds.min - 0.005,
            max: bounds.max + 0.005,
        }
    }
    fn value_and_gradient(&self, _: [f32; 3]) -> Option<(f32, [f32; 3])> {
        None
    }
}

#[test]
fn bricks_that_disagree_on_shared_samples_still_meet() {
    for level in [31, 64, 100] {
        check(&mesh_of(&Jittery, level));
    }
}

#[test]
fn dense_and_sparse_have_the_same_connectivity() {
    let field = sphere(0.4);
    let brick = Brick {
        origin: [-0.5; 3],
        step: 1.0 / 64.0,
        samples: [65; 3],
    };
    let grid = DenseGrid::sample(&field, brick).expect("a proper brick");
    let (dense, sparse) = (
        extract_dense(&grid, &never).expect("a surface"),
        mesh_of(&field, 64),
    );
    assert_eq!(check(&dense), check(&sparse));
    for p in &dense.positions {
        assert!((length(*p) - 0.4).abs() < 1e-3);
    }
}

#[test]
fn the_same_bytes_whatever_the_threads() {
    let with_threads = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("a pool");
        pool.install(|| {
            let field = Analytic::new(cube(0.5), 1.0, |p: [f32; 3]| {
                sphere_at([0.0; 3], 0.4, p) + 0.02 * (40.0 * p[0]).sin() * (37.0 * p[1]).cos()
            });
            let brick = Brick {
                origin: [-0.5; 3],
                step: 1.0 / 50.0,
                samples: [51; 3],
            };
            let grid = DenseGrid::sample(&field, brick).expect("a proper brick");
            (
                mesh_of(&field, 96),
                extract_dense(&grid, &never).expect("a surface"),
            )
        })
    };
    assert_eq!(with_threads(1), with_threads(3));
}

/// Corner angles in degrees, least first.
fn angles(mesh: &Mesh) -> Vec<f64> {
    let mut angles = Vec::new();
    for t in &mesh.triangles {
        let p = t.map(|v| mesh.positions[v as usize].map(f64::from));
        for i in 0..3 {
            let side = |j: usize| -> [f64; 3] {
                std::array::from_fn(|axis| p[(i + j) % 3][axis] - p[i][axis])
            };
            let (a, b) = (side(1), side(2));
            let dot: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
            let norm = |v: [f64; 3]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
            angles.push(
                (dot / (norm(a) * norm(b)))
                    .clamp(-1.0, 1.0)
                    .acos()
                    .to_degrees(),
            );
        }
    }
    angles.sort_unstable_by(f64::total_cmp);
    angles
}

#[test]
fn vertices_lie_on_the_surface_and_normals_across_it() {
    let mesh = mesh_of(&sphere(0.4), 64);
    for (p, n) in mesh.positions.iter().zip(&mesh.normals) {
        assert!((length(*p) - 0.4).abs() < 1e-3);
        let cosine: f32 = p.iter().zip(n).map(|(p, n)| p * n).sum::<f32>() / length(*p);
        assert!(
            cosine > 0.9998,
            "a normal is off by {} degrees",
            cosine.acos().to_degrees()
        );
    }
    let mean = mesh
        .positions
        .iter()
        .map(|p| f64::from((length(*p) - 0.4).abs()))
        .sum::<f64>()
        / mesh.positions.len() as f64;
    assert!(mean < 2e-5, "vertices are off by {mean}");
    let exact = 4.0 / 3.0 * std::f64::consts::PI * 0.4_f64.powi(3);
    assert!((volume(&mesh) / exact - 1.0).abs() < 2e-3);
    let angles = angles(&mesh);
    let worst_percent = angles[angles.len() / 300];
    assert!(
        worst_percent > 20.0,
        "the worst triangles have angles of {worst_percent}"
    );
}

#[test]
fn a_field_without_gradients_is_meshed_from_its_samples() {
    struct Mute;
    impl Field for Mute {
        fn extent(&self) -> Region {
            cube(0.5)
        }
        fn fill(&self, brick: &Brick, values: &mut [f32]) {
            sphere(0.4).fill(brick, values);
        }
        fn bounds(&self, region: &Region) -> Bounds {
            sphere(0.4).bounds(region)
        }
        fn value_and_gradient(&self, point: [f32; 3]) -> Option<(f32, [f32; 3])> {
            match (point[0] > 0.0, point[1] > 0.0) {
                (true, true) => None,
                (true, false) => Some((f32::NAN, [1.0; 3])),
                (false, true) => Some((0.1, [0.0; 3])),
                (false, false) => Some((0.1, [f32::INFINITY; 3])),
            }
        }
    }
    let mesh = mesh_of(&Mute, 64);
    check(&mesh);
    for (p, n) in mesh.positions.iter().zip(&mesh.normals) {
        assert!((length(*p) - 0.4).abs() < 4e-3);
        let cosine: f32 = p.iter().zip(n).map(|(p, n)| p * n).sum::<f32>() / length(*p);
        assert!(cosine > 0.97);
    }
}

#[test]
fn cells_that_were_not_evaluated_are_left_out() {
    let brick = Brick {
        origin: [-0.5; 3],
        step: 1.0 / 32.0,
        samples: [33; 3],
    };
    let whole = DenseGrid::sample(&sphere(0.4), brick).expect("a proper brick");
    let mut values = whole.values().to_vec();
    for (index, value) in values.iter_mut().enumerate() {
        if index % 33 < 12 {
            *value = f32::NAN;
        }
    }
    let holed = DenseGrid::new(brick, values).expect("a proper brick");
    let mesh = extract_dense(&holed, &never).expect("a surface");
    let left = -0.5 + 12.0 / 32.0;
    assert!(mesh.positions.iter().all(|p| p[0] > left));
    let (part, all) = (
        mesh.triangles.len(),
        extract_dense(&whole, &never)
            .expect("a surface")
            .triangles
            .len(),
    );
    assert!(part > all / 2 && part < all * 3 / 4);
    let nothing = DenseGrid::new(brick, vec![f32::NAN; 33 * 33 * 33]).expect("a proper brick");
    assert_eq!(extract_dense(&nothing, &never), Err(IsosurfaceError::Empty));
}

/// A trigonometric field with a bound on its slope.
fn waves(terms: Vec<([f32; 3], f32)>) -> Analytic<impl Fn([f32; 3]) -> f32 + Sync> {
    let slope: f32 = terms.iter().map(|(wave, _)| length(*wave)).sum();
    Analytic::new(cube(0.5), slope, move |p| {
        terms
            .iter()
            .map(|(wave, phase)| (wave[0] * p[0] + wave[1] * p[1] + wave[2] * p[2] + phase).sin())
            .sum()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn smooth_fields_are_manifold(
        terms in prop::collection::vec((prop::array::uniform3(-60.0_f32..60.0), 0.0_f32..6.3), 1..5),
        level in 8_u32..40,
    ) {
        let field = waves(terms);
        let found = survey(&field, level, &never).expect("a survey");
        match extract(&field, &found, &never) {
            Ok(mesh) => {
                check(&mesh);
            }
            Err(error) => prop_assert_eq!(error, IsosurfaceError::Empty),
        }
    }

    #[test]
    fn noise_is_manifold(seed: u64, samples in prop::array::uniform3(1_usize..20)) {
        let mut random = Random(seed);
        let values: Vec<f32> = (0..samples.iter().product())
            .map(|_| random.next() as f32 / u64::MAX as f32 - 0.5)
            .collect();
        if let Ok(mesh) = extract_dense(&grid(samples, values), &never) {
            check(&mesh);
        }
    }
}
