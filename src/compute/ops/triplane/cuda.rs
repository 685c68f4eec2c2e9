//! The perceptron over three planes on a device: sampled, then a product a layer, many points at once.

use std::sync::{Arc, Mutex, PoisonError};

use super::super::device::count;
use super::super::gemm::transposed;
use super::super::{Matrix, OpError, Ops};
use super::Layer;
use crate::compute::cuda::{Buffer, Lane, size_in_ledger};
use crate::compute::kernels::{
    CastParams, GemmFormat, GemmParams, LaunchError, PlanesParams, Tile,
};
use crate::compute::{Gpu, GpuError, Ledger, Number, OutOfMemory, Reservation};

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
pub(super) struct OnDevice {
    shape: Shape,
    radius: f32,
    planes: Buffer,
    layers: Vec<[Buffer; 2]>,
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
        // What it holds is written before it is read.
        let scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let chunks = points.chunks(self.shape.chunk);
        for (points, decoded) in chunks.zip(decoded.chunks_mut(self.shape.chunk * outputs)) {
            self.decode_chunk(points, outputs, decoded, &scratch)?;
        }
        Ok(())
    }

    fn decode_chunk(
        &self,
        points: &[[f32; 3]],
        outputs: usize,
        decoded: &mut [f32],
        scratch: &Scratch,
    ) -> Result<(), GpuError> {
        let gpu = self.planes.gpu();
        scratch
            .points
            .write_numbers(Number::F32, points.as_flattened())?;
        let sample = PlanesParams {
            planes: self.planes.at(0),
            points: scratch.points.at(0),
            y: scratch.features.at(0),
            points_count: points.len() as i64,
            side: count("sample_planes", "the side", self.shape.side)?,
            channels: count("sample_planes", "channels", self.shape.channels)?,
            scale: 1.0 / self.radius,
            padding: 0,
        };
        gpu.launch(Lane::Work, &sample.launch(Number::F32)?)?;
        let mut from = &scratch.features;
        for (layer, [weights, bias]) in self.layers.iter().enumerate() {
            let is_last = layer + 1 == self.shape.layers;
            let [inputs, all] = self.shape.layer(layer);
            let outputs = if is_last { outputs } else { all };
            let to = &scratch.between[layer % 2];
            let product = Product {
                from,
                weights,
                bias,
                to,
                rows: points.len(),
                inputs,
                outputs,
                activation: if is_last { 0 } else { SILU },
            };
            gpu.launch(Lane::Work, &product.launch(gpu.multiprocessors())?)?;
            from = to;
        }
        from.read(0, bytemuck::cast_slice_mut(decoded))
    }
}

/// A layer's product in 32 bits.
struct Product<'a> {
    from: &'a Buffer,
    weights: &'a Buffer,
    bias: &'a Buffer,
    to: &'a Buffer,
    rows: usize,
    inputs: usize,
    outputs: usize,
    activation: i32,
}

impl Product<'_> {
    fn launch(&self, multiprocessors: u32) -> Result<crate::compute::kernels::Launch, GpuError> {
        let size = |what, size| count("gemm", what, size);
        let (inputs, outputs) = (self.inputs as i64, self.outputs as i64);
        let params = GemmParams {
            a: self.from.at(0),
            weight: self.weights.at(0),
            weight_scale: 0,
            bias: self.bias.at(0),
            gate: 0,
            residual: 0,
            c: self.to.at(0),
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
        let launch: Result<_, LaunchError> = params.launch(GemmFormat::F32, tile, 1);
        Ok(launch?)
    }
}
