//! Removing small parts that float apart from a solid.

use orfeas::field::{Analytic, Region};
use orfeas::mesh::{Mesh, checks, isosurface, remove_floaters};

const EXTENT: Region = Region {
    min: [-1.0; 3],
    max: [1.0; 3],
};

fn balls(balls: &[([f32; 3], f32)]) -> Mesh {
    let field = Analytic::new(EXTENT, 1.0, |point: [f32; 3]| {
        let depth = |&(centre, radius): &([f32; 3], f32)| {
            let squares = (0..3).map(|axis| (point[axis] - centre[axis]).powi(2));
            radius - squares.sum::<f32>().sqrt()
        };
        balls.iter().map(depth).fold(f32::MIN, f32::max)
    });
    let survey = isosurface::survey(&field, 64, &|| false).unwrap();
    isosurface::extract(&field, &survey, &|| false).unwrap()
}

#[test]
fn small_parts_go_and_large_ones_stay() {
    let (large, middle) = (([-0.3, 0.0, 0.0], 0.5), ([0.6, 0.0, 0.0], 0.2));
    let small = [([0.6, 0.7, 0.0], 0.04), ([0.6, -0.7, 0.1], 0.03)];
    let expected = balls(&[large, middle]);
    let mut mesh = balls(&[large, small[0], middle, small[1]]);
    let before = mesh.triangles.len();
    let removed = remove_floaters(&mut mesh, 0.01);
    assert_eq!(removed.parts, 2);
    assert_eq!(removed.faces, before - expected.triangles.len());
    assert_eq!(mesh, expected);
    let report = checks::quick(&mesh).unwrap();
    assert!(report.closed && report.components == 2);
    assert_eq!(remove_floaters(&mut mesh, 0.01), Default::default());
}

#[test]
fn the_largest_part_stays_however_small_its_share() {
    let dots: Vec<_> = (0..27)
        .map(|place| {
            let at = [place % 3, place / 3 % 3, place / 9].map(|at| 0.5 * (at as f32 - 1.0));
            (at, if place == 13 { 0.08 } else { 0.06 })
        })
        .collect();
    let mut mesh = balls(&dots);
    let removed = remove_floaters(&mut mesh, 0.5);
    assert_eq!(removed.parts, 26);
    assert_eq!(mesh, balls(&dots[13..14]));
}

#[test]
fn an_empty_mesh_stays_empty() {
    let mut mesh = Mesh::default();
    assert_eq!(remove_floaters(&mut mesh, 0.01), Default::default());
}
