//! Painting the texture of an unwrapped mesh from colours that are known at any point of its surface.

use std::sync::Arc;

use super::unwrap::{self, GUTTER, PARTS, Unwrapped};
use super::{Mesh, Texture};

/// Points whose colours are asked for at once.
const BLOCK: usize = 1 << 16;

/// Tells the sRGB colours at points of a surface; `None` to stop.
pub type ColoursAt<'a> = dyn FnMut(&[[f32; 3]]) -> Option<Vec<[u8; 3]>> + 'a;

/// The bytes that [`bake`] takes besides the mesh, the texture it makes included.
pub fn bytes(side: usize) -> u64 {
    let texels = (side * side) as u64;
    // Colours and what is painted, twice while borders grow; a third more for the smaller images.
    texels * 4 * 2 + texels * 4 / 3 + (BLOCK * (12 + 4 + 3)) as u64
}

/// The mesh with its texture: every texel has the colour of the point of the surface that it shows, and those
/// between the charts go on with the colours beside them. `None` as soon as `colours` gives none.
pub fn bake(unwrapped: Unwrapped, colours: &mut ColoursAt<'_>) -> Option<Mesh> {
    let Unwrapped { mut mesh, side } = unwrapped;
    let mut painting = Painting {
        side,
        pixels: vec![[0; 3]; side * side],
        is_painted: vec![false; side * side],
    };
    let corners = |triangle: [u32; 3]| {
        triangle.map(|vertex| {
            let uv = mesh.uvs[vertex as usize];
            let place = uv.map(|at| (f64::from(at) * side as f64 * PARTS).round() as i64);
            (mesh.positions[vertex as usize], place)
        })
    };
    let mut block = Block::default();
    for &triangle in &mesh.triangles {
        inside(corners(triangle), &mut painting, &mut block, colours)?;
    }
    // Faces too thin to cover a texel's centre, and the borders of charts.
    for &triangle in &mesh.triangles {
        along_edges(corners(triangle), &mut painting, &mut block);
        block.paint_when(BLOCK, &mut painting, colours)?;
    }
    block.paint_when(1, &mut painting, colours)?;
    for _ in 0..GUTTER {
        painting.grow();
    }
    painting.fill();
    mesh.texture = Some(Arc::new(Texture {
        width: side,
        height: side,
        pixels: painting.pixels,
    }));
    mesh.colours.clear();
    Some(mesh)
}

/// A corner of a triangle: its position, and its place in parts of a texel.
type Corner = ([f32; 3], [i64; 2]);

/// Texels whose colours are to be asked for, and the points that they show.
#[derive(Default)]
struct Block {
    texels: Vec<usize>,
    points: Vec<[f32; 3]>,
}

impl Block {
    /// Notes the texel at a column and row, unless it is noted or painted.
    fn note(&mut self, painting: &mut Painting, [column, row]: [usize; 2], point: [f32; 3]) {
        let side = painting.side;
        if column < side && row < side && !painting.is_painted[row * side + column] {
            painting.is_painted[row * side + column] = true;
            self.texels.push(row * side + column);
            self.points.push(point);
        }
    }

    /// Paints what was noted, where that is at least so much.
    fn paint_when(
        &mut self,
        least: usize,
        painting: &mut Painting,
        colours: &mut ColoursAt<'_>,
    ) -> Option<()> {
        if self.points.len() >= least {
            painting.paint(&self.texels, &colours(&self.points)?);
            self.texels.clear();
            self.points.clear();
        }
        Some(())
    }
}

fn mixed(corners: [Corner; 3], weights: [f64; 3]) -> [f32; 3] {
    [0, 1, 2].map(|axis| {
        let parts = corners.iter().zip(weights);
        parts.map(|((p, _), w)| f64::from(p[axis]) * w).sum::<f64>() as f32
    })
}

/// The texels whose centres a triangle covers, painted in between: it may be as large as the texture.
fn inside(
    corners: [Corner; 3],
    painting: &mut Painting,
    block: &mut Block,
    colours: &mut ColoursAt<'_>,
) -> Option<()> {
    let mut goes_on = Some(());
    unwrap::cover(corners.map(|(_, place)| place), |column, row, weights| {
        if goes_on.is_some() {
            block.note(painting, [column, row], mixed(corners, weights));
            goes_on = block.paint_when(BLOCK, painting, colours);
        }
    });
    goes_on
}

/// The texels that a triangle's edges pass through and nothing covers.
fn along_edges(corners: [Corner; 3], painting: &mut Painting, block: &mut Block) {
    for corner in 0..3 {
        let (from, to) = (corners[corner].1, corners[(corner + 1) % 3].1);
        let longest = (to[0] - from[0]).abs().max((to[1] - from[1]).abs());
        // Two steps a texel.
        let steps = (longest as f64 * 2.0 / PARTS).ceil().max(1.0);
        let mut step = 0.0;
        while step <= steps {
            let part = step / steps;
            let texel = [0, 1].map(|axis| {
                let at = from[axis] as f64 + (to[axis] - from[axis]) as f64 * part;
                // `as` saturates.
                (at / PARTS) as usize
            });
            let mut weights = [0.0; 3];
            weights[corner] = 1.0 - part;
            weights[(corner + 1) % 3] = part;
            block.note(painting, texel, mixed(corners, weights));
            step += 1.0;
        }
    }
}

struct Painting {
    side: usize,
    pixels: Vec<[u8; 3]>,
    is_painted: Vec<bool>,
}

impl Painting {
    fn paint(&mut self, texels: &[usize], colours: &[[u8; 3]]) {
        for (&texel, &colour) in texels.iter().zip(colours) {
            self.pixels[texel] = colour;
            self.is_painted[texel] = true;
        }
    }

    /// Gives the texels beside painted ones the mean colour of these.
    fn grow(&mut self) {
        let side = self.side;
        let before = self.is_painted.clone();
        for row in 0..side {
            for column in 0..side {
                if before[row * side + column] {
                    continue;
                }
                let mut sum = Sum::default();
                for y in row.saturating_sub(1)..(row + 2).min(side) {
                    for x in column.saturating_sub(1)..(column + 2).min(side) {
                        if before[y * side + x] {
                            sum.add(self.pixels[y * side + x]);
                        }
                    }
                }
                if let Some(mean) = sum.mean() {
                    self.pixels[row * side + column] = mean;
                    self.is_painted[row * side + column] = true;
                }
            }
        }
    }

    /// Gives every texel that is left the colour of the smallest square around it that has any, so that
    /// smaller images of the texture mix nothing foreign in.
    fn fill(&mut self) {
        let half = self.side / 2;
        if half == 0 || self.is_painted.iter().all(|&painted| painted) {
            return;
        }
        let mut smaller = Self {
            side: half,
            pixels: vec![[0; 3]; half * half],
            is_painted: vec![false; half * half],
        };
        for row in 0..half {
            for column in 0..half {
                let mut sum = Sum::default();
                for texel in self.four(row, column) {
                    if self.is_painted[texel] {
                        sum.add(self.pixels[texel]);
                    }
                }
                if let Some(mean) = sum.mean() {
                    smaller.paint(&[row * half + column], &[mean]);
                }
            }
        }
        smaller.fill();
        for row in 0..half {
            for column in 0..half {
                for texel in self.four(row, column) {
                    if !self.is_painted[texel] {
                        self.pixels[texel] = smaller.pixels[row * half + column];
                    }
                }
            }
        }
    }

    /// The texels that one of half the size stands for.
    fn four(&self, row: usize, column: usize) -> [usize; 4] {
        let first = 2 * row * self.side + 2 * column;
        [first, first + 1, first + self.side, first + self.side + 1]
    }
}

/// Colours on their way to a mean.
#[derive(Default)]
struct Sum {
    channels: [u32; 3],
    count: u32,
}

impl Sum {
    fn add(&mut self, colour: [u8; 3]) {
        for (sum, channel) in self.channels.iter_mut().zip(colour) {
            *sum += u32::from(channel);
        }
        self.count += 1;
    }

    fn mean(&self) -> Option<[u8; 3]> {
        (self.count > 0).then(|| {
            self.channels
                .map(|sum| ((sum + self.count / 2) / self.count) as u8)
        })
    }
}
