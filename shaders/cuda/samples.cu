// A field that is sampled from coarse to fine, in sparse blocks of 8³ samples: which blocks and samples are wanted,
// what the coarser lattice knows of them, the points to ask the field for and the values that come back; and the
// bricks of 9³ samples that the surface is extracted from. The same samples and values as `field::Hierarchy` and
// `field::SparseGrid` have, operation by operation. No thread's result depends on the order of threads: a block
// decides about its own samples, and numbers come from sums.
#include "kit.cuh"
#include "isosurface.cuh"

// The workspace; every kernel takes what it needs.
struct SamplesParams {
    float* values;                // held × 512, x fastest; NaN: not evaluated
    u32* wanted;                  // held × 16: a bit a sample
    u32* directory;               // blocks of the lattice, x fastest: the number of the held one there, or MISSING
    u16* places;                  // held × 4: x, y, z, 0
    u8* marks;                    // blocks of the lattice: what was found there, see below
    u32* counts;                  // 2 × cubes of 8³ blocks: those that are to be held, those that want more; or held
    const u32* offsets;           // their sums before each, a row one longer
    u32* list;                    // samples that are to be evaluated: 512 · block + sample
    float* points;                // count × 3
    const void* answers;          // count
    const float* coarse_values;   // of the lattice of twice the step, or null …
    const u32* coarse_directory;  // … likewise
    float* bricks;                // kept × 729, x fastest
    u32* slots;                   // kept: which of the bricks it is
    i64 first;                    // the first block, or entry of the list, that the launch looks at
    i64 count;                    // how many
    int blocks[3];                // of the lattice
    int samples[3];               // of the lattice
    int coarse_blocks[3];
    int coarse_samples[3];
    int shift[3];                 // the coarse lattice's first sample, counted from this one's
    float origin[3];
    float step;
    float least[3], most[3];      // the box that points are brought into
    float near;                   // a coarse value so near to 0 has its surroundings wanted
    float sign, threshold;        // an answer's value is sign · answer - threshold
    int which;                    // which samples are wanted, see below
    int padding;
};

enum Which { EVERYWHERE, NEAR_SURFACE, FOLLOWING };
enum Mark { NOTHING, TO_BE_HELD, WANTS_MORE };

const int WORDS = CELLS / 32;  // of a block's wanted bits

// The lattice of a block, or of a grid of blocks, as far as it is looked up.
struct Sampled {
    const float* values;
    const u32* directory;
    const int* blocks;
    const int* samples;
};

KIT_FUNCTION Sampled fine(const SamplesParams& p) {
    Sampled sampled = {p.values, p.directory, p.blocks, p.samples};
    return sampled;
}

KIT_FUNCTION Sampled coarse(const SamplesParams& p) {
    Sampled sampled = {p.coarse_values, p.coarse_directory, p.coarse_blocks, p.coarse_samples};
    return sampled;
}

KIT_FUNCTION float not_evaluated() { return kit::bits_float(0x7fc00000u); }

// The number of the block at these coordinates, or MISSING.
KIT_FUNCTION u32 block_at(const Sampled& s, int x, int y, int z) {
    const bool is_there = x >= 0 && y >= 0 && z >= 0 && x < s.blocks[0] && y < s.blocks[1] && z < s.blocks[2];
    return is_there ? s.directory[((i64)z * s.blocks[1] + y) * s.blocks[0] + x] : MISSING;
}

// The value of a sample; NaN where it was not evaluated or lies outside of the lattice.
KIT_FUNCTION float value_at(const Sampled& s, int x, int y, int z) {
    if (x < 0 || y < 0 || z < 0 || x >= s.samples[0] || y >= s.samples[1] || z >= s.samples[2]) return not_evaluated();
    const u32 number = block_at(s, x >> 3, y >> 3, z >> 3);
    return number == MISSING ? not_evaluated() : s.values[(i64)number * CELLS + ((z & 7) * SIDE + (y & 7)) * SIDE + (x & 7)];
}

struct Index {
    int x, y, z;
};

KIT_FUNCTION Index block_place(const SamplesParams& p, i64 number) {
    const u16* place = p.places + number * 4;
    Index at = {place[0], place[1], place[2]};
    return at;
}

// The index in the lattice of a sample of the block at these coordinates.
KIT_FUNCTION Index sample_of(const Index& block, int sample) {
    Index at = {block.x * SIDE + (sample & 7), block.y * SIDE + (sample >> 3 & 7), block.z * SIDE + (sample >> 6)};
    return at;
}

KIT_FUNCTION bool is_within(const SamplesParams& p, const Index& at) {
    return at.x < p.samples[0] && at.y < p.samples[1] && at.z < p.samples[2];
}

// A sample's value, on the outside where the lattice ends.
KIT_FUNCTION float closed(const SamplesParams& p, const Index& at, float value) {
    const bool ends = at.x == 0 || at.y == 0 || at.z == 0 || at.x + 1 >= p.samples[0] || at.y + 1 >= p.samples[1] ||
                      at.z + 1 >= p.samples[2];
    return ends ? -fabsf(value) : value;
}

const int MARKING = 256;  // threads

// Whether samples of a cube of `side`³ corners lie on either side of the surface, NaN being on neither, or one of
// them nearer to it than `near`.
KIT_FUNCTION bool is_chosen(const float* corner, int side, float near) {
    bool inside = false, outside = false, is_near = false;
#pragma unroll
    for (int i = 0; i < 8; i++) {
        const float value = corner[((i >> 2) * side + (i >> 1 & 1)) * side + (i & 1)];
        inside |= value > 0.f;
        outside |= value <= 0.f;
        is_near |= fabsf(value) < near;
    }
    return (inside && outside) || is_near;
}

// What a block of threads shares: samples, which cells of theirs are chosen, and which samples of the block of
// the lattice are wanted.
const int CORNERS = 10 * 10 * 10, CHOSEN = 9 * 9 * 9;
const int MARKING_SHARED = CORNERS * 4 + (CHOSEN + 3) / 4 * 4 + CELLS + 4;

struct Marking {
    float* corners;
    u8* chosen;
    u8* wanted;
    u32* found;
};

KIT_FUNCTION Marking marking_in(unsigned char* shared) {
    Marking m;
    m.corners = (float*)shared;
    m.chosen = shared + CORNERS * 4;
    m.wanted = m.chosen + (CHOSEN + 3) / 4 * 4;
    m.found = (u32*)(m.wanted + CELLS);
    return m;
}

// Looks at the cells of a cube of `cells`³ whose first has its least corner at `first`.
KIT_FUNCTION void choose_cells(const Marking& m, const Sampled& s, const Index& first, int cells, float near) {
    const int side = cells + 1;
    for (int i = threadIdx.x; i < side * side * side; i += MARKING)
        m.corners[i] = value_at(s, first.x + i % side, first.y + i / side % side, first.z + i / (side * side));
    __syncthreads();
    for (int i = threadIdx.x; i < cells * cells * cells; i += MARKING) {
        const int x = i % cells, y = i / cells % cells, z = i / (cells * cells);
        m.chosen[i] = is_chosen(m.corners + (z * side + y) * side + x, side, near);
    }
    __syncthreads();
}

// Whether a block is held at these coordinates or among those that follow along each axis.
KIT_FUNCTION bool any_held(const Sampled& s, const Index& first, const Index& last) {
    bool any = false;
    for (int z = first.z; z <= last.z; z++)
        for (int y = first.y; y <= last.y; y++)
            for (int x = first.x; x <= last.x; x++) any |= block_at(s, x, y, z) != MISSING;
    return any;
}

// Tells which samples of a block are wanted: all of them; those of the coarse cells that the surface passes or
// comes near to; or those without a value in cells that the surface passes. False where none is. The whole block
// of threads takes part.
KIT_FUNCTION bool find_wanted(const SamplesParams& p, const Marking& m, const Index& block) {
    if (threadIdx.x == 0) *m.found = 0;
    Index low = {0, 0, 0};
    int cells = 0;
    if (p.which == NEAR_SURFACE) {
        // From the coarse lattice's first sample, in fine steps; five coarse cells reach into the block.
        const int x = block.x * SIDE - p.shift[0], y = block.y * SIDE - p.shift[1], z = block.z * SIDE - p.shift[2];
        const Index first = {((x + 1) >> 1) - 1, ((y + 1) >> 1) - 1, ((z + 1) >> 1) - 1};
        const Index first_block = {first.x >> 3, first.y >> 3, first.z >> 3};
        const Index last_block = {(first.x + 5) >> 3, (first.y + 5) >> 3, (first.z + 5) >> 3};
        const Sampled from = coarse(p);
        if (!any_held(from, first_block, last_block)) return false;
        low = first;
        cells = 5;
        choose_cells(m, from, first, cells, p.near);
    } else if (p.which == FOLLOWING) {
        const Index first_block = {block.x - 1, block.y - 1, block.z - 1};
        const Index last_block = {block.x + 1, block.y + 1, block.z + 1};
        const Sampled own = fine(p);
        if (!any_held(own, first_block, last_block)) return false;
        const Index first = {block.x * SIDE - 1, block.y * SIDE - 1, block.z * SIDE - 1};
        cells = 9;
        choose_cells(m, own, first, cells, 0.f);
    } else {
        __syncthreads();
    }
    for (int i = threadIdx.x; i < CELLS; i += MARKING) {
        const Index at = sample_of(block, i);
        bool wanted = p.which == EVERYWHERE;
        if (!wanted) {
            // The cells around the sample: one along an axis where it lies between two coarse samples, else two.
            Index from, to;
            if (p.which == NEAR_SURFACE) {
                const int x = at.x - p.shift[0], y = at.y - p.shift[1], z = at.z - p.shift[2];
                from.x = ((x + 1) >> 1) - 1 - low.x;
                from.y = ((y + 1) >> 1) - 1 - low.y;
                from.z = ((z + 1) >> 1) - 1 - low.z;
                to.x = (x >> 1) - low.x;
                to.y = (y >> 1) - low.y;
                to.z = (z >> 1) - low.z;
            } else {
                from.x = i & 7;
                from.y = i >> 3 & 7;
                from.z = i >> 6;
                to.x = from.x + 1;
                to.y = from.y + 1;
                to.z = from.z + 1;
            }
            for (int z = from.z; z <= to.z; z++)
                for (int y = from.y; y <= to.y; y++)
                    for (int x = from.x; x <= to.x; x++) wanted |= m.chosen[(z * cells + y) * cells + x] != 0;
            if (p.which == FOLLOWING) {
                const float own = m.corners[((to.z) * 10 + to.y) * 10 + to.x];
                wanted = wanted && own != own;
            }
        }
        wanted = wanted && is_within(p, at);
        m.wanted[i] = wanted;
        if (wanted) *m.found = 1;
    }
    __syncthreads();
    return *m.found != 0;
}

// Word `word` of the bits of what is wanted.
KIT_FUNCTION u32 wanted_bits(const Marking& m, int word) {
    u32 bits = 0;
    for (int i = 0; i < 32; i++) bits |= (u32)m.wanted[word * 32 + i] << i;
    return bits;
}

// Marks the blocks that are to be held, because something in them is wanted, and where they are followed adds to
// what is wanted of those that are held. A block of threads takes a block of the lattice.
KIT_KERNEL(mark_blocks, SamplesParams, 256, 4, 64) {
    KIT_SHARED(shared, MARKING_SHARED);
    const Marking m = marking_in(shared);
    const int number = blockIdx.x;
    const Index block = {number % p.blocks[0], number / p.blocks[0] % p.blocks[1], number / p.blocks[0] / p.blocks[1]};
    const bool any = find_wanted(p, m, block);
    const u32 held = p.directory[number];
    if (held == MISSING || !any) {
        if (threadIdx.x == 0) p.marks[number] = any ? TO_BE_HELD : NOTHING;
        return;
    }
    // Every thread has read it.
    __syncthreads();
    if (threadIdx.x == 0) *m.found = 0;
    __syncthreads();
    if (threadIdx.x < WORDS) {
        u32* word = p.wanted + (i64)held * WORDS + threadIdx.x;
        const u32 before = *word, after = before | wanted_bits(m, threadIdx.x);
        if (after != before) {
            *word = after;
            *m.found = 1;
        }
    }
    __syncthreads();
    if (threadIdx.x == 0) p.marks[number] = *m.found ? WANTS_MORE : NOTHING;
}

// Notes which samples are wanted of blocks that were just numbered. A block of threads takes a block.
KIT_KERNEL(want_samples, SamplesParams, 256, 4, 64) {
    KIT_SHARED(shared, MARKING_SHARED);
    const Marking m = marking_in(shared);
    const i64 number = p.first + blockIdx.x;
    const bool any = find_wanted(p, m, block_place(p, number));
    if (threadIdx.x < WORDS) p.wanted[number * WORDS + threadIdx.x] = any ? wanted_bits(m, threadIdx.x) : 0;
}

// Every third bit of a number.
KIT_FUNCTION int third_bits(int code) {
    int sum = 0;
#pragma unroll
    for (int i = 0; i < 10; i++) sum |= (code >> (3 * i) & 1) << i;
    return sum;
}

// The block of this thread's turn in Morton order, x changing first, and its mark.
KIT_FUNCTION u32 mark_in_turn(const SamplesParams& p, Index& block, i64& number) {
    const int code = blockIdx.x * BLOCK + threadIdx.x;
    block.x = third_bits(code);
    block.y = third_bits(code >> 1);
    block.z = third_bits(code >> 2);
    number = ((i64)block.z * p.blocks[1] + block.y) * p.blocks[0] + block.x;
    return block.x < p.blocks[0] && block.y < p.blocks[1] && block.z < p.blocks[2] ? p.marks[number] : (u32)NOTHING;
}

// Counts the marks of each cube of 8³ blocks of the lattice, the cubes in Morton order.
KIT_KERNEL(count_marks, SamplesParams, 512, 2, 64) {
    KIT_SHARED(shared, 2 * BLOCK * 4);
    Index block;
    i64 number;
    const u32 mark = mark_in_turn(p, block, number);
    u32 all;
    // At most 512 each.
    sum_before((mark == TO_BE_HELD ? 1u : 0u) | (mark == WANTS_MORE ? 1u << 16 : 0u), (u32*)shared, all);
    if (threadIdx.x == 0) {
        p.counts[blockIdx.x] = all & 0xffff;
        p.counts[gridDim.x + blockIdx.x] = all >> 16;
    }
}

// Numbers the blocks that are to be held, in Morton order, from `first` on.
KIT_KERNEL(number_blocks, SamplesParams, 512, 2, 64) {
    KIT_SHARED(shared, 2 * BLOCK * 4);
    Index block;
    i64 at;
    const bool is_new = mark_in_turn(p, block, at) == TO_BE_HELD;
    u32 all;
    const u32 before = sum_before(is_new, (u32*)shared, all);
    if (!is_new) return;
    const i64 number = p.first + p.offsets[blockIdx.x] + before;
    p.directory[at] = (u32)number;
    u16* place = p.places + number * 4;
    place[0] = (u16)block.x;
    place[1] = (u16)block.y;
    place[2] = (u16)block.z;
    place[3] = 0;
}

// The value that the coarser lattice has at a sample; NaN where it has none.
KIT_FUNCTION float known_value(const SamplesParams& p, const Index& at) {
    if (!p.coarse_directory) return not_evaluated();
    const int x = at.x - p.shift[0], y = at.y - p.shift[1], z = at.z - p.shift[2];
    if ((x | y | z) & 1) return not_evaluated();
    const Index from = {x >> 1, y >> 1, z >> 1};
    // It turned the signs of its outermost samples.
    const int* samples = p.coarse_samples;
    const bool inner = from.x > 0 && from.y > 0 && from.z > 0 && from.x < samples[0] - 1 && from.y < samples[1] - 1 &&
                       from.z < samples[2] - 1;
    return inner ? value_at(coarse(p), from.x, from.y, from.z) : not_evaluated();
}

KIT_FUNCTION bool is_pending(const SamplesParams& p, i64 block, int sample) {
    const float value = p.values[block * CELLS + sample];
    return (p.wanted[block * WORDS + (sample >> 5)] >> (sample & 31) & 1) && value != value;
}

// Takes the values that the coarser lattice knows, and counts in each block those that are still missing. A thread
// takes a sample.
KIT_KERNEL(take_known, SamplesParams, 512, 2, 64) {
    KIT_SHARED(shared, 2 * BLOCK * 4);
    const i64 block = blockIdx.x;
    const int sample = threadIdx.x;
    bool missing = is_pending(p, block, sample);
    if (missing) {
        const Index at = sample_of(block_place(p, block), sample);
        const float known = known_value(p, at);
        if (known == known) {
            p.values[block * CELLS + sample] = closed(p, at, known);
            missing = false;
        }
    }
    u32 all;
    sum_before(missing, (u32*)shared, all);
    if (sample == 0) p.counts[block] = all;
}

// Lists the samples that have no value yet, of the blocks from `first` on. A thread takes a sample.
KIT_KERNEL(list_missing, SamplesParams, 512, 2, 64) {
    KIT_SHARED(shared, 2 * BLOCK * 4);
    const i64 block = p.first + blockIdx.x;
    const bool missing = is_pending(p, block, threadIdx.x);
    u32 all;
    const u32 before = sum_before(missing, (u32*)shared, all);
    if (missing) p.list[p.offsets[block] - p.offsets[p.first] + before] = (u32)block * CELLS + threadIdx.x;
}

KIT_FUNCTION Index listed(const SamplesParams& p, u32 entry) {
    return sample_of(block_place(p, entry / CELLS), entry % CELLS);
}

// The points where the samples of the list are evaluated, from entry `first` on: at their own places, or at the
// nearest in the box.
KIT_KERNEL(sample_points, SamplesParams, 256, 4, 64) {
    for (i64 i = (i64)blockIdx.x * 256 + threadIdx.x; i < p.count; i += (i64)gridDim.x * 256) {
        const Index at = listed(p, p.list[p.first + i]);
        float* to = p.points + i * 3;
        to[0] = clamped(p.origin[0] + p.step * (float)at.x, p.least[0], p.most[0]);
        to[1] = clamped(p.origin[1] + p.step * (float)at.y, p.least[1], p.most[1]);
        to[2] = clamped(p.origin[2] + p.step * (float)at.z, p.least[2], p.most[2]);
    }
}

// Puts the answers where they belong.
template <class Type>
KIT_FUNCTION void put_answers(const SamplesParams& p) {
    typedef typename Type::Stored Stored;
    for (i64 i = (i64)blockIdx.x * 256 + threadIdx.x; i < p.count; i += (i64)gridDim.x * 256) {
        const u32 entry = p.list[p.first + i];
        const float value = p.sign * Type::widen(((const Stored*)p.answers)[i]) - p.threshold;
        p.values[entry] = closed(p, listed(p, entry), value);
    }
}

KIT_KERNEL(put_answers_f32, SamplesParams, 256, 4, 64) { put_answers<kit::Float>(p); }
KIT_KERNEL(put_answers_f16, SamplesParams, 256, 4, 64) { put_answers<kit::Half>(p); }
KIT_KERNEL(put_answers_bf16, SamplesParams, 256, 4, 64) { put_answers<kit::Brain>(p); }

// Whether any lane of the warp says so.
KIT_FUNCTION bool any_of_warp(bool own) {
    u32 any = own;
    for (int mask = 16; mask; mask >>= 1) any |= kit::shuffle_xor_bits(any, mask);
    return any != 0;
}

// Marks the bricks of 8³ cells, x fastest, that have samples on either side of the surface. A brick whose first
// block is not held has no cell of which all corners are known. A warp takes a brick.
KIT_KERNEL(mark_mixed, SamplesParams, 256, 4, 64) {
    const i64 number = (i64)blockIdx.x * 8 + (threadIdx.x >> 5);
    if (number >= p.count) return;
    const int across = (p.samples[0] + SIDE - 2) / SIDE, down = (p.samples[1] + SIDE - 2) / SIDE;
    const Index brick = {(int)(number % across), (int)(number / across % down), (int)(number / across / down)};
    const Sampled s = fine(p);
    bool inside = false, outside = false;
    if (block_at(s, brick.x, brick.y, brick.z) != MISSING)
        for (int i = threadIdx.x & 31; i < BRICK_SAMPLES; i += 32) {
            const float value = value_at(s, brick.x * SIDE + i % SAMPLES, brick.y * SIDE + i / SAMPLES % SAMPLES,
                                         brick.z * SIDE + i / (SAMPLES * SAMPLES));
            inside |= value > 0.f;
            outside |= value <= 0.f;
        }
    const bool is_mixed = any_of_warp(inside) & any_of_warp(outside);
    if ((threadIdx.x & 31) == 0) p.marks[number] = is_mixed ? TO_BE_HELD : NOTHING;
}

// Copies the samples of kept bricks, whose coordinates `places` has. A block of threads takes a brick.
KIT_KERNEL(copy_from_blocks, SamplesParams, 256, 4, 64) {
    const Index brick = block_place(p, blockIdx.x);
    const Sampled s = fine(p);
    if (threadIdx.x == 0) p.slots[blockIdx.x] = blockIdx.x;
    for (int i = threadIdx.x; i < BRICK_SAMPLES; i += 256)
        p.bricks[(i64)blockIdx.x * BRICK_SAMPLES + i] =
            value_at(s, brick.x * SIDE + i % SAMPLES, brick.y * SIDE + i / SAMPLES % SAMPLES,
                     brick.z * SIDE + i / (SAMPLES * SAMPLES));
}

// Up to two Newton steps on the trilinear interpolation of the samples, taken as those on any field are.
struct OnInterpolation {
    const IsosurfaceParams& p;

    // How far a position is from the sample before it, in steps.
    KIT_FUNCTION float from_sample(float corner, float at, int axis) const {
        const float steps = ((corner + p.step * at) - p.origin[axis]) / p.step;
        return steps - floorf(steps);
    }

    // The value, and its slopes in cells; false where there is none.
    KIT_FUNCTION bool read(const Cell& cell, const Vector& place, float& value, Vector& gradient) const {
        const float at[3] = {from_sample(cell.corner.x, place.x, 0), from_sample(cell.corner.y, place.y, 1),
                             from_sample(cell.corner.z, place.z, 2)};
        float slopes[3] = {0.f, 0.f, 0.f};
        value = 0.f;
#pragma unroll
        for (int corner = 0; corner < 8; corner++) {
            const float sample = cell.values[corner];
            float weights[3];
#pragma unroll
            for (int axis = 0; axis < 3; axis++) weights[axis] = corner >> axis & 1 ? at[axis] : 1.f - at[axis];
            value += sample * weights[0] * weights[1] * weights[2];
#pragma unroll
            for (int axis = 0; axis < 3; axis++) {
                const float others = weights[(axis + 1) % 3] * weights[(axis + 2) % 3];
                slopes[axis] += (corner >> axis & 1 ? 1.f : -1.f) * sample * others / p.step;
            }
        }
        gradient.x = slopes[0] * cell.step;
        gradient.y = slopes[1] * cell.step;
        gradient.z = slopes[2] * cell.step;
        return value == value;
    }

    KIT_FUNCTION void operator()(const Cell& cell, i64, Vector start, Vector& vertex, Vector& gradient) const {
        const float LAST_STEP = 1.f / 32.f;
        Vector slope, once, twice;
        float value, better;
        if (!read(cell, start, value, slope) || !newton_step(start, value, slope, once)) return;
        vertex = once;
        gradient = slope;
        if (distance_along(once.x, start.x) <= LAST_STEP && distance_along(once.y, start.y) <= LAST_STEP &&
            distance_along(once.z, start.z) <= LAST_STEP)
            return;
        if (!read(cell, once, better, slope) || !(fabsf(better) <= fabsf(value))) {
            vertex = start;
        } else if (newton_step(once, better, slope, twice)) {
            vertex = twice;
            gradient = slope;
        }
    }
};

KIT_KERNEL(place_vertices_on_interpolation, IsosurfaceParams, 128, 4, 128) {
    const OnInterpolation on_interpolation = {p};
    place_vertices(p, on_interpolation);
}
