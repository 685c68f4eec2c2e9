//! Timings; never a gate. Run with `cargo bench`.

mod checks;
mod colour;
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
mod window;

/// Set to have the window's figures printed, and nothing else: they take minutes.
const WINDOW_VARIABLE: &str = "ORFEAS_BENCH_WINDOW";

fn main() {
    if std::env::var_os(WINDOW_VARIABLE).is_some() {
        window::print_figures();
        return;
    }
    server::print_latencies();
    isosurface::print_ratios();
    divan::main();
}
