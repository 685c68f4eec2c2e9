// What the kernels of the isosurface share: the workspace of an extraction, and the placing of vertices with
// any way to move them onto the surface. Every formula is that of `mesh::isosurface`, operation by operation;
// compiled without fused multiply-add, so that the processor's results come out to the last bit.
#ifndef ISOSURFACE_CUH
#define ISOSURFACE_CUH

const int SIDE = 8, SAMPLES = SIDE + 1, CELLS = 512, BRICK_SAMPLES = SAMPLES * SAMPLES * SAMPLES;
const u32 MISSING = 0xffffffffu;
const int CASE_WORDS = 6;
const u32 NO_FACE = 6, RESOLVED = 256;

// The workspace of an extraction; every kernel takes what it needs. A *filled* brick has been evaluated, a
// *kept* one holds surface too.
struct IsosurfaceParams {
    float* values;         // filled × 729, x fastest
    const float* grid;     // samples[0] × samples[1] × samples[2], x fastest
    const u16* cases;      // 512 × 6: the edges of four patches; patches + 256 · doubled face; 0
    const u16* places;     // filled × 4: x, y, z of a brick and whether it is kept in any case; null: all of the
                           // lattice's, x fastest
    u32* flags;            // filled: 1 where a brick is kept
    const u32* offsets;    // filled + 1: their sums before each
    u16* numbered;         // kept × 4: x, y, z, 0
    u32* slots;            // kept: which filled brick it is
    u32* directory;        // bricks of the lattice, x fastest: the number of the kept one there, or MISSING
    u8* missed;            // kept × 32: 1 where the surface runs into the neighbour x + 3 y + 9 z, not kept
    u16* codes;            // kept × 512: each cell's case; 0 where no surface runs
    u16* first_in_brick;   // kept × 512: each cell's first vertex among its brick's
    u32* counts;           // 4 × kept: vertices, faces of four corners, such faces left open, missed neighbours
    const u32* firsts;     // 4 × (kept + 1): their sums before each
    float* positions;      // vertices × 3
    float* normals;        // vertices × 3; 0 where unknown
    u32* triangles;        // faces × 2 × 3
    u8* disagreeing;       // vertices: 1 where the normal does not agree with a face
    float* points;         // filled × 729 × 3
    i64 count;             // bricks that the launch looks at
    int cells[3];          // of the lattice
    int bricks[3];         // of the lattice
    int samples[3];        // of the grid
    int axes[3];           // which axes of the field the axes of a point are
    float origin[3];
    float step;
};

const int BLOCK = 512;

// The sum over the threads of the block before this one, and over all. Whoever wrote `shared` before has passed
// a barrier, and so has whoever writes it after.
KIT_FUNCTION u32 sum_before(u32 value, u32* shared, u32& total) {
    const int thread = threadIdx.x;
    u32 sum = value;
    int from = 0;
    shared[thread] = sum;
#pragma unroll 1
    for (int reach = 1; reach < BLOCK; reach *= 2) {
        __syncthreads();
        if (thread >= reach) sum += shared[from + thread - reach];
        from = BLOCK - from;
        shared[from + thread] = sum;
    }
    __syncthreads();
    total = shared[from + BLOCK - 1];
    __syncthreads();
    return sum - value;
}

KIT_FUNCTION bool is_finite(float x) { return (kit::float_bits(x) & 0x7f800000u) != 0x7f800000u; }

KIT_FUNCTION float position(const IsosurfaceParams& p, int axis, int index) {
    return p.origin[axis] + p.step * (float)index;
}

struct Vector {
    float x, y, z;
};

KIT_FUNCTION float dot(const Vector& a, const Vector& b) { return a.x * b.x + a.y * b.y + a.z * b.z; }

KIT_FUNCTION float clamped(float x, float least, float most) { return x < least ? least : x > most ? most : x; }

// A cell that the surface runs through.
struct Cell {
    Vector corner;
    float step;
    float values[8];  // at its corners, by x + 2 y + 4 z
};

KIT_FUNCTION Vector within_cell(const Vector& at) {
    const float MARGIN = 0.02f;
    Vector inside = {clamped(at.x, MARGIN, 1.f - MARGIN), clamped(at.y, MARGIN, 1.f - MARGIN),
                     clamped(at.z, MARGIN, 1.f - MARGIN)};
    return inside;
}

// One Newton step in units of cells; false where value and gradient give none.
KIT_FUNCTION bool newton_step(const Vector& at, float value, const Vector& gradient, Vector& next) {
    const float MAX_STEP = 0.5f;
    const float scale = value / dot(gradient, gradient);
    const Vector step = {gradient.x * scale, gradient.y * scale, gradient.z * scale};
    if (!(is_finite(step.x) && is_finite(step.y) && is_finite(step.z))) return false;
    const Vector moved = {at.x - clamped(step.x, -MAX_STEP, MAX_STEP), at.y - clamped(step.y, -MAX_STEP, MAX_STEP),
                          at.z - clamped(step.z, -MAX_STEP, MAX_STEP)};
    next = within_cell(moved);
    return true;
}

// Where the surface crosses the edge 4 · AXIS + WHICH.
template <int AXIS, int WHICH>
KIT_FUNCTION float crossing(const Cell& cell) {
    const int low = ((WHICH & 1) << ((AXIS + 1) % 3)) | ((WHICH >> 1) << ((AXIS + 2) % 3));
    return cell.values[low] / (cell.values[low] - cell.values[low | 1 << AXIS]);
}

// How crossings are taken: as they are, near the middle of their edges, or at it.
enum Crossings { EXACT, TAME, MIDDLE };

template <int AXIS, int WHICH>
KIT_FUNCTION float counted(const Cell& cell, u32 edges, bool finite, Crossings how) {
    if (!(edges >> (4 * AXIS + WHICH) & 1)) return 0.f;
    if (how == MIDDLE) return 0.5f;
    float at = crossing<AXIS, WHICH>(cell);
    if (finite && !is_finite(at)) at = 0.5f;
    return how == TAME ? clamped(at, 0.3f, 0.7f) : at;
}

// Along an axis, the mean of a patch's crossings. FAR are the edges on the far side of the cell.
template <int AXIS>
KIT_FUNCTION float mean_along(const Cell& cell, u32 edges, bool finite, Crossings how) {
    const u32 FAR = AXIS == 0 ? 0xac0u : AXIS == 1 ? 0xc0au : 0x0acu;
    const float sum = (counted<AXIS, 0>(cell, edges, finite, how) + counted<AXIS, 1>(cell, edges, finite, how)) +
                      (counted<AXIS, 2>(cell, edges, finite, how) + counted<AXIS, 3>(cell, edges, finite, how));
    return ((float)kit::count_bits(edges & FAR) + sum) * (1.f / (float)kit::count_bits(edges));
}

KIT_FUNCTION Vector patch_mean(const Cell& cell, u32 edges, bool finite, Crossings how) {
    const Vector mean = {mean_along<0>(cell, edges, finite, how), mean_along<1>(cell, edges, finite, how),
                         mean_along<2>(cell, edges, finite, how)};
    return within_cell(mean);
}

const int PLACING_THREADS = 128;
// A thread keeps up to four vertices and their gradients, THREADS numbers apart.
const int PLACING_SHARED = 24 * PLACING_THREADS * 4;

struct Scratch {
    float* first;
    KIT_FUNCTION Vector get(int which) const {
        Vector v = {first[which * 3 * PLACING_THREADS], first[(which * 3 + 1) * PLACING_THREADS],
                    first[(which * 3 + 2) * PLACING_THREADS]};
        return v;
    }
    KIT_FUNCTION void set(int which, const Vector& v) const {
        first[which * 3 * PLACING_THREADS] = v.x;
        first[(which * 3 + 1) * PLACING_THREADS] = v.y;
        first[(which * 3 + 2) * PLACING_THREADS] = v.z;
    }
};

KIT_FUNCTION float distance_along(float a, float b) { return a > b ? a - b : b - a; }

KIT_FUNCTION bool are_apart(const Scratch& scratch, int patches) {
    const float APART = 0.04f;
    for (int a = 1; a < patches; a++) {
        const Vector at = scratch.get(a);
        for (int b = 0; b < a; b++) {
            const Vector other = scratch.get(b);
            if (!(distance_along(at.x, other.x) >= APART || distance_along(at.y, other.y) >= APART ||
                  distance_along(at.z, other.z) >= APART))
                return false;
        }
    }
    return true;
}

// Writes the vertices of a cell, a thread a cell, four blocks a brick. `refine(cell, number, start, vertex,
// gradient)` moves the vertex of this number, both in cells; a gradient of 0 is an unknown one.
template <class Refine>
KIT_FUNCTION void place_vertices(const IsosurfaceParams& p, const Refine& refine) {
    KIT_SHARED(shared, PLACING_SHARED);
    const i64 brick = blockIdx.x / 4;
    const int index = blockIdx.x % 4 * PLACING_THREADS + threadIdx.x;
    const u32 code = p.codes[brick * CELLS + index];
    if (!code) return;
    const Scratch scratch = {(float*)shared + threadIdx.x};
    const int x = index % 8, y = index / 8 % 8, z = index / 64;
    const u16* place = p.numbered + brick * 4;
    const int at_x = place[0] * SIDE + x, at_y = place[1] * SIDE + y, at_z = place[2] * SIDE + z;
    Cell cell;
    cell.step = p.step;
    cell.corner.x = position(p, 0, at_x);
    cell.corner.y = position(p, 1, at_y);
    cell.corner.z = position(p, 2, at_z);
    const float* values = p.values + (i64)p.slots[brick] * BRICK_SAMPLES + (z * SAMPLES + y) * SAMPLES + x;
#pragma unroll
    for (int corner = 0; corner < 8; corner++)
        cell.values[corner] =
            values[(corner >> 2) * SAMPLES * SAMPLES + (corner >> 1 & 1) * SAMPLES + (corner & 1)];
    // The field knows nothing of the border that closes it.
    const bool refines = !(at_x == 0 || at_x + 1 >= p.cells[0] || at_y == 0 || at_y + 1 >= p.cells[1] ||
                           at_z == 0 || at_z + 1 >= p.cells[2]);
    const u16* edges = p.cases + code * CASE_WORDS;
    const int patches = edges[4] & 255;
    const i64 first = (i64)p.firsts[brick] + p.first_in_brick[brick * CELLS + index];
    bool finite = false;
#pragma unroll 1
    for (int patch = 0; patch < patches; patch++) {
        Vector at = patch_mean(cell, edges[patch], finite, EXACT), gradient = {0.f, 0.f, 0.f};
        if (!(is_finite(at.x) && is_finite(at.y) && is_finite(at.z))) {
            // Infinite samples have a sign but no distance.
            finite = true;
            at = patch_mean(cell, edges[patch], finite, EXACT);
        }
        if (refines) refine(cell, first + patch, at, at, gradient);
        scratch.set(patch, at);
        scratch.set(4 + patch, gradient);
    }
    // Crossings near the middle of their edges keep any two patches apart.
#pragma unroll 1
    for (int how = TAME; how <= MIDDLE && patches > 1 && !are_apart(scratch, patches); how++)
#pragma unroll 1
        for (int patch = 0; patch < patches; patch++)
            scratch.set(patch, patch_mean(cell, edges[patch], finite, (Crossings)how));

#pragma unroll 1
    for (int patch = 0; patch < patches; patch++) {
        const Vector at = scratch.get(patch), growth = scratch.get(4 + patch);
        float* to = p.positions + (first + patch) * 3;
        to[0] = cell.corner.x + cell.step * at.x;
        to[1] = cell.corner.y + cell.step * at.y;
        to[2] = cell.corner.z + cell.step * at.z;
        const float length = sqrtf(dot(growth, growth));
        const bool is_known = length > 0.f && is_finite(length);
        float* normal = p.normals + (first + patch) * 3;
        normal[0] = is_known ? -growth.x / length : 0.f;
        normal[1] = is_known ? -growth.y / length : 0.f;
        normal[2] = is_known ? -growth.z / length : 0.f;
    }
}

#endif
