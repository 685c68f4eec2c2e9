//! The command line: what was typed becomes a wish, a wish becomes a job, and the job's end an exit code.
//!
//! Results go to standard output, progress and messages to standard error. One file a command.

mod cache;
mod convert;
mod devices;
mod doctor;
mod estimate;
mod exit;
mod generate;
mod inputs;
mod inspect;
mod models;
mod options;
mod outputs;
mod progress;
mod report;
mod serve;
mod startup;
mod window;

use std::path::PathBuf;
use std::time::Instant;

use clap::{Parser, Subcommand};

use crate::engine;
pub use exit::ExitCode;
pub use serve::{Serve, ServeWish, Serving};
pub use window::Window;

/// Turn one image into a closed, coloured 3D mesh, on your own machine.
#[derive(Debug, Parser)]
#[command(name = "orfeas", version, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done, 2 wrong usage, 3 bad input, 4 out of memory, 5 output cannot be written, \
    130 interrupted, 1 anything else.\nLogs are kept in the platform's state folder; ORFEAS_LOG=debug logs more."
)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Images to open in the window, which starts on them; without any, the window opens empty
    #[arg(value_name = "IMAGE")]
    images: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Generate(generate::Arguments),
    Inspect(inspect::Arguments),
    Convert(convert::Arguments),
    Serve(serve::Arguments),
    Cache(cache::Arguments),
    Models(models::Arguments),
    Devices(devices::Arguments),
    Doctor(doctor::Arguments),
}

/// Reads the arguments, does what they say, and tells the exit code. `process_start` is what durations
/// are reported from; `serve` and `window` start the other front ends.
pub fn run(process_start: Instant, serve: &Serve<'_>, window: &Window<'_>) -> ExitCode {
    engine::outlive_file_size_limit();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are asked for, everything else is a usage error; clap words them all.
            let code = if error.use_stderr() {
                ExitCode::Usage
            } else {
                ExitCode::Done
            };
            return if error.print().is_ok() {
                code
            } else {
                ExitCode::Other
            };
        }
    };
    let result = match cli.command {
        None => window::run(cli.images, process_start, window),
        Some(Command::Generate(arguments)) => generate::run(arguments, process_start),
        Some(Command::Inspect(arguments)) => inspect::run(&arguments),
        Some(Command::Convert(arguments)) => convert::run(&arguments),
        Some(Command::Serve(arguments)) => serve::run(&arguments, serve),
        Some(Command::Cache(arguments)) => cache::run(&arguments),
        Some(Command::Models(arguments)) => models::run(&arguments),
        Some(Command::Devices(arguments)) => devices::run(&arguments),
        Some(Command::Doctor(arguments)) => doctor::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::Done,
        Err(failed) => {
            failed.print();
            failed.code
        }
    }
}
