// Numbers moved and not changed: transposed, copied between layouts, gathered by row.
#include "kit.cuh"

// y (columns × rows) = xᵀ, for every batch; both contiguous, batches one after another.
struct TransposeParams {
    const void* x;
    void* y;
    int rows, columns;
};

template <class Word>
KIT_FUNCTION void transpose(const TransposeParams& p) {
    const int SIDE = 32, STRIDE = SIDE + 1;
    KIT_SHARED(shared, SIDE * STRIDE * sizeof(Word));
    Word* tile = (Word*)shared;
    const int across = (p.columns + SIDE - 1) / SIDE;
    const int row = blockIdx.x / across * SIDE, column = blockIdx.x % across * SIDE;
    const i64 batch = (i64)blockIdx.y * p.rows * p.columns;
    const Word* x = (const Word*)p.x + batch;
    Word* y = (Word*)p.y + batch;
    const int lane = threadIdx.x % 32, first = threadIdx.x / 32;
    for (int i = first; i < SIDE; i += 8)
        if (row + i < p.rows && column + lane < p.columns)
            tile[i * STRIDE + lane] = x[(i64)(row + i) * p.columns + column + lane];
    __syncthreads();
    for (int i = first; i < SIDE; i += 8)
        if (column + i < p.columns && row + lane < p.rows)
            y[(i64)(column + i) * p.rows + row + lane] = tile[lane * STRIDE + i];
}

// Any rearrangement of up to five axes: y[i · y_stride] = x[i · x_stride] for every i below `size`.
struct StridedParams {
    const void* x;
    void* y;
    i64 x_stride[5], y_stride[5];
    int size[5];
    int padding;
};

template <class Word>
KIT_FUNCTION void copy_strided(const StridedParams& p) {
    i64 count = 1;
#pragma unroll
    for (int axis = 0; axis < 5; axis++) count *= p.size[axis];
    for (i64 i = (i64)blockIdx.x * 256 + threadIdx.x; i < count; i += (i64)gridDim.x * 256) {
        i64 left = i, from = 0, to = 0;
#pragma unroll
        for (int axis = 4; axis >= 0; axis--) {
            const i64 at = left % p.size[axis];
            left /= p.size[axis];
            from += at * p.x_stride[axis];
            to += at * p.y_stride[axis];
        }
        ((Word*)p.y)[to] = ((const Word*)p.x)[from];
    }
}

// y[i] = x[index[i]] for rows of `width` numbers; zero where the index is none of x's rows.
struct GatherParams {
    const void* x;
    const int* index;
    void* y;
    i64 rows, source_rows, width;
};

template <class Word>
KIT_FUNCTION void gather_rows(const GatherParams& p) {
    for (i64 i = (i64)blockIdx.x * 256 + threadIdx.x; i < p.rows * p.width; i += (i64)gridDim.x * 256) {
        const i64 row = p.index[i / p.width];
        const bool is_there = row >= 0 && row < p.source_rows;
        ((Word*)p.y)[i] = is_there ? ((const Word*)p.x)[row * p.width + i % p.width] : (Word)0;
    }
}

KIT_KERNEL(transpose_16, TransposeParams, 256, 4, 64) { transpose<u16>(p); }
KIT_KERNEL(transpose_32, TransposeParams, 256, 4, 64) { transpose<u32>(p); }
KIT_KERNEL(copy_strided_16, StridedParams, 256, 4, 64) { copy_strided<u16>(p); }
KIT_KERNEL(copy_strided_32, StridedParams, 256, 4, 64) { copy_strided<u32>(p); }
KIT_KERNEL(gather_rows_16, GatherParams, 256, 4, 64) { gather_rows<u16>(p); }
KIT_KERNEL(gather_rows_32, GatherParams, 256, 4, 64) { gather_rows<u32>(p); }
