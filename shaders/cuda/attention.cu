// o = softmax(scale · q · kᵀ) · v for every batch and head, without the matrix of scores in memory.
//
// The head size is any multiple of 8 up to 128; queries and keys may be any number. With 16-bit numbers
// every pointer and stride is a multiple of 16 bytes. Numbers of a head are contiguous. Without a key the
// result is zero.
#include "kit.cuh"

struct AttentionParams {
    const void* q;
    const void* k;
    const void* v;
    void* o;
    i64 q_batch, q_token, q_head;  // from one to the next, in numbers
    i64 k_batch, k_token, k_head;
    i64 v_batch, v_token, v_head;
    i64 o_batch, o_token, o_head;
    int heads, queries, keys, head_size;
    float scale;
    int padding;
};

// Matrix products: WARPS × 16 queries a block, KEYS keys a step; heads are padded with zeros to SIZE.
template <class Type, int SIZE, int WARPS, int KEYS>
KIT_FUNCTION void attention_tile(const AttentionParams& p) {
    const int STAGES = KIT_ARCH >= 800 ? 2 : 1;
    const int CHUNKS = SIZE / 8, THREADS = WARPS * 32, TILE_BYTES = KEYS * SIZE * 2;
    KIT_SHARED(shared, STAGES * 2 * TILE_BYTES);
    const int thread = threadIdx.x, lane = thread & 31, g = lane >> 2, t = lane & 3;
    const int batch = blockIdx.y / p.heads, head = blockIdx.y % p.heads;
    const u16* q = (const u16*)p.q + batch * p.q_batch + head * p.q_head;
    const u16* k = (const u16*)p.k + batch * p.k_batch + head * p.k_head;
    const u16* v = (const u16*)p.v + batch * p.v_batch + head * p.v_head;
    const int query = blockIdx.x * (WARPS * 16) + (thread >> 5) * 16 + g;
    const int steps = (p.keys + KEYS - 1) / KEYS;

    // The chunks of eight rows lie in different banks.
    auto chunk_at = [](int row, int chunk) { return (row * CHUNKS + (chunk ^ (row & 7))) * 16; };
    auto load_stage = [&](int step) {
        if (step < steps) {
            unsigned char* to = shared + step % STAGES * 2 * TILE_BYTES;
            for (int i = thread; i < KEYS * CHUNKS; i += THREADS) {
                const int row = i / CHUNKS, chunk = i % CHUNKS, key = step * KEYS + row;
                const bool is_there = key < p.keys && chunk * 8 < p.head_size;
                const int bytes = is_there ? 16 : 0;
                kit::copy_async_16(to + chunk_at(row, chunk), is_there ? k + key * p.k_token + chunk * 8 : k, bytes);
                kit::copy_async_16(to + TILE_BYTES + chunk_at(row, chunk),
                                   is_there ? v + key * p.v_token + chunk * 8 : v, bytes);
            }
        }
        kit::commit_copies();
    };

    // A warp's 16 queries stay in registers, two rows a lane.
    u32 rows[SIZE / 16][4];
#pragma unroll
    for (int i = 0; i < SIZE / 16; i++)
#pragma unroll
        for (int e = 0; e < 4; e++) {
            const int row = query + e % 2 * 8, column = i * 16 + e / 2 * 8 + t * 2;
            const bool is_there = row < p.queries && column < p.head_size;
            rows[i][e] = is_there ? *(const u32*)(q + row * p.q_token + column) : 0u;
        }

    const float to_base_2 = p.scale * 1.4426950408889634f;
    float sums[SIZE / 8][4], largest[2] = {-kit::infinity(), -kit::infinity()}, total[2] = {0.f, 0.f};
#pragma unroll
    for (int j = 0; j < SIZE / 8; j++)
#pragma unroll
        for (int e = 0; e < 4; e++) sums[j][e] = 0.f;

    if (STAGES > 1) load_stage(0);
    for (int step = 0; step < steps; step++) {
        load_stage(step + STAGES - 1);
        kit::wait_for_copies<STAGES - 1>();
        __syncthreads();
        const unsigned char* keys = shared + step % STAGES * 2 * TILE_BYTES;
        const unsigned char* values = keys + TILE_BYTES;

        float scores[KEYS / 8][4];
#pragma unroll
        for (int j = 0; j < KEYS / 8; j++)
#pragma unroll
            for (int e = 0; e < 4; e++) scores[j][e] = 0.f;
#pragma unroll
        for (int i = 0; i < SIZE / 16; i++)
#pragma unroll
            for (int j = 0; j < KEYS / 16; j++) {
                u32 words[4];
                kit::load_matrices(
                    words, keys + chunk_at(j * 16 + ((lane >> 4) << 3) + (lane & 7), i * 2 + ((lane >> 3) & 1)));
                Type::multiply_add(scores[j * 2], rows[i], words[0], words[1]);
                Type::multiply_add(scores[j * 2 + 1], rows[i], words[2], words[3]);
            }
#pragma unroll
        for (int j = 0; j < KEYS / 8; j++)
#pragma unroll
            for (int e = 0; e < 4; e++) {
                const int key = step * KEYS + j * 8 + t * 2 + e % 2;
                scores[j][e] = key < p.keys ? scores[j][e] * to_base_2 : -kit::infinity();
            }
#pragma unroll
        for (int h = 0; h < 2; h++) {
            float most = largest[h];
#pragma unroll
            for (int j = 0; j < KEYS / 8; j++) most = fmaxf(most, fmaxf(scores[j][h * 2], scores[j][h * 2 + 1]));
            // The four lanes that share a row.
            most = fmaxf(most, kit::shuffle_xor(most, 1));
            most = fmaxf(most, kit::shuffle_xor(most, 2));
            const float rescale = exp2f(largest[h] - most);
            largest[h] = most;
            float sum = 0.f;
#pragma unroll
            for (int j = 0; j < KEYS / 8; j++)
#pragma unroll
                for (int e = h * 2; e < h * 2 + 2; e++) {
                    scores[j][e] = exp2f(scores[j][e] - most);
                    sum += scores[j][e];
                }
            total[h] = total[h] * rescale + sum;
#pragma unroll
            for (int j = 0; j < SIZE / 8; j++) {
                sums[j][h * 2] *= rescale;
                sums[j][h * 2 + 1] *= rescale;
            }
        }
#pragma unroll
        for (int i = 0; i < KEYS / 16; i++) {
            // What a lane holds of the scores is what it must bring of the product's first factor.
            const u32 weights[4] = {Type::pack(scores[i * 2][0], scores[i * 2][1]),
                                    Type::pack(scores[i * 2][2], scores[i * 2][3]),
                                    Type::pack(scores[i * 2 + 1][0], scores[i * 2 + 1][1]),
                                    Type::pack(scores[i * 2 + 1][2], scores[i * 2 + 1][3])};
#pragma unroll
            for (int j = 0; j < SIZE / 16; j++) {
                u32 words[4];
                kit::load_matrices_transposed(words, values + chunk_at(i * 16 + (lane & 15), j * 2 + (lane >> 4)));
                Type::multiply_add(sums[j * 2], weights, words[0], words[1]);
                Type::multiply_add(sums[j * 2 + 1], weights, words[2], words[3]);
            }
        }
        // The stage is filled anew in the next step.
        __syncthreads();
    }

    u16* o = (u16*)p.o + batch * p.o_batch + head * p.o_head;
#pragma unroll
    for (int h = 0; h < 2; h++) {
        float all = total[h];
        all += kit::shuffle_xor(all, 1);
        all += kit::shuffle_xor(all, 2);
        const float share = p.keys > 0 ? 1.f / all : 0.f;
        const int row = query + h * 8;
        if (row >= p.queries) continue;
#pragma unroll
        for (int j = 0; j < SIZE / 8; j++)
            if (j * 8 < p.head_size)
                *(u32*)(o + row * p.o_token + j * 8 + t * 2) =
                    Type::pack(sums[j][h * 2] * share, sums[j][h * 2 + 1] * share);
    }
}

// In 32 bits throughout: 32 queries by 256 threads, eight threads a query, 32 keys a step. Keys and values
// take turns in shared memory.
template <int SIZE>
KIT_FUNCTION void attention_tile_f32(const AttentionParams& p) {
    const int ROWS = 32, STRIDE = SIZE + 4, EACH = SIZE / 8;
    KIT_SHARED(shared, (2 * ROWS * STRIDE + ROWS * 33) * 4);
    float* queries = (float*)shared;
    float* tile = queries + ROWS * STRIDE;
    float* weights = tile + ROWS * STRIDE;
    const int thread = threadIdx.x, row = thread / 8, part = thread % 8;
    const int batch = blockIdx.y / p.heads, head = blockIdx.y % p.heads, first = blockIdx.x * ROWS;

    auto load = [&](float* to, const float* from, i64 stride, int begin, int count) {
        for (int i = thread; i < ROWS * SIZE; i += 256) {
            const int r = i / SIZE, c = i % SIZE;
            const bool is_there = begin + r < count && c < p.head_size;
            to[r * STRIDE + c] = is_there ? from[(begin + r) * stride + c] : 0.f;
        }
    };
    const float* k = (const float*)p.k + batch * p.k_batch + head * p.k_head;
    const float* v = (const float*)p.v + batch * p.v_batch + head * p.v_head;
    load(queries, (const float*)p.q + batch * p.q_batch + head * p.q_head, p.q_token, first, p.queries);

    float sums[EACH], largest = -kit::infinity(), total = 0.f;
#pragma unroll
    for (int i = 0; i < EACH; i++) sums[i] = 0.f;
    for (int begin = 0; begin < p.keys; begin += ROWS) {
        load(tile, k, p.k_token, begin, p.keys);
        __syncthreads();
        float scores[4] = {0.f, 0.f, 0.f, 0.f};
#pragma unroll 4
        for (int c = 0; c < SIZE; c++) {
            const float q = queries[row * STRIDE + c];
#pragma unroll
            for (int j = 0; j < 4; j++) scores[j] += q * tile[(part + j * 8) * STRIDE + c];
        }
        float most = largest;
#pragma unroll
        for (int j = 0; j < 4; j++) {
            scores[j] = begin + part + j * 8 < p.keys ? scores[j] * p.scale : -kit::infinity();
            most = fmaxf(most, scores[j]);
        }
        for (int mask = 1; mask < 8; mask *= 2) most = fmaxf(most, kit::shuffle_xor(most, mask));
        const float rescale = expf(largest - most);
        largest = most;
        total *= rescale;
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const float weight = expf(scores[j] - most);
            weights[row * 33 + part + j * 8] = weight;
            total += weight;
        }
        // The keys are read, the weights are written.
        __syncthreads();
        load(tile, v, p.v_token, begin, p.keys);
        __syncthreads();
#pragma unroll
        for (int i = 0; i < EACH; i++) sums[i] *= rescale;
#pragma unroll 4
        for (int key = 0; key < ROWS; key++) {
            const float weight = weights[row * 33 + key];
#pragma unroll
            for (int i = 0; i < EACH; i++) sums[i] += weight * tile[key * STRIDE + part + i * 8];
        }
        __syncthreads();
    }
    for (int mask = 1; mask < 8; mask *= 2) total += kit::shuffle_xor(total, mask);
    if (first + row >= p.queries) return;
    const float share = p.keys > 0 ? 1.f / total : 0.f;
    float* o = (float*)p.o + batch * p.o_batch + head * p.o_head + (first + row) * p.o_token;
#pragma unroll
    for (int i = 0; i < EACH; i++)
        if (part + i * 8 < p.head_size) o[part + i * 8] = sums[i] * share;
}

KIT_KERNEL(attention_f32_64, AttentionParams, 256, 2, 128) { attention_tile_f32<64>(p); }
KIT_KERNEL(attention_f32_128, AttentionParams, 256, 2, 128) { attention_tile_f32<128>(p); }
KIT_KERNEL(attention_f16_64, AttentionParams, 128, 3, 168) { attention_tile<kit::Half, 64, 4, 64>(p); }
KIT_KERNEL(attention_f16_128, AttentionParams, 128, 2, 255) { attention_tile<kit::Half, 128, 4, 32>(p); }
#if KIT_ARCH >= 800
KIT_KERNEL(attention_bf16_64, AttentionParams, 128, 3, 168) { attention_tile<kit::Brain, 64, 4, 64>(p); }
KIT_KERNEL(attention_bf16_128, AttentionParams, 128, 2, 255) { attention_tile<kit::Brain, 128, 4, 32>(p); }
#endif
