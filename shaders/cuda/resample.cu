// What three planes hold at points of space: each is read at two of a point's coordinates, between its four
// nearest pixels, zero outside, where -1 and 1 are the outer edges of the outer pixels.
#include "kit.cuh"

struct PlanesParams {
    const void* planes;   // 3 × side × side × channels: the planes xy, xz, yz; rows along the second axis
    const float* points;  // points × 3
    void* y;              // points × 3 · channels
    i64 points_count;
    int side, channels;
    float scale;  // takes points to -1 … 1
    int padding;
};

template <class Type>
KIT_FUNCTION void sample_planes(const PlanesParams& p) {
    typedef typename Type::Stored Stored;
    const i64 count = p.points_count * 3 * p.channels;
    for (i64 i = (i64)blockIdx.x * 256 + threadIdx.x; i < count; i += (i64)gridDim.x * 256) {
        const int channel = (int)(i % p.channels), plane = (int)(i / p.channels % 3);
        const float* point = p.points + i / p.channels / 3 * 3;
        const float across = point[plane == 2 ? 1 : 0] * p.scale, down = point[plane == 0 ? 1 : 2] * p.scale;
        const float x = ((across + 1.f) * p.side - 1.f) * 0.5f, y = ((down + 1.f) * p.side - 1.f) * 0.5f;
        const Stored* from = (const Stored*)p.planes + (i64)plane * p.side * p.side * p.channels + channel;
        float sum = 0.f;
        // Compared as floats: neither a far point nor a NaN becomes an index.
        if (x > -1.f && x < p.side && y > -1.f && y < p.side) {
            const int column = (int)floorf(x), row = (int)floorf(y);
            const float right = x - column, below = y - row;
            for (int corner = 0; corner < 4; corner++) {
                const int c = column + corner % 2, r = row + corner / 2;
                if (c < 0 || c >= p.side || r < 0 || r >= p.side) continue;
                const float weight = (corner % 2 ? right : 1.f - right) * (corner / 2 ? below : 1.f - below);
                sum += weight * Type::widen(from[((i64)r * p.side + c) * p.channels]);
            }
        } else if (x != x || y != y) {
            sum = x + y;
        }
        ((Stored*)p.y)[i] = Type::narrow(sum);
    }
}

KIT_KERNEL(sample_planes_f32, PlanesParams, 256, 4, 64) { sample_planes<kit::Float>(p); }
KIT_KERNEL(sample_planes_f16, PlanesParams, 256, 4, 64) { sample_planes<kit::Half>(p); }
KIT_KERNEL(sample_planes_bf16, PlanesParams, 256, 4, 64) { sample_planes<kit::Brain>(p); }
