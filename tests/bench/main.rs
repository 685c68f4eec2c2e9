//! Timings; never a gate. Run with `cargo bench`.

mod colour;

fn main() {
    divan::main();
}
