//! Checks of meshes with about 1 million and 0.5 million faces.

use orfeas::mesh::{Mesh, checks};

use crate::shapes::{sphere, torus};

#[divan::bench(sample_count = 5)]
fn quick_1m(bencher: divan::Bencher<'_, '_>) {
    let mesh = sphere(254);
    eprintln!("{} faces", mesh.triangles.len());
    bencher.bench_local(|| checks::quick(&mesh));
}

fn half_a_million() -> Mesh {
    torus(206)
}

#[divan::bench(sample_count = 5)]
fn inspect_500k(bencher: divan::Bencher<'_, '_>) {
    let mesh = half_a_million();
    eprintln!("{} faces", mesh.triangles.len());
    bencher.bench_local(|| checks::inspect(&mesh, &|| false));
}

#[divan::bench(sample_count = 5)]
fn quick_500k(bencher: divan::Bencher<'_, '_>) {
    let mesh = half_a_million();
    bencher.bench_local(|| checks::quick(&mesh));
}
