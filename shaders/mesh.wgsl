// The object.

@group(1) @binding(1) var colours: texture_2d<f32>;
@group(1) @binding(2) var colour_sampler: sampler;

struct Surface {
    @builtin(position) position: vec4f,
    @location(0) world: vec3f,
    @location(1) normal: vec3f,
    // How much of the surroundings a point sees, 0 … 1.
    @location(2) openness: f32,
    @location(3) uv: vec2f,
    @location(4) colour: vec3f,
}

// The direction that two numbers stand for (Cigolle et al. 2014, octahedral mapping).
fn from_octahedron(e: vec2f) -> vec3f {
    var n = vec3f(e, 1.0 - abs(e.x) - abs(e.y));
    let fold = max(-n.z, 0.0);
    n.x += select(fold, -fold, n.x >= 0.0);
    n.y += select(fold, -fold, n.y >= 0.0);
    return normalize(n);
}

fn surface(place: vec4f, octahedral: vec2f) -> Surface {
    var out: Surface;
    out.world = mesh.box_min.xyz + place.xyz * mesh.box_size.xyz;
    out.position = frame.clip_from_world * vec4f(out.world, 1.0);
    out.normal = from_octahedron(octahedral);
    out.openness = place.w;
    out.uv = vec2f(0.0);
    out.colour = vec3f(1.0);
    return out;
}

@vertex
fn vs_plain(@location(0) place: vec4f, @location(1) octahedral: vec2f) -> Surface {
    return surface(place, octahedral);
}

@vertex
fn vs_painted(
    @location(0) place: vec4f,
    @location(1) octahedral: vec2f,
    @location(2) uv: vec2f,
    @location(3) colour: vec4f,
) -> Surface {
    var out = surface(place, octahedral);
    out.uv = mesh.uv_box.xy + uv * mesh.uv_box.zw;
    out.colour = decode_srgb(colour.rgb);
    return out;
}

struct Material {
    albedo: vec3f,
    roughness: f32,
    specular: f32,
    // How much of the light comes from everywhere instead of the lamp: photographs bring shadows of
    // their own.
    softness: f32,
}

// Trowbridge-Reitz highlights with the height-correlated visibility of Hammon 2017.
fn highlight(n: vec3f, v: vec3f, l: vec3f, roughness: f32) -> f32 {
    let h = normalize(v + l);
    let n_h = max(dot(n, h), 0.0);
    let n_l = max(dot(n, l), 0.0);
    let n_v = max(dot(n, v), 1e-3);
    let a = roughness * roughness;
    let d = n_h * n_h * (a * a - 1.0) + 1.0;
    let distribution = a * a / (3.14159265 * d * d);
    let visibility = 0.5 / mix(2.0 * n_l * n_v, n_l + n_v, a);
    let fresnel = 0.04 + 0.96 * pow(1.0 - max(dot(v, h), 0.0), 5.0);
    return distribution * visibility * fresnel * n_l;
}

// Light that bounces in a hollow takes on the surface's colour (Jimenez et al. 2016).
fn bounced(openness: f32, albedo: vec3f) -> vec3f {
    let a = 2.0404 * albedo - 0.3324;
    let b = -4.7951 * albedo + 0.6417;
    let c = 2.7552 * albedo + 0.6903;
    return max(vec3f(openness), ((openness * a + b) * openness + c) * openness);
}

// Straight up to three quarters of white, then bending so that highlights keep their shape.
fn shoulder(c: vec3f) -> vec3f {
    let start = 0.75;
    let over = max(c - start, vec3f(0.0));
    return min(c, vec3f(start)) + (1.0 - start) * (1.0 - exp(-over / (1.0 - start)));
}

fn lit(m: Material, n: vec3f, v: vec3f, openness: f32) -> vec3f {
    // A lamp as large as a window reaches a little around the edge.
    let key = pow(max((dot(n, frame.key.xyz) + 0.2) / 1.2, 0.0), 1.25);
    let fill = max((dot(n, frame.fill.xyz) + 0.3) / 1.3, 0.0);
    let key_colour = vec3f(1.0, 0.92, 0.82) * mix(1.1, 0.88, m.softness);
    let fill_colour = vec3f(0.66, 0.82, 1.0) * mix(0.17, 0.2, m.softness);
    let rim_colour = vec3f(0.80, 0.90, 1.0);

    // A hollow sees less of the lamp too.
    let shade = smoothstep(0.0, 0.8, openness);
    let ambient = mix(vec3f(0.07, 0.065, 0.064), vec3f(0.19, 0.205, 0.235), n.y * 0.5 + 0.5)
        * mix(1.0, 1.75, m.softness);
    let diffuse = ambient * bounced(openness, m.albedo)
        + key_colour * (key * mix(0.3, 1.0, shade))
        + fill_colour * (fill * mix(0.3, 1.0, openness));

    // Light from behind along the edge: thin on its own material, so that colours stay what they are.
    let edge = pow(1.0 - max(dot(n, v), 0.0), 3.5);
    let rim = edge * max(dot(n, frame.rim.xyz) + 0.15, 0.0) * 0.75 * openness;
    let gloss = highlight(n, v, frame.key.xyz, m.roughness) * 1.2 * shade
        + highlight(n, v, frame.fill.xyz, m.roughness) * 0.12 * openness;
    return m.albedo * (diffuse + rim * rim_colour)
        + m.specular * (gloss * key_colour + rim * rim_colour * 0.12);
}

// A large soft lamp seen in a polished surface.
fn lamp(direction: vec3f, centre: vec3f, right: vec3f, half_size: vec2f, soft: f32) -> f32 {
    let up = cross(centre, right);
    let ahead = dot(direction, centre);
    let place = abs(vec2f(dot(direction, right), dot(direction, up))) / max(ahead, 1e-3);
    let inside = smoothstep(half_size + soft, half_size - soft, place);
    return select(0.0, inside.x * inside.y, ahead > 0.0);
}

// Graphite, polished and lit by three lamps that go with the viewer.
fn polished(n: vec3f, v: vec3f, openness: f32) -> vec3f {
    let turn = mat3x3f(
        frame.view_from_world[0].xyz, frame.view_from_world[1].xyz, frame.view_from_world[2].xyz
    );
    let normal = turn * n;
    let mirror = turn * reflect(-v, n);
    let window = lamp(mirror, normalize(vec3f(-0.66, 0.66, 0.36)), normalize(vec3f(0.48, 0.0, 0.88)), vec2f(0.62, 0.55), 0.3);
    let strip = lamp(mirror, normalize(vec3f(0.94, 0.06, -0.05)), vec3f(0.0, 1.0, 0.0), vec2f(1.1, 0.2), 0.16);
    let back = lamp(mirror, normalize(vec3f(0.0, 0.62, -0.78)), vec3f(1.0, 0.0, 0.0), vec2f(1.3, 0.22), 0.2);
    let fresnel = 0.18 + 0.82 * pow(1.0 - max(dot(n, v), 0.0), 4.0);
    // The room: a bright ceiling, a dark floor, and the horizon between them.
    let room = mix(vec3f(0.018, 0.02, 0.024), vec3f(0.30, 0.33, 0.38), smoothstep(-0.12, 0.9, mirror.y))
        + vec3f(0.05, 0.045, 0.04) * smoothstep(-0.2, -1.0, mirror.y);
    let key = max(dot(normal, normalize(vec3f(-0.55, 0.7, 0.5))), 0.0);
    let body = vec3f(0.016, 0.0175, 0.021) + vec3f(0.15, 0.148, 0.145) * key * key;
    let mirrored = vec3f(1.0, 0.93, 0.84) * window * 1.3
        + vec3f(0.62, 0.80, 1.0) * strip * 1.0
        + vec3f(0.85, 0.93, 1.0) * back * 0.8
        + room;
    return body * openness + mirrored * (fresnel + 0.1) * mix(0.25, 1.0, smoothstep(0.0, 0.8, openness));
}

@fragment
fn fs_main(in: Surface, @builtin(front_facing) front: bool) -> @location(0) vec4f {
    // Sampled before any branch: derivatives need every pixel.
    let sampled = textureSample(colours, colour_sampler, in.uv).rgb;
    let v = towards_viewer(in.world);
    var n = normalize(in.normal);
    n = select(-n, n, front);
    let openness = clamp(in.openness, 0.0, 1.0);

    var encoded: vec3f;
    if frame.shading.x == 2u {
        encoded = (n * 0.5 + 0.5) * mix(0.72, 1.0, openness);
    } else if frame.shading.x == 3u {
        encoded = encode_srgb(shoulder(polished(n, v, openness)));
    } else {
        var material = Material(vec3f(0.584, 0.552, 0.503), 0.52, 1.0, 0.0);
        if frame.shading.x == 0u && mesh.traits.x > 0.5 {
            material = Material(sampled * in.colour, 0.6, 0.45, 1.0);
        }
        // The inside of a surface that is not closed.
        material.albedo *= select(0.35, 1.0, front);
        encoded = encode_srgb(shoulder(lit(material, n, v, openness)));
    }
    return vec4f(encoded + dither(in.position.xy), 1.0);
}
