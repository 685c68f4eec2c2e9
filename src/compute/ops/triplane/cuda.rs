//! The perceptron over three planes on a device: sampled, then a product a layer, many points at once.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::device::count;
use super::super::gemm::transposed;
use super::super::{Matrix, OpError, Ops};
use super::Layer;
use crate::compute::cuda::{Buffer, size_in_ledger};
use crate::compute::kernels::{
    CastParams, GemmFormat, GemmParams, Launch, PlanesParams, SlopedParams, Tile,
};
use crate::compute::{Cancel, Gpu, GpuError, Ledger, Number, OutOfMemory, Reservation};

/// SiLU, as the kernels number it.
const SILU: i32 = 3;
/// What the last layer gives at a point.
const DECODED: usize = 4;

/// The sizes that the memory follows from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) side: usize,
    pub(super) channels: usize,
    pub(super) width: usize,
    /// All of them, the first and the last included.
    pub(super) layers: usize,
    /// Points at once.
    pub(super) chunk: usize,
}

impl Shape {
    /// Inputs and outputs of a layer.
    fn layer(&self, layer: usize) -> [usize; 2] {
        let inputs = if layer == 0 {
            3 * self.channels
        } else {
            self.width
        };
        let outputs = if layer + 1 == self.layers {
            DECODED
        } else {
            self.width
        };
        [inputs, outputs]
    }

    /// The numbers of every buffer: planes, points, features, what goes in and out of a layer, and weights
    /// and bias of each layer.
    fn numbers(&self) -> Vec<usize> {
        let texels = 3 * self.side * self.side;
        let between = self.chunk * self.width.max(DECODED);
        let mut numbers = vec![
            texels * self.channels,
            3 * self.chunk,
            3 * self.channels * self.chunk,
            between,
            between,
        ];
        for layer in 0..self.layers {
            let [inputs, outputs] = self.layer(layer);
            numbers.extend([inputs * outputs, outputs]);
        }
        numbers
    }

    /// Reserves what [`OnDevice`] takes.
    pub(super) fn reserve(&self, ledger: &Ledger) -> Result<Vec<Reservation>, OutOfMemory> {
        let sizes = self.numbers().into_iter();
        let reserve = |count: usize| ledger.reserve(size_in_ledger(4 * count as u64), "the field");
        sizes.map(reserve).collect()
    }
}

/// Planes of features and all layers on a device.
#[derive(Debug)]
pub(in super::super) struct OnDevice {
    shape: Shape,
    radius: f32,
    planes: Buffer,
    layers: Vec<[Buffer; 2]>,
    /// Of the first of the last layer's outputs, the density.
    last_bias: f32,
    /// In use by one caller at a time.
    scratch: Mutex<Scratch>,
}

#[derive(Debug)]
struct Scratch {
    points: Buffer,
    features: Buffer,
    between: [Buffer; 2],
}

impl OnDevice {
    pub(super) fn new(
        ops: &Ops<'_>,
        gpu: &Arc<Gpu>,
        features: &Matrix,
        shape: &Shape,
        radius: f32,
        layers: &[Layer],
    ) -> Result<Self, OpError> {
        let mut sizes = shape.numbers().into_iter();
        let mut buffer = || {
            let count = sizes.next().unwrap_or_default();
            Buffer::new(gpu, 4 * count as u64, "the field")
        };
        let planes = buffer()?;
        let scratch = Scratch {
            points: buffer()?,
            features: buffer()?,
            between: [buffer()?, buffer()?],
        };
        let last_bias = layers.last().map_or(0.0, |last| last.bias[0]);
        let layers = layers
            .iter()
            .map(|layer| {
                let [weights, bias] = [buffer()?, buffer()?];
                let by_output = transposed(&layer.weights, layer.bias.len());
                weights.write_numbers(Number::F32, &by_output)?;
                bias.write_numbers(Number::F32, &layer.bias)?;
                Ok([weights, bias])
            })
            .collect::<Result<_, GpuError>>()?;
        let (from, number) = features.buffer();
        if number == Number::F32 {
            planes.copy_from(0, from, 0, from.size_bytes())?;
        } else {
            let count = features.rows() * features.columns();
            let params = CastParams {
                x: from.at(0),
                y: planes.at(0),
                count: count as i64,
            };
            let operations = 100.0 * count as f64;
            ops.launch(gpu, params.launch(number, Number::F32), operations)?;
        }
        Ok(Self {
            shape: *shape,
            radius,
            planes,
            layers,
            last_bias,
            scratch: Mutex::new(scratch),
        })
    }

    pub(super) fn chunk(&self) -> usize {
        self.shape.chunk
    }

    /// The first `outputs` results of each point, one point after another.
    pub(super) fn decode(
        &self,
        points: &[[f32; 3]],
        outputs: usize,
        decoded: &mut [f32],
    ) -> Result<(), GpuError> {
        let scratch = self.scratch();
        let chunks = points.chunks(self.shape.chunk);
        for (points, decoded) in chunks.zip(decoded.chunks_mut(self.shape.chunk * outputs)) {
            let asked = &scratch.points;
            asked.write_numbers(Number::F32, points.as_flattened())?;
            let answers = &scratch.between[(self.shape.layers - 1) % 2];
            let (asked, to) = (asked.at(0), answers.at(0));
            self.run(&scratch, Rows::Values, asked, points.len(), (to, outputs))?;
            answers.read(0, bytemuck::cast_slice_mut(decoded))?;
        }
        Ok(())
    }

    fn scratch(&self) -> MutexGuard<'_, Scratch> {
        // What it holds is written before it is read.
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be added to the values of [`OnDevice::answer`].
    pub(in super::super) fn shift(&self) -> f32 {
        self.last_bias
    }

    /// Has points written, as many at a time as fit, and writes the densities there one after another. `ask` is
    /// given the address for the points and which ones are wanted, of which there are whole multiples of `each`.
    pub(in super::super) fn fill(
        &self,
        count: usize,
        each: usize,
        to: u64,
        mut ask: impl FnMut(u64, Range<usize>) -> Result<(), OpError>,
    ) -> Result<(), OpError> {
        let scratch = self.scratch();
        let together = self.shape.chunk / each * each;
        assert!(
            together > 0,
            "room for the points that are asked for together"
        );
        let points = scratch.points.at(0);
        for first in (0..count).step_by(together) {
            let some = first..count.min(first + together);
            ask(points, some.clone())?;
            let to = to + 4 * first as u64;
            self.run(&scratch, Rows::Values, points, some.len(), (to, 1))?;
        }
        Ok(())
    }

    /// Writes the density at each of some points, but for [`OnDevice::shift`], and its slopes along x, y and z.
    pub(in super::super) fn answer(
        &self,
        points: u64,
        count: usize,
        to: u64,
        cancel: &Cancel,
    ) -> Result<(), OpError> {
        let scratch = self.scratch();
        let together = (self.shape.chunk / Rows::WithSlopes.each()).max(1);
        for first in (0..count).step_by(together) {
            cancel.checkpoint()?;
            let some = together.min(count - first);
            let (points, to) = (points + 12 * first as u64, to + 16 * first as u64);
            self.run(&scratch, Rows::WithSlopes, points, some, (to, 1))?;
        }
        Ok(())
    }

    /// Runs the perceptron at points and writes the first so many outputs for each row to an address.
    fn run(
        &self,
        scratch: &Scratch,
        kind: Rows,
        points: u64,
        points_count: usize,
        (to, outputs): (u64, usize),
    ) -> Result<(), GpuError> {
        let gpu = self.planes.gpu();
        let launch = |launch: Result<Launch, GpuError>| gpu.launch(&launch?);
        launch(self.sample(scratch, kind, points, points_count))?;
        let rows = points_count * kind.each();
        let mut operations = 0.0;
        let mut from = &scratch.features;
        for (layer, [weights, bias]) in self.layers.iter().enumerate() {
            let is_last = layer + 1 == self.shape.layers;
            let [inputs, all] = self.shape.layer(layer);
            let between = &scratch.between[layer % 2];
            let product = Product {
                from: from.at(0),
                weights: weights.at(0),
                // A slope knows nothing of what is added to the sums.
                bias: if kind == Rows::Values { bias.at(0) } else { 0 },
                to: if is_last { to } else { between.at(0) },
                rows,
                inputs,
                outputs: if is_last { outputs } else { all },
                activation: if is_last || kind == Rows::WithSlopes {
                    0
                } else {
                    SILU
                },
            };
            launch(product.launch(gpu.multiprocessors()))?;
            if kind == Rows::WithSlopes && !is_last {
                let params = SlopedParams {
                    x: between.at(0),
                    bias: bias.at(0),
                    points_count: points_count as i64,
                    width: count("silu_with_slopes", "the width", all)?,
                    padding: 0,
                };
                launch(params.launch().map_err(GpuError::from))?;
            }
            operations += 2.0 * (rows * inputs) as f64 * all as f64;
            from = between;
        }
        gpu.pace(operations)
    }

    /// The launch that samples the planes at points.
    fn sample(
        &self,
        scratch: &Scratch,
        kind: Rows,
        points: u64,
        points_count: usize,
    ) -> Result<Launch, GpuError> {
        let size = |what, size| count("sample_planes", what, size);
        let params = PlanesParams {
            planes: self.planes.at(0),
            points,
            y: scratch.features.at(0),
            points_count: points_count as i64,
            side: size("the side", self.shape.side)?,
            channels: size("channels", self.shape.channels)?,
            scale: 1.0 / self.radius,
            padding: 0,
        };
        Ok(match kind {
            Rows::Values => params.launch(Number::F32)?,
            Rows::WithSlopes => params.launch_with_slopes()?,
        })
    }
}

/// What goes through the perceptron for a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rows {
    /// A row.
    Values,
    /// A row, and how it grows along x, y and z.
    WithSlopes,
}

impl Rows {
    /// Rows of a point.
    fn each(self) -> usize {
        match self {
            Self::Values => 1,
            Self::WithSlopes => 4,
        }
    }
}

/// A layer's product in 32 bits, of what is at these addresses.
struct Product {
    from: u64,
    weights: u64,
    bias: u64,
    to: u64,
    rows: usize,
    inputs: usize,
    outputs: usize,
    activation: i32,
}

impl Product {
    fn launch(&self, multiprocessors: u32) -> Result<Launch, GpuError> {
        let size = |what, size| count("gemm", what, size);
        let (inputs, outputs) = (self.inputs as i64, self.outputs as i64);
        let params = GemmParams {
            a: self.from,
            weight: self.weights,
            weight_scale: 0,
            bias: self.bias,
            gate: 0,
            residual: 0,
            c: self.to,
            row_offsets: 0,
            a_row: inputs,
            weight_row: inputs,
            residual_row: 0,
            c_row: outputs,
            a_batch: 0,
            weight_batch: 0,
            scale_batch: 0,
            bias_batch: 0,
            gate_batch: 0,
            residual_batch: 0,
            c_batch: 0,
            m: size("m", self.rows)?,
            n: size("n", self.outputs)?,
            k: size("k", self.inputs)?,
            activation: self.activation,
            wide_output: 0,
            alpha: 1.0,
        };
        let tile = Tile::choose(params.m, params.n, 1, multiprocessors);
        Ok(params.launch(GemmFormat::F32, tile, 1)?)
    }
}
