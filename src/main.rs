//! The `orfeas` program: arguments, front end, exit code.

fn main() {}
