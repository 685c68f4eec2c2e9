//! The edges of a welded mesh and the faces at each: what most rules look at.
//!
//! Edges are grouped by counting, not hashing: every side of a triangle goes into the bucket of its
//! lower vertex, and each small bucket is sorted.

use rayon::prelude::*;

use super::degenerate::is_collapsed;
use crate::mesh::weld::{NONE, Welded};

/// Vertices whose buckets one thread sorts at a time.
const CHUNK: usize = 16384;

/// The edges of a welded mesh, in the order of their vertices.
///
/// Faces that use one vertex twice have no area and no place in the topology: they are left out.
#[derive(Debug)]
pub struct Edges {
    /// For each vertex, where the sides that have it as their lower vertex begin; one more at the end.
    starts: Vec<u32>,
    /// The higher vertex of a side above the number of the side, sorted within each bucket.
    sides: Vec<u64>,
    /// For each side, the only other side at its edge.
    opposite: Vec<u32>,
}

/// An edge and the faces that meet there.
#[derive(Debug, Clone, Copy)]
pub struct Edge<'a> {
    /// The edge's vertices, the lower first.
    pub vertices: [u32; 2],
    sides: &'a [u64],
}

impl Edge<'_> {
    /// How many faces have this edge.
    pub fn faces(&self) -> usize {
        self.sides.len()
    }

    /// The sides along this edge: side `3 f + k` runs from corner `k` of face `f` to the next.
    pub fn sides(&self) -> impl Iterator<Item = usize> + '_ {
        self.sides.iter().map(|packed| *packed as u32 as usize)
    }

    /// How many of the faces run along the edge from its lower vertex to the higher.
    pub fn forward(&self, triangles: &[[u32; 3]]) -> usize {
        self.sides()
            .filter(|side| triangles[side / 3][side % 3] == self.vertices[0])
            .count()
    }
}

impl Edges {
    /// Collects the edges of a mesh whose indices are all in range, with fewer than 2³² sides.
    pub fn of(welded: &Welded) -> Self {
        let (starts, mut sides) = bucket_sides(welded);
        sort_buckets(&starts, &mut sides);
        let mut edges = Self {
            starts,
            sides,
            opposite: vec![NONE; welded.triangles.len() * 3],
        };
        let mut opposite = std::mem::take(&mut edges.opposite);
        for edge in edges.iter() {
            if let [one, other] = edge.sides {
                opposite[*one as u32 as usize] = *other as u32;
                opposite[*other as u32 as usize] = *one as u32;
            }
        }
        edges.opposite = opposite;
        edges
    }

    /// Every edge once, by its lower vertex, then by its higher.
    pub fn iter(&self) -> impl Iterator<Item = Edge<'_>> {
        self.starts.windows(2).zip(0..).flat_map(|(bounds, low)| {
            self.sides[bounds[0] as usize..bounds[1] as usize]
                .chunk_by(|a, b| a >> 32 == b >> 32)
                .map(move |sides| Edge {
                    vertices: [low, (sides[0] >> 32) as u32],
                    sides,
                })
        })
    }

    /// The only other side at the edge of `side`; `None` at an open or a non-manifold edge.
    pub fn opposite(&self, side: usize) -> Option<usize> {
        match self.opposite[side] {
            NONE => None,
            other => Some(other as usize),
        }
    }
}

/// The ends of a side, in the order in which its face runs.
pub fn ends(triangles: &[[u32; 3]], side: usize) -> [u32; 2] {
    let triangle = triangles[side / 3];
    [triangle[side % 3], triangle[(side + 1) % 3]]
}

/// Distributes the sides of all faces to their lower vertices.
fn bucket_sides(welded: &Welded) -> (Vec<u32>, Vec<u64>) {
    let sides_of = |triangle: &[u32; 3]| {
        let [a, b, c] = *triangle;
        [(a, b), (b, c), (c, a)].map(|(from, to)| (from.min(to), from.max(to)))
    };
    let faces = || {
        (0u32..)
            .zip(&welded.triangles)
            .filter(|(_, triangle)| !is_collapsed(triangle))
    };

    let mut starts = vec![0u32; welded.positions.len() + 1];
    for (_, triangle) in faces() {
        for (low, _) in sides_of(triangle) {
            starts[low as usize] += 1;
        }
    }
    let mut total = 0;
    for start in &mut starts {
        let count = *start;
        *start = total;
        total += count;
    }

    let mut next = starts.clone();
    let mut sides = vec![0u64; total as usize];
    for (face, triangle) in faces() {
        for (corner, (low, high)) in (0..).zip(sides_of(triangle)) {
            let slot = &mut next[low as usize];
            sides[*slot as usize] = u64::from(high) << 32 | u64::from(3 * face + corner);
            *slot += 1;
        }
    }
    (starts, sides)
}

/// Sorts each bucket, chunks of buckets in parallel.
fn sort_buckets(starts: &[u32], sides: &mut [u64]) {
    let mut chunks = Vec::with_capacity(starts.len() / CHUNK + 1);
    let mut rest = sides;
    let last = starts.len() - 1;
    for first in (0..last).step_by(CHUNK) {
        let bounds = &starts[first..=(first + CHUNK).min(last)];
        let length = (bounds[bounds.len() - 1] - bounds[0]) as usize;
        let (chunk, after) = rest.split_at_mut(length);
        chunks.push((bounds, chunk));
        rest = after;
    }
    chunks.into_par_iter().for_each(|(bounds, chunk)| {
        let origin = bounds[0];
        for pair in bounds.windows(2) {
            chunk[(pair[0] - origin) as usize..(pair[1] - origin) as usize].sort_unstable();
        }
    });
}
