//! The isosurface and the solid of `inflate`: parameters and launches. It never computes.

use bytemuck::{Pod, Zeroable};

use super::{File, Launch, LaunchError, MOST_ELEMENTWISE_BLOCKS, blocks, check};

/// Samples of a brick: 9³.
pub const BRICK_SAMPLES: u64 = 729;
/// Cells of a brick: 8³.
pub const BRICK_CELLS: u64 = 512;
/// What [`IsosurfaceParams::directory`] holds where no brick is kept.
pub const MISSING_BRICK: u32 = u32::MAX;

/// The workspace of an extraction; every kernel reads of it what it needs, and the other pointers may be null.
///
/// A *filled* brick has been evaluated; a *kept* one holds surface too, and has a number.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct IsosurfaceParams {
    /// `filled × 729` numbers, x fastest. Of a grid: `kept × 729`.
    pub values: u64,
    /// The samples of a grid, x fastest.
    pub grid: u64,
    /// `512 × 6` 16-bit words: the edges of four patches; patches and 256 times the doubled face; 0.
    pub cases: u64,
    /// `filled × 4` 16-bit words: the coordinates of a brick, and whether it is kept in any case. Null: every
    /// brick of the lattice, x fastest.
    pub places: u64,
    /// `filled` 32-bit words: 1 where a brick is kept.
    pub flags: u64,
    /// `filled + 1` words: the sums of the flags before each.
    pub offsets: u64,
    /// `kept × 4` 16-bit words: the coordinates of a brick and 0.
    pub numbered: u64,
    /// `kept` words: where a brick's values are.
    pub slots: u64,
    /// A word for each brick of the lattice, x fastest: a number or [`MISSING_BRICK`].
    pub directory: u64,
    /// `kept × 32` bytes: 1 where the surface runs into the neighbour `x + 3 y + 9 z`, which is not kept.
    pub missed: u64,
    /// `kept × 512` 16-bit words: the case of each cell, 0 where no surface runs.
    pub codes: u64,
    /// `kept × 512` 16-bit words: the first vertex of each cell among its brick's.
    pub first_in_brick: u64,
    /// `4 × kept` words: vertices, faces of four corners, those left open, missed neighbours.
    pub counts: u64,
    /// `4 × (kept + 1)` words: the sums of the counts before each.
    pub firsts: u64,
    /// `vertices × 3` numbers.
    pub positions: u64,
    /// `vertices × 3` numbers; 0 where unknown.
    pub normals: u64,
    /// `faces × 2 × 3` words.
    pub triangles: u64,
    /// A byte a vertex: 1 where its normal does not agree with one of its faces.
    pub disagreeing: u64,
    /// `filled × 729 × 3` numbers, or `vertices × 3`.
    pub points: u64,
    /// The bricks that the launch looks at.
    pub count: i64,
    /// Cells of the lattice.
    pub cells: [i32; 3],
    /// Bricks of the lattice.
    pub bricks: [i32; 3],
    /// Samples of the grid.
    pub samples: [i32; 3],
    /// Which axis of the field each axis of a point is.
    pub axes: [i32; 3],
    /// The position of the lattice's first sample.
    pub origin: [f32; 3],
    /// The distance of its samples.
    pub step: f32,
}

const POINTERS: u32 = 19;

/// A step of an extraction, in the order in which they are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IsosurfaceStep {
    /// The points of the samples of filled bricks.
    Points,
    /// Closes the lattice's border in `values` and tells which filled bricks hold surface.
    FindMixed,
    /// Tells which bricks of the lattice around a grid hold surface.
    FindMixedInGrid,
    /// Numbers the bricks that are kept, once their flags are summed.
    Number,
    /// Copies the kept bricks out of a grid.
    CopyFromGrid,
    /// Gives shared samples one value. Not after [`CopyFromGrid`](Self::CopyFromGrid).
    Reconcile,
    /// The case of each cell.
    Classify,
    /// Resolves doubled faces and counts vertices and faces.
    Count,
    /// Places vertices by one step on the samples, once the counts are summed.
    PlaceOnSamples,
    /// Writes the faces.
    Faces,
}

impl IsosurfaceParams {
    /// The launch of a step over `count` bricks.
    ///
    /// # Errors
    ///
    /// [`LaunchError`] for a negative count, or more bricks than a launch may have.
    pub fn launch(&self, step: IsosurfaceStep) -> Result<Launch, LaunchError> {
        use IsosurfaceStep as Step;
        let (name, blocks_of_8, each_takes, threads) = match step {
            Step::Points => ("brick_points", false, 1, 256),
            Step::FindMixed => ("find_mixed", true, 1, 256),
            Step::FindMixedInGrid => ("find_mixed_in_grid", true, 1, 256),
            Step::Number => {
                let grid = [self.blocks("number_bricks", 256)?, 1];
                return self.launch_on("number_bricks", grid, 256);
            }
            Step::CopyFromGrid => ("copy_from_grid", false, 1, 256),
            Step::Reconcile => ("reconcile", false, 1, 256),
            Step::Classify => ("classify_cells", false, 1, 512),
            Step::Count => ("count_cells", false, 1, 512),
            Step::PlaceOnSamples => ("place_vertices_on_samples", false, 4, 128),
            Step::Faces => ("write_faces", false, 1, 512),
        };
        let each = if blocks_of_8 { 8 } else { 1 };
        let grid = [self.blocks(name, each)? * each_takes, 1];
        self.launch_on(name, grid, threads)
    }

    /// The launch of a kernel of another file that places vertices, a thread a cell.
    pub(super) fn launch_placing(
        &self,
        file: File,
        name: &'static str,
    ) -> Result<Launch, LaunchError> {
        let grid = [self.blocks(name, 1)? * 4, 1];
        Launch::new((file, name), name.into(), grid, 128, self, POINTERS)
    }

    fn blocks(&self, name: &'static str, each: i64) -> Result<u64, LaunchError> {
        let count = self.count;
        check(name, "the bricks", count, 0..=i64::MAX >> 2, "0 and more")?;
        Ok(blocks(count, each))
    }

    fn launch_on(
        &self,
        name: &'static str,
        grid: [u64; 2],
        threads: u32,
    ) -> Result<Launch, LaunchError> {
        let kernel = name.to_owned();
        Launch::new(
            (File::Isosurface, name),
            kernel,
            grid,
            threads,
            self,
            POINTERS,
        )
    }
}

/// The vertices of a field that is evaluated at points, many together.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct PointwiseParams {
    /// `vertices × 4` numbers: the field's value and its slopes along a point's axes where vertices begin; null
    /// before they are known.
    pub first: u64,
    /// The same after one step.
    pub second: u64,
    /// The extraction, once the counts are summed; its points are `vertices × 3`.
    pub surface: IsosurfaceParams,
    /// Added to the values.
    pub shift: f32,
    /// Not read.
    pub padding: i32,
}

impl PointwiseParams {
    /// The launch that writes the points that the field is asked for next, over the extraction's `count` bricks.
    ///
    /// # Errors
    ///
    /// [`LaunchError`] for a negative count, or more bricks than a launch may have.
    pub fn launch_asking(&self) -> Result<Launch, LaunchError> {
        self.launch("vertex_points")
    }

    /// The launch that places the vertices: by as many steps as there are answers.
    ///
    /// # Errors
    ///
    /// As [`PointwiseParams::launch_asking`].
    pub fn launch_placing(&self) -> Result<Launch, LaunchError> {
        self.launch("place_vertices_on_answers")
    }

    fn launch(&self, name: &'static str) -> Result<Launch, LaunchError> {
        let grid = [self.surface.blocks(name, 1)? * 4, 1];
        let (what, pointers) = ((File::Isosurface, name), POINTERS + 2);
        Launch::new(what, name.into(), grid, 128, self, pointers)
    }
}

/// Sums of the numbers before each.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct ScanParams {
    /// `rows × count` 32-bit words.
    pub x: u64,
    /// `rows × (count + 1)` words, the last of a row its whole sum; not x.
    pub y: u64,
    /// Words of a row of x.
    pub count: i64,
}

impl ScanParams {
    /// The launch for so many rows, a block each.
    ///
    /// # Errors
    ///
    /// [`LaunchError`] for a negative count.
    pub fn launch(&self, rows: u32) -> Result<Launch, LaunchError> {
        check("scan", "the count", self.count, 0..=i64::MAX, "0 and more")?;
        let (what, grid) = ((File::Isosurface, "scan"), [u64::from(rows), 1]);
        Launch::new(what, "scan".into(), grid, 512, self, 2)
    }
}

/// The same word everywhere.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct FillParams {
    /// What is written.
    pub y: u64,
    /// 32-bit words.
    pub count: i64,
    /// The word.
    pub value: u32,
    /// Not read.
    pub padding: i32,
}

impl FillParams {
    /// The launch.
    ///
    /// # Errors
    ///
    /// [`LaunchError`] for a negative count.
    pub fn launch(&self) -> Result<Launch, LaunchError> {
        let name = "fill_words";
        check(name, "the count", self.count, 0..=i64::MAX, "0 and more")?;
        let grid = [blocks(self.count, 256).min(MOST_ELEMENTWISE_BLOCKS), 1];
        Launch::new((File::Isosurface, name), name.into(), grid, 256, self, 1)
    }
}

/// The maps of a solid: `stride × stride` spline coefficients each.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct SolidMaps {
    /// The squared height over the wall.
    pub squared_height: u64,
    /// One over the diameter of the touching ball.
    pub inverse_diameter: u64,
    /// How far the front is raised, or null.
    pub raised: u64,
}

/// The numbers of a solid; lengths in frame units.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
pub struct SolidShape {
    /// Pixels of a side of the maps.
    pub side: i32,
    /// Coefficients of a row of the maps.
    pub stride: i32,
    /// Scales everything along z.
    pub depth: f32,
    /// The middle, in the raised map.
    pub middle_share: f32,
    /// The middle, as a constant.
    pub middle: f32,
    /// Half the wall, in the raised map.
    pub wall_share: f32,
    /// Half the wall, as a constant.
    pub wall: f32,
    /// What lies behind is cut off where `has_cut` is 1.
    pub cut_behind: f32,
    /// 1 where there is a cut.
    pub has_cut: i32,
    /// 1 where the solid is cut down to a box.
    pub has_cuboid: i32,
    /// The box's centre.
    pub centre: [f32; 2],
    /// The matrix to its own axes, column by column.
    pub axes: [f32; 9],
    /// Half its sides.
    pub half: [f32; 3],
    /// The radius of its edges.
    pub rounding: f32,
    /// Not read.
    pub padding: i32,
}

/// A solid at regular blocks of points.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct SolidFillParams {
    /// `blocks × samples` numbers, x fastest.
    pub values: u64,
    /// `blocks × 4` 16-bit words: bricks of 8³ cells of the lattice; or null for one block at the origin.
    pub places: u64,
    /// The maps.
    pub maps: SolidMaps,
    /// The numbers.
    pub solid: SolidShape,
    /// The first point.
    pub origin: [f32; 3],
    /// The distance of points.
    pub step: f32,
    /// Points of a block along each axis.
    pub samples: [i32; 3],
    /// Not read.
    pub padding: i32,
}

impl SolidFillParams {
    /// The launch for so many blocks of points.
    ///
    /// # Errors
    ///
    /// [`LaunchError`] for a negative size or too many points in a layer.
    pub fn launch(&self, count: u32) -> Result<Launch, LaunchError> {
        let name = "fill_solid";
        for samples in self.samples {
            check(
                name,
                "the samples",
                samples.into(),
                0..=i64::MAX,
                "0 and more",
            )?;
        }
        let columns = i64::from(self.samples[0]) * i64::from(self.samples[1]);
        let most = i64::from(i32::MAX) - 128;
        check(
            name,
            "the points of a layer",
            columns,
            0..=most,
            "less than 2³¹",
        )?;
        let grid = [u64::from(count), blocks(columns, 128)];
        Launch::new((File::Inflate, name), name.into(), grid, 128, self, 5)
    }
}

/// The vertices of a solid, moved onto it; once the counts are summed.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct SolidVerticesParams {
    /// The maps.
    pub maps: SolidMaps,
    /// The extraction.
    pub surface: IsosurfaceParams,
    /// The numbers.
    pub solid: SolidShape,
}

impl SolidVerticesParams {
    /// The launch over the extraction's `count` bricks.
    ///
    /// # Errors
    ///
    /// [`LaunchError`] for a negative count, or more bricks than a launch may have.
    pub fn launch(&self) -> Result<Launch, LaunchError> {
        let name = "place_vertices_on_solid";
        let grid = [self.surface.blocks(name, 1)? * 4, 1];
        let pointers = POINTERS + 3;
        Launch::new(
            (File::Inflate, name),
            name.into(),
            grid,
            128,
            self,
            pointers,
        )
    }
}
