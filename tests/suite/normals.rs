//! Smooth vertex normals.

use orfeas::mesh::normals::smooth_normals;

#[test]
fn smooth_normals_of_a_cube_point_along_its_diagonals() {
    let positions: Vec<[f32; 3]> = (0..8)
        .map(|i| [i & 1, i >> 1 & 1, i >> 2].map(|bit| bit as f32))
        .collect();
    let triangles = [
        [0, 2, 3],
        [0, 3, 1],
        [4, 5, 7],
        [4, 7, 6],
        [0, 1, 5],
        [0, 5, 4],
        [2, 6, 7],
        [2, 7, 3],
        [0, 4, 6],
        [0, 6, 2],
        [1, 3, 7],
        [1, 7, 5],
    ];
    for (p, n) in positions.iter().zip(smooth_normals(&positions, &triangles)) {
        for axis in 0..3 {
            let expected = (2.0 * p[axis] - 1.0) / 3.0_f32.sqrt();
            assert!((n[axis] - expected).abs() < 1e-5);
        }
    }
    let degenerate = smooth_normals(
        &[[1.0; 3], [1.0; 3], [2.0; 3], [f32::NAN; 3]],
        &[[0, 1, 2], [1, 2, 3]],
    );
    assert_eq!(degenerate, [[0.0, 0.0, 1.0]; 4]);
}
