//! Meshes that several tests need.

use std::collections::HashMap;

use orfeas::mesh::Mesh;

/// A cube of side 1 around the origin: 8 vertices, 12 faces.
pub(crate) fn cube() -> Mesh {
    let positions = (0..8)
        .map(|corner| [0, 1, 2].map(|axis| if corner >> axis & 1 == 1 { 0.5 } else { -0.5 }))
        .collect();
    let quads = [
        [0, 4, 6, 2],
        [1, 3, 7, 5],
        [0, 1, 5, 4],
        [2, 6, 7, 3],
        [0, 2, 3, 1],
        [4, 5, 7, 6],
    ];
    let triangles = quads
        .iter()
        .flat_map(|[a, b, c, d]| [[*a, *b, *c], [*a, *c, *d]])
        .collect();
    Mesh {
        positions,
        triangles,
        ..Mesh::default()
    }
}

/// Both meshes in one.
pub(crate) fn joined(one: &Mesh, other: &Mesh) -> Mesh {
    let mut mesh = one.clone();
    let first = one.positions.len() as u32;
    mesh.positions.extend(&other.positions);
    mesh.triangles
        .extend(other.triangles.iter().map(|t| t.map(|v| v + first)));
    mesh
}

/// The mesh with every position scaled, then shifted.
pub(crate) fn moved(mesh: &Mesh, scale: f32, shift: [f32; 3]) -> Mesh {
    let mut mesh = mesh.clone();
    for position in &mut mesh.positions {
        *position = [0, 1, 2].map(|axis| position[axis] * scale + shift[axis]);
    }
    mesh
}

/// The mesh inside out.
pub(crate) fn flipped(mesh: &Mesh) -> Mesh {
    let mut mesh = mesh.clone();
    for triangle in &mut mesh.triangles {
        triangle.swap(1, 2);
    }
    mesh
}

/// The mesh with three vertices of its own for every face, as STL has it.
pub(crate) fn soup(mesh: &Mesh) -> Mesh {
    let positions: Vec<[f32; 3]> = mesh
        .triangles
        .iter()
        .flatten()
        .map(|vertex| mesh.positions[*vertex as usize])
        .collect();
    let triangles = (0..mesh.triangles.len() as u32)
        .map(|face| [3 * face, 3 * face + 1, 3 * face + 2])
        .collect();
    Mesh {
        positions,
        triangles,
        ..Mesh::default()
    }
}

/// The surface where `value` passes zero (positive inside) over `[-1, 1]³`, by marching tetrahedra: closed
/// and manifold for any function that is negative on the border.
pub(crate) fn surface(cells: usize, value: impl Fn([f32; 3]) -> f32) -> Mesh {
    let side = cells + 1;
    let at = |p: [usize; 3]| p.map(|i| i as f32 / cells as f32 * 2.0 - 1.0);
    let index = |p: [usize; 3]| (p[2] * side + p[1]) * side + p[0];
    let mut values = vec![0.0; side * side * side];
    for z in 0..side {
        for y in 0..side {
            for x in 0..side {
                values[index([x, y, z])] = value(at([x, y, z]));
            }
        }
    }
    let mut mesh = Mesh::default();
    let mut vertices: HashMap<[usize; 2], u32> = HashMap::new();
    // The six tetrahedra around the cell's diagonal, one a permutation of the axes.
    let orders = [
        ([0, 1, 2], false),
        ([1, 2, 0], false),
        ([2, 0, 1], false),
        ([0, 2, 1], true),
        ([2, 1, 0], true),
        ([1, 0, 2], true),
    ];
    for cell in 0..cells * cells * cells {
        let base = [cell % cells, cell / cells % cells, cell / cells / cells];
        for (axes, mirrored) in orders {
            let mut corner = base;
            let mut corners = [base; 4];
            for (k, axis) in axes.into_iter().enumerate() {
                corner[axis] += 1;
                corners[k + 1] = corner;
            }
            if mirrored {
                corners.swap(1, 2);
            }
            let mut cut = |a: usize, b: usize| {
                let (p, q) = (corners[a], corners[b]);
                let (i, j) = (index(p), index(q));
                let (p, q, i, j) = if i < j { (p, q, i, j) } else { (q, p, j, i) };
                *vertices.entry([i, j]).or_insert_with(|| {
                    let t = (values[i] / (values[i] - values[j])).clamp(0.05, 0.95);
                    let (p, q) = (at(p), at(q));
                    mesh.positions
                        .push([0, 1, 2].map(|k| p[k] + t * (q[k] - p[k])));
                    mesh.positions.len() as u32 - 1
                })
            };
            let inside: Vec<usize> = (0..4)
                .filter(|k| values[index(corners[*k])] > 0.0)
                .collect();
            let outside: Vec<usize> = (0..4).filter(|k| !inside.contains(k)).collect();
            // The parity of (alone, the others in order) tells the orientation.
            let mut triangles = match (inside.as_slice(), outside.as_slice()) {
                (&[a], &[b, c, d]) => {
                    vec![([cut(a, b), cut(a, c), cut(a, d)], [a, b, c, d])]
                }
                (&[b, c, d], &[a]) => {
                    vec![([cut(a, c), cut(a, b), cut(a, d)], [a, b, c, d])]
                }
                (&[a, b], &[c, d]) => {
                    let quad = [cut(a, c), cut(a, d), cut(b, d), cut(b, c)];
                    vec![
                        ([quad[0], quad[1], quad[2]], [a, b, c, d]),
                        ([quad[0], quad[2], quad[3]], [a, b, c, d]),
                    ]
                }
                _ => Vec::new(),
            };
            for (triangle, order) in &mut triangles {
                let inversions = (0..4)
                    .flat_map(|i| (i + 1..4).map(move |j| (i, j)))
                    .filter(|(i, j)| order[*i] > order[*j])
                    .count();
                if inversions % 2 == 1 {
                    triangle.swap(1, 2);
                }
                mesh.triangles.push(*triangle);
            }
        }
    }
    mesh
}

/// A ball.
pub(crate) fn sphere(cells: usize) -> Mesh {
    surface(cells, |[x, y, z]| 0.8 - (x * x + y * y + z * z).sqrt())
}

/// A ring around z.
pub(crate) fn torus(cells: usize) -> Mesh {
    surface(cells, |[x, y, z]| {
        let ring = (x * x + y * y).sqrt() - 0.6;
        0.25 - (ring * ring + z * z).sqrt()
    })
}

/// A plate with three holes.
pub(crate) fn three_holes(cells: usize) -> Mesh {
    surface(cells, |[x, y, z]| {
        let plate = (0.9 - x.abs()).min(0.4 - y.abs()).min(0.2 - z.abs());
        [-0.55f32, 0.0, 0.55].iter().fold(plate, |inside, centre| {
            inside.min(((x - centre).powi(2) + y * y).sqrt() - 0.17)
        })
    })
}

/// A plate much thinner than wide.
pub(crate) fn thin_plate(cells: usize) -> Mesh {
    surface(cells, |[x, y, z]| {
        (0.9 - (x * x + y * y).sqrt()).min(0.035 - (z - 0.01).abs())
    })
}

/// Balls melted together; another heap for each seed.
pub(crate) fn blob(cells: usize, seed: u32) -> Mesh {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32
    };
    let balls: Vec<[f32; 4]> = (0..8)
        .map(|_| {
            let centre = [random(), random(), random()].map(|c| c * 1.1 - 0.55);
            [centre[0], centre[1], centre[2], 0.1 + 0.25 * random()]
        })
        .collect();
    surface(cells, |p| {
        balls
            .iter()
            .map(|ball| {
                let distance = (0..3).map(|k| (p[k] - ball[k]).powi(2)).sum::<f32>().sqrt();
                ball[3] - distance
            })
            .fold(f32::NEG_INFINITY, f32::max)
    })
}
