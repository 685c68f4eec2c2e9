//! What isosurfaces refuse, and that they stop when asked to.

use std::sync::atomic::{AtomicUsize, Ordering};

use orfeas::field::{Analytic, Brick, DenseGrid, Region};
use orfeas::mesh::isosurface::{IsosurfaceError, extract, extract_dense, survey};

use crate::isosurface::{cube, grid, never, sphere};

#[test]
fn a_field_without_surface_is_no_mesh() {
    let nothing = Analytic::new(cube(0.5), 1.0, |_| -1.0);
    let found = survey(&nothing, 64, &never).expect("a survey");
    assert_eq!(
        extract(&nothing, &found, &never),
        Err(IsosurfaceError::Empty)
    );
    let zero = Analytic::new(cube(0.5), 1.0, |_| 0.0);
    let found = survey(&zero, 16, &never).expect("a survey");
    assert_eq!(extract(&zero, &found, &never), Err(IsosurfaceError::Empty));
    let none = grid([0, 4, 4], Vec::new());
    assert_eq!(extract_dense(&none, &never), Err(IsosurfaceError::Empty));
}

#[test]
fn improper_requests_are_named() {
    for level in [0, 7, 1025, u32::MAX] {
        assert_eq!(
            survey(&sphere(0.4), level, &never).map(|found| found.bricks()),
            Err(IsosurfaceError::LevelOutOfRange { level })
        );
    }
    let over = |min: [f32; 3], max: [f32; 3]| {
        let field = Analytic::new(Region { min, max }, 1.0, |_| 1.0);
        survey(&field, 64, &never).map(|found| found.bricks())
    };
    for (min, max) in [
        ([0.0; 3], [0.0; 3]),
        ([f32::NAN; 3], [1.0; 3]),
        ([1.0; 3], [0.0; 3]),
        ([f32::NEG_INFINITY; 3], [f32::INFINITY; 3]),
        ([f32::MIN; 3], [f32::MAX; 3]),
        ([0.0; 3], [1e-42; 3]),
    ] {
        assert!(
            matches!(over(min, max), Err(IsosurfaceError::BadExtent(_))),
            "{min:?} {max:?}"
        );
    }
    assert!(matches!(
        over([1e6, 0.0, 0.0], [1e6 + 1.0, 1.0, 1.0]),
        Err(IsosurfaceError::TooFarOut(_))
    ));
    let brick = Brick {
        origin: [1e6, 0.0, 0.0],
        step: 1e-3,
        samples: [2; 3],
    };
    let far = DenseGrid::new(brick, vec![1.0; 8]).expect("a placed grid");
    assert_eq!(
        extract_dense(&far, &never),
        Err(IsosurfaceError::NotResolved)
    );
}

#[test]
fn cancelling_stops_at_every_point() {
    let field = sphere(0.4);
    let found = survey(&field, 32, &never).expect("a survey");
    let brick = Brick {
        origin: [-0.5; 3],
        step: 1.0 / 32.0,
        samples: [33; 3],
    };
    let grid = DenseGrid::sample(&field, brick).expect("a proper brick");
    type Run<'a> = &'a dyn Fn(&(dyn Fn() -> bool + Sync)) -> Option<IsosurfaceError>;
    let runs: [Run<'_>; 3] = [
        &|cancelled| survey(&field, 32, cancelled).err(),
        &|cancelled| extract(&field, &found, cancelled).err(),
        &|cancelled| extract_dense(&grid, cancelled).err(),
    ];
    for run in runs {
        let looks = AtomicUsize::new(0);
        assert_eq!(
            run(&|| {
                looks.fetch_add(1, Ordering::Relaxed);
                false
            }),
            None
        );
        let total = looks.load(Ordering::Relaxed);
        assert!(total > 0);
        for allowed in (0..total).step_by(1 + total / 20) {
            let looks = AtomicUsize::new(0);
            let cancelled = || looks.fetch_add(1, Ordering::Relaxed) >= allowed;
            assert_eq!(run(&cancelled), Some(IsosurfaceError::Cancelled));
        }
    }
}
