// From samples to vertices and faces, the same as `mesh::isosurface` makes, in the same order: bricks that hold
// surface are told from the others and numbered, their cells classified, vertices and faces counted, placed
// and written. A surface never crosses to the processor but as a mesh.
#include "kit.cuh"
#include "isosurface.cuh"

// Prefix sums of rows: y[i] = x[0] + … + x[i - 1], one number longer than x, which may not be y.
struct ScanParams {
    const u32* x;  // rows × count
    u32* y;        // rows × (count + 1)
    i64 count;
};

// A block takes a row.
KIT_KERNEL(scan, ScanParams, 512, 2, 64) {
    KIT_SHARED(shared, 2 * BLOCK * 4);
    const int EACH = 4;
    const u32* x = p.x + blockIdx.x * p.count;
    u32* y = p.y + blockIdx.x * (p.count + 1);
    u32 before = 0;
    for (i64 start = 0; start < p.count; start += BLOCK * EACH) {
        const i64 first = start + threadIdx.x * EACH;
        u32 values[EACH], sum = 0, total;
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            values[i] = first + i < p.count ? x[first + i] : 0;
            sum += values[i];
        }
        u32 here = before + sum_before(sum, (u32*)shared, total);
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            if (first + i < p.count) y[first + i] = here;
            here += values[i];
        }
        before += total;
    }
    if (threadIdx.x == 0) y[p.count] = before;
}

// Words of a value.
struct FillParams {
    u32* y;
    i64 count;
    u32 value;
    int padding;
};

KIT_KERNEL(fill_words, FillParams, 256, 4, 64) {
    for (i64 i = (i64)blockIdx.x * 256 + threadIdx.x; i < p.count; i += (i64)gridDim.x * 256) p.y[i] = p.value;
}

struct Place {
    int x, y, z;
};

// The brick of this number among those that are filled.
KIT_FUNCTION Place filled_place(const IsosurfaceParams& p, i64 brick) {
    Place place;
    if (p.places) {
        place.x = p.places[brick * 4];
        place.y = p.places[brick * 4 + 1];
        place.z = p.places[brick * 4 + 2];
    } else {
        place.x = (int)(brick % p.bricks[0]);
        place.y = (int)(brick / p.bricks[0] % p.bricks[1]);
        place.z = (int)(brick / p.bricks[0] / p.bricks[1]);
    }
    return place;
}

KIT_FUNCTION Place kept_place(const IsosurfaceParams& p, i64 brick) {
    const u16* place = p.numbered + brick * 4;
    Place at = {place[0], place[1], place[2]};
    return at;
}

// The number of the brick at these coordinates, or MISSING.
KIT_FUNCTION u32 brick_at(const IsosurfaceParams& p, int x, int y, int z) {
    const bool is_there = x >= 0 && y >= 0 && z >= 0 && x < p.bricks[0] && y < p.bricks[1] && z < p.bricks[2];
    return is_there ? p.directory[((i64)z * p.bricks[1] + y) * p.bricks[0] + x] : MISSING;
}

KIT_FUNCTION Place sample_place(int sample) {
    Place at = {sample % SAMPLES, sample / SAMPLES % SAMPLES, sample / (SAMPLES * SAMPLES)};
    return at;
}

// The sample of the grid at a sample of the lattice, which has one layer more around it; null outside.
KIT_FUNCTION const float* grid_sample(const IsosurfaceParams& p, const Place& brick, int sample) {
    const Place at = sample_place(sample);
    const int x = brick.x * SIDE + at.x - 1, y = brick.y * SIDE + at.y - 1, z = brick.z * SIDE + at.z - 1;
    const bool is_there = x >= 0 && y >= 0 && z >= 0 && x < p.samples[0] && y < p.samples[1] && z < p.samples[2];
    return is_there ? p.grid + ((i64)z * p.samples[1] + y) * p.samples[0] + x : (const float*)0;
}

// Whether any lane of the warp says so.
KIT_FUNCTION bool any_of_warp(bool own) {
    float any = own ? 1.f : 0.f;
    for (int mask = 16; mask; mask >>= 1) any += kit::shuffle_xor(any, mask);
    return any > 0.f;
}

// The points of samples, for a field that is evaluated at points. A block takes a brick.
KIT_KERNEL(brick_points, IsosurfaceParams, 256, 4, 64) {
    const Place brick = filled_place(p, blockIdx.x);
    for (int i = threadIdx.x; i < BRICK_SAMPLES; i += 256) {
        const Place at = sample_place(i);
        const float whole[3] = {position(p, 0, brick.x * SIDE) + p.step * (float)at.x,
                                position(p, 1, brick.y * SIDE) + p.step * (float)at.y,
                                position(p, 2, brick.z * SIDE) + p.step * (float)at.z};
        float* to = p.points + ((i64)blockIdx.x * BRICK_SAMPLES + i) * 3;
#pragma unroll
        for (int axis = 0; axis < 3; axis++)
            to[axis] = p.axes[axis] == 0 ? whole[0] : p.axes[axis] == 1 ? whole[1] : whole[2];
    }
}

// Turns samples where the lattice ends, so that they are outside, and tells which bricks have samples on either
// side of the surface, NaN being on neither, or are kept all the same. A warp takes a brick.
KIT_KERNEL(find_mixed, IsosurfaceParams, 256, 4, 64) {
    const i64 brick = (i64)blockIdx.x * 8 + (threadIdx.x >> 5);
    if (brick >= p.count) return;
    const int lane = threadIdx.x & 31;
    const Place place = filled_place(p, brick);
    const bool ends = place.x == 0 || place.y == 0 || place.z == 0 || (place.x + 1) * SIDE >= p.cells[0] ||
                      (place.y + 1) * SIDE >= p.cells[1] || (place.z + 1) * SIDE >= p.cells[2];
    float* values = p.values + brick * BRICK_SAMPLES;
    bool inside = false, outside = false;
    for (int i = lane; i < BRICK_SAMPLES; i += 32) {
        float value = values[i];
        if (ends && value > 0.f) {
            const Place at = sample_place(i);
            const int x = place.x * SIDE + at.x, y = place.y * SIDE + at.y, z = place.z * SIDE + at.z;
            if (x == 0 || y == 0 || z == 0 || x >= p.cells[0] || y >= p.cells[1] || z >= p.cells[2])
                values[i] = value = -value;
        }
        inside |= value > 0.f;
        outside |= value <= 0.f;
    }
    const bool is_mixed = any_of_warp(inside) & any_of_warp(outside), is_wanted = p.places && p.places[brick * 4 + 3];
    if (lane == 0) p.flags[brick] = is_mixed || is_wanted;
}

// Which bricks of a grid have samples inside and others, NaN and what lies beyond the grid among them.
KIT_KERNEL(find_mixed_in_grid, IsosurfaceParams, 256, 4, 64) {
    const i64 brick = (i64)blockIdx.x * 8 + (threadIdx.x >> 5);
    if (brick >= p.count) return;
    const int lane = threadIdx.x & 31;
    const Place place = filled_place(p, brick);
    bool inside = false, other = false;
    for (int i = lane; i < BRICK_SAMPLES; i += 32) {
        const float* value = grid_sample(p, place, i);
        const bool is_inside = value && *value > 0.f;
        inside |= is_inside;
        other |= !is_inside;
    }
    const bool is_mixed = any_of_warp(inside) & any_of_warp(other);
    if (lane == 0) p.flags[brick] = is_mixed;
}

// Numbers the bricks that are kept, in order.
KIT_KERNEL(number_bricks, IsosurfaceParams, 256, 4, 64) {
    const i64 brick = (i64)blockIdx.x * 256 + threadIdx.x;
    if (brick >= p.count || !p.flags[brick]) return;
    const u32 number = p.offsets[brick];
    const Place place = filled_place(p, brick);
    u16* to = p.numbered + (i64)number * 4;
    to[0] = (u16)place.x;
    to[1] = (u16)place.y;
    to[2] = (u16)place.z;
    to[3] = 0;
    // Of a grid only the bricks that are kept are copied, one after another.
    p.slots[number] = p.places ? (u32)brick : number;
    p.directory[((i64)place.z * p.bricks[1] + place.y) * p.bricks[0] + place.x] = number;
}

// Copies the samples of a kept brick out of the grid; beyond it they are outside, as far as any of the brick's.
KIT_KERNEL(copy_from_grid, IsosurfaceParams, 256, 4, 64) {
    KIT_SHARED(shared, 8 * 4);
    float* of_warps = (float*)shared;
    const Place place = kept_place(p, blockIdx.x);
    float greatest = 0.f;
    for (int i = threadIdx.x; i < BRICK_SAMPLES; i += 256) {
        const float* value = grid_sample(p, place, i);
        const float size = value ? fabsf(*value) : 0.f;
        if (size > greatest) greatest = size;
    }
    for (int mask = 16; mask; mask >>= 1) {
        const float other = kit::shuffle_xor(greatest, mask);
        if (other > greatest) greatest = other;
    }
    if ((threadIdx.x & 31) == 0) of_warps[threadIdx.x >> 5] = greatest;
    __syncthreads();
    for (int i = 0; i < 8; i++)
        if (of_warps[i] > greatest) greatest = of_warps[i];
    for (int i = threadIdx.x; i < BRICK_SAMPLES; i += 256) {
        const float* value = grid_sample(p, place, i);
        p.values[(i64)blockIdx.x * BRICK_SAMPLES + i] = value ? *value : -greatest;
    }
}

// Gives every sample that bricks share the value it has in the greatest (by z, y, x) of them, whose own is never
// changed. A block takes a brick.
KIT_KERNEL(reconcile, IsosurfaceParams, 256, 4, 64) {
    const Place brick = kept_place(p, blockIdx.x);
    float* values = p.values + (i64)p.slots[blockIdx.x] * BRICK_SAMPLES;
    for (int i = threadIdx.x; i < BRICK_SAMPLES; i += 256) {
        const Place at = sample_place(i);
        const Place part = {at.x == 0 ? -1 : at.x == SIDE, at.y == 0 ? -1 : at.y == SIDE,
                            at.z == 0 ? -1 : at.z == SIDE};
        if (part.x < 1 && part.y < 1 && part.z < 1) continue;
        // From the greatest down: along each axis the neighbour on the side of the sample, or the brick's own.
        for (int choice = 0; choice < 8; choice++) {
            const int x = (choice & 1) == (part.x > 0) ? 0 : part.x;
            const int y = (choice >> 1 & 1) == (part.y > 0) ? 0 : part.y;
            const int z = (choice >> 2) == (part.z > 0) ? 0 : part.z;
            if (!x && !y && !z) break;
            const u32 number = brick_at(p, brick.x + x, brick.y + y, brick.z + z);
            if (number == MISSING) continue;
            values[i] = p.values[(i64)p.slots[number] * BRICK_SAMPLES +
                                 ((at.z - z * SIDE) * SAMPLES + at.y - y * SIDE) * SAMPLES + at.x - x * SIDE];
            break;
        }
    }
}

// The case of each cell. A block takes a brick, a thread a cell.
KIT_KERNEL(classify_cells, IsosurfaceParams, 512, 2, 64) {
    const int cell = threadIdx.x;
    const float* values = p.values + (i64)p.slots[blockIdx.x] * BRICK_SAMPLES +
                          (cell / 64 * SAMPLES + cell / 8 % 8) * SAMPLES + cell % 8;
    u32 code = 0;
    bool is_known = true;
#pragma unroll
    for (int corner = 0; corner < 8; corner++) {
        const float value = values[(corner >> 2) * SAMPLES * SAMPLES + (corner >> 1 & 1) * SAMPLES + (corner & 1)];
        if (value > 0.f) code |= 1u << corner;
        if (value != value) is_known = false;
    }
    p.codes[(i64)blockIdx.x * CELLS + cell] = is_known && code != 255 ? (u16)code : (u16)0;
}

// The number of the cell at these coordinates from a brick's first, which may lie one before or behind it; -1
// where its brick is not kept.
KIT_FUNCTION i64 cell_at(const IsosurfaceParams& p, const Place& brick, int x, int y, int z) {
    const int across = x >> 3, down = y >> 3, deep = z >> 3;
    const u32 number = across || down || deep ? brick_at(p, brick.x + across, brick.y + down, brick.z + deep)
                                              : (u32)blockIdx.x;
    return number == MISSING ? -1 : (i64)number * CELLS + (x & 7) + 8 * (y & 7) + 64 * (z & 7);
}

// The cell before a sample along the two axes after `axis`, each if it is asked for.
KIT_FUNCTION i64 cell_around(const IsosurfaceParams& p, const Place& brick, const Place& sample, int axis, int u, int v) {
    const int x = axis == 0 ? 0 : axis == 1 ? v : u;
    const int y = axis == 1 ? 0 : axis == 2 ? v : u;
    const int z = axis == 2 ? 0 : axis == 0 ? v : u;
    return cell_at(p, brick, sample.x - x, sample.y - y, sample.z - z);
}

// Whether the edge from a sample along an axis crosses the surface.
KIT_FUNCTION bool is_crossed(const float* sample, int axis) {
    const int stride = axis == 0 ? 1 : axis == 1 ? SAMPLES : SAMPLES * SAMPLES;
    return (sample[0] > 0.f) != (sample[stride] > 0.f);
}

KIT_FUNCTION bool has_four_cells(const IsosurfaceParams& p, const Place& brick, const Place& sample, int axis) {
    bool all = true;
    for (int i = 0; i < 4; i++) {
        const i64 cell = cell_around(p, brick, sample, axis, i & 1, i >> 1);
        all = all && cell >= 0 && p.codes[cell] != 0;
    }
    return all;
}

// Whether the samples that a brick shares with its neighbour at these offsets are on either side of the surface.
KIT_FUNCTION bool is_mixed_towards(const float* values, int x, int y, int z) {
    bool inside = false, outside = false;
    for (int k = z > 0 ? SIDE : 0; k <= (z < 0 ? 0 : SIDE); k++)
        for (int j = y > 0 ? SIDE : 0; j <= (y < 0 ? 0 : SIDE); j++)
            for (int i = x > 0 ? SIDE : 0; i <= (x < 0 ? 0 : SIDE); i++) {
                const float value = values[(k * SAMPLES + j) * SAMPLES + i];
                inside |= value > 0.f;
                outside |= value <= 0.f;
            }
    return inside && outside;
}

// Finds cells with a face that one patch meets twice on either side, numbers the vertices of a brick, and counts
// what it has. A block takes a brick. Another block may read a code before or after it is resolved here: which
// face is met twice, and whether there is surface at all, is the same in both cases.
KIT_KERNEL(count_cells, IsosurfaceParams, 512, 2, 64) {
    KIT_SHARED(shared, 2 * BLOCK * 4);
    const Place brick = kept_place(p, blockIdx.x);
    const int cell = threadIdx.x;
    const Place at = {cell % 8, cell / 8 % 8, cell / 64};
    const float* values = p.values + (i64)p.slots[blockIdx.x] * BRICK_SAMPLES;
    const i64 own = (i64)blockIdx.x * CELLS + cell;
    u32 code = p.codes[own];
    if (code) {
        const u32 face = p.cases[code * CASE_WORDS + 4] >> 8;
        if (face != NO_FACE) {
            const int towards = face & 1 ? 1 : -1;
            const i64 other = cell_at(p, brick, at.x + (face / 2 == 0 ? towards : 0),
                                      at.y + (face / 2 == 1 ? towards : 0), at.z + (face / 2 == 2 ? towards : 0));
            const u32 theirs = other < 0 ? 0 : p.codes[other];
            if (theirs && (u32)(p.cases[theirs * CASE_WORDS + 4] >> 8) == (face ^ 1)) {
                code |= RESOLVED;
                p.codes[own] = (u16)code;
            }
        }
    }
    const u32 patches = code ? p.cases[code * CASE_WORDS + 4] & 255 : 0;
    u32 vertices, all;
    p.first_in_brick[own] = (u16)sum_before(patches, (u32*)shared, vertices);

    u32 faces = 0, open = 0;
    const float* sample = values + (at.z * SAMPLES + at.y) * SAMPLES + at.x;
    for (int axis = 0; axis < 3; axis++)
        if (is_crossed(sample, axis)) {
            if (has_four_cells(p, brick, at, axis))
                faces++;
            else
                open++;
        }
    u32 missed = 0;
    if (cell < 32) {
        const int x = cell % 3 - 1, y = cell / 3 % 3 - 1, z = cell / 9 - 1;
        const int to_x = brick.x + x, to_y = brick.y + y, to_z = brick.z + z;
        const bool is_there = to_x >= 0 && to_y >= 0 && to_z >= 0 && to_x < p.bricks[0] && to_y < p.bricks[1] &&
                              to_z < p.bricks[2];
        if (cell < 27 && is_there && brick_at(p, to_x, to_y, to_z) == MISSING)
            missed = is_mixed_towards(values, x, y, z);
        p.missed[(i64)blockIdx.x * 32 + cell] = (u8)missed;
    }
    // At most 1536, 1536 and 26 a brick: eleven bits, eleven and ten.
    sum_before(faces | open << 11 | missed << 22, (u32*)shared, all);
    if (cell == 0) {
        p.counts[blockIdx.x] = vertices;
        p.counts[p.count + blockIdx.x] = all & 2047;
        p.counts[2 * p.count + blockIdx.x] = all >> 11 & 2047;
        p.counts[3 * p.count + blockIdx.x] = all >> 22;
    }
}

struct OnSamples {
    // One Newton step on the trilinear interpolation of the samples.
    KIT_FUNCTION void operator()(const Cell& cell, i64, Vector start, Vector& vertex, Vector& gradient) const {
        const float* v = cell.values;
        const float near_x = v[1] - v[0], below_x = v[3] - v[2], behind_x = v[5] - v[4], far_x = v[7] - v[6];
        const float near = v[0] + start.x * near_x, below = v[2] + start.x * below_x;
        const float behind = v[4] + start.x * behind_x, far = v[6] + start.x * far_x;
        const float near_y = below - near, far_y = far - behind;
        const float near_xy = near + start.y * near_y, far_xy = behind + start.y * far_y;
        const float along_z = far_xy - near_xy;
        const float near_slope = near_x + start.y * (below_x - near_x);
        const float far_slope = behind_x + start.y * (far_x - behind_x);
        const float value = near_xy + start.z * along_z;
        const Vector slope = {near_slope + start.z * (far_slope - near_slope), near_y + start.z * (far_y - near_y),
                              along_z};
        if (newton_step(start, value, slope, vertex)) gradient = slope;
    }
};

KIT_KERNEL(place_vertices_on_samples, IsosurfaceParams, 128, 4, 96) { place_vertices(p, OnSamples()); }

// The vertices of a field that is evaluated at points, many together: where it is asked for, and what it answers.
struct PointwiseParams {
    const float* first;        // vertices × 4: value and slopes along a point's axes where vertices begin …
    const float* second;       // … and after one step. Null before they are known
    IsosurfaceParams surface;  // whose points are vertices × 3
    float shift;               // added to the values
    int padding;
};

// Up to two Newton steps on the field, as `OnField` takes them.
struct OnAnswers {
    const PointwiseParams& p;

    // The value of an answer and its slopes along the field's axes, in cells.
    KIT_FUNCTION float read(const float* answers, i64 number, float step, Vector& gradient) const {
        const float* answer = answers + number * 4;
        float along[3];
#pragma unroll
        for (int axis = 0; axis < 3; axis++)
            along[axis] = step * (p.surface.axes[0] == axis ? answer[1] : p.surface.axes[1] == axis ? answer[2] : answer[3]);
        gradient.x = along[0];
        gradient.y = along[1];
        gradient.z = along[2];
        return answer[0] + p.shift;
    }

    KIT_FUNCTION void operator()(const Cell& cell, i64 number, Vector start, Vector& vertex, Vector& gradient) const {
        const float LAST_STEP = 1.f / 32.f;
        if (!p.first) return;
        Vector slope, once, twice;
        const float value = read(p.first, number, cell.step, slope);
        if (!newton_step(start, value, slope, once)) return;
        vertex = once;
        gradient = slope;
        const bool is_near = distance_along(once.x, start.x) <= LAST_STEP && distance_along(once.y, start.y) <= LAST_STEP &&
                             distance_along(once.z, start.z) <= LAST_STEP;
        if (is_near || !p.second) return;
        const float better = read(p.second, number, cell.step, slope);
        if (!(fabsf(better) <= fabsf(value))) {
            vertex = start;
        } else if (newton_step(once, better, slope, twice)) {
            vertex = twice;
            gradient = slope;
        }
    }
};

// Writes where the field is asked for next: where vertices begin, or are after their first step.
struct AskedAt {
    const PointwiseParams& p;
    KIT_FUNCTION void operator()(const Cell& cell, i64 number, Vector start, Vector& vertex, Vector& gradient) const {
        const OnAnswers on_answers = {p};
        on_answers(cell, number, start, vertex, gradient);
        const float place[3] = {cell.corner.x + cell.step * vertex.x, cell.corner.y + cell.step * vertex.y,
                                cell.corner.z + cell.step * vertex.z};
#pragma unroll
        for (int axis = 0; axis < 3; axis++)
            p.surface.points[number * 3 + axis] =
                p.surface.axes[axis] == 0 ? place[0] : p.surface.axes[axis] == 1 ? place[1] : place[2];
    }
};

KIT_KERNEL(vertex_points, PointwiseParams, 128, 4, 128) {
    const AskedAt asked_at = {p};
    place_vertices(p.surface, asked_at);
}

KIT_KERNEL(place_vertices_on_answers, PointwiseParams, 128, 4, 128) {
    const OnAnswers on_answers = {p};
    place_vertices(p.surface, on_answers);
}

KIT_FUNCTION Vector vector_at(const float* all, u32 vertex) {
    Vector v = {all[(i64)vertex * 3], all[(i64)vertex * 3 + 1], all[(i64)vertex * 3 + 2]};
    return v;
}

KIT_FUNCTION Vector minus(const Vector& a, const Vector& b) {
    Vector v = {a.x - b.x, a.y - b.y, a.z - b.z};
    return v;
}

KIT_FUNCTION Vector plus(const Vector& a, const Vector& b) {
    Vector v = {a.x + b.x, a.y + b.y, a.z + b.z};
    return v;
}

KIT_FUNCTION Vector cross(const Vector& a, const Vector& b) {
    Vector v = {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
    return v;
}

KIT_FUNCTION float lesser(float a, float b) { return a < b ? a : b; }

// Marks a vertex of a triangle whose normal does not agree with it.
KIT_FUNCTION void check_normal(const IsosurfaceParams& p, u32 vertex, const Vector& facing) {
    const float agreement = dot(vector_at(p.normals, vertex), facing);
    const bool agrees = agreement > 0.f && agreement * agreement >= dot(facing, facing) * 0.1f;
    if (!agrees) p.disagreeing[vertex] = 1;
}

// Splits a quadrilateral along the diagonal whose worse triangle is the better one.
KIT_FUNCTION void write_split(const IsosurfaceParams& p, const u32 (&quad)[4], u32* to) {
    Vector corners[4], edges[4], normals[4];
#pragma unroll
    for (int i = 0; i < 4; i++) corners[i] = vector_at(p.positions, quad[i]);
#pragma unroll
    for (int i = 0; i < 4; i++) edges[i] = minus(corners[(i + 1) % 4], corners[i]);
#pragma unroll
    for (int i = 0; i < 4; i++) normals[i] = cross(edges[i], edges[(i + 1) % 4]);
    const Vector facing = plus(normals[0], normals[2]);
    float quality[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const Vector diagonal = minus(corners[(i + 2) % 4], corners[i]);
        const Vector& next = edges[(i + 1) % 4];
        const float sides = dot(edges[i], edges[i]) + dot(next, next) + dot(diagonal, diagonal);
        quality[i] = dot(normals[i], facing) / sides;
    }
    // False for a quadrilateral without area.
    const bool along_bd = lesser(quality[1], quality[3]) > lesser(quality[0], quality[2]);
    const u32 triangles[2][3] = {{quad[0], quad[1], along_bd ? quad[3] : quad[2]},
                                 {along_bd ? quad[1] : quad[0], quad[2], quad[3]}};
    const Vector facings[2] = {along_bd ? normals[3] : normals[0], along_bd ? normals[1] : normals[2]};
#pragma unroll
    for (int i = 0; i < 6; i++) {
        to[i] = triangles[i / 3][i % 3];
        check_normal(p, triangles[i / 3][i % 3], facings[i / 3]);
    }
}

// The vertex of the cell around an edge of the lattice; none is missing.
KIT_FUNCTION u32 vertex_around(const IsosurfaceParams& p, const Place& brick, const Place& sample, int axis, int u, int v) {
    const i64 cell = cell_around(p, brick, sample, axis, u, v);
    const u16* edges = p.cases + p.codes[cell] * CASE_WORDS;
    const u32 bit = 1u << (4 * axis + u + 2 * v);
    const u32 patch = edges[1] & bit ? 1 : edges[2] & bit ? 2 : edges[3] & bit ? 3 : 0;
    return p.firsts[cell / CELLS] + p.first_in_brick[cell] + patch;
}

// Two triangles around every edge of the lattice that crosses the surface; the edges along x come first. A
// block takes a brick.
KIT_KERNEL(write_faces, IsosurfaceParams, 512, 1, 128) {
    KIT_SHARED(shared, 2 * BLOCK * 4);
    const Place brick = kept_place(p, blockIdx.x);
    const Place at = {(int)threadIdx.x % 8, (int)threadIdx.x / 8 % 8, (int)threadIdx.x / 64};
    const float* sample = p.values + (i64)p.slots[blockIdx.x] * BRICK_SAMPLES + (at.z * SAMPLES + at.y) * SAMPLES + at.x;
    u32 face = p.firsts[p.count + 1 + blockIdx.x];
#pragma unroll 1
    for (int axis = 0; axis < 3; axis++) {
        const bool has_face = is_crossed(sample, axis) && has_four_cells(p, brick, at, axis);
        u32 all;
        const u32 before = sum_before(has_face, (u32*)shared, all);
        if (has_face) {
            // Counter-clockwise seen from the edge's far end, or the other way around.
            const int turned = sample[0] > 0.f ? 0 : 1;
            u32 quad[4];
            quad[0] = vertex_around(p, brick, at, axis, 1, 1);
            quad[1] = vertex_around(p, brick, at, axis, turned, 1 - turned);
            quad[2] = vertex_around(p, brick, at, axis, 0, 0);
            quad[3] = vertex_around(p, brick, at, axis, 1 - turned, turned);
            write_split(p, quad, p.triangles + (i64)(face + before) * 6);
        }
        face += all;
    }
}
