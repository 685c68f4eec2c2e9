//! The faces: two triangles around every edge of the lattice that crosses the surface.

use std::sync::atomic::{AtomicU64, Ordering};

use super::cells::{BrickCells, bits};
use super::lattice::{Directory, MISSING};

/// A face may lie this much (as the square of the cosine) off the field's normal at its vertices.
const AGREEMENT: f32 = 0.1;

/// A set of vertices that several threads may add to.
pub(super) struct VertexSet(Vec<AtomicU64>);

impl VertexSet {
    pub(super) fn for_vertices(count: usize) -> Self {
        Self((0..count.div_ceil(64)).map(|_| AtomicU64::new(0)).collect())
    }

    fn add(&self, vertex: u32) {
        let (word, bit) = (&self.0[vertex as usize / 64], 1 << (vertex % 64));
        if word.load(Ordering::Relaxed) & bit == 0 {
            word.fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// The vertices in ascending order.
    pub(super) fn into_sorted(self) -> Vec<u32> {
        let words = self.0.into_iter().map(AtomicU64::into_inner).enumerate();
        words
            .flat_map(|(index, word)| bits(word).map(move |bit| (index * 64 + bit) as u32))
            .collect()
    }
}

/// What the faces of a brick are made from.
pub(super) struct Faces<'a> {
    pub(super) cells: &'a [BrickCells],
    pub(super) directory: &'a Directory,
    pub(super) positions: &'a [[f32; 3]],
    pub(super) normals: &'a [[f32; 3]],
    /// Receives the vertices whose normal does not agree with one of their faces.
    pub(super) disagreeing: &'a VertexSet,
}

/// A brick and its neighbours: bit 0 of the index for the one before it along x, bit 1 y, bit 2 z.
type Neighbourhood<'a> = [Option<&'a BrickCells>; 8];

impl Faces<'_> {
    /// Writes the triangles whose edge of the lattice belongs to the brick, and returns their number:
    /// less than twice the number of quadrilaterals where cells were not evaluated.
    pub(super) fn write(&self, brick: &BrickCells, triangles: &mut [[u32; 3]]) -> usize {
        let neighbourhood: Neighbourhood<'_> = std::array::from_fn(|index| {
            let offset = std::array::from_fn(|axis| -((index >> axis & 1) as i32));
            match self.directory.number(brick.coordinates, offset) {
                MISSING => None,
                number => Some(&self.cells[number as usize]),
            }
        });
        let mut written = self.write_along::<0>(&neighbourhood, brick, triangles);
        written += self.write_along::<1>(&neighbourhood, brick, &mut triangles[written..]);
        written += self.write_along::<2>(&neighbourhood, brick, &mut triangles[written..]);
        written
    }

    /// Writes the triangles around the edges along one axis.
    fn write_along<const AXIS: usize>(
        &self,
        neighbourhood: &Neighbourhood<'_>,
        brick: &BrickCells,
        triangles: &mut [[u32; 3]],
    ) -> usize {
        let mut written = 0;
        for (z, &crossed) in brick.crossed[AXIS].iter().enumerate() {
            for bit in bits(crossed) {
                let Some(mut quad) = quad::<AXIS>(neighbourhood, [bit % 8, bit / 8, z]) else {
                    continue;
                };
                if brick.inside[z] >> bit & 1 == 0 {
                    quad.swap(1, 3);
                }
                triangles[written..written + 2].copy_from_slice(&self.split(quad));
                written += 2;
            }
        }
        written
    }

    /// Splits a quadrilateral along the diagonal whose worse triangle is the better one.
    fn split(&self, quad: [u32; 4]) -> [[u32; 3]; 2] {
        let [a, b, c, d] = quad.map(|vertex| self.positions[vertex as usize]);
        let (ab, bc, cd, da) = (sub(b, a), sub(c, b), sub(d, c), sub(a, d));
        let (ac, bd) = (sub(c, a), sub(d, b));
        let facing = cross(ac, bd);
        let [e_ab, e_bc, e_cd, e_da] = [ab, bc, cd, da].map(|edge| dot(edge, edge));
        let (e_ac, e_bd) = (dot(ac, ac), dot(bd, bd));
        // Area over the squares of the sides is greatest for an equilateral triangle; seen along the
        // mean normal, a triangle that is folded over counts as negative.
        let quality = |normal, sides| dot(normal, facing) / sides;
        let (abc, acd) = (cross(ab, bc), cross(cd, da));
        let (abd, bcd) = (cross(da, ab), cross(bc, cd));
        let along_ac = quality(abc, e_ab + e_bc + e_ac).min(quality(acd, e_cd + e_da + e_ac));
        let along_bd = quality(abd, e_ab + e_bd + e_da).min(quality(bcd, e_bc + e_cd + e_bd));
        let [va, vb, vc, vd] = quad;
        let (split, facing) = if along_ac >= along_bd {
            ([[va, vb, vc], [va, vc, vd]], [abc, acd])
        } else {
            ([[va, vb, vd], [vb, vc, vd]], [abd, bcd])
        };
        for (triangle, facing) in split.iter().zip(facing) {
            let least = AGREEMENT * dot(facing, facing);
            for &vertex in triangle {
                let agreement = dot(facing, self.normals[vertex as usize]);
                if agreement <= 0.0 || agreement * agreement < least {
                    self.disagreeing.add(vertex);
                }
            }
        }
        split
    }
}

/// The vertices around the edge along `AXIS` from a sample, counter-clockwise seen from its far end.
fn quad<const AXIS: usize>(
    neighbourhood: &Neighbourhood<'_>,
    sample: [usize; 3],
) -> Option<[u32; 4]> {
    let (u, v) = ((AXIS + 1) % 3, (AXIS + 2) % 3);
    let vertex = |before_u: usize, before_v: usize| {
        let mut at = sample;
        // Before the first cell comes the last one of the neighbour.
        let wraps_u = usize::from(at[u] < before_u);
        let wraps_v = usize::from(at[v] < before_v);
        at[u] = (at[u] + 8 - before_u) % 8;
        at[v] = (at[v] + 8 - before_v) % 8;
        let brick = neighbourhood[wraps_u << u | wraps_v << v]?;
        let code = brick.code(at[0] + 8 * at[1] + 64 * at[2]);
        let patch = code.case().patch_of_edge[4 * AXIS + before_u + 2 * before_v];
        code.is_active()
            .then(|| brick.first_vertex + code.first_vertex() + u32::from(patch))
    };
    Some([vertex(1, 1)?, vertex(0, 1)?, vertex(0, 0)?, vertex(1, 0)?])
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
