//! Rule: no two faces intersect except in the vertex or edge they share.

use obvhs::Boundable;
use obvhs::aabb::Aabb;
use obvhs::bvh2::Bvh2;
use obvhs::ploc::{PlocBuilder, PlocSearchDistance, SortPrecision};
use rayon::prelude::*;

use super::CheckError;
use super::degenerate::degenerate_faces;
use super::triangle_pair::{intersect_apart, intersect_at_corner, intersect_at_edge, point};
use crate::mesh::weld::Welded;

/// Faces whose neighbourhood one thread searches between two looks at `cancelled`.
const CHUNK: usize = 2048;

/// Two faces that intersect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("faces {faces:?} intersect; faces of a solid meet in common edges and vertices alone")]
pub struct IntersectingFaces {
    /// The faces, the lower first.
    pub faces: [u32; 2],
}

/// The self-intersections of a mesh.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SelfIntersections {
    /// How many pairs of faces intersect.
    pub count: usize,
    /// The first of them, at most [`SelfIntersections::LISTED`], in order.
    pub first: Vec<IntersectingFaces>,
}

impl SelfIntersections {
    /// How many pairs are listed: their number can grow with the square of the faces.
    pub const LISTED: usize = 256;
}

/// Finds the pairs of faces that intersect.
///
/// Faces without a common vertex must not touch. Faces with one or two common vertices must have no other
/// point in common, and faces with three always intersect. Degenerate faces are left out: they are
/// another rule's finding. Every pair is decided exactly.
///
/// # Errors
///
/// [`CheckError::Cancelled`].
pub fn self_intersections(
    welded: &Welded,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<SelfIntersections, CheckError> {
    let Some(search) = Search::over(welded) else {
        return Ok(SelfIntersections::default());
    };
    let partial: Vec<SelfIntersections> = (0..search.faces.len().div_ceil(CHUNK))
        .into_par_iter()
        .map(|chunk| {
            if cancelled() {
                return Err(CheckError::Cancelled);
            }
            let end = search.faces.len().min((chunk + 1) * CHUNK);
            Ok(search.intersections(chunk * CHUNK..end))
        })
        .collect::<Result<_, _>>()?;
    let mut all = SelfIntersections::default();
    for part in partial {
        all.count += part.count;
        let room = SelfIntersections::LISTED - all.first.len();
        all.first.extend(part.first.into_iter().take(room));
    }
    Ok(all)
}

/// The faces that have an area and a hierarchy of their boxes.
struct Search<'a> {
    welded: &'a Welded,
    faces: Vec<u32>,
    boxes: Vec<FaceBox>,
    hierarchy: Bvh2,
}

struct FaceBox(Aabb);

impl Boundable for FaceBox {
    fn aabb(&self) -> Aabb {
        self.0
    }
}

impl<'a> Search<'a> {
    fn over(welded: &'a Welded) -> Option<Self> {
        let degenerate = degenerate_faces(welded);
        let mut degenerate = degenerate.iter().map(|face| face.face).peekable();
        let faces: Vec<u32> = (0..welded.triangles.len() as u32)
            .filter(|face| degenerate.next_if_eq(face).is_none())
            .collect();
        if faces.is_empty() {
            return None;
        }
        // Areas of boxes must neither overflow nor vanish. Scaling keeps the order of coordinates, so boxes
        // that touch still touch.
        let extent = welded
            .positions
            .iter()
            .flatten()
            .fold(0.0f32, |extent, c| extent.max(c.abs()));
        let scale = 1.0 / f64::from(extent);
        let boxes: Vec<FaceBox> = faces
            .iter()
            .map(|face| {
                let [a, b, c] = welded.triangles[*face as usize]
                    .map(|v| welded.positions[v as usize].map(|c| (f64::from(c) * scale) as f32));
                let min = [0, 1, 2].map(|axis| a[axis].min(b[axis]).min(c[axis]));
                let max = [0, 1, 2].map(|axis| a[axis].max(b[axis]).max(c[axis]));
                FaceBox(Aabb::new(min.into(), max.into()))
            })
            .collect();
        let hierarchy = PlocBuilder::with_capacity(boxes.len()).build(
            PlocSearchDistance::VeryLow,
            &boxes,
            (0..boxes.len() as u32).collect(),
            SortPrecision::U64,
            0,
        );
        Some(Self {
            welded,
            faces,
            boxes,
            hierarchy,
        })
    }

    fn intersections(&self, range: std::ops::Range<usize>) -> SelfIntersections {
        let mut found = SelfIntersections::default();
        let mut others = Vec::new();
        for one in range {
            others.clear();
            self.hierarchy
                .aabb_traverse(self.boxes[one].0, |hierarchy, node| {
                    let node = &hierarchy.nodes[node as usize];
                    let first = node.first_index as usize;
                    others.extend(
                        hierarchy.primitive_indices[first..first + node.prim_count as usize]
                            .iter()
                            .map(|other| *other as usize)
                            .filter(|other| *other > one)
                            .filter(|other| {
                                self.boxes[*other].0.intersect_aabb(&self.boxes[one].0)
                            }),
                    );
                    true
                });
            others.retain(|other| self.intersect(one, *other));
            others.sort_unstable();
            found.count += others.len();
            let room = SelfIntersections::LISTED - found.first.len();
            found
                .first
                .extend(others.iter().take(room).map(|other| IntersectingFaces {
                    faces: [self.faces[one], self.faces[*other]],
                }));
        }
        found
    }

    /// Whether two faces have a point in common beyond the vertices they share.
    fn intersect(&self, one: usize, other: usize) -> bool {
        let [one, other] =
            [one, other].map(|index| self.welded.triangles[self.faces[index] as usize]);
        let points = |triangle: [u32; 3]| {
            triangle.map(|vertex| point(self.welded.positions[vertex as usize]))
        };
        let shared = one.map(|vertex| other.contains(&vertex));
        match shared.iter().filter(|shared| **shared).count() {
            0 => intersect_apart(points(one), points(other)),
            1 => {
                let corner = shared.iter().position(|shared| *shared).unwrap_or(0);
                let one = rotated(one, corner);
                let at = other.iter().position(|v| *v == one[0]).unwrap_or(0);
                intersect_at_corner(points(one), points(rotated(other, at)))
            }
            2 => {
                let apex = shared.iter().position(|shared| !shared).unwrap_or(0);
                let one = rotated(one, (apex + 1) % 3);
                let apex = other.iter().find(|v| !one.contains(v)).unwrap_or(&other[0]);
                intersect_at_edge(points(one), points([one[0], one[1], *apex]))
            }
            _ => true,
        }
    }
}

/// The same triangle, beginning at another corner.
fn rotated(triangle: [u32; 3], first: usize) -> [u32; 3] {
    [0, 1, 2].map(|k| triangle[(first + k) % 3])
}
