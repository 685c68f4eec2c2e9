//! The perceptron over three planes on the processor.

use rayon::prelude::*;

use super::super::BLOCK_ROWS;
use super::super::gemm::{Strided, StridedMut, multiply};
use super::super::math::{self, vectorised};
use super::{Layer, Triplane};
use crate::compute::{Cancel, Cancelled};

/// The axes that run across and down each plane.
const AXES: [[usize; 2]; 3] = [[0, 1], [0, 2], [1, 2]];
/// Points that go through the layers together.
const BATCH: usize = 256;

/// What the last layer gives at a point: the density, and the colour before its sigmoid.
pub type Decoded = [f32; 4];

/// The texels around a point on one plane: where their numbers begin, their weights, and how these grow
/// across and down.
struct Corner {
    from: usize,
    weight: f32,
    across: f32,
    down: f32,
}

/// A thread's own numbers.
#[derive(Default)]
struct Scratch {
    rows: Vec<f32>,
    sums: Vec<f32>,
}

fn strided(values: &[f32], columns: usize) -> Strided<'_> {
    Strided {
        rows: values.len() / columns,
        columns,
        stride: columns,
        values,
    }
}

fn strided_mut(values: &mut [f32], columns: usize) -> StridedMut<'_> {
    StridedMut {
        rows: values.len() / columns,
        columns,
        stride: columns,
        values,
    }
}

impl Triplane {
    /// Takes the first and the last of the layers apart and applies the first to the planes.
    pub(super) fn fold_first_layer(
        &mut self,
        features: &[f32],
        channels: usize,
        cancel: &Cancel,
    ) -> Result<(), Cancelled> {
        let width = self.width;
        let first = self.hidden.remove(0);
        assert_eq!(first.weights.len(), 3 * channels * width, "the first layer");
        self.last = self.hidden.pop().unwrap_or_else(|| first.clone());
        assert_eq!(
            self.last.weights.len(),
            width * size_of::<Decoded>() / 4,
            "the last layer"
        );
        self.planes = vec![0.0; features.len() / channels * width];
        let texels = self.side * self.side;
        for (plane, planes) in self.planes.chunks_exact_mut(texels * width).enumerate() {
            let weights = &first.weights[plane * channels * width..][..channels * width];
            let features = &features[plane * texels * channels..][..texels * channels];
            planes
                .par_chunks_mut(BLOCK_ROWS * width)
                .zip(features.par_chunks(BLOCK_ROWS * channels))
                .try_for_each(|(planes, features)| {
                    cancel.checkpoint()?;
                    let weights = strided(weights, width);
                    multiply(
                        strided(features, channels),
                        weights,
                        strided_mut(planes, width),
                        false,
                    );
                    Ok(())
                })?;
        }
        self.first_bias = first.bias;
        Ok(())
    }

    /// Evaluates the perceptron at points, on this thread.
    pub(super) fn decode_here(&self, points: &[[f32; 3]], decoded: &mut [Decoded]) {
        let mut scratch = Scratch::default();
        for (points, decoded) in points.chunks(BATCH).zip(decoded.chunks_mut(BATCH)) {
            self.decode_batch(points, decoded, &mut scratch);
        }
    }

    fn decode_batch(&self, points: &[[f32; 3]], decoded: &mut [Decoded], scratch: &mut Scratch) {
        let width = self.width;
        let Scratch { rows, sums } = scratch;
        rows.resize(points.len() * width, 0.0);
        sums.resize(points.len() * width, 0.0);
        vectorised(
            #[inline(always)]
            || {
                for (point, sums) in points.iter().zip(sums.chunks_exact_mut(width)) {
                    sums.copy_from_slice(&self.first_bias);
                    for plane in 0..3 {
                        for corner in self.corners(*point, plane) {
                            let texel = &self.planes[corner.from..][..width];
                            for (sum, number) in sums.iter_mut().zip(texel) {
                                *sum += corner.weight * number;
                            }
                        }
                    }
                    sums.iter_mut().for_each(|sum| *sum = math::silu(*sum));
                }
            },
        );
        std::mem::swap(rows, sums);
        for layer in &self.hidden {
            multiply(
                strided(rows, width),
                strided(&layer.weights, width),
                strided_mut(sums, width),
                false,
            );
            vectorised(
                #[inline(always)]
                || {
                    for row in sums.chunks_exact_mut(width) {
                        for (sum, bias) in row.iter_mut().zip(&layer.bias) {
                            *sum = math::silu(*sum + bias);
                        }
                    }
                },
            );
            std::mem::swap(rows, sums);
        }
        let out = decoded.as_flattened_mut();
        multiply(
            strided(rows, width),
            strided(&self.last.weights, 4),
            strided_mut(out, 4),
            false,
        );
        for decoded in decoded {
            for (number, bias) in decoded.iter_mut().zip(&self.last.bias) {
                *number += bias;
            }
        }
    }

    /// The density at a point and how it grows along each axis.
    pub fn density_and_gradient(&self, point: [f32; 3]) -> (f32, [f32; 3]) {
        let width = self.width;
        // The sums of a layer, and under them how they grow along each axis.
        let mut sums = vec![0.0; 4 * width];
        let mut rows = vec![0.0; 4 * width];
        sums[..width].copy_from_slice(&self.first_bias);
        for (plane, [across, down]) in AXES.into_iter().enumerate() {
            for corner in self.corners(point, plane) {
                let texel = &self.planes[corner.from..][..width];
                let terms = [
                    (0, corner.weight),
                    (1 + across, corner.across),
                    (1 + down, corner.down),
                ];
                for (row, weight) in terms {
                    for (sum, number) in sums[row * width..][..width].iter_mut().zip(texel) {
                        *sum += weight * number;
                    }
                }
            }
        }
        for layer in &self.hidden {
            activate(&sums, &mut rows, width);
            multiply(
                strided(&rows, width),
                strided(&layer.weights, width),
                strided_mut(&mut sums, width),
                false,
            );
            for (sum, bias) in sums.iter_mut().zip(&layer.bias) {
                *sum += bias;
            }
        }
        activate(&sums, &mut rows, width);
        let density = |row: usize| -> f32 {
            let numbers = rows[row * width..][..width].iter();
            let weights = self.last.weights.iter().step_by(4);
            numbers.zip(weights).map(|(a, b)| a * b).sum()
        };
        (
            density(0) + self.last.bias[0],
            [density(1), density(2), density(3)],
        )
    }

    /// Bilinear sampling with nothing outside of the plane, texel centres half a texel from its border.
    #[inline(always)]
    fn corners(&self, point: [f32; 3], plane: usize) -> [Corner; 4] {
        let [across, down] = AXES[plane];
        let side = self.side as f32;
        let texels = 0.5 * side / self.radius;
        let place = |axis: usize| ((point[axis] / self.radius + 1.0) * side - 1.0) * 0.5;
        let (x, y) = (place(across), place(down));
        let (left, top) = (x.floor(), y.floor());
        let (x, y) = (x - left, y - top);
        std::array::from_fn(|corner| {
            let (right, below) = (corner & 1 == 1, corner >> 1 == 1);
            let (column, row) = (
                left + f32::from(u8::from(right)),
                top + f32::from(u8::from(below)),
            );
            let inside = (0.0..side).contains(&column) && (0.0..side).contains(&row);
            if !inside {
                return Corner {
                    from: 0,
                    weight: 0.0,
                    across: 0.0,
                    down: 0.0,
                };
            }
            let (weight_x, slope_x) = if right {
                (x, texels)
            } else {
                (1.0 - x, -texels)
            };
            let (weight_y, slope_y) = if below {
                (y, texels)
            } else {
                (1.0 - y, -texels)
            };
            let texel = (plane * self.side + row as usize) * self.side + column as usize;
            Corner {
                from: texel * self.width,
                weight: weight_x * weight_y,
                across: slope_x * weight_y,
                down: weight_x * slope_y,
            }
        })
    }
}

/// SiLU of the first row, and its slope times the others.
fn activate(sums: &[f32], rows: &mut [f32], width: usize) {
    vectorised(
        #[inline(always)]
        || {
            for neuron in 0..width {
                let sum = sums[neuron];
                let gate = math::sigmoid(sum);
                rows[neuron] = sum * gate;
                let slope = gate * (1.0 + sum * (1.0 - gate));
                for axis in 1..4 {
                    rows[axis * width + neuron] = slope * sums[axis * width + neuron];
                }
            }
        },
    );
}

impl Layer {
    /// A layer read as it is published, all inputs of the first output first.
    pub fn from_published(weights: &[f32], inputs: usize, bias: Vec<f32>) -> Self {
        Self {
            weights: super::super::gemm::transposed(weights, inputs),
            bias,
        }
    }
}
