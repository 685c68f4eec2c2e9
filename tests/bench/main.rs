//! Timings; never a gate. Run with `cargo bench`.

fn main() {
    divan::main();
}
