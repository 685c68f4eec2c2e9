//! The faces: two triangles around every edge of the lattice that crosses the surface.

use std::sync::atomic::{AtomicU64, Ordering};

use glam::{BVec4A, Vec4, Vec4Swizzles};

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
        // Which of the two it is cannot be foretold, so nothing branches on it. The comparison is false for
        // NaN, that of a quadrilateral without area.
        let along_bd = worse.y > worse.x;
        let halves = HALVES[usize::from(along_bd)];
        // Half the turn puts the two triangles of the diagonal b d where those of a c are.
        let turned = BVec4A::splat(along_bd);
        let normals = normals.map(|part| Vec4::select(turned, part.wxyz(), part));
        let growth = Lanes::gather(self.normals, quad);
        let disagreeing_with = |facing: Lanes| {
            let least = facing.dot(facing) * AGREEMENT;
            let agreement = growth.dot(facing);
            let agrees = agreement.cmpgt(Vec4::ZERO) & (agreement * agreement).cmpge(least);
            !agrees.bitmask()
        };
        let [first, second] = halves.map(|half| half.iter().fold(0, |lanes, at| lanes | 1 << at));
        let disagreeing = first & disagreeing_with(normals.first())
            | second & disagreeing_with(normals.opposite().first());
        if disagreeing != 0 {
            for (lane, vertex) in quad.into_iter().enumerate() {
                if disagreeing >> lane & 1 == 1 {
                    self.disagreeing.add(vertex);
                }
            }
        }
        halves.map(|half| half.map(|at| quad[usize::from(at)]))
    }
}

/// The triangles of a quadrilateral cut along the diagonal from its first corner, and from its second. The
/// first triangle is the one between the corner's neighbours, or before it.
const HALVES: [[[u8; 3]; 2]; 2] = [[[0, 1, 2], [0, 2, 3]], [[0, 1, 3], [1, 2, 3]]];

/// Four vectors side by side.
#[derive(Debug, Clone, Copy)]
struct Lanes {
    x: Vec4,
    y: Vec4,
    z: Vec4,
}

impl Lanes {
    fn gather(vectors: &[[f32; 3]], indices: [u32; 4]) -> Self {
        let vector = |lane: usize| &vectors[indices[lane] as usize];
        let (a, b, c, d) = (vector(0), vector(1), vector(2), vector(3));
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
        let cell = at[0] + 8 * at[1] + 64 * at[2];
        let code = brick.code(cell);
        let patch = code.case().patch_of_edge[4 * AXIS + before_u + 2 * before_v];
        code.is_active()
            .then(|| brick.first_vertex + brick.first_vertex_of(cell) + u32::from(patch))
    };
    Some([vertex(1, 1)?, vertex(0, 1)?, vertex(0, 0)?, vertex(1, 0)?])
}
