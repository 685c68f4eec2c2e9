//! Where the vertices of a cell lie.
//!
//! A vertex begins at the mean of its patch's crossings (Gibson 1998, "Constrained elastic surface
//! nets") and is moved onto the surface by Newton's method. It never leaves its cell, nor comes near its
//! border: vertices of two cells then differ in f32 whatever scale and place the mesh is given later.

use glam::{BVec4A, Vec3A, Vec4};

use super::bricks::Sampled;
use super::cases::{Case, EDGE_CORNERS, all_cases};
use super::cells::BrickCells;
use super::lattice::{Lattice, SAMPLES, SIDE};
use crate::field::Field;

/// How far a vertex stays away from the border of its cell, in cells.
const MARGIN: f32 = 0.02;
/// How far two vertices of one cell stay apart along some axis, in cells.
const APART: f32 = 0.04;
/// The longest Newton step along an axis, in cells: further away the field's slope means nothing.
const MAX_STEP: f32 = 0.5;
/// After a step no longer than this along each axis, in cells, another one would change nothing that can be
/// seen: what a step leaves is as its square times the surface's curvature, which is less than one a cell.
const LAST_STEP: f32 = 1.0 / 32.0;

/// A cell that the surface runs through.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    /// The position of its least corner.
    corner: [f32; 3],
    /// Its side.
    step: f32,
    /// The samples at its corners, by `x + 2 y + 4 z`.
    values: [f32; 8],
}

/// A vertex within its cell, in cells, and the direction in which the field grows there (zero: unknown).
pub(super) type Refined = ([f32; 3], [f32; 3]);

/// Moves vertices onto the surface.
pub(super) trait Refine: Sync {
    /// Moves a vertex from `start` onto the surface, or leaves it there.
    fn refine(&self, cell: &Cell, start: [f32; 3]) -> Refined;
}

fn within_cell(point: [f32; 3]) -> [f32; 3] {
    point.map(|x| x.clamp(MARGIN, 1.0 - MARGIN))
}

fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// One Newton step in units of cells, or `None` where value and gradient give none.
fn newton_step(at: [f32; 3], value: f32, gradient: [f32; 3]) -> Option<[f32; 3]> {
    let gradient = Vec3A::from(gradient);
    let step = gradient * (value / gradient.length_squared());
    let next = Vec3A::from(at) - step.clamp(Vec3A::splat(-MAX_STEP), Vec3A::splat(MAX_STEP));
    // One test finds a bad value, a bad gradient and a vanishing one.
    step.is_finite().then(|| within_cell(next.into()))
}

/// Up to two Newton steps on the field itself.
pub(super) struct OnField<'a>(pub(super) &'a dyn Field);

impl OnField<'_> {
    /// The value, and the gradient with respect to cells.
    fn evaluate(&self, cell: &Cell, at: [f32; 3]) -> Option<(f32, [f32; 3])> {
        let point = std::array::from_fn(|axis| cell.corner[axis] + cell.step * at[axis]);
        let (value, gradient) = self.0.value_and_gradient(point)?;
        Some((value, gradient.map(|slope| slope * cell.step)))
    }
}

impl Refine for OnField<'_> {
    fn refine(&self, cell: &Cell, start: [f32; 3]) -> Refined {
        let Some((value, gradient)) = self.evaluate(cell, start) else {
            return (start, [0.0; 3]);
        };
        let Some(first) = newton_step(start, value, gradient) else {
            return (start, [0.0; 3]);
        };
        if (0..3).all(|axis| (first[axis] - start[axis]).abs() <= LAST_STEP) {
            return (first, gradient);
        }
        match self.evaluate(cell, first) {
            Some((better, slope)) if better.abs() <= value.abs() => {
                match newton_step(first, better, slope) {
                    // The gradient a step earlier is that of the vertex to well below a degree.
                    Some(second) => (second, slope),
                    None => (first, gradient),
                }
            }
            _ => (start, gradient),
        }
    }
}

/// One Newton step on the trilinear interpolation of the samples.
pub(super) struct OnSamples;

impl Refine for OnSamples {
    fn refine(&self, cell: &Cell, start: [f32; 3]) -> Refined {
        let (value, gradient) = trilinear(&cell.values, start);
        match newton_step(start, value, gradient) {
            Some(next) => (next, gradient),
            None => (start, [0.0; 3]),
        }
    }
}

/// The trilinear interpolation of corner values, and its gradient.
fn trilinear(v: &[f32; 8], [x, y, z]: [f32; 3]) -> (f32, [f32; 3]) {
    let dx = [v[1] - v[0], v[3] - v[2], v[5] - v[4], v[7] - v[6]];
    let along_x = [
        v[0] + x * dx[0],
        v[2] + x * dx[1],
        v[4] + x * dx[2],
        v[6] + x * dx[3],
    ];
    let dy = [along_x[1] - along_x[0], along_x[3] - along_x[2]];
    let along_y = [along_x[0] + y * dy[0], along_x[2] + y * dy[1]];
    let dz = along_y[1] - along_y[0];
    let near = dx[0] + y * (dx[1] - dx[0]);
    let far = dx[2] + y * (dx[3] - dx[2]);
    (
        along_y[0] + z * dz,
        [near + z * (far - near), dy[0] + z * (dy[1] - dy[0]), dz],
    )
}

/// Where the surface crosses the edges of a cell: four along each axis, in the order of [`EDGE_CORNERS`].
/// What stands for an edge that it does not cross means nothing.
type Crossings = [Vec4; 3];

/// The crossings by linear interpolation.
fn crossings(values: &[f32; 8]) -> Crossings {
    std::array::from_fn(|axis| {
        let ends = |end: usize| {
            let corner = |edge: usize| values[usize::from(EDGE_CORNERS[4 * axis + edge][end])];
            Vec4::new(corner(0), corner(1), corner(2), corner(3))
        };
        let (low, high) = (ends(0), ends(1));
        low / (low - high)
    })
}

/// The lanes of [`Crossings`] whose bits are set.
static LANES: [BVec4A; 16] = lanes();

const fn lanes() -> [BVec4A; 16] {
    let mut lanes = [BVec4A::FALSE; 16];
    let mut bits = 0;
    while bits < 16 {
        lanes[bits] = BVec4A::new(bits & 1 != 0, bits & 2 != 0, bits & 4 != 0, bits & 8 != 0);
        bits += 1;
    }
    lanes
}

/// The mean of the crossings of a patch.
fn patch_mean(case: &Case, patch: usize, crossings: &Crossings) -> [f32; 3] {
    let edges = case.edges[patch];
    within_cell(std::array::from_fn(|axis| {
        let along = LANES[usize::from(edges >> (4 * axis) & 15)];
        let sum = Vec4::select(along, crossings[axis], Vec4::ZERO).element_sum();
        (case.far_edges[patch][axis] + sum) * case.weight[patch]
    }))
}

fn are_apart(points: &[[f32; 3]]) -> bool {
    points.iter().enumerate().all(|(index, a)| {
        points[..index]
            .iter()
            .all(|b| (0..3).any(|axis| (a[axis] - b[axis]).abs() >= APART))
    })
}

/// The vertices of a cell, one a patch, apart from one another; directions are zero where unknown.
fn place(case: &Case, cell: &Cell, refine: Option<&impl Refine>) -> [Refined; 4] {
    let patches = usize::from(case.patches);
    let mut refined = [([0.0; 3], [0.0; 3]); 4];
    let mut crossings = crossings(&cell.values);
    for (patch, vertex) in refined.iter_mut().enumerate().take(patches) {
        let mut mean = patch_mean(case, patch, &crossings);
        if !mean.iter().all(|x| x.is_finite()) {
            // Infinite samples have a sign but no distance.
            crossings = crossings
                .map(|along| Vec4::select(along.is_finite_mask(), along, Vec4::splat(0.5)));
            mean = patch_mean(case, patch, &crossings);
        }
        *vertex = refine.map_or((mean, [0.0; 3]), |refine| refine.refine(cell, mean));
    }
    if patches > 1 && !are_apart(&refined.map(|(at, _)| at)[..patches]) {
        // Crossings near the middle of their edges keep any two patches apart.
        let tame = crossings.map(|along| along.clamp(Vec4::splat(0.3), Vec4::splat(0.7)));
        for (patch, vertex) in refined.iter_mut().enumerate().take(patches) {
            vertex.0 = patch_mean(case, patch, &tame);
        }
        if !are_apart(&refined.map(|(at, _)| at)[..patches]) {
            for (patch, vertex) in refined.iter_mut().enumerate().take(patches) {
                vertex.0 = patch_mean(case, patch, &[Vec4::splat(0.5); 3]);
            }
        }
    }
    refined
}

/// Writes the positions and outward unit normals (zero: unknown) of a brick's vertices.
pub(super) fn place_all(
    lattice: &Lattice,
    brick: &Sampled,
    cells: &BrickCells,
    refine: &impl Refine,
    positions: &mut [[f32; 3]],
    normals: &mut [[f32; 3]],
) {
    const CORNERS: [usize; 8] = [
        0,
        1,
        SAMPLES,
        SAMPLES + 1,
        SAMPLES * SAMPLES,
        SAMPLES * SAMPLES + 1,
        SAMPLES * SAMPLES + SAMPLES,
        SAMPLES * SAMPLES + SAMPLES + 1,
    ];
    let first = brick.coordinates.map(|c| usize::from(c) * SIDE);
    let reaches_border = lattice.ends_within(brick.coordinates.map(usize::from), 1);
    let mut written = 0;
    for index in cells.active_cells() {
        let [x, y, z] = [index % 8, index / 8 % 8, index / 64];
        let at = [first[0] + x, first[1] + y, first[2] + z];
        let base = (z * SAMPLES + y) * SAMPLES + x;
        let cell = Cell {
            corner: lattice.position(at),
            step: lattice.step,
            values: CORNERS.map(|corner| brick.values[base + corner]),
        };
        let case = cells.code(index).case();
        // The field knows nothing of the border that closes it.
        let refine = (!(reaches_border && lattice.is_border_cell(at))).then_some(refine);
        let vertices = place(case, &cell, refine);
        for (at, growth) in &vertices[..usize::from(case.patches)] {
            positions[written] =
                std::array::from_fn(|axis| cell.corner[axis] + cell.step * at[axis]);
            let length = dot(*growth, *growth).sqrt();
            if length > 0.0 && length.is_finite() {
                normals[written] = growth.map(|slope| -slope / length);
            }
            written += 1;
        }
    }
}

const _: () = assert!(middles_are_apart(), "vertices of one cell would coincide");

/// Whether the vertices at the middles of their crossings are apart in every case.
const fn middles_are_apart() -> bool {
    let cases = all_cases();
    let mut index = 0;
    while index < cases.len() {
        let case = &cases[index];
        let mut a = 0;
        while a < case.patches as usize {
            let mut b = 0;
            while b < a {
                let mut apart = false;
                let mut axis = 0;
                while axis < 3 {
                    let along = 0x0f_u16 << (4 * axis);
                    let middle_a = (case.far_edges[a][axis]
                        + 0.5 * (case.edges[a] & along).count_ones() as f32)
                        * case.weight[a];
                    let middle_b = (case.far_edges[b][axis]
                        + 0.5 * (case.edges[b] & along).count_ones() as f32)
                        * case.weight[b];
                    apart = apart || middle_a - middle_b >= APART || middle_b - middle_a >= APART;
                    axis += 1;
                }
                if !apart {
                    return false;
                }
                b += 1;
            }
            a += 1;
        }
        index += 1;
    }
    true
}
