//! Timings; never a gate. Run with `cargo bench`.

mod checks;
mod colour;
mod isosurface;
mod photo;
#[path = "../suite/shapes.rs"]
#[expect(dead_code, reason = "the suite needs more shapes than the timings")]
mod shapes;

fn main() {
    isosurface::print_ratios();
    divan::main();
}
