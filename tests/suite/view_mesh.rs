//! From a mesh to the graphics card: nothing is lost, nothing is there twice, little is rounded.

use std::collections::BTreeMap;
use std::f32::consts::TAU;
use std::sync::Arc;

use glam::Vec3;
use orfeas::mesh::{Mesh, Texture};
use orfeas::view::{Bounds, CHUNK_VERTICES, Picking, Prepared, Ray, Undrawable};

/// A sphere of radius `radius` around `centre` with `rows` × `columns` quadrilaterals.
pub(crate) fn sphere(rows: u32, columns: u32, centre: Vec3, radius: f32) -> Mesh {
    let mut mesh = Mesh::default();
    for row in 0..=rows {
        for column in 0..columns {
            let polar = TAU / 2.0 * row as f32 / rows as f32;
            let around = TAU * column as f32 / columns as f32;
            let normal = Vec3::new(
                polar.sin() * around.sin(),
                polar.cos(),
                polar.sin() * around.cos(),
            );
            mesh.positions.push((centre + normal * radius).to_array());
            mesh.normals.push(normal.to_array());
        }
    }
    for row in 0..rows {
        for column in 0..columns {
            let next = (column + 1) % columns;
            let [a, b] = [row * columns + column, row * columns + next];
            let [c, d] = [a + columns, b + columns];
            if row > 0 {
                mesh.triangles.push([a, c, b]);
            }
            if row + 1 < rows {
                mesh.triangles.push([b, c, d]);
            }
        }
    }
    mesh
}

/// A box with its own vertices on each side.
pub(crate) fn cuboid(min: Vec3, max: Vec3) -> Mesh {
    let mut mesh = Mesh::default();
    for axis in 0..3 {
        for positive in [false, true] {
            let mut normal = Vec3::ZERO;
            normal[axis] = if positive { 1.0 } else { -1.0 };
            let (u, v) = ((axis + 1) % 3, (axis + 2) % 3);
            let first = mesh.positions.len() as u32;
            for (along_u, along_v) in [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)] {
                let mut corner = if positive { max } else { min };
                corner[u] = min[u] + (max - min)[u] * along_u;
                corner[v] = min[v] + (max - min)[v] * along_v;
                mesh.positions.push(corner.to_array());
                mesh.normals.push(normal.to_array());
            }
            for [a, b, c] in [[0, 1, 2], [0, 2, 3]] {
                let (b, c) = if positive { (b, c) } else { (c, b) };
                mesh.triangles.push([first + a, first + b, first + c]);
            }
        }
    }
    mesh
}

fn quantised(position: [f32; 3], bounds: &Bounds) -> [u32; 3] {
    let part = (Vec3::from(position) - bounds.min) / (bounds.max - bounds.min);
    (part * 65535.0).round().to_array().map(|part| part as u32)
}

/// Triangles by the quantised positions of their corners, beginning with the least.
fn rotated(corners: [[u32; 3]; 3]) -> [[u32; 3]; 3] {
    let [a, b, c] = corners;
    [[a, b, c], [b, c, a], [c, a, b]]
        .into_iter()
        .min()
        .expect("three rotations")
}

#[test]
fn every_triangle_arrives_once_in_chunks_that_16_bits_can_index() {
    let mesh = sphere(300, 500, Vec3::new(0.1, -3.0, 7.0), 0.5);
    assert!(mesh.positions.len() > 2 * CHUNK_VERTICES);
    let prepared = Prepared::new(&mesh).unwrap();
    assert!(prepared.chunks().len() >= 3);

    let bounds = prepared.bounds();
    let mut wanted: BTreeMap<[[u32; 3]; 3], i32> = BTreeMap::new();
    for triangle in &mesh.triangles {
        let corners = triangle.map(|vertex| quantised(mesh.positions[vertex as usize], &bounds));
        *wanted.entry(rotated(corners)).or_default() += 1;
    }
    let mut edges = 0;
    for (index, chunk) in prepared.chunks().iter().enumerate() {
        assert!(chunk.vertex_count() <= CHUNK_VERTICES);
        edges += chunk.edges().len();
        for triangle in chunk.triangles() {
            let corners = triangle
                .map(|vertex| quantised(prepared.position(index, usize::from(vertex)), &bounds));
            *wanted.entry(rotated(corners)).or_default() -= 1;
        }
    }
    let wrong = wanted.values().filter(|count| **count != 0).count();
    assert_eq!(wrong, 0, "triangles that are missing or there too often");
    // A closed mesh has three edges for two triangles; those along the cuts are there twice.
    let once = mesh.triangles.len() * 3 / 2;
    assert!(
        (once..once + once / 20).contains(&edges),
        "{edges} edges, {once} in the mesh"
    );
}

#[test]
fn positions_and_normals_survive_packing() {
    let mesh = sphere(24, 48, Vec3::new(10.0, 0.0, -2.0), 3.0);
    let prepared = Prepared::new(&mesh).unwrap();
    let chunk = &prepared.chunks()[0];
    let mut used = Vec::new();
    for triangle in &mesh.triangles {
        for vertex in triangle {
            if !used.contains(vertex) {
                used.push(*vertex);
            }
        }
    }
    assert_eq!(chunk.vertex_count(), used.len());
    for (place, vertex) in used.into_iter().enumerate() {
        let before = Vec3::from(mesh.positions[vertex as usize]);
        let after = Vec3::from(prepared.position(0, place));
        assert!(
            before.distance(after) < 6.0 / 65535.0,
            "{before} became {after}"
        );
        let before = Vec3::from(mesh.normals[vertex as usize]);
        let after = Vec3::from(prepared.normal(0, place));
        assert!(before.distance(after) < 1e-4, "{before} became {after}");
    }
}

#[test]
fn missing_normals_are_smooth_across_texture_seams() {
    let mut mesh = sphere(24, 48, Vec3::ZERO, 0.5);
    // Cut apart everywhere: each triangle has vertices of its own.
    mesh = Mesh {
        positions: mesh
            .triangles
            .as_flattened()
            .iter()
            .map(|vertex| mesh.positions[*vertex as usize])
            .collect(),
        triangles: (0..mesh.triangles.len() as u32)
            .map(|triangle| [0, 1, 2].map(|corner| triangle * 3 + corner))
            .collect(),
        ..Mesh::default()
    };
    let prepared = Prepared::new(&mesh).unwrap();
    for vertex in 0..prepared.chunks()[0].vertex_count() {
        let outward = Vec3::from(prepared.position(0, vertex)).normalize();
        let normal = Vec3::from(prepared.normal(0, vertex));
        assert!(normal.dot(outward) > 0.98, "{normal} at {outward}");
    }
}

#[test]
fn hollows_are_less_open_than_hills() {
    // A thick L: its inner edge sees half of what its outer faces see.
    let mut mesh = cuboid(Vec3::new(-0.5, -0.5, -0.3), Vec3::new(0.5, -0.2, 0.3));
    let upright = cuboid(Vec3::new(-0.5, -0.2, -0.3), Vec3::new(-0.2, 0.5, 0.3));
    let first = mesh.positions.len() as u32;
    mesh.positions.extend(&upright.positions);
    mesh.normals.extend(&upright.normals);
    mesh.triangles
        .extend(upright.triangles.iter().map(|t| t.map(|v| v + first)));
    // A point on the floor of the L, near the upright, and one on top of it.
    for (position, normal) in [
        ([-0.16, -0.2, 0.0], [0.0, 1.0, 0.0]),
        ([-0.35, 0.5, 0.0], [0.0, 1.0, 0.0]),
    ] {
        let vertex = mesh.positions.len() as u32;
        mesh.positions.push(position);
        mesh.normals.push(normal);
        mesh.triangles.push([vertex; 3]);
    }
    let prepared = Prepared::new(&mesh).unwrap();
    let chunk = &prepared.chunks()[0];
    let count = chunk.vertex_count();
    let (hollow, hill) = (chunk.openness(count - 2), chunk.openness(count - 1));
    assert!(hollow < 0.75, "the hollow sees {hollow}");
    assert!(hill > 0.9, "the hill sees {hill}");
}

#[test]
fn what_cannot_be_drawn_says_why() {
    let good = cuboid(Vec3::ZERO, Vec3::ONE);
    assert!(Prepared::new(&good).is_ok());
    let broken = |change: &dyn Fn(&mut Mesh)| {
        let mut mesh = good.clone();
        change(&mut mesh);
        Prepared::new(&mesh).unwrap_err()
    };
    assert_eq!(broken(&|mesh| mesh.triangles.clear()), Undrawable::Empty);
    assert_eq!(
        broken(&|mesh| mesh.triangles[3] = [0, 99, 1]),
        Undrawable::Index {
            triangle: 3,
            vertex: 99,
            vertices: 24
        }
    );
    assert_eq!(
        broken(&|mesh| mesh.positions[5][1] = f32::NAN),
        Undrawable::Coordinate { vertex: 5 }
    );
    assert!(matches!(
        broken(&|mesh| mesh.uvs.push([0.0; 2])),
        Undrawable::Attribute {
            found: 1,
            vertices: 24,
            ..
        }
    ));
    assert!(matches!(
        broken(&|mesh| {
            mesh.texture = Some(Arc::new(Texture {
                width: 2,
                height: 2,
                pixels: vec![[0; 3]; 3],
            }));
        }),
        Undrawable::Texture { pixels: 3, .. }
    ));
}

#[test]
fn a_flat_mesh_and_a_point_can_be_drawn() {
    let flat = Mesh {
        positions: vec![[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
        triangles: vec![[0, 1, 2]],
        ..Mesh::default()
    };
    let prepared = Prepared::new(&flat).unwrap();
    assert_eq!(prepared.position(0, 1), [1.0, 0.0, 0.0]);
    let point = Mesh {
        positions: vec![[2.0; 3]],
        triangles: vec![[0; 3]],
        ..Mesh::default()
    };
    assert_eq!(Prepared::new(&point).unwrap().position(0, 0), [2.0; 3]);
}

#[test]
fn the_point_under_the_cursor_is_that_of_every_triangle_tried() {
    let mesh = Arc::new(sphere(40, 60, Vec3::new(0.2, 0.0, 0.0), 0.5));
    let picking = Picking::new(Arc::clone(&mesh));
    let mut hits = 0;
    for index in 0..400 {
        let aside = Vec3::new((index % 20) as f32 - 9.7, (index / 20) as f32 - 9.3, 0.0) * 0.07;
        let ray = Ray {
            origin: Vec3::new(0.0, 0.0, 3.0) + aside,
            direction: Vec3::new(0.05, -0.02, -1.0).normalize(),
        };
        let expected = mesh
            .triangles
            .iter()
            .filter_map(|triangle| distance_to(&mesh, triangle, &ray))
            .min_by(f32::total_cmp);
        let found = picking.hit(&ray);
        assert_eq!(found.is_some(), expected.is_some(), "ray {index}");
        if let (Some(found), Some(expected)) = (found, expected) {
            hits += 1;
            assert!((found.distance - expected).abs() < 1e-4);
            assert!(found.point.distance(ray.origin + ray.direction * expected) < 1e-4);
            let off = (found.point - Vec3::new(0.2, 0.0, 0.0)).length() - 0.5;
            assert!(off.abs() < 0.01);
        }
    }
    assert!(hits > 50, "only {hits} rays hit");
}

#[test]
fn nothing_is_picked_where_there_is_nothing() {
    let ray = Ray {
        origin: Vec3::Z,
        direction: Vec3::NEG_Z,
    };
    assert_eq!(Picking::new(Arc::default()).hit(&ray), None);
    let broken = Mesh {
        positions: vec![[f32::NAN; 3]; 3],
        triangles: vec![[0, 1, 2], [0, 1, 9]],
        ..Mesh::default()
    };
    assert_eq!(Picking::new(Arc::new(broken)).hit(&ray), None);
}

/// The distance to a triangle by another way than the one tested: barycentric coordinates in its plane.
fn distance_to(mesh: &Mesh, triangle: &[u32; 3], ray: &Ray) -> Option<f32> {
    let [a, b, c] = triangle.map(|vertex| Vec3::from(mesh.positions[vertex as usize]));
    let normal = (b - a).cross(c - a);
    let distance = (a - ray.origin).dot(normal) / ray.direction.dot(normal);
    let point = ray.origin + ray.direction * distance;
    let inside = [(a, b), (b, c), (c, a)]
        .iter()
        .all(|(from, to)| (*to - *from).cross(point - *from).dot(normal) >= 0.0);
    (inside && distance > 0.0).then_some(distance)
}
