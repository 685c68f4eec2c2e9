//! The order of triangles and vertices: what a graphics processor reads fastest.

use super::Mesh;
use super::simplify::gather;

/// Reorders triangles for the vertex cache, then vertices in the order of their first use.
///
/// The surface is the same: triangles keep their orientation and vertices their attributes. Vertices that
/// no triangle uses are dropped. A mesh with an index out of range is left as it is.
pub fn optimise(mesh: &mut Mesh) {
    let vertices = mesh.positions.len();
    let in_range = |triangle: &[u32; 3]| triangle.iter().all(|v| (*v as usize) < vertices);
    if mesh.triangles.is_empty() || !mesh.triangles.iter().all(in_range) {
        return;
    }
    let indices = meshopt::optimize_vertex_cache(mesh.triangles.as_flattened(), vertices);
    *mesh = gather(mesh, indices.as_chunks().0);
}
