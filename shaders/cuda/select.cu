// What is chosen among the numbers of a row: their softmax, and the greatest of them. A warp takes a row.
#include "kit.cuh"

// y = exp(scale · x − the greatest) over its sum; y may be x.
struct SoftmaxParams {
    const void* x;
    void* y;
    i64 x_row, y_row;  // from one to the next
    i64 rows;
    int width;
    float scale;
};

KIT_FUNCTION float warp_sum(float value) {
    for (int mask = 16; mask; mask >>= 1) value += kit::shuffle_xor(value, mask);
    return value;
}

template <class Type>
KIT_FUNCTION void softmax(const SoftmaxParams& p) {
    typedef typename Type::Stored Stored;
    const int lane = threadIdx.x & 31;
    const i64 row = (i64)blockIdx.x * 8 + (threadIdx.x >> 5);
    if (row >= p.rows) return;
    const Stored* x = (const Stored*)p.x + row * p.x_row;
    Stored* y = (Stored*)p.y + row * p.y_row;
    float greatest = -kit::infinity(), sum = 0.f;
    for (int i = lane; i < p.width; i += 32) {
        const float value = p.scale * Type::widen(x[i]);
        // A NaN is not taken for the greatest, but becomes the sum.
        if (value > greatest) greatest = value;
    }
    for (int mask = 16; mask; mask >>= 1) {
        const float other = kit::shuffle_xor(greatest, mask);
        if (other > greatest) greatest = other;
    }
    for (int i = lane; i < p.width; i += 32) sum += expf(p.scale * Type::widen(x[i]) - greatest);
    const float factor = 1.f / warp_sum(sum);
    for (int i = lane; i < p.width; i += 32)
        y[i] = Type::narrow(expf(p.scale * Type::widen(x[i]) - greatest) * factor);
}

// The k greatest numbers of each row, the greatest first, and where they are. Of equal ones the first comes first;
// a NaN comes after everything.
struct TopKParams {
    const void* x;
    void* values;  // rows × k
    u32* places;   // rows × k
    i64 x_row;     // from one to the next
    i64 rows;
    int width, k;
};

// Greater for what comes first; never 0.
KIT_FUNCTION u64 rank_of(float value, u32 place) {
    const u32 bits = kit::float_bits(value + 0.f);  // -0 is 0
    const u32 key = value != value ? 0 : bits >> 31 ? ~bits : bits | 0x80000000u;
    return (u64)key << 32 | (0xffffffffu - place);
}

template <class Type>
KIT_FUNCTION void top_k(const TopKParams& p) {
    typedef typename Type::Stored Stored;
    const int lane = threadIdx.x & 31;
    const i64 row = (i64)blockIdx.x * 8 + (threadIdx.x >> 5);
    if (row >= p.rows) return;
    const Stored* x = (const Stored*)p.x + row * p.x_row;
    u64 last = ~(u64)0;
    for (int taken = 0; taken < p.k; taken++) {
        u64 next = 0;
        for (int i = lane; i < p.width; i += 32) {
            const u64 rank = rank_of(Type::widen(x[i]), i);
            if (rank < last && rank > next) next = rank;
        }
        for (int mask = 16; mask; mask >>= 1) {
            const u32 low = kit::shuffle_xor_bits((u32)next, mask);
            const u64 other = (u64)kit::shuffle_xor_bits((u32)(next >> 32), mask) << 32 | low;
            if (other > next) next = other;
        }
        last = next;
        if (lane == 0) {
            const u32 place = 0xffffffffu - (u32)next;
            ((Stored*)p.values)[row * p.k + taken] = x[place];
            p.places[row * p.k + taken] = place;
        }
    }
}

KIT_KERNEL(softmax_f32, SoftmaxParams, 256, 4, 64) { softmax<kit::Float>(p); }
KIT_KERNEL(softmax_f16, SoftmaxParams, 256, 4, 64) { softmax<kit::Half>(p); }
KIT_KERNEL(softmax_bf16, SoftmaxParams, 256, 4, 64) { softmax<kit::Brain>(p); }
KIT_KERNEL(top_k_f32, TopKParams, 256, 4, 64) { top_k<kit::Float>(p); }
KIT_KERNEL(top_k_f16, TopKParams, 256, 4, 64) { top_k<kit::Half>(p); }
KIT_KERNEL(top_k_bf16, TopKParams, 256, 4, 64) { top_k<kit::Brain>(p); }
