// What every pass of a picture knows: bind group 0, and the place of the mesh in bind group 1. Put before
// each of the other files.

struct Frame {
    clip_from_world: mat4x4f,
    // The camera's rotation alone.
    view_from_world: mat4x4f,
    // xyz: the viewpoint; w: 1 in perspective, 0 in parallel projection.
    eye: vec4f,
    // xyz: towards the light; w unused.
    key: vec4f,
    fill: vec4f,
    rim: vec4f,
    // Encoded colours; w of the top: 1 in the light theme.
    background_top: vec4f,
    background_bottom: vec4f,
    // Encoded colour of grid lines; w: how strong they are.
    grid_colour: vec4f,
    // Encoded colour of highlighted edges.
    highlight: vec4f,
    // Width and height in pixels, pixels in a point, 1 where the background is left out.
    viewport: vec4f,
    // Spacing of the fine grid lines in the mesh's unit, how far they have faded in, strength of the
    // shadow, size of a pixel at the focus in the mesh's unit.
    ground: vec4f,
    // The kind of shading: 0 textured, 1 clay, 2 normals, 3 matcap. The rest is unused.
    shading: vec4u,
}

@group(0) @binding(0) var<uniform> frame: Frame;

struct MeshSpace {
    // Positions are parts of this box.
    box_min: vec4f,
    box_size: vec4f,
    // xy: the least texture coordinate, zw: the extent.
    uv_box: vec4f,
    // xy: least x and z of the ground shadow, zw: its extent.
    shadow_box: vec4f,
    // x: 1 with colours of its own; y: mean length of an edge, in the mesh's unit; the rest is unused.
    traits: vec4f,
}

@group(1) @binding(0) var<uniform> mesh: MeshSpace;

// The direction from a point to the viewer.
fn towards_viewer(world: vec3f) -> vec3f {
    let back = vec3f(frame.view_from_world[0].z, frame.view_from_world[1].z, frame.view_from_world[2].z);
    return normalize(mix(back, frame.eye.xyz - world, frame.eye.w));
}

fn encode_srgb(linear: vec3f) -> vec3f {
    let c = clamp(linear, vec3f(0.0), vec3f(1.0));
    let low = c * 12.92;
    let high = 1.055 * pow(c, vec3f(1.0 / 2.4)) - 0.055;
    return select(high, low, c <= vec3f(0.0031308));
}

fn decode_srgb(encoded: vec3f) -> vec3f {
    let low = encoded / 12.92;
    let high = pow((encoded + 0.055) / 1.055, vec3f(2.4));
    return select(high, low, encoded <= vec3f(0.04045));
}

// Half a step of an 8-bit channel up or down, in a pattern that the eye does not see: without it, wide
// gradients show bands. The pattern is Jimenez's interleaved gradient noise.
fn dither(pixel: vec2f) -> f32 {
    let noise = fract(52.9829189 * fract(dot(floor(pixel), vec2f(0.06711056, 0.00583715))));
    return (noise - 0.5) / 255.0;
}
