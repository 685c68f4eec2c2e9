//! One valid and one invalid case for each rule.

use orfeas::mesh::Mesh;
use orfeas::mesh::checks::{self, CheckError, Edges, Report, SelfIntersections};
use orfeas::mesh::weld::{Welded, weld};

use crate::shapes::{
    blob, cube, flipped, joined, moved, soup, sphere, surface, three_holes, torus,
};

fn inspect(mesh: &Mesh) -> Report {
    checks::inspect(mesh, &|| false).expect("the mesh can be checked")
}

fn intersections(mesh: &Mesh) -> SelfIntersections {
    checks::self_intersections(&weld(mesh), &|| false).expect("not cancelled")
}

fn welded(mesh: &Mesh) -> (Welded, Edges) {
    let welded = weld(mesh);
    let edges = Edges::of(&welded);
    (welded, edges)
}

fn mesh(positions: &[[f32; 3]], triangles: &[[u32; 3]]) -> Mesh {
    Mesh {
        positions: positions.to_vec(),
        triangles: triangles.to_vec(),
        ..Mesh::default()
    }
}

#[test]
fn a_cube_passes_every_check() {
    let report = inspect(&cube());
    assert!(report.closed && report.manifold && report.oriented && report.outward);
    assert_eq!((report.vertices, report.faces), (8, 12));
    assert_eq!((report.components, report.euler), (1, 2));
    assert_eq!(report.self_intersections, Some(0));
    assert!(report.degenerate_faces.is_empty());
    assert!((report.volume - 1.0).abs() < 1e-12 && (report.area - 6.0).abs() < 1e-12);
    assert_eq!(
        (report.bounds.min, report.bounds.max),
        ([-0.5; 3], [0.5; 3])
    );
}

#[test]
fn a_cube_less_one_triangle_has_three_open_edges() {
    let (_, edges) = welded(&cube());
    assert_eq!(checks::open_edges(&edges), []);

    let mut open = cube();
    open.triangles.pop();
    let (_, edges) = welded(&open);
    let found = checks::open_edges(&edges);
    assert_eq!(found.len(), 3);
    assert_eq!(
        found[0].to_string(),
        "edge [4, 6] has 1 faces; a closed mesh has 2"
    );
    assert!(!inspect(&open).closed && !inspect(&open).outward);
}

#[test]
fn a_soup_of_a_cubes_faces_is_closed_after_welding() {
    let report = inspect(&soup(&cube()));
    assert!(report.closed && report.manifold && report.outward);
    assert_eq!((report.vertices, report.euler), (36, 2));
}

#[test]
fn negative_zero_welds_and_nan_does_not() {
    let triangle = [[0, 1, 2], [3, 4, 5]];
    let seam = mesh(
        &[
            [0.0, 0.0, 0.0],
            [1.0, 0.0, 0.0],
            [0.0, 1.0, 0.0],
            [-0.0, 0.0, -0.0],
            [f32::NAN, 0.0, 0.0],
            [f32::NAN, 0.0, 0.0],
        ],
        &triangle,
    );
    let welded = weld(&seam);
    assert_eq!(welded.vertex_of, [0, 1, 2, 0, 3, 4]);
    assert_eq!(welded.first_of, [0, 1, 2, 4, 5]);
    assert_eq!(welded.triangles, [[0, 1, 2], [0, 3, 4]]);
}

#[test]
fn vertices_one_bit_apart_stay_two() {
    let mut split = soup(&cube());
    split.positions[0][0] = split.positions[0][0].next_up();
    assert_eq!(weld(&split).positions.len(), 9);
    assert!(!inspect(&split).closed);
}

#[test]
fn two_cubes_on_one_edge_are_not_manifold() {
    let (_, edges) = welded(&cube());
    assert_eq!(checks::non_manifold_edges(&edges), []);

    let pair = joined(&cube(), &moved(&cube(), 1.0, [1.0, 1.0, 0.0]));
    let (_, edges) = welded(&pair);
    let found = checks::non_manifold_edges(&edges);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].faces, 4);
    let report = inspect(&pair);
    assert!(report.closed && report.oriented && !report.manifold);
    assert_eq!(report.components, 1);
}

#[test]
fn two_cubes_on_one_corner_are_not_manifold() {
    let (at_one, edges) = welded(&cube());
    assert_eq!(checks::non_manifold_vertices(&at_one, &edges), []);

    let pair = joined(&cube(), &moved(&cube(), 1.0, [1.0, 1.0, 1.0]));
    let (at_two, edges) = welded(&pair);
    let found = checks::non_manifold_vertices(&at_two, &edges);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].vertex, found[0].fans), (7, 2));
    let report = inspect(&pair);
    assert!(report.closed && !report.manifold);
    assert_eq!(report.components, 2);
}

#[test]
fn an_open_fan_is_one_fan_and_a_bow_tie_is_two() {
    let positions = [
        [0.0, 0.0, 0.0],
        [1.0, 0.0, 0.0],
        [1.0, 1.0, 0.0],
        [-1.0, 0.0, 0.0],
        [-1.0, -1.0, 0.0],
        [0.0, 1.0, 0.0],
    ];
    let (fan, edges) = welded(&mesh(&positions, &[[0, 2, 5], [0, 1, 2]]));
    assert_eq!(checks::non_manifold_vertices(&fan, &edges), []);
    let (tie, edges) = welded(&mesh(&positions, &[[0, 1, 2], [0, 3, 4]]));
    let found = checks::non_manifold_vertices(&tie, &edges);
    assert_eq!((found[0].vertex, found[0].fans), (0, 2));
}

#[test]
fn one_flipped_face_disagrees_with_three_neighbours() {
    let (whole, edges) = welded(&cube());
    assert_eq!(checks::misoriented_edges(&whole, &edges), []);

    let mut mixed = cube();
    mixed.triangles[5].swap(0, 1);
    let (mixed_topology, edges) = welded(&mixed);
    assert_eq!(checks::misoriented_edges(&mixed_topology, &edges).len(), 3);
    let report = inspect(&mixed);
    assert!(report.closed && report.manifold && !report.oriented && !report.outward);
}

#[test]
fn a_cube_inside_out_does_not_face_outward() {
    let report = inspect(&flipped(&cube()));
    assert!(report.closed && report.oriented && !report.outward);
    assert!((report.volume + 1.0).abs() < 1e-12);
}

#[test]
fn a_cavity_faces_outward_only_when_it_faces_in() {
    let small = moved(&cube(), 0.25, [0.1, 0.0, 0.0]);
    assert!(inspect(&joined(&cube(), &flipped(&small))).outward);
    assert!(!inspect(&joined(&cube(), &small)).outward);

    let aside = moved(&cube(), 0.25, [3.0, 0.0, 0.0]);
    assert!(inspect(&joined(&cube(), &aside)).outward);
    assert!(!inspect(&joined(&cube(), &flipped(&aside))).outward);

    // Beside the solid, but within its bounding box.
    let ring = torus(16);
    let hub = moved(&cube(), 0.1, [0.0, 0.0, 0.0]);
    assert!(inspect(&joined(&ring, &hub)).outward);
    assert!(!inspect(&joined(&ring, &flipped(&hub))).outward);
}

#[test]
fn faces_without_area_are_degenerate() {
    assert_eq!(checks::degenerate_faces(&weld(&cube())), []);

    let mut flat = cube();
    flat.positions.push([0.0, -0.5, -0.5]);
    flat.triangles.push([0, 8, 1]);
    flat.triangles.push([3, 3, 7]);
    let found = checks::degenerate_faces(&weld(&flat));
    assert_eq!(
        found.iter().map(|face| face.face).collect::<Vec<_>>(),
        [12, 13]
    );
}

#[test]
fn a_face_that_uses_a_vertex_twice_opens_nothing() {
    let mut collapsed = cube();
    collapsed.triangles.push([3, 3, 7]);
    let report = inspect(&collapsed);
    assert!(report.closed && report.manifold && report.outward);
    assert_eq!((report.euler, report.degenerate_faces.len()), (2, 1));
}

#[test]
fn components_and_handles_are_counted() {
    assert_eq!(inspect(&sphere(12)).euler, 2);
    assert_eq!(inspect(&torus(16)).euler, 0);
    assert_eq!(inspect(&three_holes(32)).euler, -4);
    let pair = joined(&cube(), &moved(&torus(16), 1.0, [4.0, 0.0, 0.0]));
    let report = inspect(&pair);
    assert_eq!((report.components, report.euler), (2, 2));
}

#[test]
fn smooth_surfaces_pass_every_check() {
    for mesh in [sphere(16), torus(16), three_holes(32), blob(24, 1)] {
        let report = inspect(&mesh);
        assert!(report.closed && report.manifold && report.outward);
        assert_eq!(report.self_intersections, Some(0));
    }
}

/// Two triangles, as a mesh of their own.
fn pair(one: [[f32; 3]; 3], other: [[f32; 3]; 3]) -> usize {
    let positions: Vec<_> = one.into_iter().chain(other).collect();
    intersections(&mesh(&positions, &[[0, 1, 2], [3, 4, 5]])).count
}

const FLOOR: [[f32; 3]; 3] = [[0.0, 0.0, 0.0], [4.0, 0.0, 0.0], [0.0, 4.0, 0.0]];

#[test]
fn triangles_without_a_common_vertex_must_not_touch() {
    // Pierced, touched with a corner, touched edge to edge; beside and above.
    assert_eq!(
        pair(FLOOR, [[1.0, 1.0, -1.0], [1.0, 1.0, 1.0], [1.5, 1.0, 1.0]]),
        1
    );
    assert_eq!(
        pair(FLOOR, [[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [1.5, 1.0, 1.0]]),
        1
    );
    assert_eq!(
        pair(FLOOR, [[2.0, -1.0, 0.0], [2.0, 1.0, 0.0], [2.0, 0.0, 1.0]]),
        1
    );
    assert_eq!(
        pair(FLOOR, [[9.0, 1.0, -1.0], [9.0, 1.0, 1.0], [9.5, 1.0, 1.0]]),
        0
    );
    assert_eq!(
        pair(FLOOR, [[1.0, 1.0, 1e-30], [1.0, 1.0, 1.0], [1.5, 1.0, 1.0]]),
        0
    );
    // Its plane is crossed, beyond the triangle.
    assert_eq!(
        pair(FLOOR, [[3.0, 3.0, -1.0], [3.0, 3.0, 1.0], [3.5, 3.0, 1.0]]),
        0
    );
}

#[test]
fn triangles_in_one_plane_intersect_where_they_overlap() {
    // Overlapping, contained, containing, touching in a point, apart.
    assert_eq!(
        pair(FLOOR, [[1.0, 1.0, 0.0], [5.0, 1.0, 0.0], [1.0, 5.0, 0.0]]),
        1
    );
    assert_eq!(
        pair(FLOOR, [[1.0, 1.0, 0.0], [1.5, 1.0, 0.0], [1.0, 1.5, 0.0]]),
        1
    );
    assert_eq!(
        pair(
            FLOOR,
            [[-9.0, -9.0, 0.0], [40.0, -9.0, 0.0], [-9.0, 40.0, 0.0]]
        ),
        1
    );
    assert_eq!(
        pair(FLOOR, [[2.0, 2.0, 0.0], [9.0, 2.0, 0.0], [9.0, 9.0, 0.0]]),
        1
    );
    assert_eq!(
        pair(FLOOR, [[2.5, 2.5, 0.0], [9.0, 2.5, 0.0], [9.0, 9.0, 0.0]]),
        0
    );
}

/// Whether two convex hulls with whole coordinates are disjoint, by separating axes, without rounding.
fn disjoint(one: &[[i64; 3]], other: &[[i64; 3]]) -> bool {
    let minus = |a: [i64; 3], b: [i64; 3]| [0, 1, 2].map(|k| a[k] - b[k]);
    let cross = |a: [i64; 3], b: [i64; 3]| {
        [
            a[1] * b[2] - a[2] * b[1],
            a[2] * b[0] - a[0] * b[2],
            a[0] * b[1] - a[1] * b[0],
        ]
    };
    let edges = |points: &[[i64; 3]]| -> Vec<[i64; 3]> {
        let next = points.iter().cycle().skip(1);
        points
            .iter()
            .zip(next)
            .map(|(a, b)| minus(*b, *a))
            .collect()
    };
    let (e, f) = (edges(one), edges(other));
    let normals = [&e, &f].map(|edges| cross(edges[0], edges[1]));
    let mut axes = normals.to_vec();
    for edge in e.iter().chain(&f) {
        axes.extend(normals.map(|normal| cross(normal, *edge)));
        axes.push(*edge);
    }
    for a in &e {
        axes.extend(f.iter().map(|b| cross(*a, *b)));
    }
    axes.iter().any(|axis| {
        let range = |points: &[[i64; 3]]| {
            let along = points
                .iter()
                .map(|p| (0..3).map(|k| p[k] * axis[k]).sum::<i64>());
            (along.clone().min(), along.max())
        };
        let ((a, b), (c, d)) = (range(one), range(other));
        b < c || d < a
    })
}

#[test]
fn pairs_are_decided_as_separating_axes_decide_them() {
    // Coordinates so few that corners, edges and planes meet all the time.
    let mut state = 1u64;
    let mut random = |limit: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        ((state >> 33) % limit) as i64
    };
    let mut seen = [[0; 2]; 3];
    for round in 0..30_000 {
        let depth = if round % 3 == 0 { 1 } else { 4 };
        let mut triangle = || [0; 3].map(|_| [random(4), random(4), random(depth)]);
        let (one, other) = (triangle(), triangle());
        let as_mesh = |t: [[i64; 3]; 3]| t.map(|p| p.map(|c| c as f32));
        let both = [as_mesh(one), as_mesh(other)].as_flattened().to_vec();
        let pair = mesh(&both, &[[0, 1, 2], [3, 4, 5]]);
        if !checks::degenerate_faces(&weld(&pair)).is_empty() {
            continue;
        }
        let shared: Vec<usize> = (0..3).filter(|k| other.contains(&one[*k])).collect();
        let apart = |triangle: [[i64; 3]; 3], corner: [i64; 3]| -> Vec<[i64; 3]> {
            triangle.into_iter().filter(|p| *p != corner).collect()
        };
        let expected = match shared.as_slice() {
            [] => !disjoint(&one, &other),
            [k] => {
                !disjoint(&apart(one, one[*k]), &other) || !disjoint(&one, &apart(other, one[*k]))
            }
            _ => continue,
        };
        seen[shared.len()][usize::from(expected)] += 1;
        let count = intersections(&pair).count;
        assert_eq!(count, usize::from(expected), "{one:?} and {other:?}");
    }
    assert!(
        seen[..2].iter().flatten().all(|count| *count > 500),
        "{seen:?}"
    );
}

#[test]
fn neighbours_intersect_only_beyond_what_they_share() {
    // One common corner: beside, standing, lying across, piercing, along a common edge line.
    let [origin, ..] = FLOOR;
    assert_eq!(
        pair(FLOOR, [origin, [-1.0, -4.0, 0.0], [-4.0, -1.0, 0.0]]),
        0
    );
    assert_eq!(pair(FLOOR, [origin, [1.0, 1.0, 3.0], [2.0, 1.0, 3.0]]), 0);
    assert_eq!(pair(FLOOR, [origin, [1.0, 3.0, 0.0], [5.0, 4.0, 0.0]]), 1);
    assert_eq!(pair(FLOOR, [origin, [2.0, 1.0, -3.0], [2.0, 1.0, 3.0]]), 1);
    assert_eq!(pair(FLOOR, [origin, [2.0, 0.0, 0.0], [2.0, 0.0, 3.0]]), 1);
    // A common edge: unfolded, at an angle, folded over.
    let [a, b, _] = FLOOR;
    assert_eq!(pair(FLOOR, [b, a, [1.0, -3.0, 0.0]]), 0);
    assert_eq!(pair(FLOOR, [b, a, [1.0, 3.0, 1e-30]]), 0);
    assert_eq!(pair(FLOOR, [b, a, [1.0, 3.0, 0.0]]), 1);
    // All three: the same face twice.
    assert_eq!(pair(FLOOR, FLOOR), 1);
}

#[test]
fn two_cubes_in_one_another_intersect() {
    let apart = joined(&cube(), &moved(&cube(), 1.0, [1.5, 0.0, 0.0]));
    assert_eq!(inspect(&apart).self_intersections, Some(0));
    let overlapping = joined(&cube(), &moved(&cube(), 1.0, [0.5, 0.25, 0.125]));
    let found = intersections(&overlapping);
    assert!(found.count > 0);
    assert_eq!(found.first.len(), found.count);
    for pair in found.first {
        assert!(pair.faces[0] < 12 && pair.faces[1] >= 12);
    }
}

#[test]
fn the_count_does_not_depend_on_size() {
    let overlapping = joined(&sphere(12), &moved(&sphere(12), 0.7, [0.3, 0.2, 0.1]));
    let count = intersections(&overlapping).count;
    assert!(count > 20);
    for scale in [1e-30f32, 1e30] {
        // A power of two, so that scaling is exact.
        let scale = scale.log2().round().exp2();
        let scaled = moved(&overlapping, scale, [0.0; 3]);
        assert_eq!(intersections(&scaled).count, count);
    }
}

#[test]
fn every_pair_is_found() {
    // Against all pairs through small meshes of two faces each.
    let tangle = joined(
        &surface(5, |[x, y, z]| 0.7 - (x * x + y * y + z * z).sqrt()),
        &surface(4, |[x, y, z]| 0.6 - x.abs().max(y.abs()).max(z.abs() - 0.1)),
    );
    let tangle = soup(&tangle);
    let mut count = 0;
    for i in 0..tangle.triangles.len() {
        for j in 0..i {
            let pair = Mesh {
                positions: tangle.positions.clone(),
                triangles: vec![tangle.triangles[i], tangle.triangles[j]],
                ..Mesh::default()
            };
            // Only faces whose boxes meet can intersect; the rest would take the test too long.
            let near = (0..3).all(|axis| {
                let range = |face: usize| {
                    let values = tangle.triangles[face].map(|v| tangle.positions[v as usize][axis]);
                    (
                        values.iter().copied().fold(f32::INFINITY, f32::min),
                        values.iter().copied().fold(f32::NEG_INFINITY, f32::max),
                    )
                };
                let ((a, b), (c, d)) = (range(i), range(j));
                a <= d && c <= b
            });
            if near {
                count += intersections(&pair).count;
            }
        }
    }
    assert!(count > 0);
    assert_eq!(intersections(&tangle).count, count);
}

#[test]
fn what_cannot_be_checked_is_an_error() {
    assert_eq!(checks::quick(&Mesh::default()), Err(CheckError::NoFaces));

    let mut wrong = cube();
    wrong.triangles[4][1] = 8;
    assert_eq!(
        checks::quick(&wrong),
        Err(CheckError::IndexOutOfRange {
            face: 4,
            vertex: 8,
            vertices: 8
        })
    );

    let mut wrong = cube();
    wrong.positions[2][1] = f32::INFINITY;
    assert!(matches!(
        checks::quick(&wrong),
        Err(CheckError::NotFinite { vertex: 2, .. })
    ));

    assert_eq!(
        checks::inspect(&cube(), &|| true),
        Err(CheckError::Cancelled)
    );
}

#[test]
fn the_report_is_written_under_the_names_of_the_command_line() {
    let mut open = cube();
    open.triangles.pop();
    let json = serde_json::to_value(inspect(&open)).expect("a report can be serialised");
    assert_eq!(
        json,
        serde_json::json!({
            "vertices": 8,
            "faces": 11,
            "closed": false,
            "manifold": true,
            "oriented": true,
            "outward": false,
            "components": 1,
            "euler": 1,
            "self_intersections": 0,
            "open_edges": 3,
            "non_manifold_edges": 0,
            "non_manifold_vertices": 0,
            "misoriented_edges": 0,
            "degenerate_faces": 0,
        })
    );
    let quick = serde_json::to_value(checks::quick(&open).expect("the mesh can be checked"))
        .expect("a report can be serialised");
    assert!(quick.get("self_intersections").is_none());
}
