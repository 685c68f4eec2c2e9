// Edges to point out, as bands of constant width.

struct Band {
    @builtin(position) position: vec4f,
    // −1 … 1 across the band.
    @location(0) across: f32,
}

@vertex
fn vs_main(
    @builtin(vertex_index) index: u32,
    @location(0) start: vec3f,
    @location(1) end: vec3f,
) -> Band {
    let lift = frame.ground.w * 2.0;
    let a = frame.clip_from_world * vec4f(start + towards_viewer(start) * lift, 1.0);
    let b = frame.clip_from_world * vec4f(end + towards_viewer(end) * lift, 1.0);
    let near = 1e-6;
    let along_px = (b.xy / max(b.w, near) - a.xy / max(a.w, near)) * frame.viewport.xy;
    let length_px = max(length(along_px), 1e-6);
    let along = along_px / length_px;
    let side = f32(index & 1u) * 2.0 - 1.0;
    let far_end = index >= 2u;
    var at = select(a, b, far_end);
    let half_width = 1.5 * frame.viewport.z;
    let offset_px = vec2f(-along.y, along.x) * side * half_width
        + along * half_width * select(-1.0, 1.0, far_end);
    at = vec4f(at.xy + offset_px * 2.0 / frame.viewport.xy * at.w, at.z, at.w);
    return Band(at, side);
}

@fragment
fn fs_seen(in: Band) -> @location(0) vec4f {
    return vec4f(frame.highlight.rgb, 1.0);
}

// What lies behind the object shines through faintly.
@fragment
fn fs_hidden(in: Band) -> @location(0) vec4f {
    return vec4f(frame.highlight.rgb, 1.0) * 0.22;
}
