//! Small parts that float apart from a solid: what a generative model leaves in the air.

use super::Mesh;

/// What was removed of a mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removed {
    /// Parts that hang together.
    pub parts: usize,
    /// Their triangles.
    pub faces: usize,
}

/// Removes the parts that have less than `least_share` of all faces each. Parts hang together by shared
/// vertices: the mesh is as the isosurface makes it, each vertex once. The largest part always stays.
pub fn remove_floaters(mesh: &mut Mesh, least_share: f64) -> Removed {
    let mut parents: Vec<u32> = (0..mesh.positions.len() as u32).collect();
    for &[a, b, c] in &mesh.triangles {
        join(&mut parents, a, b);
        join(&mut parents, b, c);
    }
    let mut faces_of = vec![0_usize; parents.len()];
    for triangle in &mesh.triangles {
        faces_of[find(&mut parents, triangle[0]) as usize] += 1;
    }
    let largest = faces_of.iter().copied().max().unwrap_or(0);
    let least = least_share * mesh.triangles.len() as f64;
    let stays = |faces: usize| faces == largest || faces as f64 >= least;
    let removed = Removed {
        parts: faces_of
            .iter()
            .filter(|faces| **faces > 0 && !stays(**faces))
            .count(),
        faces: faces_of.iter().filter(|faces| !stays(**faces)).sum(),
    };
    if removed.parts == 0 {
        return removed;
    }
    let kept: Vec<bool> = (0..parents.len() as u32)
        .map(|vertex| stays(faces_of[find(&mut parents, vertex) as usize]))
        .collect();
    keep_vertices(mesh, &kept);
    removed
}

/// Drops the other vertices with everything that belongs to them, and the triangles that use them.
fn keep_vertices(mesh: &mut Mesh, kept: &[bool]) {
    let mut next = 0;
    let renumbered: Vec<u32> = kept
        .iter()
        .map(|kept| {
            let number = next;
            next += u32::from(*kept);
            number
        })
        .collect();
    retain(&mut mesh.positions, kept);
    retain(&mut mesh.normals, kept);
    retain(&mut mesh.uvs, kept);
    retain(&mut mesh.colours, kept);
    mesh.triangles.retain(|triangle| kept[triangle[0] as usize]);
    for vertex in mesh.triangles.as_flattened_mut() {
        *vertex = renumbered[*vertex as usize];
    }
}

/// Drops what belongs to other vertices; an attribute that the mesh has not, has nothing to drop.
fn retain<T>(attribute: &mut Vec<T>, kept: &[bool]) {
    let mut kept = kept.iter();
    attribute.retain(|_| kept.next().is_none_or(|kept| *kept));
}

fn find(parents: &mut [u32], mut vertex: u32) -> u32 {
    while parents[vertex as usize] != vertex {
        let grandparent = parents[parents[vertex as usize] as usize];
        parents[vertex as usize] = grandparent;
        vertex = grandparent;
    }
    vertex
}

/// The lesser root wins, so that the result does not depend on the order of triangles.
fn join(parents: &mut [u32], one: u32, other: u32) {
    let (one, other) = (find(parents, one), find(parents, other));
    let (root, child) = (one.min(other), one.max(other));
    parents[child as usize] = root;
}
