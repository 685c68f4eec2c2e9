//! Which cells the surface runs through, and how: signs packed into words, 64 cells at a time.

use rayon::prelude::*;

use super::IsosurfaceError;
use super::bricks::Sampled;
use super::cases::{CASES, Case, NO_FACE, RESOLVED, all_cases};
use super::lattice::{BRICK_SAMPLES, CELLS, Directory, MISSING, SAMPLES, SIDE};

/// The cells of a brick. Bit `x + 8 y` of a word stands for the cell or sample `(x, y)` of a slice.
#[derive(Debug, Clone)]
pub(super) struct BrickCells {
    pub(super) coordinates: [u16; 3],
    /// The number of the brick's first vertex in the mesh.
    pub(super) first_vertex: u32,
    pub(super) vertices: u32,
    /// Cells that the surface runs through, slice by slice.
    pub(super) active: [u64; SIDE],
    /// Samples that are inside.
    pub(super) inside: [u64; SIDE],
    /// For each axis, samples whose edge along that axis crosses the surface.
    pub(super) crossed: [[u64; SIDE]; 3],
    codes: [CellCode; CELLS],
    /// For each row of cells along x, the number of its first vertex among the brick's.
    rows: [u16; SIDE * SIDE],
    /// Cells with a face that one of their patches meets twice: few, if any.
    doubled: Vec<u16>,
}

/// A cell's place in [`CASES`] and in its row's vertices; all zero where no surface runs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CellCode(u16);

impl CellCode {
    /// A row has eight cells of at most four vertices.
    const VERTEX_BITS: u32 = 5;

    fn new(case: usize, vertex: u32) -> Self {
        Self((case as u16) << Self::VERTEX_BITS | vertex as u16)
    }

    fn set_vertex(&mut self, vertex: u32) {
        *self = Self::new(usize::from(self.0 >> Self::VERTEX_BITS), vertex);
    }

    fn resolve(&mut self) {
        self.0 |= (RESOLVED as u16) << Self::VERTEX_BITS;
    }

    /// Whether the surface runs through the cell: its corners are neither all outside nor all inside, so
    /// that its case is not 0.
    pub(super) fn is_active(self) -> bool {
        self.0 != 0
    }

    /// The number of the cell's first vertex among its row's.
    fn vertex_in_row(self) -> u32 {
        u32::from(self.0) & ((1 << Self::VERTEX_BITS) - 1)
    }

    pub(super) fn case(self) -> &'static Case {
        &CASES[usize::from(self.0 >> Self::VERTEX_BITS) & (2 * RESOLVED - 1)]
    }
}

/// The indices of a word's set bits.
pub(super) fn bits(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = word.trailing_zeros() as usize;
        (word != 0).then(|| {
            word &= word - 1;
            bit
        })
    })
}

/// Packs eight bytes of 0 or 1 into eight bits.
pub(super) fn pack_bits(bytes: [u8; 8]) -> u64 {
    u64::from_le_bytes(bytes).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// For each slice of samples, words of a flag at `(x, y)`, `(x + 1, y)`, `(x, y + 1)`, `(x + 1, y + 1)`.
fn slices(flags: &[u8; BRICK_SAMPLES]) -> [[u64; 4]; SAMPLES] {
    std::array::from_fn(|z| {
        let mut words = [0; 4];
        for y in 0..SAMPLES {
            let row: [u8; SAMPLES] =
                std::array::from_fn(|x| flags[(z * SAMPLES + y) * SAMPLES + x]);
            let [a, b, c, d, e, f, g, h, last] = row;
            let near = pack_bits([a, b, c, d, e, f, g, h]);
            let far = near >> 1 | u64::from(last) << 7;
            if y < SIDE {
                words[0] |= near << (8 * y);
                words[1] |= far << (8 * y);
            }
            if y > 0 {
                words[2] |= near << (8 * (y - 1));
                words[3] |= far << (8 * (y - 1));
            }
        }
        words
    })
}

/// For each configuration, its patches and the face that one of them meets twice: what most cells are asked
/// for, in few cache lines.
static BRIEF: [[u8; 2]; RESOLVED] = brief();

const fn brief() -> [[u8; 2]; RESOLVED] {
    let cases = all_cases();
    let mut brief = [[0; 2]; RESOLVED];
    let mut configuration = 0;
    while configuration < RESOLVED {
        let case = &cases[configuration];
        brief[configuration] = [case.patches, case.doubled_face];
        configuration += 1;
    }
    brief
}

/// Classifies the cells of a brick, and numbers its vertices from 0.
fn classify(brick: &Sampled) -> BrickCells {
    let values = &brick.values;
    let inside = slices(&std::array::from_fn(|i| u8::from(values[i] > 0.0)));
    let unknown = values
        .iter()
        .fold(false, |any, value| any | value.is_nan())
        .then(|| slices(&std::array::from_fn(|i| u8::from(values[i].is_nan()))));
    let mut cells = BrickCells::new(brick.coordinates);
    for z in 0..SIDE {
        let (near, far) = (inside[z], inside[z + 1]);
        let any = (near[0] | near[1] | near[2] | near[3]) | (far[0] | far[1] | far[2] | far[3]);
        let all = (near[0] & near[1] & near[2] & near[3]) & (far[0] & far[1] & far[2] & far[3]);
        let mut active = any & !all;
        if let Some(unknown) = &unknown {
            active &= !(unknown[z].iter().chain(&unknown[z + 1])).fold(0, |any, word| any | word);
        }
        cells.active[z] = active;
        cells.inside[z] = near[0];
        cells.crossed[0][z] = near[0] ^ near[1];
        cells.crossed[1][z] = near[0] ^ near[2];
        cells.crossed[2][z] = near[0] ^ far[0];
        for y in 0..SIDE {
            cells.rows[SIDE * z + y] = cells.vertices as u16;
            let mut in_row = 0;
            for x in bits(active >> (SIDE * y) & 0xff) {
                let bit = SIDE * y + x;
                let mut configuration = 0;
                for (corner, word) in near.iter().chain(&far).enumerate() {
                    configuration |= ((word >> bit & 1) as usize) << corner;
                }
                cells.codes[z * 64 + bit] = CellCode::new(configuration, in_row);
                let [patches, doubled_face] = BRIEF[configuration];
                in_row += u32::from(patches);
                if doubled_face != NO_FACE {
                    cells.doubled.push((z * 64 + bit) as u16);
                }
            }
            cells.vertices += in_row;
        }
    }
    cells
}

impl BrickCells {
    /// No cell that the surface runs through.
    fn new(coordinates: [u16; 3]) -> Self {
        Self {
            coordinates,
            first_vertex: 0,
            vertices: 0,
            active: [0; SIDE],
            inside: [0; SIDE],
            crossed: [[0; SIDE]; 3],
            codes: [CellCode::default(); CELLS],
            rows: [0; SIDE * SIDE],
            doubled: Vec::new(),
        }
    }

    /// The code of the cell at `x + 8 y + 64 z`.
    pub(super) fn code(&self, cell: usize) -> CellCode {
        self.codes[cell]
    }

    /// Indices `x + 8 y + 64 z` of the active cells, in order.
    pub(super) fn active_cells(&self) -> impl Iterator<Item = usize> + '_ {
        (0..SIDE).flat_map(|z| bits(self.active[z]).map(move |bit| z * 64 + bit))
    }

    /// The number of quadrilaterals whose edge of the lattice belongs to this brick.
    pub(super) fn quads(&self) -> usize {
        self.crossed
            .iter()
            .flatten()
            .map(|word| word.count_ones() as usize)
            .sum()
    }

    /// The number of an active cell's first vertex among the brick's.
    pub(super) fn first_vertex_of(&self, cell: usize) -> u32 {
        u32::from(self.rows[cell / SIDE]) + self.codes[cell].vertex_in_row()
    }

    fn number_vertices(&mut self) {
        self.vertices = 0;
        for (first, row) in self.rows.iter_mut().zip(self.codes.chunks_exact_mut(SIDE)) {
            *first = self.vertices as u16;
            let mut in_row = 0;
            for code in row.iter_mut().filter(|code| code.is_active()) {
                code.set_vertex(in_row);
                in_row += u32::from(code.case().patches);
            }
            self.vertices += in_row;
        }
    }
}

/// Classifies the cells of every brick, and numbers the vertices of each brick from 0.
pub(super) fn classify_all(
    bricks: &[Sampled],
    directory: &Directory,
    checkpoint: &(impl Fn() -> Result<(), IsosurfaceError> + Sync),
) -> Result<Vec<BrickCells>, IsosurfaceError> {
    let mut cells = Vec::new();
    bricks
        .par_iter()
        .map(|brick| match checkpoint() {
            Ok(()) => classify(brick),
            // What comes of it is thrown away below.
            Err(_) => BrickCells::new(brick.coordinates),
        })
        .collect_into_vec(&mut cells);
    checkpoint()?;
    let is_doubled = |brick: &BrickCells, cell: u16| {
        is_doubled(brick, usize::from(cell), &cells, directory).then_some(cell)
    };
    let doubled: Vec<Vec<u16>> = cells
        .par_iter()
        .map(|brick| {
            let candidates = brick.doubled.iter();
            candidates
                .filter_map(|&cell| is_doubled(brick, cell))
                .collect()
        })
        .collect();
    for (brick, doubled) in cells.iter_mut().zip(doubled) {
        for &cell in &doubled {
            brick.codes[usize::from(cell)].resolve();
        }
        if !doubled.is_empty() {
            brick.number_vertices();
        }
    }
    Ok(cells)
}

/// Whether one patch meets a face of the cell twice, and one patch of the cell across that face does too.
fn is_doubled(
    brick: &BrickCells,
    cell: usize,
    cells: &[BrickCells],
    directory: &Directory,
) -> bool {
    let face = brick.codes[cell].case().doubled_face;
    if face == NO_FACE {
        return false;
    }
    let axis = usize::from(face / 2);
    let mut at = [cell % 8, cell / 8 % 8, cell / 64];
    let mut offset = [0; 3];
    if face & 1 == 1 {
        offset[axis] = i32::from(at[axis] == SIDE - 1);
        at[axis] = (at[axis] + 1) % SIDE;
    } else {
        offset[axis] = -i32::from(at[axis] == 0);
        at[axis] = (at[axis] + SIDE - 1) % SIDE;
    }
    let across = at[0] + 8 * at[1] + 64 * at[2];
    let neighbour = if offset == [0; 3] {
        brick
    } else {
        match directory.number(brick.coordinates, offset) {
            MISSING => return false,
            number => &cells[number as usize],
        }
    };
    let code = neighbour.codes[across];
    code.is_active() && code.case().doubled_face == face ^ 1
}
