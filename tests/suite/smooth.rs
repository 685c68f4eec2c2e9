//! Smoothing takes out ripples and nothing else: a solid stays one, with its volume.

use orfeas::mesh::smooth::{SmoothError, smooth};
use orfeas::mesh::{Mesh, measure};

use crate::shapes::{blob, cube, joined, moved, sphere, three_holes, torus};
use crate::topology::closed_manifold;
use crate::with_threads;

fn smoothed(mesh: &Mesh, strength: f32) -> Mesh {
    smooth(mesh, strength, &|| false).expect("the mesh can be smoothed")
}

/// A sphere about the origin with ripples of one vertex's width.
fn rough_sphere() -> Mesh {
    let mut mesh = sphere(24);
    for (place, position) in mesh.positions.iter_mut().enumerate() {
        let ripple = 1.0 + 0.02 * (((place * 2_654_435_761) >> 7) % 100) as f32 / 100.0;
        *position = position.map(|c| c * ripple);
    }
    mesh
}

/// How far the vertices' distances from the middle scatter.
fn roughness(mesh: &Mesh) -> f64 {
    let count = mesh.positions.len() as f64;
    let mut middle = [0.0; 3];
    for position in &mesh.positions {
        for axis in 0..3 {
            middle[axis] += f64::from(position[axis]) / count;
        }
    }
    let lengths: Vec<f64> = mesh
        .positions
        .iter()
        .map(|p| {
            (0..3)
                .map(|axis| (f64::from(p[axis]) - middle[axis]).powi(2))
                .sum::<f64>()
                .sqrt()
        })
        .collect();
    let mean = lengths.iter().sum::<f64>() / count;
    let scatter = lengths.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / count;
    scatter.sqrt() / mean
}

#[test]
fn smooth_takes_out_ripples_and_more_with_more_strength() {
    let rough = rough_sphere();
    let [before, some, much] =
        [rough.clone(), smoothed(&rough, 0.3), smoothed(&rough, 1.0)].map(|mesh| roughness(&mesh));
    assert!(some < 0.6 * before, "{before} {some}");
    assert!(much < some, "{some} {much}");
    assert_eq!(smoothed(&rough, 0.0), rough);
}

#[test]
fn smooth_keeps_solids_closed_with_their_volume() {
    let pair = joined(&sphere(16), &moved(&torus(16), 0.5, [3.0, 0.0, 0.0]));
    for (name, mesh) in [
        ("sphere", rough_sphere()),
        ("torus", torus(24)),
        ("three holes", three_holes(32)),
        ("blob", blob(24, 7)),
        ("pair", pair),
    ] {
        let before = closed_manifold(&mesh.positions, &mesh.triangles).expect("a solid");
        for strength in [0.1, 0.5, 1.0] {
            let calm = smoothed(&mesh, strength);
            let after = closed_manifold(&calm.positions, &calm.triangles).expect("still a solid");
            assert_eq!(
                (after.euler, after.components),
                (before.euler, before.components),
                "{name} at {strength}"
            );
            let ratio = measure::volume(&calm) / measure::volume(&mesh);
            assert!((ratio - 1.0).abs() < 1e-4, "{name} at {strength}: {ratio}");
        }
    }
}

#[test]
fn smooth_moves_both_sides_of_a_seam_alike() {
    let mut mesh = sphere(16);
    // Every third vertex exists twice, as along a seam of the texture.
    let count = mesh.positions.len();
    for vertex in (0..count).step_by(3) {
        mesh.positions.push(mesh.positions[vertex]);
    }
    for (place, triangle) in mesh.triangles.iter_mut().enumerate() {
        for vertex in triangle {
            if *vertex % 3 == 0 && place % 2 == 0 {
                *vertex = (count + *vertex as usize / 3) as u32;
            }
        }
    }
    mesh.normals = vec![[0.0, 0.0, 1.0]; mesh.positions.len()];
    mesh.uvs = (0..mesh.positions.len())
        .map(|vertex| [vertex as f32, 0.0])
        .collect();
    let calm = smoothed(&mesh, 0.6);
    assert_eq!(calm.triangles, mesh.triangles);
    assert_eq!(calm.uvs, mesh.uvs);
    for (twin, vertex) in (0..count).step_by(3).enumerate() {
        assert_eq!(calm.positions[vertex], calm.positions[count + twin]);
        assert_eq!(calm.normals[vertex], calm.normals[count + twin]);
    }
    let length = calm.normals[1].iter().map(|c| c * c).sum::<f32>();
    assert!((length - 1.0).abs() < 1e-5, "normals are made anew");
}

#[test]
fn smooth_keeps_open_edges_where_they_are() {
    let mut mesh = sphere(16);
    let removed = mesh.triangles.pop().expect("a sphere has faces");
    let calm = smoothed(&mesh, 0.8);
    for vertex in removed {
        assert_eq!(
            calm.positions[vertex as usize],
            mesh.positions[vertex as usize]
        );
    }
}

#[test]
fn smooth_is_the_same_with_any_number_of_threads() {
    let mesh = blob(24, 3);
    let [one, three] = with_threads([1, 3], || smoothed(&mesh, 0.7));
    assert_eq!(one, three);
}

#[test]
fn smooth_refuses_what_it_cannot_do() {
    let mesh = cube();
    for strength in [-0.1, 1.1, f32::NAN] {
        let error = smooth(&mesh, strength, &|| false).expect_err("no such strength");
        assert!(matches!(error, SmoothError::Strength(_)), "{error}");
    }
    let mut broken = cube();
    broken.positions[0][1] = f32::NAN;
    assert_eq!(smooth(&broken, 0.5, &|| false), Err(SmoothError::Invalid));
    let mut broken = cube();
    broken.triangles[0][0] = 1000;
    assert_eq!(smooth(&broken, 0.5, &|| false), Err(SmoothError::Invalid));
    assert_eq!(smooth(&mesh, 0.5, &|| true), Err(SmoothError::Cancelled));
}
