//! Timings; never a gate. Run with `cargo bench`.

mod photo;

fn main() {
    divan::main();
}
