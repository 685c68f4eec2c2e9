// Resizing along one axis by weighted neighbours that the processor has listed (compute/ops/resize): the same
// products and sums in the same order, compiled without fused multiply-add.
#include "kit.cuh"

// y[outer][t][inner] = Σ weights[j] · x[outer][places[j]][inner] over j from starts[t] to starts[t + 1].
struct ResizeParams {
    const float* x;  // outer × from × inner
    float* y;        // outer × to × inner
    const u32* starts;
    const u32* places;
    const float* weights;
    i64 outer, inner;
    int from, to;
};

KIT_KERNEL(resize_axis, ResizeParams, 256, 4, 64) {
    const i64 count = p.outer * p.to * p.inner;
    for (i64 i = (i64)blockIdx.x * 256 + threadIdx.x; i < count; i += (i64)gridDim.x * 256) {
        const i64 inner = i % p.inner, outer = i / p.inner / p.to;
        const int place = (int)(i / p.inner % p.to);
        const float* x = p.x + outer * p.from * p.inner + inner;
        float sum = 0.f;
        for (u32 j = p.starts[place]; j < p.starts[place + 1]; j++) sum += p.weights[j] * x[p.places[j] * p.inner];
        p.y[i] = sum;
    }
}
