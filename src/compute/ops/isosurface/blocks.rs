//! The surface among the samples of sparse blocks, which are on the device already.

use super::super::OpError;
use super::super::hierarchy::{Numbering, SparseSamples};
use super::cuda::{Extraction, WHAT};
use super::{Lattice, Request, Surface};
use crate::compute::kernels::{BRICK_SAMPLES, SamplesParams, SamplesStep as Step};
use crate::compute::{GpuError, Ledger, Reservation};

/// Cells along the side of a brick.
const SIDE: usize = 8;

impl SparseSamples {
    /// The samples as the lattice that a surface is extracted from.
    pub fn cells(&self) -> Lattice {
        let samples = self.lattice();
        let cells = samples.samples.map(|samples| samples.saturating_sub(1));
        Lattice {
            origin: samples.origin,
            step: samples.step,
            cells,
            bricks: cells.map(|cells| cells.div_ceil(SIDE)),
        }
    }
}

/// The surface among sampled blocks; the request's lattice is theirs. The bricks come in Morton order, as those of
/// the processor's survey do. What its parts take of the host is reserved in `host` before they are brought there.
///
/// # Errors
///
/// [`OpError`] when cancelled, out of memory, or when the device failed.
///
/// # Panics
///
/// When the request has another lattice.
pub fn extract_blocks(
    request: &Request<'_>,
    samples: &SparseSamples,
    host: &Ledger,
) -> Result<(Surface, Reservation), OpError> {
    assert_eq!(
        request.lattice,
        samples.cells(),
        "the lattice of the samples"
    );
    let mut extraction = Extraction::new(request)?;
    let mut params = samples.params();
    let all = request.lattice.bricks.iter().product::<usize>() as u64;
    // From here on the places are bricks.
    let mut places = SamplesParams {
        blocks: extraction.params.bricks,
        ..params
    };
    let numbering = Numbering::new(request.gpu, request.cancel, &mut places, WHAT)?;
    params.marks = places.marks;
    params.count = all.cast_signed();
    numbering.run(params.launch(Step::MarkMixed))?;
    let kept = numbering.count(&places)?.new;
    // No allocation follows a number that cannot be.
    if kept > all {
        return Err(OpError::Gpu(GpuError::WrongAnswer {
            device: request.gpu.device(),
            kernel: "mark_mixed".into(),
        }));
    }
    if kept == 0 {
        return Ok((Surface::default(), host.reserve(0, WHAT)?));
    }
    extraction.look_at(kept)?;
    let directory = numbering.empty_directory(&places, WHAT)?;
    places.directory = directory.at(0);
    places.places = extraction.cleared(8 * kept)?;
    numbering.number(&places)?;
    drop(numbering);
    extraction.params.directory = places.directory;
    extraction.params.numbered = places.places;
    extraction.params.values = extraction.room(4 * BRICK_SAMPLES * kept)?;
    params.places = places.places;
    extraction.params.slots = extraction.room(4 * kept)?;
    params.bricks = extraction.params.values;
    params.slots = extraction.params.slots;
    params.count = kept.cast_signed();
    extraction.run(params.launch(Step::CopyToBricks))?;
    // The surface runs into no brick that is not kept, as all corners of the cells that it passes are known.
    let counted = extraction.count(kept)?;
    extraction.room_for_mesh(&counted)?;
    extraction.run(extraction.params.launch_placing_on_interpolation())?;
    let memory = host.reserve(counted.host_bytes(), WHAT)?;
    Ok((extraction.finish(&counted)?, memory))
}
