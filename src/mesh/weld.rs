//! Topology by position: vertices at bit-identical positions become one.
//!
//! A mesh with texture seams stores a vertex several times. Whether it is closed, and how it hangs
//! together, is a question about positions alone, and so is what a reader of STL sees. Nothing here uses
//! a tolerance: vertices that differ in one bit stay two.

use rayon::prelude::*;

use super::Mesh;

/// Marks a vertex that does not exist.
pub(super) const NONE: u32 = u32::MAX;

/// A mesh reduced to distinct positions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Welded {
    /// For each vertex of the mesh, its welded vertex.
    pub vertex_of: Vec<u32>,
    /// For each welded vertex, the first vertex of the mesh at its position. Welded vertices are numbered
    /// in the order of these.
    pub first_of: Vec<u32>,
    /// The position of each welded vertex, −0.0 replaced by +0.0.
    pub positions: Vec<[f32; 3]>,
    /// The triangles of the mesh, all of them in their order, over welded vertices. An index out of range
    /// becomes `u32::MAX`; [`inspect`](super::checks::inspect) refuses such a mesh.
    pub triangles: Vec<[u32; 3]>,
}

/// Welds the vertices of a mesh whose positions have the same bits.
///
/// −0.0 and +0.0 are the same coordinate; a position with a NaN is the same as no other. Of more than
/// `u32::MAX` vertices only those that an index can name are looked at.
pub fn weld(mesh: &Mesh) -> Welded {
    let mut welded = weld_positions(&mesh.positions);
    let vertex_of = &welded.vertex_of;
    welded.triangles = mesh
        .triangles
        .par_iter()
        .map(|triangle| triangle.map(|v| vertex_of.get(v as usize).copied().unwrap_or(NONE)))
        .collect();
    welded
}

/// Welds positions as [`weld`] does those of a mesh; the result has no triangles.
pub fn weld_positions(positions: &[[f32; 3]]) -> Welded {
    let count = positions.len().min(NONE as usize);
    let mut keys: Vec<u128> = positions[..count]
        .par_iter()
        .zip(0..count as u32)
        .map(|(position, vertex)| key(*position, vertex))
        .collect();
    // The vertex is part of the key, so that the order is total and each run starts with its first.
    keys.par_sort_unstable();

    let mut first_at = vec![0; count];
    let mut first = NONE;
    let mut previous: Option<u128> = None;
    for key in keys {
        let vertex = key as u32;
        let position = key >> 32;
        let is_nan = positions[vertex as usize].iter().any(|c| c.is_nan());
        if is_nan || previous != Some(position) {
            first = vertex;
        }
        previous = Some(position);
        first_at[vertex as usize] = first;
    }

    let mut welded = Welded::default();
    welded.vertex_of.reserve_exact(count);
    for (vertex, first) in first_at.into_iter().enumerate() {
        if first as usize == vertex {
            welded.vertex_of.push(welded.first_of.len() as u32);
            welded.first_of.push(first);
            welded.positions.push(positions[vertex].map(unsigned_zero));
        } else {
            welded.vertex_of.push(welded.vertex_of[first as usize]);
        }
    }
    welded
}

/// The three coordinates' bits above the vertex's number.
fn key(position: [f32; 3], vertex: u32) -> u128 {
    let [x, y, z] = position.map(|c| u128::from(unsigned_zero(c).to_bits()));
    x << 96 | y << 64 | z << 32 | u128::from(vertex)
}

/// The same number, with −0.0 as +0.0.
fn unsigned_zero(coordinate: f32) -> f32 {
    coordinate + 0.0
}
