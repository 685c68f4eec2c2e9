//! A small perceptron over features that are sampled from three planes: density and colour at any point.
//!
//! The first layer is linear in the features, and sampling is linear too: it is applied to the planes once
//! ([`Triplane::new`]), so that a point costs three samples of its result instead of a layer.

mod cpu;

pub use cpu::Decoded;

use super::{Matrix, OpError, Ops, Reservation};

/// A layer of the perceptron after the first: weights by input, and a bias.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// `weights[input · outputs + output]`.
    pub weights: Vec<f32>,
    /// One number an output.
    pub bias: Vec<f32>,
}

/// Planes of the first layer's sums (xy, xz and yz), and the layers after it, with SiLU between them.
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
    _reservation: Reservation,
}

impl Triplane {
    /// Applies the first layer to planes of features, one row a texel (plane, down, across).
    ///
    /// # Errors
    ///
    /// [`OpError`] when cancelled or out of memory.
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
    ) -> Result<Self, OpError> {
        let texels = features.rows() / 3;
        let side = texels.isqrt();
        assert_eq!(3 * side * side, features.rows(), "three square planes");
        let planes_bytes = (features.rows() * width * size_of::<f32>()) as u64;
        let reservation = ops.reserve(planes_bytes, "the planes")?;
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
            _reservation: reservation,
        };
        if !ops.shapes_only {
            triplane.fold_first_layer(features, &ops.context.cancel)?;
        }
        Ok(triplane)
    }

    /// Texels along a side of a plane.
    pub fn side(&self) -> usize {
        self.side
    }
}
