//! A block of samples held in memory.

use super::{Brick, Field};

/// A grid could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GridError {
    /// The number of values is not the product of the numbers of samples.
    #[error("a grid of {samples:?} samples needs as many values, but {values} were given")]
    WrongLength {
        /// The samples along x, y and z.
        samples: [usize; 3],
        /// The values given.
        values: usize,
    },
    /// The origin or the step is not finite, or the step is not positive.
    #[error("a grid needs a finite origin and a positive, finite step between its samples")]
    BadPlacement,
}

/// A regular block of sample points and the value of a field at each of them, x fastest, z slowest.
///
/// NaN means "not evaluated".
#[derive(Debug, Clone, PartialEq)]
pub struct DenseGrid {
    brick: Brick,
    values: Vec<f32>,
}

impl DenseGrid {
    /// A grid of the values of a field at the points of `brick`.
    ///
    /// # Errors
    ///
    /// [`GridError`] when `values` has another length than `brick`, or `brick` is not placed in space.
    pub fn new(brick: Brick, values: Vec<f32>) -> Result<Self, GridError> {
        let samples = brick.samples;
        let length = samples[0]
            .checked_mul(samples[1])
            .and_then(|plane| plane.checked_mul(samples[2]));
        if length != Some(values.len()) {
            return Err(GridError::WrongLength {
                samples,
                values: values.len(),
            });
        }
        let placed = brick.origin.iter().all(|x| x.is_finite());
        if !placed || !brick.step.is_finite() || brick.step <= 0.0 {
            return Err(GridError::BadPlacement);
        }
        Ok(Self { brick, values })
    }

    /// Evaluates `field` at every point of `brick`.
    ///
    /// # Errors
    ///
    /// [`GridError`] when `brick` is not placed in space.
    pub fn sample(field: &dyn Field, brick: Brick) -> Result<Self, GridError> {
        let mut values = vec![f32::NAN; brick.len()];
        field.fill(&brick, &mut values);
        Self::new(brick, values)
    }

    /// The sample points.
    pub fn brick(&self) -> &Brick {
        &self.brick
    }

    /// The value at every sample point, x fastest, z slowest.
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}
