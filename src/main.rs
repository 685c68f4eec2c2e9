//! The `orfeas` program: starts the log, runs the front end, tells the exit code.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use orfeas::cli::{Serve, Serving, Window};
use orfeas::{logging, server, ui};

fn main() -> ExitCode {
    let process_start = Instant::now();
    orfeas::compute::host::give_large_buffers_back();
    let (log, problem) = logging::start();
    if let Some(problem) = problem {
        eprintln!("warning: {problem}");
    }
    let window: &Window<'_> = &|images, process_start| open_window(images, process_start, &log);
    orfeas::cli::run(process_start, &SERVE, &window).into()
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
fn open_window(
    images: Vec<PathBuf>,
    process_start: Instant,
    log: &logging::Log,
) -> anyhow::Result<()> {
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
        log: Some(shown(log)),
        process_start,
    })?)
}

/// The log as the window, which knows no log, shows it.
fn shown(log: &logging::Log) -> ui::LogSource {
    let (recent, settable) = (log.recent.clone(), log.clone());
    let record = |record: logging::Record| ui::LogRecord {
        number: record.number,
        at: record.at,
        level: record.level,
        origin: record.origin,
        text: record.text,
    };
    ui::LogSource {
        after: Arc::new(move |number| recent.after(number).into_iter().map(record).collect()),
        set_level: Arc::new(move |level| {
            settable.set_level(level);
        }),
        is_fixed: log.is_fixed(),
        folder: logging::folder(),
    }
}
