// Copies the finished picture into a pass of someone else's. Stands alone: it knows nothing of the frame.

struct Mixing {
    // x: how much of the second picture is seen; the rest is unused.
    weight: vec4f,
}

@group(0) @binding(0) var first: texture_2d<f32>;
@group(0) @binding(1) var second: texture_2d<f32>;
@group(0) @binding(2) var<uniform> mixing: Mixing;

struct Corner {
    @builtin(position) position: vec4f,
    @location(0) place: vec2f,
}

@vertex
fn vs_main(@builtin(vertex_index) index: u32) -> Corner {
    let place = vec2f(f32((index << 1u) & 2u), f32(index & 2u));
    return Corner(vec4f(place * 2.0 - 1.0, 0.0, 1.0), vec2f(place.x, 1.0 - place.y));
}

fn picture(place: vec2f) -> vec4f {
    let size = vec2i(textureDimensions(first));
    let at = clamp(vec2i(floor(place * vec2f(size))), vec2i(0), size - 1);
    let one = textureLoad(first, at, 0);
    if mixing.weight.x <= 0.0 {
        return one;
    }
    return mix(one, textureLoad(second, at, 0), mixing.weight.x);
}

// For targets that hold encoded colours.
@fragment
fn fs_encoded(in: Corner) -> @location(0) vec4f {
    return picture(in.place);
}

// For targets that encode what they are given.
@fragment
fn fs_linear(in: Corner) -> @location(0) vec4f {
    let c = picture(in.place);
    let low = c.rgb / 12.92;
    let high = pow((c.rgb + 0.055) / 1.055, vec3f(2.4));
    return vec4f(select(high, low, c.rgb <= vec3f(0.04045)), c.a);
}
