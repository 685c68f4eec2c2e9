//! The `orfeas` program: starts the log, runs the front end, tells the exit code.

use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let process_start = Instant::now();
    if let Err(error) = orfeas::logging::start() {
        eprintln!("warning: {error}");
    }
    orfeas::cli::run(process_start).into()
}
