// What three planes hold at points of space: each is read at two of a point's coordinates, between its four
// nearest pixels, zero outside, where -1 and 1 are the outer edges of the outer pixels.
#include "kit.cuh"
#include "activations.cuh"

struct PlanesParams {
    const void* planes;   // 3 × side × side × channels: the planes xy, xz, yz; rows along the second axis
    const float* points;  // points × 3
    void* y;              // points × 3 · channels
    i64 points_count;
    int side, channels;
    float scale;  // takes points to -1 … 1
    int padding;
};

// What a plane holds at a place, and how it grows across and down, a pixel.
struct Sampled {
    float value, across, down;
};

template <class Type>
KIT_FUNCTION Sampled sample_plane(const PlanesParams& p, int plane, int channel, float across, float down) {
    typedef typename Type::Stored Stored;
    const float x = ((across + 1.f) * p.side - 1.f) * 0.5f, y = ((down + 1.f) * p.side - 1.f) * 0.5f;
    const Stored* from = (const Stored*)p.planes + (i64)plane * p.side * p.side * p.channels + channel;
    Sampled sampled = {0.f, 0.f, 0.f};
    // Compared as floats: neither a far point nor a NaN becomes an index.
    if (x > -1.f && x < p.side && y > -1.f && y < p.side) {
        const int column = (int)floorf(x), row = (int)floorf(y);
        const float right = x - column, below = y - row;
        for (int corner = 0; corner < 4; corner++) {
            const int c = column + corner % 2, r = row + corner / 2;
            if (c < 0 || c >= p.side || r < 0 || r >= p.side) continue;
            const float value = Type::widen(from[((i64)r * p.side + c) * p.channels]);
            const float weight_x = corner % 2 ? right : 1.f - right, weight_y = corner / 2 ? below : 1.f - below;
            sampled.value += weight_x * weight_y * value;
            sampled.across += (corner % 2 ? weight_y : -weight_y) * value;
            sampled.down += (corner / 2 ? weight_x : -weight_x) * value;
        }
    } else if (x != x || y != y) {
        sampled.value = x + y;
    }
    return sampled;
}

// The axes of a point that run across and down a plane.
KIT_FUNCTION int axis_across(int plane) { return plane == 2 ? 1 : 0; }
KIT_FUNCTION int axis_down(int plane) { return plane == 0 ? 1 : 2; }

template <class Type>
KIT_FUNCTION void sample_planes(const PlanesParams& p) {
    const i64 count = p.points_count * 3 * p.channels;
    for (i64 i = (i64)blockIdx.x * 256 + threadIdx.x; i < count; i += (i64)gridDim.x * 256) {
        const int channel = (int)(i % p.channels), plane = (int)(i / p.channels % 3);
        const float* point = p.points + i / p.channels / 3 * 3;
        const float across = point[axis_across(plane)] * p.scale, down = point[axis_down(plane)] * p.scale;
        const Sampled sampled = sample_plane<Type>(p, plane, channel, across, down);
        ((typename Type::Stored*)p.y)[i] = Type::narrow(sampled.value);
    }
}

// The same of planes of 32-bit numbers, and how it grows along each of a point's coordinates: y is points × 4 ×
// 3 · channels, a row of what the planes hold and three of slopes.
KIT_KERNEL(sample_planes_with_slopes, PlanesParams, 256, 4, 64) {
    const i64 width = 3 * p.channels, count = p.points_count * width;
    const float pixels = 0.5f * p.side * p.scale;
    for (i64 i = (i64)blockIdx.x * 256 + threadIdx.x; i < count; i += (i64)gridDim.x * 256) {
        const int channel = (int)(i % p.channels), plane = (int)(i / p.channels % 3);
        const i64 place = i / width;
        const float* point = p.points + place * 3;
        const float across = point[axis_across(plane)] * p.scale, down = point[axis_down(plane)] * p.scale;
        const Sampled sampled = sample_plane<kit::Float>(p, plane, channel, across, down);
        float* to = (float*)p.y + place * 4 * width + i % width;
        to[0] = sampled.value;
        for (int axis = 0; axis < 3; axis++)
            to[(1 + axis) * width] = axis == axis_across(plane) ? pixels * sampled.across
                                     : axis == axis_down(plane) ? pixels * sampled.down
                                                                : 0.f;
    }
}

// Of rows of sums and of their three slopes, four rows a point: SiLU of the sums with a bias, and its slope times
// theirs. In place.
struct SlopedParams {
    float* x;           // points × 4 × width
    const float* bias;  // width
    i64 points_count;
    int width;
    int padding;
};

KIT_KERNEL(silu_with_slopes, SlopedParams, 256, 4, 64) {
    const i64 count = p.points_count * p.width;
    for (i64 i = (i64)blockIdx.x * 256 + threadIdx.x; i < count; i += (i64)gridDim.x * 256) {
        float* at = p.x + i / p.width * 4 * p.width + i % p.width;
        const float sum = at[0] + p.bias[i % p.width], gate = sigmoid(sum);
        const float slope = gate * (1.f + sum * (1.f - gate));
        at[0] = sum * gate;
        for (int axis = 1; axis < 4; axis++) at[axis * p.width] *= slope;
    }
}

KIT_KERNEL(sample_planes_f32, PlanesParams, 256, 4, 64) { sample_planes<kit::Float>(p); }
KIT_KERNEL(sample_planes_f16, PlanesParams, 256, 4, 64) { sample_planes<kit::Half>(p); }
KIT_KERNEL(sample_planes_bf16, PlanesParams, 256, 4, 64) { sample_planes<kit::Brain>(p); }
