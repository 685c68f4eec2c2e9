//! `orfeas doctor`: whether everything a run needs is here, with a remedy for what is not, and how this
//! machine's memory is used.
//!
//! What is missing but not needed, such as a GPU, is said and is no failure.

use std::fmt;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::exit::{ExitCode, Failed};
use super::generate::print_line;
use super::report::bytes;
use super::startup::Resources;
use crate::engine::{Engine, Request, Settings};
use crate::formats;
use crate::logging;
use crate::store::{Folders, Limits, Store};
use crate::view;
use crate::vram::{LibrarySearch, Manager, Watched, find_library};

/// Check everything that a run needs, and measure how this machine's memory is used
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Write what was found to this file, as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
}

/// The image that is turned into a mesh on trial.
const SAMPLE: &[u8] = include_bytes!("../../assets/samples/ampersand.png");
/// The port that `orfeas serve` listens on where nothing else is said.
const PORT: u16 = 7878;
/// What a mesh of 256³ takes at most, beside the program.
const NEEDED_BYTES: u64 = 500_000_000;
/// How often the statistics are asked for, to time them.
const STATISTICS_CALLS: usize = 1000;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    /// Here, and fit for use.
    Ok,
    /// Not here, and not needed.
    Missing,
    /// Needed, and not fit for use.
    Failed,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Missing => "-",
            Self::Failed => "FAILED",
        })
    }
}

#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    verdict: Verdict,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Ok,
            found: found.into(),
            remedy: None,
        }
    }

    fn missing(name: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Missing,
            remedy: Some(remedy.into()),
            ..Self::ok(name, found)
        }
    }

    fn failed(name: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Failed,
            ..Self::missing(name, found, remedy)
        }
    }
}

/// How memory is used here: of the GPU where there is one, else of the host.
#[derive(Debug, Serialize)]
struct Baseline {
    memory: Watched,
    total_memory_bytes: Option<u64>,
    available_at_start_bytes: Option<u64>,
    idle_percent: Option<f64>,
    during_generation_percent: Option<f64>,
    statistics_response_ms: f64,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failed> {
    let resources = Resources::default();
    let memory = resources.start();
    let manager = &memory.manager;
    let available_at_start_bytes = available_bytes(manager);
    let mut checks = vec![host_memory(manager), driver(manager), cuda(manager)];
    checks.extend(cublaslt(manager));
    checks.extend([graphics_adapter(), log_folder()]);
    checks.extend(store_folders());
    checks.push(port());
    let engine = resources.engine(&memory, None)?;
    checks.push(sample_generation(&engine));
    drop(engine);
    let baseline = Baseline::measure(manager, available_at_start_bytes);
    let healthy = checks.iter().all(|check| check.verdict != Verdict::Failed);
    let object = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "healthy": healthy,
        "checks": checks,
        "baseline": baseline,
        "statistics": manager.statistics(),
    });
    if arguments.json {
        print_line(&object.to_string())?;
    } else {
        checks.iter().try_for_each(print_check)?;
        print_line(&baseline.to_string())?;
    }
    if let Some(path) = &arguments.report {
        save_report(path, &object)?;
        if !arguments.json {
            print_line(&format!("written to {}", path.display()))?;
        }
    }
    if healthy {
        return Ok(());
    }
    Err(Failed::new(
        ExitCode::Other,
        anyhow::anyhow!("something that a run needs is not here; see the remedies above"),
    ))
}

fn print_check(check: &Check) -> Result<(), Failed> {
    print_line(&format!(
        "{:6}  {:16}  {}",
        check.verdict, check.name, check.found
    ))?;
    match &check.remedy {
        Some(remedy) => print_line(&format!("{:26}→ {remedy}", "")),
        None => Ok(()),
    }
}

fn save_report(path: &Path, object: &serde_json::Value) -> Result<(), Failed> {
    let mut text = format!("{object:#}");
    text.push('\n');
    formats::save_bytes(path, text.as_bytes())?;
    Ok(())
}

fn available_bytes(manager: &Manager) -> Option<u64> {
    let statistics = manager.statistics();
    if statistics.gpu_present {
        statistics.available_bytes
    } else {
        statistics.host.available_bytes
    }
}

fn host_memory(manager: &Manager) -> Check {
    let host = manager.statistics().host;
    match (host.available_bytes, host.total_bytes) {
        (Some(available), Some(total)) => {
            let found = format!("{} of {} available", bytes(available), bytes(total));
            if available >= NEEDED_BYTES {
                Check::ok("memory", found)
            } else {
                Check::failed(
                    "memory",
                    found,
                    format!(
                        "close other programs until {} are available, or generate with a lower --quality",
                        bytes(NEEDED_BYTES)
                    ),
                )
            }
        }
        _ => Check::missing(
            "memory",
            "this system does not tell its memory",
            "set a limit with --memory",
        ),
    }
}

fn driver(manager: &Manager) -> Check {
    let state = manager.gpu_state().to_string();
    match manager.selected() {
        Some(_) => Check::ok("NVIDIA driver", state),
        None => Check::missing(
            "NVIDIA driver",
            state,
            "none is needed: meshes are made on the processor; for an NVIDIA GPU, install its driver",
        ),
    }
}

fn cuda(manager: &Manager) -> Check {
    let Some(cuda) = manager.cuda() else {
        return Check::missing(
            "CUDA",
            "the driver has not answered",
            "restart the machine if its GPU hangs",
        );
    };
    match cuda.remedy() {
        None => Check::ok("CUDA", cuda.to_string()),
        Some(remedy) => Check::missing("CUDA", cuda.to_string(), remedy),
    }
}

/// The library that multiplies matrices, where there is a device for it.
fn cublaslt(manager: &Manager) -> Option<Check> {
    const NAME: &str = "cuBLASLt";
    const REMEDY: &str = "none is needed: the program's own kernels multiply; to have it multiply, install NVIDIA's CUDA \
        toolkit or the Python package nvidia-cublas-cu12, or name the library's file in ORFEAS_CUBLASLT";
    if manager.cuda()?.devices().is_empty() {
        return None;
    }
    Some(match find_library() {
        LibrarySearch::Found(found) => {
            let path = found.path.display();
            Check::ok(NAME, format!("{}: {path}", found.version))
        }
        LibrarySearch::Off => Check::missing(NAME, "it is off, as ORFEAS_CUBLASLT says", REMEDY),
        LibrarySearch::None { passed_over } if passed_over.is_empty() => {
            Check::missing(NAME, "there is none", REMEDY)
        }
        LibrarySearch::None { passed_over } => Check::missing(NAME, passed_over.join("; "), REMEDY),
    })
}

fn graphics_adapter() -> Check {
    const NAME: &str = "graphics adapter";
    match view::adapters().first() {
        Some(adapter) => Check::ok(NAME, adapter.to_string()),
        None => Check::missing(
            NAME,
            "none can be reached",
            "the command line needs none; for pictures install a graphics driver, on Debian mesa-vulkan-drivers and libvulkan1",
        ),
    }
}

fn log_folder() -> Check {
    const REMEDY: &str = "make the folder writable; the program runs without a log";
    match logging::folder() {
        Some(folder) => folder_check("log folder", &folder, REMEDY),
        None => Check::missing("log folder", "this system names none", REMEDY),
    }
}

/// The folders of cache and history, and whether what they hold can be opened.
fn store_folders() -> Vec<Check> {
    const REMEDY: &str = "make the folder writable, or name another with ORFEAS_CACHE_DIR and ORFEAS_DATA_DIR; \
        without it nothing is kept";
    let Some(folders) = Folders::of_platform() else {
        return vec![Check::missing(
            "cache folder",
            "this system names none",
            REMEDY,
        )];
    };
    let opened = match Store::open(&folders, Limits::default()) {
        Ok(store) => {
            let cache = store.cache().statistics();
            let damaged = cache.repaired;
            Check::ok(
                "cache",
                format!(
                    "{} results, {}, {damaged} damaged ones dropped",
                    cache.entries,
                    bytes(cache.bytes)
                ),
            )
        }
        Err(error) => Check::failed("cache", error.to_string(), REMEDY),
    };
    vec![
        folder_check("cache folder", &folders.cache, REMEDY),
        folder_check("history folder", &folders.data, REMEDY),
        opened,
    ]
}

fn folder_check(name: &'static str, folder: &Path, remedy: &str) -> Check {
    let writable = std::fs::create_dir_all(folder)
        .and_then(|()| tempfile::tempfile_in(folder))
        .map(drop);
    match writable {
        Ok(()) => Check::ok(name, folder.display().to_string()),
        Err(error) => Check::failed(name, format!("{error}: {}", folder.display()), remedy),
    }
}

fn port() -> Check {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)) {
        Ok(_listener) => Check::ok("port", format!("127.0.0.1:{PORT} is free")),
        Err(error) => Check::missing(
            "port",
            format!("127.0.0.1:{PORT} cannot be listened on ({error})"),
            "orfeas may be serving already; otherwise serve on another port with --listen 127.0.0.1:0",
        ),
    }
}

fn sample_generation(engine: &Engine) -> Check {
    const NAME: &str = "sample";
    const REMEDY: &str = "report this with the log file";
    let request = Request {
        image: SAMPLE.into(),
        name: "ampersand.png".into(),
        settings: Settings::default(),
        keep_every_level: false,
        cache: false,
        history: false,
    };
    let started = Instant::now();
    let submission = match engine.submit(request) {
        Ok(submission) => submission,
        Err(error) => return Check::failed(NAME, error.to_string(), REMEDY),
    };
    let mut cursor = Default::default();
    while !submission.events.is_closed() {
        submission.events.wait(&mut cursor, Duration::from_secs(1));
    }
    match submission.result() {
        Some(Ok(outcome)) => Check::ok(
            NAME,
            format!(
                "a closed mesh of {} faces at {}³ in {:.2} s",
                outcome.summary.shape.faces,
                outcome.summary.resolution,
                started.elapsed().as_secs_f64()
            ),
        ),
        Some(Err(failure)) => Check::failed(NAME, failure.to_string(), REMEDY),
        None => Check::failed(NAME, "it was cancelled", REMEDY),
    }
}

impl Baseline {
    fn measure(manager: &Manager, available_at_start_bytes: Option<u64>) -> Self {
        let mut milliseconds: Vec<f64> = (0..STATISTICS_CALLS)
            .map(|_| {
                let started = Instant::now();
                let statistics = manager.statistics();
                let elapsed = started.elapsed().as_secs_f64() * 1e3;
                drop(statistics);
                elapsed
            })
            .collect();
        milliseconds.sort_by(f64::total_cmp);
        let statistics = manager.statistics();
        let total_memory_bytes = if statistics.gpu_present {
            statistics.total_vram_bytes
        } else {
            statistics.host.total_bytes
        };
        Self {
            memory: statistics.history_of,
            total_memory_bytes,
            available_at_start_bytes,
            idle_percent: statistics.history.idle_percent,
            during_generation_percent: statistics.history.during_generation_percent,
            statistics_response_ms: milliseconds[STATISTICS_CALLS * 99 / 100],
        }
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = |amount: Option<u64>| amount.map_or_else(|| "unknown".into(), bytes);
        let percent = |percent: Option<f64>| {
            percent.map_or_else(|| "unknown".into(), |percent| format!("{percent:.1} %"))
        };
        write!(
            f,
            "baseline: {} memory {}, {} available at start, {} used when idle, {} during a generation; \
             statistics answer in {:.3} ms (99th percentile)",
            match self.memory {
                Watched::Gpu => "GPU",
                Watched::Host => "host",
            },
            amount(self.total_memory_bytes),
            amount(self.available_at_start_bytes),
            percent(self.idle_percent),
            percent(self.during_generation_percent),
            self.statistics_response_ms
        )
    }
}
