//! The `orfeas` program: starts the log, runs the front end, tells the exit code.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use orfeas::cli::{Serve, Serving, Window};
use orfeas::{server, ui};

fn main() -> ExitCode {
    let process_start = Instant::now();
    if let Err(error) = orfeas::logging::start() {
        eprintln!("warning: {error}");
    }
    orfeas::cli::run(process_start, &SERVE, &WINDOW).into()
}

/// How the command line, which knows no server, starts one.
const SERVE: &Serve<'static> = &|engine, wish| {
    let config = server::Config {
        listen: wish.listen,
        token: wish.token,
        cors_origins: wish.cors_origins,
        host_names: wish.host_names,
        requests_per_minute: wish.requests_per_minute,
        ..server::Config::default()
    };
    let server = server::start(engine, config)?;
    let stopper = server.stopper();
    Ok(Serving {
        address: server.address(),
        stop_within: Box::new(move |patience| stopper.stop_within(patience)),
        wait: Box::new(move || server.wait()),
    })
};

/// How long a client's job may still run when the window's server is switched off.
const PATIENCE: Duration = Duration::from_secs(2);

/// How the command line, which knows no window, opens one.
const WINDOW: &Window<'static> = &|images, process_start| {
    Ok(ui::open(ui::Setup {
        images,
        backend: ui::Backend::Start,
        config_folder: ui::Preferences::folder(),
        start_server: Some(Arc::new(|engine| {
            let server = server::start(engine, server::Config::default())?;
            Ok(ui::Served {
                address: server.address(),
                stop: Box::new(move || server.stop(PATIENCE)),
            })
        })),
        process_start,
    })?)
};
