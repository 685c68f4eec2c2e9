// What shapes made of latent vectors take beside the operators of every model: points as sines and cosines, and
// a step of a flow. The step follows the processor's code (compute/ops/flow/cpu.rs) operation by operation,
// compiled without fused multiply-add.
#include "kit.cuh"
#include "activations.cuh"

// The cosine and the sine of an angle of at most 100 000, in radians.
KIT_FUNCTION CosSin cos_sin(float angle) {
    // Less quarters of a turn, in three parts of which all but the last have few digits.
    const float quarters = rintf(angle * 0.636619772f);
    float rest = fmaf(quarters, -1.57079601f, angle);
    rest = fmaf(quarters, -3.13916473e-7f, rest);
    rest = fmaf(quarters, -5.39030253e-15f, rest);
    return cos_sin_after((u32)(int)quarters & 3, rest);
}

// Each point as a row: its coordinates, the sines of each times 1, 2, 4 …, then the cosines.
struct FourierParams {
    const float* points;  // count × 3
    void* y;              // count × 3 · (1 + 2 · frequencies)
    i64 count;
    int frequencies;
    int padding;
};

// A thread takes a coordinate, or one angle of it.
template <class Type>
KIT_FUNCTION void fourier(const FourierParams& p) {
    typedef typename Type::Stored Stored;
    const int angles = 3 * p.frequencies, each = 3 + angles;
    for (i64 i = (i64)blockIdx.x * 256 + threadIdx.x; i < p.count * each; i += (i64)gridDim.x * 256) {
        const i64 row = i / each;
        const int place = (int)(i % each) - 3;
        const float* point = p.points + row * 3;
        Stored* y = (Stored*)p.y + row * (each + angles);
        if (place < 0) {
            y[place + 3] = Type::narrow(point[place + 3]);
        } else {
            const CosSin both = cos_sin(point[place / p.frequencies] * (float)(1 << place % p.frequencies));
            y[3 + place] = Type::narrow(both.sine);
            y[3 + angles + place] = Type::narrow(both.cosine);
        }
    }
}

// clean = x + noise · v and x = x + forward · v for the velocity v = u + guidance · (c - u), or c without u.
struct FlowStepParams {
    float* x;
    float* clean;
    const void* conditional;    // c
    const void* unconditional;  // u, or null
    i64 count;
    float noise, forward, guidance;
    int padding;
};

template <class Type>
KIT_FUNCTION void flow_step(const FlowStepParams& p) {
    typedef typename Type::Stored Stored;
    for (i64 i = (i64)blockIdx.x * 256 + threadIdx.x; i < p.count; i += (i64)gridDim.x * 256) {
        float v = Type::widen(((const Stored*)p.conditional)[i]);
        if (p.unconditional) {
            const float u = Type::widen(((const Stored*)p.unconditional)[i]);
            v = u + p.guidance * (v - u);
        }
        const float x = p.x[i];
        p.clean[i] = x + p.noise * v;
        p.x[i] = x + p.forward * v;
    }
}

KIT_KERNEL(fourier_f32, FourierParams, 256, 4, 64) { fourier<kit::Float>(p); }
KIT_KERNEL(fourier_f16, FourierParams, 256, 4, 64) { fourier<kit::Half>(p); }
KIT_KERNEL(fourier_bf16, FourierParams, 256, 4, 64) { fourier<kit::Brain>(p); }
KIT_KERNEL(flow_step_f32, FlowStepParams, 256, 4, 64) { flow_step<kit::Float>(p); }
KIT_KERNEL(flow_step_f16, FlowStepParams, 256, 4, 64) { flow_step<kit::Half>(p); }
KIT_KERNEL(flow_step_bf16, FlowStepParams, 256, 4, 64) { flow_step<kit::Brain>(p); }
