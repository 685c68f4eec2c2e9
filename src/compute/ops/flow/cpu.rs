//! A step along a flow on the processor. The latents are some hundred kilobytes: one thread's work.

use super::{FlowStep, Velocity};

pub(super) fn flow_step(
    velocity: Velocity<'_>,
    step: FlowStep,
    latents: &mut [f32],
    clean: &mut [f32],
) {
    let forward = step.noise - step.next_noise;
    let guidance = velocity.guidance;
    let move_along = |x: &mut f32, clean: &mut f32, v: f32| {
        *clean = *x + step.noise * v;
        *x += forward * v;
    };
    let numbers = latents.iter_mut().zip(clean);
    let numbers = numbers.zip(velocity.conditional.values());
    match velocity.unconditional {
        Some(unconditional) => {
            for (((x, clean), c), u) in numbers.zip(unconditional.values()) {
                move_along(x, clean, u + guidance * (c - u));
            }
        }
        None => {
            for ((x, clean), c) in numbers {
                move_along(x, clean, *c);
            }
        }
    }
}
