//! Simplification and the order of vertices.

use crate::shapes::{blob, sphere, thin_plate, three_holes, torus};
use orfeas::mesh::{Mesh, checks, measure, simplify};

#[test]
fn explore() {
    let shapes = [
        ("sphere", sphere(40)),
        ("torus", torus(40)),
        ("three holes", three_holes(48)),
        ("plate", thin_plate(60)),
        ("blob1", blob(40, 1)),
        ("blob2", blob(40, 2)),
        ("blob3", blob(40, 3)),
    ];
    for (name, mesh) in shapes {
        let mesh: Mesh = mesh;
        let before = checks::quick(&mesh).unwrap();
        for ratio in [0.5, 0.2, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0] {
            let target = ((mesh.triangles.len() as f64 * ratio) as usize).max(4);
            let t = std::time::Instant::now();
            let small = simplify(&mesh, target, &|| false).unwrap();
            let r = checks::inspect(&small, &|| false).unwrap();
            println!(
                "{name:12} {} -> {target} got {} closed {} manifold {} out {} comps {}->{} euler {}->{} volume {:.4} si {:?} deg {} {:?}",
                mesh.triangles.len(),
                r.faces,
                r.closed,
                r.manifold,
                r.outward,
                before.components,
                r.components,
                before.euler,
                r.euler,
                r.volume / measure::volume(&mesh),
                r.self_intersections,
                r.degenerate_faces.len(),
                t.elapsed()
            );
        }
    }
}
