//! One step along a flow from noise to data: guidance and Euler's method in one go.
//!
//! Lipman et al. 2023, "Flow Matching for Generative Modeling"; Ho and Salimans 2022, "Classifier-Free
//! Diffusion Guidance".

mod cpu;
mod cuda;

use super::{Matrix, OpError, Ops, Place};

/// A velocity towards the data, from one evaluation or two.
#[derive(Debug, Clone, Copy)]
pub struct Velocity<'a> {
    /// With the condition: `c`.
    pub conditional: &'a Matrix,
    /// Without it: `u`; the velocity is then `u + guidance · (c - u)`, else `c`.
    pub unconditional: Option<&'a Matrix>,
    /// How far the condition is followed.
    pub guidance: f32,
}

/// From which share of noise to which.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FlowStep {
    /// The share of noise before.
    pub noise: f32,
    /// The share of noise after.
    pub next_noise: f32,
}

impl Ops<'_> {
    /// Moves latents along the velocity: `clean = x + noise · v`, `x = x + (noise - next_noise) · v`. The
    /// velocity is in the number format of results; latents and prediction are in 32 bits whatever it is, as
    /// many small steps add up in them.
    ///
    /// # Errors
    ///
    /// [`OpError`] when cancelled, or the device failed.
    ///
    /// # Panics
    ///
    /// When the shapes differ, or on a device the formats are others.
    pub fn flow_step(
        &self,
        velocity: Velocity<'_>,
        step: FlowStep,
        latents: &mut Matrix,
        clean: &mut Matrix,
    ) -> Result<(), OpError> {
        let shape = |matrix: &Matrix| (matrix.rows(), matrix.columns());
        for other in [Some(velocity.conditional), velocity.unconditional] {
            assert!(
                other.is_none_or(|other| shape(other) == shape(latents)),
                "a velocity for each number"
            );
        }
        assert_eq!(shape(latents), shape(clean), "latents and their prediction");
        self.context.cancel.checkpoint()?;
        match self.place {
            Place::Cpu => {
                cpu::flow_step(velocity, step, latents.values_mut(), clean.values_mut());
                Ok(())
            }
            Place::Gpu(gpu) => cuda::flow_step(self, gpu, velocity, step, latents, clean),
            Place::Shapes(_) => Ok(()),
        }
    }
}
