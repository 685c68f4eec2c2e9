//! Timings; never a gate. Run with `cargo bench`.

mod colour;
mod isosurface;

fn main() {
    isosurface::print_ratios();
    divan::main();
}
