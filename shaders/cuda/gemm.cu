// c = gate · activation(alpha · scale · (a · weightᵀ) + bias) + residual, for any number of batches.
//
// a is m × k and weight n × k, each row contiguous; sums are kept in 32 bits. Any size and any stride
// works: where rows do not begin at multiples of 16 bytes, they are read number by number. Pointers other
// than a, weight and c may be null. A stride of 0 between batches shares an operand.
//
// With `row_offsets` the batches are groups of rows, each with weights of its own: of a, c and the residual,
// batch g has the rows row_offsets[g] … row_offsets[g + 1], and m is the most that one of them has, or more.
#include "kit.cuh"
#include "activations.cuh"

struct GemmParams {
    const void* a;
    const void* weight;
    const float* weight_scale;  // n; with 8-bit weights
    const float* bias;          // n
    const float* gate;          // n
    const void* residual;       // m × n, of c's type
    void* c;                    // m × n, of a's type, or 32-bit numbers with `wide_output`
    const int* row_offsets;     // batches + 1, or null
    i64 a_row, weight_row, residual_row, c_row;  // from row to row, in numbers
    i64 a_batch, weight_batch, scale_batch, bias_batch, gate_batch, residual_batch, c_batch;
    int m, n, k;
    int activation;
    int wide_output;
    float alpha;
};

// The first row and the rows of this block's group.
KIT_FUNCTION int first_row(const GemmParams& p) { return p.row_offsets ? p.row_offsets[blockIdx.y] : 0; }

KIT_FUNCTION int row_count(const GemmParams& p) {
    return p.row_offsets ? p.row_offsets[blockIdx.y + 1] - p.row_offsets[blockIdx.y] : p.m;
}

// The tile of c that a block makes. Blocks that run at the same time share rows and columns in the cache.
struct Place {
    int row, column;
};

KIT_FUNCTION Place place_of_block(const GemmParams& p, int tile_rows, int tile_columns) {
    const int GROUP = 8;
    int down = (p.m + tile_rows - 1) / tile_rows, across = (p.n + tile_columns - 1) / tile_columns;
    int group = blockIdx.x / (GROUP * across), within = blockIdx.x % (GROUP * across);
    int first = group * GROUP, height = down - first < GROUP ? down - first : GROUP;
    Place place = {(first + within % height) * tile_rows, within / height * tile_columns};
    return place;
}

// What each column adds to the product.
struct Column {
    float scale, bias, gate;
};

KIT_FUNCTION Column column_of(const GemmParams& p, int n) {
    i64 batch = blockIdx.y;
    Column column;
    column.scale = p.weight_scale ? p.alpha * p.weight_scale[batch * p.scale_batch + n] : p.alpha;
    column.bias = p.bias ? p.bias[batch * p.bias_batch + n] : 0.f;
    column.gate = p.gate ? p.gate[batch * p.gate_batch + n] : 1.f;
    return column;
}

KIT_FUNCTION float finish(const GemmParams& p, float sum, const Column& column) {
    return column.gate * activate(column.scale * sum + column.bias, p.activation);
}

template <class Type>
KIT_FUNCTION void store_one(const GemmParams& p, i64 m, int n, float value) {
    typedef typename Type::Stored Stored;
    i64 to = blockIdx.y * p.c_batch + m * p.c_row + n;
    i64 from = blockIdx.y * p.residual_batch + m * p.residual_row + n;
    if (p.wide_output) {
        ((float*)p.c)[to] = value + (p.residual ? ((const float*)p.residual)[from] : 0.f);
    } else {
        float residual = p.residual ? Type::widen(((const Stored*)p.residual)[from]) : 0.f;
        ((Stored*)p.c)[to] = Type::narrow(value + residual);
    }
}

// Two neighbours of a row in one store of 32 bits; only where `pairs_are_aligned`.
template <class Type>
struct Pairs {
    static KIT_FUNCTION bool are_aligned(const GemmParams& p) {
        u64 all = (u64)p.c | (u64)p.residual | (u64)(p.c_row * 2) | (u64)(p.c_batch * 2);
        if (p.residual) all |= (u64)(p.residual_row * 2) | (u64)(p.residual_batch * 2);
        return !p.wide_output && (all & 3) == 0;
    }
    static KIT_FUNCTION void store(const GemmParams& p, i64 m, int n, float first, float second) {
        if (p.residual) {
            const u16* residual = (const u16*)p.residual + blockIdx.y * p.residual_batch + m * p.residual_row + n;
            u32 both = *(const u32*)residual;
            first += Type::widen((u16)(both & 0xffff));
            second += Type::widen((u16)(both >> 16));
        }
        u16* c = (u16*)p.c + blockIdx.y * p.c_batch + m * p.c_row + n;
        *(u32*)c = Type::pack(first, second);
    }
};

#if KIT_ARCH >= 800
template <>
struct Pairs<kit::Tensor32> {
    static KIT_FUNCTION bool are_aligned(const GemmParams&) { return false; }
    static KIT_FUNCTION void store(const GemmParams&, i64, int, float, float) {}
};
#endif

// A row of a stage in shared memory holds 64 bytes: four chunks of 16, in an order that spreads eight rows
// over all banks.
KIT_FUNCTION int chunk_at(int row, int chunk) { return row * 64 + ((chunk ^ ((row >> 1) & 3)) << 4); }

// 16-byte pieces of rows `first_row ..` of a matrix on their way into a stage.
template <class Stored>
struct Source {
    const Stored* base;
    i64 row_stride;
    int rows, columns;
    bool is_aligned;

    KIT_FUNCTION Source(const void* pointer, i64 first, i64 row, int row_count, int column_count) {
        base = (const Stored*)pointer + first;
        row_stride = row;
        rows = row_count;
        columns = column_count;
        is_aligned = (((u64)base | (u64)(row * (i64)sizeof(Stored))) & 15) == 0;
    }

    KIT_FUNCTION void copy(unsigned char* to, int row, int column) const {
        const int COUNT = 16 / sizeof(Stored);
        int left = row < rows ? columns - column : 0;
        left = left < 0 ? 0 : left > COUNT ? COUNT : left;
        // Nothing is read where nothing is left; the address stays inside the matrix all the same.
        const Stored* from = left ? base + row * row_stride + column : base;
        if (is_aligned) {
            kit::copy_async_16(to, from, left * (int)sizeof(Stored));
        } else {
#pragma unroll 1
            for (int i = 0; i < COUNT; i++) ((Stored*)to)[i] = i < left ? from[i] : (Stored)0;
        }
    }
};

// How the weights of a tile lie in shared memory and become operands: as they are, two chunks a step …
template <class Type>
struct PlainWeights {
    typedef typename Type::Stored Stored;
    static const int ROW_BYTES = 64, CHUNKS = 4;
    static KIT_FUNCTION int place(int row, int chunk) { return chunk_at(row, chunk); }
    // Operands of columns 8·j .. 8·j + 8 for the step, two words each.
    template <int COLUMNS>
    static KIT_FUNCTION void load(u32 (&to)[COLUMNS][2], const unsigned char* stage, int first, int step, int lane) {
#pragma unroll
        for (int j = 0; j < COLUMNS; j += 2) {
            int row = first + j * 8 + ((lane >> 4) << 3) + (lane & 7);
            u32 words[4];
            kit::load_matrices(words, stage + chunk_at(row, step * 2 + ((lane >> 3) & 1)));
            to[j][0] = Type::operand(words[0]);
            to[j][1] = Type::operand(words[1]);
            to[j + 1][0] = Type::operand(words[2]);
            to[j + 1][1] = Type::operand(words[3]);
        }
    }
};

// … or as 8-bit integers, made exact 16-bit numbers here; their scale is the column's. Rows are 48 bytes
// apart, 32 of them used, so that eight rows lie in different banks.
template <class Type>
struct IntegerWeights {
    typedef i8 Stored;
    static const int ROW_BYTES = 48, CHUNKS = 2;
    static KIT_FUNCTION int place(int row, int chunk) { return row * 48 + chunk * 16; }
    template <int COLUMNS>
    static KIT_FUNCTION void load(u32 (&to)[COLUMNS][2], const unsigned char* stage, int first, int step, int lane) {
#pragma unroll
        for (int j = 0; j < COLUMNS; j++) {
            const unsigned char* row = stage + (first + j * 8 + (lane >> 2)) * 48 + step * 16 + (lane & 3) * 2;
            to[j][0] = Type::pack_integers(*(const u16*)row);
            to[j][1] = Type::pack_integers(*(const u16*)(row + 8));
        }
    }
};

// One tile of ROWS × COLUMNS by warps of WARP_ROWS × WARP_COLUMNS, with matrix products.
template <class Type, class Weights, int ROWS, int COLUMNS, int WARP_ROWS, int WARP_COLUMNS>
KIT_FUNCTION void gemm_tile(const GemmParams& p) {
    typedef typename Type::Stored Stored;
    const int STAGES = KIT_ARCH >= 800 ? 3 : 2;
    const int ACROSS = COLUMNS / WARP_COLUMNS, THREADS = ROWS / WARP_ROWS * ACROSS * 32;
    const int DOWN = WARP_ROWS / 16, WIDE = WARP_COLUMNS / 8;
    const int DEPTH = 64 / sizeof(Stored);  // numbers of k in a stage
    const int STAGE_BYTES = ROWS * 64 + COLUMNS * Weights::ROW_BYTES;
    KIT_SHARED(shared, STAGES * STAGE_BYTES);

    const int thread = threadIdx.x, lane = thread & 31, warp = thread >> 5;
    const int warp_row = warp / ACROSS * WARP_ROWS, warp_column = warp % ACROSS * WARP_COLUMNS;
    const Place place = place_of_block(p, ROWS, COLUMNS);
    const int rows_there = row_count(p);
    if (place.row >= rows_there) return;
    const Source<Stored> a(p.a, blockIdx.y * p.a_batch + first_row(p) * p.a_row, p.a_row, rows_there, p.k);
    const Source<typename Weights::Stored> weight(p.weight, blockIdx.y * p.weight_batch, p.weight_row, p.n, p.k);
    const int steps = (p.k + DEPTH - 1) / DEPTH;

    auto load_stage = [&](int step) {
        if (step < steps) {
            unsigned char* to = shared + step % STAGES * STAGE_BYTES;
            for (int i = thread; i < ROWS * 4; i += THREADS)
                a.copy(to + chunk_at(i / 4, i % 4), place.row + i / 4,
                       step * DEPTH + i % 4 * (16 / (int)sizeof(Stored)));
            to += ROWS * 64;
            const int CHUNKS = Weights::CHUNKS;
            for (int i = thread; i < COLUMNS * CHUNKS; i += THREADS)
                weight.copy(to + Weights::place(i / CHUNKS, i % CHUNKS), place.column + i / CHUNKS,
                            step * DEPTH + i % CHUNKS * (16 / (int)sizeof(typename Weights::Stored)));
        }
        // A group is closed for steps past the end too, so that waiting for groups counts right.
        kit::commit_copies();
    };

    float sums[DOWN][WIDE][4];
#pragma unroll
    for (int i = 0; i < DOWN; i++)
#pragma unroll
        for (int j = 0; j < WIDE; j++)
#pragma unroll
            for (int e = 0; e < 4; e++) sums[i][j][e] = 0.f;

#pragma unroll
    for (int step = 0; step < STAGES - 1; step++) load_stage(step);
    for (int step = 0; step < steps; step++) {
        kit::wait_for_copies<STAGES - 2>();
        // After it this step's stage is whole, and nobody reads the stage that is filled next.
        __syncthreads();
        load_stage(step + STAGES - 1);
        const unsigned char* stage = shared + step % STAGES * STAGE_BYTES;
#pragma unroll
        for (int half = 0; half < 2; half++) {
            u32 rows[DOWN][4], columns[WIDE][2];
#pragma unroll
            for (int i = 0; i < DOWN; i++) {
                kit::load_matrices(rows[i], stage + chunk_at(warp_row + i * 16 + (lane & 15), half * 2 + (lane >> 4)));
#pragma unroll
                for (int e = 0; e < 4; e++) rows[i][e] = Type::operand(rows[i][e]);
            }
            Weights::load(columns, stage + ROWS * 64, warp_column, half, lane);
#pragma unroll
            for (int i = 0; i < DOWN; i++)
#pragma unroll
                for (int j = 0; j < WIDE; j++) Type::multiply_add(sums[i][j], rows[i], columns[j][0], columns[j][1]);
        }
    }

    // The stages are read; each warp passes its sums through a part of them, 16 rows at a time, so that a
    // lane finishes two neighbours of a row, and the code for it stands there once.
    __syncthreads();
    const int STRIDE = WARP_COLUMNS + 8;
    float* slab = (float*)shared + warp * 16 * STRIDE;
    const int n = place.column + warp_column + lane % 16 * 2;
    const bool pairs = Pairs<Type>::are_aligned(p);
    const bool has_first = n < p.n, has_second = n + 1 < p.n;
    const Column none = {0.f, 0.f, 0.f};
    const Column first = has_first ? column_of(p, n) : none, second = has_second ? column_of(p, n + 1) : none;
#pragma unroll
    for (int i = 0; i < DOWN; i++) {
#pragma unroll
        for (int j = 0; j < WIDE; j++)
#pragma unroll
            for (int e = 0; e < 4; e++)
                slab[((lane >> 2) + e / 2 * 8) * STRIDE + j * 8 + (lane & 3) * 2 + e % 2] = sums[i][j][e];
        kit::sync_warp();
#pragma unroll 1
        for (int row = lane / 16; row < 16; row += 2) {
            const int m = place.row + warp_row + i * 16 + row;
            if (m >= rows_there || !has_first) continue;
            float* at = slab + row * STRIDE + lane % 16 * 2;
#pragma unroll 1
            for (int e = 0; e < 2; e++) at[e] = finish(p, at[e], e ? second : first);
            const float left = at[0], right = at[1];
            if (pairs && has_second) {
                Pairs<Type>::store(p, first_row(p) + m, n, left, right);
            } else {
                store_one<Type>(p, first_row(p) + m, n, left);
                if (has_second) store_one<Type>(p, first_row(p) + m, n + 1, right);
            }
        }
        kit::sync_warp();
    }
}

// In 32 bits throughout, without matrix products: 128 × 128 by 256 threads, 8 × 8 each.
KIT_FUNCTION void gemm_tile_f32(const GemmParams& p) {
    const int SIDE = 128, DEPTH = 8, STRIDE = SIDE + 4;
    KIT_SHARED(shared, 2 * 2 * DEPTH * STRIDE * 4);
    float* stages = (float*)shared;
    const int thread = threadIdx.x;
    // A thread's 8 rows are 4 and 4, 64 apart, and so are its columns: neighbours read neighbouring banks.
    const int down = thread / 16 * 4, across = thread % 16 * 4;
    const Place place = place_of_block(p, SIDE, SIDE);
    const int rows_there = row_count(p);
    if (place.row >= rows_there) return;
    const float* a = (const float*)p.a + blockIdx.y * p.a_batch + first_row(p) * p.a_row;
    const float* weight = (const float*)p.weight + blockIdx.y * p.weight_batch;
    const int steps = (p.k + DEPTH - 1) / DEPTH;

    // Each thread brings four numbers of one row of a and of weight.
    const int line = thread / 2, offset = thread % 2 * 4;
    float next[2][4];
    auto fetch = [&](int step) {
        const int k = step * DEPTH + offset;
        const int row = place.row + line, column = place.column + line;
#pragma unroll
        for (int e = 0; e < 4; e++) {
            next[0][e] = row < rows_there && k + e < p.k ? a[row * p.a_row + k + e] : 0.f;
            next[1][e] = column < p.n && k + e < p.k ? weight[column * p.weight_row + k + e] : 0.f;
        }
    };
    auto put = [&](int step) {
        float* to = stages + step % 2 * 2 * DEPTH * STRIDE;
#pragma unroll
        for (int e = 0; e < 4; e++) {
            to[(offset + e) * STRIDE + line] = next[0][e];
            to[(DEPTH + offset + e) * STRIDE + line] = next[1][e];
        }
    };

    float sums[8][8];
#pragma unroll
    for (int i = 0; i < 8; i++)
#pragma unroll
        for (int j = 0; j < 8; j++) sums[i][j] = 0.f;
    if (steps > 0) {
        fetch(0);
        put(0);
    }
    for (int step = 0; step < steps; step++) {
        __syncthreads();
        if (step + 1 < steps) fetch(step + 1);
        const float* stage = stages + step % 2 * 2 * DEPTH * STRIDE;
#pragma unroll
        for (int k = 0; k < DEPTH; k++) {
            float rows[8], columns[8];
#pragma unroll
            for (int i = 0; i < 8; i++) {
                rows[i] = stage[k * STRIDE + down + i / 4 * 64 + i % 4];
                columns[i] = stage[(DEPTH + k) * STRIDE + across + i / 4 * 64 + i % 4];
            }
#pragma unroll
            for (int i = 0; i < 8; i++)
#pragma unroll
                for (int j = 0; j < 8; j++) sums[i][j] += rows[i] * columns[j];
        }
        // The other stage: its readers are past the barrier above.
        if (step + 1 < steps) put(step + 1);
    }
    // A thread passes its sums through shared memory to itself, a row at a time: the loop over them may
    // then stay a loop.
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 8; i++) {
#pragma unroll
        for (int j = 0; j < 8; j++) stages[j * 256 + thread] = sums[i][j];
        const int m = place.row + down + i / 4 * 64 + i % 4;
#pragma unroll 1
        for (int j = 0; j < 8; j++) {
            const int n = place.column + across + j / 4 * 64 + j % 4;
            if (m < rows_there && n < p.n)
                store_one<kit::Float>(p, first_row(p) + m, n, finish(p, stages[j * 256 + thread], column_of(p, n)));
        }
    }
}

KIT_KERNEL(gemm_f32, GemmParams, 256, 2, 128) { gemm_tile_f32(p); }

KIT_KERNEL(gemm_f16, GemmParams, 256, 2, 128) {
    gemm_tile<kit::Half, PlainWeights<kit::Half>, 128, 128, 64, 32>(p);
}
KIT_KERNEL(gemm_f16_small, GemmParams, 128, 4, 128) {
    gemm_tile<kit::Half, PlainWeights<kit::Half>, 64, 64, 32, 32>(p);
}
KIT_KERNEL(gemm_f16_int8, GemmParams, 256, 2, 128) {
    gemm_tile<kit::Half, IntegerWeights<kit::Half>, 128, 128, 64, 32>(p);
}
KIT_KERNEL(gemm_f16_int8_small, GemmParams, 128, 4, 128) {
    gemm_tile<kit::Half, IntegerWeights<kit::Half>, 64, 64, 32, 32>(p);
}

#if KIT_ARCH >= 800
KIT_KERNEL(gemm_tf32, GemmParams, 256, 2, 128) {
    gemm_tile<kit::Tensor32, PlainWeights<kit::Tensor32>, 128, 128, 64, 32>(p);
}
KIT_KERNEL(gemm_tf32_small, GemmParams, 128, 4, 128) {
    gemm_tile<kit::Tensor32, PlainWeights<kit::Tensor32>, 64, 64, 32, 32>(p);
}
KIT_KERNEL(gemm_bf16, GemmParams, 256, 2, 128) {
    gemm_tile<kit::Brain, PlainWeights<kit::Brain>, 128, 128, 64, 32>(p);
}
KIT_KERNEL(gemm_bf16_small, GemmParams, 128, 4, 128) {
    gemm_tile<kit::Brain, PlainWeights<kit::Brain>, 64, 64, 32, 32>(p);
}
KIT_KERNEL(gemm_bf16_int8, GemmParams, 256, 2, 128) {
    gemm_tile<kit::Brain, IntegerWeights<kit::Brain>, 128, 128, 64, 32>(p);
}
KIT_KERNEL(gemm_bf16_int8_small, GemmParams, 128, 4, 128) {
    gemm_tile<kit::Brain, IntegerWeights<kit::Brain>, 64, 64, 32, 32>(p);
}
#endif
