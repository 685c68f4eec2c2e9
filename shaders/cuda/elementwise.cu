// One number at a time: activations, gated activations, sums and products, conversions.
#include "kit.cuh"
#include "activations.cuh"

// The numbers of this thread out of `count`: i, i + all threads, …
#define EACH(i, count) \
    for (i64 i = (i64)blockIdx.x * 256 + threadIdx.x, all = (i64)gridDim.x * 256; i < (count); i += all)

// y = activation(alpha · x + beta)
struct UnaryParams {
    const void* x;
    void* y;
    i64 count;
    float alpha, beta;
    int activation;
    int padding;
};

template <class Type>
KIT_FUNCTION void unary(const UnaryParams& p) {
    typedef typename Type::Stored Stored;
    EACH(i, p.count) {
        const float value = p.alpha * Type::widen(((const Stored*)p.x)[i]) + p.beta;
        ((Stored*)p.y)[i] = Type::narrow(activate(value, p.activation));
    }
}

// z = alpha · x + beta · y, or alpha · x · y with `multiply`. y is repeated when `period` is less than
// `count`: z[i] takes y[i % period].
struct BinaryParams {
    const void* x;
    const void* y;
    void* z;
    i64 count, period;
    float alpha, beta;
    int multiply;
    int padding;
};

template <class Type>
KIT_FUNCTION void binary(const BinaryParams& p) {
    typedef typename Type::Stored Stored;
    EACH(i, p.count) {
        const float x = Type::widen(((const Stored*)p.x)[i]), y = Type::widen(((const Stored*)p.y)[i % p.period]);
        ((Stored*)p.z)[i] = Type::narrow(p.multiply ? p.alpha * x * y : p.alpha * x + p.beta * y);
    }
}

// Of rows of 2 · width numbers: their first half times the activated second half (GEGLU), or with
// `first_is_gate` the activated first half times the second (SwiGLU).
struct GatedParams {
    const void* x;
    void* y;
    i64 rows;
    int width;
    int activation;
    int first_is_gate;
    int padding;
};

template <class Type>
KIT_FUNCTION void gated(const GatedParams& p) {
    typedef typename Type::Stored Stored;
    EACH(i, p.rows * p.width) {
        const i64 row = i / p.width, column = i % p.width;
        const Stored* from = (const Stored*)p.x + row * p.width * 2 + column;
        const float first = Type::widen(from[0]), second = Type::widen(from[p.width]);
        const float value =
            p.first_is_gate ? activate(first, p.activation) * second : first * activate(second, p.activation);
        ((Stored*)p.y)[i] = Type::narrow(value);
    }
}

struct CastParams {
    const void* x;
    void* y;
    i64 count;
};

template <class From, class To>
KIT_FUNCTION void cast(const CastParams& p) {
    EACH(i, p.count)
    ((typename To::Stored*)p.y)[i] = To::narrow(From::widen(((const typename From::Stored*)p.x)[i]));
}

KIT_KERNEL(unary_f32, UnaryParams, 256, 4, 64) { unary<kit::Float>(p); }
KIT_KERNEL(unary_f16, UnaryParams, 256, 4, 64) { unary<kit::Half>(p); }
KIT_KERNEL(unary_bf16, UnaryParams, 256, 4, 64) { unary<kit::Brain>(p); }
KIT_KERNEL(binary_f32, BinaryParams, 256, 4, 64) { binary<kit::Float>(p); }
KIT_KERNEL(binary_f16, BinaryParams, 256, 4, 64) { binary<kit::Half>(p); }
KIT_KERNEL(binary_bf16, BinaryParams, 256, 4, 64) { binary<kit::Brain>(p); }
KIT_KERNEL(gated_f32, GatedParams, 256, 4, 64) { gated<kit::Float>(p); }
KIT_KERNEL(gated_f16, GatedParams, 256, 4, 64) { gated<kit::Half>(p); }
KIT_KERNEL(gated_bf16, GatedParams, 256, 4, 64) { gated<kit::Brain>(p); }
KIT_KERNEL(cast_f32_f16, CastParams, 256, 4, 64) { cast<kit::Float, kit::Half>(p); }
KIT_KERNEL(cast_f32_bf16, CastParams, 256, 4, 64) { cast<kit::Float, kit::Brain>(p); }
KIT_KERNEL(cast_f16_f32, CastParams, 256, 4, 64) { cast<kit::Half, kit::Float>(p); }
KIT_KERNEL(cast_bf16_f32, CastParams, 256, 4, 64) { cast<kit::Brain, kit::Float>(p); }
KIT_KERNEL(cast_f16_bf16, CastParams, 256, 4, 64) { cast<kit::Half, kit::Brain>(p); }
KIT_KERNEL(cast_bf16_f16, CastParams, 256, 4, 64) { cast<kit::Brain, kit::Half>(p); }
