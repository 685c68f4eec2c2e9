//! The flow from noise to latents: how much noise is left before each step, and the steps.

use std::ops::{ControlFlow, RangeInclusive};

use super::super::error::ModelError;
use super::super::loader::Loader;
use super::{Denoiser, ImageContext, Look};
use crate::compute::ops::{FlowStep, Velocity};
use crate::compute::{Matrix, Number};

/// How latents are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    steps: u32,
    guidance: f32,
}

/// Steps or guidance that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum SamplingError {
    /// None, or more than make sense.
    #[error(
        "{0} steps cannot be taken; choose from {first} to {last}",
        first = Sampling::STEPS.start(),
        last = Sampling::STEPS.end()
    )]
    Steps(u32),
    /// Not a number, or out of range.
    #[error(
        "a guidance of {0} cannot be followed; choose from {first} to {last}",
        first = Sampling::GUIDANCES.start(),
        last = Sampling::GUIDANCES.end()
    )]
    Guidance(f32),
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            steps: 50,
            guidance: 7.0,
        }
    }
}

impl Sampling {
    /// How many steps can be taken.
    pub const STEPS: RangeInclusive<u32> = 1..=1000;
    /// How far the image can be followed; up to 1 only it is looked at, without the image of nothing.
    pub const GUIDANCES: RangeInclusive<f32> = 0.0..=100.0;

    /// So many steps, following the image so far.
    ///
    /// # Errors
    ///
    /// [`SamplingError`] out of [`Sampling::STEPS`] or [`Sampling::GUIDANCES`].
    pub fn new(steps: u32, guidance: f32) -> Result<Self, SamplingError> {
        if !Self::STEPS.contains(&steps) {
            return Err(SamplingError::Steps(steps));
        }
        if !Self::GUIDANCES.contains(&guidance) {
            return Err(SamplingError::Guidance(guidance));
        }
        Ok(Self { steps, guidance })
    }

    /// The number of steps.
    pub fn steps(self) -> u32 {
        self.steps
    }

    /// Whether each step looks at the image of nothing too.
    pub fn is_guided(self) -> bool {
        self.guidance > 1.0
    }

    /// The looks of each step: at the image, and at nothing where it is guided.
    pub fn looks(self) -> usize {
        if self.is_guided() { 2 } else { 1 }
    }
}

/// What is known after a step.
#[derive(Debug, Clone, Copy)]
pub struct Predicted<'a> {
    /// The steps taken.
    pub step: u32,
    /// The steps to take in all.
    pub steps: u32,
    /// The latents of each shape, with what noise is left, in 32 bits.
    pub latents: &'a [Matrix],
    /// What the latents of each shape would be, were the way to them straight from here; in 32 bits.
    pub clean: &'a [Matrix],
}

/// The share of noise before each step, and 0 after the last; `shift` above 1 takes smaller steps at first.
pub fn schedule(steps: u32, shift: f32) -> Vec<f32> {
    let shift = f64::from(shift);
    let share = |step: u32| {
        let even = 1.0 - f64::from(step) / f64::from(steps);
        (shift * even / (1.0 + (shift - 1.0) * even)) as f32
    };
    (0..steps).map(share).chain([0.0]).collect()
}

/// What the shares of noise are multiplied with for the denoiser.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) struct Clock {
    pub(in super::super) shift: f32,
    pub(in super::super) scale: f32,
}

/// Follows the flow from the noise of each shape, which is in 32 bits as the latents are. `watch` is shown the
/// predictions after every step; where it breaks, those predictions are the result.
///
/// `together` has the looks of a step, of every shape, go through the denoiser at once, which takes more
/// memory and gives the same.
pub(in super::super) fn sample(
    denoiser: &Denoiser,
    image: &ImageContext,
    mut latents: Vec<Matrix>,
    (sampling, clock, together): (Sampling, Clock, bool),
    watch: &mut dyn FnMut(Predicted<'_>) -> Result<ControlFlow<()>, ModelError>,
    loader: &Loader<'_>,
) -> Result<Vec<Matrix>, ModelError> {
    let ops = &loader.ops;
    let mut clean = Vec::with_capacity(latents.len());
    for latents in &latents {
        let exact = ops.in_format(Number::F32);
        clean.push(exact.converted(latents, "the latents")?);
    }
    let shares = schedule(sampling.steps, clock.shift);
    for (step, pair) in shares.windows(2).enumerate() {
        let images = [Some(image), None];
        let images = &images[..sampling.looks()];
        let looks: Vec<_> = (latents.iter())
            .flat_map(|latents| images.iter().map(move |&image| Look { latents, image }))
            .collect();
        let at_once = if together { looks.len().max(1) } else { 1 };
        let mut velocities = Vec::with_capacity(looks.len());
        for looks in looks.chunks(at_once) {
            velocities.extend(denoiser.velocities(looks, pair[0] * clock.scale, loader)?);
        }
        let step_taken = FlowStep {
            noise: pair[0],
            next_noise: pair[1],
        };
        let of_shapes = velocities.chunks(sampling.looks());
        for ((of_shape, latents), clean) in of_shapes.zip(&mut latents).zip(&mut clean) {
            let velocity = Velocity {
                conditional: &of_shape[0],
                unconditional: of_shape.get(1),
                guidance: sampling.guidance,
            };
            ops.flow_step(velocity, step_taken, latents, clean)?;
        }
        drop(velocities);
        // Who watches sees what is, and can tell how long a step takes.
        ops.wait()?;
        let predicted = Predicted {
            step: step as u32 + 1,
            steps: sampling.steps,
            latents: &latents,
            clean: &clean,
        };
        if watch(predicted)?.is_break() {
            return Ok(clean);
        }
    }
    Ok(latents)
}
