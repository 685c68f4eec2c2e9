// The small cross of axes in the top right corner, drawn from distances so that it is sharp at any size.
// Where its arms end is written in src/view/gizmo.rs too.

const ARM: f32 = 0.37;
const KNOB: f32 = 0.105;
const SIZE: f32 = 84.0;
const MARGIN: f32 = 10.0;

struct Corner {
    @builtin(position) position: vec4f,
    // −0.5 … 0.5, +Y up.
    @location(0) place: vec2f,
}

@vertex
fn vs_main(@builtin(vertex_index) index: u32) -> Corner {
    let place = vec2f(f32(index & 1u), f32(index >> 1u)) - 0.5;
    let middle_px = vec2f(
        frame.viewport.x - (MARGIN + SIZE * 0.5) * frame.viewport.z,
        frame.viewport.y - (MARGIN + SIZE * 0.5) * frame.viewport.z
    );
    let at = (middle_px + place * SIZE * frame.viewport.z) / frame.viewport.xy * 2.0 - 1.0;
    return Corner(vec4f(at, 0.0, 1.0), place);
}

fn to_segment(p: vec2f, a: vec2f, b: vec2f) -> f32 {
    let along = b - a;
    let part = clamp(dot(p - a, along) / max(dot(along, along), 1e-9), 0.0, 1.0);
    return length(p - a - along * part);
}

// The distance to the strokes of X, Y or Z in a box of half size 1.
fn to_letter(p: vec2f, axis: u32) -> f32 {
    if axis == 0u {
        return min(to_segment(p, vec2f(-0.7, -1.0), vec2f(0.7, 1.0)), to_segment(p, vec2f(-0.7, 1.0), vec2f(0.7, -1.0)));
    }
    if axis == 1u {
        let arms = min(to_segment(p, vec2f(-0.75, 1.0), vec2f(0.0, 0.0)), to_segment(p, vec2f(0.75, 1.0), vec2f(0.0, 0.0)));
        return min(arms, to_segment(p, vec2f(0.0, 0.0), vec2f(0.0, -1.0)));
    }
    let bars = min(to_segment(p, vec2f(-0.7, 1.0), vec2f(0.7, 1.0)), to_segment(p, vec2f(-0.7, -1.0), vec2f(0.7, -1.0)));
    return min(bars, to_segment(p, vec2f(0.7, 1.0), vec2f(-0.7, -1.0)));
}

fn over(below: vec4f, colour: vec3f, alpha: f32) -> vec4f {
    return vec4f(colour * alpha, alpha) + below * (1.0 - alpha);
}

@fragment
fn fs_main(in: Corner) -> @location(0) vec4f {
    var colours = array<vec3f, 3>(vec3f(0.87, 0.36, 0.34), vec3f(0.52, 0.72, 0.34), vec3f(0.35, 0.55, 0.90));
    let pixel = 1.0 / (SIZE * frame.viewport.z);
    let hole = mix(vec3f(0.09, 0.1, 0.115), vec3f(0.93, 0.935, 0.94), frame.background_top.w);
    var ends: array<vec3f, 6>;
    for (var axis = 0u; axis < 3u; axis++) {
        let end = frame.view_from_world[axis].xyz;
        ends[axis * 2u] = end;
        ends[axis * 2u + 1u] = -end;
    }

    // From back to front: each turn takes the farthest end that is left.
    var out = vec4f(0.0);
    var drawn = 0u;
    for (var turn = 0u; turn < 6u; turn++) {
        var next = 0u;
        var depth = 9.0;
        for (var end = 0u; end < 6u; end++) {
            let taken = (drawn & (1u << end)) != 0u;
            if !taken && ends[end].z < depth {
                next = end;
                depth = ends[end].z;
            }
        }
        drawn |= 1u << next;
        let axis = next >> 1u;
        let positive = (next & 1u) == 0u;
        let at = ends[next].xy * ARM;
        let dimmed = mix(0.62, 1.0, depth * 0.5 + 0.5);
        let colour = mix(hole, colours[axis], dimmed);
        let from_middle = length(in.place - at);
        if positive {
            let arm = to_segment(in.place, vec2f(0.0), at) - 0.016;
            out = over(out, colour, clamp(0.5 - arm / pixel, 0.0, 1.0));
            out = over(out, colour, clamp(0.5 - (from_middle - KNOB) / pixel, 0.0, 1.0));
            let letter = to_letter((in.place - at) / 0.046, axis) * 0.046 - 0.0105;
            out = over(out, vec3f(0.07, 0.075, 0.085), clamp(0.5 - letter / pixel, 0.0, 1.0));
        } else {
            let small = KNOB * 0.8;
            out = over(out, mix(hole, colour, 0.3), clamp(0.5 - (from_middle - small) / pixel, 0.0, 1.0) * 0.9);
            let ring = abs(from_middle - small) - 0.009;
            out = over(out, colour, clamp(0.5 - ring / pixel, 0.0, 1.0) * 0.85);
        }
    }
    return out;
}
