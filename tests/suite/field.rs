//! Fields: bounds that hold, grids that are refused when they make no sense.

use orfeas::field::{Analytic, Bounds, Brick, DenseGrid, Field, GridError, Region};
use proptest::prelude::*;

fn torus() -> Analytic<impl Fn([f32; 3]) -> f32 + Sync> {
    let extent = Region {
        min: [-0.5, -0.5, -0.2],
        max: [0.5, 0.5, 0.2],
    };
    Analytic::new(extent, 1.0, |[x, y, z]: [f32; 3]| {
        0.12 - (x.hypot(y) - 0.33).hypot(z)
    })
}

proptest! {
    #[test]
    fn bounds_contain_every_value(
        min in prop::array::uniform3(-0.5_f32..0.5),
        size in prop::array::uniform3(0.0_f32..0.3),
    ) {
        let field = torus();
        let max: [f32; 3] = std::array::from_fn(|axis| min[axis] + size[axis]);
        let bounds = field.bounds(&Region { min, max });
        for corner in 0..27 {
            let part = [corner % 3, corner / 3 % 3, corner / 9].map(|i| i as f32 / 2.0);
            let point = std::array::from_fn(|axis| min[axis] + part[axis] * size[axis]);
            let (value, _) = field.value_and_gradient(point).expect("an analytic field knows every point");
            prop_assert!(bounds.min <= value + 1e-6 && value - 1e-6 <= bounds.max);
        }
    }
}

#[test]
fn bounds_of_nan_are_no_evidence_of_absence() {
    let unknown = Bounds {
        min: f32::NAN,
        max: f32::NAN,
    };
    assert!(unknown.straddles_surface());
    assert!(!Bounds { min: 0.1, max: 1.0 }.straddles_surface());
    assert!(
        !Bounds {
            min: -1.0,
            max: -0.1
        }
        .straddles_surface()
    );
    assert!(
        Bounds {
            min: -1.0,
            max: 0.0
        }
        .straddles_surface()
    );
}

#[test]
fn a_formula_is_sampled_x_fastest() {
    let extent = Region {
        min: [-1.0; 3],
        max: [1.0; 3],
    };
    let field = Analytic::new(extent, 200.0, |[x, y, z]: [f32; 3]| {
        x + 10.0 * y + 100.0 * z
    });
    let brick = Brick {
        origin: [1.0, 2.0, 3.0],
        step: 1.0,
        samples: [2, 3, 2],
    };
    let grid = DenseGrid::sample(&field, brick).expect("a proper brick");
    assert_eq!(
        grid.values(),
        [
            321.0, 322.0, 331.0, 332.0, 341.0, 342.0, 421.0, 422.0, 431.0, 432.0, 441.0, 442.0
        ]
    );
}

#[test]
fn a_gradient_points_inwards() {
    let (value, gradient) = torus()
        .value_and_gradient([0.45, 0.0, 0.0])
        .expect("an analytic field knows every point");
    assert!(value.abs() < 1e-6);
    assert!((gradient[0] + 1.0).abs() < 1e-3 && gradient[1].abs() < 1e-3);
}

#[test]
fn an_improper_grid_is_refused() {
    let brick = Brick {
        origin: [0.0; 3],
        step: 1.0,
        samples: [2, 2, 2],
    };
    assert_eq!(
        DenseGrid::new(brick, vec![0.0; 7]),
        Err(GridError::WrongLength {
            samples: [2, 2, 2],
            values: 7
        })
    );
    let overflowing = Brick {
        samples: [usize::MAX, 2, 2],
        ..brick
    };
    assert!(DenseGrid::new(overflowing, Vec::new()).is_err());
    for (origin, step) in [
        ([f32::NAN, 0.0, 0.0], 1.0),
        ([0.0; 3], 0.0),
        ([0.0; 3], -1.0),
        ([0.0; 3], f32::INFINITY),
    ] {
        let unplaced = Brick {
            origin,
            step,
            ..brick
        };
        assert_eq!(
            DenseGrid::new(unplaced, vec![0.0; 8]),
            Err(GridError::BadPlacement)
        );
    }
}
