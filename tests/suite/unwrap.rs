//! Texture coordinates for meshes of any shape, and textures painted through them.

use std::collections::{BTreeMap, BTreeSet};

use orfeas::mesh::bake::bake;
use orfeas::mesh::unwrap::unwrap;
use orfeas::mesh::{Mesh, Texture, checks, weld};

use crate::shapes;

/// A strip that winds up twice around an axis: seen from above, one turn lies over the other, and they hang
/// together.
fn ramp() -> Mesh {
    let mut mesh = Mesh::default();
    let steps = 160;
    for step in 0..=steps {
        let angle = step as f32 / steps as f32 * 4.0 * std::f32::consts::PI;
        for radius in [0.25, 0.5] {
            let (sin, cos) = angle.sin_cos();
            mesh.positions
                .push([radius * cos, radius * sin, 0.03 * angle - 0.2]);
        }
    }
    for step in 0..steps {
        let [a, b, c, d] = [0, 1, 2, 3].map(|corner| 2 * step + corner);
        mesh.triangles.extend([[a, b, d], [a, d, c]]);
    }
    mesh
}

fn meshes() -> [(&'static str, Mesh); 6] {
    [
        ("sphere", shapes::sphere(24)),
        ("torus", shapes::torus(32)),
        ("three holes", shapes::three_holes(32)),
        ("blob", shapes::blob(28, 7)),
        ("cube", shapes::cube()),
        ("ramp", ramp()),
    ]
}

/// The colour at a point, which changes by some levels from texel to texel at most.
fn colour([x, y, z]: [f32; 3]) -> [u8; 3] {
    [x, y, z].map(|at| (128.0 + 90.0 * (5.0 * at).sin()) as u8)
}

/// The faces that cover the centre of each texel for sure.
fn covering(mesh: &Mesh, side: usize) -> BTreeMap<usize, Vec<usize>> {
    let mut covering = BTreeMap::<_, Vec<_>>::new();
    for (face, triangle) in mesh.triangles.iter().enumerate() {
        let [a, b, c] =
            triangle.map(|v| mesh.uvs[v as usize].map(|at| f64::from(at) * side as f64));
        let cross = |a: [f64; 2], b: [f64; 2], p: [f64; 2]| {
            (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])
        };
        let area = cross(a, b, c);
        if area.abs() < 1e-6 {
            continue;
        }
        let range = |axis: usize| {
            let at = [a[axis], b[axis], c[axis]];
            let least = at.iter().copied().fold(f64::INFINITY, f64::min);
            let most = at.iter().copied().fold(0.0, f64::max);
            least as usize..=most as usize
        };
        for row in range(1) {
            for column in range(0) {
                let p = [column as f64 + 0.5, row as f64 + 0.5];
                let weights = [cross(b, c, p), cross(c, a, p), cross(a, b, p)];
                // A hundredth of a texel from the edges.
                if weights.iter().all(|weight| weight / area > 0.01) {
                    covering.entry(row * side + column).or_default().push(face);
                }
            }
        }
    }
    covering
}

#[test]
fn no_two_faces_share_a_texel_and_no_vertex_moves() {
    for (name, mesh) in meshes() {
        let unwrapped = unwrap(&mesh, 300.0, &|| false).unwrap();
        let (side, new) = (unwrapped.side, &unwrapped.mesh);
        assert_eq!(new.triangles.len(), mesh.triangles.len(), "{name}");
        for (old, new_triangle) in mesh.triangles.iter().zip(&new.triangles) {
            for (&before, &after) in old.iter().zip(new_triangle) {
                let bits = |p: [f32; 3]| p.map(f32::to_bits);
                assert_eq!(
                    bits(mesh.positions[before as usize]),
                    bits(new.positions[after as usize]),
                    "{name}"
                );
            }
        }
        assert!(new.uvs.iter().flatten().all(|at| (0.0..=1.0).contains(at)));
        let covering = covering(new, side);
        let shared: Vec<_> = covering.values().filter(|faces| faces.len() > 1).collect();
        assert!(
            shared.is_empty(),
            "{name}: {} of {} texels are shared, such as by {:?}",
            shared.len(),
            covering.len(),
            shared[0]
        );
        assert!(covering.len() > 1000, "{name}: {} texels", covering.len());
        if name != "ramp" {
            let report = checks::quick(new).unwrap();
            assert!(report.closed && report.manifold, "{name}");
        }
        let welded = weld(new);
        assert_eq!(
            welded.positions.len(),
            weld(&mesh).positions.len(),
            "{name}"
        );
    }
}

#[test]
fn seams_are_few() {
    let mesh = shapes::blob(48, 3);
    let unwrapped = unwrap(&mesh, 300.0, &|| false).unwrap().mesh;
    let seams = unwrapped.positions.len() - mesh.positions.len();
    assert!(
        3 * seams < mesh.positions.len(),
        "{seams} seams over {} vertices",
        mesh.positions.len()
    );
}

/// How far the texture is from the colours themselves, over points of every face: mean and worst, in levels.
fn apart(mesh: &Mesh, texture: &Texture) -> (f64, u8) {
    let (mut sum, mut count, mut worst) = (0.0, 0, 0);
    for triangle in &mesh.triangles {
        // At the corners and borders too, where a filter reaches beyond the chart.
        for weights in [
            [1.0, 0.0, 0.0],
            [0.5, 0.5, 0.0],
            [0.2, 0.3, 0.5],
            [0.0, 0.1, 0.9],
        ] {
            let mix = |parts: [f32; 3]| -> f32 {
                parts
                    .iter()
                    .zip(weights)
                    .map(|(part, weight)| part * weight)
                    .sum()
            };
            let corners = triangle.map(|v| mesh.positions[v as usize]);
            let point = [0, 1, 2].map(|axis| mix(corners.map(|corner| corner[axis])));
            let uvs = triangle.map(|v| mesh.uvs[v as usize]);
            let uv = [0, 1].map(|axis| mix(uvs.map(|uv| uv[axis])));
            for (a, b) in texture.sample(uv).into_iter().zip(colour(point)) {
                sum += f64::from(a.abs_diff(b));
                count += 1;
                worst = worst.max(a.abs_diff(b));
            }
        }
    }
    (sum / f64::from(count), worst)
}

#[test]
fn a_texture_has_the_colours_of_the_surface_across_all_seams() {
    for (name, mesh) in meshes() {
        let unwrapped = unwrap(&mesh, 300.0, &|| false).unwrap();
        let mut asked = 0;
        let painted = bake(unwrapped, &mut |points| {
            asked += points.len();
            Some(points.iter().copied().map(colour).collect())
        })
        .unwrap();
        let texture = painted.texture.as_ref().unwrap();
        assert!(painted.colours.is_empty());
        assert!(asked <= texture.pixels.len(), "{name}");
        let (mean, worst) = apart(&painted, texture);
        println!(
            "{name}: {mean:.2} levels apart, {worst} at most, {} px",
            texture.width
        );
        // A texel of 1/300 changes by 1.5 levels; at seams colours are continued by one or two.
        assert!(mean < 1.0, "{name}: {mean} levels");
        // A chart that winds around an axis once meets itself along a line, where filters mix both ends.
        let most = if name == "ramp" { 48 } else { 16 };
        assert!(worst <= most, "{name}: {worst} levels");
        // What lies between charts is none of black.
        assert!(
            texture.pixels.iter().all(|&pixel| pixel != [0; 3]),
            "{name}"
        );
    }
}

/// More charts than a small texture has room for at the wished size: they become coarser, and still fit.
#[test]
fn what_does_not_fit_becomes_coarser() {
    let mut mesh = Mesh::default();
    for place in 0..400 {
        let shift = [place % 20, place / 20, 0].map(|at| at as f32 * 2.0);
        mesh = shapes::joined(&mesh, &shapes::moved(&shapes::cube(), 1.0, shift));
    }
    let unwrapped = unwrap(&mesh, 4000.0, &|| false).unwrap();
    assert_eq!(unwrapped.side, 2048);
    let covering = covering(&unwrapped.mesh, unwrapped.side);
    assert!(covering.values().all(|faces| faces.len() == 1));
    let faces: BTreeSet<_> = covering.values().flatten().collect();
    assert_eq!(faces.len(), mesh.triangles.len(), "a face has no texel");
}

#[test]
fn painting_stops_when_it_is_asked_to() {
    let mesh = shapes::sphere(16);
    assert_eq!(unwrap(&mesh, 100.0, &|| true), None);
    let unwrapped = unwrap(&mesh, 100.0, &|| false).unwrap();
    assert_eq!(bake(unwrapped, &mut |_| None), None);
}

#[test]
fn meshes_of_nothing_are_unwrapped_to_nothing() {
    let unwrapped = unwrap(&Mesh::default(), 100.0, &|| false).unwrap();
    assert!(unwrapped.mesh.triangles.is_empty());
    // A face without an area, and one that occurs twice.
    let mesh = Mesh {
        positions: vec![[0.0; 3], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
        triangles: vec![[0, 1, 1], [0, 1, 2], [0, 1, 2]],
        ..Mesh::default()
    };
    let unwrapped = unwrap(&mesh, 100.0, &|| false).unwrap();
    let painted = bake(unwrapped, &mut |points| Some(vec![[9; 3]; points.len()])).unwrap();
    assert_eq!(painted.triangles.len(), 3);
}
