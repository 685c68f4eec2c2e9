//! Shading detail, the atlas and its projection.

use std::sync::Arc;

use orfeas::inflate::{Map, shading_detail};
use orfeas::mesh::{Mesh, Texture, project_front_back, vertex_colours};
use orfeas::photo::{BackColours, Cutout, atlas, quick_atlas};

/// A square with round corners that fills its cut-out, lit and patterned.
fn full_object(side: usize) -> (Map, Map, Vec<[f32; 3]>) {
    let radius = side as f32 / 2.0;
    let (mut height, mut inside) = (Map::filled(side, 0.0), Map::filled(side, 0.0));
    let mut colours = Vec::new();
    for pixel in 0..side * side {
        let centred = |at: usize| (at as f32 + 0.5) / radius - 1.0;
        let (x, y) = (centred(pixel % side), centred(pixel / side));
        let squared = (1.0 - x.powi(8) - y.powi(8)).max(0.0);
        height.values[pixel] = 0.6 * radius * squared.sqrt();
        inside.values[pixel] = radius * (1.0 - x.abs().max(y.abs())).max(0.0) * squared.sqrt();
        let relief = 0.2 * (11.0 * x).sin() * (13.0 * y + x).cos();
        let shading = (0.5 * x - 0.4 * y + relief).exp();
        let paint = if (7.0 * x + 3.0 * y).sin() > 0.0 {
            0.5
        } else {
            0.2
        };
        colours.push([paint * shading, 0.3 * shading, 0.25 * shading]);
    }
    (height, inside, colours)
}

#[divan::bench(args = [64, 128])]
fn detail(bencher: divan::Bencher, side: usize) {
    let (height, inside, colours) = full_object(side);
    bencher.bench(|| shading_detail(&height, &inside, &colours, &|| false));
}

fn patterned_disc(side: usize) -> Cutout {
    let mut cutout = Cutout {
        side,
        pixels: Vec::new(),
        alpha: Vec::new(),
        full_frame: false,
    };
    for pixel in 0..side * side {
        let centred = |at: usize| 2.0 * (at as f32 + 0.5) / side as f32 - 1.0;
        let (x, y) = (centred(pixel % side), centred(pixel / side));
        let wave = |f: f32| (127.0 + 120.0 * (f * x + 9.0 * (3.0 * y).sin()).sin()) as u8;
        cutout.pixels.push([wave(17.0), wave(23.0), wave(40.0)]);
        let alpha = (Cutout::FILL - x.hypot(y)) * side as f32 / 2.0 + 0.5;
        cutout.alpha.push(alpha.clamp(0.0, 1.0));
    }
    cutout
}

#[divan::bench(args = [256, 512, 1024])]
fn full_atlas(bencher: divan::Bencher, side: usize) {
    let cutout = patterned_disc(side);
    bencher.bench(|| atlas(&cutout, BackColours::Smoothed, &|| false));
}

#[divan::bench(args = [1024])]
fn preview_atlas(bencher: divan::Bencher, side: usize) {
    let cutout = patterned_disc(side);
    bencher.bench(|| quick_atlas(&cutout));
}

/// A ring of `2 * rings * rings` triangles.
fn ring(rings: u32) -> Mesh {
    let mut mesh = Mesh::default();
    for pixel in 0..rings * rings {
        let (ring, segment) = (pixel / rings, pixel % rings);
        let turn = |part: u32| part as f32 / rings as f32 * std::f32::consts::TAU;
        let (u, v) = (turn(ring), turn(segment));
        let radius = 0.3 + 0.12 * v.cos();
        mesh.positions
            .push([radius * u.cos(), radius * u.sin(), 0.12 * v.sin()]);
        let place = |r: u32, s: u32| (r % rings) * rings + s % rings;
        let (a, b) = (place(ring, segment), place(ring + 1, segment));
        let (c, d) = (place(ring + 1, segment + 1), place(ring, segment + 1));
        mesh.triangles.extend([[a, b, c], [a, c, d]]);
    }
    mesh.normals = vec![[0.0, 0.0, 1.0]; mesh.positions.len()];
    mesh
}

fn texture() -> Arc<Texture> {
    Arc::new(Texture {
        width: 2048,
        height: 1024,
        pixels: vec![[9, 99, 199]; 2048 * 1024],
    })
}

#[divan::bench(args = [128, 512])]
fn projection(bencher: divan::Bencher, rings: u32) {
    let (mesh, texture) = (ring(rings), texture());
    bencher.bench(|| project_front_back(&mesh, Arc::clone(&texture)));
}

#[divan::bench(args = [512])]
fn colours_by_vertex(bencher: divan::Bencher, rings: u32) {
    let mesh = project_front_back(&ring(rings), texture());
    bencher.bench(|| vertex_colours(&mesh));
}
