//! Volume, area, bounds and normalisation.

use std::f64::consts::PI;

use orfeas::mesh::placement::{PlacementError, normalise};
use orfeas::mesh::weld::weld;
use orfeas::mesh::{Mesh, checks, measure};

use crate::shapes::{blob, cube, flipped, moved, soup, sphere, torus};

#[test]
fn volume_and_area_approach_those_of_the_smooth_solids() {
    let ball = sphere(48);
    assert!((measure::volume(&ball) / (4.0 / 3.0 * PI * 0.8f64.powi(3)) - 1.0).abs() < 0.01);
    assert!((measure::area(&ball) / (4.0 * PI * 0.64) - 1.0).abs() < 0.02);
    let ring = torus(48);
    assert!((measure::volume(&ring) / (2.0 * PI * PI * 0.6 * 0.0625) - 1.0).abs() < 0.02);
    assert!(measure::volume(&flipped(&ring)) < 0.0);
}

#[test]
fn volume_survives_distance() {
    let far = moved(&cube(), 1.0, [100_000.0, -100_000.0, 50_000.0]);
    assert!((measure::volume(&far) - 1.0).abs() < 1e-9);
}

#[test]
fn sums_do_not_depend_on_the_number_of_threads() {
    let mesh = blob(48, 3);
    let measured = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("a thread pool");
        pool.install(|| {
            let mut placed = mesh.clone();
            let placement = normalise(&mut placed);
            let report = checks::inspect(&mesh, &|| false);
            (report, placement, placed)
        })
    };
    assert_eq!(measured(1), measured(3));
}

#[test]
fn bounds_are_those_of_the_faces() {
    let mut mesh = cube();
    mesh.positions.push([9.0; 3]);
    let bounds = measure::bounds(&mesh).expect("a cube has bounds");
    assert_eq!((bounds.min, bounds.max), ([-0.5; 3], [0.5; 3]));
    assert_eq!(measure::bounds(&Mesh::default()), None);
}

#[test]
fn indices_out_of_range_count_for_nothing() {
    let mut mesh = cube();
    mesh.triangles.push([0, 1, 99]);
    assert!((measure::volume(&mesh) - 1.0).abs() < 1e-12);
    assert!((measure::area(&mesh) - 6.0).abs() < 1e-12);
}

#[test]
fn a_normalised_mesh_is_centred_with_longest_side_one() {
    let original = moved(&blob(24, 5), 37.0, [100.0, -3.0, 0.125]);
    let mut mesh = original.clone();
    let placement = normalise(&mut mesh).expect("a blob has a size");
    let bounds = measure::bounds(&mesh).expect("a blob has bounds");
    let mut longest = 0.0f32;
    for axis in 0..3 {
        assert!((bounds.min[axis] + bounds.max[axis]).abs() < 1e-6);
        longest = longest.max(bounds.max[axis] - bounds.min[axis]);
    }
    assert_eq!(longest, 1.0);
    for (was, is) in original.positions.iter().zip(&mesh.positions) {
        let back = placement.invert(*is);
        for axis in 0..3 {
            assert!((placement.apply(*was)[axis] - is[axis]).abs() < 1e-6);
            assert!((back[axis] - was[axis]).abs() < 1e-4);
        }
    }
}

#[test]
fn normalising_welds_nothing_and_splits_nothing() {
    // A million times finer near the origin than the format resolves at the far end.
    let tiny = moved(&sphere(12), 1e-7, [0.0; 3]);
    let mut mesh = crate::shapes::joined(&tiny, &moved(&sphere(12), 1.0, [1.5, 0.0, 0.0]));
    mesh = soup(&mesh);
    let before = weld(&mesh);
    normalise(&mut mesh).expect("two balls have a size");
    let after = weld(&mesh);
    assert_eq!(before.vertex_of, after.vertex_of);
    assert_eq!(before.triangles, after.triangles);
    assert!(mesh.positions.iter().flatten().all(|c| c.abs() <= 0.5));
}

#[test]
fn a_mesh_without_size_is_refused_and_left_as_it_was() {
    assert_eq!(
        normalise(&mut Mesh::default()),
        Err(PlacementError::NoFaces)
    );
    let point = moved(&cube(), 0.0, [1.0; 3]);
    let mut mesh = point.clone();
    assert_eq!(
        normalise(&mut mesh),
        Err(PlacementError::NoSize { longest: 0.0 })
    );
    assert_eq!(mesh, point);
    for wrong in [f32::NAN, f32::INFINITY] {
        let mut mesh = cube();
        mesh.positions[0][0] = wrong;
        assert!(matches!(
            normalise(&mut mesh),
            Err(PlacementError::NoSize { .. })
        ));
    }
}

#[test]
fn extreme_sizes_are_placed_too() {
    for scale in [1e-38f32, 3e38] {
        let mut mesh = moved(&cube(), scale, [0.0; 3]);
        normalise(&mut mesh).expect("it has a size");
        assert_eq!(mesh.positions, cube().positions);
    }
}
