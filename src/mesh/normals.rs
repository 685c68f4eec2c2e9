//! Smooth vertex normals from the faces around each vertex.
//!
//! Each face counts by its angle at the vertex (Thürmer & Wüthrich 1998, "Computing vertex normals from
//! polygonal facets"), so that the normal does not depend on how the faces are cut into triangles.

use rayon::prelude::*;

/// Faces whose corners are weighted in one go: bounds the memory for their weights.
const BATCH: usize = 1 << 16;

/// A unit normal for each vertex, smooth across all its faces.
///
/// `triangles` are counter-clockwise seen from outside and index `positions`; vertices with bit-identical
/// positions are not joined. A vertex without any proper face, or whose faces cancel out, gets +Z.
///
/// # Panics
///
/// When a triangle names a vertex that does not exist.
pub fn smooth_normals(positions: &[[f32; 3]], triangles: &[[u32; 3]]) -> Vec<[f32; 3]> {
    let mut sums = vec![[0.0; 3]; positions.len()];
    for batch in triangles.chunks(BATCH) {
        let weighted: Vec<_> = batch
            .par_iter()
            .map(|triangle| weighted_normals(positions, triangle))
            .collect();
        for (triangle, normals) in batch.iter().zip(weighted) {
            for (&vertex, normal) in triangle.iter().zip(normals) {
                add(&mut sums[vertex as usize], normal);
            }
        }
    }
    for sum in &mut sums {
        *sum = unit(*sum).unwrap_or([0.0, 0.0, 1.0]);
    }
    sums
}

/// Replaces the normals of `vertices` (ascending) by smooth ones. Where the faces give none, a normal
/// that is there stays. Returns whether it came to an end before it was cancelled.
pub(super) fn replace(
    positions: &[[f32; 3]],
    triangles: &[[u32; 3]],
    vertices: &[u32],
    normals: &mut [[f32; 3]],
    cancelled: &(dyn Fn() -> bool + Sync),
) -> bool {
    if vertices.is_empty() {
        return true;
    }
    let mut place = vec![u32::MAX; positions.len()];
    for (index, &vertex) in vertices.iter().enumerate() {
        place[vertex as usize] = index as u32;
    }
    let mut sums = vec![[0.0; 3]; vertices.len()];
    for (index, triangle) in triangles.iter().enumerate() {
        if index % BATCH == 0 && cancelled() {
            return false;
        }
        let places = triangle.map(|vertex| place[vertex as usize]);
        if places == [u32::MAX; 3] {
            continue;
        }
        for (place, normal) in places
            .into_iter()
            .zip(weighted_normals(positions, triangle))
        {
            if let Some(sum) = sums.get_mut(place as usize) {
                add(sum, normal);
            }
        }
    }
    for (&vertex, sum) in vertices.iter().zip(sums) {
        let normal = &mut normals[vertex as usize];
        *normal = unit(sum)
            .or_else(|| unit(*normal))
            .unwrap_or([0.0, 0.0, 1.0]);
    }
    true
}

/// The face's unit normal times its angle, for each corner; zero for a face without area.
fn weighted_normals(positions: &[[f32; 3]], triangle: &[u32; 3]) -> [[f32; 3]; 3] {
    let [a, b, c] = triangle.map(|vertex| positions[vertex as usize]);
    let (ab, bc, ca) = (sub(b, a), sub(c, b), sub(a, c));
    let facing = cross(ab, bc);
    let Some(normal) = unit(facing) else {
        return [[0.0; 3]; 3];
    };
    let area = dot(facing, normal);
    // The angle between two sides that follow one another is measured from the first one's far end.
    [(ca, ab), (ab, bc), (bc, ca)].map(|(before, after)| {
        let angle = area.atan2(-dot(before, after));
        normal.map(|part| part * angle)
    })
}

fn unit(v: [f32; 3]) -> Option<[f32; 3]> {
    // Dividing by the greatest part first keeps squares of tiny and huge vectors within f32.
    let greatest = v
        .iter()
        .fold(0.0_f32, |greatest, part| greatest.max(part.abs()));
    if !(greatest > 0.0 && greatest.is_finite()) {
        return None;
    }
    let scaled = v.map(|part| part / greatest);
    let length = dot(scaled, scaled).sqrt();
    length.is_finite().then(|| scaled.map(|part| part / length))
}

fn add(sum: &mut [f32; 3], v: [f32; 3]) {
    for (sum, part) in sum.iter_mut().zip(v) {
        *sum += part;
    }
}

fn sub(a: [f32; 3], b: [f32; 3]) -> [f32; 3] {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

fn cross(a: [f32; 3], b: [f32; 3]) -> [f32; 3] {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}

fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}
