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
mod triposr;

fn main() {
    // Minutes of work and gigabytes of memory: only when asked for.
    if std::env::args().any(|argument| argument == "triposr") {
        triposr::print_figures();
        return;
    }
    server::print_latencies();
    isosurface::print_ratios();
    divan::main();
}
