//! Latent fields sampled from coarse to fine on a CUDA device: the same samples as the processor's, none of which
//! comes to the host.

use std::sync::Arc;

use super::decoder::{CHUNK_ON_DEVICE, LatentField};
use crate::compute::ops::fourier::PointsOnDevice;
use crate::compute::ops::hierarchy::{self, Request, SampleLattice, SparseSamples, Wanted};
use crate::compute::ops::{OpError, Ops};
use crate::compute::{Cancel, Context, Gpu, GpuError, Ledger, Matrix, Number};
use crate::field::{Brick, Evaluate, Hierarchy, Lattices, Region, SparseGrid};
use crate::models::error::ModelError;

/// The samples of a lattice on a device, which several may hold.
pub type SamplesOnDevice = Arc<SparseSamples>;

/// What is sampled, from coarse to fine.
#[derive(Debug, Clone, Copy)]
pub struct LatticeSampling<'a> {
    /// How lattices lead to the finest.
    pub hierarchy: Hierarchy,
    /// The box that the field lies in.
    pub extent: Region,
    /// The finest lattice.
    pub lattice: Brick,
    /// Saves the coarser lattices, as in [`Hierarchy::evaluate`].
    pub from: Option<&'a SamplesOnDevice>,
    /// The field's value where its surface lies.
    pub threshold: f32,
}

/// Samples a field on a device that `decode` answers for: at chunks of at most `points_at_once` points a number
/// each, that times `sign` is positive inside. See [`Hierarchy::evaluate`], with which it shares everything but
/// the place.
///
/// # Errors
///
/// [`OpError`] when cancelled, out of memory, or when the device failed; and those of `decode`.
pub fn sample_on_device<E: From<OpError>>(
    (gpu, cancel): (&Arc<Gpu>, &Cancel),
    sampling: &LatticeSampling<'_>,
    (sign, points_at_once): (f32, usize),
    decode: &mut dyn FnMut(&PointsOnDevice) -> Result<Matrix, E>,
) -> Result<SamplesOnDevice, E> {
    let mut lattices = OnDevice {
        gpu,
        cancel,
        sampling,
        sign,
        points_at_once,
        decode,
    };
    let (lattice, from) = (sampling.lattice, sampling.from);
    sampling.hierarchy.refine(lattice, from, &mut lattices)
}

impl LatentField {
    /// Samples the field on the context's device, whose kernels are checked before their first use.
    ///
    /// # Errors
    ///
    /// [`ModelError::Cancelled`], [`ModelError::OutOfMemory`] and [`ModelError::Gpu`].
    pub fn sample_on_device(
        &self,
        gpu: &Arc<Gpu>,
        sampling: &LatticeSampling<'_>,
        context: &Context,
    ) -> Result<SamplesOnDevice, ModelError> {
        check_sampling_once(gpu)?;
        let mut decode = |points: &PointsOnDevice| self.decoded_on_device(points, context);
        let how = (self.sign(), CHUNK_ON_DEVICE);
        sample_on_device((gpu, &context.cancel), sampling, how, &mut decode)
    }

    /// What the samples of a solid of an ordinary shape take of a device at a level before they are evaluated,
    /// beside what a chunk of points does.
    pub fn typical_sample_bytes(level: u32) -> u64 {
        hierarchy::typical_bytes(level, CHUNK_ON_DEVICE)
    }
}

/// The sample points of what is on a device.
pub fn lattice_of(samples: &SparseSamples) -> Brick {
    let SampleLattice {
        origin,
        step,
        samples,
    } = *samples.lattice();
    Brick {
        origin,
        step,
        samples,
    }
}

/// A device that evaluates a lattice at a time.
struct OnDevice<'a, E> {
    gpu: &'a Arc<Gpu>,
    cancel: &'a Cancel,
    sampling: &'a LatticeSampling<'a>,
    sign: f32,
    points_at_once: usize,
    decode: &'a mut dyn FnMut(&PointsOnDevice) -> Result<Matrix, E>,
}

impl<E: From<OpError>> OnDevice<'_, E> {
    fn sample(&mut self, lattice: &Brick, wanted: Wanted<'_>) -> Result<SamplesOnDevice, E> {
        let Region { min, max } = self.sampling.extent;
        let request = Request {
            gpu: self.gpu,
            cancel: self.cancel,
            lattice: SampleLattice {
                origin: lattice.origin,
                step: lattice.step,
                samples: lattice.samples,
            },
            extent: [min, max],
            wanted,
            sign: self.sign,
            threshold: self.sampling.threshold,
            points_at_once: self.points_at_once,
        };
        hierarchy::sample(&request, self.decode).map(Arc::new)
    }
}

impl<E: From<OpError>> Lattices for OnDevice<'_, E> {
    type Samples = SamplesOnDevice;
    type Error = E;

    fn lattice(samples: &SamplesOnDevice) -> Brick {
        lattice_of(samples)
    }

    fn again(&mut self, samples: &SamplesOnDevice) -> Result<SamplesOnDevice, E> {
        Ok(Arc::clone(samples))
    }

    fn everywhere(
        &mut self,
        lattice: &Brick,
        coarser: Option<&SamplesOnDevice>,
    ) -> Result<SamplesOnDevice, E> {
        self.sample(
            lattice,
            Wanted::Everywhere(coarser.map(|samples| &**samples)),
        )
    }

    fn near_surface(
        &mut self,
        lattice: &Brick,
        coarser: &SamplesOnDevice,
        near: f32,
    ) -> Result<SamplesOnDevice, E> {
        self.sample(lattice, Wanted::Near(coarser, near))
    }
}

/// What the check of the kernels is called.
const CHECK: &str = "the samples of a field";
/// The box of the check's field, with sides of three lengths.
pub const CHECK_EXTENT: Region = Region {
    min: [-1.0, -0.75, -0.5],
    max: [1.0, 0.75, 0.25],
};
/// The steps of the lattices of the check, one for each format of answers.
const CHECK_STEPS: [f32; 3] = [0.25, 0.125, 0.0625];
/// The first of its lattices.
const CHECK_HIERARCHY: Hierarchy = Hierarchy {
    dense_cells: 11,
    near: 0.01,
};
/// Fewer than there are in one lattice, so that there are several chunks.
const CHECK_POINTS: usize = 500;
/// What its values are made of and turned back by.
const CHECK_SIGN: f32 = -1.0;
const CHECK_THRESHOLD: f32 = 0.5;

/// A bent sheet with a rod on it that lies between the samples of the coarsest lattice, from where it is followed.
fn check_value([x, y, z]: [f32; 3]) -> f32 {
    let sheet = 0.1 - (z + 0.2 - 0.25 * x * y).abs();
    let rod = 0.1 - (x - 0.55).abs().max((y - 0.13).abs());
    sheet.max(rod)
}

/// Has the answers in the format in which a device has them.
struct OnProcessor(Number);

impl Evaluate for OnProcessor {
    type Error = GpuError;

    fn values(&mut self, points: &[[f32; 3]], values: &mut [f32]) -> Result<(), GpuError> {
        for (value, point) in values.iter_mut().zip(points) {
            *value = check_answer(*point);
        }
        self.0.round(values);
        for value in values {
            *value = CHECK_SIGN * *value - CHECK_THRESHOLD;
        }
        Ok(())
    }

    fn hold(&mut self, _: u64) -> Result<(), GpuError> {
        Ok(())
    }
}

fn check_answer(point: [f32; 3]) -> f32 {
    CHECK_SIGN * (check_value(point) + CHECK_THRESHOLD)
}

/// The field of the check sampled in both places on a lattice over [`CHECK_EXTENT`], with answers of a format, from those of a coarser one
/// where there are any; for whoever checks what is made of samples.
///
/// # Errors
///
/// Whatever happened to the device.
pub fn sample_check(
    gpu: &Arc<Gpu>,
    (lattice, number): (Brick, Number),
    from: Option<&(SparseGrid, SamplesOnDevice)>,
) -> Result<(SparseGrid, SamplesOnDevice), GpuError> {
    let (from_here, from_there) = (from.map(|from| &from.0), from.map(|from| &from.1));
    let sampling = LatticeSampling {
        hierarchy: CHECK_HIERARCHY,
        extent: CHECK_EXTENT,
        lattice,
        from: from_there,
        threshold: CHECK_THRESHOLD,
    };
    let expected =
        CHECK_HIERARCHY.evaluate(CHECK_EXTENT, lattice, from_here, &mut OnProcessor(number))?;
    // Not to be cancelled: it takes no time, and its answer is kept.
    let context = Context {
        gpu: Some(Arc::clone(gpu)),
        ledger: Ledger::unlimited(),
        cancel: Cancel::default(),
    };
    let mut decode = |points: &PointsOnDevice| {
        let points = points.to_host()?;
        let ops = Ops::new(&context, number);
        ops.filled(points.len(), 1, "a check", || {
            Ok::<_, OpError>(points.iter().copied().map(check_answer).collect())
        })
    };
    let how = (CHECK_SIGN, CHECK_POINTS);
    let found = sample_on_device((gpu, &context.cancel), &sampling, how, &mut decode);
    Ok((expected, found.map_err(OpError::of_check)?))
}

/// The same once for a device.
///
/// # Errors
///
/// As [`check_sampling`], now or the first time.
pub fn check_sampling_once(gpu: &Arc<Gpu>) -> Result<(), GpuError> {
    gpu.checked(CHECK, || check_sampling(gpu))
}

/// Compares what a device samples of a formula with the processor's samples, bit by bit.
///
/// # Errors
///
/// [`GpuError::WrongAnswer`] where they differ; else whatever happened to the device.
pub fn check_sampling(gpu: &Arc<Gpu>) -> Result<(), GpuError> {
    let mut before = None;
    for (step, number) in CHECK_STEPS.into_iter().zip(Number::ALL) {
        let first = CHECK_EXTENT.min.map(|min| (min / step).floor() - 1.0);
        let last = CHECK_EXTENT.max.map(|max| (max / step).ceil() + 1.0);
        let lattice = Brick {
            origin: first.map(|first| first * step),
            step,
            samples: std::array::from_fn(|axis| (last[axis] - first[axis]) as usize + 1),
        };
        let sampled = sample_check(gpu, (lattice, number), before.as_ref())?;
        compare(gpu, &sampled)?;
        before = Some(sampled);
    }
    Ok(())
}

/// Whether a device has the processor's samples.
fn compare(gpu: &Gpu, (expected, found): &(SparseGrid, SamplesOnDevice)) -> Result<(), GpuError> {
    let wrong = |what: &str| GpuError::WrongAnswer {
        device: gpu.device(),
        kernel: format!("{CHECK} ({what})"),
    };
    let (places, blocks) = found.to_host()?;
    let mut evaluated = 0;
    for (place, values) in places.iter().zip(&blocks) {
        for (at, value) in values.iter().enumerate() {
            let within = [at % 8, at / 8 % 8, at / 64];
            let index = std::array::from_fn(|axis| 8 * usize::from(place[axis]) + within[axis]);
            let expected = expected.value(index);
            let is_unknown = value.is_nan() && expected.is_nan();
            if !is_unknown && value.to_bits() != expected.to_bits() {
                return Err(wrong("other values"));
            }
            evaluated += usize::from(!value.is_nan());
        }
    }
    if evaluated == expected.evaluated() {
        Ok(())
    } else {
        Err(wrong("other samples"))
    }
}
