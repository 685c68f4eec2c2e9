//! The samples of a lattice on a CUDA device, as they grow.

use std::sync::Arc;

use bytemuck::Zeroable;

use super::super::OpError;
use super::super::device::count;
use super::super::fourier::PointsOnDevice;
use super::numbering::{Numbering, all_blocks};
use super::{Decode, Request, SampleLattice, SparseSamples, Wanted};
use crate::compute::cuda::Buffer;
use crate::compute::kernels::{
    BLOCK_SAMPLES, BLOCK_WANTED_BYTES, LaunchError, SamplesParams, SamplesStep as Step, ScanParams,
};
use crate::compute::{Gpu, GpuError, Matrix};

/// What the memory is for.
const WHAT: &str = "the field's samples";
/// Bytes of the values of a block.
const VALUES_BYTES: u64 = 4 * BLOCK_SAMPLES;
/// Bytes of the coordinates of a block.
const PLACE_BYTES: u64 = 8;
/// Samples that are listed together, at most.
const LISTED: u32 = 1 << 19;
/// Of the blocks that are held at first, as many more as one of so many have room, for those that the surface
/// leads to.
const ROOM: u64 = 8;
/// The most blocks whose samples can be named by a word.
const MOST_HELD: u64 = (1 << 32) / BLOCK_SAMPLES - 1;
/// The bits of the value of what was not evaluated.
const NOT_EVALUATED: u32 = f32::NAN.to_bits();

/// What the samples of so many blocks take while they grow, of a lattice that has so many.
pub(super) fn held_bytes(all: u64, held: u64) -> u64 {
    // And a count and a sum.
    let each = VALUES_BYTES + BLOCK_WANTED_BYTES + PLACE_BYTES + 8;
    // A word of the directory and a mark for each there is; the marks' counts are few.
    5 * all + (held + held / ROOM) * each
}

/// What samples on their way take.
pub(super) fn passing_bytes(points_at_once: usize) -> u64 {
    4 * u64::from(LISTED) + 12 * points_at_once as u64
}

/// Samples a lattice: evaluates what is wanted, and what the surface leads to from there, until every cell that
/// it passes is known. `decode` answers for chunks of points.
///
/// # Errors
///
/// [`OpError`] when cancelled, out of memory, when the device failed or the lattice is too large for it; and
/// those of `decode`.
///
/// # Panics
///
/// When there are not as many answers as points.
pub fn sample<E: From<OpError>>(
    request: &Request<'_>,
    decode: Decode<'_, E>,
) -> Result<SparseSamples, E> {
    let mut growing = Growing::new(request)?;
    growing.hold()?;
    growing.evaluate(decode)?;
    growing.params.which = SamplesParams::FOLLOWING;
    while growing.hold()? {
        let before = growing.asked;
        growing.followed += 1;
        growing.evaluate(decode)?;
        // What is newly wanted has no value: only a device that computes something else could go on for ever.
        if growing.asked == before {
            break;
        }
    }
    Ok(growing.finish())
}

/// Where the first sample of the coarser lattice is, in steps of the finer one from its first.
fn shift(fine: &SampleLattice, coarse: &SampleLattice) -> Result<[i32; 3], GpuError> {
    let mut shift = [0; 3];
    for (axis, shift) in shift.iter_mut().enumerate() {
        let first =
            |lattice: &SampleLattice| f64::from((lattice.origin[axis] / lattice.step).round());
        let steps = 2.0 * first(coarse) - first(fine);
        // Further apart they have nothing in common.
        if steps.is_nan() || steps.abs() >= f64::from(1 << 24) {
            return Err(GpuError::from(LaunchError::Size {
                kernel: "mark_blocks",
                what: "the distance of two lattices",
                value: steps as i64,
                takes: "less than 16777216 steps",
            }));
        }
        *shift = steps as i32;
    }
    Ok(shift)
}

fn sizes(samples: [usize; 3]) -> Result<[i32; 3], GpuError> {
    let size = |axis: usize| count("mark_blocks", "the samples", samples[axis]);
    Ok([size(0)?, size(1)?, size(2)?])
}

/// A lattice being sampled: its workspace and the memory that it points to.
struct Growing<'a> {
    request: &'a Request<'a>,
    params: SamplesParams,
    numbering: Numbering,
    directory: Buffer,
    places: Buffer,
    values: Buffer,
    wanted: Buffer,
    held: u64,
    /// Blocks that there is room for.
    room: u64,
    asked: u64,
    followed: u32,
}

impl<'a> Growing<'a> {
    fn new(request: &'a Request<'a>) -> Result<Self, OpError> {
        let lattice = &request.lattice;
        let samples = sizes(lattice.samples)?;
        let [least, most] = request.extent;
        let mut params = SamplesParams {
            blocks: samples.map(|samples| (samples.saturating_add(7)) / 8),
            samples,
            origin: lattice.origin,
            step: lattice.step,
            least,
            most,
            sign: request.sign,
            threshold: request.threshold,
            which: match request.wanted {
                Wanted::Everywhere(_) => SamplesParams::EVERYWHERE,
                Wanted::Near(..) => SamplesParams::NEAR_SURFACE,
            },
            near: match request.wanted {
                Wanted::Everywhere(_) => 0.0,
                Wanted::Near(_, near) => near,
            },
            ..SamplesParams::zeroed()
        };
        if let Some(coarser) = request.wanted.coarser() {
            params.coarse_values = coarser.values.at(0);
            params.coarse_directory = coarser.directory.at(0);
            params.coarse_blocks = coarser.blocks;
            params.coarse_samples = coarser.samples;
            params.shift = shift(lattice, &coarser.lattice)?;
        }
        let gpu = request.gpu;
        let numbering = Numbering::new(gpu, request.cancel, &mut params, WHAT)?;
        let directory = numbering.empty_directory(&params, WHAT)?;
        params.directory = directory.at(0);
        let nothing = || Buffer::new(gpu, 0, WHAT);
        Ok(Self {
            request,
            params,
            numbering,
            directory,
            places: nothing()?,
            values: nothing()?,
            wanted: nothing()?,
            held: 0,
            room: 0,
            asked: request.wanted.coarser().map_or(0, SparseSamples::asked),
            followed: 0,
        })
    }

    fn gpu(&self) -> &'a Arc<Gpu> {
        self.request.gpu
    }

    /// Queues a step over `count` blocks from `first` on.
    fn step(&mut self, step: Step, first: u64, count: u64) -> Result<(), OpError> {
        self.params.first = first.cast_signed();
        self.params.count = count.cast_signed();
        self.numbering.run(self.params.launch(step))
    }

    /// Holds the blocks in which anything is wanted and notes what; whether there was anything new.
    fn hold(&mut self) -> Result<bool, OpError> {
        self.numbering.clear()?;
        self.step(Step::Mark, 0, 0)?;
        let marked = self.numbering.count(&self.params)?;
        // No allocation follows a number that cannot be.
        if marked.new > all_blocks(&self.params) - self.held {
            return Err(self.wrong("mark_blocks"));
        }
        if marked.new > 0 {
            self.make_room(marked.new)?;
            self.params.first = self.held.cast_signed();
            self.numbering.number(&self.params)?;
            self.step(Step::Want, self.held, marked.new)?;
            self.held += marked.new;
        }
        Ok(marked.new + marked.changed > 0)
    }

    /// Makes room for so many more blocks, without any value.
    fn make_room(&mut self, more: u64) -> Result<(), OpError> {
        let needed = self.held + more;
        if needed > MOST_HELD {
            let too_many = LaunchError::TooManyBlocks {
                kernel: "number_blocks",
                blocks: needed,
                most: MOST_HELD,
            };
            return Err(GpuError::from(too_many).into());
        }
        if needed > self.room {
            let is_growing = self.params.which != SamplesParams::EVERYWHERE;
            let spare = if is_growing { needed / ROOM } else { 0 };
            // No more than there are.
            let room = (needed + spare).min(all_blocks(&self.params)).max(needed);
            for (buffer, each) in [
                (&mut self.places, PLACE_BYTES),
                (&mut self.values, VALUES_BYTES),
                (&mut self.wanted, BLOCK_WANTED_BYTES),
            ] {
                let larger = Buffer::new(self.request.gpu, each * room, WHAT)?;
                if each == PLACE_BYTES {
                    // A kernel that does not number blocks as it should leads no other astray.
                    larger.clear()?;
                }
                if self.held > 0 {
                    larger.copy_from(0, buffer, 0, each * self.held)?;
                }
                *buffer = larger;
            }
            self.room = room;
            self.params.places = self.places.at(0);
            self.params.values = self.values.at(0);
            self.params.wanted = self.wanted.at(0);
        }
        let first = self.values.at(VALUES_BYTES * self.held);
        self.numbering
            .fill(first, BLOCK_SAMPLES * more, NOT_EVALUATED)
    }

    /// Evaluates what is wanted and has no value, or takes it from the coarser lattice.
    fn evaluate<E: From<OpError>>(&mut self, decode: Decode<'_, E>) -> Result<(), E> {
        let held = self.held;
        let counts = self.buffer(4 * held)?;
        let offsets = self.buffer(4 * (held + 1))?;
        self.params.counts = counts.at(0);
        self.params.offsets = offsets.at(0);
        self.step(Step::TakeKnown, 0, held)?;
        let sums = ScanParams {
            x: counts.at(0),
            y: offsets.at(0),
            count: held.cast_signed(),
        };
        self.numbering.run(sums.launch(1))?;
        let mut before = vec![0_u32; held as usize + 1];
        let bytes = bytemuck::cast_slice_mut(&mut before);
        offsets.read(0, bytes).map_err(OpError::from)?;
        drop(counts);
        let all = before[held as usize];
        let is_of_a_block = |sums: &[u32]| {
            let count = sums[1].checked_sub(sums[0]);
            count.is_some_and(|count| u64::from(count) <= BLOCK_SAMPLES)
        };
        if !before.windows(2).all(is_of_a_block) {
            return Err(self.wrong("scan").into());
        }
        if all == 0 {
            return Ok(());
        }
        let list = self.buffer(4 * u64::from(all.min(LISTED)))?;
        // Nor does one that does not list.
        list.clear().map_err(OpError::from)?;
        self.params.list = list.at(0);
        let room = self.request.points_at_once.max(1).min(all as usize);
        let mut points = PointsOnDevice::with_room(self.gpu(), room).map_err(OpError::from)?;
        self.params.points = points.address();
        let mut first = 0;
        while first < held as usize {
            // As many blocks as fit into the list.
            let most = before[first].saturating_add(LISTED);
            let end = before.partition_point(|sum| *sum <= most) - 1;
            let listed = (before[end] - before[first]) as usize;
            if listed > 0 {
                self.step(Step::List, first as u64, (end - first) as u64)?;
            }
            for start in (0..listed).step_by(room) {
                points.truncate(room.min(listed - start));
                self.ask(start as u64, &points, decode)?;
            }
            first = end;
        }
        Ok(())
    }

    /// Asks for the samples of the list from the one at `first` on.
    fn ask<E: From<OpError>>(
        &mut self,
        first: u64,
        points: &PointsOnDevice,
        decode: Decode<'_, E>,
    ) -> Result<(), E> {
        let count = points.count() as u64;
        self.step(Step::Points, first, count)?;
        let answers: Matrix = decode(points)?;
        super::checked(&answers, points);
        let (buffer, number) = answers.buffer();
        self.params.answers = buffer.at(0);
        self.numbering.run(self.params.launch_putting(number))?;
        self.asked += count;
        Ok(())
    }

    fn wrong(&self, kernel: &str) -> OpError {
        OpError::Gpu(GpuError::WrongAnswer {
            device: self.gpu().device(),
            kernel: kernel.into(),
        })
    }

    fn buffer(&self, size_bytes: u64) -> Result<Buffer, OpError> {
        Ok(Buffer::new(self.gpu(), size_bytes, WHAT)?)
    }

    fn finish(self) -> SparseSamples {
        SparseSamples {
            lattice: self.request.lattice,
            blocks: self.params.blocks,
            samples: self.params.samples,
            directory: self.directory,
            places: self.places,
            values: self.values,
            held: self.held,
            asked: self.asked,
            followed: self.followed,
        }
    }
}
