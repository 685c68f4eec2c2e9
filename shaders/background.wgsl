// The backdrop: a vertical gradient, a little brighter around the middle.

struct Corner {
    @builtin(position) position: vec4f,
    @location(0) place: vec2f,
}

@vertex
fn vs_main(@builtin(vertex_index) index: u32) -> Corner {
    let place = vec2f(f32((index << 1u) & 2u), f32(index & 2u));
    return Corner(vec4f(place * 2.0 - 1.0, 0.0, 1.0), place);
}

@fragment
fn fs_main(in: Corner) -> @location(0) vec4f {
    let up = smoothstep(0.0, 1.0, in.place.y);
    let gradient = mix(frame.background_bottom.rgb, frame.background_top.rgb, up);
    let aside = (in.place - vec2f(0.5, 0.42)) * vec2f(1.0, 1.2);
    let glow = exp(-dot(aside, aside) * 5.0) * mix(0.045, 0.02, frame.background_top.w);
    return vec4f(gradient + glow + dither(in.position.xy), 1.0);
}
