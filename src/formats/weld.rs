//! Welding by bit-identical position, for formats that index positions apart from other attributes.

use std::collections::HashMap;

/// Distinct positions in order of first occurrence, and for each vertex the index of its own.
///
/// Positions must not contain −0, as those of `Placement::position` do not.
pub(super) fn weld(
    positions: impl ExactSizeIterator<Item = [f32; 3]>,
) -> (Vec<[f32; 3]>, Vec<u32>) {
    let mut distinct = Vec::new();
    let mut of_vertex = Vec::with_capacity(positions.len());
    let mut seen = HashMap::with_capacity(positions.len());
    for position in positions {
        let next = distinct.len() as u32;
        let index = *seen.entry(position.map(f32::to_bits)).or_insert_with(|| {
            distinct.push(position);
            next
        });
        of_vertex.push(index);
    }
    (distinct, of_vertex)
}
