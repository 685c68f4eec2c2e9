// The ground under the object: its shadow, a pool of light and the grid.

@group(1) @binding(3) var shadow: texture_2d<f32>;
@group(1) @binding(4) var shadow_sampler: sampler;

struct Ground {
    @builtin(position) position: vec4f,
    @location(0) world: vec3f,
}

// How far the ground reaches, in radii of the object.
const REACH: f32 = 9.0;

fn radius() -> f32 {
    return length(mesh.box_size.xyz) * 0.5;
}

fn centre() -> vec2f {
    return mesh.box_min.xz + mesh.box_size.xz * 0.5;
}

@vertex
fn vs_main(@builtin(vertex_index) index: u32) -> Ground {
    let corner = vec2f(f32(index & 1u), f32(index >> 1u)) * 2.0 - 1.0;
    let place = centre() + corner * radius() * REACH;
    // A hair below the lowest point, so that the two do not fight for the same depth.
    let world = vec3f(place.x, mesh.box_min.y - radius() * 0.0015, place.y);
    return Ground(frame.clip_from_world * vec4f(world, 1.0), world);
}

// How much of a pixel the lines of a grid cover.
fn lines(place: vec2f, step: f32, width_px: f32) -> f32 {
    let cell = place / step;
    let pixel = max(fwidth(cell), vec2f(1e-6));
    let from_line = abs(fract(cell - 0.5) - 0.5) / pixel;
    let cover = clamp(vec2f(width_px * 0.5 + 0.5) - from_line, vec2f(0.0), vec2f(1.0));
    // Lines closer than a few pixels fade into an even tone instead of flickering.
    let dense = clamp(vec2f(1.0) - (pixel - 0.12) * 5.0, vec2f(0.0), vec2f(1.0));
    return max(cover.x * dense.x, cover.y * dense.y);
}

// Cubic interpolation by four bilinear samples: a shadow without the corners of its texels.
fn smooth_shadow(uv: vec2f) -> f32 {
    let size = vec2f(textureDimensions(shadow));
    let at = uv * size - 0.5;
    let f = fract(at);
    let base = floor(at);
    let w0 = (1.0 - f) * (1.0 - f) * (1.0 - f) / 6.0;
    let w1 = (4.0 - 6.0 * f * f + 3.0 * f * f * f) / 6.0;
    let w3 = f * f * f / 6.0;
    let w2 = 1.0 - w0 - w1 - w3;
    let g0 = w0 + w1;
    let g1 = w2 + w3;
    let p0 = (base - 0.5 + w1 / g0) / size;
    let p1 = (base + 1.5 + w3 / g1) / size;
    let a = textureSampleLevel(shadow, shadow_sampler, vec2f(p0.x, p0.y), 0.0).r;
    let b = textureSampleLevel(shadow, shadow_sampler, vec2f(p1.x, p0.y), 0.0).r;
    let c = textureSampleLevel(shadow, shadow_sampler, vec2f(p0.x, p1.y), 0.0).r;
    let d = textureSampleLevel(shadow, shadow_sampler, vec2f(p1.x, p1.y), 0.0).r;
    return mix(mix(d, c, g0.x), mix(b, a, g0.x), g0.y);
}

@fragment
fn fs_main(in: Ground) -> @location(0) vec4f {
    let place = in.world.xz;
    let step = frame.ground.x;
    let fine = lines(place, step, frame.viewport.z) * frame.ground.y;
    let coarse = lines(place, step * 10.0, frame.viewport.z * 1.25);
    let on_x = clamp(frame.viewport.z + 0.5 - abs(place.y) / max(fwidth(place.y), 1e-9), 0.0, 1.0);
    let on_z = clamp(frame.viewport.z + 0.5 - abs(place.x) / max(fwidth(place.x), 1e-9), 0.0, 1.0);

    // From below, the ground would hide the object; seen edge on, lines would pile up.
    let v = towards_viewer(in.world);
    let from_above = smoothstep(-0.02, 0.10, v.y);
    let away = length(place - centre()) / radius();
    let fade = smoothstep(REACH * 0.62, 1.0, away) * from_above;

    let shadow_uv = (place - mesh.shadow_box.xy) / max(mesh.shadow_box.zw, vec2f(1e-9));
    let inside = all(shadow_uv > vec2f(0.0)) && all(shadow_uv < vec2f(1.0));
    let dark = select(0.0, smooth_shadow(shadow_uv), inside) * frame.ground.z * smoothstep(-0.02, 0.05, v.y);

    // Light on the floor around the object: without it a shadow on a dark ground cannot be seen.
    let opaque = 1.0 - frame.viewport.w;
    let pool_strength = mix(0.075, 0.0, frame.background_top.w) * opaque * smoothstep(0.0, 0.25, v.y);
    let pool = exp(-away * away * 0.42) * pool_strength * (1.0 - dark);

    let strength = max(fine * 0.38, coarse) * fade * frame.grid_colour.w;
    var line_colour = frame.grid_colour.rgb;
    let axis = max(on_x, on_z) * fade * frame.grid_colour.w;
    line_colour = mix(line_colour, select(vec3f(0.33, 0.46, 0.78), vec3f(0.78, 0.36, 0.36), on_x >= on_z), axis);
    let line = max(strength, axis * 0.75) * (1.0 - dark * 0.8);

    // Colours are multiplied by their part; a colour without a part of its own adds light.
    let alpha = 1.0 - (1.0 - dark) * (1.0 - line);
    let noise = dither(in.position.xy) * step_if(alpha + pool);
    return vec4f(line_colour * line + vec3f(0.95, 1.0, 1.06) * pool + noise, alpha + noise);
}

// Noise only where there is something to smooth.
fn step_if(amount: f32) -> f32 {
    return clamp(amount * 64.0, 0.0, 1.0);
}
