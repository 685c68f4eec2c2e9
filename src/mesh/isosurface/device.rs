//! What a device that extracts a surface itself is given, and what becomes of what it returns.
//!
//! The device does everything but the normals that do not agree with their faces, which are few. It makes the
//! same vertices and faces in the same order as [`extract`](super::extract).

use super::cases::CASES;
use super::dense::padded_lattice;
use super::lattice::Lattice;
use super::{IsosurfaceError, finish};
use crate::field::DenseGrid;
use crate::mesh::Mesh;

/// Words of a case in [`packed_cases`].
const CASE_WORDS: usize = 6;

/// The sign configurations of a cell, and after them those with the doubled face resolved the other way: for
/// each the crossed edges of its four patches, one bit an edge; the number of patches and 256 times the
/// doubled face (6: none); and 0.
pub fn packed_cases() -> Vec<u16> {
    let mut words = Vec::with_capacity(CASES.len() * CASE_WORDS);
    for case in &CASES {
        words.extend(case.edges);
        words.push(u16::from(case.patches) | u16::from(case.doubled_face) << 8);
        words.push(0);
    }
    words
}

/// The lattice that the surface of a grid is extracted from, as [`extract_dense`](super::extract_dense) does.
///
/// # Errors
///
/// [`IsosurfaceError::TooManySamples`], [`IsosurfaceError::NotResolved`].
pub fn grid_lattice(grid: &DenseGrid) -> Result<Lattice, IsosurfaceError> {
    padded_lattice(grid)
}

/// The bricks that the surface runs into and that are not kept, in the order in which
/// [`extract`](super::extract) adds them, with a word that says that they are kept in any case. `flags` are 32
/// bytes a brick: 1 for the neighbour `x + 3 y + 9 z`, where 1 is no offset.
pub fn missed_places(kept: &[[u16; 4]], flags: &[u8]) -> Vec<[u16; 4]> {
    let mut missed = Vec::new();
    for (place, flags) in kept.iter().zip(flags.as_chunks::<32>().0) {
        for code in (0..27).filter(|code| flags[usize::from(*code)] != 0) {
            let moved = |axis: usize, part: u16| place[axis].wrapping_add(part % 3).wrapping_sub(1);
            let neighbour = [moved(0, code), moved(1, code / 3), moved(2, code / 9), 1];
            missed.push(neighbour);
        }
    }
    missed.sort_unstable_by_key(|&[x, y, z, _]| (z, y, x));
    missed.dedup();
    missed
}

/// What a device made of a surface.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts {
    /// The vertices.
    pub positions: Vec<[f32; 3]>,
    /// Outward unit normals, 0 where unknown.
    pub normals: Vec<[f32; 3]>,
    /// Counter-clockwise triangles.
    pub triangles: Vec<[u32; 3]>,
    /// For each vertex, 1 where its normal does not agree with one of its faces.
    pub disagreeing: Vec<u8>,
    /// Whether faces were left open, where samples are NaN.
    pub is_open: bool,
}

/// Makes a mesh of them.
///
/// # Errors
///
/// [`IsosurfaceError::Empty`], [`IsosurfaceError::Cancelled`].
pub fn assemble(
    parts: Parts,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Mesh, IsosurfaceError> {
    let disagreeing: Vec<u32> = (0..)
        .zip(&parts.disagreeing)
        .filter_map(|(vertex, flag)| (*flag != 0).then_some(vertex))
        .collect();
    let mesh = Mesh {
        positions: parts.positions,
        normals: parts.normals,
        triangles: parts.triangles,
        ..Mesh::default()
    };
    finish(mesh, &disagreeing, parts.is_open, cancelled)
}
