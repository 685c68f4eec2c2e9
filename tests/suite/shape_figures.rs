//! How close the embedded source comes to the solids that pictures were made from.
//!
//! Volume overlap and the distance of vertices from the true surface, at a modest level: enough to notice a
//! change for the worse.

use glam::{Vec3, vec3};
use orfeas::mesh::Mesh;

use crate::read_back::{engine, generate, plain_settings};
use crate::solids::{View, canonical};

/// Cells along the side of the grid that volumes are compared on.
const CELLS: usize = 56;

struct Figures {
    /// Intersection over union of the volumes.
    overlap: f32,
    /// The mean distance of vertices from the true surface, in % of the longest side.
    distance: f32,
}

fn figures(view: &View) -> Figures {
    let mesh = generate(&engine(), view.picture(192), plain_settings(96)).unwrap();
    let mesh = as_pictured(&mesh.expect("a mesh"));
    let solid = view.posed();
    let inside = inside(&mesh);
    let (mut both, mut either) = (0, 0);
    for (cell, inside) in inside.iter().enumerate() {
        let at = [cell % CELLS, cell / CELLS % CELLS, cell / CELLS / CELLS];
        let truth = solid(Vec3::from(at.map(centre))) < 0.0;
        both += usize::from(truth && *inside);
        either += usize::from(truth || *inside);
    }
    let distances = mesh.positions.iter().map(|&at| solid(Vec3::from(at)).abs());
    let mean = distances.sum::<f32>() / mesh.positions.len() as f32;
    Figures {
        overlap: both as f32 / either as f32,
        distance: 100.0 * mean / 0.84,
    }
}

/// The mesh at the place and size of the solid in its picture.
fn as_pictured(mesh: &Mesh) -> Mesh {
    let corner = |pick: fn(f32, f32) -> f32, start: f32| {
        let positions = mesh.positions.iter();
        positions.fold([start; 3], |corner, at| {
            [0, 1, 2].map(|axis| pick(corner[axis], at[axis]))
        })
    };
    let (low, high) = (corner(f32::min, f32::MAX), corner(f32::max, f32::MIN));
    let scale = 0.84 / (high[0] - low[0]).max(high[1] - low[1]);
    let mut placed = mesh.clone();
    for at in &mut placed.positions {
        *at = [0, 1, 2].map(|axis| scale * (at[axis] - 0.5 * (low[axis] + high[axis])));
    }
    placed
}

fn centre(cell: usize) -> f32 {
    (cell as f32 + 0.5) / CELLS as f32 - 0.5
}

/// Which cells of a grid over `[-0.5, 0.5]³` have their centre in the mesh: crossings of rays along z counted.
fn inside(mesh: &Mesh) -> Vec<bool> {
    let mut inside = vec![false; CELLS * CELLS * CELLS];
    for triangle in &mesh.triangles {
        let [a, b, c] = triangle.map(|vertex| Vec3::from(mesh.positions[vertex as usize]));
        let (low, high) = (a.min(b).min(c), a.max(b).max(c));
        let cells = |axis: usize| {
            let first = ((low[axis] + 0.5) * CELLS as f32 - 0.5).ceil().max(0.0);
            first as usize..CELLS
        };
        let area = (b - a).truncate().perp_dot((c - a).truncate());
        for y in cells(1).take_while(|&y| centre(y) <= high.y) {
            for x in cells(0).take_while(|&x| centre(x) <= high.x) {
                let at = vec3(centre(x), centre(y), 0.0);
                let part = |from: Vec3, to: Vec3| {
                    (to - from).truncate().perp_dot((at - from).truncate()) / area
                };
                let (of_c, of_a, of_b) = (part(a, b), part(b, c), part(c, a));
                if of_a < 0.0 || of_b < 0.0 || of_c < 0.0 || area == 0.0 {
                    continue;
                }
                let height = of_a * a.z + of_b * b.z + of_c * c.z;
                for z in (0..CELLS).take_while(|&z| centre(z) < height) {
                    inside[(z * CELLS + y) * CELLS + x] ^= true;
                }
            }
        }
    }
    inside
}

#[test]
fn solids_are_found_again_in_their_pictures() {
    // The mug is hollow, which no picture of its front tells.
    let floors = [
        ("sphere", 0.98, 0.3),
        ("torus", 0.96, 0.3),
        ("character", 0.75, 1.6),
        ("mug", 0.17, 3.1),
        ("vase", 0.82, 1.7),
        ("bottle", 0.95, 0.3),
        ("star", 0.91, 0.7),
        ("box", 0.93, 0.7),
    ];
    let mut worse = Vec::new();
    for (view, (name, overlap, distance)) in canonical().iter().zip(floors) {
        assert_eq!(view.name, name);
        let found = figures(view);
        let line = format!(
            "{name:10} overlap {:.3}, distance {:.2} %",
            found.overlap, found.distance
        );
        println!("{line}");
        if found.overlap < overlap || found.distance > distance {
            worse.push(line);
        }
    }
    assert!(worse.is_empty(), "{}", worse.join("\n"));
}
