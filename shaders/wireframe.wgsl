// The edges of the triangles, over the object.

@vertex
fn vs_main(@location(0) place: vec4f) -> @builtin(position) vec4f {
    let world = mesh.box_min.xyz + place.xyz * mesh.box_size.xyz;
    // Lines have no depth bias of their own: a little towards the viewer keeps them off the surface.
    let lift = length(mesh.box_size.xyz) * 0.0008;
    return frame.clip_from_world * vec4f(world + towards_viewer(world) * lift, 1.0);
}

@fragment
fn fs_main() -> @location(0) vec4f {
    // Edges closer than some pixels would only darken everything.
    let edge_px = mesh.traits.y / max(frame.ground.w, 1e-9);
    let strength = mix(0.045, 0.6, smoothstep(1.2, 9.0, edge_px));
    return vec4f(vec3f(0.03, 0.035, 0.045) * strength, strength);
}
