//! Evaluation from coarse to fine against evaluation everywhere.

use std::convert::Infallible;

use orfeas::compute::{Context, Precision};
use orfeas::field::{Brick, Evaluate, Field, Hierarchy, Region, SparseGrid};
use orfeas::mesh::{Mesh, checks, isosurface};
use orfeas::models::triposg::{Config, LatentField};
use orfeas::vram::Residency;

use crate::triposg_reference::Reference;
use crate::triposr_reference::context;

const EXTENT: Region = Region {
    min: [-Config::RADIUS; 3],
    max: [Config::RADIUS; 3],
};

/// A formula, and how many points it was asked for.
struct Counted<F> {
    formula: F,
    points: usize,
    held_bytes: u64,
}

impl<F: Fn([f32; 3]) -> f32> Evaluate for Counted<F> {
    type Error = Infallible;

    fn values(&mut self, points: &[[f32; 3]], values: &mut [f32]) -> Result<(), Infallible> {
        self.points += points.len();
        for (value, point) in values.iter_mut().zip(points) {
            *value = (self.formula)(*point);
        }
        Ok(())
    }

    fn hold(&mut self, size_bytes: u64) -> Result<(), Infallible> {
        self.held_bytes += size_bytes;
        Ok(())
    }
}

fn sampled(
    formula: impl Fn([f32; 3]) -> f32,
    level: u32,
    hierarchy: Hierarchy,
    from: Option<&SparseGrid>,
) -> (SparseGrid, usize) {
    let lattice = isosurface::samples(&EXTENT, level).unwrap();
    let mut field = Counted {
        formula,
        points: 0,
        held_bytes: 0,
    };
    let Ok(grid) = hierarchy.evaluate(EXTENT, lattice, from, &mut field);
    assert!(field.held_bytes >= grid.size_bytes());
    (grid, field.points)
}

type Formula = fn([f32; 3]) -> f32;

const DENSE: Hierarchy = Hierarchy {
    dense_cells: usize::MAX,
    near: 0.0,
};

const SPARSE: Hierarchy = Hierarchy {
    dense_cells: 96,
    near: 0.02,
};

fn meshed(grid: &SparseGrid, level: u32) -> Mesh {
    let never = || false;
    let survey = isosurface::survey(grid, level, &never).unwrap();
    isosurface::extract(grid, &survey, &never).unwrap()
}

/// The same sign wherever both know it, and the same surface.
fn assert_same(name: &str, level: u32, sparse: &SparseGrid, dense: &SparseGrid) {
    assert_eq!(sparse.lattice(), dense.lattice());
    let [columns, rows, planes] = sparse.lattice().samples;
    for z in 0..planes {
        for y in 0..rows {
            for x in 0..columns {
                let (ours, all) = (sparse.value([x, y, z]), dense.value([x, y, z]));
                assert!(
                    ours.is_nan() || all.is_nan() || (ours > 0.0) == (all > 0.0),
                    "{name} at {x} {y} {z}"
                );
            }
        }
    }
    let (ours, all) = (meshed(sparse, level), meshed(dense, level));
    assert_eq!(ours.triangles.len(), all.triangles.len(), "{name}");
    let worst = ours.positions.iter().zip(&all.positions);
    let worst = worst.flat_map(|(a, b)| (0..3).map(|axis| (a[axis] - b[axis]).abs()));
    assert!(worst.fold(0.0, f32::max) <= 1e-6, "{name}");
    let report = checks::quick(&ours).unwrap();
    assert!(report.closed && report.manifold, "{name}: {report:?}");
}

fn length(v: [f32; 3]) -> f32 {
    v.iter().map(|x| x * x).sum::<f32>().sqrt()
}

fn sphere([x, y, z]: [f32; 3]) -> f32 {
    0.8 - length([x - 0.05, y + 0.02, z])
}

fn torus([x, y, z]: [f32; 3]) -> f32 {
    0.22 - length([length([x, y, 0.0]) - 0.65, z, 0.0])
}

/// A ball with a rod so thin that the coarse lattice sees it in few places.
fn ball_on_a_rod(point: [f32; 3]) -> f32 {
    let ball = 0.3 - length([point[0] + 0.5, point[1], point[2]]);
    let along = point[0].clamp(-0.5, 0.9);
    let rod = 0.012 - length([point[0] - along, point[1] - 0.003, point[2]]);
    ball.max(rod)
}

/// A wave that leaves the box on every side.
fn wave([x, y, z]: [f32; 3]) -> f32 {
    0.2 * ((4.0 * x).sin() * (4.0 * y).cos() + (4.0 * y).sin() * (4.0 * z).cos())
}

#[test]
fn near_the_surface_is_as_good_as_everywhere() {
    let fields: [(&str, Formula); 4] = [
        ("sphere", sphere),
        ("torus", torus),
        ("ball on a rod", ball_on_a_rod),
        ("wave", wave),
    ];
    for (name, formula) in fields {
        for level in [128, 200] {
            let (sparse, asked) = sampled(formula, level, SPARSE, None);
            let (dense, all) = sampled(formula, level, DENSE, None);
            println!("{name} at {level}: {:.3} of all", asked as f64 / all as f64);
            assert_eq!(dense.evaluated(), all);
            assert_same(name, level, &sparse, &dense);
        }
    }
}

#[test]
fn a_closed_shape_takes_an_eighth_of_the_queries_at_256() {
    for (name, formula) in [
        ("sphere", sphere as Formula),
        ("torus", torus),
        ("ball on a rod", ball_on_a_rod),
    ] {
        let (sparse, asked) = sampled(formula, 256, SPARSE, None);
        let (dense, all) = sampled(formula, 256, DENSE, None);
        let share = asked as f64 / all as f64;
        println!("{name}: {share:.3}");
        assert!(share <= 0.12, "{name}: {share}");
        assert_same(name, 256, &sparse, &dense);
    }
}

#[test]
fn a_finer_level_goes_on_from_a_coarser_one() {
    let (coarse, first) = sampled(torus, 64, SPARSE, None);
    let (middle, second) = sampled(torus, 128, SPARSE, Some(&coarse));
    let (fine, third) = sampled(torus, 256, SPARSE, Some(&middle));
    let (at_once, all) = sampled(torus, 256, SPARSE, None);
    assert_same("torus", 256, &fine, &at_once);
    assert!(
        first + second + third <= all * 11 / 10,
        "{first} + {second} + {third} for {all}"
    );
    let (again, none) = sampled(torus, 256, SPARSE, Some(&fine));
    assert_eq!((again.evaluated(), none), (fine.evaluated(), 0));
}

#[test]
fn a_sparse_grid_knows_its_own_samples_only() {
    let (grid, _) = sampled(sphere, 128, SPARSE, None);
    let lattice = *grid.lattice();
    let mut values = [0.0; 8];
    let finer = Brick {
        step: 0.5 * lattice.step,
        samples: [2; 3],
        ..lattice
    };
    grid.fill(&finer, &mut values);
    assert!(values.iter().all(|value| value.is_nan()));
    // In the middle of the sphere nothing was evaluated on the finest lattice.
    assert!(
        grid.value(lattice.samples.map(|samples| samples / 2))
            .is_nan()
    );
    assert!(grid.value_and_gradient([0.05, -0.02, 0.0]).is_none());
    let (value, gradient) = grid.value_and_gradient([0.85, -0.02, 0.0]).unwrap();
    assert!(
        value.abs() < 1e-3 && (gradient[0] + 1.0).abs() < 1e-2,
        "{value} {gradient:?}"
    );
}

/// The model's field.
struct Decoded<'a>(&'a LatentField, &'a Context);

impl Evaluate for Decoded<'_> {
    type Error = orfeas::models::error::ModelError;

    fn values(&mut self, points: &[[f32; 3]], values: &mut [f32]) -> Result<(), Self::Error> {
        self.0.values(points, values, self.1)
    }

    fn hold(&mut self, _: u64) -> Result<(), Self::Error> {
        Ok(())
    }
}

#[test]
fn reference_triposg_hierarchical_grid() {
    let reference = Reference::read();
    let context = context();
    let model = reference.model(Precision::F32, Residency::Resident, &context);
    let field = reference.field(&model, &context);
    // A part of the box in which the coarse lattice resolves the finest of the field's waves, of 1/64 of a
    // unit: random weights use them all, and then a part of the surface may lie between two coarse samples.
    let extent = Region {
        min: [-0.125; 3],
        max: [0.125; 3],
    };
    let level = 128;
    let lattice = isosurface::samples(&extent, level).unwrap();
    let evaluate = |hierarchy: Hierarchy| {
        let mut decoded = Decoded(&field, &context);
        hierarchy
            .evaluate(extent, lattice, None, &mut decoded)
            .unwrap()
    };
    let sparse = evaluate(Hierarchy {
        dense_cells: 72,
        near: 0.02,
    });
    let dense = evaluate(DENSE);
    println!("{} of {}", sparse.evaluated(), dense.evaluated());
    assert_same("TripoSG", level, &sparse, &dense);
}
