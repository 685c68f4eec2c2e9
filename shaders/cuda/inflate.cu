// The solid that `inflate` makes, evaluated as its field on the processor is, operation by operation: at the
// samples of bricks, and at vertices, which it moves onto the surface. Compiled without fused multiply-add.
#include "kit.cuh"
#include "isosurface.cuh"

// Spline coefficients, stride × stride each.
struct SolidMaps {
    const float* squared_height;
    const float* inverse_diameter;
    const float* raised;  // or null
};

struct SolidShape {
    int side;  // pixels of the maps
    int stride;
    float depth;  // scales everything along z
    float middle_share, middle;
    float wall_share, wall;
    float cut_behind;  // what lies behind is cut off, with `has_cut`
    int has_cut, has_cuboid;
    float centre[2];  // of the box that the solid is cut down to
    float axes[9];    // to the box's own axes, column by column
    float half[3];
    float rounding;
    int padding;
};

// Where along one axis a spline is read.
struct Tap {
    int first;
    float weights[4];
    float t;
};

KIT_FUNCTION Tap tap_at(const SolidShape& p, float position) {
    const float last = (float)(p.side - 1);
    // NaN reads at 0.
    const float from_start = position > 0.f ? position : 0.f;
    const float clamped = from_start < last ? from_start : last;
    Tap tap;
    tap.first = (int)clamped;
    const float t = clamped - (float)tap.first, s = 1.f - t;
    tap.t = t;
    tap.weights[0] = s * s * s / 6.f;
    tap.weights[1] = (t * t * (3.f * t - 6.f) + 4.f) / 6.f;
    tap.weights[2] = (s * s * (3.f * s - 6.f) + 4.f) / 6.f;
    tap.weights[3] = t * t * t / 6.f;
    return tap;
}

KIT_FUNCTION Tap tap_across(const SolidShape& p, float x) {
    return tap_at(p, (x + 0.5f) * (float)p.side - 0.5f);
}

KIT_FUNCTION Tap tap_down(const SolidShape& p, float y) { return tap_at(p, (0.5f - y) * (float)p.side - 0.5f); }

KIT_FUNCTION float weighted(const float (&weights)[4], const float* of) {
    return (weights[0] * of[0] + weights[1] * of[1]) + (weights[2] * of[2] + weights[3] * of[3]);
}

KIT_FUNCTION float spline_value(const SolidShape& p, const float* map, const Tap& across, const Tap& down) {
    const float* from = map + (i64)down.first * p.stride + across.first;
    float rows[4];
#pragma unroll
    for (int row = 0; row < 4; row++) rows[row] = weighted(across.weights, from + row * p.stride);
    return weighted(down.weights, rows);
}

// The weights of the slope.
KIT_FUNCTION void slopes_of(const Tap& tap, float (&slopes)[4]) {
    const float t = tap.t, s = 1.f - t;
    slopes[0] = -0.5f * s * s;
    slopes[1] = 0.5f * t * (3.f * t - 4.f);
    slopes[2] = -0.5f * s * (3.f * s - 4.f);
    slopes[3] = 0.5f * t * t;
}

// A map's value, and its change a pixel to the right and downwards.
struct Read {
    float value, across, down;
};

KIT_FUNCTION Read read_spline(const SolidShape& p, const float* map, const Tap& across, const Tap& down) {
    const float* from = map + (i64)down.first * p.stride + across.first;
    float slopes_across[4], slopes_down[4], values[4], slopes[4];
    slopes_of(across, slopes_across);
    slopes_of(down, slopes_down);
#pragma unroll
    for (int row = 0; row < 4; row++) {
        values[row] = weighted(across.weights, from + row * p.stride);
        slopes[row] = weighted(slopes_across, from + row * p.stride);
    }
    Read read = {weighted(down.weights, values), weighted(down.weights, slopes), weighted(slopes_down, values)};
    return read;
}

// The maps read at one (x, y).
struct Column {
    float squared_height, inverse_diameter, middle, wall;
};

KIT_FUNCTION Column column_of(const SolidShape& p, float squared_height, float inverse_diameter, float raised) {
    const float wall = p.wall + p.wall_share * raised;
    Column column = {squared_height, inverse_diameter, p.middle + p.middle_share * raised, wall > 0.f ? wall : 0.f};
    return column;
}

KIT_FUNCTION float value_in_column(const SolidShape& p, const Column& column, float z) {
    const float over = fabsf(z / p.depth - column.middle) - column.wall;
    const float over_wall = over > 0.f ? over : 0.f;
    const float value = (column.squared_height - over_wall * over_wall) * column.inverse_diameter;
    const float cut = z - p.cut_behind;
    return p.has_cut && cut < value ? cut : value;
}

KIT_FUNCTION float greater(float a, float b) { return a > b ? a : b; }

// The point in the box's own axes.
KIT_FUNCTION Vector in_box(const SolidShape& p, float x, float y, float z) {
    const float* m = p.axes;
    const float right = x - p.centre[0], up = y - p.centre[1], near = z / p.depth;
    const Vector at = {m[0] * right + m[3] * up + m[6] * near, m[1] * right + m[4] * up + m[7] * near,
                       m[2] * right + m[5] * up + m[8] * near};
    return at;
}

// How far it lies beyond each rounded face.
KIT_FUNCTION Vector beyond_faces(const SolidShape& p, const Vector& at) {
    const Vector beyond = {fabsf(at.x) - p.half[0] + p.rounding, fabsf(at.y) - p.half[1] + p.rounding,
                           fabsf(at.z) - p.half[2] + p.rounding};
    return beyond;
}

KIT_FUNCTION Vector outside_of(const Vector& beyond) {
    const Vector outside = {greater(beyond.x, 0.f), greater(beyond.y, 0.f), greater(beyond.z, 0.f)};
    return outside;
}

// The distance into the box, negative outside.
KIT_FUNCTION float into_box(const SolidShape& p, const Vector& beyond, float length) {
    const float nearest = greater(greater(beyond.x, beyond.y), beyond.z);
    return p.rounding - length - (nearest < 0.f ? nearest : 0.f);
}

KIT_FUNCTION float box_value(const SolidShape& p, float x, float y, float z) {
    const Vector beyond = beyond_faces(p, in_box(p, x, y, z)), outside = outside_of(beyond);
    return into_box(p, beyond, sqrtf(dot(outside, outside)));
}

KIT_FUNCTION float box_value_and_gradient(const SolidShape& p, const Vector& point, Vector& gradient) {
    const Vector at = in_box(p, point.x, point.y, point.z), beyond = beyond_faces(p, at), outside = outside_of(beyond);
    const float length = sqrtf(dot(outside, outside));
    Vector away;
    if (length > 0.f) {
        away.x = outside.x / length;
        away.y = outside.y / length;
        away.z = outside.z / length;
    } else {
        // The nearest face; the first of equals.
        const bool is_y = beyond.y > beyond.x, is_z = beyond.z > (is_y ? beyond.y : beyond.x);
        away.x = is_y || is_z ? 0.f : 1.f;
        away.y = is_y && !is_z ? 1.f : 0.f;
        away.z = is_z ? 1.f : 0.f;
    }
    const float x = -away.x * copysignf(1.f, at.x), y = -away.y * copysignf(1.f, at.y),
                z = -away.z * copysignf(1.f, at.z);
    const float* m = p.axes;
    gradient.x = m[0] * x + m[1] * y + m[2] * z;
    gradient.y = m[3] * x + m[4] * y + m[5] * z;
    gradient.z = (m[6] * x + m[7] * y + m[8] * z) / p.depth;
    return into_box(p, beyond, length);
}

KIT_FUNCTION float value_and_gradient(const SolidMaps& maps, const SolidShape& p, const Vector& point, Vector& gradient) {
    const Tap across = tap_across(p, point.x), down = tap_down(p, point.y);
    const Read height = read_spline(p, maps.squared_height, across, down);
    const Read weight = read_spline(p, maps.inverse_diameter, across, down);
    Read raised = {0.f, 0.f, 0.f};
    if (maps.raised) raised = read_spline(p, maps.raised, across, down);
    const Column column = column_of(p, height.value, weight.value, raised.value);
    const float value = value_in_column(p, column, point.z);
    if (p.has_cuboid) {
        Vector of_box;
        const float inside = box_value_and_gradient(p, point, of_box);
        if (inside <= value) {
            gradient = of_box;
            return inside;
        }
    }
    if (p.has_cut && value >= point.z - p.cut_behind) {
        gradient.x = 0.f;
        gradient.y = 0.f;
        gradient.z = 1.f;
        return value;
    }
    const float from_middle = point.z / p.depth - column.middle, over = fabsf(from_middle) - column.wall;
    const float over_wall = over > 0.f ? over : 0.f, sign = copysignf(1.f, from_middle);
    const float unweighted = height.value - over_wall * over_wall;
    const float moved = -(sign * p.middle_share + p.wall_share);
    const float slope_across =
        weight.value * (height.across - 2.f * over_wall * (moved * raised.across)) + unweighted * weight.across;
    const float slope_down =
        weight.value * (height.down - 2.f * over_wall * (moved * raised.down)) + unweighted * weight.down;
    const float side = (float)p.side;
    gradient.x = side * slope_across;
    gradient.y = -side * slope_down;
    gradient.z = -2.f * weight.value * over_wall * sign / p.depth;
    return value;
}

// The solid at regular blocks of points: one block, or the bricks of a lattice one after another.
struct SolidFillParams {
    float* values;      // blocks × samples, x fastest
    const u16* places;  // blocks × 4: x, y, z of a brick and a word not read, whose points begin 8 times that many steps on; or null
    SolidMaps maps;
    SolidShape solid;
    float origin[3];
    float step;
    int samples[3];
    int padding;
};

// A block of threads takes a block of points and 128 of its columns along z.
KIT_KERNEL(fill_solid, SolidFillParams, 128, 6, 80) {
    const int column = blockIdx.y * 128 + threadIdx.x, columns = p.samples[0] * p.samples[1];
    if (column >= columns) return;
    float origin[3];
#pragma unroll
    for (int axis = 0; axis < 3; axis++)
        origin[axis] = p.places ? p.origin[axis] + p.step * (float)(p.places[(i64)blockIdx.x * 4 + axis] * SIDE)
                                : p.origin[axis];
    const float x = origin[0] + p.step * (float)(column % p.samples[0]);
    const float y = origin[1] + p.step * (float)(column / p.samples[0]);
    const Tap across = tap_across(p.solid, x), down = tap_down(p.solid, y);
    const float height = spline_value(p.solid, p.maps.squared_height, across, down);
    const float weight = spline_value(p.solid, p.maps.inverse_diameter, across, down);
    const float raised = p.maps.raised ? spline_value(p.solid, p.maps.raised, across, down) : 0.f;
    const Column read = column_of(p.solid, height, weight, raised);
    float* to = p.values + (i64)blockIdx.x * columns * p.samples[2] + column;
    for (int layer = 0; layer < p.samples[2]; layer++) {
        const float z = origin[2] + p.step * (float)layer;
        float value = value_in_column(p.solid, read, z);
        if (p.solid.has_cuboid) {
            const float inside = box_value(p.solid, x, y, z);
            if (inside < value) value = inside;
        }
        to[(i64)layer * columns] = value;
    }
}

struct SolidVerticesParams {
    SolidMaps maps;
    IsosurfaceParams surface;
    SolidShape solid;
};

// Up to two Newton steps on the solid itself.
struct OnSolid {
    const SolidMaps& maps;
    const SolidShape& solid;
    KIT_FUNCTION float evaluate(const Cell& cell, const Vector& at, Vector& gradient) const {
        const Vector point = {cell.corner.x + cell.step * at.x, cell.corner.y + cell.step * at.y,
                              cell.corner.z + cell.step * at.z};
        const float value = value_and_gradient(maps, solid, point, gradient);
        gradient.x = gradient.x * cell.step;
        gradient.y = gradient.y * cell.step;
        gradient.z = gradient.z * cell.step;
        return value;
    }
    KIT_FUNCTION void operator()(const Cell& cell, i64, Vector start, Vector& vertex, Vector& gradient) const {
        const float LAST_STEP = 1.f / 32.f;
        float value = 0.f;
        Vector at = start;
        // The field's code stands here once.
#pragma unroll 1
        for (int step = 0; step < 2; step++) {
            Vector slope, next;
            const float here = evaluate(cell, at, slope);
            if (step == 1 && !(fabsf(here) <= fabsf(value))) {
                vertex = start;
                return;
            }
            if (!newton_step(at, here, slope, next)) return;
            gradient = slope;
            vertex = next;
            if (fabsf(next.x - at.x) <= LAST_STEP && fabsf(next.y - at.y) <= LAST_STEP &&
                fabsf(next.z - at.z) <= LAST_STEP)
                return;
            value = here;
            at = next;
        }
    }
};

KIT_KERNEL(place_vertices_on_solid, SolidVerticesParams, 128, 4, 128) {
    const OnSolid on_solid = {p.maps, p.solid};
    place_vertices(p.surface, on_solid);
}
