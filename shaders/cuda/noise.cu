// Normal noise from a seed, the same bits as the processor's (compute/ops/noise/cpu.rs, line by line):
// compiled without fused multiply-add.
#include "kit.cuh"
#include "activations.cuh"

// The numbers of a seed and stream at places first … first + count.
struct NoiseParams {
    float* y;
    i64 count, first;
    u32 seed[2], stream[2];  // low halves first
};

KIT_FUNCTION void philox(u32 (&counter)[4], u32 key_0, u32 key_1) {
#pragma unroll
    for (int round = 0; round < 10; round++) {
        const u64 first = (u64)0xD2511F53u * counter[0], second = (u64)0xCD9E8D57u * counter[2];
        counter[0] = (u32)(second >> 32) ^ counter[1] ^ key_0;
        counter[1] = (u32)second;
        counter[2] = (u32)(first >> 32) ^ counter[3] ^ key_1;
        counter[3] = (u32)first;
        key_0 += 0x9E3779B9u;
        key_1 += 0xBB67AE85u;
    }
}

// The logarithm of (word + 1/2) / 2³².
KIT_FUNCTION float log_uniform(u32 word) {
    const u32 ONE = 0x3F800000u, ROOT_HALF = 0x3F3504F3u;
    const u32 bits = kit::float_bits((float)word + 0.5f) + (ONE - ROOT_HALF);
    const float exponent = (float)((int)(bits >> 23) - 127 - 32);
    const float x = kit::bits_float((bits & 0x007FFFFFu) + ROOT_HALF) - 1.f;
    float series = 7.037684e-2f;
    series = series * x + -1.151461e-1f;
    series = series * x + 1.1676999e-1f;
    series = series * x + -1.2420141e-1f;
    series = series * x + 1.4249323e-1f;
    series = series * x + -1.6668058e-1f;
    series = series * x + 2.0000714e-1f;
    series = series * x + -2.4999994e-1f;
    series = series * x + 3.333333e-1f;
    const float square = x * x;
    const float rest = series * x * square + -2.1219444e-4f * exponent - 0.5f * square;
    return x + rest + 0.6933594f * exponent;
}

// The cosine and the sine of word / 2³² of a turn.
KIT_FUNCTION CosSin cos_sin_turn(u32 word) {
    const u32 quarter = (word + (1u << 29)) >> 30;
    return cos_sin_after(quarter, (float)(int)(word - (quarter << 30)) * 1.4629181e-9f);
}

// A thread makes the four numbers of one counter.
KIT_KERNEL(normal_noise, NoiseParams, 256, 4, 64) {
    const i64 block = p.first / 4 + (i64)blockIdx.x * 256 + threadIdx.x;
    if (block * 4 >= p.first + p.count) return;
    u32 words[4] = {(u32)block, (u32)((u64)block >> 32), p.stream[0], p.stream[1]};
    philox(words, p.seed[0], p.seed[1]);
#pragma unroll
    for (int pair = 0; pair < 2; pair++) {
        const float squared = -2.f * log_uniform(words[pair * 2]);
        const float radius = sqrtf(squared > 0.f ? squared : 0.f);
        const CosSin turned = cos_sin_turn(words[pair * 2 + 1]);
        const i64 to = block * 4 + pair * 2 - p.first;
        if (to >= 0 && to < p.count) p.y[to] = radius * turned.cosine;
        if (to + 1 >= 0 && to + 1 < p.count) p.y[to + 1] = radius * turned.sine;
    }
}
