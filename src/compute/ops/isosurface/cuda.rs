//! The isosurface on a CUDA device, step by step.

use std::sync::Arc;

use bytemuck::Zeroable;

use super::super::OpError;
use super::super::device::count;
use super::{BrickPlace, Request, Surface};
use crate::compute::cuda::Buffer;
use crate::compute::kernels::{
    BRICK_CELLS, BRICK_SAMPLES, FillParams, IsosurfaceParams, IsosurfaceStep as Step, Launch,
    LaunchError, MISSING_BRICK, ScanParams,
};
use crate::compute::{Cancel, Gpu, GpuError};

/// What the memory is for.
pub(super) const WHAT: &str = "the surface";
/// The most vertices that a brick may have.
const MOST_VERTICES: u64 = 4 * BRICK_CELLS;
/// Bytes of a vertex: its position, its normal, and whether they agree.
const MESH_VERTEX_BYTES: u64 = 12 + 12 + 1;
/// Bytes of the two triangles of a face.
const MESH_FACE_BYTES: u64 = 2 * 12;
/// Operations that the steps take a brick, about.
const OPERATIONS: f64 = 1e6;

/// A field that a device evaluates.
pub(super) trait DeviceField {
    /// Fills the bricks at the extraction's places, of which there are so many.
    fn fill(&self, extraction: &Extraction<'_>, bricks: usize) -> Result<(), OpError>;

    /// Places so many vertices, once there is room for them.
    fn place(&self, extraction: &mut Extraction<'_>, vertices: u64) -> Result<(), OpError>;
}

/// The surface of a field in the bricks at `places`: their coordinates and 0.
pub(super) fn extract(
    request: &Request<'_>,
    mut places: Vec<BrickPlace>,
    field: &impl DeviceField,
) -> Result<Surface, OpError> {
    // A surface that runs into a brick that was left out is followed there.
    loop {
        let mut extraction = Extraction::new(request)?;
        let filled = places.len() as u64;
        extraction.params.places = extraction.put(bytemuck::cast_slice(&places))?;
        extraction.params.values = extraction.room(4 * BRICK_SAMPLES * filled)?;
        field.fill(&extraction, places.len())?;
        let kept = extraction.keep(filled, Step::FindMixed)?;
        if kept == 0 {
            return Ok(Surface::default());
        }
        extraction.step(Step::Reconcile)?;
        let counted = extraction.count(kept)?;
        if counted.missed > 0 {
            let (numbered, flags) = extraction.missed(kept)?;
            places.extend((request.rules.missed)(&numbered, &flags));
            continue;
        }
        extraction.room_for_mesh(&counted)?;
        field.place(&mut extraction, counted.vertices)?;
        return extraction.finish(&counted);
    }
}

/// The surface of a grid of `samples` 32-bit numbers on the device, x fastest, NaN where they are unknown. The
/// lattice is the grid's with a layer more around it.
///
/// # Errors
///
/// [`OpError`] when cancelled, out of memory, or when the device failed.
///
/// # Panics
///
/// When the buffer holds fewer numbers.
pub fn extract_grid(
    request: &Request<'_>,
    samples: [usize; 3],
    grid: &Buffer,
) -> Result<Surface, OpError> {
    let size_bytes = 4 * samples.iter().product::<usize>() as u64;
    assert!(grid.size_bytes() >= size_bytes, "a grid of its size");
    let mut extraction = Extraction::new(request)?;
    extraction.params.grid = grid.at(0);
    extraction.params.samples = sizes("find_mixed_in_grid", samples)?;
    let all = request.lattice.bricks.iter().product::<usize>() as u64;
    let kept = extraction.keep(all, Step::FindMixedInGrid)?;
    if kept == 0 {
        return Ok(Surface::default());
    }
    extraction.params.values = extraction.room(4 * BRICK_SAMPLES * kept)?;
    extraction.step(Step::CopyFromGrid)?;
    let counted = extraction.count(kept)?;
    extraction.room_for_mesh(&counted)?;
    extraction.step(Step::PlaceOnSamples)?;
    extraction.finish(&counted)
}

fn sizes(kernel: &'static str, sizes: [usize; 3]) -> Result<[i32; 3], GpuError> {
    let size = |axis: usize| count(kernel, "a size", sizes[axis]);
    Ok([size(0)?, size(1)?, size(2)?])
}

/// How much of what a surface has.
pub(super) struct Counted {
    vertices: u64,
    faces: u64,
    open: u64,
    missed: u64,
}

impl Counted {
    /// What the parts of the mesh take of the host.
    pub(super) fn host_bytes(&self) -> u64 {
        self.vertices * MESH_VERTEX_BYTES + self.faces * MESH_FACE_BYTES
    }
}

/// An extraction under way: its workspace and the memory that it points to.
pub(super) struct Extraction<'a> {
    gpu: &'a Arc<Gpu>,
    pub(super) cancel: &'a Cancel,
    pub(super) params: IsosurfaceParams,
    buffers: Vec<Buffer>,
}

impl<'a> Extraction<'a> {
    pub(super) fn new(request: &Request<'a>) -> Result<Self, GpuError> {
        let lattice = &request.lattice;
        let mut extraction = Self {
            gpu: request.gpu,
            cancel: request.cancel,
            params: IsosurfaceParams {
                cells: sizes("find_mixed", lattice.cells)?,
                bricks: sizes("find_mixed", lattice.bricks)?,
                axes: [0, 1, 2],
                origin: lattice.origin,
                step: lattice.step,
                ..IsosurfaceParams::zeroed()
            },
            buffers: Vec::new(),
        };
        extraction.params.cases = extraction.put(bytemuck::cast_slice(request.rules.cases))?;
        Ok(extraction)
    }

    /// The address of so many bytes that live as long as this.
    pub(super) fn room(&mut self, size_bytes: u64) -> Result<u64, GpuError> {
        let buffer = Buffer::new(self.gpu, size_bytes, WHAT)?;
        let address = buffer.at(0);
        self.buffers.push(buffer);
        Ok(address)
    }

    /// The same, all 0.
    pub(super) fn cleared(&mut self, size_bytes: u64) -> Result<u64, GpuError> {
        let address = self.room(size_bytes)?;
        self.buffer(address).clear()?;
        Ok(address)
    }

    /// The same with a content.
    fn put(&mut self, bytes: &[u8]) -> Result<u64, GpuError> {
        let address = self.room(bytes.len() as u64)?;
        self.buffer(address).write(0, bytes)?;
        Ok(address)
    }

    fn buffer(&self, address: u64) -> &Buffer {
        let buffers = self.buffers.iter();
        let mut found = buffers.filter(|buffer| buffer.at(0) == address);
        found.next().expect("an address that `room` gave")
    }

    /// Reads numbers from the `first` one of a buffer on.
    fn read<T: bytemuck::Pod>(
        &self,
        address: u64,
        first: u64,
        count: u64,
    ) -> Result<Vec<T>, GpuError> {
        let mut values = vec![T::zeroed(); count as usize];
        let offset_bytes = first * size_of::<T>() as u64;
        let bytes = bytemuck::cast_slice_mut(&mut values);
        self.buffer(address).read(offset_bytes, bytes)?;
        Ok(values)
    }

    /// Queues a kernel over the bricks, unless the work was cancelled.
    pub(super) fn run(&self, launch: Result<Launch, LaunchError>) -> Result<(), OpError> {
        self.cancel.checkpoint()?;
        let launch = launch.map_err(GpuError::from)?;
        self.gpu.launch(&launch)?;
        self.gpu.pace(OPERATIONS * f64::from(launch.grid[0]))?;
        Ok(self.cancel.checkpoint()?)
    }

    fn step(&self, step: Step) -> Result<(), OpError> {
        self.run(self.params.launch(step))
    }

    /// Numbers the bricks that hold surface of those that are filled; how many there are.
    fn keep(&mut self, filled: u64, find: Step) -> Result<u64, OpError> {
        let all = self.params.bricks.iter().copied().map(i64::from).product();
        self.params.count = filled.cast_signed();
        self.params.flags = self.room(4 * filled)?;
        self.params.offsets = self.room(4 * (filled + 1))?;
        self.params.numbered = self.room(8 * filled)?;
        self.params.slots = self.room(4 * filled)?;
        self.params.directory = self.room(4 * i64::unsigned_abs(all))?;
        let none = FillParams {
            y: self.params.directory,
            count: all,
            value: MISSING_BRICK,
            padding: 0,
        };
        self.run(none.launch())?;
        self.step(find)?;
        let sums = ScanParams {
            x: self.params.flags,
            y: self.params.offsets,
            count: filled.cast_signed(),
        };
        self.run(sums.launch(1))?;
        self.step(Step::Number)?;
        let kept = u64::from(self.read::<u32>(self.params.offsets, filled, 1)?[0]);
        self.look_at(kept)?;
        Ok(kept)
    }

    /// Has the kernels look at so many bricks from now on.
    pub(super) fn look_at(&mut self, kept: u64) -> Result<(), GpuError> {
        // Vertices are counted in 32 bits.
        if kept > u64::from(u32::MAX) / MOST_VERTICES {
            return Err(GpuError::from(LaunchError::TooManyBlocks {
                kernel: "count_cells",
                blocks: kept,
                most: u64::from(u32::MAX) / MOST_VERTICES,
            }));
        }
        self.params.count = kept.cast_signed();
        Ok(())
    }

    /// Classifies the cells of the kept bricks and counts what the surface has.
    pub(super) fn count(&mut self, kept: u64) -> Result<Counted, OpError> {
        self.params.codes = self.room(2 * BRICK_CELLS * kept)?;
        self.params.first_in_brick = self.room(2 * BRICK_CELLS * kept)?;
        self.params.missed = self.room(32 * kept)?;
        self.params.counts = self.room(16 * kept)?;
        self.params.firsts = self.room(16 * (kept + 1))?;
        self.step(Step::Classify)?;
        self.step(Step::Count)?;
        let sums = ScanParams {
            x: self.params.counts,
            y: self.params.firsts,
            count: kept.cast_signed(),
        };
        self.run(sums.launch(4))?;
        let sum = |row: u64| {
            let at = row * (kept + 1) + kept;
            Ok::<_, GpuError>(u64::from(self.read::<u32>(self.params.firsts, at, 1)?[0]))
        };
        Ok(Counted {
            vertices: sum(0)?,
            faces: sum(1)?,
            open: sum(2)?,
            missed: sum(3)?,
        })
    }

    /// The kept bricks, and into which neighbours the surface runs from each.
    fn missed(&self, kept: u64) -> Result<(Vec<BrickPlace>, Vec<u8>), GpuError> {
        let numbered = self.read(self.params.numbered, 0, kept)?;
        Ok((numbered, self.read(self.params.missed, 0, 32 * kept)?))
    }

    /// Makes room on the device for what was counted.
    pub(super) fn room_for_mesh(&mut self, counted: &Counted) -> Result<(), GpuError> {
        self.params.positions = self.room(12 * counted.vertices)?;
        self.params.normals = self.room(12 * counted.vertices)?;
        self.params.triangles = self.room(24 * counted.faces)?;
        self.params.disagreeing = self.cleared(counted.vertices)?;
        Ok(())
    }

    /// Writes the faces and brings everything to the host.
    pub(super) fn finish(&self, counted: &Counted) -> Result<Surface, OpError> {
        self.step(Step::Faces)?;
        let (params, vertices) = (&self.params, counted.vertices);
        let surface = Surface {
            positions: self.read(params.positions, 0, vertices)?,
            normals: self.read(params.normals, 0, vertices)?,
            triangles: self.read(params.triangles, 0, 2 * counted.faces)?,
            disagreeing: self.read(params.disagreeing, 0, vertices)?,
            is_open: counted.open > 0,
        };
        self.cancel.checkpoint()?;
        Ok(surface)
    }
}
