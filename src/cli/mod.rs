//! The command line: what was typed becomes a wish, a wish becomes a job, and the job's end an exit code.
//!
//! Results go to standard output, progress and messages to standard error. One file a command.

mod cache;
mod convert;
mod devices;
mod doctor;
mod exit;
mod generate;
mod inspect;
mod options;
mod outputs;
mod progress;
mod report;
mod serve;
mod startup;

use std::time::Instant;

use clap::{Parser, Subcommand};

pub use exit::ExitCode;
pub use serve::{Serve, ServeWish, Serving};

/// Turn one image into a closed, coloured 3D mesh, on your own machine.
#[derive(Debug, Parser)]
#[command(name = "orfeas", version, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done, 2 wrong usage, 3 bad input, 4 out of memory, 5 output cannot be written, \
    130 interrupted, 1 anything else.\nLogs are kept in the platform's state folder; ORFEAS_LOG=debug logs more."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Generate(generate::Arguments),
    Inspect(inspect::Arguments),
    Convert(convert::Arguments),
    Serve(serve::Arguments),
    Cache(cache::Arguments),
    Devices(devices::Arguments),
    Doctor(doctor::Arguments),
}

/// Reads the arguments, does what they say, and tells the exit code. `process_start` is what durations
/// are reported from; `serve` starts a server, which is a front end of its own.
pub fn run(process_start: Instant, serve: &Serve<'_>) -> ExitCode {
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
        Command::Generate(arguments) => generate::run(arguments, process_start),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Convert(arguments) => convert::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments, serve),
        Command::Cache(arguments) => cache::run(&arguments),
        Command::Devices(arguments) => devices::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::Done,
        Err(failed) => {
            failed.print();
            failed.code
        }
    }
}
