//! Timings; never a gate. Run with `cargo bench`.

mod checks;
mod colour;
mod gpu;
mod isosurface;
mod photo;
#[path = "../suite/pictures.rs"]
#[expect(
    dead_code,
    clippy::unwrap_used,
    reason = "the suite needs more pictures than the timings, and may unwrap"
)]
mod pictures;
mod server;
#[path = "../suite/server_client.rs"]
#[expect(
    dead_code,
    clippy::unwrap_used,
    reason = "the suite asks for more than the timings, and may unwrap"
)]
mod server_client;
#[path = "../suite/shapes.rs"]
#[expect(dead_code, reason = "the suite needs more shapes than the timings")]
mod shapes;
mod triposg;
mod triposr;
mod window;

use orfeas::compute::ops::resize::Raster;

/// Set to have the window's figures printed, and nothing else: they take minutes.
const WINDOW_VARIABLE: &str = "ORFEAS_BENCH_WINDOW";
/// Set to have TripoSR's figures printed, and nothing else: minutes of work and gigabytes of memory.
const TRIPOSR_VARIABLE: &str = "ORFEAS_BENCH_TRIPOSR";

/// Set to have the first CUDA device's figures printed, and nothing else.
const GPU_VARIABLE: &str = "ORFEAS_BENCH_GPU";

/// A square image as a model takes it, with nothing to be seen on it: what is timed does not depend on that.
fn conditioned_image(side: usize) -> Raster {
    Raster {
        width: side,
        height: side,
        channels: 3,
        values: (0..3 * side * side)
            .map(|place| (place % 251) as f32 / 250.0)
            .collect(),
    }
}

fn main() {
    // As the program does.
    orfeas::compute::host::give_large_buffers_back();
    if std::env::var_os(GPU_VARIABLE).is_some() {
        gpu::print_figures();
        return;
    }
    if std::env::var_os(TRIPOSR_VARIABLE).is_some() {
        triposr::print_figures();
        return;
    }
    if std::env::var_os(WINDOW_VARIABLE).is_some() {
        window::print_figures();
        return;
    }
    server::print_latencies();
    isosurface::print_ratios();
    divan::main();
}
