//! Isosurface timings against the `fast-surface-nets` crate, and by level.
//!
//! The ratios are medians of runs made in turn, on one thread, of the same pillow-like solid (the kind
//! that the shape source makes: `u(x, y) − z²` with `u` looked up in a map):
//!
//! - *dense*: both mesh the same 256³ grid that is already in memory;
//! - *sparse*: ours starts from nothing (survey, evaluation of bricks, Newton steps on the field) and is
//!   divided by `fast-surface-nets` on the finished grid, then by evaluating the grid and
//!   `fast-surface-nets` together.

use std::hint::black_box;
use std::time::{Duration, Instant};

use divan::Bencher;
use fast_surface_nets::ndshape::ConstShape3u32;
use fast_surface_nets::{SurfaceNetsBuffer, surface_nets};
use orfeas::field::{Bounds, Brick, DenseGrid, Field, Region};
use orfeas::mesh::Mesh;
use orfeas::mesh::isosurface::{extract, extract_dense, survey};

/// Runs of each contender.
const RUNS: usize = 9;
/// Samples along a side of the dense grid.
const SIDE: usize = 256;

/// The dense grid as the other crate is told of it: at compile time, which is fastest.
type Shape = ConstShape3u32<256, 256, 256>;

/// The solid `u(x, y) − z²`, with `u` interpolated in a square map over `[-0.5, 0.5]²`.
struct Pillow {
    side: usize,
    map: Vec<f32>,
    /// Least and greatest values of the map over squares of `2^k` pixels and the next ones.
    pyramid: Vec<(usize, Vec<(f32, f32)>)>,
}

impl Pillow {
    /// A blob with five arms; half as deep as it is wide.
    fn new(side: usize) -> Self {
        let map: Vec<f32> = (0..side * side)
            .map(|index| {
                let at = |i: usize| (i as f32 + 0.5) / side as f32 - 0.5;
                let (x, y) = (at(index % side), at(index / side));
                let radius = 0.34 + 0.07 * (5.0 * y.atan2(x)).cos();
                let away = x.hypot(y) / radius;
                0.04 * (1.0 - away * away) + 0.001 * (60.0 * x).sin() * (60.0 * y).sin()
            })
            .collect();
        let mut pyramid = vec![(side, map.iter().map(|v| (*v, *v)).collect::<Vec<_>>())];
        while let Some((size, finer)) = pyramid.last()
            && *size > 1
        {
            let half = size.div_ceil(2);
            let coarser = (0..half * half)
                .map(|index| {
                    let (x, y) = (index % half * 2, index / half * 2);
                    let mut range = (f32::INFINITY, f32::NEG_INFINITY);
                    for (x, y) in [(x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1)] {
                        let (low, high) = finer[y.min(size - 1) * size + x.min(size - 1)];
                        range = (range.0.min(low), range.1.max(high));
                    }
                    range
                })
                .collect();
            pyramid.push((half, coarser));
        }
        Self { side, map, pyramid }
    }

    /// The value of the map and its slopes in the field frame.
    fn lookup(&self, x: f32, y: f32) -> (f32, f32, f32) {
        let last = (self.side - 1) as f32;
        let column = ((x + 0.5) * self.side as f32 - 0.5).clamp(0.0, last);
        let row = ((0.5 - y) * self.side as f32 - 0.5).clamp(0.0, last);
        let (i, j) = (
            (column as usize).min(self.side - 2),
            (row as usize).min(self.side - 2),
        );
        let (s, t) = (column - i as f32, row - j as f32);
        let start = j * self.side + i;
        let (a, b) = (self.map[start], self.map[start + 1]);
        let (c, d) = (self.map[start + self.side], self.map[start + self.side + 1]);
        let (upper, lower) = (a + s * (b - a), c + s * (d - c));
        let across = (b - a) + t * ((d - c) - (b - a));
        let scale = self.side as f32;
        (
            upper + t * (lower - upper),
            across * scale,
            (upper - lower) * scale,
        )
    }
}

impl Field for Pillow {
    fn extent(&self) -> Region {
        Region {
            min: [-0.5, -0.5, -0.25],
            max: [0.5, 0.5, 0.25],
        }
    }

    fn fill(&self, brick: &Brick, values: &mut [f32]) {
        let [columns, rows, _] = brick.samples;
        let (plane, planes) = values.split_at_mut(columns * rows);
        for (j, line) in plane.chunks_exact_mut(columns).enumerate() {
            let y = brick.origin[1] + brick.step * j as f32;
            for (i, value) in line.iter_mut().enumerate() {
                *value = self.lookup(brick.origin[0] + brick.step * i as f32, y).0;
            }
        }
        for (k, later) in planes.chunks_exact_mut(columns * rows).enumerate() {
            let z = brick.origin[2] + brick.step * (k + 1) as f32;
            for (value, u) in later.iter_mut().zip(plane.iter()) {
                *value = u - z * z;
            }
        }
        for value in plane {
            *value -= brick.origin[2] * brick.origin[2];
        }
    }

    fn bounds(&self, region: &Region) -> Bounds {
        let pixel = |x: f32| (x * self.side as f32 - 0.5).clamp(0.0, (self.side - 1) as f32);
        let columns = [pixel(region.min[0] + 0.5), pixel(region.max[0] + 0.5)];
        let rows = [pixel(0.5 - region.max[1]), pixel(0.5 - region.min[1])];
        let [left, right] = [columns[0] as usize, columns[1].ceil() as usize];
        let [top, bottom] = [rows[0] as usize, rows[1].ceil() as usize];
        let span = (right - left).max(bottom - top).max(1);
        let level = (span.ilog2() as usize).min(self.pyramid.len() - 1);
        let (size, ranges) = &self.pyramid[level];
        let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
        for y in top >> level..=(bottom >> level).min(size - 1) {
            for x in left >> level..=(right >> level).min(size - 1) {
                let (least, greatest) = ranges[y * size + x];
                (low, high) = (low.min(least), high.max(greatest));
            }
        }
        let (a, b) = (region.min[2].powi(2), region.max[2].powi(2));
        let nearest = if region.min[2] <= 0.0 && region.max[2] >= 0.0 {
            0.0
        } else {
            a.min(b)
        };
        Bounds {
            min: low - a.max(b),
            max: high - nearest,
        }
    }

    fn value_and_gradient(&self, [x, y, z]: [f32; 3]) -> Option<(f32, [f32; 3])> {
        let (u, slope_x, slope_y) = self.lookup(x, y);
        Some((u - z * z, [slope_x, slope_y, -2.0 * z]))
    }
}

fn never() -> bool {
    false
}

fn dense_brick() -> Brick {
    Brick {
        origin: [-0.5; 3],
        step: 1.0 / (SIDE - 1) as f32,
        samples: [SIDE; 3],
    }
}

fn grid_of(field: &Pillow) -> DenseGrid {
    DenseGrid::sample(field, dense_brick()).expect("a proper brick")
}

fn sparse(field: &Pillow, level: u32) -> Mesh {
    let survey = survey(field, level, &never).expect("a survey");
    extract(field, &survey, &never).expect("a surface")
}

/// The other crate counts the inside as negative.
fn negated(grid: &DenseGrid) -> Vec<f32> {
    grid.values().iter().map(|value| -value).collect()
}

/// Meshes with the other crate, into a buffer that is kept between runs, as it is meant to be.
fn theirs(values: &[f32], buffer: &mut SurfaceNetsBuffer) {
    surface_nets(values, &Shape {}, [0; 3], [SIDE as u32 - 1; 3], buffer);
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    black_box(work());
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
}

/// Prints how the times compare, on one thread.
pub(crate) fn print_ratios() {
    // Not when the harness is only asked what benchmarks there are, or for one of another name.
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench");
    if arguments
        .next()
        .is_some_and(|filter| !"isosurface".starts_with(&filter))
    {
        return;
    }
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .expect("a pool of one thread");
    pool.install(|| {
        let field = Pillow::new(1024);
        let grid = grid_of(&field);
        let values = negated(&grid);
        let mut buffer = SurfaceNetsBuffer::default();
        let mut times: [Vec<Duration>; 4] = Default::default();
        for _ in 0..RUNS {
            times[0].push(timed(|| theirs(black_box(&values), &mut buffer)));
            times[1].push(timed(|| extract_dense(black_box(&grid), &never)));
            times[2].push(timed(|| sparse(black_box(&field), SIDE as u32)));
            times[3].push(timed(|| grid_of(black_box(&field))));
        }
        let [theirs_ms, dense_ms, sparse_ms, fill_ms] = times.map(median);
        println!("isosurface at 256³, one thread, medians of {RUNS} runs in turn");
        println!("  fast-surface-nets, dense grid given   {theirs_ms:7.1} ms");
        println!(
            "  ours, dense grid given                {dense_ms:7.1} ms   ratio {:.2}",
            dense_ms / theirs_ms
        );
        println!(
            "  ours, sparse from the field           {sparse_ms:7.1} ms   ratio {:.2}",
            sparse_ms / theirs_ms
        );
        println!(
            "    against evaluating the grid as well {:7.1} ms   ratio {:.2}",
            fill_ms + theirs_ms,
            sparse_ms / (fill_ms + theirs_ms)
        );
    });
}

#[divan::bench(sample_count = 10)]
fn fast_surface_nets_256(bencher: Bencher<'_, '_>) {
    let values = negated(&grid_of(&Pillow::new(1024)));
    let mut buffer = SurfaceNetsBuffer::default();
    bencher.bench_local(|| theirs(black_box(&values), &mut buffer));
}

#[divan::bench(sample_count = 10)]
fn dense_256(bencher: Bencher<'_, '_>) {
    let grid = grid_of(&Pillow::new(1024));
    bencher.bench_local(|| extract_dense(black_box(&grid), &never));
}

#[divan::bench(sample_count = 10, args = [32, 64, 128, 256, 512])]
fn sparse_from_field(bencher: Bencher<'_, '_>, level: u32) {
    let field = Pillow::new(1024);
    bencher.bench_local(|| sparse(black_box(&field), level));
}

#[divan::bench(sample_count = 10, args = [256, 512])]
fn survey_only(bencher: Bencher<'_, '_>, level: u32) {
    let field = Pillow::new(1024);
    bencher.bench_local(|| survey(black_box(&field), level, &never));
}
