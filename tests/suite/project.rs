//! Wrapping the atlas around a mesh.

use std::collections::HashMap;
use std::sync::Arc;

use orfeas::mesh::{Mesh, Texture, project_front_back, vertex_colours};

/// Red in front, blue behind.
fn atlas() -> Arc<Texture> {
    let (width, height) = (64, 32);
    let pixels = (0..width * height)
        .map(|pixel| {
            if pixel % width < 32 {
                [255, 0, 0]
            } else {
                [0, 0, 255]
            }
        })
        .collect();
    Arc::new(Texture {
        width,
        height,
        pixels,
    })
}

/// A closed tube bent into a ring around `axis_of`, with `at` giving positions by two angles in turns.
fn torus(rings: u32, segments: u32, at: impl Fn(f32, f32) -> [f32; 3]) -> Mesh {
    let mut mesh = Mesh::default();
    for ring in 0..rings {
        for segment in 0..segments {
            let turn = |part: u32, of: u32| part as f32 / of as f32 * std::f32::consts::TAU;
            mesh.positions
                .push(at(turn(ring, rings), turn(segment, segments)));
            mesh.normals.push([0.0, 0.6, 0.8]);
            let place = |r: u32, s: u32| (r % rings) * segments + s % segments;
            let (a, b) = (place(ring, segment), place(ring + 1, segment));
            let (c, d) = (place(ring + 1, segment + 1), place(ring, segment + 1));
            mesh.triangles.extend([[a, b, c], [a, c, d]]);
        }
    }
    mesh
}

fn round_ring(u: f32, v: f32) -> [f32; 3] {
    let radius = 0.3 + 0.12 * v.cos();
    [radius * u.cos(), radius * u.sin(), 0.12 * v.sin()]
}

/// A ring of almost square section: its walls are vertical.
fn walled_ring(u: f32, v: f32) -> [f32; 3] {
    let (x, z) = (v.cos(), v.sin());
    let out = 0.12 / (x.abs().powi(12) + z.abs().powi(12)).powf(1.0 / 12.0);
    let radius = 0.3 + out * x;
    [radius * u.cos(), radius * u.sin(), out * z]
}

/// Noise in `-1..1`, the same for the same seed.
fn noise(seed: u32) -> f32 {
    let mut x = seed.wrapping_mul(0x9E37_79B9) ^ 0x5bd1_e995;
    x = (x ^ (x >> 15)).wrapping_mul(0x85eb_ca6b);
    (x >> 8) as f32 / (1 << 23) as f32 - 1.0
}

/// Triangles with each vertex replaced by the first of the same position.
fn welded(mesh: &Mesh) -> Vec<[u32; 3]> {
    let mut first = HashMap::new();
    let same: Vec<u32> = (0..mesh.positions.len() as u32)
        .map(|vertex| {
            let key = mesh.positions[vertex as usize].map(f32::to_bits);
            let next = first.len() as u32;
            *first.entry(key).or_insert(next)
        })
        .collect();
    mesh.triangles
        .iter()
        .map(|triangle| triangle.map(|vertex| same[vertex as usize]))
        .collect()
}

/// How many triangles lie in the front half of the texture.
fn faces_in_front(mesh: &Mesh) -> Vec<bool> {
    mesh.triangles
        .iter()
        .map(|triangle| {
            let halves = triangle.map(|vertex| mesh.uvs[vertex as usize][0] < 0.5);
            assert!(
                halves[0] == halves[1] && halves[1] == halves[2],
                "{triangle:?} spans halves"
            );
            halves[0]
        })
        .collect()
}

#[test]
fn welding_gives_the_mesh_back() {
    let mesh = torus(40, 24, round_ring);
    let projected = project_front_back(&mesh, atlas());
    assert_eq!(welded(&projected), mesh.triangles);
    let doubled = projected.positions.len() - mesh.positions.len();
    assert!(
        (80..=100).contains(&doubled),
        "{doubled} on two seams of 40"
    );
    assert_eq!(projected.uvs.len(), projected.positions.len());
    assert_eq!(projected.normals.len(), projected.positions.len());
    assert_eq!(projected.texture, Some(atlas()));
}

#[test]
fn copies_lie_side_by_side_with_one_normal() {
    let mesh = torus(40, 24, round_ring);
    let projected = project_front_back(&mesh, atlas());
    let mut original = mesh.positions.iter().zip(&mesh.normals).peekable();
    let mut last = None;
    for vertex in projected.positions.iter().zip(&projected.normals) {
        if Some(vertex) != last {
            assert_eq!(original.next(), Some(vertex));
        }
        last = Some(vertex);
    }
    assert_eq!(original.next(), None);
}

#[test]
fn coordinates_keep_to_their_half_of_the_texture() {
    let mut mesh = torus(40, 24, round_ring);
    // The rim of a full-frame relief, and beyond.
    for position in &mut mesh.positions {
        *position = position.map(|value| value * 1.4);
    }
    let projected = project_front_back(&mesh, atlas());
    let (guard_u, guard_v) = (0.5 / 64.0, 0.5 / 32.0);
    for &[u, v] in &projected.uvs {
        assert!((guard_u..=1.0 - guard_u).contains(&u) && (u - 0.5).abs() >= guard_u * 0.999);
        assert!((guard_v..=1.0 - guard_v).contains(&v));
    }
    faces_in_front(&projected);
    for (&[x, y, z], &[u, v]) in projected.positions.iter().zip(&projected.uvs) {
        if x.abs() < 0.45 && y.abs() < 0.45 && z.abs() > 0.1 {
            let expected = if z > 0.0 {
                0.5 * x + 0.25
            } else {
                0.75 - 0.5 * x
            };
            assert!((u - expected).abs() < 1e-6 && (v - (0.5 - y)).abs() < 1e-6);
        }
    }
}

#[test]
fn noise_leaves_no_specks_and_the_seam_half_way_down_the_walls() {
    for shape in [round_ring, walled_ring] {
        let mut mesh = torus(200, 96, shape);
        for (vertex, position) in mesh.positions.iter_mut().enumerate() {
            for (axis, value) in position.iter_mut().enumerate() {
                *value += 0.0015 * noise(3 * vertex as u32 + axis as u32);
            }
        }
        let projected = project_front_back(&mesh, atlas());
        for (triangle, in_front) in projected.triangles.iter().zip(faces_in_front(&projected)) {
            let z: f32 = triangle
                .iter()
                .map(|&v| projected.positions[v as usize][2])
                .sum::<f32>()
                / 3.0;
            let on_its_side = if in_front { z > -0.04 } else { z < 0.04 };
            assert!(
                on_its_side,
                "a face at {z} of ±0.12 is in front: {in_front}"
            );
        }
    }
}

#[test]
fn separate_small_pieces_have_fronts_and_backs_of_their_own() {
    let mut mesh = torus(200, 96, round_ring);
    let small = torus(24, 16, |u, v| round_ring(u, v).map(|value| 0.05 * value));
    let offset = mesh.positions.len() as u32;
    let large_faces = mesh.triangles.len();
    mesh.positions.extend(&small.positions);
    mesh.normals.extend(&small.normals);
    mesh.triangles
        .extend(small.triangles.iter().map(|t| t.map(|v| v + offset)));
    let sides = faces_in_front(&project_front_back(&mesh, atlas()));
    let in_front = sides[large_faces..].iter().filter(|&&front| front).count();
    let share = in_front as f32 / small.triangles.len() as f32;
    assert!((0.35..0.65).contains(&share), "{share}");
}

#[test]
fn odd_meshes_are_served() {
    let empty = project_front_back(&Mesh::default(), atlas());
    assert!(empty.positions.is_empty() && empty.triangles.is_empty());
    let odd = Mesh {
        positions: vec![[f32::NAN; 3], [0.1; 3], [0.1; 3], [f32::INFINITY, 0.0, 0.0]],
        triangles: vec![[0, 1, 2], [1, 1, 1]],
        ..Mesh::default()
    };
    let projected = project_front_back(&odd, atlas());
    assert_eq!(projected.triangles.len(), 2);
    assert!(
        projected
            .uvs
            .as_flattened()
            .iter()
            .all(|value| (0.0..=1.0).contains(value))
    );
}

#[test]
fn vertices_take_the_colours_of_their_side() {
    let projected = project_front_back(&torus(40, 24, round_ring), atlas());
    let colours = vertex_colours(&projected);
    assert_eq!(colours.len(), projected.positions.len());
    for (colour, uv) in colours.iter().zip(&projected.uvs) {
        let expected = if uv[0] < 0.5 {
            [255, 0, 0, 255]
        } else {
            [0, 0, 255, 255]
        };
        assert_eq!(*colour, expected);
    }
}

#[test]
fn colours_are_interpolated_between_texels() {
    let mesh = Mesh {
        uvs: vec![[0.25, 0.5], [0.5, 0.5], [0.0, 0.5], [7.0, -7.0]],
        texture: Some(Arc::new(Texture {
            width: 2,
            height: 1,
            pixels: vec![[0, 10, 20], [100, 30, 20]],
        })),
        ..Mesh::default()
    };
    assert_eq!(
        vertex_colours(&mesh),
        [
            [0, 10, 20, 255],
            [50, 20, 20, 255],
            [0, 10, 20, 255],
            [100, 30, 20, 255]
        ]
    );
    assert!(vertex_colours(&Mesh::default()).is_empty());
}
