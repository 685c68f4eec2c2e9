// Normalisation: rows to mean 0 and variance 1 (LayerNorm), rows to mean square 1 (RMSNorm), groups of
// channels over all tokens (GroupNorm). Sums are kept in 32 bits; the variance is taken from differences
// to the mean, in a second pass, as the difference of two large sums would cancel. x and y may be the same
// memory. weight and bias are 32-bit numbers and may be null.
#include "kit.cuh"

// Rows are numbered by (outer, inner): a token's heads, or one row a token with `inner` 1.
struct RowNormParams {
    const void* x;
    const float* weight;  // width
    const float* bias;    // width
    void* y;
    i64 x_outer, x_inner, y_outer, y_inner;  // from one to the next, in numbers
    i64 rows;                                // outer · inner
    int inner, width;
    float epsilon;
    int padding;
};

KIT_FUNCTION float warp_sum(float value) {
    for (int mask = 16; mask; mask >>= 1) value += kit::shuffle_xor(value, mask);
    return value;
}

// A warp takes a row, a block eight.
template <class Type, bool SUBTRACT_MEAN>
KIT_FUNCTION void normalise_rows(const RowNormParams& p) {
    typedef typename Type::Stored Stored;
    const int lane = threadIdx.x & 31;
    const i64 row = (i64)blockIdx.x * 8 + (threadIdx.x >> 5);
    if (row >= p.rows) return;
    const i64 outer = row / p.inner, inner = row % p.inner;
    const Stored* x = (const Stored*)p.x + outer * p.x_outer + inner * p.x_inner;
    Stored* y = (Stored*)p.y + outer * p.y_outer + inner * p.y_inner;

    float mean = 0.f;
    if (SUBTRACT_MEAN) {
        for (int i = lane; i < p.width; i += 32) mean += Type::widen(x[i]);
        mean = warp_sum(mean) / p.width;
    }
    float square = 0.f;
    for (int i = lane; i < p.width; i += 32) {
        const float difference = Type::widen(x[i]) - mean;
        square += difference * difference;
    }
    const float scale = rsqrtf(warp_sum(square) / p.width + p.epsilon);
    for (int i = lane; i < p.width; i += 32) {
        const float value = (Type::widen(x[i]) - mean) * scale;
        y[i] = Type::narrow(value * (p.weight ? p.weight[i] : 1.f) + (p.bias ? p.bias[i] : 0.f));
    }
}

struct GroupNormParams {
    const void* x;
    const float* weight;  // channels
    const float* bias;    // channels
    void* y;
    i64 x_batch, x_token, x_channel, y_batch, y_token, y_channel;  // from one to the next, in numbers
    int tokens, channels, groups;
    float epsilon;
};

const int GROUP_THREADS = 512;

// The sum over the block, for every thread.
KIT_FUNCTION float block_sum(float value, float* of_warps) {
    value = warp_sum(value);
    __syncthreads();
    if ((threadIdx.x & 31) == 0) of_warps[threadIdx.x >> 5] = value;
    __syncthreads();
    float sum = 0.f;
    for (int i = 0; i < GROUP_THREADS / 32; i++) sum += of_warps[i];
    return sum;
}

// A block takes a group of channels of a batch.
template <class Type>
KIT_FUNCTION void normalise_groups(const GroupNormParams& p) {
    typedef typename Type::Stored Stored;
    KIT_SHARED(shared, GROUP_THREADS / 32 * 4);
    float* of_warps = (float*)shared;
    const int width = p.channels / p.groups, first = blockIdx.x * width;
    const Stored* x = (const Stored*)p.x + blockIdx.y * p.x_batch + first * p.x_channel;
    Stored* y = (Stored*)p.y + blockIdx.y * p.y_batch + first * p.y_channel;
    const i64 count = (i64)width * p.tokens;
    // Neighbouring threads read along what is contiguous.
    const bool by_channel = p.x_channel == 1;
    const int inner = by_channel ? width : p.tokens;

    auto channel_of = [&](i64 i) { return (int)(by_channel ? i % inner : i / inner); };
    auto value_at = [&](i64 i) {
        const i64 token = by_channel ? i / inner : i % inner;
        return Type::widen(x[token * p.x_token + channel_of(i) * p.x_channel]);
    };
    float sum = 0.f;
    for (i64 i = threadIdx.x; i < count; i += GROUP_THREADS) sum += value_at(i);
    const float mean = block_sum(sum, of_warps) / (float)count;
    float square = 0.f;
    for (i64 i = threadIdx.x; i < count; i += GROUP_THREADS) {
        const float difference = value_at(i) - mean;
        square += difference * difference;
    }
    const float scale = rsqrtf(block_sum(square, of_warps) / (float)count + p.epsilon);
    for (i64 i = threadIdx.x; i < count; i += GROUP_THREADS) {
        const int channel = channel_of(i);
        const i64 token = by_channel ? i / inner : i % inner;
        float value = (value_at(i) - mean) * scale;
        if (p.weight) value *= p.weight[first + channel];
        if (p.bias) value += p.bias[first + channel];
        y[token * p.y_token + channel * p.y_channel] = Type::narrow(value);
    }
}

KIT_KERNEL(layer_norm_f32, RowNormParams, 256, 4, 64) { normalise_rows<kit::Float, true>(p); }
KIT_KERNEL(layer_norm_f16, RowNormParams, 256, 4, 64) { normalise_rows<kit::Half, true>(p); }
KIT_KERNEL(layer_norm_bf16, RowNormParams, 256, 4, 64) { normalise_rows<kit::Brain, true>(p); }
KIT_KERNEL(rms_norm_f32, RowNormParams, 256, 4, 64) { normalise_rows<kit::Float, false>(p); }
KIT_KERNEL(rms_norm_f16, RowNormParams, 256, 4, 64) { normalise_rows<kit::Half, false>(p); }
KIT_KERNEL(rms_norm_bf16, RowNormParams, 256, 4, 64) { normalise_rows<kit::Brain, false>(p); }
KIT_KERNEL(group_norm_f32, GroupNormParams, 512, 2, 64) { normalise_groups<kit::Float>(p); }
KIT_KERNEL(group_norm_f16, GroupNormParams, 512, 2, 64) { normalise_groups<kit::Half>(p); }
KIT_KERNEL(group_norm_bf16, GroupNormParams, 512, 2, 64) { normalise_groups<kit::Brain>(p); }
