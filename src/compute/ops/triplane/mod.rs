//! A small perceptron over features that are sampled from three planes: density and colour at any point.
//!
//! The first layer is linear in the features, and sampling is linear too: it is applied to the planes once
//! ([`Triplane::new`]), so that a point costs three samples of its result instead of a layer.

mod cpu;
mod cuda;

pub use cpu::Decoded;

use super::{Matrix, OpError, Ops, Place, Reservation};
use crate::compute::GpuError;
pub(super) use cuda::OnDevice;

/// A layer of the perceptron: weights by input, and a bias.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// `weights[input · outputs + output]`.
    pub weights: Vec<f32>,
    /// One number an output.
    pub bias: Vec<f32>,
}

/// Planes of the first layer's sums (xy, xz and yz), and the layers after it, with SiLU between them.
///
/// They are kept on the host whatever the device, for [`Triplane::density_and_gradient`]. On a device many
/// points at once are evaluated there, in 32 bits as on the host.
#[derive(Debug)]
pub struct Triplane {
    /// Texels along a side.
    side: usize,
    /// Neurons of a hidden layer.
    width: usize,
    /// The planes reach from `-radius` to `radius`, borders of texels included.
    radius: f32,
    /// `[plane][down][across][neuron]`.
    planes: Vec<f32>,
    first_bias: Vec<f32>,
    hidden: Vec<Layer>,
    last: Layer,
    device: Option<OnDevice>,
    _reservations: Vec<Reservation>,
}

impl Triplane {
    /// Applies the first layer to planes of features, one row a texel (plane, down, across). On a device
    /// `chunk` points are evaluated at once.
    ///
    /// # Errors
    ///
    /// [`OpError`] when cancelled or out of memory, or when the device failed.
    ///
    /// # Panics
    ///
    /// When the shapes do not fit.
    pub fn new(
        ops: &Ops<'_>,
        features: &Matrix,
        radius: f32,
        width: usize,
        layers: Vec<Layer>,
        chunk: usize,
    ) -> Result<Self, OpError> {
        let texels = features.rows() / 3;
        let side = texels.isqrt();
        assert_eq!(3 * side * side, features.rows(), "three square planes");
        let planes_bytes = (features.rows() * width * size_of::<f32>()) as u64;
        let mut reservations = vec![ops.reserve(planes_bytes, "the planes")?];
        let shape = cuda::Shape {
            side,
            channels: features.columns(),
            width,
            layers: layers.len(),
            chunk,
        };
        let device = match ops.place {
            Place::Gpu(gpu) => Some(OnDevice::new(ops, gpu, features, &shape, radius, &layers)?),
            Place::Shapes(Some(ledger)) => {
                reservations.extend(shape.reserve(ledger)?);
                None
            }
            Place::Cpu | Place::Shapes(None) => None,
        };
        let mut triplane = Self {
            side,
            width,
            radius,
            planes: Vec::new(),
            first_bias: Vec::new(),
            hidden: layers,
            last: Layer {
                weights: Vec::new(),
                bias: Vec::new(),
            },
            device,
            _reservations: reservations,
        };
        let on_host_bytes = if ops.is_on_device() {
            (4 * features.rows() * features.columns()) as u64
        } else {
            0
        };
        let _on_host = ops.reserve(on_host_bytes, "numbers on their way")?;
        if !ops.is_shapes_only() {
            let values = features.to_host()?;
            triplane.fold_first_layer(&values, features.columns(), &ops.context.cancel)?;
        }
        Ok(triplane)
    }

    /// The perceptron on its device, where it is on one.
    pub(super) fn on_device(&self) -> Option<&OnDevice> {
        self.device.as_ref()
    }

    /// Texels along a side of a plane.
    pub fn side(&self) -> usize {
        self.side
    }

    /// How many points are best evaluated at once.
    pub fn batch(&self) -> usize {
        self.device.as_ref().map_or(1, OnDevice::chunk)
    }

    /// Evaluates the perceptron at points: densities and colours. On the processor on this thread.
    ///
    /// # Errors
    ///
    /// Whatever happened to the device.
    ///
    /// # Panics
    ///
    /// When there are not as many results as points.
    pub fn decode(&self, points: &[[f32; 3]], decoded: &mut [Decoded]) -> Result<(), GpuError> {
        assert_eq!(points.len(), decoded.len(), "a result for each point");
        match &self.device {
            Some(device) => device.decode(points, 4, decoded.as_flattened_mut())?,
            None => self.decode_here(points, decoded),
        }
        Ok(())
    }

    /// Evaluates the densities alone.
    ///
    /// # Errors
    ///
    /// As [`Triplane::decode`].
    ///
    /// # Panics
    ///
    /// As [`Triplane::decode`].
    pub fn densities(&self, points: &[[f32; 3]], densities: &mut [f32]) -> Result<(), GpuError> {
        assert_eq!(points.len(), densities.len(), "a result for each point");
        if let Some(device) = &self.device {
            return device.decode(points, 1, densities);
        }
        let mut decoded = vec![[0.0; 4]; points.len()];
        self.decode_here(points, &mut decoded);
        for (density, [decoded, ..]) in densities.iter_mut().zip(decoded) {
            *density = decoded;
        }
        Ok(())
    }
}
