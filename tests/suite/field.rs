//! Fields: bounds that hold, grids that are refused when they make no sense.

use orfeas::field::{
    Analytic, Bounds, Brick, DenseGrid, Field, GridError, Region, fill_coarse_first,
};
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
fn bounds_of_values_hold_them_and_tell_of_what_is_no_number() {
    let bounds = Bounds::of(&[2.0, -1.0, 0.5]);
    assert_eq!((bounds.min, bounds.max), (-1.0, 2.0));
    let widened = bounds.widened();
    assert_eq!((widened.min, widened.max), (-4.0, 5.0));
    for values in [[f32::NAN, 1.0, 2.0], [1.0, f32::NAN, 2.0], [f32::NAN; 3]] {
        assert!(Bounds::of(&values).widened().straddles_surface());
    }
}

/// A brick is evaluated everywhere where the surface passes it, and has the right signs elsewhere.
#[test]
fn bricks_are_filled_from_coarse_to_fine() {
    let ball = |[x, y, z]: [f32; 3]| 0.5 - (x * x + y * y + z * z).sqrt();
    // Across the surface, right inside, far outside; then sides without a sample in the middle.
    for (origin, samples, evaluated) in [
        ([0.4, 0.0, 0.0], [9; 3], 729),
        ([0.0; 3], [9; 3], 125),
        ([0.7, 0.1, 0.1], [9, 5, 7], 5 * 3 * 4),
        ([0.7, 0.1, 0.1], [9, 4, 7], 9 * 4 * 7),
        ([0.7, 0.1, 0.1], [9, 9, 1], 81),
    ] {
        let brick = Brick {
            origin,
            step: 0.01,
            samples,
        };
        let mut asked = 0;
        let mut values = vec![f32::NAN; brick.len()];
        fill_coarse_first(&brick, &mut values, |points, values| {
            asked += points.len();
            for (point, value) in points.iter().zip(values) {
                *value = ball(*point);
            }
        });
        assert_eq!(asked, evaluated, "{brick:?}");
        for (place, value) in values.iter().enumerate() {
            let expected = ball(brick.point(place));
            assert_eq!(*value > 0.0, expected > 0.0, "{place} of {brick:?}");
            assert!(evaluated < brick.len() || *value == expected);
        }
    }
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
