//! Timings; never a gate. Run with `cargo bench`.

mod colour;
mod isosurface;
mod checks;
#[path = "../suite/shapes.rs"]
#[expect(dead_code, reason = "the suite needs more shapes than the timings")]
mod shapes;
mod photo;

fn main() {
    isosurface::print_ratios();
    divan::main();
}
