//! The faces: two triangles around every edge of the lattice that crosses the surface.

use std::sync::atomic::{AtomicU64, Ordering};

use glam::{Vec4, Vec4Swizzles};

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
    ///
    /// The four corners go side by side through every step.
    fn split(&self, quad: [u32; 4]) -> [[u32; 3]; 2] {
        let corners = Lanes::gather(self.positions, quad);
        let edges = corners.next() - corners;
        let lengths = edges.dot(edges);
        // The corner triangles: at lane 0 a b c, then b c d, c d a and d a b.
        let normals = edges.cross(edges.next());
        let facing = normals + normals.opposite();
        let diagonals = corners.opposite() - corners;
        // Area over the squares of the sides is greatest for an equilateral triangle; seen along the
        // mean normal, a triangle that is folded over counts as negative.
        let sides = lengths + lengths.yzwx() + diagonals.dot(diagonals);
        let quality = normals.dot(facing.first()) / sides;
        let worse = quality.min(quality.zwxy());
        let [a, b, c, d] = quad;
        // What is compared is false for NaN: of a quadrilateral without area.
        let along_bd = worse.y > worse.x;
        let (split, parts) = if along_bd {
            ([[a, b, d], [b, c, d]], [(3, 0b1011), (1, 0b1110)])
        } else {
            ([[a, b, c], [a, c, d]], [(0, 0b0111), (2, 0b1101)])
        };
        let growth = Lanes::gather(self.normals, quad);
        let mut disagreeing = 0;
        for (lane, members) in parts {
            let facing = normals.lane(lane);
            let least = facing.dot(facing) * AGREEMENT;
            let agreement = growth.dot(facing);
            let agrees = agreement.cmpgt(Vec4::ZERO) & (agreement * agreement).cmpge(least);
            disagreeing |= members & !agrees.bitmask();
        }
        if disagreeing != 0 {
            for (lane, vertex) in quad.into_iter().enumerate() {
                if disagreeing >> lane & 1 == 1 {
                    self.disagreeing.add(vertex);
                }
            }
        }
        split
    }
}

/// Four vectors side by side.
#[derive(Debug, Clone, Copy)]
struct Lanes {
    x: Vec4,
    y: Vec4,
    z: Vec4,
}

impl Lanes {
    fn gather(vectors: &[[f32; 3]], indices: [u32; 4]) -> Self {
        let [a, b, c, d] = indices.map(|index| vectors[index as usize]);
        let part = |axis: usize| Vec4::new(a[axis], b[axis], c[axis], d[axis]);
        Self {
            x: part(0),
            y: part(1),
            z: part(2),
        }
    }

    fn map(self, change: impl Fn(Vec4) -> Vec4) -> Self {
        Self {
            x: change(self.x),
            y: change(self.y),
            z: change(self.z),
        }
    }

    /// In each lane the vector of the next one.
    fn next(self) -> Self {
        self.map(Vec4::yzwx)
    }

    /// In each lane the vector two lanes on.
    fn opposite(self) -> Self {
        self.map(Vec4::zwxy)
    }

    /// The first lane in all of them.
    fn first(self) -> Self {
        self.map(Vec4::xxxx)
    }

    /// One lane in all of them.
    fn lane(self, lane: usize) -> Self {
        self.map(|part| Vec4::splat(part[lane]))
    }

    fn dot(self, other: Self) -> Vec4 {
        self.x * other.x + self.y * other.y + self.z * other.z
    }

    fn cross(self, other: Self) -> Self {
        Self {
            x: self.y * other.z - self.z * other.y,
            y: self.z * other.x - self.x * other.z,
            z: self.x * other.y - self.y * other.x,
        }
    }
}

impl std::ops::Add for Lanes {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            x: self.x + other.x,
            y: self.y + other.y,
            z: self.z + other.z,
        }
    }
}

impl std::ops::Sub for Lanes {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            x: self.x - other.x,
            y: self.y - other.y,
            z: self.z - other.z,
        }
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
