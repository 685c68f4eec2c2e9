//! Simplification keeps a solid a solid; the order of vertices changes nothing but the order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use orfeas::mesh::simplify::{SimplifyError, simplify};
use orfeas::mesh::{Mesh, Texture, checks, measure, optimise};

use crate::shapes::{blob, cube, joined, moved, soup, sphere, thin_plate, three_holes, torus};
use crate::topology::{Topology, closed_manifold};
use crate::with_threads;

fn reduced(mesh: &Mesh, target: usize) -> Mesh {
    simplify(mesh, target, &|| false).expect("the mesh can be simplified")
}

fn topology(mesh: &Mesh) -> Topology {
    closed_manifold(&mesh.positions, &mesh.triangles).expect("closed and manifold")
}

fn solids() -> Vec<(&'static str, Mesh)> {
    vec![
        ("sphere", sphere(24)),
        ("torus", torus(24)),
        ("three holes", three_holes(32)),
        ("thin plate", thin_plate(40)),
    ]
}

/// Texture coordinates and normals as the front-and-back projection gives them: faces in front use the
/// left half of the texture, the others the right, and the vertices between exist twice.
fn with_seam(mesh: &Mesh) -> Mesh {
    let mut seamed = Mesh {
        texture: Some(Arc::new(Texture {
            width: 2,
            height: 1,
            pixels: vec![[255, 0, 0], [0, 255, 0]],
        })),
        ..Mesh::default()
    };
    let mut vertices = BTreeMap::new();
    for triangle in &mesh.triangles {
        let middle: f32 = triangle
            .iter()
            .map(|v| mesh.positions[*v as usize][2])
            .sum();
        let back = middle < 0.0;
        let triangle = triangle.map(|vertex| {
            *vertices.entry((vertex, back)).or_insert_with(|| {
                let position = mesh.positions[vertex as usize];
                let half = if back { 0.75 } else { 0.25 };
                seamed.positions.push(position);
                seamed
                    .uvs
                    .push([half + position[0] * 0.2, 0.5 - position[1] * 0.4]);
                let length = position.iter().map(|c| c * c).sum::<f32>().sqrt();
                seamed.normals.push(position.map(|c| c / length));
                seamed.positions.len() as u32 - 1
            })
        });
        seamed.triangles.push(triangle);
    }
    seamed
}

#[test]
fn simplify_keeps_solids_closed_and_manifold() {
    for (name, mesh) in solids() {
        let before = topology(&mesh);
        let volume = measure::volume(&mesh);
        for ratio in [0.5, 0.2, 0.1, 0.03, 0.01, 0.003, 0.001] {
            let target = ((mesh.triangles.len() as f64 * ratio) as usize).max(4);
            let small = reduced(&mesh, target);
            let after = topology(&small);
            assert_eq!(
                (after.euler, after.components),
                (before.euler, before.components),
                "{name} at {ratio}"
            );
            let faces = small.triangles.len();
            if ratio >= 0.03 {
                assert!(faces <= target, "{name} at {ratio}: {faces} of {target}");
            }
            if ratio >= 0.1 {
                let kept = measure::volume(&small) / volume;
                assert!((0.96..1.02).contains(&kept), "{name} at {ratio}: {kept}");
            }
            assert!(measure::volume(&small) > 0.0);
        }
    }
}

#[test]
fn simplify_keeps_random_solids_closed_and_manifold() {
    for seed in 0..24 {
        let mesh = blob(16, seed);
        let before = topology(&mesh);
        for ratio in [0.3, 0.05, 0.01, 0.002, 0.0] {
            let target = ((mesh.triangles.len() as f64 * ratio) as usize).max(4);
            let small = reduced(&mesh, target);
            let after = topology(&small);
            assert_eq!(
                (after.euler, after.components),
                (before.euler, before.components),
                "seed {seed} at {ratio}"
            );
            // Four faces in one plane are closed and manifold too.
            let kept = measure::volume(&small) / measure::volume(&mesh);
            assert!(kept > 0.01, "seed {seed} at {ratio}: {kept}");
        }
    }
}

#[test]
fn simplify_stuck() {
    // Three handles need more than four faces.
    let mesh = three_holes(32);
    let least = reduced(&mesh, 4);
    assert!(least.triangles.len() > 4 && least.triangles.len() < 200);
    assert_eq!(topology(&least).euler, -4);
}

#[test]
fn simplify_keeps_small_components() {
    let crumbs = (0..6).fold(sphere(24), |mesh, k| {
        joined(&mesh, &moved(&sphere(8), 0.05, [2.0 + k as f32, 0.0, 0.0]))
    });
    assert_eq!(topology(&reduced(&crumbs, 100)).components, 7);
}

#[test]
fn simplify_keeps_seams_to_the_bit() {
    for solid in [sphere(24), torus(24), blob(20, 3)] {
        let mesh = with_seam(&solid);
        let bits = |mesh: &Mesh| -> BTreeSet<[u32; 8]> {
            (0..mesh.positions.len())
                .map(|v| {
                    let ([x, y, z], [i, j, k], [s, t]) =
                        (mesh.positions[v], mesh.normals[v], mesh.uvs[v]);
                    [x, y, z, i, j, k, s, t].map(f32::to_bits)
                })
                .collect()
        };
        let before = bits(&mesh);
        for ratio in [0.5, 0.1, 0.02] {
            let target = (mesh.triangles.len() as f64 * ratio) as usize;
            let small = reduced(&mesh, target);
            assert!(small.triangles.len() <= target);
            topology(&small);
            assert!(bits(&small).is_subset(&before));
            assert_eq!(small.texture, mesh.texture);
            let mut sides = [0; 2];
            for triangle in &small.triangles {
                let back = triangle.map(|v| small.uvs[v as usize][0] > 0.5);
                assert!(
                    back == [true; 3] || back == [false; 3],
                    "a face crosses the seam"
                );
                sides[usize::from(back[0])] += 1;
            }
            assert!(sides[0] > 0 && sides[1] > 0);
        }
    }
}

#[test]
fn simplify_crosses_sharp_normals_and_welds_soup() {
    let smooth = sphere(20);
    let target = smooth.triangles.len() / 10;
    let loose = soup(&smooth);
    let mut flat = loose.clone();
    for triangle in &loose.triangles {
        let [a, b, c] = triangle.map(|v| loose.positions[v as usize]);
        let [u, v] = [b, c].map(|p| [p[0] - a[0], p[1] - a[1], p[2] - a[2]]);
        let normal = [
            u[1] * v[2] - u[2] * v[1],
            u[2] * v[0] - u[0] * v[2],
            u[0] * v[1] - u[1] * v[0],
        ];
        let length = normal.iter().map(|c| c * c).sum::<f32>().sqrt();
        flat.normals.extend([normal.map(|c| c / length); 3]);
    }
    for mesh in [loose, flat] {
        let small = reduced(&mesh, target);
        assert!(small.triangles.len() <= target);
        topology(&small);
        assert!(measure::volume(&small) / measure::volume(&smooth) > 0.9);
    }
}

#[test]
fn simplify_stays_near_the_surface() {
    let distance = |[x, y, z]: [f32; 3]| {
        let ring = (x * x + y * y).sqrt() - 0.6;
        (0.25 - (ring * ring + z * z).sqrt()).abs()
    };
    let mesh = torus(32);
    let small = reduced(&mesh, mesh.triangles.len() / 10);
    for triangle in &small.triangles {
        let corners = triangle.map(|v| small.positions[v as usize]);
        let middle = [0, 1, 2].map(|axis| corners.iter().map(|c| c[axis]).sum::<f32>() / 3.0);
        assert!(distance(middle) < 0.02, "{middle:?}");
    }
    // No part of the original is far from what is left.
    for position in &mesh.positions {
        let nearest = small
            .positions
            .iter()
            .map(|p| (0..3).map(|k| (p[k] - position[k]).powi(2)).sum::<f32>())
            .fold(f32::INFINITY, f32::min);
        assert!(nearest.sqrt() < 0.2, "{position:?}");
    }
}

#[test]
fn simplify_folds_nothing_in_flat_parts() {
    for mesh in [thin_plate(40), three_holes(32)] {
        let small = reduced(&mesh, mesh.triangles.len() / 5);
        let report = checks::inspect(&small, &|| false).expect("it can be checked");
        assert_eq!(report.self_intersections, Some(0));
        assert_eq!(report.degenerate_faces, []);
    }
}

#[test]
fn simplify_returns_a_small_mesh_as_it_is() {
    assert_eq!(reduced(&cube(), 12), cube());
    assert_eq!(reduced(&cube(), 500), cube());
}

#[test]
fn simplify_reduces_an_open_mesh_too() {
    let mut mesh = sphere(16);
    mesh.triangles.truncate(mesh.triangles.len() / 2);
    let target = mesh.triangles.len() / 4;
    assert!(reduced(&mesh, target).triangles.len() <= target);
}

#[test]
fn simplify_refuses_what_it_cannot_do() {
    let simplified = |mesh: &Mesh, target| simplify(mesh, target, &|| false);
    assert_eq!(
        simplified(&cube(), 3),
        Err(SimplifyError::TargetTooLow { target: 3 })
    );
    let mut wrong = cube();
    wrong.triangles[0][0] = 8;
    assert_eq!(simplified(&wrong, 4), Err(SimplifyError::Invalid));
    let mut wrong = cube();
    wrong.positions[0][0] = f32::NAN;
    assert_eq!(simplified(&wrong, 4), Err(SimplifyError::Invalid));
    let mut wrong = cube();
    wrong.uvs.push([0.0; 2]);
    assert!(matches!(
        simplified(&wrong, 4),
        Err(SimplifyError::AttributeLength { values: 1, .. })
    ));
    assert_eq!(
        simplify(&cube(), 4, &|| true),
        Err(SimplifyError::Cancelled)
    );
}

#[test]
fn simplify_does_not_depend_on_the_number_of_threads() {
    let mesh = with_seam(&blob(24, 4));
    let [one, three] = with_threads([1, 3], || {
        let mut small = reduced(&mesh, 300);
        optimise(&mut small);
        small
    });
    assert_eq!(one, three);
}

/// The triangles by their corners' positions, each beginning with its least, sorted.
fn surface(mesh: &Mesh) -> Vec<[[u32; 3]; 3]> {
    let mut triangles: Vec<_> = mesh
        .triangles
        .iter()
        .map(|triangle| {
            let corners = triangle.map(|v| mesh.positions[v as usize].map(f32::to_bits));
            let first = (0..3).min_by_key(|k| corners[*k]).unwrap_or(0);
            [0, 1, 2].map(|k| corners[(first + k) % 3])
        })
        .collect();
    triangles.sort_unstable();
    triangles
}

/// Vertices that a cache of 16 would load for each triangle, on average.
fn cache_misses(mesh: &Mesh) -> f64 {
    let mut cache = VecDeque::new();
    let mut misses = 0;
    for vertex in mesh.triangles.iter().flatten() {
        if !cache.contains(vertex) {
            misses += 1;
            cache.push_back(*vertex);
            if cache.len() > 16 {
                cache.pop_front();
            }
        }
    }
    f64::from(misses) / mesh.triangles.len() as f64
}

#[test]
fn optimise_keeps_the_surface_and_improves_the_order() {
    let mut mesh = with_seam(&sphere(20));
    let count = mesh.triangles.len();
    // An order in which neighbours are far apart; the stride is prime.
    mesh.triangles = (0..count)
        .map(|k| mesh.triangles[k * 7919 % count])
        .collect();
    mesh.positions.push([9.0; 3]);
    mesh.normals.push([0.0, 0.0, 1.0]);
    mesh.uvs.push([0.5; 2]);
    let mut better = mesh.clone();
    optimise(&mut better);
    assert_eq!(surface(&better), surface(&mesh));
    assert_eq!(better.positions.len() + 1, mesh.positions.len());
    assert_eq!(
        (better.normals.len(), better.uvs.len()),
        (better.positions.len(), better.positions.len())
    );
    assert!(cache_misses(&better) < 0.5 * cache_misses(&mesh));
    assert!(cache_misses(&better) < 1.0);
    let report = checks::quick(&better).expect("it can be checked");
    assert!(report.closed && report.manifold && report.outward);
}
