//! A step along a flow on a device, to the processor's last bit where the velocities are the same.

use std::sync::Arc;

use super::super::device::elementwise_operations;
use super::super::{Matrix, OpError, Ops};
use super::{FlowStep, Velocity};
use crate::compute::kernels::FlowStepParams;
use crate::compute::{Gpu, Number};

pub(super) fn flow_step(
    ops: &Ops<'_>,
    gpu: &Arc<Gpu>,
    velocity: Velocity<'_>,
    step: FlowStep,
    latents: &Matrix,
    clean: &Matrix,
) -> Result<(), OpError> {
    let address = |matrix: &Matrix, expected: Number| {
        let (buffer, number) = matrix.buffer();
        assert_eq!(number, expected, "the format of a step's numbers");
        buffer.at(0)
    };
    let params = FlowStepParams {
        x: address(latents, Number::F32),
        clean: address(clean, Number::F32),
        conditional: address(velocity.conditional, ops.activations),
        unconditional: velocity
            .unconditional
            .map_or(0, |matrix| address(matrix, ops.activations)),
        count: (latents.rows() * latents.columns()) as i64,
        noise: step.noise,
        forward: step.noise - step.next_noise,
        guidance: velocity.guidance,
        padding: 0,
    };
    let operations = elementwise_operations(latents);
    ops.launch(gpu, params.launch(ops.activations), operations)
}
