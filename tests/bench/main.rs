//! Timings; never a gate. Run with `cargo bench`.

mod isosurface;
mod colour;

fn main() {
    isosurface::print_ratios();
    divan::main();
}
