//! Timings; never a gate. Run with `cargo bench`.

mod isosurface;

fn main() {
    isosurface::print_ratios();
    divan::main();
}
